"""Image sequences in and out: one picture a frame, its number in the file's name.

A sequence is named by a pattern, `shot.%04d.exr` or `shot.####.png`, or by a folder that holds just one. PNG and TIFF of 8
and 16 bits, and EXR with all its other channels, pass through as single pictures do (`impasto.pixels.io`).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from impasto.errors import OutputExists, UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels import exr, io
from impasto.pixels.color import linear_to_srgb, srgb_to_linear
from impasto.pixels.picture import Picture
from impasto.video.frame import FULL, Clip, Colors, Frame, Source, spelled

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".tif", ".tiff", ".exr", ".jpg", ".jpeg", ".webp", ".bmp")
"""Of files in a folder that may be frames."""
RATE = Fraction(24)
"""Frames per second of a sequence, unless it is said otherwise: film."""
PLACE = re.compile(r"%0?(\d*)d|(#+)")
NUMBERED = re.compile(r"(.*?)(\d+)(\.\w+)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Names of frames: `head`, the number with at least so many digits, `tail`."""

    folder: Path
    head: str
    digits: int
    tail: str

    def path(self, number: int) -> Path:
        """The file of a frame."""
        return self.folder / f"{self.head}{number:0{self.digits}}{self.tail}"

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file has the name of a frame, with however many digits."""
        folder, name = os.path.split(os.path.realpath(path))
        named = re.fullmatch(re.escape(self.head) + r"\d+" + re.escape(self.tail), name)
        return named is not None and folder == os.path.realpath(self.folder)

    def meets(self, other: Pattern) -> bool:
        """Whether frames of both would stand among each other."""
        own, its = os.path.realpath(self.folder), os.path.realpath(other.folder)
        return (own, self.head, self.tail) == (its, other.head, other.tail)

    def __str__(self) -> str:
        return os.fspath(self.folder / f"{self.head}{'#' * self.digits}{self.tail}")

    def numbers(self) -> list[int]:
        """The frames that are there, in order."""
        if not self.folder.is_dir():
            return []
        middle = re.compile(re.escape(self.head) + r"(\d+)" + re.escape(self.tail))
        found = (match[1] for path in self.folder.iterdir() if (match := middle.fullmatch(path.name)))
        return sorted(int(digits) for digits in found if self.path(int(digits)).name == f"{self.head}{digits}{self.tail}")


def pattern(path: str | os.PathLike[str]) -> Pattern | None:
    """The pattern that a path spells by %04d or ####; None where it is none.

    Raises:
        UsageError: two places for the number.
    """
    path = Path(path)
    found = list(PLACE.finditer(path.name))
    if not found or path.suffix.lower() not in SUFFIXES:
        return None
    if len(found) > 1:
        raise UsageError(f"{path} has {len(found)} places for the frame's number: it must have one, %04d or ####")
    match = found[0]
    digits = len(match[2]) if match[2] else int(match[1] or 1)
    return Pattern(path.parent, path.name[: match.start()], digits, path.name[match.end() :])


def in_folder(folder: Path) -> Pattern:
    """The pattern of the one sequence in a folder.

    Raises:
        UnreadablePicture: there is none.
        UsageError: there are several.
    """
    digits: dict[tuple[str, str], int] = {}
    for name in sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        if not name.startswith(".") and (match := NUMBERED.fullmatch(name)):
            family = (match[1], match[3])
            digits[family] = min(digits.get(family, len(match[2])), len(match[2]))
    if not digits:
        raise UnreadablePicture(f"no frames in the folder {folder}: pictures with numbers in their names were expected")
    patterns = [Pattern(folder, head, count, tail) for (head, tail), count in digits.items()]
    if len(patterns) > 1:
        raise UsageError(f"{len(patterns)} sequences in the folder {folder}: name one, {' or '.join(map(str, patterns[:4]))}")
    return patterns[0]


def steady(picture: Picture, peak: float) -> Picture:
    """An EXR picture with the shoulder of a brighter scene (see `impasto.pixels.exr`): the same light, other values.

    One peak for all frames, for else a lamp that comes into view would darken the highlights of the frames it is in.
    """
    scene = picture.scene
    if scene is None or peak <= scene.peak:
        return picture
    linear = exr.unshoulder(srgb_to_linear(picture.image.double()).numpy(), scene.peak)
    image = linear_to_srgb(torch.from_numpy(exr.shoulder(linear, peak))).float().clamp(0, 1)
    return replace(picture, image=image, scene=replace(scene, peak=peak))


@dataclass(frozen=True)
class SequenceSource:
    """The frames of an image sequence from `first` to `last`, none missing."""

    pattern: Pattern
    clip: Clip
    first: int
    last: int
    start: int
    """The sequence's first frame, at 0 seconds."""
    ranged: bool = False
    """Whether these are only some of its frames."""
    peak: float | None = None
    """EXR: the scene's greatest value over all frames; None: found by reading the whole sequence once more before."""

    def between(self, first: int, last: int | None) -> SequenceSource:
        """The frames from `first` to `last`, both included, by the numbers in their names.

        Raises:
            UnreadablePicture: frames are missing.
        """
        found = self.pattern.numbers()
        end = found[-1] if last is None and found else last
        if end is None or end < first:
            raise UsageError(f"frames {first}- are not in {self.pattern}: it has {spelled(found) or 'none'}")
        missing(self.pattern, found, first, end)
        return replace(self, first=first, last=end, ranged=True)

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.first, self.last + 1):
            picture = io.load(self.pattern.path(number))
            if picture.size != self.clip.size:
                (height, width), (h, w) = picture.size, self.clip.size
                name = os.fspath(self.pattern.path(number))
                raise UnfitPicture(f"{name} is {width} x {height} px, the sequence's first frame {w} x {h}: all must be alike")
            if picture.linear:
                picture = steady(picture, self._peak)
            yield Frame(number, picture, number - self.start, self.clip.time_base, 1)

    @cached_property
    def _peak(self) -> float:
        if self.peak is not None:
            return self.peak
        logger.info("%s: looking for the brightest light in all frames", self.pattern)
        return brightest(self.pattern)


def brightest(pattern: Pattern) -> float:
    """The greatest value of scene-linear light in a sequence's EXR files, 1 at least; reads them all."""
    scenes = (io.load(pattern.path(number)).scene for number in pattern.numbers())
    return max((scene.peak for scene in scenes if scene is not None), default=1.0)


def missing(pattern: Pattern, found: list[int], first: int, last: int) -> None:
    """Refuse a range with gaps.

    Raises:
        UnreadablePicture: the frames that are missing, by number.
    """
    there = set(found)
    gaps = [number for number in range(first, last + 1) if number not in there]
    if gaps:
        raise UnreadablePicture(f"frames missing in {pattern}: {spelled(gaps)}; render them, or choose others by --frames")


def source(found: Pattern, rate: Fraction | None = None, peak: float | None = None) -> SequenceSource:
    """All frames of a sequence.

    Raises:
        UnreadablePicture: no frames, or some missing.
    """
    numbers = found.numbers()
    if not numbers:
        raise UnreadablePicture(f"no frames match {found}")
    rate = RATE if rate is None else rate
    picture = io.load(found.path(numbers[0]))
    clip = Clip(
        name=str(found),
        size=picture.size,
        frames=len(numbers),
        rate=rate,
        time_base=1 / rate,
        codec=found.tail.rpartition(".")[2].lower(),
        layout="rgb" if picture.alpha is None else "rgba",
        bits=picture.bits,
        alpha=picture.alpha is not None,
        colors=Colors(FULL, 0, 1, 1),
        seconds=float(len(numbers) / rate),
    )
    return SequenceSource(found, clip, numbers[0], numbers[-1], numbers[0], peak=peak)


class SequenceSink:
    """Frames written as single files under their own numbers, each of them whole or not there."""

    def __init__(
        self,
        pattern: Pattern,
        *,
        like: Source | None = None,
        recipe: Mapping[str, Any] | None = None,
        bits: int | None = None,
        force: bool = False,
        resume: bool = False,
    ) -> None:
        """Check all that can be checked before long work; see `impasto.video.io.open_sink`."""
        self.pattern, self.recipe, self.bits, self.force = pattern, recipe, bits, force
        io.check_output(pattern.path(0), True, bits)
        there = pattern.numbers()
        self.finished = frozenset(there if resume else ())
        """Numbers of frames that are there already and will be kept."""
        if there and like is not None and not (resume or force):
            wanted = range(like.first, like.first + len(like))
            if held := [number for number in there if number in wanted]:
                held_as = f"frames {spelled(held)} of {pattern}"
                raise OutputExists(f"{held_as} exist already: --resume keeps them, --force replaces them")
        sound = [stream for stream in like.clip.others if stream.startswith("audio")] if like else []
        if sound:
            logger.warning("%s: an image sequence has no sound; the source's is left out", pattern)

    def __enter__(self) -> SequenceSink:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pass

    def write(self, frame: Frame) -> None:
        """Write a frame under its number, unless it is finished.

        Raises:
            OutputExists: it is there, and neither `force` nor `resume` is set.
            OutputError: it cannot be written.
        """
        if frame.number not in self.finished:
            path = self.pattern.path(frame.number)
            io.save(frame.picture, path, recipe=self.recipe, bits=self.bits, force=self.force)
