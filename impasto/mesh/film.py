"""Renders of a model painted as pictures, so that strokes run across its outlines; frames of a film are kept steady.

A filter paints each frame, and the paint of earlier frames is carried along by the motion that the geometry tells
(`impasto.mesh.motion`, `impasto.video.temporal`). What is carried is the paint without the lamp's light,

    O(t) / L(t),   L the brightness of each place by its angle to the lamp,

for the lamp goes with the camera: strokes keep their places on the model while light passes over them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto import still
from impasto.mesh import motion, sight
from impasto.mesh.cameras import Camera
from impasto.mesh.motion import Glance
from impasto.mesh.regions import Regions
from impasto.mesh.turntable import RATE, Show
from impasto.paint.image import Painting
from impasto.paint.pictures import Style
from impasto.paint.regions import NOTHING, Region
from impasto.paint.settings import Settings
from impasto.pixels import color, geometry
from impasto.pixels.picture import Picture
from impasto.types import Image, Mask, Step
from impasto.video import temporal
from impasto.video.flow import Floats
from impasto.video.temporal import History

LEAD = 20
"""Frames painted before the first of a film that turns in a circle, so that its end leads into its beginning."""


@dataclass(frozen=True, slots=True, eq=False)
class Render:
    """A picture of a model to be painted as a picture."""

    image: Image
    """Before the ground."""
    light: Mask
    """Brightness by the angle to the lamp; 1 on the ground."""
    places: Mapping[str, Mask]
    """Where each region is that has styles of its own."""
    special: Mapping[str, Mask]
    """Where it is to stay as it is ("keep"), and how much of the paint there is ("strength")."""

    @property
    def rest(self) -> Mask:
        """Where none of the places is."""
        return (1 - sum(self.places.values(), torch.zeros_like(self.light))).clamp(0, 1)


@torch.no_grad()
def render(show: Show, regions: Regions, camera: Camera, shape: tuple[int, int], ground: Tensor) -> Render:
    """What a camera sees before the `ground` (red, green, blue), and where in it which styles go."""
    view = show.stage.look(camera, shape, show.layout, relief=show.relief)
    cover = view.mask()
    shares = zip(regions.shares(view, show.layout.shapes), regions.styles, strict=True)
    own = {name: view.mask(share) for share, (name, _) in shares}
    masks = {name: mask for name, mask in own.items() if name}
    found = {name: view.mask(values) for name, values in regions.special(view, show.layout.shapes).items()}
    if "strength" in found:
        found["strength"] = found["strength"] + 1 - cover  # the ground is painted in full
    if "" not in own:  # strokes go on over the ground, and where the model stays as it is they are taken away again
        styled = sum(masks.values(), torch.zeros_like(cover))
        masks = {name: carried(mask, styled, 1 / len(masks)) for name, mask in masks.items()}
        found["keep"] = (found.get("keep", torch.zeros_like(cover)) + cover - styled).clamp(0, 1)
    image = view.picture(show.table, ground)
    return Render(image, view.mask(view.shade) + 1 - cover, masks, found)


def carried(mask: Mask, cover: Mask, otherwise: float) -> Mask:
    """A share of what is covered, carried on from nearby to where nothing is; `otherwise` where all is bare."""
    if not bool((cover > 0).any()):
        return torch.full_like(mask, otherwise)
    return geometry.fill(mask / cover.clamp(min=1e-6), (cover > 0).float()).clamp(0, 1)


class Brush:
    """Paints renders by filters, each by itself."""

    def __init__(self, regions: Regions, styles: Sequence[Style], settings: Settings, size: int) -> None:
        """Bind a filter for each region. `size`: long edge of the renders, px.

        Raises:
            UnfitPicture: a painting with a side under 64 px.
        """
        self.settings, self.ground = settings, sight.ground(styles)
        scale = round(size * settings.style_scale)
        self.filters = {name: still.bind([styles[index] for index in several], scale) for name, several in regions.styles}

    @torch.no_grad()
    def paint(self, made: Render) -> Image:
        """The filters' pictures, each in its place."""
        if self.settings.strength == 0:
            return made.image
        own = {**made.places, "": made.rest}
        found = [own[name] * paint(made.image, strength=self.settings.strength) for name, paint in self.filters.items()]
        return sum(found, torch.zeros_like(made.image)).clamp(0, 1)

    def composed(self, made: Render, image: Image) -> Image:
        """A painted render with what is to be kept of the model."""
        if self.settings.preserve_color != "off":
            image = color.preserve_color(image, made.image, self.settings.preserve_color)
        cover = made.special.get("strength", torch.ones_like(made.light)) * (1 - made.special.get("keep", 0 * made.light))
        return torch.lerp(made.image, image, cover)


def frames(
    show: Show,
    regions: Regions,
    brush: Brush,
    cameras: Sequence[Camera],
    shape: tuple[int, int],
    *,
    closed: bool = False,
    first: int = 0,
) -> Iterator[Image]:
    """The frames of a film from the `first` on, 1 x 3 x height x width. `closed`: its last camera is a step before its first."""
    history: History | None = None
    before: Glance | None = None
    if first >= len(cameras):
        return
    lead = range(first - LEAD if closed else max(0, first - LEAD), first)
    for number in [*lead, *range(first, len(cameras))]:
        camera = cameras[number % len(cameras)]
        made, now = render(show, regions, camera, shape, brush.ground), motion.glance(show.stage, camera, *shape)
        dimmed = (1 - show.relief) / made.light  # at most 1, as paint is
        painted: Floats = np.ascontiguousarray((brush.paint(made) * dimmed)[0].permute(1, 2, 0).numpy())
        guide = np.zeros((*shape, 3), np.uint8)  # motion is known: nothing is looked for in it
        if history is None or before is None:
            history = temporal.begun(guide, painted)
        else:
            history = temporal.continued(history, guide, painted, motion.between(show.stage, now, before))
        before = now
        if number >= first:
            steady = torch.from_numpy(history.painted).permute(2, 0, 1)[None] / dimmed
            yield brush.composed(made, steady.clamp(0, 1))


def write(
    show: Show,
    regions: Regions,
    brush: Brush,
    cameras: Sequence[Camera],
    shape: tuple[int, int],
    path: str | os.PathLike[str],
    *,
    closed: bool = False,
    recipe: Mapping[str, Any] | None = None,
    force: bool = False,
    resume: bool = False,
) -> Iterator[Step]:
    """Write a film to a clip, or to an image sequence, of which `resume` makes what comes after its finished frames.

    Raises:
        ImpastoError: it cannot be written; see `impasto.video.io.open_sink`.
    """
    from impasto.video import io
    from impasto.video.frame import Frame

    with io.open_sink(Path(path), recipe=recipe, force=force, resume=resume) as sink:
        first = next((number for number in range(len(cameras)) if number not in sink.finished), len(cameras))
        begun = time.monotonic()
        made = frames(show, regions, brush, cameras, shape, closed=closed, first=first)
        for number, image in enumerate(made, first):
            sink.write(Frame(number, Picture(image), number, Fraction(1, RATE), 1))
            left = (time.monotonic() - begun) / (number + 1 - first) * (len(cameras) - number - 1)
            yield Step(number + 1, len(cameras), eta=left, size=shape)


def painting(made: Render, regions: Regions, styles: Sequence[Style], settings: Settings, **more: Any) -> Painting:
    """A render as a picture to be painted as `impasto image` paints one; `more`: see `impasto.paint.image.Painting`."""
    found = [
        Region(name, made.places.get(name, made.rest), tuple((index, None) for index in several))
        for name, several in regions.styles
    ]
    seen = [region for region in found if region.mask is not None and float(region.mask.max()) > NOTHING]
    return still.painting(
        Picture(made.image),
        styles,
        settings,
        regions=seen if made.places else (),
        keep=made.special.get("keep"),
        strength_mask=made.special.get("strength"),
        **more,
    )
