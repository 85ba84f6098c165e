"""`impasto video` from the line to the file."""

import hashlib
import json
import os
import shlex
import sys
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image as PILImage

from impasto import metrics
from impasto.cli import footage, watch
from impasto.cli.video import Wishes
from impasto.errors import UsageError
from impasto.pixels import io
from impasto.video import work
from impasto.video.io import open_source, recipe
from impasto.video.pace import Progress

STYLE = "starry-night"


def make(path, count=5, size=(48, 64), sound=True):
    """A clip of a pan, with sound."""
    y, x = np.mgrid[: size[0], : size[1]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "4", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        if sound:
            heard = container.add_stream("aac", rate=48000)
        for t in range(count):
            pixels = np.stack([128 + 100 * np.sin((x + 2 * t) / 7), 128 + 100 * np.cos(y / 5), 60 + (x + 2 * t) % 90], -1)
            frame = av.VideoFrame.from_ndarray(pixels.round().astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = t, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            samples = np.sin(np.arange(count * 2000) / 17).astype(np.float32)
            tone = av.AudioFrame.from_ndarray(np.stack([samples, samples]), "fltp", "stereo")
            tone.sample_rate, tone.pts, tone.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(heard.encode(tone))
            container.mux(heard.encode(None))
    return path


def heard(path):
    """MD5 of the sound's packets."""
    with av.open(str(path)) as container:
        data = b"".join(bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size)
    return hashlib.md5(data).hexdigest()


def interrupted(steps, what, stop, quiet, preview=""):
    """`watch.drive`, stopped after the first step."""
    next(steps)
    steps.close()
    raise KeyboardInterrupt


@pytest.fixture
def clip(place):
    return make(place / "clip.mp4")


def test_a_clip_is_painted_with_its_sound_times_and_recipe(impasto, clip, place):
    ran = impasto("video", "clip.mp4", "--style", STYLE, "-o", "out.mp4", "--size", "full", "--json")
    assert ran.code == 0
    assert json.loads(ran.out) | {"output": "out.mp4", "frames": 5, "shots": 1, "finished": True} == json.loads(ran.out)
    assert heard("out.mp4") == heard("clip.mp4")
    source, result = open_source("clip.mp4"), open_source("out.mp4")
    assert [frame.time for frame in result] == [frame.time for frame in source]
    told = recipe("out.mp4")
    assert (told["verb"], told["styles"][0]["source"], told["settings"]["temporal"]) == ("video", STYLE, "fast")
    assert json.loads(impasto("inspect", "out.mp4", "--json").out) == {"file": "out.mp4", **told}
    assert sorted(path.name for path in place.iterdir() if "out" in path.name) == ["out.mp4"]
    assert impasto("video", "clip.mp4", "--style", STYLE, "-o", "out.mp4").code == 1
    assert impasto("video", "clip.mp4", "--style", STYLE, "-o", "out.mp4", "--resume").lines == ["out.mp4"]


@pytest.mark.slow
def test_the_best_is_painted_by_the_optimizer(impasto, clip, place):
    line = ("video", "clip.mp4", "-s", STYLE, "--frames", "0-1", "--size", 48)
    ran = impasto(*line, "--quality", "best", "-o", "best.mkv")
    assert (ran.code, ran.lines) == (0, ["best.mkv"])
    assert impasto(*line, "-o", "good.mkv").code == 0
    told = recipe("best.mkv")
    assert told["settings"]["quality"] == "best"
    assert ("--quality", "best") in pairwise(shlex.split(impasto("inspect", "best.mkv", "--reproduce").out))
    near = [metrics.style_distance(next(iter(open_source(f"{name}.mkv"))).image[0], STYLE) for name in ("best", "good")]
    assert near[0] < near[1]


def test_frames_of_a_range_go_to_a_sequence_in_the_size_wanted(impasto, clip, place):
    ran = impasto("video", "clip.mp4", "-s", STYLE, "-o", "f.####.png", "--frames", "1-3", "--size", 32, "--temporal", "off")
    assert (ran.code, ran.lines) == (0, ["f.####.png"])
    assert sorted(path.name for path in place.glob("f.*")) == ["f.0001.png", "f.0002.png", "f.0003.png"]
    assert io.load("f.0002.png").size == (24, 32)
    again = impasto("video", "clip.mp4", "-s", STYLE, "-o", "f.####.png", "--frames", "1-3", "--size", 32, "--resume")
    assert (again.code, again.lines) == (0, ["f.####.png"])


def test_shards_are_put_together_by_resume(impasto, clip):
    line = ("video", "clip.mp4", "-s", STYLE, "-o", "out.mkv", "--size", 32, "--quiet")
    whole = impasto(*line[:4], "-o", "whole.mkv", "--size", 32)
    assert whole.code == 0
    for shard in ("1/2", "2/2"):
        assert impasto(*line, "--shard", shard).lines == ["out.mkv.parts"]
    assert impasto(*line).code == 1  # unfinished work is not thrown away
    assert impasto(*line, "--resume").lines == ["out.mkv"]
    frames = [[frame.image for frame in open_source(name)] for name in ("whole.mkv", "out.mkv")]
    assert all((one == other).all() for one, other in zip(*frames, strict=True))


def test_interrupted_work_goes_on(impasto, clip, place, monkeypatch):
    line = ("video", "clip.mp4", "-s", STYLE, "-o", "out.mkv", "--size", 32)

    with monkeypatch.context() as patch:
        patch.setattr(watch, "drive", interrupted)
        ran = impasto(*line)
    assert (ran.code, ran.out) == (130, "")
    assert "--resume goes on" in ran.err
    assert not (place / "out.mkv").exists()
    assert impasto(*line, "--resume").lines == ["out.mkv"]
    assert not (place / "out.mkv.parts").exists()


def test_styles_and_strength_change_and_masks_say_where(impasto, clip, place):
    make(place / "sky.mkv", sound=False)
    ran = impasto(
        "video", "clip.mp4", "-s", f"sky={STYLE}@0s", "-s", "sky=scream@0.1s", "--mask", "sky=sky.mkv", "--strength",
        "0@0s,1@0.1s", "-o", "out.mkv", "--size", "full", "--preserve-color", "luminance",
    )  # fmt: skip
    assert ran.code == 0
    source, result = ([frame.image for frame in open_source(name)] for name in ("clip.mp4", "out.mkv"))
    assert (result[0] - source[0]).abs().max() < 1.5 / 255
    assert (result[4] - source[4]).abs().mean() > 0.02


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["clip.mp4", "-o", "o.mp4"], 2, "no style"),
        (["clip.mp4", "-s", STYLE, "-o", "-"], 2, "needs a file"),
        (["-", "-s", STYLE, "-o", "o.mp4"], 2, "cannot come from stdin"),
        (["none.mp4", "-s", STYLE, "-o", "o.mp4"], 1, "no clip at none.mp4"),
        (["photo.png", "-s", STYLE, "-o", "o.mp4"], 2, "name of one picture"),
        (["clip.mp4", "-s", STYLE, "-o", "o.avi"], 2, "clips cannot be written as .avi"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--codec", "theora"], 2, "unknown codec 'theora'"),
        (["clip.mp4", "-s", STYLE, "-o", "no/o.mp4"], 1, "no folder no"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--frames", "3-9"], 2, "it has 5 frames"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--temporal", "slow"], 2, "'slow' is not one of off, fast, smooth"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--quality", "fine"], 2, "not one of draft, good, best"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--quality", "best", "--temporal", "smooth"], 2, "give temporal fast, or off"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--size", 32, "--cluster", "nowhere"], 2, "no cluster answers at nowhere"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--strength", "2"], 2, "not between 0 and 1"),
        (["clip.mp4", "-s", f"{STYLE}@1s", "-s", "scream", "-o", "o.mp4"], 2, "every style"),
        (["clip.mp4", "-s", f"sky={STYLE}", "-o", "o.mp4"], 2, "has no --mask"),
        (["clip.mp4", "-s", STYLE, "--mask", "keep=style.png", "-o", "o.mp4"], 1, "same shape"),
        (["clip.mp4", "-s", STYLE, "--flow", "none", "-o", "o.mp4"], 2, "not a folder"),
        (["clip.mp4", "-s", STYLE, "--shard", "3/2", "-o", "o.mp4"], 2, "--shard '3/2'"),
        (["clip.mp4", "-s", STYLE, "--resume", "-o", "o.mp4"], 2, "nothing to go on with"),
        (["clip.mp4", "-s", STYLE, "--workers", "0", "-o", "o.mp4"], 2, "1 at least"),
        (["clip.mp4", "-s", STYLE, "--resume", "--force", "-o", "o.mp4"], 2, "give one of them"),
        (["clip.mp4", "-s", "starry-nigt", "-o", "o.mp4"], 2, "did you mean 'starry-night'"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(impasto, clip, place, line, code, said):
    ran = impasto("video", *line)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not (place / "o.mp4").exists()


def draw(path, seed, size=(96, 72)):
    """A picture of noise."""
    path.parent.mkdir(exist_ok=True)
    PILImage.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(path)


def frames(folder):
    """A sequence of pictures: a.0000.png, a.0001.png."""
    for number in range(2):
        draw(folder / f"a.{number:04d}.png", number)


def everything(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        ("clip.mp4", "-o", "clip.mp4"),
        ("clip.mp4", "-o", "link.mp4"),
        ("clip.mp4", "-o", "o.mp4", "--preview", "paint.png", "-s", "paint.png"),
        ("clip.mp4", "-o", "sky.mkv", "--mask", "keep=sky.mkv"),
        ("s", "-o", "s/a.####.png"),
        ("s/a.%04d.png", "-o", "s"),
        ("s", "-o", "s/a.%d.png"),
        ("s", "-o", "o.mkv", "--preview", "s/a.0001.png"),
        ("clip.mp4", "-o", "s/a.####.png", "-s", "s/a.0001.png"),
    ],
)
def test_what_is_read_is_never_written(impasto, clip, place, line):
    make(place / "sky.mkv", sound=False)
    frames(place / "s")
    draw(place / "paint.png", 0)
    (place / "link.mp4").symlink_to("clip.mp4")
    before = everything(place)
    ran = impasto("video", *line, "-s", STYLE, "--size", 32, "--force")
    assert (ran.code, ran.out) == (2, "")
    assert "both read and written" in ran.err
    assert everything(place) == before


@pytest.mark.parametrize(
    "line", [("-o", "d/out.mp4"), ("-o", "d/f.####.png"), ("-o", "d/"), ("-o", "o.mp4", "--preview", "d/p.png")]
)
def test_nothing_that_stays_may_lie_in_the_work_folder(impasto, clip, place, line):
    (place / "d").mkdir()
    ran = impasto("video", "clip.mp4", "-s", STYLE, "--size", 32, "--work", "d", *line)
    assert (ran.code, ran.out) == (2, "")
    assert "would lie in d" in ran.err
    assert list((place / "d").iterdir()) == []


def test_what_is_not_ours_stays_in_the_work_folder(impasto, clip, place):
    line = ("video", "clip.mp4", "-s", STYLE, "-o", "out.mkv", "--size", 32, "--work", "d")
    assert impasto(*line, "--shard", "1/1").code == 0
    for name in ("notes.txt", "take.mkv", "sub/x.mkv"):
        (place / "d" / name).parent.mkdir(exist_ok=True)
        (place / "d" / name).write_text("mine")
    assert impasto(*line, "--resume").lines == ["out.mkv"]
    assert sorted(path.name for path in (place / "d").iterdir()) == ["notes.txt", "sub", "take.mkv"]


def test_finished_frames_of_other_masks_or_frames_are_not_taken(impasto, clip, place):
    masks = ("--mask", "sky=w.png", "-s", f"sky={STYLE}")
    line = ("video", "clip.mp4", *masks, "-o", "out.mkv", "--size", 32, "--quiet")
    draw(place / "w.png", 1)
    assert impasto(*line, "--shard", "1/1").code == 0
    draw(place / "w.png", 2)
    assert "frames of another clip" in impasto(*line, "--resume").err
    draw(place / "w.png", 1)
    assert impasto(*line, "--resume").lines == ["out.mkv"]
    frames(place / "s")
    line = ("video", "s", "-s", STYLE, "-o", "o2.mkv", "--size", 32, "--quiet")
    assert impasto(*line, "--shard", "1/1").code == 0
    os.utime(place / "s" / "a.0001.png", ns=(1, 1))
    assert "frames of another clip" in impasto(*line, "--resume").err


def test_only_work_begun_by_force_replaces_a_file(impasto, clip, place, monkeypatch):
    line = ("video", "clip.mp4", "-s", STYLE, "-o", "out.mkv", "--size", 32, "--quiet")
    out = place / "out.mkv"
    out.write_text("mine")
    assert "out.mkv exists already" in impasto(*line, "--shard", "1/1").err
    assert not (place / "out.mkv.parts").exists()
    out.unlink()
    assert impasto(*line, "--shard", "1/1").code == 0
    out.write_text("mine")
    ran = impasto(*line, "--resume")
    assert (ran.code, out.read_text()) == (1, "mine")
    assert "out.mkv exists already" in ran.err
    with monkeypatch.context() as patch:
        patch.setattr(watch, "drive", interrupted)
        assert impasto(*line, "--force").code == 130
    assert out.read_text() == "mine"
    assert impasto(*line, "--resume").lines == ["out.mkv"]
    assert len(list(open_source("out.mkv"))) == 5


def test_a_sequence_that_is_to_be_replaced_keeps_no_old_frame(impasto, clip, place, monkeypatch):
    line = ("video", "clip.mp4", "-o", "f.####.png", "--size", 32, "--quiet", "--temporal", "off")
    assert impasto(*line, "-s", STYLE).code == 0
    old = [path.read_bytes() for path in sorted(place.glob("f.*.png"))]
    with monkeypatch.context() as patch:
        patch.setattr(watch, "drive", interrupted)
        assert impasto(*line, "-s", "scream", "--force").code == 130
    assert impasto(*line, "-s", "scream", "--resume").code == 0
    assert all(path.read_bytes() != before for path, before in zip(sorted(place.glob("f.*.png")), old, strict=True))


def test_shares_that_begin_together_do_not_trip(impasto, clip, place, monkeypatch):
    line = ("video", "clip.mp4", "-s", STYLE, "-o", "out.mkv", "--size", 32, "--quiet", "--shard")
    folder = place / "out.mkv.parts"
    folder.mkdir()
    (folder / f".plan.json-{os.getpid()}").mkdir()  # what another machine's process of the same number is writing
    assert impasto(*line, "1/2").code == 0
    kept, looks = work.kept_plan, []

    def late(job):
        looks.append(job)
        return kept(job) if len(looks) > 1 else None  # the other's plan comes just after the first look

    monkeypatch.setattr(work, "kept_plan", late)
    assert impasto(*line, "2/2").code == 0
    assert len(looks) == 2


def test_a_preview_does_not_replace_a_picture_of_the_users(impasto, clip, place):
    ran = impasto("video", "clip.mp4", "-s", STYLE, "-o", "o.mp4", "--size", 32, "--preview", "photo.png")
    assert (ran.code, ran.out) == (1, "")
    assert "was not made by impasto" in ran.err


def test_the_command_in_a_clip_makes_it_again(impasto, clip, place):
    made = impasto("video", "clip.mp4", "-s", f"{STYLE}@0s", "-s", "scream@0.1s", "-o", "o.m4v", "--size", 32, "--bits", 8)
    assert made.code == 0
    again = shlex.split(impasto("inspect", "o.m4v", "--reproduce").out)
    assert ("--bits", "8") in pairwise(again)
    assert impasto(*again[1:]).lines == ["o-again.m4v"]
    one, other = ([frame.image for frame in open_source(name)] for name in ("o.m4v", "o-again.m4v"))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_without_dask_the_extra_is_named(impasto, clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = impasto("video", "clip.mp4", "-s", STYLE, "--cluster", "tcp://127.0.0.1:1", "-o", "o.mp4", "--size", 32)
    assert ran.code == 2
    assert "impasto[cluster]" in ran.err
    assert impasto("video", "clip.mp4", "-s", STYLE, "-o", "o.mp4", "--size", 32).code == 0  # nothing stands in the way


def test_a_style_may_have_a_moment(place):
    assert footage.parse_style("a.jpg").moment is None
    assert footage.parse_style("sky=a.jpg:0.5@1.5m") == ((("a.jpg", 0.5, "sky")), 90.0)
    (place / "a@5s").write_text("")
    assert footage.parse_style("a@5s") == (("a@5s", 1.0, ""), None)


def test_masks_of_colors_are_for_pictures():
    with pytest.raises(UsageError, match="color"):
        footage.parse_masks(["color=a.png"])
    with pytest.raises(UsageError, match="twice"):
        footage.parse_masks(["a=a.png", "a=b.png"])


def test_shards_are_not_begun_anew():
    with pytest.raises(UsageError, match="other shards"):
        Wishes(force=True, shard="1/2")


def test_progress_tells_the_rate_and_the_time_left():
    assert (
        watch.note(Progress(3, 90, eta=75, size=(288, 512), rate=12.34)) == "frame 3/90  512 x 288 px  12.3 a second  1:15 left"
    )
