"""What is asked of a view: the styles over what it shows of the model, the content of the unpainted model beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from impasto.errors import UnfitPicture
from impasto.mesh import cameras, sample
from impasto.mesh.stage import View
from impasto.paint import objective
from impasto.paint.objective import Objective, Source
from impasto.paint.optimize import Level
from impasto.paint.pictures import Style
from impasto.paint.sources import Sources
from impasto.pixels import geometry
from impasto.types import Image, Stylizer

if TYPE_CHECKING:
    from impasto.mesh.paint import Painting

LEAST = 0.004
"""A region that covers less of a view asks for nothing there: its statistics would be those of its edges."""

CONTENT = 3.0
"""Weight of content over that of pictures: doors and windows have to be known from near and from every side."""


class Sight:
    """The objective of a level: another view in each step, its terms made for it."""

    def __init__(self, work: Painting, level: Level) -> None:
        self.work, self.level = work, level
        maps = [work.canvas.fitted(each, level.size) for each in work.sources]
        self._table, self._shapes = sample.texels(maps), [(each.shape[-2], each.shape[-1]) for each in maps]
        self._sources: dict[int, Sources] = {}
        weight = work.settings.content_weight * CONTENT
        self._settings = replace(work.settings, content_weight=weight)
        self._known: dict[tuple[int, int], Source] = {}

    def gradient(self, image: Image, step: int = 0) -> tuple[dict[str, Tensor], Image]:
        """Each term's loss and "total", and the gradient with respect to the view; the next camera takes its place."""
        work = self.work
        view, background = work.canvas.seen()
        with torch.no_grad():
            before = view.picture(self._table, background).to(work.device)
        losses, pull = Objective(work.encoder, self._terms(view, before)).gradient(image.to(work.device), step)
        work.canvas.number = step + 1
        return losses, pull.to(image.device)

    def _terms(self, view: View, before: Image) -> list[objective.Term]:
        work, chosen = self.work, self._settings
        strength = objective.pull(chosen.strength)
        terms = objective.smoothness_terms(chosen)
        terms += objective.content_terms(before, work.encoder, chosen)
        terms += objective.anchor_terms(before, work.encoder, chosen, 1 - strength)
        own = work.regions.shares(view, self._shapes)
        for share, (name, styles) in zip(own, work.regions.styles, strict=True):
            mask = view.mask(share).to(work.device)
            area = float(mask.mean())
            if area > LEAST:
                found = [self._source(index, self._look(view)) for index in styles]
                terms += objective.style_terms(objective.shared(found, name), chosen, mask, area * strength)
        return terms

    def _look(self, view: View) -> int:
        """The size that styles are looked at in, so that strokes are as large in the world from near and far; in steps of √2."""
        camera = view.camera
        whole = cameras.orbit(self.work.stage.center, self.work.stage.frame, 0, 0)
        distance = float(((camera.eye - camera.target) ** 2).sum() ** 0.5)
        closer = float(((whole.eye - whole.target) ** 2).sum() ** 0.5) / distance
        return round(self.level.size * 2 ** (round(2 * math.log2(closer)) / 2))

    def _source(self, index: int, size: int) -> Source:
        if (index, size) not in self._known:
            work = self.work
            sources = self._sources.setdefault(size, Sources(work.encoder, work.settings, Level(size, 0), work.device))
            self._known[index, size] = sources.of(work.styles[index], None)
        return self._known[index, size]


def ground(styles: Sequence[Style]) -> Tensor:
    """What stands behind the model: the styles' mean color. A filter goes by the colors of all it sees, white paper too."""
    images = [style.picture.image for style in styles if style.picture is not None]
    return torch.stack([image.mean((0, 2, 3)) for image in images]).mean(0) if images else torch.full((3,), 0.5)


def brushes(work: Painting, size: int) -> list[Stylizer | None]:
    """The filter of each region's styles, for views of a long edge of `size` px; None where a style is too small for one."""
    found: list[Stylizer | None] = []
    for _, styles in work.regions.styles:
        try:
            own = [work.styles[index] for index in styles]
            found.append(work.bind(own, round(size * work.settings.style_scale)) if work.bind else None)
        except UnfitPicture:
            found.append(None)
    return found


@torch.no_grad()
def filtered(
    work: Painting, view: View, table: Tensor, shapes: Sequence[tuple[int, int]], filters: Sequence[Stylizer | None]
) -> Image:
    """A view of the unpainted model, painted by the filter of each region. `table`: its maps, of these `shapes`."""
    shown = view.picture(table, work.background())
    # a filter goes by the statistics of all it sees: what is not the model is given the model's colors
    content = geometry.fill(shown, (view.mask() > 0.99).float())
    whole = torch.zeros_like(shown)
    rest = torch.ones_like(shown[:, :1])
    # silhouettes belong to a region in full: what is read there must not fade to what is unpainted
    covered = view.mask().clamp(min=1e-6)
    for share, paint in zip(work.regions.shares(view, shapes), filters, strict=True):
        mask = view.mask(share) / covered
        if paint is not None and mask.any():
            whole, rest = whole + mask * paint(content, strength=work.settings.strength), rest - mask
    return (whole + rest * shown).clamp(0, 1)
