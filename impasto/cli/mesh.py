"""`impasto mesh`: 3D models in a painter's style."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import batch, options, report, words
from impasto.cli.shelf import Shelf
from impasto.cli.words import StyleWord
from impasto.errors import ImpastoError, OutputExists, UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.mesh.paint import Painted, Painting
    from impasto.mesh.turntable import Show

SHOWING = "Showing"
FRAMES = 96
"""Frames of a turntable: four seconds."""
SHOWN = 1e-6
"""Seconds a pixel that a picture of the model takes, written as well."""

ModelFile = Annotated[str, typer.Argument(help="The model: .glb, .gltf, .obj, .ply or .stl.", metavar="MODEL")]
Styles = Annotated[
    list[str],
    options.option(
        "A picture to paint like, a filter's name or file; repeat to mix. PLACE is a material or an object of the model, "
        "for several styles: roof=a.jpg.",
        "--style",
        "-s",
        metavar="[PLACE=]SOURCE[:WEIGHT]",
        default=False,
    ),
]
Output = Annotated[str, options.option("The painted model: .glb, .gltf or .obj.", "--output", "-o", panel=options.OUTPUT)]
Turntable = Annotated[
    str,
    options.option(
        "Write the model turning: a clip, or frames (turn.####.png).", "--turntable", panel=SHOWING, metavar="FILE", default=False
    ),
]
Frames = Annotated[int, options.option("Frames of the turntable, 24 a second.", "--frames", panel=SHOWING)]
Stills = Annotated[
    list[str],
    options.option(
        "Write a view: front, right, back, left, corner, high, top, below, or AZIMUTH,ELEVATION; repeat for several.",
        "--still",
        panel=SHOWING,
        metavar="VIEW=FILE",
        default=False,
    ),
]
Sheet = Annotated[
    str, options.option("Write views before and after side by side.", "--sheet", panel=SHOWING, metavar="FILE", default=False)
]
Unlit = Annotated[bool, options.option("Show the paint exactly as made, without light on it.", "--unlit", panel=SHOWING)]
Up = Annotated[str, options.option("Which axis points up.", "--up", panel=options.MACHINE, metavar="auto|y|z")]


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


SETTINGS = options.settings_of(
    without=("optimizer",),
    size="Long edge of the views that it is painted from, of stills and turntable, px; new maps are four times as large.",
    strength="How much style: 0 leaves the model, 1 is all of it.",
    quality="How long to work: draft is a preview from small views.",
    init="Start from: filter (views painted by it) or content.",
    max_memory="Smaller views where more would be needed: 2GB.",
    preserve_color="Keep the model's colors.",
)


@options.takes(SETTINGS)
def mesh(
    model: ModelFile,
    *,
    chosen: dict[str, Any],
    style: Styles = [],  # noqa: B006  # Typer's way; nobody changes it
    turntable: Turntable = "",
    frames: Frames = FRAMES,
    still: Stills = [],  # noqa: B006
    sheet: Sheet = "",
    unlit: Unlit = False,
    up: Up = "auto",
    output: Output,
    force: options.Force = False,
    resume: options.Resume = False,
    preview: options.Preview = "",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = "",
) -> int:
    """Paint a 3D model in the style of one or several pictures.

    impasto mesh house.glb --style painting.jpg -o painted.glb --turntable turn.mp4
    """
    report.warnings = not quiet
    if force and resume:
        raise UsageError("--resume goes on and --force begins again: give one of them")
    if not style:
        raise UsageError("no style: give --style FILE")
    if not 1 <= frames <= 10_000:
        raise UsageError(f"--frames {frames}: between 1 and 10000 are possible")
    found = tuple(words.parse_style(text) for text in style)
    views = named(still)
    wanted = Wanted(model, output, found, turntable, frames, views, sheet, unlit, up, preview, force, resume, as_json, quiet)
    if resume and Path(output).exists() and not wanted.unfinished:
        report.result(output, {"model": model, "finished": True}, as_json=as_json)
        return report.DONE
    return _make(wanted, Settings(**chosen))


def named(stills: Sequence[str]) -> dict[str, str]:
    """Views by name and their files: "front=a.png", "30,20=b.png".

    Raises:
        UsageError: not VIEW=FILE, or a view twice.
    """
    found: dict[str, str] = {}
    for text in stills:
        name, _, file = text.partition("=")
        if not name or not file:
            raise UsageError(f"--still {text!r} is not VIEW=FILE, like front=front.png")
        if name in found:
            raise UsageError(f"--still {name} was given twice")
        found[name] = file
    return found


def check(wanted: Wanted) -> None:
    """Check before any work that everything can be written.

    Raises:
        ImpastoError: something cannot.
    """
    import numpy as np

    from impasto.mesh import cameras, export
    from impasto.pixels import io

    again = wanted.force or wanted.unfinished
    export.check(wanted.output, again)
    for name, file in wanted.stills.items():
        cameras.named(name, np.zeros(3), 1.0)
        io.check_output(file, again)
    if wanted.sheet:
        io.check_output(wanted.sheet, again)
    if wanted.preview:
        io.check_output(wanted.preview, True)
    if wanted.turntable:
        from impasto.video.io import open_sink

        open_sink(wanted.turntable, force=again)
    if wanted.unfinished and not (wanted.resume or wanted.force):
        raise OutputExists(f"{wanted.output} is unfinished: --resume goes on with it, --force begins again")
    if wanted.resume and not wanted.unfinished:
        raise UsageError(f"there is nothing to go on with: neither {wanted.output} nor {wanted.state}; leave --resume out")
    files = [wanted.output, wanted.sheet, wanted.preview, wanted.turntable, *wanted.stills.values()]
    places = [os.path.realpath(file) for file in files if file]
    if len(set(places)) < len(places):
        raise UsageError("two results would be written to one file: give them different names")
    read = {os.path.realpath(file) for file in [wanted.model, *(word.source for word in wanted.styles)]}
    for file in files:
        if file and os.path.realpath(file) in read:
            raise UsageError(f"{file} is both read and written: give the result another name")


def prepare(wanted: Wanted, settings: Settings) -> Painting:
    """The painting of a model, with all that its recipe says of it."""
    from impasto import still
    from impasto.mesh import load
    from impasto.mesh.paint import Painting

    model = load.load(wanted.model, up=wanted.up)
    for note in model.notes:
        report.say(f"impasto: {note}", quiet=wanted.quiet)
    shelf = Shelf()
    styles = [shelf.style(word) for word in wanted.styles]
    names: dict[str, Any] = {"content": {"source": wanted.model}}
    if any(word.place for word in wanted.styles):
        names["places"] = [word.place for word in wanted.styles]
    shown = (wanted.frames if wanted.turntable else 0) + len(wanted.stills) + (8 if wanted.sheet else 0)
    spared = shown * SHOWN * int(settings.size) ** 2 if settings.size.isdigit() else 0.0
    deadline = report.BEGUN + settings.time - spared if settings.time else math.inf
    places = [word.place for word in wanted.styles]
    return Painting(model, styles, settings, places=places, bind=still.bind, deadline=deadline, names=names)


def _make(wanted: Wanted, settings: Settings) -> int:
    """Paint the model and write it with all that shows it; interrupted, what there is of it and the state.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    from impasto.mesh import export

    begun = time.monotonic()
    check(wanted)
    again = wanted.force or wanted.unfinished
    work = prepare(wanted, settings)
    if wanted.unfinished and wanted.resume:
        work.load_state(wanted.state)
    with report.deferred("" if wanted.quiet else batch.STOPPING) as stop:
        report.say(work.plan(), quiet=wanted.quiet)
        finished = _work(work, wanted, stop)
        if not finished:
            _keep_state(work, wanted)
        painted = work.result()
        written = export.save(painted, wanted.output, unlit=wanted.unlit, force=again)
        if finished:
            written += _show(work, painted, wanted, again, stop)
            wanted.state.unlink(missing_ok=True)
        facts = {"model": wanted.model, "finished": finished, "seconds": round(time.monotonic() - begun, 2)}
        others = [str(path) for path in written[1:]]
        report.result(written[0], {**facts, "files": others}, as_json=wanted.as_json)
        for each in [] if wanted.as_json else others:
            report.out(each)
    if stop.wanted:
        if not finished:
            report.say(f"{wanted.output} is unfinished, --resume goes on with it", quiet=wanted.quiet)
        raise KeyboardInterrupt
    return report.DONE


def _keep_state(work: Painting, wanted: Wanted) -> None:
    """The state goes first: a model without one counts as finished."""
    try:
        work.save_state(wanted.state)
    except ImpastoError as error:
        report.say(f"impasto: {report.one_line(error)}; the model can be saved but not gone on with")


def _work(work: Painting, wanted: Wanted, stop: report.Stop) -> bool:
    """Take the steps, with a bar and previews; whether they were all made."""
    preview, written, cost = wanted.preview, time.monotonic(), 0.0
    for step in report.progress(work.steps(), quiet=wanted.quiet):
        if stop.wanted:
            return False
        begun = time.monotonic()
        if preview and begun - written > max(batch.PREVIEW_SECONDS, batch.PREVIEW_SHARE * cost):
            preview = _preview(work, preview, step.index / max(1, step.total))
            written = time.monotonic()
            cost = written - begun
    return True


def _preview(work: Painting, file: str, share: float) -> str:
    """Write the model so far, turned on by the share of the work done; "" once that fails."""
    from impasto.mesh import cameras
    from impasto.mesh.turntable import Show
    from impasto.pixels import io

    try:
        painted = work.result()
        camera = cameras.orbit(work.stage.center, work.stage.frame, 35 + 360 * share, 18)
        picture = Show(work.stage, painted.maps).still(camera, work.size, work.size)
        io.save(picture, file, recipe=painted.recipe, force=True)
        return file
    except ImpastoError as error:
        report.say(f"impasto: no more previews: {report.one_line(error)}")
        return ""


def _show(work: Painting, painted: Painted, wanted: Wanted, force: bool, stop: report.Stop) -> list[Path]:
    """Stills, sheet and turntable."""
    from impasto.mesh import turntable
    from impasto.mesh.turntable import Show

    show = Show(work.stage, painted.maps, unlit=wanted.unlit)
    shape = work.size, work.size
    written = turntable.stills(show, wanted.stills, shape, recipe=painted.recipe, force=force)
    if wanted.sheet:
        written.append(_sheet(work, show, wanted, painted, force))
    if wanted.turntable:
        frames = turntable.write(show, wanted.turntable, shape, wanted.frames, recipe=painted.recipe, force=force)
        for _ in report.progress(frames, quiet=wanted.quiet, label="turntable"):
            if stop.wanted:
                _keep_state(work, wanted)
                report.say(f"{wanted.turntable} is unfinished, --resume makes it", quiet=wanted.quiet)
                raise KeyboardInterrupt
        written.append(Path(wanted.turntable))
    return written


def _sheet(work: Painting, show: Show, wanted: Wanted, painted: Painted, force: bool) -> Path:
    from impasto.cli import sheet
    from impasto.mesh import turntable
    from impasto.mesh.turntable import Show
    from impasto.pixels import io

    before = Show(work.stage, work.sources, unlit=wanted.unlit)
    whole = sheet.sheet(turntable.pairs(before, show, (work.size, work.size)), len(turntable.SHEET))
    return io.save(io.load(whole), wanted.sheet, recipe=painted.recipe, force=force)
