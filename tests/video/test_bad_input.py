"""What can go wrong with clips: one line that says what, and never a broken file."""

import importlib
import resource
import sys
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from impasto.errors import ImpastoError, MissingExtra, OutputError, OutputExists, UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels.picture import Picture
from impasto.video import whole
from impasto.video.frame import Frame
from impasto.video.io import open_sink, open_source, probe


def frame(number, size=(48, 64), seed=0):
    random = torch.Generator().manual_seed(seed + number)
    return Frame(number, Picture(torch.rand(1, 3, *size, generator=random), None, 8), number, Fraction(1, 24), 1)


def refused(error, words, call, *arguments, **settings):
    with pytest.raises(error, match=words) as caught:
        call(*arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path, pictures, **settings):
    with open_sink(path, **settings) as sink:
        for each in pictures:
            sink.write(each)


def failing(error):
    yield from map(frame, range(3))
    raise error


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no clip at"), (b"", "is empty"), (b"hello " * 100, "not a clip"), (b"\0\0\0\x18ftypmp42" + b"\0" * 300, "damaged")],
)
def test_files_that_are_no_clip(tmp_path, content, words):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    assert "a.mp4" in refused(UnreadablePicture, words, probe, path)


def test_a_clip_without_a_picture(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 2048), np.float32), "fltp", "stereo")
        sound.sample_rate = 48000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    refused(UnreadablePicture, "no video stream: it holds audio", open_source, tmp_path / "a.m4a")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_file_that_is_cut_off(clip, tmp_path, monkeypatch, name, share):
    codec = {"a.webm": "libvpx-vp9"}.get(name, "libx264")
    options = (
        {"crf": "12", "cpu-used": "8"} if codec != "libx264" else {"crf": "1", "preset": "ultrafast", "movflags": "+faststart"}
    )
    path = clip(name, codec=codec, options=options, sound=False, pts=tuple(range(24)))
    if name != "a.webm" and name[-3:] != "mkv":
        with av.open(str(path)) as source, av.open(str(tmp_path / f"f{name}"), "w", options={"movflags": "+faststart"}) as output:
            made = output.add_stream_from_template(source.streams.video[0], opaque=True)
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = made
                    output.mux(packet)
        path = tmp_path / f"f{name}"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    before = left(tmp_path)

    refused(UnreadablePicture, "cut off", open_source, path)
    monkeypatch.setattr(whole, "check", lambda path: None)  # a file that does not say how long it is
    with suppress(UnreadablePicture):
        source = open_source(path)
        write(tmp_path / "out.mkv", source, like=source)
        assert name[-3:] in ("mkv", "ebm")  # where nothing but its length tells
        before.append("out.mkv")
    assert left(tmp_path) == sorted(before)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_a_whole_file_is_whole(clip, name):
    whole.check(clip(name))


def test_a_recording_that_does_not_say_its_length_is_read(clip):
    """As a camera or a stream writes it: the Segment's size is unknown (RFC 8794, section 4)."""
    path = clip("a.mkv", sound=False)
    data = bytearray(path.read_bytes())
    place = data.index(b"\x18\x53\x80\x67") + 4
    assert data[place] == 1  # a number of 8 bytes
    data[place : place + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data)
    assert len(list(open_source(path))) == 6


def test_a_size_that_changes_in_the_middle(tmp_path):
    parts = []
    for width in (64, 96):
        path = tmp_path / f"{width}.h264"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=24, options={"bf": "0"})
            stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
            for number in range(3):
                picture = av.VideoFrame.from_ndarray(np.full((48, width, 3), 40 * number, np.uint8), "rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        parts.append(path.read_bytes())
    both = tmp_path / "both.h264"
    both.write_bytes(b"".join(parts))
    words = refused(UnfitPicture, r"changes its size at frame 3, from 64 x 48 to 96 x 48", lambda: list(open_source(both)))
    assert "split it there" in words


def test_frames_without_times_come_evenly(tmp_path):
    path = tmp_path / "raw.h264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * number, np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    source = open_source(path)
    steps = [each.time for each in source]
    assert len(steps) == len(source) == 4
    assert {b - a for a, b in pairwise(steps)} == {Fraction(1, 25)}
    assert [each.number for each in open_source(path, frames="2-3")] == [2, 3]


@pytest.mark.parametrize("frames", ["6", "4-9", "10-"])
def test_frames_that_a_clip_does_not_have(clip, frames):
    refused(UsageError, "it has 6 frames, 0 to 5", open_source, clip("a.mp4"), frames=frames)


def test_a_rate_for_a_clip(clip):
    refused(UsageError, "own times", open_source, clip("a.mp4"), rate=25)


@pytest.mark.parametrize(
    ("name", "settings", "error", "words"),
    [
        ("out.mp4", {"codec": "h266"}, UsageError, "unknown codec 'h266': use h264"),
        ("out.mp4", {"codec": "prores"}, UsageError, r"prores cannot be written as \.mp4: use \.mov"),
        ("out.avi", {}, UsageError, r"cannot be written as \.avi: use \.mp4"),
        ("out", {}, UsageError, "without a suffix"),
        ("out.mp4", {"bits": 10}, UsageError, "h264 cannot hold 10 bits"),
        ("out.png", {}, UsageError, r"one picture.*out####\.png"),
        ("none/out.mp4", {}, OutputError, "there is no folder"),
        ("out.####.png", {"codec": "h264"}, UsageError, "is an image sequence"),
        ("out.mp4", {"recipe": {"a": float("nan")}}, UsageError, "recipe cannot be written"),
        ("there.mp4", {}, OutputExists, "--force"),
        ("folder.mp4", {}, OutputError, "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_work(tmp_path, name, settings, error, words):
    (tmp_path / "there.mp4").write_text("x")
    (tmp_path / "folder.mp4").mkdir()
    refused(error, words, open_sink, tmp_path / name, **settings)
    assert (tmp_path / "there.mp4").read_text() == "x"


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(RuntimeError):
        write(tmp_path / "out.mp4", failing(RuntimeError))
    assert left(tmp_path) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, GeneratorExit])
def test_nothing_is_left_after_an_interruption(tmp_path, stop):
    (tmp_path / "out.mp4").write_text("old")
    with pytest.raises(stop):
        write(tmp_path / "out.mp4", failing(stop), force=True)
    assert left(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "old"


def test_no_frame_is_no_clip(tmp_path):
    refused(OutputError, "not one frame", write, tmp_path / "out.mp4", [])
    assert left(tmp_path) == []


def test_a_frame_of_another_size(tmp_path):
    words = "frame 1 is 32 x 32 px, the first 64 x 48"
    refused(UnfitPicture, words, write, tmp_path / "out.mp4", [frame(0), frame(1, (32, 32))])
    assert left(tmp_path) == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    def frames():
        yield frame(0)
        (tmp_path / "out.mp4").write_text("mine")

    refused(OutputExists, "appeared meanwhile", write, tmp_path / "out.mp4", frames())
    assert (tmp_path / "out.mp4").read_text() == "mine"
    assert left(tmp_path) == ["out.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
@pytest.mark.parametrize("count", [3, 40])
def test_a_full_disk(tmp_path, name, count):
    """A limit on the size of files stands for the full disk: the system refuses the same write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        refused(OutputError, rf"cannot write .*{name}: .*[Ff]ile too large", write, tmp_path / name, map(frame, range(count)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left(tmp_path) == []


def test_a_short_write_is_finished(tmp_path, monkeypatch):
    """The system may take less than it is given, and FFmpeg would not notice."""
    from impasto.video import place

    partial = place.Partial(tmp_path / "a.bin", force=False)

    class Slow:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            return self.file.write(data[:7])

        def __getattr__(self, name):
            return getattr(self.file, name)

    partial._file = Slow(partial._file)
    data = bytes(range(256))
    assert partial.write(data) == 256
    partial.commit()
    assert (tmp_path / "a.bin").read_bytes() == data


def test_machines_that_share_numbers_of_processes_do_not_write_into_one_file(tmp_path):
    from impasto.video import place

    one, other = (place.Partial(tmp_path / "a.bin", force=True) for _ in range(2))
    one.write(b"one")
    other.write(b"other")
    one.commit()
    assert (tmp_path / "a.bin").read_bytes() == b"one"
    other.commit()
    assert (tmp_path / "a.bin").read_bytes() == b"other"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_without_pyav(clip, tmp_path, monkeypatch):
    path = clip("a.mp4")
    real = importlib.import_module

    def missing(name, *rest):
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    refused(MissingExtra, r"impasto\[video\]", open_source, path)
    refused(MissingExtra, r"impasto\[video\]", open_sink, tmp_path / "out.mp4")


def test_names_with_marks_of_their_own(clip, tmp_path):
    path = clip("take#2 50%d: ü.mp4", sound=False)
    source = open_source(path)
    with open_sink(tmp_path / "out#1.mp4", like=source) as sink:
        for each in source:
            sink.write(each)
    assert probe(tmp_path / "out#1.mp4").frames == 6


def test_a_playlist_does_not_reach_out(tmp_path):
    path = tmp_path / "a.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(ImpastoError):
        open_source(Path(path))
