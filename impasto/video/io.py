"""Video in and out as film people need it: clips and image sequences, frame by frame, in memory that does not grow.

    source = open_source("clip.mp4")
    with open_sink("out.mov", like=source) as sink:
        for frame in source:
            sink.write(frame.with_image(painted(frame.image)))

What is not painted is kept: times, also of frames that do not come evenly, colors, the way up, the shape of pixels,
timecode, sound, subtitles, chapters, data. A broken file is never left: a clip takes its place when it is whole, a
sequence's frames each by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from impasto.errors import OutputError, UnreadablePicture, UsageError
from impasto.pixels import recipe as recipes
from impasto.pixels import writers
from impasto.video import comment, formats, read, sequence
from impasto.video.ffmpeg import library
from impasto.video.frame import Clip, Frame, Range, Sink, Source, parse
from impasto.video.read import ClipSource
from impasto.video.sequence import Pattern, SequenceSink
from impasto.video.write import ClipSink

__all__ = ["Clip", "Frame", "Range", "Sink", "Source", "open_sink", "open_source", "probe", "recipe"]


def open_source(
    path: str | os.PathLike[str], *, frames: Range = None, rate: Fraction | float | None = None, peak: float | None = None
) -> Source:
    """A clip, an image sequence by its pattern (`shot.%04d.exr`, `shot.####.png`), or a folder that holds one.

    `frames` are those from first to last, both included: in a sequence by the numbers in its files' names, in a clip from
    0. `rate` is in frames per second, for sequences (24 if it is not said). `peak` is for EXR sequences: the scene's greatest
    value, to spare the search for it.

    Raises:
        UsageError: a single picture, a rate for a clip, no range of frames, or frames that a clip does not have.
        UnreadablePicture: missing, damaged, no video in it, or frames missing in a sequence (they are named).
        MissingExtra: PyAV is not installed, or OpenImageIO for EXR and 16 bits.
    """
    wanted = parse(frames)
    found = _pattern(path)
    if found is None:
        if rate is not None:
            raise UsageError(f"{os.fspath(path)} is a clip and has its own times: --rate is for image sequences")
        library("reading video")
        clip = ClipSource(Path(path), read.probe(path))
        return clip if wanted is None else clip.between(*wanted)
    source = sequence.source(found, _rate(rate), peak)
    if wanted is not None:
        return source.between(*wanted)
    sequence.missing(found, found.numbers(), source.first, source.last)
    return source


def _rate(rate: Fraction | float | None) -> Fraction | None:
    if rate is None:
        return None
    if not 0 < rate <= 1000:
        raise UsageError(f"{rate} frames per second: between 0 and 1000 are possible")
    if isinstance(rate, float):  # 23.976 and 29.97 stand for 24000/1001 and 30000/1001
        ntsc = Fraction(round(rate * 1.001) * 1000, 1001)
        return ntsc if rate != round(rate) and abs(ntsc - rate) < 1e-3 else Fraction(rate).limit_denominator(1001)
    return Fraction(rate)


def _pattern(path: str | os.PathLike[str]) -> Pattern | None:
    """The sequence that a path to read is of; None for a clip."""
    path = Path(path)
    if path.is_dir():
        return sequence.in_folder(path)
    found = None if path.is_file() else sequence.pattern(path)
    if found is None and path.suffix.lower() in sequence.SUFFIXES:
        raise _single(path)
    return found


def _single(path: Path) -> UsageError:
    return UsageError(f"{path} is the name of one picture: name a sequence by {path.stem.rstrip('0123456789')}####{path.suffix}")


def probe(path: str | os.PathLike[str]) -> Clip:
    """What a clip or a sequence is, from its header and first frame. Raises what `open_source` does."""
    return open_source(path).clip


def open_sink(
    path: str | os.PathLike[str],
    *,
    like: Source | None = None,
    codec: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    bits: int | None = None,
    force: bool = False,
    resume: bool = False,
    options: Mapping[str, str] | None = None,
) -> Sink:
    """Where to write frames: a clip by its suffix, or a sequence by a pattern or a folder; a context manager.

    All that can be wrong with the path is found out here, before long work. `like` is the source: its times, colors, sound
    and the rest go along. `codec` is a name in `impasto.video.formats.FORMATS`; without it the suffix decides (see
    `formats.choose`). `options` go to the encoder: {"crf": "12"}. `resume` keeps the frames of a sequence that are there.
    A folder gets the names that the source has, or frame.0000.png.

    Raises:
        UsageError: a codec or suffix that is not known, or does not go with the other; bits that it cannot hold.
        OutputExists: the file, or some of its frames, are there, and neither `force` nor `resume` is set.
        OutputError: no such folder, or no permission.
        MissingExtra: PyAV is not installed, or OpenImageIO for EXR.
    """
    found = target(path, like)
    if found is None:
        return ClipSink(path, like=like, codec=codec, recipe=recipe, bits=bits, force=force, options=options)
    if found.folder == Path(path):
        found.folder.mkdir(exist_ok=True)
    if codec is not None:
        raise UsageError(f"codec {codec} is for clips: {os.fspath(path)} is an image sequence")
    return SequenceSink(found, like=like, recipe=recipe, bits=bits, force=force, resume=resume)


def target(path: str | os.PathLike[str], like: Source | None = None) -> Pattern | None:
    """The sequence that a path to write is of; None for a clip. Makes nothing.

    Raises:
        UsageError: the name of a single picture.
        OutputError: a folder in one that is not there.
    """
    text, path = os.fspath(path), Path(path)
    found = sequence.pattern(path)
    if found is not None or formats.is_clip(path):
        return found
    if path.suffix.lower() in (*sequence.SUFFIXES, *writers.DEPTHS):
        raise _single(path)
    if not path.is_dir():
        if not text.endswith(("/", os.sep)):
            return None  # which is refused by its suffix
        if not path.parent.is_dir():
            raise OutputError(f"there is no folder {path.parent} to make {path.name} in: make it first")
    if isinstance(like, sequence.SequenceSource) and like.pattern.tail.lower() in writers.DEPTHS:
        return Pattern(path, like.pattern.head, like.pattern.digits, like.pattern.tail)
    return Pattern(path, "frame.", 4, ".png")


def recipe(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The recipe in a clip, or in the first frame of a sequence; None where there is none.

    Raises:
        UnreadablePicture: no such file, or neither a clip nor a sequence.
        MissingExtra: PyAV is not installed.
    """
    found = _pattern(path)
    if found is None:
        return comment.read(path)
    if not (numbers := found.numbers()):
        raise UnreadablePicture(f"no frames match {found}")
    return recipes.read(found.path(numbers[0]))
