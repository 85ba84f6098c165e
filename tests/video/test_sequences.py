"""Image sequences: patterns, ranges, gaps, depth, the channels of EXR."""

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
import torch

from impasto.errors import OutputExists, UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels import io as pictures
from impasto.pixels.picture import Picture
from impasto.video import frame as frames
from impasto.video.io import open_sink, open_source, probe, recipe
from impasto.video.sequence import pattern


@pytest.fixture
def shot(tmp_path):
    """Make a sequence: `shot("a.%04d.png", numbers)`."""

    def made(name, numbers, bits=8, size=(12, 16), seed=0):
        for number in numbers:
            random = torch.Generator().manual_seed(seed + number)
            picture = Picture(torch.rand(1, 3, *size, generator=random), None, bits)
            pictures.save(picture, tmp_path / (name % number), bits=bits)
        return tmp_path

    return made


@pytest.mark.parametrize("name", ["a.%04d.png", "a.####.png", "a_v02.####.tif", "%d.png", "a#.png", "shot-%03d.jpg"])
def test_patterns_name_files(name, tmp_path):
    found = pattern(tmp_path / name)
    for number in (0, 7, 1001, 10012):
        found.path(number).touch()
    (tmp_path / "a.0x1.png").touch()
    (tmp_path / "other.0001.png").touch()
    assert found.numbers() == [0, 7, 1001, 10012]
    digits = {"a.%04d.png": 4, "a.####.png": 4, "a_v02.####.tif": 4, "%d.png": 1, "a#.png": 1, "shot-%03d.jpg": 3}[name]
    assert found.path(7).name.count("0") >= digits - 1


def test_a_number_with_other_padding_is_another_file(tmp_path):
    for name in ("a.001.png", "a.0002.png"):
        (tmp_path / name).touch()
    assert pattern(tmp_path / "a.####.png").numbers() == [2]


def test_a_pattern_knows_its_frames_and_its_like(tmp_path):
    found = pattern(tmp_path / "a.####.png")
    (tmp_path / "link").symlink_to(tmp_path)
    assert all(found.holds(tmp_path / name) for name in ("a.0001.png", "a.1.png", "link/a.0002.png"))
    assert not any(found.holds(tmp_path / name) for name in ("a.png", "b.0001.png", "a.0001.tif", "no/a.0001.png"))
    assert found.meets(pattern(tmp_path / "link" / "a.%d.png"))
    assert not found.meets(pattern(tmp_path / "a.####.tif"))


@pytest.mark.parametrize(("text", "wanted"), [("1001-1100", (1001, 1100)), ("7", (7, 7)), ("7-", (7, None)), (" 1 - 3 ", (1, 3))])
def test_ranges(text, wanted):
    assert frames.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "a", "3-1", "-5", "1-2-3", "1 2", (3, 1), (-1, None)])
def test_what_is_no_range(text):
    with pytest.raises(UsageError, match=r"range"):
        frames.parse(text)


def test_numbers_spelled():
    assert frames.spelled([1003, 1007, 1008, 1009, 1011]) == "1003, 1007-1009, 1011"


@pytest.mark.parametrize(("suffix", "bits"), [("png", 8), ("png", 16), ("tif", 8), ("tif", 16)])
def test_pictures_pass_through_with_their_numbers_and_depth(shot, tmp_path, suffix, bits):
    shot(f"a.%04d.{suffix}", range(1001, 1005), bits)
    source = open_source(tmp_path / f"a.####.{suffix}", rate=25)
    assert (source.clip.bits, source.clip.frames, source.clip.time_base) == (bits, 4, Fraction(1, 25))
    with open_sink(tmp_path / f"out.%04d.{suffix}", like=source, recipe={"seed": 1}) as sink:
        for frame in source:
            sink.write(frame)
    again = open_source(tmp_path / f"out.%04d.{suffix}")
    for a, b in zip(source, again, strict=True):
        assert (a.number, a.pts) == (b.number, b.pts)
        assert torch.equal(a.image, b.image)
    assert [frame.number for frame in again] == [1001, 1002, 1003, 1004]
    assert recipe(tmp_path / f"out.%04d.{suffix}") == {"seed": 1}


def test_a_folder_is_the_sequence_in_it(shot, tmp_path):
    shot("b.%d.png", (9, 10, 11))
    assert [frame.number for frame in open_source(tmp_path)] == [9, 10, 11]
    shot("c.%03d.png", (1,))
    with pytest.raises(UsageError, match=r"2 sequences .*b\.#\.png or .*c\.###\.png"):
        open_source(tmp_path)


def test_into_a_folder_under_the_same_names(shot, tmp_path):
    source = open_source(shot("b.%03d.png", (5, 6)) / "b.###.png")
    with open_sink(f"{tmp_path}/out/", like=source) as sink:
        for frame in source:
            sink.write(frame)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.005.png", "b.006.png"]


def test_missing_frames_are_named(shot, tmp_path):
    shot("a.%04d.png", (1001, 1002, 1004, 1005, 1008))
    for wanted in (None, "1001-1010"):
        with pytest.raises(UnreadablePicture, match=r"1003, 1006-1007") as caught:
            open_source(tmp_path / "a.####.png", frames=wanted)
    assert "1009-1010" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(open_source(tmp_path / "a.####.png", frames="1004-1005")) == 2


def test_a_range_keeps_the_time_of_the_whole(shot, tmp_path):
    shot("a.%04d.png", range(1001, 1007))
    part = open_source(tmp_path / "a.####.png", frames="1003-1004")
    assert [(frame.number, frame.time) for frame in part] == [(1003, Fraction(2, 24)), (1004, Fraction(3, 24))]
    assert part.ranged


def test_finished_frames_are_kept(shot, tmp_path):
    source = open_source(shot("a.%04d.png", range(4)) / "a.####.png")
    shot("out.%04d.png", (0, 2), seed=50)
    before = {number: (tmp_path / f"out.{number:04}.png").read_bytes() for number in (0, 2)}
    with pytest.raises(OutputExists, match="frames 0, 2 of"):
        open_sink(tmp_path / "out.####.png", like=source)
    with open_sink(tmp_path / "out.####.png", like=source, resume=True) as sink:
        assert sink.finished == {0, 2}
        for frame in source:
            sink.write(frame)
    assert all((tmp_path / f"out.{number:04}.png").read_bytes() == data for number, data in before.items())
    assert len(open_source(tmp_path / "out.####.png")) == 4
    with open_sink(tmp_path / "out.####.png", like=source, force=True) as sink:
        for frame in source:
            sink.write(frame)
    assert torch.equal(next(iter(open_source(tmp_path / "out.####.png"))).image, next(iter(source)).image)


def test_frames_that_were_written_before_an_error_stay(shot, tmp_path):
    source = open_source(shot("a.%04d.png", range(4)) / "a.####.png")
    with open_sink(tmp_path / "out.####.png", like=source) as sink, pytest.raises(AttributeError):
        [sink.write(frame) for frame in [*islice(source, 2), None]]
    assert sorted(path.name for path in tmp_path.iterdir() if "a." not in path.name) == ["out.0000.png", "out.0001.png"]


def test_a_size_that_changes(shot, tmp_path):
    shot("a.%04d.png", (1, 2))
    shot("a.%04d.png", (3,), size=(12, 18))
    with pytest.raises(UnfitPicture, match=r"a\.0003\.png is 18 x 12 px"):
        list(open_source(tmp_path / "a.####.png"))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("a.0001.png", UsageError, r"one picture.*a\.####\.png"),
        ("none.####.png", UnreadablePicture, "no frames match"),
        ("a.##.##.png", UsageError, "2 places"),
        ("empty", UnreadablePicture, "no frames in the folder"),
    ],
)
def test_paths_that_are_no_sequence(shot, tmp_path, name, error, words):
    shot("a.%04d.png", (1,))
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=words):
        open_source(tmp_path / name)


def test_rates(shot, tmp_path):
    shot("a.%d.png", (1,))
    for rate, wanted in (
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (12.5, Fraction(25, 2)),
        (25, Fraction(25)),
    ):
        assert open_source(tmp_path / "a.%d.png", rate=rate).clip.rate == wanted
    with pytest.raises(UsageError, match="frames per second"):
        open_source(tmp_path / "a.%d.png", rate=0)


oiio = pytest.importorskip("OpenImageIO")


def exr(path, peak, seed):
    """Half color, a float depth and an object number beside it."""
    random = np.random.default_rng(seed)
    pixels = random.random((10, 14, 5)).astype(np.float32)
    pixels[0, 0, :3] = peak
    pixels[..., 3] *= 1000
    pixels[..., 4] = random.integers(0, 900, (10, 14))
    pixels[..., :3] = pixels[..., :3].astype(np.float16)
    spec = oiio.ImageSpec(14, 10, 5, "float")
    spec.channelnames = ("R", "G", "B", "Z", "id")
    spec.channelformats = (*[oiio.TypeDesc("half")] * 3, oiio.TypeDesc("float"), oiio.TypeDesc("uint"))
    pixels[..., 4] /= 2**32 - 1
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    output.close()


def channels(path):
    source = oiio.ImageInput.open(str(path))
    pixels, spec = source.read_image("float"), source.spec()
    source.close()
    return pixels, [str(kind) for kind in spec.channelformats], spec.channelnames


def test_exr_keeps_its_other_channels_and_its_light(tmp_path):
    for number, peak in ((1001, 4.0), (1002, 0.5), (1003, 300.0)):
        exr(tmp_path / f"a.{number}.exr", peak, number)
    source = open_source(tmp_path / "a.%04d.exr")
    with open_sink(tmp_path / "out.%04d.exr", like=source) as sink:
        for frame in source:
            sink.write(frame)
    for number in (1001, 1002, 1003):
        (a, kinds, names), (b, other, again) = (channels(tmp_path / f"{name}.{number}.exr") for name in ("a", "out"))
        assert (kinds, names) == (other, again)
        assert np.array_equal(a[..., 3:], b[..., 3:])
        assert np.allclose(a[..., :3], b[..., :3], rtol=2e-3, atol=1e-6)


def test_the_same_light_is_the_same_value_in_all_frames(tmp_path):
    """A lamp in one frame does not darken the highlights of that frame alone."""
    for number, peak in ((1, 2.0), (2, 300.0)):
        exr(tmp_path / f"a.{number}.exr", peak, 7)
    source = open_source(tmp_path / "a.%d.exr")
    a, b = (frame.image for frame in source)
    assert float((a - b)[..., 1:].abs().max()) < 1e-6
    assert float((b - a)[0, :, 0, 0].min()) > 0
    given = [frame.image for frame in open_source(tmp_path / "a.%d.exr", peak=300.0)]
    assert torch.equal(torch.cat(given), torch.cat([a, b]))
    single = [pictures.load(tmp_path / f"a.{number}.exr").image for number in (1, 2)]
    assert float((single[0] - single[1])[..., 1:].abs().max()) > 0.01  # so it would be without


def test_a_sequence_becomes_a_clip_and_a_clip_a_sequence(shot, tmp_path):
    source = open_source(shot("a.%04d.png", range(1001, 1006)) / "a.####.png", rate=25)
    with open_sink(tmp_path / "a.mkv", like=source) as sink:
        for frame in source:
            sink.write(frame)
    clip = open_source(tmp_path / "a.mkv")
    assert probe(tmp_path / "a.mkv").rate == 25
    with open_sink(tmp_path / "b.####.png", like=clip) as sink:
        for frame in clip:
            sink.write(frame)
    back = open_source(tmp_path / "b.####.png")
    assert [frame.number for frame in back] == [0, 1, 2, 3, 4]
    assert all(torch.equal(a.image, b.image) for a, b in zip(source, back, strict=True))
