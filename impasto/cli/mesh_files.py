"""What `impasto mesh` reads and writes, checked before the long work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli import batch
from impasto.cli.words import StyleWord
from impasto.errors import ImpastoError, OutputExists, UsageError

if TYPE_CHECKING:
    from impasto.mesh.paint import Painting

FRAMES = 96
"""Frames of a turntable: four seconds."""
STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be written, and how."""

    model: str
    output: str
    styles: tuple[StyleWord, ...]
    turntable: str = ""
    frames: int = FRAMES
    stills: Mapping[str, str] = field(default_factory=dict)
    sheet: str = ""
    unlit: bool = False
    up: str = "auto"
    preview: str = ""
    force: bool = False
    resume: bool = False
    as_json: bool = False
    quiet: bool = False

    @property
    def state(self) -> Path:
        """Where the state of unfinished work is kept."""
        return Path(f"{self.output}.state.safetensors")

    @property
    def unfinished(self) -> bool:
        """Whether work on it was interrupted."""
        return self.state.exists()

    @property
    def again(self) -> bool:
        """Whether the model may replace what is there."""
        return self.force or self.unfinished

    @property
    def shown(self) -> list[str]:
        """Pictures and clip that show the model."""
        return [file for file in (*self.stills.values(), self.sheet, self.preview, self.turntable) if file]


def check(wanted: Wanted) -> None:
    """Check before anything is read that everything can be written, as far as its names are known.

    Raises:
        ImpastoError: something cannot.
    """
    import numpy as np

    from impasto.mesh import cameras, export
    from impasto.pixels import io

    export.check(wanted.output, wanted.again)
    if STDOUT in wanted.shown:
        raise UsageError("what shows a model cannot go to stdout: give file names")
    for name, file in wanted.stills.items():
        cameras.named(name, np.zeros(3), 1.0)
        io.check_output(file, wanted.again)
    if wanted.sheet:
        io.check_output(wanted.sheet, wanted.again)
    if wanted.preview:
        io.check_output(wanted.preview, True)
    for file in filter(None, [*wanted.stills.values(), wanted.sheet, wanted.preview]):
        batch.check_ours(file, wanted.force)
    frames = list(_frames(wanted))
    if wanted.unfinished and not (wanted.resume or wanted.force):
        raise OutputExists(f"{wanted.output} is unfinished: --resume goes on with it, --force begins again")
    if wanted.resume and not wanted.unfinished:
        raise UsageError(f"there is nothing to go on with: neither {wanted.output} nor {wanted.state}; leave --resume out")
    _check_names(wanted, [wanted.output, *wanted.shown, *frames], [])


def check_all(wanted: Wanted, work: Painting) -> None:
    """Check before painting every file that will be written, those beside the model too, now that the model is known.

    Raises:
        ImpastoError: one is there, or read, or written twice; or the model cannot be put together again.
    """
    from impasto.mesh import export

    files = export.names(work.model, work.atlas, wanted.output)
    _check_names(wanted, [*map(os.fspath, files), *wanted.shown, *_frames(wanted)], work.model.files)
    export.check_free(files, wanted.again)


def _check_names(wanted: Wanted, written: list[str], named: Iterable[Path]) -> None:
    """Nothing is written twice, nor where something is read: model, what it names, styles."""
    places = [os.path.realpath(file) for file in written]
    if len(set(places)) < len(places):
        raise UsageError("two results would be written to one file: give them different names")
    batch.check_apart([wanted.model, *map(os.fspath, named), *(word.source for word in wanted.styles)], written)


def _frames(wanted: Wanted) -> Iterator[str]:
    """Files of the turntable's frames; none of a clip.

    Raises:
        ImpastoError: they, or the clip, cannot be written.
    """
    if not wanted.turntable:
        return
    from impasto.video.io import open_sink
    from impasto.video.sequence import SequenceSink

    sink = open_sink(wanted.turntable, force=wanted.again)
    if not isinstance(sink, SequenceSink):
        if not wanted.force:
            _check_clip(wanted.turntable)
        return
    for number in range(wanted.frames):
        path = sink.pattern.path(number)
        if path.exists() and not wanted.again:
            raise OutputExists(f"frames of {wanted.turntable} exist already, {path.name} for one: --force replaces them")
        batch.check_ours(os.fspath(path), wanted.force)
        yield os.fspath(path)


def _check_clip(file: str) -> None:
    """What goes on may replace a clip of ours that it made before, and no other.

    Raises:
        OutputExists: it is another.
    """
    from impasto.video.io import recipe

    try:
        ours = not Path(file).exists() or recipe(file) is not None
    except ImpastoError:
        ours = False
    if not ours:
        raise OutputExists(f"{file} exists already and was not made by impasto: --force replaces it")
