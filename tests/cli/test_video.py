"""`impasto video` from the line to the file."""

import hashlib
import json
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from impasto.cli import footage, watch
from impasto.cli.video import Wishes
from impasto.errors import UsageError
from impasto.pixels import io
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

    def interrupted(steps, what, stop, quiet, preview=""):
        next(steps)
        steps.close()
        raise KeyboardInterrupt

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
        (["none.mp4", "-s", STYLE, "-o", "o.mp4"], 1, "no clip at none.mp4"),
        (["photo.png", "-s", STYLE, "-o", "o.mp4"], 2, "name of one picture"),
        (["clip.mp4", "-s", STYLE, "-o", "o.avi"], 2, "clips cannot be written as .avi"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--codec", "theora"], 2, "unknown codec 'theora'"),
        (["clip.mp4", "-s", STYLE, "-o", "no/o.mp4"], 1, "no folder no"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--frames", "3-9"], 2, "it has 5 frames"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--temporal", "slow"], 2, "'slow' is not one of off, fast, smooth"),
        (["clip.mp4", "-s", STYLE, "-o", "o.mp4", "--quality", "best"], 2, "draft or good"),
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
