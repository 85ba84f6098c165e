"""What `impasto mesh` reads and writes, checked before the long work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli import batch, places, words
from impasto.cli.staging import Staging
from impasto.cli.words import StyleWord
from impasto.errors import ImpastoError, OutputExists, UsageError

if TYPE_CHECKING:
    from impasto.cli.shelf import Shelf
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
    masks: Mapping[str, str] = field(default_factory=dict)
    render_style: bool = False
    staging: Staging = field(default_factory=Staging)

    @property
    def state(self) -> Path:
        """Where the state of unfinished work is kept."""
        return Path(f"{self.output}.state.safetensors")

    @property
    def unfinished(self) -> bool:
        """Whether work on it was interrupted."""
        return not self.render_style and self.state.exists()

    @property
    def again(self) -> bool:
        """Whether the model may replace what is there."""
        return self.force or self.unfinished or (self.render_style and self.resume)

    @property
    def shown(self) -> list[str]:
        """Pictures and clip that show the model."""
        named = (*self.stills.values(), self.sheet, self.preview, self.turntable, *self.staging.written)
        return [file for file in named if file]

    @property
    def films(self) -> list[tuple[str, int]]:
        """Clips and sequences, and how many frames they have."""
        path = [(self.staging.film, self.staging.count(self.frames))] if self.staging.path else []
        return [*([(self.turntable, self.frames)] if self.turntable else []), *path]


def parse_style(text: str) -> StyleWord:
    """A style as everywhere, only that a place may be called whatever a material is: "wall*=a.jpg", "Roof tiles=b.jpg:0.5".

    Raises:
        UsageError: no source.
    """
    found = words.parse_style(text)
    place, _, rest = text.partition("=")
    if found.place or not place or not rest or Path(found.source).exists():
        return found
    return words.parse_style(rest)._replace(place=place)


def parse_masks(texts: Sequence[str]) -> dict[str, str]:
    """Read "roof=roof.png".

    Raises:
        UsageError: not NAME=FILE, a name twice, or a mask of colors, which models do not know.
    """
    found = places.parse(texts, "", [], "", "").masks
    if "color" in found:
        raise UsageError("--mask color is for pictures: of a model colors are preserved everywhere or nowhere")
    return dict(found)


def told(wanted: Wanted, shelf: Shelf) -> dict[str, Any]:
    """What recipes say of the command, besides settings and styles.

    Raises:
        PictureError: a mask cannot be read.
    """
    found: dict[str, Any] = {"content": {"source": wanted.model}}
    if any(word.place for word in wanted.styles):
        found["places"] = [word.place for word in wanted.styles]
    if wanted.masks:
        found["masks"] = {name: shelf.open(file)[1] for name, file in wanted.masks.items()}
    if wanted.up != "auto":
        found["up"] = wanted.up
    return {**found, "unlit": True} if wanted.unlit else found


def check(wanted: Wanted) -> None:
    """Check before anything is read that everything can be written, as far as its names are known.

    Raises:
        ImpastoError: something cannot.
    """
    import numpy as np

    from impasto.mesh import cameras, export, viewer, viewpoint
    from impasto.pixels import io

    if not wanted.render_style:
        export.check(wanted.output, wanted.again)
    if STDOUT in wanted.shown:
        raise UsageError("what shows a model cannot go to stdout: give file names")
    for name, file in wanted.stills.items():
        if viewpoint.is_words(name):
            viewpoint.words(name)
        else:
            cameras.named(name, np.zeros(3), 1.0)
        io.check_output(file, wanted.again)
    if wanted.sheet:
        io.check_output(wanted.sheet, wanted.again)
    if wanted.preview:
        io.check_output(wanted.preview, True)
    wanted.staging.check(wanted.again)
    for file in filter(None, [*wanted.stills.values(), wanted.sheet, wanted.preview, wanted.staging.still]):
        batch.check_ours(file, wanted.force)
    if wanted.staging.viewer and not (wanted.force or viewer.ours(wanted.staging.viewer)):
        raise OutputExists(f"{wanted.staging.viewer} exists already and was not made by impasto: --force replaces it")
    if wanted.unfinished and not (wanted.resume or wanted.force):
        raise OutputExists(f"{wanted.output} is unfinished: --resume goes on with it, --force begins again")
    if wanted.resume and not wanted.unfinished and not wanted.render_style:
        raise UsageError(f"there is nothing to go on with: neither {wanted.output} nor {wanted.state}; leave --resume out")
    check_names(wanted, [*filter(None, [wanted.output])], [])


def check_all(wanted: Wanted, work: Painting) -> None:
    """Check before painting every file that will be written, those beside the model too, now that the model is known.

    Raises:
        ImpastoError: one is there, or read, or written twice; or the model cannot be put together again; or the photograph's
            camera does not see it.
    """
    from impasto.mesh import export

    files = export.names(work.model, work.atlas, wanted.output)
    check_names(wanted, [*map(os.fspath, files)], work.model.files)
    export.check_free(files, wanted.again)
    if wanted.staging.site:
        wanted.staging.check_view(work.stage, wanted.quiet)


def check_names(wanted: Wanted, files: list[str], named: Iterable[Path]) -> None:
    """Nothing is written twice, nor where something is read: model, what it names, styles, masks.

    `files`: those of the painted model. `named`: what the model names.

    Raises:
        ImpastoError: something is; or frames cannot be written.
    """
    written = [*files, *wanted.shown, *_frames(wanted)]
    places = [os.path.realpath(file) for file in written]
    if len(set(places)) < len(places):
        raise UsageError("two results would be written to one file: give them different names")
    sources = [*(word.source for word in wanted.styles), *wanted.masks.values(), *wanted.staging.read]
    batch.check_apart([wanted.model, *map(os.fspath, named), *sources], written)


def _frames(wanted: Wanted) -> Iterator[str]:
    """Files of the frames of turntable and path; none of clips.

    Raises:
        ImpastoError: they, or a clip, cannot be written.
    """
    for file, count in wanted.films:
        yield from _frames_of(file, count, wanted)


def _frames_of(file: str, count: int, wanted: Wanted) -> Iterator[str]:
    from impasto.video.io import open_sink
    from impasto.video.sequence import SequenceSink

    sink = open_sink(file, force=wanted.again)
    if not isinstance(sink, SequenceSink):
        if not wanted.force:
            _check_clip(file)
        return
    for number in range(count):
        path = sink.pattern.path(number)
        if path.exists() and not wanted.again:
            raise OutputExists(f"frames of {file} exist already, {path.name} for one: --force replaces them")
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
