"""What the options of `impasto video` name, opened: the clip, styles over time, masks over time, where finished frames go."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from impasto.cli import batch, jobs, words
from impasto.cli.places import SPECIAL
from impasto.cli.shelf import Shelf
from impasto.cli.words import StyleWord
from impasto.errors import UnfitPicture, UsageError

if TYPE_CHECKING:
    from impasto.pixels.geometry import Size
    from impasto.video.frame import Source
    from impasto.video.work import Track, Work

MOMENT = re.compile(r"(.+)@(\d+(?:\.\d+)?\s*[smh]?)", re.DOTALL)
QUALITIES = {"draft": 4, "good": 1, "best": 1}
"""Every how manyeth frame is painted. A draft is of half the size, too; the best is painted by the optimizer."""
SHAPE_TOLERANCE = 0.02
"""How much a mask's width / height may be off the clip's."""


SETTINGS = ("size", "quality", "strength", "temporal", "frames", "rate", "preserve_color", "seed", "flow", "codec")
"""Options that a recipe keeps as settings."""


class TimedWord(NamedTuple):
    """What --style says of a clip."""

    word: StyleWord
    moment: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said on the line about what is to be painted."""

    content: str
    styles: tuple[TimedWord, ...]
    output: str
    masks: Mapping[str, str]
    flow: str = ""
    temporal: str = "fast"
    frames: str = ""
    rate: str = ""
    size: str = "512"
    quality: str = "good"
    strength: str = "1"
    preserve_color: str = "off"
    seed: int = 0
    device: str = "auto"
    codec: str = ""
    bits: int | None = None
    work: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for what can be known to be wrong before anything is opened."""
        from impasto.paint.settings import COLORS

        if not self.styles:
            raise UsageError("no style: give --style FILE")
        for name, value, choices in (
            ("quality", self.quality, tuple(QUALITIES)),
            ("preserve-color", self.preserve_color, COLORS),
        ):
            if value not in choices:
                raise UsageError(f"--{name} {value!r} is not one of {', '.join(choices)}")

    @property
    def folder(self) -> Path:
        """Where finished frames are kept until the clip is put together."""
        if self.work:
            return Path(self.work)
        plain = re.sub(r"%0?\d*d|#+", "", self.output.rstrip("/" + os.sep))
        return Path(f"{plain.rstrip('.')}.parts")

    def settings(self) -> dict[str, Any]:
        """What a recipe says of the settings."""
        return {name: getattr(self, name) for name in SETTINGS if getattr(self, name) != ""}


def styles(timed: Sequence[TimedWord], shelf: Shelf) -> list[dict[str, Any]]:
    """What a recipe says of the styles."""
    told = [{"source": each.word.source, "weight": each.word.weight, "sha256": shelf.style(each.word).sha256} for each in timed]
    for entry, each in zip(told, timed, strict=True):
        entry |= {"place": each.word.place} if each.word.place else {}
        entry |= {"time": each.moment} if each.moment is not None else {}
    return told


def check_output(output: str) -> None:
    """Refuse - as a clip's place.

    Raises:
        UsageError: it is -.
    """
    if output == jobs.STDIN:
        raise UsageError("a clip needs a file to go to: give -o FILE")


def check_files(wanted: Wanted, work: Work, preview: str, force: bool) -> None:
    """Nothing that is written may be something that is read, nor lie where finished frames do; a preview replaces only ours.

    Raises:
        UsageError: it is, or does.
        OutputExists: a picture of the user's own is where the preview would go.
    """
    from impasto.pixels import io
    from impasto.video.io import target
    from impasto.video.sequence import SequenceSource

    sources = [work.source, *(track.source for track in work.masks.values())]
    sequences = [source.pattern for source in sources if isinstance(source, SequenceSource)]
    read = [wanted.content, *(timed.word.source for timed in wanted.styles), *wanted.masks.values()]
    read += [str(path) for _, _, path in work.vectors.files] if work.vectors else []
    into = target(wanted.output, work.source)
    written = [file for file in (preview, "" if into else wanted.output) if file]
    batch.check_apart(read, written)
    among = [file for file in written for each in sequences if each.holds(file)]
    if into and (any(map(into.meets, sequences)) or any(map(into.holds, read))):
        among.append(wanted.output)
    for file in among:
        raise UsageError(f"{file} is both read and written: give the result another name")
    folder = Path(os.path.realpath(work.folder))
    for file in [*written, *([str(into.path(0))] if into else [])]:
        if folder in Path(os.path.realpath(file)).parents:
            raise UsageError(f"{file} would lie in {work.folder}, where finished frames wait and are cleared away: give another")
    if preview:
        if (into and into.holds(preview)) or os.path.realpath(preview) == os.path.realpath(wanted.output):
            raise UsageError(f"{preview} is the result too: give the preview another name")
        io.check_output(preview, force=True)
        batch.check_ours(preview, force)


def parse_style(text: str) -> TimedWord:
    """Read "a.jpg@5s" -> at 5 seconds; "sky=a.jpg:0.5@1m"; without @TIME all the time. What is a file's name stays one.

    Raises:
        UsageError: no source.
    """
    from impasto.video import curve

    if not Path(text).exists() and (match := MOMENT.fullmatch(text)):
        return TimedWord(words.parse_style(match[1]), curve.seconds(match[2]))
    return TimedWord(words.parse_style(text))


def parse_masks(texts: Sequence[str]) -> dict[str, str]:
    """Read "sky=sky.mp4".

    Raises:
        UsageError: not NAME=FILE, a name twice, or a mask of colors, which clips do not know.
    """
    named = [words.parse_named(text, "--mask") for text in texts]
    if len(dict(named)) < len(named):
        raise UsageError("--mask was given twice with the same name")
    if "color" in dict(named):
        raise UsageError("--mask color is for pictures: in a clip colors are preserved everywhere or nowhere")
    return dict(named)


def work(wanted: Wanted, shelf: Shelf) -> Work:
    """Everything opened and checked, nothing painted and nothing written.

    Raises:
        ImpastoError: a clip, style, mask or motion that cannot be read or does not fit, or wrong settings.
    """
    from impasto import device
    from impasto.pixels import geometry
    from impasto.video import curve, vectors
    from impasto.video.io import open_source
    from impasto.video.look import Filters, Timed, learned
    from impasto.video.optimized import Optimized
    from impasto.video.work import Work

    if wanted.content == jobs.STDIN:
        raise UsageError("a clip cannot come from stdin, for it is read more than once: give a file")
    source = open_source(wanted.content, frames=wanted.frames or None, rate=_rate(wanted.rate))
    size = _size(geometry.parse_size(wanted.size), wanted.quality, source.clip.size)
    long_edge = max(size) if isinstance(size, tuple) else size or max(source.clip.size)
    opened = [shelf.style(timed.word) for timed in wanted.styles]
    filters = Filters(
        tuple(
            Timed(style, timed.word.weight, timed.moment, timed.word.place)
            for style, timed in zip(learned(opened, long_edge), wanted.styles, strict=True)
        ),
        curve.strength(wanted.strength),
        tuple(name for name in wanted.masks if name not in SPECIAL),
        wanted.preserve_color,
        str(device.choose(wanted.device)[0]),
    )
    look = Optimized(filters, tuple(opened)) if wanted.quality == "best" else filters
    motion = vectors.find(wanted.flow) if wanted.flow else None
    tracks = {name: _track(name, file, source, shelf) for name, file in wanted.masks.items()}
    bits = _bits(wanted, source)
    folder, step = wanted.folder, QUALITIES[wanted.quality]
    found = Work(source, look, folder, size, wanted.temporal, step, tracks, motion, bits, {"network": _network()})
    if motion is not None and wanted.temporal != "off":
        motion.need(list(range(source.first + 1, source.first + len(source))))
    return found


def _network() -> str:
    from impasto.fast import style

    return style.network().identity


def _rate(text: str) -> float | None:
    return float(words.parse_number(text, float, "--rate")) if text else None


def _size(size: Size, quality: str, own: tuple[int, int]) -> Size:
    """A draft is half as large."""
    if quality != "draft":
        return size
    if isinstance(size, int):
        return max(1, size // 2)
    height, width = size or own
    return max(1, height // 2), max(1, width // 2)


def _bits(wanted: Wanted, source: Source) -> int:
    """How finely finished frames are kept: 16 bits where more than 8 are asked for, come in, or go out."""
    from impasto.video import formats

    most = max(wanted.bits or 8, source.clip.bits)
    if formats.is_clip(wanted.output):
        most = max(most, min(formats.FORMATS[formats.choose(wanted.output, wanted.codec or None, source.clip)].depths))
    return 8 if most <= 8 else 16


def _track(name: str, file: str, source: Source, shelf: Shelf) -> Track:
    """A mask: one picture for all frames, or a clip or sequence as long as the content."""
    from impasto.video.io import open_source
    from impasto.video.work import Track

    if Path(file).suffix.lower() in jobs.SUFFIXES and Path(file).is_file():
        still = shelf.mask(file)
        _check_shape(name, file, (still.shape[-2], still.shape[-1]), source)
        return Track(None, still)
    found = open_source(file)
    _check_shape(name, file, found.clip.size, source)
    needed = source.first - getattr(source, "start", 0) + len(source)
    if len(found) < needed:
        raise UsageError(f"mask {name!r}, {file}, has {len(found)} frames, {needed} are needed: it must be as long as the clip")
    return Track(found)


def _check_shape(name: str, file: str, size: tuple[int, int], source: Source) -> None:
    (height, width), (own_height, own_width) = source.clip.size, size
    if abs(own_width * height / own_height - width) > max(SHAPE_TOLERANCE * width, 1):
        raise UnfitPicture(
            f"mask {name!r}, {file}, is {own_width} x {own_height} px, the clip {width} x {height}: make it the same shape"
        )
