"""The picture's stream of a clip being written: its layout, colors, times, the way up, and its frames encoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch.nn.functional import pad

from impasto.video import formats, planes, timecode, turn
from impasto.video.frame import FULL, Clip, Colors, Frame

logger = logging.getLogger(__name__)

OF_PICTURES = Colors(FULL, planes.RGB, planes.BT709, planes.BT709)
"""Colors of image sequences: sRGB, whose primaries are BT.709's, and marked with its curve as all video of such pictures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, as far as it is known before the first frame."""

    path: Path
    codec: str
    clip: Clip | None = None
    """The source, whose times, colors and orientation are kept."""
    bits: int | None = None
    options: Mapping[str, str] | None = None
    """Of the encoder, over those of the format: {"crf": "12"}."""

    @property
    def format(self) -> formats.Format:
        """What the codec's name stands for."""
        return formats.FORMATS[self.codec]

    @property
    def suffix(self) -> str:
        """The container's."""
        return self.path.suffix.lower()


class Encoder:
    """The picture's stream in a container. Times begin at `origin` seconds of the source."""

    def __init__(self, container: Any, plan: Plan, first: Frame, origin: Fraction) -> None:
        self.plan, self._origin, self._base = plan, origin, first.time_base
        clip = plan.clip
        self._alpha_said = False
        self._count = 0
        self._durations: dict[int, int] = {}
        source_bits = clip.bits if clip else first.picture.bits
        self._layout = formats.layout(plan.codec, plan.bits, source_bits, first.alpha is not None, plan.suffix)
        matrix = clip.matrix if clip else ()
        self._size = first.picture.size[::-1] if turn.swaps(matrix) else first.picture.size
        self._matrix = turn.moved(matrix, *self._size) if clip and first.picture.size != clip.size else matrix
        source = (clip.size[::-1] if turn.swaps(matrix) else clip.size) if clip else self._size
        self._colors = formats.colors(plan.codec, self._layout, clip.colors if clip else OF_PICTURES, source)
        self._stream = self._opened(container, first)

    def _opened(self, container: Any, first: Frame) -> Any:
        plan, clip = self.plan, self.plan.clip
        rate = clip.rate if clip else 1 / (first.time_base * max(1, first.duration))
        stream = container.add_stream(plan.format.encoder, rate=rate, options={**plan.format.options, **(plan.options or {})})
        stream.height, stream.width = self._padded()
        stream.pix_fmt = self._layout.name
        context = stream.codec_context
        context.time_base = self._base
        context.color_range, context.colorspace = self._colors.range, self._colors.matrix
        context.color_primaries, context.color_trc = self._colors.primaries, self._colors.transfer
        if plan.format.tag and plan.suffix != ".mkv":
            context.codec_tag = plan.format.tag
        if self._matrix:
            stream.set_display_matrix(self._matrix)
        if clip:
            self._note(stream, clip, first)
        return stream

    def _padded(self) -> tuple[int, int]:
        """The stored size, made even where the encoder needs it."""
        height, width = self._size
        even = (height + height % 2, width + width % 2)
        if not self.plan.format.even or even == self._size:
            return self._size
        said = (self.plan.path, self.plan.codec, width, height, even[1], even[0])
        logger.warning("%s: %s has even sides only: %d x %d px become %d x %d; prores and ffv1 keep odd ones", *said)
        return even

    def _note(self, stream: Any, clip: Clip, first: Frame) -> None:
        """What the stream says beside colors: the shape of its pixels, and its timecode."""
        plan = self.plan
        if clip.pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = clip.pixel_aspect
            if plan.suffix in (".mkv", ".webm") and plan.format.encoder not in ("libx264", "libx265"):
                said = (plan.path, clip.pixel_aspect, plan.codec, plan.suffix)
                logger.warning("%s: pixels %s times as wide as high cannot be noted for %s in %s: .mov and .mp4 can", *said)
        if clip.timecode:
            passed = first.number if self._origin else 0
            stream.metadata["timecode"] = timecode.advanced(clip.timecode, passed, clip.rate)

    def encode(self, frame: Frame) -> Iterator[Any]:
        """Packets that are ready after a frame."""
        picture = self._picture(frame)
        picture.pts, picture.time_base = round((frame.time - self._origin) / self._base), self._base
        if frame.duration:
            self._durations[picture.pts] = round(frame.duration * frame.time_base / self._base)
        self._count += 1
        return self._timed(self._stream.encode(picture))

    def flush(self) -> Iterator[Any]:
        """The packets that are left."""
        return self._timed(self._stream.encode(None))

    def _timed(self, packets: list[Any]) -> Iterator[Any]:
        """Packets that last as long as their frames did; not every encoder passes that on, and the last frame needs it."""
        for packet in packets:
            if self._count < 3:  # too few to be out of order, and x265 then leaves the time of decoding to chance
                packet.dts = packet.pts
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            yield packet

    def _picture(self, frame: Frame) -> Any:
        """FFmpeg's frame."""
        image, alpha = frame.image, frame.alpha
        if alpha is not None and not self._layout.alpha:
            self._say_alpha()
            image = image * alpha.to(image.device)
        image, alpha = turn.stored(image, self._matrix), None if alpha is None else turn.stored(alpha, self._matrix)
        height, width = self._size
        if self.plan.format.even and (height % 2 or width % 2):
            image = pad(image, (0, width % 2, 0, height % 2), mode="replicate")
        return planes.encoded(image, alpha, self._layout, self._colors)

    def _say_alpha(self) -> None:
        if not self._alpha_said:
            said = (self.plan.path, self.plan.codec, self.plan.suffix)
            logger.warning("%s: %s in %s has no alpha: frames are laid on black; prores4444 and ffv1 keep it", *said)
        self._alpha_said = True
