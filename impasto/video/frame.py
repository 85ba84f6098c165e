"""One frame of a clip or a sequence, what a clip is made of, and ranges of frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol, TypeAlias

from impasto.errors import UsageError
from impasto.pixels.picture import Picture
from impasto.types import Image, Mask

Range: TypeAlias = "str | tuple[int, int | None] | None"
"""Frames by number: "1001-1100", "1001-", "1001", a pair with both ends in it, or None for all."""

UNSPECIFIED = 2
"""Of matrix, primaries and transfer: the clip does not say."""
LIMITED, FULL = 1, 2
"""Ranges of code values: 16..235 of 255 and 0..255. 0 where the clip does not say."""


@dataclass(frozen=True, slots=True)
class Colors:
    """What the numbers in a clip mean, in the code points of ITU-T H.273 (those of FFmpeg)."""

    range: int = 0
    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Clip:
    """What a clip or a sequence is, from its header and first frame."""

    name: str
    size: tuple[int, int]
    """Height and width of the upright frame, px as stored: see `pixel_aspect`."""
    frames: int | None
    """As the header says; None where it does not. A source's `len()` counts."""
    rate: Fraction
    """Frames per second, the average of a clip whose frames do not come evenly."""
    time_base: Fraction
    """Seconds that one unit of a frame's `pts` lasts."""
    codec: str
    layout: str
    """FFmpeg's name of the pixel format: "yuv420p10le"."""
    bits: int
    """Bits a channel."""
    alpha: bool = False
    colors: Colors = Colors()
    matrix: tuple[int, ...] = ()
    """The display matrix by which players turn the stored picture; empty where they leave it. Frames come upright."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, of the stored picture: 2 for anamorphic film."""
    seconds: float | None = None
    others: tuple[str, ...] = ()
    """Streams beside the picture, "audio aac"."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    timecode: str = ""
    """Of the first frame, "01:00:00:00"."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame: a picture, and when it is shown."""

    number: int
    """In a sequence the number in the file's name; in a clip 0 for the first frame, as players and editors count."""
    picture: Picture
    pts: int
    """When it is shown, in `time_base`."""
    time_base: Fraction
    duration: int = 0
    """How long, in `time_base`; 0 where the clip does not say."""

    @property
    def image(self) -> Image:
        """1 x 3 x H x W, upright, [0, 1]: sRGB, or whatever transfer curve the clip is in (`Clip.colors`)."""
        return self.picture.image

    @property
    def alpha(self) -> Mask | None:
        """1 x 1 x H x W in [0, 1], straight; None where the clip has none."""
        return self.picture.alpha

    @property
    def time(self) -> Fraction:
        """When it is shown, in seconds."""
        return self.pts * self.time_base

    def with_image(self, image: Image, alpha: Mask | None = None) -> Frame:
        """The same moment with another image, of any size. Without `alpha` it keeps its own, resized if need be."""
        return replace(self, picture=self.picture.with_image(image, alpha))


class Source(Protocol):
    """Frames in order, as often as one asks. Holds no open file, and can be sent to another process."""

    @property
    def clip(self) -> Clip:
        """What it is."""
        ...

    @property
    def first(self) -> int:
        """Number of the first frame."""
        ...

    @property
    def ranged(self) -> bool:
        """Whether these are only some of its frames."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __len__(self) -> int: ...

    def between(self, first: int, last: int | None) -> Source:
        """The frames from `first` to `last`, both included."""
        ...


class Sink(Protocol):
    """Where frames go, in order. Leaving its `with` block by an error leaves no broken file behind."""

    @property
    def finished(self) -> frozenset[int]:
        """Numbers of frames that are there already and will be kept."""
        ...

    def write(self, frame: Frame) -> None:
        """Add a frame; one that is in `finished` is passed over."""
        ...

    def __enter__(self) -> Sink: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...


def parse(frames: Range) -> tuple[int, int | None] | None:
    """First and last frame of a range, both included; None for all.

    Raises:
        UsageError: not a range, or one that ends before it begins.
    """
    if frames is None:
        return None
    if isinstance(frames, str):
        found = re.fullmatch(r"\s*(\d+)\s*(-)?\s*(\d+)?\s*", frames)
        if not found or (found[3] and not found[2]):
            raise UsageError(f"'{frames}' is not a range of frames: write 1001-1100, 1001- or 1001")
        first = int(found[1])
        last = int(found[3]) if found[3] else None if found[2] else first
    else:
        first, last = frames
    if first < 0 or (last is not None and last < first):
        raise UsageError(f"frames {first}-{last}: a range starts at 0 or later and does not end before it begins")
    return first, last


def spelled(numbers: list[int]) -> str:
    """Numbers in order as runs: "1003, 1007-1009"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
