"""Clips out: frames encoded as they come, everything else of the source copied, the file in its place at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from impasto.errors import OutputError, UnfitPicture
from impasto.video import comment, formats
from impasto.video.encode import Encoder, Plan
from impasto.video.ffmpeg import library, opened, reading
from impasto.video.frame import Frame, Source
from impasto.video.packets import Packets
from impasto.video.place import Partial, check, reported
from impasto.video.read import ClipSource

BUFFER = 1 << 20
"""Bytes that FFmpeg collects before it writes."""
LONG = 30_000
"""Characters over which QuickTime's plain tags are too short for a text."""


class ClipSink:
    """A clip being written, to be used as a context manager. Nothing is on disk before the first frame."""

    finished: frozenset[int] = frozenset()
    """Nothing: a clip is whole or not there."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        like: Source | None = None,
        codec: str | None = None,
        recipe: Mapping[str, Any] | None = None,
        bits: int | None = None,
        force: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Check all that can be checked before long work; see `impasto.video.io.open_sink`."""
        self.path, self.like, self.force = Path(path), like, force
        self._source = like if isinstance(like, ClipSource) else None
        clip = None if like is None else like.clip
        self.plan = Plan(self.path, formats.choose(path, codec, clip), clip, bits, options)
        formats.layout(self.plan.codec, bits, 8, False, self.plan.suffix)
        self._tags = comment.tags(recipe, clip)
        check(self.path, force)
        self.left_out: tuple[str, ...] = ()
        """Streams of the source that the container cannot hold."""
        self._file: Partial | None = None
        self._container: Any = None
        self._encoder: Encoder | None = None
        self._packets: Packets | None = None
        self._size = (0, 0)
        self._origin = self._end = Fraction(0)

    def __enter__(self) -> ClipSink:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                with reported(self.path):
                    self._finish()
        finally:
            self._leave()

    def write(self, frame: Frame) -> None:
        """Encode a frame, and copy what is heard until then.

        Raises:
            UnfitPicture: a frame of another size than the first.
            OutputError: it cannot be written: no space, or what the encoder says.
        """
        with reported(self.path):
            encoder = self._encoder or self._open(frame)
            if frame.picture.size != self._size:
                (height, width), (h, w) = frame.picture.size, self._size
                raise UnfitPicture(f"frame {frame.number} is {width} x {height} px, the first {w} x {h}: all must be alike")
            self._mux(encoder.encode(frame))
        self._end = frame.time + frame.duration * frame.time_base

    def _open(self, first: Frame) -> Encoder:
        """Begin the file, which needs the first frame to be known."""
        ranged = self.like is not None and self.like.ranged
        self._size, self._origin = first.picture.size, first.time if ranged else Fraction(0)
        options = {"fflags": "+bitexact"}  # no random identifiers: the same frames give the same bytes
        if formats.MUXERS[self.plan.suffix] in ("mp4", "mov"):
            options["movflags"] = "+faststart"  # the index in front, so that it plays while it loads
            if max((len(value) for value in self._tags.values()), default=0) > LONG:
                options["movflags"] += "+use_metadata_tags"
        self._file = Partial(self.path, self.force)
        muxer = formats.MUXERS[self.plan.suffix]
        self._container = library().open(self._file, "w", format=muxer, container_options=options, buffer_size=BUFFER)
        self._container.metadata.update(self._tags)
        self._encoder = Encoder(self._container, self.plan, first, self._origin)
        if self._source is not None:
            self._packets = Packets(self._source, self._container, self._origin if ranged else None)
            self.left_out = tuple(self._packets.left_out)
            if not ranged:
                self._copy_chapters(self._source)
        return self._encoder

    def _copy_chapters(self, source: ClipSource) -> None:
        with opened(source.path) as container, reading(source.clip.name):
            chapters = container.chapters()
        if chapters:
            self._container.set_chapters(chapters)

    def _mux(self, packets: Iterator[Any]) -> None:
        """Write packets, each after what the other streams have until then: so players need not search."""
        for packet in packets:
            if self._packets is not None and packet.dts is not None:
                self._packets.until(self._origin + packet.dts * packet.time_base)
            self._container.mux(packet)

    def _finish(self) -> None:
        if self._file is None or self._encoder is None:
            raise OutputError(f"{self.path} is not written: not one frame was given")
        self._mux(self._encoder.flush())
        if self._packets is not None:
            self._packets.until(self._end) if self.like and self.like.ranged else self._packets.rest()
        self._container.close()
        self._file.commit()

    def _leave(self) -> None:
        """Close all; what did not take its place disappears. PyAV writes no end to a file that is closed before it."""
        if self._file is not None:
            self._file.discard()
        if self._packets is not None:
            self._packets.close()
        if self._container is not None:
            with suppress(OSError, ValueError, library().FFmpegError):
                self._container.close()
