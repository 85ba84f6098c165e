"""What `impasto mesh` shows a painted model in besides stills and turntable: a page, a camera's path, a photograph."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from impasto.cli import options, report
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.mesh.cameras import Camera
    from impasto.mesh.model import Model
    from impasto.mesh.paint import Painted
    from impasto.mesh.stage import Stage
    from impasto.mesh.viewpoint import Match
    from impasto.pixels.picture import Picture

SHOWING = "Showing"
OFF = 0.02
"""Share of a photograph's long edge by which a matched camera may miss its points before it is warned of."""

Viewer = Annotated[
    str,
    options.option(
        "Write a page that shows the model, before and after, in any browser and offline.", "--viewer", panel=SHOWING,
        metavar="FILE.html", default=False
    ),
]  # fmt: skip
Keys = Annotated[
    str,
    options.option(
        "Write a camera's way around or through the model, by keyframes in a JSON or CSV file; to OUTPUT-path.mp4 unless FILE "
        "says else.",
        "--path",
        panel=SHOWING,
        metavar="KEYS[=FILE]",
        default=False,
    ),
]
Site = Annotated[
    str,
    options.option(
        "Put the painted model into a photograph of where it will stand; to OUTPUT-site.png unless FILE says else.",
        "--site",
        panel=SHOWING,
        metavar="PHOTO[=FILE]",
        default=False,
    ),
]
From = Annotated[
    str,
    options.option(
        'With --site: where the photograph was taken from, "eye=X,Y,Z target=X,Y,Z fov=DEGREES", or a JSON file of points of '
        "the model and the photograph.",
        "--camera",
        panel=SHOWING,
        metavar="WORDS|FILE",
        default=False,
    ),
]
Sun = Annotated[
    str,
    options.option(
        "With --site: where the sun stands, and the sky's share of the light; estimated from the photograph otherwise.",
        "--sun",
        panel=SHOWING,
        metavar="AZIMUTH,ELEVATION[,SKY]",
        default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Staging:
    """What is to be written, and what for it is read."""

    viewer: str = ""
    path: str = ""
    """The file of keyframes."""
    film: str = ""
    """The clip or frames of the path."""
    site: str = ""
    """The photograph."""
    still: str = ""
    """The photograph with the model."""
    camera: str = ""
    sun: str = ""

    @property
    def written(self) -> list[str]:
        """Files to write; the film's frames are not among them."""
        return [file for file in (self.viewer, self.film, self.still) if file]

    @property
    def read(self) -> list[str]:
        """Files to read."""
        from impasto.mesh import viewpoint

        return [file for file in (self.path, self.site, "" if viewpoint.is_words(self.camera) else self.camera) if file]

    def check(self, force: bool) -> None:
        """Check all that can be checked before the model is known.

        Raises:
            ImpastoError: a file cannot be read or written, or says something else; --site and --camera not together.
        """
        from impasto.mesh import site, viewer, viewpoint
        from impasto.pixels import io

        if bool(self.site) != bool(self.camera):
            raise UsageError("--site and --camera go together: a photograph, and where it was taken from")
        if self.sun and not self.site:
            raise UsageError("--sun is the light of a photograph: give --site PHOTO and --camera as well")
        if self.viewer:
            viewer.check(self.viewer, force)
        if self.path:
            viewpoint.read(self.path)
        if self.site:
            io.probe(self.site)
            io.check_output(self.still, force)
            if viewpoint.is_words(self.camera):
                viewpoint.words(self.camera)
            else:
                viewpoint.points(self.camera)
            if self.sun:
                site.sun(self.sun)

    def count(self, frames: int) -> int:
        """Frames of the film."""
        from impasto.mesh import viewpoint

        return viewpoint.count(viewpoint.read(self.path), frames)

    def cameras(self, model: Model, frames: int) -> list[Camera]:
        """The cameras of the film."""
        from impasto.mesh import viewpoint

        return viewpoint.along(viewpoint.read(self.path), model, frames)

    def match(self, model: Model, photo: Picture) -> Match:
        """The camera of the photograph.

        Raises:
            ImpastoError: its file cannot be read, or no camera sees the points so.
        """
        from impasto.mesh import viewpoint

        if viewpoint.is_words(self.camera):
            return viewpoint.Match(viewpoint.words(self.camera).camera(model), {})
        return viewpoint.matched(self.camera, model, *photo.size)

    def check_view(self, stage: Stage, quiet: bool) -> None:
        """Check that the camera of the photograph sees the model, and say how well it was matched.

        Raises:
            ImpastoError: it does not, or there is none; the photograph cannot be read.
        """
        from impasto.mesh import site
        from impasto.pixels import io

        photo = io.load(self.site)
        match = self.match(stage.model, photo)
        if match.errors:
            report.say(f"impasto: {match.told()}", quiet=quiet)
        if match.error > OFF * max(photo.size) or not match.sound:
            report.say("impasto: that camera is doubtful: are two points exchanged, or is the photograph cropped?")
        site.seen(stage, match.camera, photo)


def staging(output: str, viewer: str, path: str, site: str, camera: str, sun: str) -> Staging:
    """What the options say; names of results made where none is given."""
    keys, _, film = path.partition("=")
    photo, _, still = site.partition("=")
    stem = os.path.splitext(output)[0]
    film = film or (f"{stem}-path.mp4" if keys else "")
    still = still or (f"{stem}-site.png" if photo else "")
    return Staging(viewer, keys, film, photo, still, camera, sun)


def composed(found: Staging, stage: Stage, painted: Painted, *, force: bool, quiet: bool) -> Path:
    """The photograph with the painted model in it, written; its camera and light go into its recipe."""
    from impasto.mesh import site
    from impasto.pixels import io

    photo = io.load(found.site)
    camera = found.match(painted.model, photo).camera
    light = site.estimated(photo.image, camera)
    if found.sun:
        light = light.given(found.sun)
    else:
        report.say(f"impasto: light estimated from the photograph: --sun {light.told()}", quiet=quiet)
    picture = site.composite(stage, list(painted.maps), photo, camera, light)
    recipe = {**painted.recipe, "site": {"source": found.site, "camera": found.camera, "sun": light.told()}}
    return io.save(picture, found.still, recipe=recipe, force=force)


def page(found: Staging, stage: Stage, painted: Painted, *, unlit: bool, force: bool) -> Path:
    """The page, written."""
    from impasto.mesh import viewer

    before = replace(painted, maps=[each.image for each in stage.atlas.pages], recipe={})
    return viewer.save(painted, found.viewer, before, unlit=unlit, force=force)
