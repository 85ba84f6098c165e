"""Textures: pictures of any size that look everywhere like an exemplar, and that repeat without a seam.

The objective is that of pictures without its content: the exemplar's statistics, looked at in the same scale at each size
of the pyramid, so that the texture's features keep the size in pixels that they have in the exemplar (times `style_scale`).
Statistics forget places, so bricks would become a heap of bricks; the coarsest size begins with an arrangement of the
exemplar's patches (`impasto.paint.patchwork`), and what it holds together the steps leave together.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from impasto import device as devices
from impasto.errors import PaintingError, UnfitPicture, UsageError
from impasto.features import encoders, statistics
from impasto.features.encoders import MIN_SIDE
from impasto.paint import memory, objective, optimize, patchwork, pictures, schedule, start, state, tiled
from impasto.paint.companions import TILES, looked_at
from impasto.paint.objective import Objective, Source, Term
from impasto.paint.optimize import Level
from impasto.paint.periodic import Canvas, Frame, Gamut, frame, resampled
from impasto.paint.pictures import Style, Stylized, digest, opened, product
from impasto.paint.regions import Region
from impasto.paint.settings import Settings, parse_steps, settings_from
from impasto.pixels import geometry, io
from impasto.pixels.io import Picture
from impasto.types import Image, ImageLike, Mask, Step

COARSEST = 64
"""Short side of the exemplar at the coarsest size, px: there the arrangement is made."""
PLAIN = 1 / 255
"""An exemplar whose colors deviate by less is no texture."""
STEPS = {"draft": (10, 4, 6), "good": (15, 6, 12), "best": (40, 20, 50)}
"""Steps at the coarsest size, at those between, and at the last: fewer than a picture takes, for patches bring the details."""
BOUNDS = 50.0
"""Weight of colors that no exemplar has, beside that of style."""
SAVING = 0.7, 1.2e-6
"""Seconds kept for finishing and writing the result: once, and for each pixel."""


class Texture:
    """One texture being made: plan it, take its `steps()`, ask for its `result()` at any time."""

    def __init__(
        self,
        exemplars: Sequence[Style],
        settings: Settings,
        *,
        tile: str = "",
        regions: Sequence[Region] = (),
        deadline: float = math.inf,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        """Check everything that can be wrong before any work is done, and plan the levels.

        `exemplars`: pictures with weights. `tile`: "" (does not repeat), "x" or "xy". `regions`: which exemplars go where;
        none: all of them everywhere, mixed. `deadline`: `time.monotonic()` by which the result must be written; by default
        `settings.time` from now. `names` is added to the recipe.

        Raises:
            UnfitPicture: a result or an exemplar too small for the encoder, an exemplar of one color.
            UsageError: no exemplar, weights that are not positive, unknown names, too small a cap of memory.
        """
        if tile not in TILES:
            raise UsageError(f"tile {tile!r} is not one of {', '.join(repr(each) for each in TILES)}")
        objective.style_loss(settings.style_loss)
        self.settings, self.tile, self.wrap, self.names = settings, tile, TILES[tile], dict(names or {})
        if regions and "masks" not in self.names:
            self.names["regions"] = "given by the program"
        self.given = pictures.normalized(exemplars)
        self.shape = shape_of(settings.size, self.given[0].open())
        for exemplar in self.given:
            _check(exemplar)
        if min(self.shape) < MIN_SIDE:
            raise UnfitPicture(f"a texture of {self.shape[1]} x {self.shape[0]} px: {MIN_SIDE} px a side at least")
        self.exemplars = [replace(each, picture=looked_at(each.open(), settings.style_scale, self.shape)) for each in self.given]
        self.device, dtype = devices.choose(settings.device, settings.precision)
        self.encoder = encoders.load(settings.encoder, pooling=settings.pooling).precision(dtype).to(self.device)
        self.encoder.check(settings.style_layers)
        self.periodic = copy.copy(self.encoder)  # the same weights
        self.periodic.padding = "circular" if tile == "xy" else "circular-x"
        everywhere = Region("", None, tuple((index, None) for index in range(len(self.exemplars))))
        self.regions = list(regions) or [everywhere]
        if deadline == math.inf and settings.time:
            deadline = time.monotonic() + settings.time
        self.deadline = deadline - SAVING[0] - SAVING[1] * self.shape[0] * self.shape[1]
        self.levels = self._plan()
        self.state = optimize.State()
        first = self.levels[0].size
        gamut = self._gamut(max(self.shape))
        self.canvas = Canvas(self._begin(first), self.frame, first, self.wrap, self._enlarged, gamut)

    def _plan(self) -> list[Level]:
        settings, (height, width) = self.settings, self.shape
        short = min(min(each.open().size) for each in self.exemplars)
        least = max(height, width) * max(COARSEST / short, 2 * MIN_SIDE / min(height, width))
        sizes = self.sizes = geometry.pyramid(max(height, width), math.ceil(least))
        asked = parse_steps(settings.steps)
        if isinstance(asked, dict):
            levels = schedule.levels(height, width, settings)
        elif self.deadline < math.inf and asked is None:
            rate = schedule.seconds_per_pixel(self.encoder, settings)
            found = schedule.fitting(height, width, max(0.0, self.deadline - time.monotonic()), rate)
            levels = [level for level in found if level.size >= sizes[0]] or found[-1:]
        else:
            shares = schedule.distribute(STEPS[settings.quality], len(sizes))
            levels = [Level(size, count) for size, count in zip(sizes, _divided(shares, asked), strict=True) if count]
        levels = [self._limited(level) for level in reversed(levels)][::-1]
        if any(level.tile for level in levels):
            tiled.check(settings)
        return levels

    def _limited(self, level: Level) -> Level:
        """A level whose tiles and history stay under the cap of memory."""
        cap = memory.parse(self.settings.max_memory)
        return level if cap == math.inf else memory.limited(level, *self._shape_at(level.size), self.encoder.dtype, cap)

    def _shape_at(self, size: int) -> tuple[int, int]:
        """Height and width at a long edge; on the way to the full size multiples of 16 where it repeats."""
        if size == max(self.shape):
            return self.shape
        sides = geometry.sizes(*self.shape, size)
        height, width = (
            max(tiled.STRIDE, round(side / tiled.STRIDE) * tiled.STRIDE) if around else side
            for side, around in zip(sides, self.wrap, strict=True)
        )
        return height, width

    def frame(self, size: int) -> Frame:
        """How the texture is seen at a long edge of so many px."""
        shape = self._shape_at(size)
        whole = all(side % tiled.STRIDE == 0 for side, around in zip(shape, self.wrap, strict=True) if around)
        plain = not any(self.wrap) or (whole and not self._limited(Level(size, 1)).tile)
        border = 0 if plain else tiled.margin(self.encoder, self.settings.style_layers)
        found = frame(shape, self.wrap, border, self.settings.seed)
        inside = None if found.inside is None else found.inside.to(self.device)
        return replace(found, rows=found.rows.to(self.device), columns=found.columns.to(self.device), inside=inside)

    def plan(self) -> str:
        """What will be done, in one line."""
        sizes = ", ".join(f"{level.size} px x {level.steps}" for level in self.levels)
        height, width = self.shape
        last = self.levels[-1]
        needed = memory.estimate(*self._shape_at(last.size), self.encoder.dtype, last.tile, last.history)
        enlarged = "" if last.size == max(height, width) else ", then enlarged"
        tiles = f" in tiles of {last.tile} px" if last.tile else ""
        return f"{width} x {height} px: steps at {sizes}{enlarged}; about {needed / 1e9:.1f} GB{tiles}"

    def steps(self, *, preview: bool = False) -> Iterator[Step]:
        """Do the work, a step at a time. Closing the generator stops it; `result()` gives what there is.

        Raises:
            PaintingError: values that are not numbers.
        """
        work = optimize.steps(
            self.canvas, self.objective_at, self.levels, self.settings, state=self.state, deadline=self.deadline
        )
        for step in work:
            pixels = self.canvas.pixels
            shown = pixels.detach().clamp(0, 1) if preview else None
            yield replace(step, preview=shown, size=(pixels.shape[-2], pixels.shape[-1]))

    def objective_at(self, level: Level) -> optimize.Objective:
        """The objective at a level: the exemplars' statistics, looked at in its scale."""
        seen = self.frame(level.size)
        terms = objective.smoothness_terms(self.settings)
        weight = BOUNDS * self.settings.style_weight
        terms.append(Term("bounds", "input", weight, statistics.identity, self._gamut(level.size).excess, seen.inside))
        for region in self.regions:
            part = None if region.mask is None else geometry.resize(region.mask.to(self.device), seen.shape)
            mask = product(seen.inside, None if part is None else seen.show(part))
            area = 1.0 if part is None else max(float(part.mean()), 1e-12)
            sources = [self._source(index, level) for index, _ in region.sources]
            terms += objective.style_terms(objective.shared(sources, region.name), self.settings, mask, area)
        encoder = self.periodic if any(self.wrap) and seen.inside is None else self.encoder
        if level.tile:
            return tiled.TiledObjective(encoder, terms, level.tile, None, self.settings.seed)
        return Objective(encoder, terms)

    def _source(self, index: int, level: Level) -> Source:
        """The statistics of an exemplar at a level, over its opaque pixels."""
        exemplar, layers = self.exemplars[index], self.settings.style_layers
        image, mask = self._look(index, level.size)
        loss = objective.style_loss(self.settings.style_loss)
        if level.tile:
            found = tiled.moments(self.encoder, image, layers, mask, level.tile)
            additive = loss.statistic is statistics.moments
            return Source({layer: value if additive else value.second for layer, value in found.items()}, exemplar.weight)
        with torch.no_grad():
            features = self.encoder(image, layers)
            return Source({layer: loss.statistic(features[layer], mask) for layer in layers}, exemplar.weight)

    def _look(self, index: int, size: int) -> tuple[Image, Mask | None]:
        """An exemplar, and what of it counts, in the scale of a long edge of so many px."""
        picture = self.exemplars[index].open()
        least = 2 * MIN_SIDE / min(picture.size)
        scale = min(1.0, max(size / max(self.shape), least))
        shape = round(picture.size[0] * scale), round(picture.size[1] * scale)
        mask = None if picture.alpha is None else geometry.resize(picture.alpha.to(self.device), shape)
        return geometry.resize(picture.image.to(self.device), shape), mask

    def _gamut(self, size: int) -> Gamut:
        return Gamut.of([self._look(index, size) for index in range(len(self.exemplars))])

    def _begin(self, size: int) -> Image:
        """The first picture on the canvas: `settings.init`, or else the exemplars' patches arranged anew."""
        shape, init = self._shape_at(size), self.settings.init
        if init in ("noise", "gray", "style"):
            return start.noise(init, torch.Size((1, 3, *shape)), self.settings.seed, self.exemplars).to(self.device)
        if init not in ("filter", "content"):
            return geometry.resize(io.load(init).image.to(self.device), shape)
        way = [*(each for each in self.sizes if each < size), size]
        image = self._arranged(way[0])  # of few patches: time and memory grow with the square of their number
        for each in way[1:]:
            image = self._enlarged(image, each).clamp(0, 1)
        return image

    def _arranged(self, size: int) -> Image:
        """The exemplars' patches arranged anew."""
        shape = self._shape_at(size)
        whole = torch.zeros(1, 3, *shape)
        for region in self.regions:
            total = sum(self.exemplars[index].weight for index, _ in region.sources)
            mask = torch.ones(1, 1, *shape) if region.mask is None else geometry.resize(region.mask.cpu(), shape)
            for index, _ in region.sources:
                image, opaque = self._look(index, size)
                made = patchwork.arrange(image, shape, self.wrap, self.settings.seed + index, opaque)
                whole += mask * made * (self.exemplars[index].weight / max(total, 1e-12))
        return whole.to(self.device)

    def _enlarged(self, image: Image, size: int) -> Image:
        """The texture at a larger size, its details taken from where it resembles the exemplar; a mixture's only enlarged."""
        shape = self._shape_at(size)
        smooth = resampled(image, shape, self.wrap)
        whole = torch.zeros_like(smooth)
        for region in self.regions:
            mask = 1.0 if region.mask is None else geometry.resize(region.mask.to(self.device), shape)
            alone = len(region.sources) == 1
            whole += mask * (self._detailed(image, region.sources[0][0], shape, size) if alone else smooth)
        return whole

    def _detailed(self, image: Image, index: int, shape: tuple[int, int], size: int) -> Image:
        """A smaller texture put together anew of an exemplar's larger patches."""
        before = max(image.shape[-2:])
        source, opaque = self._look(index, before)
        larger, _ = self._look(index, size)
        field = patchwork.trace(image, source, self.wrap, self.settings.seed, opaque)
        sides = [(each.shape[-2], each.shape[-1]) for each in (source, larger)]
        field = patchwork.enlarged(field, shape, *sides)
        return patchwork.carry(larger.cpu(), field, self.wrap, radius=0).to(self.device)

    def result(self) -> Stylized:
        """The texture as it stands, with its recipe.

        Raises:
            PaintingError: it holds values that are not numbers.
        """
        image = self.canvas.pixels.detach()
        if self.state.average:
            image = self.state.average[0] / self.state.average_weight
        image = self.canvas.gamut.nearest(image)
        if tuple(image.shape[-2:]) != self.shape:
            image = resampled(image, self.shape, self.wrap)
        if not torch.isfinite(image).all():
            raise PaintingError("the texture holds values that are not numbers: try --precision fp32, or lower weights")
        picture = self.given[0].open()
        return Stylized(Picture(image.clamp(0, 1).cpu(), None, picture.bits, picture.icc, None, picture.scene), self.recipe())

    def recipe(self) -> dict[str, Any]:
        """All that is needed to make the texture again: settings with the steps that were made, and what it was made from."""
        return {
            **state.made_with("texture", self.settings, self.state),
            **self.names,
            "tile": self.tile,
            "exemplars": [{"source": each.name, "weight": each.weight, "sha256": each.sha256} for each in self.given],
        }

    def _identity(self) -> dict[str, Any]:
        """What makes this work this work, for a state to be compared with."""
        masks = [region.mask for region in self.regions if region.mask is not None]
        return {
            "exemplars": [[each.weight, digest(each.open())] for each in self.given],
            "masks": [hashlib.sha256(mask.cpu().contiguous().numpy().tobytes()).hexdigest() for mask in masks],
            "tile": self.tile,
            "settings": replace(self.settings, time=0.0).as_dict(),
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


def shape_of(text: str, exemplar: Picture) -> tuple[int, int]:
    """Height and width of a texture: one number is a square, "full" the exemplar's own size."""
    size = geometry.parse_size(text)
    if size is None:
        return exemplar.size
    return (size, size) if isinstance(size, int) else size


def _divided(shares: Sequence[int], total: int | None) -> list[int]:
    """Steps brought to the given total, in proportion, the first sizes favored."""
    if total is None:
        return list(shares)
    reached = [0, *accumulate(shares)]
    return [after - before for before, after in pairwise(-(-total * each // reached[-1]) for each in reached)]


def _check(exemplar: Style) -> None:
    picture = exemplar.open()
    what, (height, width) = f"exemplar {exemplar.name or 'picture'}", picture.size
    if min(picture.size) < MIN_SIDE:
        raise UnfitPicture(f"{what} is {width} x {height} px: {MIN_SIDE} px a side at least")
    shown = _shown(picture)
    if shown.shape[-1] < MIN_SIDE**2:
        raise UnfitPicture(f"{what} is transparent nearly everywhere: there is nothing to see")
    if float(shown.std(-1).max()) < PLAIN:
        raise UnfitPicture(f"{what} is of one color: there is no texture to make more of")


def _shown(picture: Picture) -> Tensor:
    """The colors of a picture where it is opaque, 3 x count."""
    return picture.image[0].flatten(1) if picture.alpha is None else picture.image[0, :, picture.alpha[0, 0] > 0.5]


def synthesize(
    exemplars: ImageLike | Sequence[ImageLike | tuple[ImageLike, float]],
    *,
    tile: str = "",
    regions: Sequence[Region] = (),
    **settings: Any,
) -> Stylized:
    """Make a texture of any size that looks everywhere like one or several exemplars.

    `exemplars`: a picture, or a list of pictures or (picture, weight). `tile`: "x" repeats sideways, "xy" in both
    directions. `regions`: which exemplars go where, as `impasto.paint.regions.from_masks` makes them. `settings`: the fields
    of `Settings` (size=512 or "1024x768", quality="good", style_scale=1.0, seed=0 ...); those of content do not count.

    Raises:
        ImpastoError: a picture that cannot be used, a wrong setting, or work that went wrong; see `impasto.errors`.
    """
    texture = Texture(opened_exemplars(exemplars), settings_from(settings), tile=tile, regions=regions)
    for _ in texture.steps():
        pass
    return texture.result()


def opened_exemplars(exemplars: ImageLike | Sequence[ImageLike | tuple[ImageLike, float]]) -> list[Style]:
    """What users hand in as exemplars, opened.

    Raises:
        PictureError: one that cannot be read.
    """
    found = []
    for entry in exemplars if isinstance(exemplars, list | tuple) else [exemplars]:
        source, weight = entry if isinstance(entry, tuple) else (entry, 1.0)
        picture, names = opened(cast("ImageLike", source))
        found.append(Style(picture, float(weight), names["source"], names["sha256"]))
    return found
