"""A photograph painted in the style of one or several pictures, by optimization."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from impasto import device as devices
from impasto.errors import PaintingError
from impasto.features import encoders
from impasto.features.encoders import VGG
from impasto.paint import memory, objective, optimize, pictures, schedule, state, tiled
from impasto.paint.objective import Objective
from impasto.paint.optimize import Level
from impasto.paint.pictures import Style, Stylized, digest, product
from impasto.paint.regions import Region
from impasto.paint.settings import Settings
from impasto.paint.sources import Sources, check_known
from impasto.paint.start import Bind, filtered, first_picture
from impasto.pixels import color, geometry
from impasto.pixels.io import Picture
from impasto.types import Image, Mask, Step, Stylizer

log = logging.getLogger(__name__)
LARGE, FAR = 512, 256
"""Pictures larger than this are also judged as they are seen from afar, at this long edge, px: so the same strength looks the
same at every size, and large pictures keep the composition that they were given when they were small."""
SAVING = 0.7, 1.2e-6
"""Seconds kept for finishing and writing the result: once, and for each pixel."""


class Painting:
    """One picture being painted: plan it, take its `steps()`, ask for its `result()` at any time."""

    def __init__(
        self,
        content: Picture,
        styles: Sequence[Style],
        settings: Settings,
        *,
        regions: Sequence[Region] = (),
        keep: Mask | None = None,
        strength_mask: Mask | None = None,
        color_mask: Mask | None = None,
        start: Image | Stylizer | None = None,
        bind: Bind | None = None,
        deadline: float = math.inf,
        names: Mapping[str, Any] | None = None,
        encoder: VGG | None = None,
    ) -> None:
        """Check everything that can be wrong before any work is done, and plan the levels.

        `regions`: which styles go where (see `impasto.paint.regions`); none: all styles everywhere. `keep`: where the content
        stays as it is. `strength_mask`: how much style, by place. `color_mask`: where `settings.preserve_color` counts. Masks
        are of the content's shape, at any size. `start`: a picture or a stylizer to start from, instead of `settings.init`.
        `bind`: makes the filters that init "filter" starts from, and that quality "draft" is painted by in one pass.
        `deadline`: `time.monotonic()` by which the result must be written; by default `settings.time` from now. `names` is
        added to the recipe. `encoder`: what `loaded` gives for these settings, for who paints many pictures.

        Raises:
            UnfitPicture: content or a style too small for the encoder.
            UsageError: no style, weights that are not positive, unknown names of layers, devices, losses, too small a cap.
        """
        self.content, self.settings, self.names = content, settings, dict(names or {})
        self.start, self.bind = start, bind
        if start is not None:
            self.names["start"] = "given by the program"
        self.styles = pictures.normalized(styles)
        objective.style_loss(settings.style_loss)
        self.device, _ = devices.choose(settings.device, settings.precision)
        self.encoder = loaded(settings) if encoder is None else encoder
        self.encoder.check([*settings.style_layers, *settings.content_layers])
        size = geometry.parse_size(settings.size)
        self.full = geometry.fit(content.image, size).to(self.device)
        self.alpha = self._whole(content.alpha)
        self.visible = self.full  # the content as it is looked at: with nothing of what lies under transparency
        if content.alpha is not None and self.alpha is not None:
            self.visible = geometry.fit(geometry.fill(content.image, content.alpha), size).to(self.device)
            self.full = torch.where(self.alpha > 0, self.visible, self.full)
        pictures.check(self.full, self.alpha, self.styles)
        pictures.note_enlarged(self.names.get("content", {}), content.size, self.shape)
        self.regions = list(regions) or [Region("", None, tuple((index, None) for index in range(len(self.styles))))]
        self.keep, self.strength_mask, self.color_mask = map(self._whole, (keep, strength_mask, color_mask))
        self.styles = [self._recolored(style) for style in self.styles]
        if deadline == math.inf and settings.time:
            deadline = time.monotonic() + settings.time
        self.deadline = deadline - SAVING[0] - SAVING[1] * math.prod(self.shape)
        for style in self.styles:
            if not self.drafted:  # a filter compares nothing
                check_known(style, settings)
        self.filters = self._bound(max(self.shape), self._filter_tile()) if self.drafted else []
        self.levels = self._plan()
        self.state = optimize.State()
        self.canvas = optimize.Picture(self.visible if self.drafted else self._begin(self.levels[0].size), self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result."""
        return self.full.shape[-2], self.full.shape[-1]

    @property
    def drafted(self) -> bool:
        """Whether filters paint it in one pass, without steps."""
        chosen = self.settings
        plain = not chosen.steps and self.deadline == math.inf and chosen.init == "filter" and self.start is None
        return chosen.quality == "draft" and plain and self.bind is not None

    def _whole(self, mask: Mask | None) -> Mask | None:
        """A mask in the result's size."""
        return None if mask is None else geometry.resize(mask.to(self.device), self.shape)

    def _recolored(self, style: Style) -> Style:
        """The style in the content's colors, where those are to be preserved (Gatys et al., CVPR 2017, section 5)."""
        if self.settings.preserve_color == "off" or self.color_mask is not None:
            return style  # by place, the painting keeps its colors and only the result is given the photograph's
        if style.picture is None:
            return style  # of statistics no colors can be changed: only the result is given the photograph's
        picture, mode = style.picture, self.settings.preserve_color
        opaque = None if self.alpha is None else self.alpha.cpu()
        image = color.match_color(picture.image, self.full.cpu(), mode, picture.alpha, opaque)
        return replace(style, picture=picture.with_image(image))

    def _plan(self) -> list[Level]:
        height, width = self.shape
        if self.drafted:
            return []
        if self.deadline == math.inf or self.settings.steps:
            levels = schedule.levels(height, width, self.settings)
        else:
            rate = schedule.seconds_per_pixel(self.encoder, self.settings) * self._tiling(height, width)
            levels = schedule.fitting(height, width, max(0.0, self.deadline - time.monotonic()), rate)
        cap = memory.parse(self.settings.max_memory)
        if cap == math.inf:
            return levels
        # the largest first: it is what a cap that is too small fails at
        levels = [self._limited(level, cap) for level in reversed(levels)][::-1]
        if any(level.tile for level in levels):
            tiled.check(self.settings)
        return levels

    @property
    def _anchored(self) -> bool:
        return self.settings.strength < 1 or self.strength_mask is not None

    def _limited(self, level: Level, cap: float) -> Level:
        """A level whose tiles and history stay under the cap."""
        shape = geometry.sizes(*self.shape, level.size)
        return memory.limited(level, *shape, self.encoder.dtype, cap, anchored=self._anchored)

    def _tiling(self, height: int, width: int) -> float:
        """How many times longer a step takes over tiles, where the full size needs them: overlaps, and passes more."""
        cap = memory.parse(self.settings.max_memory)
        if cap == math.inf:
            return 1.0
        tile = self._limited(Level(max(height, width), 1), cap).tile
        return 1.7 * ((tile + memory.OVERLAP) / tile) ** 2 if tile else 1.0

    def plan(self) -> str:
        """What will be done, in one line."""
        if self.drafted:
            tile = self._filter_tile()
            needed = memory.filter_estimate(*self.shape, tile) / 1e9
            tiles = f" in tiles of {tile} px" if tile else ""
            return f"{self.shape[1]} x {self.shape[0]} px: one pass of a filter; about {needed:.1f} GB{tiles}"
        sizes = ", ".join(f"{level.size} px x {level.steps}" for level in self.levels)
        height, width = self.shape
        enlarged = "" if self.levels[-1].size == max(height, width) else ", then enlarged"
        last = self.levels[-1]
        shape = geometry.sizes(height, width, last.size)
        needed = memory.estimate(*shape, self.encoder.dtype, last.tile, last.history, anchored=self._anchored)
        tiles = f" in tiles of {last.tile} px" if last.tile else ""
        return f"{width} x {height} px: steps at {sizes}{enlarged}; about {needed / 1e9:.1f} GB{tiles}"

    def steps(self, *, preview: bool = False) -> Iterator[Step]:
        """Do the work, a step at a time. Closing the generator stops it; `result()` gives what there is.

        Raises:
            PaintingError: values that are not numbers, or a flat result.
        """
        if self.settings.strength == 0:
            return
        if self.drafted:
            self.canvas, self.state.made = optimize.Picture(self._filtered(self.visible), self.shape), [[max(self.shape), 0]]
            yield Step(1, 1, preview=self.canvas.render().detach() if preview else None, size=self.shape)
            return
        yield from optimize.steps(
            self.canvas,
            self.objective_at,
            self.levels,
            self.settings,
            state=self.state,
            deadline=self.deadline,
            preview=preview,
        )
        if self.deadline < math.inf and self.state.made[0][1] < min(schedule.LEAST[0], self.levels[0].steps):
            count = self.state.made[0][1]
            log.warning("the time was too short: %d steps at %d px; give more, or a smaller --size", count, self.levels[0].size)
        pictures.guard(self.canvas.render().detach(), self.full, self.styles)

    def objective_at(self, level: Level) -> optimize.Objective:
        """The objective at a level: style and content looked at in its size, and in large pictures also from afar."""
        if level.size <= LARGE:
            return self._seen_at(level)
        far = geometry.sizes(*self.shape, FAR)
        return objective.Scales(self._seen_at(level), self._seen_at(Level(FAR, 0)), far)

    def _seen_at(self, level: Level) -> optimize.Objective:
        shape = geometry.sizes(*self.shape, level.size)
        content = geometry.resize(self.visible, shape)
        terms = objective.smoothness_terms(self.settings)
        terms += objective.content_terms(content, self._looking(level), self.settings)
        terms += objective.anchor_terms(content, self._looking(level), self.settings, self._anchor(shape))
        paintable = self._paintable(shape)
        sources = Sources(self.encoder, self.settings, level, self.device)
        for region in self.regions:
            mask = product(paintable, None if region.mask is None else geometry.resize(region.mask.to(self.device), shape))
            area = _mean(mask) * (1.0 if self.strength_mask is not None else objective.pull(self.settings.strength))
            if area > 0:
                found = [sources.of(self.styles[index], chosen) for index, chosen in region.sources]
                terms += objective.style_terms(objective.shared(found, region.name), self.settings, mask, area)
        if level.tile:
            return tiled.TiledObjective(self.encoder, terms, level.tile, content, self.settings.seed)
        return Objective(self.encoder, terms)

    def _looking(self, level: Level) -> objective.Look:
        """How content is looked at; over tiles its features are taken tile by tile, in each step."""
        return objective.unseen if level.tile else self.encoder

    def _opaque(self, shape: tuple[int, int]) -> Mask | None:
        """Where anything may be painted: not what is transparent, nor what is kept."""
        kept = None if self.keep is None else 1 - self.keep
        masks = [geometry.resize(mask, shape) for mask in (self.alpha, kept) if mask is not None]
        return math.prod(masks[1:], start=masks[0]) if masks else None

    def _paintable(self, shape: tuple[int, int]) -> Mask | None:
        """How much each pixel counts in the statistics of style: by the strength mask, where anything may be painted."""
        if self.strength_mask is None:
            return self._opaque(shape)
        return product(objective.pull(self.settings.strength * geometry.resize(self.strength_mask, shape)), self._opaque(shape))

    def _anchor(self, shape: tuple[int, int]) -> Mask | float:
        """How much each pixel is held at the content: what strength leaves."""
        if self.strength_mask is None:
            return 1 - objective.pull(self.settings.strength)
        return 1 - objective.pull(self.settings.strength * geometry.resize(self.strength_mask, shape))

    def _begin(self, size: int) -> Image:
        """The picture to start from, at a long edge of `size` px."""
        content = geometry.resize(self.visible, geometry.sizes(*self.shape, size))
        return first_picture(content, self.styles, self.settings, self.start, None if self.bind is None else self._filtered)

    def _filter_tile(self) -> int:
        """Edge of the tiles that a filter paints the whole picture in, px; 0: at once."""
        return memory.filter_tile(*self.shape, memory.parse(self.settings.max_memory))

    def _bound(self, size: int, tile: int = 0) -> list[Stylizer]:
        """The filter of each region, for pictures of a long edge of `size` px."""
        if self.bind is None:
            raise PaintingError("there is no filter")
        return [self.bind([self.styles[index] for index, _ in region.sources], size, tile) for region in self.regions]

    def _filtered(self, content: Image) -> Image:
        filters = self.filters or self._bound(max(content.shape[-2:]))
        return filtered(filters, content, self.regions, self.settings.strength, self.strength_mask)

    def result(self) -> Stylized:
        """The picture as it stands, with alpha and recipe. At strength 0 the content itself.

        Raises:
            PaintingError: the picture holds values that are not numbers.
        """
        image = self.full
        if self.settings.strength > 0 and self.state.made:
            image = self._composed(geometry.resize(self._iterate().clamp(0, 1), self.shape))
        if not torch.isfinite(image).all():
            raise PaintingError("the picture holds values that are not numbers: try --precision fp32, or lower weights")
        alpha = None if self.alpha is None else self.alpha.cpu()
        return Stylized(self.content.with_image(image.cpu(), alpha), self.recipe())

    def _iterate(self) -> Image:
        """What is on the canvas; with Adam the average of iterates, as the level would end with."""
        if self.state.average:
            return self.state.average[0] / self.state.average_weight
        return self.canvas.render().detach()

    def _composed(self, image: Image) -> Image:
        """The painted picture with what is to stay of the content: colors, kept places, what lies under transparency."""
        visible = None if self.alpha is None else (self.alpha > 0).float()
        if self.settings.preserve_color != "off":
            image = color.preserve_color(image, self.full, self.settings.preserve_color, product(self.color_mask, visible))
        if self.strength_mask is not None:
            # the objective did the work; only where hardly any style is wanted is the content itself laid over
            image = torch.lerp(self.full, image, (self.strength_mask * 20).clamp(0, 1))
        if self.keep is not None:
            image = torch.lerp(image, self.full, self.keep)
        return image if self.alpha is None else torch.where(self.alpha > 0, image, self.full)

    def recipe(self) -> dict[str, Any]:
        """All that is needed to make the picture again: settings with the steps that were made, and what it was made from."""
        return {
            **state.made_with("image", self.settings, self.state),
            **self.names,
            "styles": self._named_styles(),
        }

    def _named_styles(self) -> list[dict[str, Any]]:
        return [{"source": style.name, "weight": style.weight, "sha256": style.sha256} for style in self.styles]

    def _identity(self) -> dict[str, Any]:
        """What makes this work this work, for a state to be compared with."""
        masks = [mask for mask in (self.keep, self.strength_mask, self.color_mask) if mask is not None]
        masks += [
            mask for region in self.regions for mask in (region.mask, *(own for _, own in region.sources)) if mask is not None
        ]
        settings = replace(self.settings, time=0.0).as_dict()
        return {
            "content": digest(self.content),
            "styles": [[s.weight, s.sha256 if s.picture is None else digest(s.picture)] for s in self.styles],
            "masks": [hashlib.sha256(mask.cpu().contiguous().numpy().tobytes()).hexdigest() for mask in masks],
            "settings": settings,
            "network": self.names.get("network"),
        }

    def save_state(self, path: Path) -> None:
        """Write all that is needed to go on later, bit for bit, to a .safetensors file.

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
        self.state, self.levels = state.load(path, self.canvas, self.settings, self._identity())


def loaded(settings: Settings) -> VGG:
    """The encoder that a picture is painted with, where it is painted.

    Raises:
        UsageError: no such encoder, device or precision.
        WeightsError: a damaged file, or not a VGG.
    """
    device, dtype = devices.choose(settings.device, settings.precision)
    return encoders.load(settings.encoder, pooling=settings.pooling).precision(dtype).to(device)


def _mean(mask: Mask | None) -> float:
    return 1.0 if mask is None else max(float(mask.mean()), 1e-12)
