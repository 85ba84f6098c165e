"""`impasto mesh`: 3D models in a painter's style."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import batch, mesh_files, options, renders, report, staging
from impasto.cli.mesh_files import FRAMES, Wanted
from impasto.cli.shelf import Shelf
from impasto.errors import UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.mesh.paint import Painted, Painting
    from impasto.mesh.turntable import Show

SHOWING = "Showing"
SHOWN = 1e-6
"""Seconds a pixel that a picture of the model takes, written as well."""

ModelFile = Annotated[str, typer.Argument(help="The model: .glb, .gltf, .obj, .ply or .stl.", metavar="MODEL")]
Styles = Annotated[
    list[str],
    options.option(
        "A picture to paint like, a filter's name or file; repeat to mix. PLACE is a material or an object of the model, or a "
        "mask's name, for several styles: roof=a.jpg.",
        "--style",
        "-s",
        metavar="[PLACE=]SOURCE[:WEIGHT]",
        default=False,
    ),
]
Masks = Annotated[
    list[str],
    options.option(
        "Where on the model, a picture over its texture: white is there. keep: leave it as it is; strength: how much of the "
        "paint; another name is the place of a --style.",
        "--mask",
        panel=options.REGIONS,
        metavar="NAME=FILE",
        default=False,
    ),
]
Output = Annotated[
    str,
    options.option("The painted model: .glb, .gltf or .obj.", "--output", "-o", panel=options.OUTPUT, default=False),
]
RenderStyle = Annotated[
    bool,
    options.option(
        "Paint stills and turntable as pictures, strokes across outlines, instead of the model.", "--render-style", panel=SHOWING
    ),
]
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
    mask: Masks = [],  # noqa: B006
    turntable: Turntable = "",
    frames: Frames = FRAMES,
    still: Stills = [],  # noqa: B006
    sheet: Sheet = "",
    viewer: staging.Viewer = "",
    path: staging.Keys = "",
    site: staging.Site = "",
    camera: staging.From = "",
    sun: staging.Sun = "",
    unlit: Unlit = False,
    render_style: RenderStyle = False,
    up: Up = "auto",
    output: Output = "",
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
    if not (output or render_style):
        raise UsageError("no output: give -o FILE, or paint pictures of the model with --render-style")
    found = tuple(mesh_files.parse_style(text) for text in style)
    views, masks = named(still), mesh_files.parse_masks(mask)
    wanted = Wanted(
        model, output, found, turntable, frames, views, sheet, unlit, up, preview, force, resume, as_json, quiet, masks,
        render_style, staging.staging(output or model, viewer, path, site, camera, sun),
    )  # fmt: skip
    if render_style:
        return renders.make(wanted, Settings(**chosen), chosen)
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
        name, _, file = text.rpartition("=")  # a view in words has others before
        if not name or not file:
            raise UsageError(f"--still {text!r} is not VIEW=FILE, like front=front.png")
        if name in found:
            raise UsageError(f"--still {name} was given twice")
        found[name] = file
    return found


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
    shown = sum(count for _, count in wanted.films) + len(wanted.stills) + (8 if wanted.sheet else 0)
    spared = shown * SHOWN * int(settings.size) ** 2 if settings.size.isdigit() else 0.0
    deadline = batch.deadline(settings.time) - spared
    places = [word.place for word in wanted.styles]
    masks = {name: shelf.mask(file) for name, file in wanted.masks.items()}
    names = mesh_files.told(wanted, shelf)
    return Painting(model, styles, settings, places=places, masks=masks, bind=still.bind, deadline=deadline, names=names)


def _make(wanted: Wanted, settings: Settings) -> int:
    """Paint the model and write it with all that shows it; interrupted, what there is of it and the state.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    begun = time.monotonic()
    mesh_files.check(wanted)
    work = prepare(wanted, settings)
    mesh_files.check_all(wanted, work)
    if wanted.unfinished and wanted.resume:
        work.load_state(wanted.state)
    with report.deferred("" if wanted.quiet else batch.STOPPING) as stop:
        report.say(work.plan(), quiet=wanted.quiet)
        again = wanted.again
        painted = _work(work, wanted, stop)
        batch.keep_state(work, wanted.state, "model")
        written, complete = list[str](), False
        try:
            for path in _results(work, wanted, painted, again, stop):
                written.append(str(path))
                if not wanted.as_json:
                    report.out(str(path))
            complete = painted
        finally:
            if wanted.as_json and written:
                facts = {"model": wanted.model, "finished": complete, "seconds": round(time.monotonic() - begun, 2)}
                report.result(written[0], {**facts, "files": written[1:]}, as_json=True)
            if complete:
                wanted.state.unlink(missing_ok=True)
            elif wanted.unfinished:
                report.say(f"{wanted.output} is unfinished, --resume goes on with it", quiet=wanted.quiet)
    if stop.wanted:
        raise KeyboardInterrupt
    return report.DONE


def _results(work: Painting, wanted: Wanted, painted: bool, again: bool, stop: report.Stop) -> Iterator[Path]:
    """Write the model, and once it is painted all that shows it; gives each file as soon as it is there."""
    from impasto.mesh import export

    made = work.result()
    yield from export.save(made, wanted.output, unlit=wanted.unlit, force=again)
    if painted:
        yield from _show(work, made, wanted, again, stop)


def _work(work: Painting, wanted: Wanted, stop: report.Stop) -> bool:
    """Take the steps, with a bar and previews; whether they were all made."""
    previews = report.Previews(wanted.preview)
    for step in report.progress(work.steps(), quiet=wanted.quiet):
        if stop.wanted:
            return False
        share = step.index / max(1, step.total)
        previews.show(lambda file, share=share: _preview(work, file, share))  # type: ignore[misc]
    return True


def _preview(work: Painting, file: str, share: float) -> None:
    """Write the model so far, turned on by the share of the work done."""
    from impasto.mesh import cameras
    from impasto.mesh.turntable import Show
    from impasto.pixels import io

    painted = work.result()
    camera = cameras.orbit(work.stage.center, work.stage.frame, 35 + 360 * share, 18)
    io.save(Show(work.stage, painted.maps).still(camera, work.size, work.size), file, recipe=painted.recipe, force=True)


def _show(work: Painting, painted: Painted, wanted: Wanted, force: bool, stop: report.Stop) -> Iterator[Path]:
    """Stills, sheet and turntable.

    Raises:
        KeyboardInterrupt: a stop is wanted.
    """
    from impasto.mesh import turntable
    from impasto.mesh.turntable import Show

    show = Show(work.stage, painted.maps, unlit=wanted.unlit)
    shape = work.size, work.size
    for name, file in wanted.stills.items():
        _heed(stop)
        yield from turntable.stills(show, {name: file}, shape, recipe=_told(painted, still=name), force=force)
    if wanted.sheet:
        _heed(stop)
        yield _sheet(work, show, wanted, painted, force)
    shown = wanted.staging
    if shown.viewer:
        _heed(stop)
        yield staging.page(shown, work.stage, painted, unlit=wanted.unlit, force=force)
    if shown.site:
        _heed(stop)
        yield staging.composed(shown, work.stage, painted, force=force, quiet=wanted.quiet)
    cameras = shown.cameras(work.model, wanted.frames) if shown.path else []
    around, along = {"turntable": wanted.frames}, {"path": shown.path, "frames": wanted.frames}
    for label, file, way, told in (("turntable", wanted.turntable, wanted.frames, around), ("path", shown.film, cameras, along)):
        if file:
            _heed(stop)
            frames = turntable.write(show, file, shape, way, recipe=_told(painted, **told), force=force)
            for _ in report.progress(frames, quiet=wanted.quiet, label=label):
                _heed(stop)
            yield Path(file)


def _told(painted: Painted, **shown: Any) -> dict[str, Any]:
    """The recipe of what shows a model: how it does, so that it can be made again."""
    return {**painted.recipe, "shown": shown}


def _heed(stop: report.Stop) -> None:
    if stop.wanted:
        raise KeyboardInterrupt


def _sheet(work: Painting, show: Show, wanted: Wanted, painted: Painted, force: bool) -> Path:
    from impasto.cli import sheet
    from impasto.mesh import turntable
    from impasto.mesh.turntable import Show
    from impasto.pixels import io

    before = Show(work.stage, work.sources, unlit=wanted.unlit)
    whole = sheet.sheet(turntable.pairs(before, show, (work.size, work.size)), len(turntable.SHEET))
    return io.save(io.load(whole), wanted.sheet, recipe=_told(painted, sheet=True), force=force)
