"""A painting made from a doodle: a map of flat colors, painted like the same colors in the maps of paintings.

Champandard, "Semantic Style Transfer and Turning Two-Bit Doodles into Fine Artwork", 2016. Patches of the paintings are laid
by the map (`impasto.paint.collage`), which gives strokes that follow it and sharp borders; the optimizer then brings each
region to the statistics of its own in the paintings, and holds the picture at what was laid.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from impasto import device as devices
from impasto.errors import UsageError
from impasto.features import statistics
from impasto.features.statistics import Moments
from impasto.paint import charts, collage, objective, optimize, regions, schedule
from impasto.paint.collage import SEMANTIC_WEIGHT, Piece
from impasto.paint.image import Painting
from impasto.paint.objective import Objective, Term
from impasto.paint.optimize import Level
from impasto.paint.pictures import Style, Stylized, opened
from impasto.paint.settings import Settings, settings_from
from impasto.pixels import color, geometry
from impasto.pixels.picture import Picture
from impasto.types import Features, Image, ImageLike, Mask, Step

log = logging.getLogger(__name__)

WAYS = ("both", "patches", "statistics")
"""Patches laid by the map and then the regions' statistics; or one of the two alone."""
STEPS = {"draft": 4, "good": 16, "best": 50}
"""Steps at the last size, by quality: what was laid is nearly there."""
MOST_STEPS = 80
"""No more steps than these fill a time."""
HELD_LAYERS, HELD = ("relu2_1", "relu3_1"), 1.0
"""Where the picture is held at what was laid, and how firmly beside a photograph. These layers see strokes; statistics alone
would move them across borders."""
LEAST_SHARE = 1e-3
"""Positions of less weight than this, the mean being 1, are left out of a region's statistics."""


class Doodle(Painting):
    """One doodle being painted: plan it, take its `steps()`, ask for its `result()` at any time."""

    def __init__(
        self,
        drawing: Picture,
        styles: Sequence[Style],
        style_maps: Sequence[Picture],
        settings: Settings,
        *,
        content: Picture | None = None,
        way: str = WAYS[0],
        semantic_weight: float = SEMANTIC_WEIGHT,
        deadline: float = math.inf,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        """Check everything that can be wrong before any work is done.

        `drawing`: the map; `style_maps`: one for each style. `content`: a photograph of the map's shape. `names` as the recipe
        keeps them; "map" and "style_maps" are used in messages too. `notes` tell what was snapped to what.

        Raises:
            UnfitPicture: a map of another shape than its picture, or too small a picture.
            UsageError: maps whose colors do not match, that are no maps, or wrong settings.
        """
        self.asked, self.way, self.semantic_weight, self.photo = settings, way, semantic_weight, content is not None
        self._check(len(styles), len(style_maps))
        kept = {"way": way, "semantic_weight": "inf" if semantic_weight == math.inf else semantic_weight, **(names or {})}
        size = geometry.parse_size(settings.size)
        edge = max(charts.LARGEST, max(size) if isinstance(size, tuple) else size or max(drawing.size))
        sources = [kept.get("map", {}), *kept.get("style_maps", [{}] * len(styles))]
        titles = [each.get("source") or what for each, what in zip(sources, _titles(len(styles)), strict=True)]
        read = [charts.chart(picture, title, edge) for picture, title in zip([drawing, *style_maps], titles, strict=True)]
        if len(read[0].colors) == 1:
            raise UsageError(
                f"{titles[0]} has one color, {charts.named(read[0].colors[0])}: a map says what goes where with two or more"
            )
        pictures = [content or drawing, *(style.open("a doodle") for style in styles)]
        for each, picture in zip(read, pictures, strict=True):
            regions.fit_mask(each.image[:, :1], picture.size, each.name)
        self.notes = [*(each.note for each in read if each.note), *charts.matched(read[0], read[1:])]
        found = regions.from_maps(read[0].image, [each.image for each in read[1:]], tolerance=charts.TOLERANCE)
        self.pieces = [
            _piece(number, picture, style.weight, found)
            for number, (style, picture) in enumerate(zip(styles, pictures[1:], strict=True))
        ]
        plain = content or Picture(read[0].image)
        super().__init__(plain, styles, self._inner(plain.size), regions=found, deadline=deadline, names=kept)
        self._laying = iter(()) if way == "statistics" or settings.strength == 0 else self._lay()
        self.laid: Image | None = None
        if way == "statistics" and content is None:
            self.canvas = optimize.Picture(self._noise(self.levels[0].size).to(self.device), self.shape)

    def _check(self, styles: int, maps: int) -> None:
        if self.way not in WAYS:
            raise UsageError(f"way {self.way!r} is not one of {', '.join(WAYS)}")
        if not self.semantic_weight >= 0:
            raise UsageError(f"semantic_weight {self.semantic_weight:g} is not 0 or more")
        if styles != maps:
            raise UsageError(f"{maps} style maps for {styles} styles: give one for each, in order")
        if not self.photo and self.asked.strength < 1:
            raise UsageError(f"strength {self.asked.strength:g} leaves some of a photograph, and there is none: give --content")
        if not self.photo and self.asked.preserve_color != "off":
            raise UsageError(f"preserve_color {self.asked.preserve_color} keeps a photograph's colors, and there is none")
        if self.way != "statistics" and self.asked.init not in ("filter", "content"):
            raise UsageError(f"a doodle starts from patches laid by the map: init {self.asked.init} goes with way statistics")

    def _inner(self, size: tuple[int, int]) -> Settings:
        """What the engine is asked for: a few steps at the last size, held at what was laid where there is no photograph."""
        asked, weight, default = self.asked, self.asked.content_weight, Settings()
        if self.way == "statistics":
            return asked if self.photo else replace(asked, content_weight=0.0)
        wanted = geometry.parse_size(asked.size)
        edge = max(wanted) if isinstance(wanted, tuple) else wanted or max(size)
        steps = asked.steps or str(STEPS[asked.quality])
        steps = steps if ":" in steps else f"{edge}:{steps}"
        if self.photo:
            return replace(asked, steps=steps)
        layers = HELD_LAYERS if asked.content_layers == default.content_layers else asked.content_layers
        return replace(asked, steps=steps, content_weight=min(HELD * weight, 1e9), content_layers=layers)

    def plan(self) -> str:
        """What will be done, in one line."""
        if self.way == "statistics":
            return super().plan()
        height, width = self.shape
        sizes = collage.levels(max(self.shape), *([collage.EXHAUSTIVE] if self.photo else []))
        laid = f"patches laid at {sizes[0]} ... {sizes[-1]} px"
        return f"{width} x {height} px: {laid}" if self.way == "patches" else f"{laid}; {super().plan()}"

    def steps(self, *, preview: bool = False) -> Iterator[Step]:
        """Do the work, a step at a time, the sizes that patches are laid at among them. See `Painting.steps`."""
        first = collage.levels(max(self.shape), *([collage.EXHAUSTIVE] if self.photo else []))
        before = 0 if self.way == "statistics" or self.asked.strength == 0 else len(first)
        after = sum(level.steps for level in self.levels) if self.way != "patches" else 0
        for number, image in enumerate(self._laying, 1):
            shown = image.clamp(0, 1) if preview else None
            yield Step(number, before + after, preview=shown, size=(image.shape[-2], image.shape[-1]))
        if self.way == "patches" or not self._paced():
            return
        for step in super().steps(preview=preview):
            yield replace(step, index=step.index + before, total=step.total + before)

    def _paced(self) -> bool:
        """Whether there is time for steps; a time that was given is filled with them."""
        if self.deadline == math.inf or self.asked.steps or self.way == "statistics" or self.state.made:
            return True
        height, width = self.shape
        second = schedule.seconds_per_pixel(self.encoder, self.settings) * height * width
        count = int((self.deadline - time.monotonic()) / second - optimize.PREPARATION)
        self.levels = [self.levels[-1]._replace(steps=min(count, MOST_STEPS))]
        return count > 0

    def _lay(self) -> Iterator[Image]:
        """Lay patches, coarse to fine, and go on from what was laid at last."""
        found = self.regions
        labels = torch.cat([cast(Tensor, region.mask) for region in found], 1).argmax(1, keepdim=True)
        chosen, start = self.asked, self._dyed() if self.photo else None
        image = None
        for image in collage.collage(
            labels, self.pieces, self.shape, seed=chosen.seed, weight=self.semantic_weight, scale=chosen.style_scale, start=start
        ):
            yield image
        self.laid = cast(Tensor, image).to(self.device)
        if not self.photo:
            self.full = self.visible = self.laid  # what the picture is held at
        first = geometry.sizes(*self.shape, self.levels[0].size)
        self.canvas = optimize.Picture(geometry.resize(self.laid, first), self.shape)

    def _dyed(self) -> Image:
        """The photograph, each region in the colors of its own in the paintings."""
        photo = self.visible.cpu()
        whole = torch.zeros_like(photo)
        for region in self.regions:
            mask = geometry.resize(cast(Mask, region.mask), self.shape)
            index, own = region.sources[0]
            picture = self.pieces[index].image
            theirs = geometry.resize(cast(Mask, own), (picture.shape[-2], picture.shape[-1]))
            whole += mask * color.match_color(photo, picture, "match", mask.clamp(min=1e-6), theirs)
        return whole.clamp(0, 1)

    def _noise(self, edge: int) -> Image:
        """Normal noise with each region's mean color and deviation in the paintings."""
        shape = geometry.sizes(*self.shape, edge)
        drawn = devices.noise((1, 3, *shape), self.asked.seed, torch.device("cpu"))
        whole = torch.zeros_like(drawn)
        for region in self.regions:
            index, own = region.sources[0]
            picture = self.pieces[index].image
            inside = geometry.resize(cast(Mask, own), (picture.shape[-2], picture.shape[-1]))[0, 0] > 0.5
            colors = picture[0][:, inside] if inside.any() else picture[0].flatten(1)
            mean, deviation = colors.mean(1).view(1, 3, 1, 1), colors.std(1, correction=0).view(1, 3, 1, 1)
            whole += geometry.resize(cast(Mask, region.mask), shape) * (mean + deviation * drawn)
        return whole.clamp(0, 1)

    def objective_at(self, level: Level) -> optimize.Objective:
        """The objective at a level; of each region only the positions that lie in it are looked at.

        With a photograph the picture is held at what was laid beside it (not over tiles, whose features only content has).
        """
        found = super().objective_at(level)
        if not isinstance(found, Objective):
            return found
        held: list[Term] = []
        if self.photo and self.laid is not None:
            image = geometry.resize(self.laid, geometry.sizes(*self.shape, level.size))
            firmly = replace(Settings(), content_weight=HELD * Settings().content_weight, content_layers=HELD_LAYERS)
            held = [replace(term, name="held") for term in objective.content_terms(image, self.encoder, firmly)]
        return replace(found, terms=[*(narrowed(term) for term in found.terms), *held])

    def result(self) -> Stylized:
        """The picture as it stands, with its recipe; what is not laid yet is laid first."""
        for _ in self._laying:
            pass
        if self.laid is None or self.state.made:
            return super().result()
        alpha = None if self.alpha is None else self.alpha.cpu()
        return Stylized(self.content.with_image(self._composed(self.laid).cpu(), alpha), self.recipe())

    def recipe(self) -> dict[str, Any]:
        """All that is needed to make the picture again; "both" ways of which time allowed the first only are "patches"."""
        found = super().recipe()
        steps = found["settings"]["steps"] if self.state.made else self.asked.steps
        way = "patches" if self.laid is not None and not self.state.made else self.way
        return {**found, "verb": "doodle", "way": way, "settings": replace(self.asked, steps=steps, time=0.0).as_dict()}

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "way": self.way, "semantic weight": self.names["semantic_weight"]}

    def save_state(self, path: Path) -> None:
        """Write all that is needed to go on later; see `Painting.save_state`. What is not laid yet is laid first."""
        self.result()
        super().save_state(path)

    def load_state(self, path: Path) -> None:
        """Go on from a state that `save_state` wrote; see `Painting.load_state`. Patches are laid anew, as they were."""
        self.result()
        super().load_state(path)


def narrowed(term: Term) -> Term:
    """The term with moments taken over the positions in its mask alone: with many regions that is as fast as with one."""
    if term.mask is None or term.statistic not in (statistics.moments, statistics.gram):
        return term

    def inside(features: Features, mask: Mask | None) -> Moments | Tensor:
        weight = statistics.spread(mask, features)
        kept = torch.nonzero(weight > LEAST_SHARE / len(weight))[:, 0]
        rows, shares = statistics.rows(features)[kept], weight[kept]
        found = statistics.weighted_moments(rows, shares / shares.sum())
        return found if term.statistic is statistics.moments else found.second

    return replace(term, statistic=inside)


def _titles(styles: int) -> list[str]:
    return ["the map", *(["the style map"] if styles == 1 else [f"style map {number + 1}" for number in range(styles)])]


def _piece(number: int, picture: Picture, weight: float, found: Sequence[regions.Region]) -> Piece:
    """A style with the regions that its pixels belong to; transparent ones to none."""
    labels = None
    for label, region in enumerate(found):
        for mask in (own for index, own in region.sources if index == number and own is not None):
            labels = torch.full(mask.shape, -1) if labels is None else labels
            labels = torch.where(mask > 0.5, label, labels)
    if labels is None:
        labels = torch.full((1, 1, 1, 1), -1)
    if picture.alpha is not None:
        opaque = geometry.resize(picture.alpha, (labels.shape[-2], labels.shape[-1])) > 0.5
        labels = torch.where(opaque, labels, -1)
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    return Piece(image, labels if weight > 0 else torch.full_like(labels, -1), weight)


def doodle(
    map: ImageLike,
    styles: ImageLike | Sequence[ImageLike | tuple[ImageLike, float]],
    style_maps: ImageLike | Sequence[ImageLike],
    content: ImageLike | None = None,
    *,
    way: str = WAYS[0],
    semantic_weight: float = SEMANTIC_WEIGHT,
    **settings: Any,
) -> Stylized:
    """Paint a map of flat colors like the same colors in the maps of one or several paintings.

    `styles`: a picture, or a list of pictures or (picture, weight); `style_maps`: a map for each. `content`: a photograph of
    the map's shape that the result is to show. `way`: "patches" laid by the map, the regions' "statistics", or "both".
    `semantic_weight`: how much the map counts where patches are laid; 0 nothing, infinity alone. `settings`: the fields of
    `Settings`; `size` and `steps` may be numbers.

    Raises:
        ImpastoError: a picture that cannot be used, maps that do not match, a wrong setting, or work that went wrong.
    """
    begun = time.monotonic()
    chosen = settings_from(settings)
    several = styles if isinstance(styles, list | tuple) else [styles]
    weighted = [each if isinstance(each, tuple) else (each, 1.0) for each in several]
    found = [(opened(cast(ImageLike, source)), float(weight)) for source, weight in weighted]
    drawn = style_maps if isinstance(style_maps, list | tuple) else [style_maps]
    maps = [opened(cast(ImageLike, each)) for each in drawn]
    (drawing, name), photo = opened(map), None if content is None else opened(content)
    names = {"map": name, "style_maps": [each for _, each in maps], **({"content": photo[1]} if photo else {})}
    painting = Doodle(
        drawing,
        [Style(picture, weight, own["source"], own["sha256"]) for (picture, own), weight in found],
        [picture for picture, _ in maps],
        chosen,
        content=photo[0] if photo else None,
        way=way,
        semantic_weight=semantic_weight,
        deadline=begun + chosen.time if chosen.time else math.inf,
        names=names,
    )
    for note in painting.notes:
        log.info(note)
    for _ in painting.steps():
        pass
    return painting.result()
