"""`impasto mesh --render-style`: stills, turntables and camera paths of a model, painted as pictures."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.cli import batch, mesh_files, options, report, watch
from impasto.cli.mesh_files import Wanted
from impasto.cli.shelf import Shelf
from impasto.errors import UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.mesh.cameras import Camera
    from impasto.mesh.regions import Regions
    from impasto.mesh.turntable import Show
    from impasto.paint.pictures import Style

FILTERED = {"size", "strength", "style_scale", "preserve_color", "device"}
"""Settings that a filter goes by; a film is painted by nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The model as it is shown, and the styles that its pictures are painted in."""

    show: Show
    regions: Regions
    styles: list[Style]
    settings: Settings
    names: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return int(self.settings.size), int(self.settings.size)


def make(wanted: Wanted, settings: Settings, given: Collection[str]) -> int:
    """Paint what is wanted; `given`: the settings that were given on the line.

    Raises:
        KeyboardInterrupt: it was interrupted.
        ImpastoError: whatever is wrong with model, styles, masks, settings or outputs.
    """
    begun = time.monotonic()
    _check(wanted, settings, given)
    mesh_files.check(wanted)
    scene = _scene(wanted, settings)
    written, complete = list[str](), False
    try:
        with report.deferred("" if wanted.quiet else batch.STOPPING) as stop:
            for path in _pictures(scene, wanted, stop):
                written.append(str(path))
                if not wanted.as_json:
                    report.out(str(path))
        complete = True
    finally:
        if wanted.as_json and (written or complete):
            facts = {"model": wanted.model, "finished": complete, "seconds": round(time.monotonic() - begun, 2)}
            report.result((written or _shown(wanted))[0], {**facts, "files": written[1:]}, as_json=True)
    return report.DONE


def _shown(wanted: Wanted) -> list[str]:
    return [file for file in (*wanted.stills.values(), wanted.turntable, wanted.staging.film) if file]


def _check(wanted: Wanted, settings: Settings, given: Collection[str]) -> None:
    """Refuse what does not go with pictures of a model.

    Raises:
        UsageError: something does not.
    """
    from impasto.pixels import geometry

    others = {"--output": wanted.output, "--sheet": wanted.sheet, "--preview": wanted.preview}
    others |= {"--viewer": wanted.staging.viewer, "--site": wanted.staging.site}
    if wrong := [flag for flag, file in others.items() if file]:
        raise UsageError(f"--render-style paints pictures of the model, not the model: leave {', '.join(wrong)} out")
    if not _shown(wanted):
        raise UsageError("--render-style has nothing to paint: give --still VIEW=FILE, --turntable FILE or --path KEYS")
    if not isinstance(geometry.parse_size(settings.size), int):
        raise UsageError(f"--size {settings.size}: of models it is the long edge of views, one number of px")
    if not wanted.stills and (wrong := [options.flag(name) for name in given if name not in FILTERED]):
        raise UsageError(f"{', '.join(wrong)}: these are for stills, a film is painted by filters; leave them out")


def _scene(wanted: Wanted, settings: Settings) -> Scene:
    from impasto.mesh import atlas, load, regions
    from impasto.mesh.paint import FINENESS
    from impasto.mesh.stage import Stage
    from impasto.mesh.turntable import Show

    model = load.load(wanted.model, up=wanted.up)
    for note in model.notes:
        report.say(f"impasto: {note}", quiet=wanted.quiet)
    mesh_files.check_names(wanted, [], model.files)
    shelf = Shelf()
    styles = [shelf.style(word) for word in wanted.styles]
    places = [word.place for word in wanted.styles]
    laid = atlas.build(model, FINENESS * int(settings.size))
    stage = Stage(model, laid)
    found = regions.find(stage, places, {name: shelf.mask(file) for name, file in wanted.masks.items()})
    show = Show(stage, [page.image for page in laid.pages], unlit=wanted.unlit)
    return Scene(show, found, styles, settings, {**mesh_files.told(wanted, shelf), "render_style": True})


def _pictures(scene: Scene, wanted: Wanted, stop: report.Stop) -> Iterator[Path]:
    """Each picture, as soon as it is written; what is there already stays when work is gone on with.

    Raises:
        KeyboardInterrupt: a stop is wanted.
    """
    from impasto.mesh import cameras

    left = {name: file for name, file in wanted.stills.items() if not (wanted.resume and Path(file).exists())}
    stage = scene.show.stage
    films: dict[str, tuple[str, list[Camera]]] = {}
    if wanted.turntable:
        films["turntable"] = wanted.turntable, cameras.turntable(stage.center, stage.frame, wanted.frames)
    if wanted.staging.path:
        films["path"] = wanted.staging.film, wanted.staging.cameras(stage.model, wanted.frames)
    for number, (view, file) in enumerate(left.items()):
        deadline = batch.deadline(scene.settings.time, len(left) - number + len(films))
        yield _still(scene, view, file, deadline, wanted, stop)
    for label, (file, way) in films.items():
        if not (wanted.resume and Path(file).exists()):
            watch.drive(_film(scene, file, way, label == "turntable", wanted), label, stop, wanted.quiet)
            yield Path(file)


def _still(scene: Scene, view: str, file: str, deadline: float, wanted: Wanted, stop: report.Stop) -> Path:
    from impasto.mesh import film, sight
    from impasto.pixels import io

    stage = scene.show.stage
    camera = stage.camera(view)
    made = film.render(scene.show, scene.regions, camera, scene.shape, sight.ground(scene.styles))
    work = film.painting(made, scene.regions, scene.styles, scene.settings, names=scene.names, deadline=deadline)
    for _ in report.progress(work.steps(), quiet=wanted.quiet, label=view):
        if stop.wanted:
            raise KeyboardInterrupt
    done = work.result()
    return io.save(done.picture, file, recipe={**done.recipe, "verb": "mesh", "view": view}, force=wanted.again)


def _film(scene: Scene, file: str, way: list[Camera], closed: bool, wanted: Wanted) -> Iterator[Any]:
    from impasto.mesh import film
    from impasto.paint import optimize, state

    brush = film.Brush(scene.regions, scene.styles, scene.settings, max(scene.shape))
    told = {
        **state.made_with("mesh", scene.settings, optimize.State()),
        **scene.names,
        "styles": [{"source": each.name, "weight": each.weight, "sha256": each.sha256} for each in scene.styles],
    }
    return film.write(
        scene.show, scene.regions, brush, way, scene.shape, file, closed=closed, recipe=told, force=wanted.force,
        resume=wanted.resume,
    )  # fmt: skip
