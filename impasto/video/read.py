"""Clips in: frames one at a time, with exact times, colors, alpha and the way up."""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels.picture import Picture
from impasto.video import planes, turn, whole
from impasto.video.ffmpeg import library, opened, picture_stream
from impasto.video.frame import FULL, Clip, Colors, Frame

logger = logging.getLogger(__name__)

WITH_ALPHA = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
"""FFmpeg's own decoders drop the alpha of these without a word; the others do not."""


def probe(path: str | os.PathLike[str]) -> Clip:
    """What a clip is, by its header and first frame.

    Raises:
        UnreadablePicture: missing, a folder, empty, damaged, cut off, or without a video stream.
        MissingExtra: PyAV is not installed.
    """
    path = Path(path)
    with opened(path) as container:
        whole.check(path)
        stream = picture_stream(container, os.fspath(path))
        frame = next(_decode(container, stream, os.fspath(path)), None)
        if frame is None:
            raise UnreadablePicture(f"{path} holds no frame that can be decoded: it is damaged or cut off")
        return _clip(container, stream, frame, os.fspath(path))


def _clip(container: Any, stream: Any, frame: Any, name: str) -> Clip:
    layout, matrix = planes.layout_of(frame.format), _display_matrix(frame)
    size = (frame.width, frame.height) if turn.swaps(matrix) else (frame.height, frame.width)
    if frame.interlaced_frame:
        logger.warning("%s is interlaced and is painted as if it were not: deinterlace it first for clean edges", name)
    return Clip(
        name=name,
        size=size,
        frames=stream.frames or None,
        rate=stream.average_rate or stream.guessed_rate or Fraction(25),
        time_base=stream.time_base,
        codec=stream.codec_context.name,
        layout=frame.format.name,
        bits=layout.bits,
        alpha=layout.alpha,
        colors=_colors(frame),
        matrix=matrix,
        pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
        seconds=container.duration / library().time_base if container.duration else None,
        others=tuple(_described(other) for other in container.streams if other.index != stream.index),
        metadata=dict(container.metadata),
        timecode=_timecode(stream.metadata) or _timecode(container.metadata),
    )


def _timecode(tags: Mapping[str, str]) -> str:
    return next((value for key, value in tags.items() if key.lower() == "timecode"), "")


def _described(stream: Any) -> str:
    context = stream.codec_context
    return f"{stream.type} {context.name}" if context else stream.type


def _colors(frame: Any) -> Colors:
    full = frame.format.name.startswith("yuvj") or (frame.format.is_rgb and not frame.color_range)
    return Colors(
        FULL if full else int(frame.color_range), int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)
    )


def _display_matrix(frame: Any) -> turn.Matrix:
    for data in (frame.side_data[i] for i in range(len(frame.side_data))):
        if data.type.name == "DISPLAYMATRIX":
            return tuple(array("i", bytes(data)))
    return ()


def _decode(container: Any, stream: Any, name: str, counted: bool = True) -> Iterator[Any]:
    """FFmpeg's frames in order of display from where the container is. `counted`: from its beginning.

    Raises:
        UnreadablePicture: there are fewer frames than the header says.
    """
    stream.thread_type = "AUTO"
    decoder = _alpha_decoder(stream) or stream.codec_context
    packets = 0
    for packet in container.demux(stream):
        packets += packet.size > 0
        yield from decoder.decode(packet if packet.size else None)
    if counted and packets < stream.frames:
        raise UnreadablePicture(f"{name} is cut off: it holds {packets} of {stream.frames} frames")


def _alpha_decoder(stream: Any) -> Any:
    """A decoder that keeps alpha where FFmpeg's own does not; None where that is right."""
    av, context = library(), stream.codec_context
    wanted = WITH_ALPHA.get(context.name) if stream.metadata.get("alpha_mode") == "1" else None
    if wanted is None:
        return None
    try:
        decoder = av.CodecContext.create(wanted, "r")
    except av.FFmpegError:
        logger.warning("this build of PyAV has no %s: the clip's alpha is lost", wanted)
        return None
    decoder.extradata = context.extradata
    return decoder


@dataclass(frozen=True)
class ClipSource:
    """The frames of a clip, from `first` to `last` (None: its last)."""

    path: Path
    clip: Clip
    first: int = 0
    last: int | None = None

    @property
    def ranged(self) -> bool:
        """Whether these are only some of its frames."""
        return self.first > 0 or self.last is not None

    def between(self, first: int, last: int | None) -> ClipSource:
        """The frames from `first` to `last`, both included, by their number in the clip.

        Raises:
            UsageError: the clip has no such frames.
            UnreadablePicture: it is damaged.
        """
        total = len(self._times)
        if first >= total or (last is not None and last >= total):
            wanted = f"{first}-{'' if last is None else last}"
            raise UsageError(f"frames {wanted} are not in {self.path}: it has {total} frames, 0 to {total - 1}")
        return replace(self, first=first, last=last)

    @cached_property
    def _times(self) -> list[int | None] | array[int]:
        """When each frame is shown, in order, from the packets alone; None for all where some packet does not say."""
        with opened(self.path) as container:
            stream = picture_stream(container, self.clip.name)
            found = [packet.pts for packet in container.demux(stream) if packet.size and not packet.is_discard]
        return [None] * len(found) if None in found else array("q", sorted(found))

    def __len__(self) -> int:
        if not self.ranged and self.clip.frames:
            return self.clip.frames
        last = len(self._times) - 1 if self.last is None else self.last
        return last - self.first + 1

    def __iter__(self) -> Iterator[Frame]:
        number, before = self.first, None
        for frame in self._wanted():
            pts = self._pts(frame, number, before)
            yield self._frame(frame, number, pts)
            number, before = number + 1, pts
            if self.last is not None and number > self.last:
                return

    def small(self, longest: int) -> Iterator[np.ndarray]:
        """The frames with a long edge of at most so many px, height x width x 3 in uint8, as stored: to look through quickly."""
        height, width = self._stored
        factor = min(1.0, longest / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        for number, frame in enumerate(self._wanted(), self.first):
            self._check_size(frame, number)
            yield frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
            if number == self.last:
                return

    @property
    def _stored(self) -> tuple[int, int]:
        clip = self.clip
        return clip.size[::-1] if turn.swaps(clip.matrix) else clip.size

    def _check_size(self, frame: Any, number: int) -> None:
        height, width = self._stored
        if (frame.height, frame.width) != (height, width):
            raise UnfitPicture(
                f"{self.path} changes its size at frame {number}, from {width} x {height} to {frame.width} x {frame.height} px: "
                f"split it there, or give --frames"
            )

    def _wanted(self) -> Iterator[Any]:
        """FFmpeg's frames from `first` on: from the key frame before it, or by counting where that does not lead there."""
        target = self._times[self.first] if self.first else None
        if target is not None:
            found = self._sought(target)
            frame = next(found, None)
            if frame is not None and frame.pts == target:
                yield frame
                yield from found
                return
        with opened(self.path) as container:
            stream = picture_stream(container, self.clip.name)
            for number, frame in enumerate(_decode(container, stream, self.clip.name)):
                if number >= self.first:
                    yield frame

    def _sought(self, target: int) -> Iterator[Any]:
        with opened(self.path) as container:
            stream = picture_stream(container, self.clip.name)
            try:
                container.seek(target, stream=stream)
            except library().FFmpegError:
                return
            for frame in _decode(container, stream, self.clip.name, counted=False):
                if frame.pts is None or frame.pts >= target:
                    yield frame

    def _pts(self, frame: Any, number: int, before: int | None) -> int:
        """When the frame is shown; for one that does not say, or goes back, an even step after the one before."""
        step = max(1, round(1 / (self.clip.rate * self.clip.time_base)))
        if frame.pts is None:
            return number * step if before is None else before + step
        if before is not None and frame.pts <= before:
            logger.warning("%s: frame %d is not later than the one before, and is moved", self.path, number)
            return before + 1
        return int(frame.pts)

    def _frame(self, frame: Any, number: int, pts: int) -> Frame:
        clip, matrix = self.clip, self.clip.matrix
        self._check_size(frame, number)
        image, alpha, layout = planes.decoded(frame, clip.colors)
        mask = None if alpha is None else turn.upright(alpha, matrix)
        picture = Picture(turn.upright(image, matrix), mask, 8 if layout.bits <= 8 else 16)
        return Frame(number, picture, pts, clip.time_base, int(frame.duration or 0))
