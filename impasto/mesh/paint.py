"""Models painted in the style of one or several pictures, through their texture maps."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto import device as devices
from impasto.errors import PaintingError, UsageError
from impasto.features import encoders
from impasto.mesh import atlas as atlases
from impasto.mesh import cameras, equalize, finish, regions, sample, sight
from impasto.mesh.atlas import Atlas
from impasto.mesh.cameras import Camera
from impasto.mesh.canvas import Canvas
from impasto.mesh.model import Model
from impasto.mesh.project import Collected
from impasto.mesh.stage import Stage, View
from impasto.paint import memory, objective, optimize, pictures, schedule, state
from impasto.paint.optimize import Level
from impasto.paint.pictures import Style, digest
from impasto.paint.settings import Settings
from impasto.paint.sources import check_known
from impasto.paint.start import Bind
from impasto.pixels import color, geometry
from impasto.types import Image, Mask, Step

FINENESS = 4
"""A new map's sides over the long edge of the views that it is painted from."""
VIEWS = {"draft": 14, "good": 14, "best": 20}
"""Views that a filter paints, to begin with."""
DRAFT, DRAFT_STEPS = 256, (40, 20, 10)
"""The largest views of a draft, px, and its steps at the coarsest size, at those between, and at the last."""
STEP = 0.4
"""The optimizer's step over that of pictures: what one view asks for others may not."""
LIGHT = 0.3
"""How much the angle to the lamp matters while painting; the lamp is elsewhere in each step, so that it is not painted in."""
SAVING = 6.0
"""Seconds kept for finishing and writing."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A painted model: its maps in the order of the atlas's pages, and the recipe."""

    model: Model
    atlas: Atlas
    maps: Sequence[Image]
    recipe: Mapping[str, Any]


class Painting:
    """One model being painted: plan it, take its `steps()`, ask for its `result()` at any time."""

    def __init__(
        self,
        model: Model,
        styles: Sequence[Style],
        settings: Settings,
        *,
        places: Sequence[str] = (),
        masks: Mapping[str, Mask] | None = None,
        bind: Bind | None = None,
        keep: bool | None = None,
        deadline: float = math.inf,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        """Check everything that can be wrong before any work is done, and plan the levels.

        `places`: for each style a mask, a material or an object (or a pattern, "wall*") that it is for; "" for all others.
        `masks`: by name, over the model's own texture coordinates, at any size; "keep" and "strength" are no places. `bind`:
        makes the filters that painting starts from. `keep`: see `impasto.mesh.atlas.build`.

        Raises:
            UsageError: no style, a place that the model does not have, a mask that selects nothing of it or has no style, a
                size that is not one number, unknown names.
            UnfitPicture: a style too small for the encoder.
            MissingExtra: the extra `mesh` is not installed.
        """
        self.model, self.settings, self.bind, self.names = model, settings, bind, dict(names or {})
        self.size = _size(settings)
        if settings.init not in ("filter", "content"):
            raise UsageError(f"--init {settings.init}: models are painted from filter or content")
        self.styles = pictures.normalized(styles)
        objective.style_loss(settings.style_loss)
        self.device, dtype = devices.choose(settings.device, settings.precision)
        self.encoder = encoders.load(settings.encoder, pooling=settings.pooling).precision(dtype).to(self.device)
        self.encoder.check([*settings.style_layers, *settings.content_layers])
        pictures.check(torch.zeros(1, 3, self.size, self.size), None, self.styles)
        for style in self.styles:
            check_known(style, settings)
        self.atlas = atlases.build(model, FINENESS * self.size, keep=keep)
        self.stage = Stage(model, self.atlas)
        self.sources = [page.image for page in self.atlas.pages]
        self.styles = [self._recolored(style) for style in self.styles]
        self.regions = regions.find(self.stage, list(places) or [""] * len(styles), masks)
        if deadline == math.inf and settings.time:
            deadline = time.monotonic() + settings.time
        self.deadline = deadline - SAVING
        self.levels = self._plan()
        self.state = optimize.State()
        self._points = self.stage.points()
        self._first: list[Image] | None = None
        self.canvas = Canvas(self.sources, self.levels[0].size, self.size, self._view)

    def _plan(self) -> list[Level]:
        if self.settings.quality == "draft" and self.deadline == math.inf and not self.settings.steps:
            sizes = schedule.sizes(*[min(self.size, DRAFT)] * 2)
            steps = schedule.distribute(DRAFT_STEPS, len(sizes))
            levels = [Level(size, count) for size, count in zip(sizes, steps, strict=True)]
        elif self.deadline == math.inf or self.settings.steps:
            levels = schedule.levels(self.size, self.size, self.settings)
        else:
            # a view's content is looked at anew in each step
            rate = 1.5 * schedule.seconds_per_pixel(self.encoder, self.settings)
            levels = schedule.fitting(self.size, self.size, max(0.0, self.deadline - time.monotonic()), rate)
        cap = memory.parse(self.settings.max_memory)
        fit = [level for level in levels if memory.estimate(level.size, level.size, self.encoder.dtype) <= cap]
        if not fit:
            raise UsageError(f"--max-memory {self.settings.max_memory} is too little even for views of {levels[0].size} px")
        return fit

    def plan(self) -> str:
        """What will be done, in one line."""
        maps = ", ".join(f"{page.shape[1]} x {page.shape[0]}" for page in self.atlas.pages)
        kept = sum(page.picture >= 0 for page in self.atlas.pages)
        how = f"{kept} of {len(self.atlas.pages)} with its own layout" if kept else "laid out anew"
        sizes = ", ".join(f"{level.size} px x {level.steps}" for level in self.levels)
        return f"{self.model.count} faces, texture maps of {maps} px ({how}): steps in views of {sizes}"

    def steps(self, *, preview: bool = False) -> Iterator[Step]:
        """Do the work, a step at a time. Closing the generator stops it; `result()` gives what there is.

        Raises:
            PaintingError: values that are not numbers.
        """
        if self.settings.strength == 0:
            return
        if not self.state.made and self.settings.init == "filter" and self.bind is not None:
            yield from self._begin(preview)
        chosen = replace(
            self.settings,
            optimizer="adam",
            step_size=self.settings.step_size * STEP,
            steps=",".join(f"{level.size}:{level.steps}" for level in self.levels),  # losses differ by view: no plateau
        )
        before = 0 if self._first is None else VIEWS[self.settings.quality]
        work = optimize.steps(
            self.canvas, self.objective_at, self.levels, chosen, state=self.state, deadline=self.deadline, preview=preview
        )
        for step in work:
            yield replace(step, index=step.index + before, total=step.total + before)

    def _begin(self, preview: bool) -> Iterator[Step]:
        """Views painted by the filter and brought back to the maps; what they do not show is painted by it as it lies."""
        size = self.levels[0].size
        count = VIEWS[self.settings.quality]
        maps = [self.canvas.fitted(each, size) for each in self.sources]
        found = Collected(self.stage, [(each.shape[-2], each.shape[-1]) for each in maps])
        table, layout, filters = sample.texels(maps), self.stage.layout(maps), sight.brushes(self, size)
        begun = time.monotonic()
        for number, camera in enumerate(cameras.around(self.stage.center, self.stage.frame, count), 1):
            view = self.stage.look(camera, (size, size), layout, relief=LIGHT)
            picture = sight.filtered(self, view, table, layout.shapes, filters)
            found.add(camera, picture)
            left = (time.monotonic() - begun) / number * (count - number)
            yield Step(number, count, preview=picture if preview else None, eta=left, size=(size, size))
        self._first = [finish.filled(image, mask, source) for (image, mask), source in zip(found.maps(), maps, strict=True)]
        self.canvas = Canvas(self._first, size, size, self._view)
        self.canvas.shapes, self.canvas.full = [page.shape for page in self.atlas.pages], self.size

    def _view(self, number: int, size: int, maps: Sequence[Image]) -> tuple[View, Tensor]:
        """What the camera of a step sees, by the lamp of that step, and the background."""
        stage, seed = self.stage, self.settings.seed
        camera = cameras.chance(stage.center, stage.frame, self._points, seed, number)
        random = np.random.default_rng([seed & 0xFFFFFFFF, number, 1])
        lamp = cameras.light(camera, random.uniform(-75, 75), random.uniform(10, 70))
        view = stage.look(camera, (size, size), stage.layout(maps), lamp=lamp, relief=LIGHT)
        return view, self.background() + torch.from_numpy(random.normal(0, 0.04, 3)).float()

    def background(self) -> Tensor:
        """The styles' mean color, which pulls least at silhouettes."""
        return sight.ground(self.styles)

    def objective_at(self, level: Level) -> optimize.Objective:
        """The objective at a level."""
        self.canvas.number = sum(count for _, count in self.state.made)
        return sight.Sight(self, level)

    def _recolored(self, style: Style) -> Style:
        """The style in the model's colors, where those are to be preserved."""
        if self.settings.preserve_color == "off" or style.picture is None:
            return style
        own = torch.cat([page.image[0][:, page.covered[0, 0] > 0] for page in self.atlas.pages], 1)[None, :, None]
        own = own[..., :: max(1, own.shape[-1] // 200_000)]
        image = color.match_color(style.picture.image, own, self.settings.preserve_color, style.picture.alpha)
        return replace(style, picture=style.picture.with_image(image))

    def _iterate(self) -> list[Image]:
        """The maps as they stand, in the atlas's shapes."""
        if not self.state.made or not self.state.made[0][1]:
            maps = self._first or self.sources
        else:
            if self.state.average:
                found = [value / self.state.average_weight for value in self.state.average]
                maps = finish.assembled(self.canvas, found)
            else:
                maps = [each.detach() for each in self.canvas.maps()]
        return [geometry.resize(image.clamp(0, 1), page.shape) for image, page in zip(maps, self.atlas.pages, strict=True)]

    def result(self) -> Painted:
        """The model as it stands, with recipe. At strength 0 as it was.

        Raises:
            PaintingError: maps hold values that are not numbers.
        """
        if self.settings.strength == 0 or (not self.state.made and self._first is None):
            return Painted(self.model, self.atlas, self.sources, self.recipe())
        maps, spared = [], []
        for number, (image, page) in enumerate(zip(self._iterate(), self.atlas.pages, strict=True)):
            if not torch.isfinite(image).all():
                raise PaintingError("a texture map holds values that are not numbers: try --precision fp32, or lower weights")
            if self.settings.preserve_color != "off":
                image = color.preserve_color(image, page.image, self.settings.preserve_color)
            kept = self.regions.unpainted(self.stage, number, page.shape)
            maps.append(finish.bordered(torch.lerp(image, page.image, kept), page))
            spared.append(kept)
        return Painted(self.model, self.atlas, equalize.equalized(self.stage, maps, spared, self.regions.face), self.recipe())

    def recipe(self) -> dict[str, Any]:
        """What the model was made from, and how."""
        return {
            **state.made_with("mesh", self.settings, self.state),
            **self.names,
            "styles": [{"source": each.name, "weight": each.weight, "sha256": each.sha256} for each in self.styles],
        }

    def _identity(self) -> dict[str, Any]:
        """What makes this work this work, for a state to be compared with."""
        return {
            "model": [*map(digest_of, self.sources), digest_of(torch.from_numpy(self.stage.triangles.corners))],
            "styles": [[s.weight, s.sha256 if s.picture is None else digest(s.picture)] for s in self.styles],
            "places": digest_of(torch.from_numpy(self.regions.face)),
            "masks": [[*self.regions.masks], [*map(digest_of, self.regions.planes)]],
            "settings": replace(self.settings, time=0.0).as_dict(),
        }

    def save_state(self, path: Path) -> None:
        """Write all that is needed to go on later to a .safetensors file.

        Raises:
            OutputError: it cannot be written.
        """
        state.save(path, self.canvas, self.state, self.levels, self._identity())

    def load_state(self, path: Path) -> None:
        """Go on from a state that `save_state` wrote.

        Raises:
            WeightsError: a damaged file, or not a state.
            UsageError: the state of other work.
        """
        settings = replace(self.settings, optimizer="adam", step_size=self.settings.step_size * STEP)
        self.state, self.levels = state.load(path, self.canvas, settings, self._identity())


def digest_of(values: Tensor) -> str:
    """SHA-256 of numbers and their shape."""
    return hashlib.sha256(repr(tuple(values.shape)).encode() + values.contiguous().numpy().tobytes()).hexdigest()


def _size(settings: Settings) -> int:
    size = geometry.parse_size(settings.size)
    if not isinstance(size, int):
        raise UsageError(f"--size {settings.size}: of models it is the long edge of views, one number of px")
    return size


__all__ = ["Camera", "Painted", "Painting"]
