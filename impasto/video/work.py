"""A clip to be painted: the frames, the look, how they are joined; its plan of shots and chunks; what is finished of it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import torch

from impasto.errors import OutputError, UnreadablePicture, UsageError
from impasto.pixels import geometry
from impasto.pixels.geometry import Size
from impasto.types import Image, Mask
from impasto.video import sequence, shots
from impasto.video.flow import Bytes
from impasto.video.frame import Frame, Source
from impasto.video.look import REFRESH, Look
from impasto.video.read import ClipSource
from impasto.video.vectors import Vectors

TEMPORAL = ("off", "fast", "smooth")
"""Each frame by itself; one way through each shot; both ways."""
LENGTHS = {"off": 240, "fast": 240, "smooth": 96}
"""Frames of a chunk: what one machine does in one go. All are multiples of REFRESH."""
BEFORE, AFTER = REFRESH, 16
"""Frames of the same shot that are painted before a chunk's first one, and both ways after its last one too, only so that
paint has settled where the chunk begins."""
PIECE, SLOW_PIECE = 24, 4
"""Frames in a file of finished work: what is lost at most when a machine goes down. Fewer where a frame takes seconds."""
PLAN = "plan.json"
BEGUN = re.compile(r"\.plan\.json-\w+")
"""Plans that are being written."""
PAINTED = re.compile(r"\d{8}-\d{8}\.mkv")
"""Finished frames."""
OURS = re.compile(rf"{BEGUN.pattern}|{PAINTED.pattern}|\.impasto-.*\.mkv|\.?state-\d{{8}}\.safetensors|plan\.json|stop")
"""All that is ever written into a work folder."""


@dataclass(frozen=True)
class Chunk:
    """Frames `start` up to `stop` of a shot, by position, that are painted in one go."""

    index: int
    start: int
    stop: int
    shot: tuple[int, int]
    first: int
    """Where painting begins."""
    last: int
    """Before which it ends."""
    piece: int
    """Frames in a file."""

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Start and stop of each file of finished frames."""
        return [(start, min(start + self.piece, self.stop)) for start in range(self.start, self.stop, self.piece)]


@dataclass(frozen=True)
class Plan:
    """How the work is divided: the same for the same clip and settings, wherever and by how many it is done."""

    frames: int
    shots: tuple[int, ...]
    """Where each begins."""
    chunks: tuple[Chunk, ...]
    peak: float | None = None
    """EXR: the scene's greatest value."""


@dataclass(frozen=True)
class Track:
    """A mask for every frame: a clip's or a sequence's, or one for all."""

    source: Source | None = None
    still: Mask | None = None

    @property
    def identity(self) -> list[Any]:
        """Tells this mask from another."""
        if self.source is not None:
            return [self.source.clip.name, self.source.first, *_stamps(self.source)]
        return [] if self.still is None else [hashlib.sha256(self.still.contiguous().numpy().tobytes()).hexdigest()]

    def masks(self, offset: int, count: int, step: int) -> Iterator[Mask]:
        """The masks of frames `offset`, `offset + step` … after the first."""
        if self.source is None:
            if self.still is None:
                raise UsageError("a mask is a picture, a clip or a sequence")
            for _ in range(count):
                yield self.still
            return
        first = self.source.first + offset
        for frame in self.source.between(first, first + (count - 1) * step):
            if (frame.number - first) % step == 0:
                gray = frame.image.mean(1, keepdim=True)
                yield gray if frame.alpha is None else gray * frame.alpha


@dataclass(frozen=True)
class Work:
    """All that is needed to paint a clip; can be sent to another process."""

    source: Source
    look: Look
    folder: Path
    """Where finished frames are kept until the clip is put together."""
    size: Size = 512
    temporal: str = "fast"
    step: int = 1
    """Every how manyeth frame is painted."""
    masks: Mapping[str, Track] = field(default_factory=dict)
    vectors: Vectors | None = None
    bits: int = 8
    """Bits a channel of finished frames: 8 or 16."""
    names: Mapping[str, Any] = field(default_factory=dict)
    """What else tells this work from another."""

    def __post_init__(self) -> None:
        """Raise UsageError for a way of joining frames that is not known, or that does not go with the look."""
        if self.temporal not in TEMPORAL:
            raise UsageError(f"temporal {self.temporal!r} is not one of {', '.join(TEMPORAL)}")
        if self.look.carries and self.temporal == "smooth":
            raise UsageError("quality best paints each frame over the one before, in one pass: give temporal fast, or off")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width that frames are painted in, px."""
        if isinstance(self.size, int):
            return geometry.sizes(*self.source.clip.size, self.size)
        return self.source.clip.size if self.size is None else self.size

    @property
    def identity(self) -> str:
        """Tells this work from another whose finished frames would not fit."""
        clip, motion = self.source.clip, self.vectors
        told = {
            "source": [clip.name, list(clip.size), self.source.first, len(self.source), *_stamps(self.source)],
            "look": self.look.identity,
            "rest": [self.size, self.temporal, self.step, self.bits],
            "masks": {name: track.identity for name, track in self.masks.items()},
            "flow": [[way, number, str(path), *_stamp(path)] for way, number, path in motion.files] if motion else [],
            **self.names,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    def number(self, position: int) -> int:
        """The number of a frame by its position among those that are painted."""
        return self.source.first + position * self.step

    def frames(self, start: int, stop: int, peak: float | None = None) -> Iterator[Frame]:
        """Frames by position, those between them left out and their time added to the one before."""
        source = lit(self.source, peak).between(self.number(start), min(self.number(stop - 1), _end(self.source)))
        for frame in source:
            if (frame.number - self.source.first) % self.step == 0:
                yield replace(frame, duration=frame.duration * self.step)

    def seen(self, frame: Frame) -> Image:
        """A frame as it is painted: in its size, with nothing of what lies under transparency."""
        image = frame.image if frame.alpha is None else geometry.fill(frame.image, frame.alpha)
        return geometry.fit(image, self.size)

    def masked(self, start: int, stop: int) -> Iterator[dict[str, Mask]]:
        """The masks of frames by position."""
        offset = self.source.first - getattr(self.source, "start", 0) + start * self.step
        count = stop - start
        tracks = [track.masks(offset, count, self.step) for track in self.masks.values()]
        for _ in range(count):
            yield {name: next(track) for name, track in zip(self.masks, tracks, strict=True)}

    def piece(self, start: int, stop: int) -> Path:
        """The file of finished frames."""
        return self.folder / f"{start:08d}-{stop:08d}.mkv"

    def missing(self, chunk: Chunk) -> list[tuple[int, int]]:
        """Pieces of a chunk that are not finished."""
        return [piece for piece in chunk.pieces if not self.piece(*piece).exists()]


def _end(source: Source) -> int:
    return source.first + len(source) - 1


def _stamps(source: Source) -> list[list[int]]:
    """`_stamp` of a clip, or of each frame of a sequence."""
    if isinstance(source, sequence.SequenceSource):
        return [_stamp(source.pattern.path(number)) for number in range(source.first, source.last + 1)]
    return [_stamp(source.clip.name)]


def _stamp(name: str | os.PathLike[str]) -> list[int]:
    """Size and time of a file, which change when it does; nothing where there is none."""
    try:
        found = os.stat(name)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def lit(source: Source, peak: float | None) -> Source:
    """An EXR sequence that is told its scene's greatest value, so that it need not look for it in all frames again."""
    if peak is not None and isinstance(source, sequence.SequenceSource):
        return replace(source, peak=peak)
    return source


def brightest(source: Source) -> float | None:
    """The greatest value of an EXR sequence; None for all else."""
    if not isinstance(source, sequence.SequenceSource) or not source.pattern.tail.lower().endswith(".exr"):
        return None
    return source.peak if source.peak is not None else sequence.brightest(source.pattern)


def plan(work: Work) -> Plan:
    """The shots of a clip and the chunks that it is painted in. Reads every frame once, and writes nothing.

    Raises:
        UnreadablePicture: damaged or cut off.
        UnfitPicture: it changes its size.
    """
    looking = looked_through(work)
    while True:
        try:
            next(looking)
        except StopIteration as end:
            return cast("Plan", end.value)


def looked_through(work: Work) -> Generator[int, None, Plan]:
    """`plan`, frame by frame: gives how many were looked at, and returns the plan."""
    peak = brightest(work.source)
    count = -(-len(work.source) // work.step)
    if work.temporal == "off":
        return divided([0], count, work.temporal, peak, work.look.carries)
    starts, before = [], None
    position = -1
    for position, now in enumerate(_thumbnails(work, count, peak)):
        if before is None or shots.is_cut(now, before):
            starts.append(position)
        before = now
        yield position + 1
    if position < 0:
        raise UnreadablePicture(f"{work.source.clip.name} holds no frame")
    return divided(starts, position + 1, work.temporal, peak, work.look.carries)


def _thumbnails(work: Work, count: int, peak: float | None) -> Iterator[Bytes]:
    if isinstance(work.source, ClipSource):  # FFmpeg makes frames small much faster than we make them whole
        yield from itertools.islice(work.source.small(shots.WIDTH), None, None, work.step)
    else:
        for frame in work.frames(0, count, peak):
            yield shots.thumbnail(frame.image)


def divided(starts: Sequence[int], frames: int, temporal: str, peak: float | None = None, carries: bool = False) -> Plan:
    """A plan from where shots begin.

    `carries`: each frame is painted over the one before. Begun anew in the middle of a shot it would become another picture,
    so a shot is one chunk then.
    """
    length = frames if carries and temporal != "off" else LENGTHS[temporal]
    piece = SLOW_PIECE if carries else PIECE
    found: list[Chunk] = []
    for begin, end in zip(starts, [*starts[1:], frames], strict=True):
        for start in range(begin, end, length):
            stop = min(start + length, end)
            first = start if temporal == "off" else max(begin, start - BEFORE)
            last = min(end, stop + AFTER) if temporal == "smooth" else stop
            found.append(Chunk(len(found), start, stop, (begin, end), first, last, piece))
    return Plan(frames, tuple(starts), tuple(found), peak)


def keep_plan(work: Work, made: Plan, *, replaces: bool = False) -> None:
    """Write the plan into the work folder, for others and for later. `replaces`: the output may stand in a file's place.

    Raises:
        OutputError: it cannot be written.
    """
    told = {"identity": work.identity, "temporal": work.temporal, "frames": made.frames, "shots": made.shots, "peak": made.peak}
    place = work.folder / f".{PLAN}-{uuid.uuid4().hex}"  # machines share numbers of processes
    try:
        work.folder.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({**told, "replaces": replaces}))
        place.replace(work.folder / PLAN)
    except OSError as error:
        raise OutputError(f"cannot write into {work.folder}: {error.strerror}") from error


def kept_plan(work: Work) -> Plan | None:
    """The plan in the work folder; None where there is none.

    Raises:
        UsageError: it is of other work: another clip, style, or other settings.
    """
    told = _kept(work.folder)
    if told is None:
        return None
    if told.get("identity") != work.identity:
        raise UsageError(
            f"{work.folder} holds frames of another clip, or painted with other settings: repeat that command, or begin again "
            "with --force"
        )
    return divided(told["shots"], told["frames"], work.temporal, told["peak"], work.look.carries)


def _kept(folder: Path) -> dict[str, Any] | None:
    try:
        told = json.loads((folder / PLAN).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / PLAN} cannot be read: delete the folder to begin again") from error
    if not isinstance(told, dict):
        raise UsageError(f"{folder / PLAN} is damaged: delete the folder to begin again")
    return told


def replaces(folder: Path) -> bool:
    """Whether the work in a folder was begun to replace a file."""
    return bool((_kept(folder) or {}).get("replaces"))


def held(folder: Path, names: re.Pattern[str] | None = None) -> list[Path]:
    """What lies in a work folder, of such names; but for plans that others are writing at this moment."""
    there = list(folder.iterdir()) if folder.is_dir() else []
    return [path for path in there if not BEGUN.fullmatch(path.name) and (names is None or names.fullmatch(path.name))]


def clear(folder: Path) -> bool:
    """Take away finished work: only what is ours, from a folder with a plan of ours, and the folder if nothing is left.

    Returns whether there was such a plan.

    Raises:
        OutputError: something cannot be taken away.
    """
    if not (folder / PLAN).is_file():
        return False
    try:
        for path in sorted(folder.iterdir(), key=lambda path: path.name == PLAN):  # the plan last: it says whose the rest is
            if OURS.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be cleared: {error.strerror}") from error
    with suppress(OSError):  # something of the user's own is left in it
        folder.rmdir()
    return True


def moment(frame: Frame) -> float:
    """When a frame is shown, in seconds from the start of its clip."""
    return float(frame.time)


def as_frame(image: Image, position: int, bits: int) -> Frame:
    """A finished frame as it is kept."""
    from impasto.pixels.picture import Picture

    return Frame(position, Picture(image.detach().to(torch.float32), None, bits), position, Fraction(1, 24), 1)
