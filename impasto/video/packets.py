"""The streams of a clip beside its picture: sound, subtitles and data, copied packet by packet as they are."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from typing import Any

from impasto.video.ffmpeg import library, opened, picture_stream, reading
from impasto.video.read import ClipSource

logger = logging.getLogger(__name__)

EARLIER = 2
"""Seconds before a range at which copying starts to look, for packets lie somewhat out of order."""


class Packets:
    """What a clip holds beside its picture, on the way into another container.

    The bytes stay as they are. Of a range of frames the packets that begin within it are copied, and all times moved so
    that the range begins at 0.
    """

    def __init__(self, source: ClipSource, output: Any, start: Fraction | None) -> None:
        self._name, self._start, self._output = source.clip.name, start, output
        self.left_out: list[str] = []
        self._files = ExitStack()
        container = self._files.enter_context(opened(source.path))
        picture = picture_stream(container, self._name)
        self._streams = {stream.index: made for stream in container.streams if (made := self._taken(stream, picture)) is not None}
        self._queue = self._read(container)
        self._next: Any = None

    def _taken(self, stream: Any, picture: Any) -> Any:
        """The stream in the output that takes a source's; None where it goes on in another way, or cannot."""
        again = stream.discard == library().stream.Discard.all or (stream.type == "data" and "timecode" in stream.metadata)
        if stream.index == picture.index or again:
            return None  # chapters and timecode go along as notes, of which the container makes tracks again
        what = f"{stream.type} {stream.codec_context.name if stream.codec_context else ''}".strip()
        if stream.type == "video" or not _fits(stream, self._output.format.name):
            logger.warning("%s: its %s cannot go into %s and is left out", self._name, what, self._output.format.name)
            self.left_out.append(what)
            return None
        made = self._output.add_stream_from_template(stream)
        made.metadata.update(stream.metadata)
        made.disposition = stream.disposition
        return made

    def _read(self, container: Any) -> Iterator[tuple[Fraction, Any]]:
        """Packets that are wanted, with the time at which they begin; to be muxed as they come."""
        chosen = [stream for stream in container.streams if stream.index in self._streams]
        if not chosen:
            return
        if self._start is not None and self._start > EARLIER:
            with suppress(library().FFmpegError):  # then all is read from the beginning
                container.seek(int((self._start - EARLIER) * library().time_base))
        for packet in container.demux(*chosen):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if not packet.size or stamp is None:
                continue  # what is left in the decoder, which is not ours
            packet.dts = stamp if packet.dts is None else packet.dts
            base, begin = packet.time_base, stamp * packet.time_base
            if self._start is not None:
                if begin < self._start:
                    continue
                shift = round(self._start / base)
                packet.pts, packet.dts = stamp - shift, packet.dts - shift
            packet.stream = self._streams[packet.stream.index]
            yield begin, packet

    def until(self, time: Fraction) -> None:
        """Copy what begins before a time of the source, in seconds."""
        while (found := self._peek()) is not None and found[0] < time:
            self._next = None
            self._output.mux(found[1])

    def rest(self) -> None:
        """Copy all that is left."""
        while (found := self._peek()) is not None:
            self._next = None
            self._output.mux(found[1])

    def _peek(self) -> tuple[Fraction, Any] | None:
        if self._next is None:
            with reading(self._name):
                self._next = next(self._queue, None)
        found: tuple[Fraction, Any] | None = self._next
        return found

    def close(self) -> None:
        """Close the source."""
        self._files.close()


def _fits(stream: Any, muxer: str) -> bool:
    """Whether a container takes a stream: found out by writing the head of one, for the lists of FFmpeg tell half of it."""
    av = library()
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, RuntimeError):
        return False
    return True
