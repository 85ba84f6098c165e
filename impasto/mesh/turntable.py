"""Painted models to look at: a turntable as clip or sequence, stills of named views, a sheet of before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from PIL import Image as PILImage

from impasto.mesh import cameras, sample
from impasto.mesh.cameras import Camera
from impasto.mesh.stage import RELIEF, Stage
from impasto.pixels import io
from impasto.pixels.picture import Picture
from impasto.types import Image, Step

PAPER = (0.95, 0.95, 0.94)
"""Color behind the model."""
RATE = 24
SHEET = ("corner", "front", "left", "back")
"""Views on a sheet."""


class Show:
    """A model with maps to be shown. All frames see the same maps from where they are: they cannot flicker."""

    def __init__(self, stage: Stage, maps: Sequence[Image], *, unlit: bool = False) -> None:
        self.stage, self.layout, self.relief = stage, stage.layout(maps), 0.0 if unlit else RELIEF
        with torch.no_grad():
            self.table = sample.texels(maps)

    @torch.no_grad()
    def picture(self, camera: Camera, height: int, width: int) -> Picture:
        """What a camera sees, with its outline as opacity: colors are of the model alone, straight."""
        view = self.stage.look(camera, (height, width), self.layout, relief=self.relief)
        alpha = view.mask()
        premultiplied = view.picture(self.table, torch.zeros(3))
        image = torch.where(alpha > 0, premultiplied / alpha.clamp(min=1e-6), torch.tensor(PAPER).view(1, 3, 1, 1))
        return Picture(image.clamp(0, 1), alpha)

    def still(self, camera: Camera, height: int, width: int) -> Picture:
        """What a camera sees, on paper."""
        picture = self.picture(camera, height, width)
        return Picture(on_paper(picture))

    def view(self, name: str, height: int, width: int) -> Picture:
        """A named view on paper; see `Stage.camera`."""
        return self.still(self.stage.camera(name), height, width)


def on_paper(picture: Picture) -> Image:
    """A picture without opacity, on paper."""
    if picture.alpha is None:
        return picture.image
    return torch.lerp(torch.tensor(PAPER).view(1, 3, 1, 1).expand_as(picture.image), picture.image, picture.alpha)


def write(
    show: Show,
    path: str | os.PathLike[str],
    shape: tuple[int, int],
    frames: int | Sequence[Camera],
    *,
    recipe: Mapping[str, Any] | None = None,
    force: bool = False,
    resume: bool = False,
) -> Iterator[Step]:
    """Write a turntable to a clip, or to an image sequence (`turn.####.png`, which keeps the outline as opacity).

    `frames`: how many once around, or the cameras of a path instead.

    Raises:
        ImpastoError: it cannot be written; see `impasto.video.io.open_sink`.
        MissingExtra: a clip, and PyAV is not installed.
    """
    from impasto.video import io as video
    from impasto.video.frame import Frame

    path = Path(path)
    sequence = any(mark in path.name for mark in ("#", "%0")) or not path.suffix
    height, width = shape
    shown = cameras.turntable(show.stage.center, show.stage.frame, frames) if isinstance(frames, int) else frames
    with ExitStack() as stack:
        sink = stack.enter_context(video.open_sink(path, recipe=recipe, force=force, resume=resume))
        for number, camera in enumerate(shown):
            if number not in sink.finished:
                picture = show.picture(camera, height, width) if sequence else show.still(camera, height, width)
                sink.write(Frame(number, picture, number, Fraction(1, RATE), 1))
            yield Step(number + 1, len(shown), size=shape)


def stills(
    show: Show, files: Mapping[str, str], shape: tuple[int, int], *, recipe: Mapping[str, Any] | None = None, force: bool = False
) -> list[Path]:
    """Write named views: a file for each name."""
    return [io.save(show.view(name, *shape), file, recipe=recipe, force=force) for name, file in files.items()]


def pairs(before: Show, after: Show, shape: tuple[int, int]) -> list[tuple[PILImage.Image, str]]:
    """Views before and after painting, in two rows, with what each is."""
    return [
        (show.view(name, *shape).pil(), f"{name}, {when}")
        for show, when in ((before, "before"), (after, "after"))
        for name in SHEET
    ]
