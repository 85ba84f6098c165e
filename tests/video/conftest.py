"""Clips made with PyAV itself, so that what is read and written is judged by another hand than our own."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

HEIGHT, WIDTH = 48, 64


def colored(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """Frames, height x width x 3 in uint8: soft colors that move, with a mark that tells up from down."""
    y, x = np.mgrid[:height, :width]
    frames = []
    for t in range(count):
        picture = np.stack([128 + 90 * np.sin(x / 9 + t / 3), 128 + 90 * np.sin(y / 7 - t / 4), 60 + (x + y + 3 * t) % 120], -1)
        picture[2:10, 2:14] = (250, 30, 30)
        frames.append(picture.round().astype(np.uint8))
    return frames


@dataclass
class Recipe:
    """How to make a clip."""

    codec: str = "libx264"
    layout: str = "yuv420p"
    pts: Sequence[int] = tuple(range(6))
    base: Fraction = Fraction(1, 24)
    rate: int = 24
    sound: bool = True
    rotation: int | None = None
    colors: tuple[int, int, int, int] = (1, 1, 1, 1)
    aspect: Fraction = Fraction(1)
    timecode: str = ""
    options: dict[str, str] = field(default_factory=lambda: {"crf": "1", "bf": "2", "preset": "veryfast"})
    tags: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (HEIGHT, WIDTH)
    chapters: bool = False
    fill: Callable[[int, av.VideoFrame], None] | None = None


def picture_of(made: Recipe, number: int) -> av.VideoFrame:
    height, width = made.size
    if made.fill:
        frame = av.VideoFrame(width, height, made.layout)
        made.fill(number, frame)
    else:
        frame = av.VideoFrame.from_ndarray(colored(number + 1, height, width)[-1], "rgb24")
        frame = frame.reformat(format=made.layout, dst_colorspace=made.colors[1], dst_color_range=made.colors[0])
    frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc = made.colors
    frame.pts, frame.time_base = made.pts[number], made.base
    return frame


def sound_of(container: av.container.OutputContainer, seconds: float) -> None:
    stream = next(s for s in container.streams if s.type == "audio")
    samples = np.sin(np.arange(int(seconds * 48000)) / 17).astype(np.float32)
    for start in range(0, len(samples), 1024):
        piece = np.stack([samples[start : start + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(piece, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def make(path: Path, made: Recipe) -> Path:
    with av.open(str(path), "w") as container:
        container.metadata.update(made.tags)
        stream = container.add_stream(made.codec, rate=made.rate, options=made.options)
        stream.height, stream.width = made.size
        stream.pix_fmt = made.layout
        context = stream.codec_context
        context.time_base, context.sample_aspect_ratio = made.base, made.aspect
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = made.colors
        if made.rotation is not None:
            stream.set_display_rotation(made.rotation)
        if made.timecode:
            stream.metadata["timecode"] = made.timecode
        if made.sound:
            container.add_stream("aac", rate=48000)
        if made.chapters:
            container.set_chapters(
                [{"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
            )
        for number in range(len(made.pts)):
            container.mux(stream.encode(picture_of(made, number)))
        container.mux(stream.encode(None))
        if made.sound:
            sound_of(container, float((made.pts[-1] + 1) * made.base))
    return path


def packets(path: Path, kind: str) -> list[tuple[Fraction, str]]:
    """Time and MD5 of every packet of a kind of stream."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found = [packet for packet in container.demux(*streams) if packet.size] if streams else []
        return [(packet.pts * packet.time_base, hashlib.md5(bytes(packet)).hexdigest()) for packet in found]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, decoded by PyAV."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Make a clip: `clip("name.mp4", layout=…)`."""

    def made(name: str, **settings: object) -> Path:
        return make(tmp_path / name, Recipe(**settings))  # type: ignore[arg-type]

    return made
