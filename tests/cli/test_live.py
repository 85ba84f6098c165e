"""`impasto live`: clips painted as they come, and what cannot be shown."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from impasto.cli import live
from impasto.errors import UsageError
from impasto.video import flow
from impasto.video.io import open_sink, open_source
from impasto.video.live import Easel, camera
from impasto.video.look import Plain
from impasto.video.work import as_frame

STYLE = "starry-night"


def inverted(content, *, strength=1.0):
    return 1 - content


def scene(seed, count):
    """A still shot with colors of its own."""
    random = np.random.default_rng(seed)
    small = torch.from_numpy(random.random((1, 3, 6, 8)) * random.uniform(0.2, 1, (1, 3, 1, 1))).float()
    return [torch.nn.functional.interpolate(small, (48, 64), mode="bilinear")] * count


@pytest.fixture
def clip(place):
    with open_sink(place / "clip.mkv") as sink:
        for position, image in enumerate(scene(0, 3)):
            sink.write(as_frame(image, position, 8))
    return place


def test_a_clip_is_painted_as_it_comes(impasto, clip):
    ran = impasto("live", "clip.mkv", "--style", STYLE, "--size", 32, "-o", "out.mkv")
    assert (ran.code, ran.lines) == (0, ["out.mkv"])
    assert "3 frames" in ran.err
    source, result = open_source("clip.mkv"), list(open_source("out.mkv"))
    assert [frame.time for frame in result] == [frame.time for frame in source]
    assert result[0].picture.size == (24, 32)
    told = json.loads(impasto("inspect", "out.mkv").out)
    assert (told["verb"], told["content"], told["styles"][0]["source"]) == ("live", {"source": "clip.mkv"}, STYLE)
    assert "can repeat what" in impasto("inspect", "out.mkv", "--reproduce").err


def test_what_is_read_is_not_written_over(impasto, clip):
    before = (clip / "clip.mkv").read_bytes()
    ran = impasto("live", "clip.mkv", "--style", STYLE, "--size", 32, "-o", "clip.mkv", "--force")
    assert (ran.code, ran.out) == (2, "")
    assert "clip.mkv is both read and written" in ran.err
    assert (clip / "clip.mkv").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_what_there_is_and_says_so(impasto, clip, monkeypatch, number):
    paint = Easel.paint

    def painted(easel, image, seconds):
        os.kill(os.getpid(), number)
        return paint(easel, image, seconds)

    monkeypatch.setattr(Easel, "paint", painted)
    ran = impasto("live", "clip.mkv", "--style", STYLE, "--size", 32, "-o", "out.mkv")
    assert (ran.code, ran.lines) == (130, ["out.mkv"])
    assert len(list(open_source("out.mkv"))) == 1


def test_json_comes_from_a_window_too(impasto, clip, monkeypatch):
    monkeypatch.setattr(live, "window", lambda: lambda frame, rate: frame.number < 1)  # closed at the second frame
    ran = impasto("live", "clip.mkv", "--style", STYLE, "--size", 32, "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["output"], told["frames"]) == (0, None, 2)


def test_opencv_is_silent_about_a_camera_that_is_not_there(capfd):
    log = flow.library().utils.logging
    before = log.getLogLevel()
    with pytest.raises(UsageError, match="no camera 99"):
        next(camera(99))
    assert capfd.readouterr() == ("", "")
    assert log.getLogLevel() == before


def test_a_cut_begins_anew():
    easel = Easel(Plain(inverted), None)
    for seed in (1, 2):
        for t, image in enumerate(scene(seed, 3)):
            assert torch.allclose(easel.paint(image, t / 24), 1 - image, atol=1e-5)
            assert easel._place == t + 1
    assert easel.rate > 0


def test_what_a_camera_sees_is_rgb(monkeypatch):
    class Eye:
        def isOpened(self):
            return True

        def set(self, *_):
            pass

        def read(self):
            return True, np.full((4, 6, 3), (255, 0, 51), np.uint8)

        def release(self):
            pass

    monkeypatch.setattr(flow.library(), "VideoCapture", lambda number: Eye())
    seen = next(camera(0))
    assert seen[0, :, 0, 0].tolist() == pytest.approx([0.2, 0, 1])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["clip.mkv", "-o", "o.mkv"], "no style"),
        (["clip.mkv", "-s", STYLE, "-o", "o.mkv", "--temporal", "smooth"], "not known"),
        (["clip.mkv", "-s", STYLE, "-o", "o.avi"], "cannot be written as .avi"),
        (["clip.mkv", "-s", STYLE, "-o", "-"], "a clip needs a file to go to"),
    ],
)
def test_what_cannot_be_is_said(impasto, clip, line, said):
    ran = impasto("live", *line)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_without_a_screen_a_file_is_asked_for(monkeypatch):
    tkinter = pytest.importorskip("tkinter")

    def dark():
        raise tkinter.TclError("no display")

    monkeypatch.setattr(tkinter, "Tk", dark)
    with pytest.raises(UsageError, match="-o FILE"):
        live.window()
