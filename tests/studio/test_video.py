"""Clips as the studio paints them: whole, or what was finished when they were stopped."""

from contextlib import closing

import numpy as np
import pytest
import torch

pytest.importorskip("gradio", reason="the extra studio is not installed")
pytest.importorskip("av", reason="the extra video is not installed")

import av

from impasto.studio.desk import Desk
from impasto.studio.video import Film
from impasto.video import work
from impasto.video.io import open_source
from impasto.video.io import recipe as recipe_of
from impasto.video.look import Plain

FRAMES, PIECE = 11, 3


@pytest.fixture
def clip(tmp_path):
    """A clip that becomes lighter from frame to frame."""
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FRAMES):
            pixels = np.full((48, 64, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return open_source(tmp_path / "clip.mp4")


def negative(content, *, strength=1.0):
    return torch.lerp(content, 1 - content, strength)


@pytest.fixture
def film(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "PIECE", PIECE)
    desk = Desk(tmp_path / "desk")
    todo = work.Work(clip, Plain(negative), desk.path("frames"), None, "off")
    return Film(desk, todo, {"verb": "video", "settings": {"size": "64"}}, "clip", "clip in negative")


def levels(path):
    """How light the frames are, 0 ... 1."""
    return torch.stack([frame.image.mean() for frame in open_source(path)])


def wanted(count):
    return 1 - torch.arange(count) * 20 / 255


def test_a_whole_clip(film):
    list(film.steps())
    made = film.finish(False)
    torch.testing.assert_close(levels(made.file), wanted(FRAMES), atol=0.02, rtol=0)
    assert made.note == ""
    assert not film.work.folder.exists()


def test_a_stopped_clip_keeps_its_finished_frames(film):
    with closing(film.steps()) as steps:
        for step in steps:
            if film.label.startswith("Painting") and step.index == 2 * PIECE + 1:
                break
    made = film.finish(True)
    torch.testing.assert_close(levels(made.file), wanted(2 * PIECE), atol=0.02, rtol=0)
    assert made.note == f"Its first {2 * PIECE} of {FRAMES} frames are kept."
    assert recipe_of(made.file)["settings"]["frames"] == f"0-{2 * PIECE - 1}"
    assert not film.work.folder.exists()


def test_a_clip_stopped_while_it_is_written_is_whole(film):
    with closing(film.steps()) as steps:
        while not film.label.startswith("Writing"):
            next(steps)
    assert not film.path.exists()
    assert len(levels(film.finish(True).file)) == FRAMES


def test_nothing_is_kept_of_a_clip_that_was_stopped_at_once(film):
    with closing(film.steps()) as steps:
        next(steps)
    assert film.finish(True) is None
    assert not film.path.exists()
