"""Which styles go where on a model: by material or object, and by masks that lie over its texture coordinates.

Each region has a share of every place of the surface. That of a mask is how light the mask is there; masks that add up to
more than 1 are divided by their sum. That of a material is what masks leave, on the material's faces.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.mesh import sample
from impasto.mesh.atlas import flat_corners, placed
from impasto.mesh.project import Places
from impasto.mesh.raster import rasterize
from impasto.mesh.stage import Stage, View
from impasto.paint.regions import NOTHING
from impasto.pixels import geometry
from impasto.types import Image, Mask

SPECIAL = ("keep", "strength")
"""Masks that are no place of a style: where the model stays as it is, and how much of the paint there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The regions of a model."""

    styles: Sequence[tuple[str, Sequence[int]]]
    """Each region's name and its styles; "" is the name of all that is left."""
    face: np.ndarray
    """Of each face the region that its material or object makes it of; -1 where none does."""
    masks: Sequence[str] = ()
    """Names of the masks, in the order of their planes."""
    planes: Sequence[Image] = ()
    """Of each map, 1 x masks x height x width; empty without masks."""
    _tables: dict[tuple[tuple[int, int], ...], Tensor] = field(default_factory=dict)

    def table(self, shapes: Sequence[tuple[int, int]]) -> Tensor | None:
        """The masks over maps of these shapes, as `impasto.mesh.sample.texels` has them; None without masks."""
        if not self.masks:
            return None
        key = tuple(shapes)
        if key not in self._tables:
            self._tables.clear()
            fitted = [geometry.resize(plane, shape) for plane, shape in zip(self.planes, key, strict=True)]
            self._tables[key] = sample.texels(fitted)
        return self._tables[key]

    def shares(self, view: View, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Of each region, its share of each sample of a view of maps of these shapes."""
        face = torch.from_numpy(self.face[view.face])
        table = self.table(shapes)
        if table is None:
            return [(face == number).float() for number in range(len(self.styles))]
        found = dict(zip(self.masks, sample.gather(table, view.taps).unbind(1), strict=True))
        left = 1 - self._claimed(found, torch.zeros(len(face)))
        return [found[name] if name in found else (face == k) * left for k, (name, _) in enumerate(self.styles)]

    def special(self, view: View, shapes: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Of each sample of a view the masks that are no region."""
        table = self.table(shapes)
        if table is None:
            return {}
        found = zip(self.masks, sample.gather(table, view.taps).unbind(1), strict=True)
        return {name: values for name, values in found if name in SPECIAL}

    def _claimed(self, planes: Mapping[str, Tensor], none: Tensor) -> Tensor:
        """What masks that are regions have of each place."""
        return sum((plane for name, plane in planes.items() if name not in SPECIAL), none).clamp(0, 1)

    def unpainted(self, stage: Stage, number: int, shape: tuple[int, int]) -> Mask:
        """How far a map stays as it was: what no style is for, what is to be kept, and glass."""
        here = stage.page == number
        painted = torch.ones(1, 1, *shape)
        if not self.masks and not ((self.face < 0) | stage.glass)[here].any():
            return 1 - painted
        places = Places(stage, number, shape)
        painted.view(-1)[places.flat] = torch.from_numpy(self.face[places.face] >= 0).float()
        if self.masks:
            plane = geometry.resize(self.planes[number], shape)
            found = {name: plane[:, k : k + 1] for k, name in enumerate(self.masks)}
            claimed = self._claimed(found, torch.zeros_like(painted))
            painted = claimed + (1 - claimed) * painted
            painted = painted * (1 - found["keep"]) if "keep" in found else painted
            painted = painted * found["strength"] if "strength" in found else painted
        painted.view(-1)[places.flat[torch.from_numpy(stage.glass[places.face])]] = 0.0
        return 1 - painted


def find(stage: Stage, places: Sequence[str], masks: Mapping[str, Mask] | None = None) -> Regions:
    """The regions of styles' places: for each style a mask, a material or an object (or a pattern of them), or "".

    Raises:
        UsageError: a place that the model does not have, a mask without a style or that selects nothing, a mask for a model
            that has no texture coordinates.
    """
    masks = dict(masks or {})
    styles = [(place, [k for k, each in enumerate(places) if each == place]) for place in dict.fromkeys(places)]
    for name in masks:
        if name not in (*SPECIAL, *places):
            raise UsageError(f"mask {name!r} has no style: give --style {name}=FILE")
    planes = _laid_over(stage, masks) if masks else []
    return Regions(styles, _by_face(stage, styles, masks), tuple(masks), planes)


def _by_face(stage: Stage, styles: Sequence[tuple[str, Sequence[int]]], masks: Mapping[str, Mask]) -> np.ndarray:
    """Of each face, the region of its material or object.

    Raises:
        UsageError: a place that is neither a mask nor any material's or object's.
    """
    model, order = stage.model, [each.surface for each in stage.model.instances]
    materials = [model.materials[model.surfaces[index].material].name for index in order]
    names = [{materials[k], each.name, model.surfaces[each.surface].name} - {""} for k, each in enumerate(model.instances)]
    places = [place for place, _ in styles if place not in masks]
    chosen = np.full(len(order), -1)
    for number, (place, _) in enumerate(styles):
        if place in masks:
            continue
        fits = [any(_fits(name, place) for name in several) for several in names]
        if place and not any(fits):
            there = ", ".join(sorted(set().union(*names))[:12]) or "nothing with a name"
            raise UsageError(
                f"a style is for {place!r}, and there is no mask of that name, and in the model no material or object; "
                f"it has {there}"
            )
        for position, fit in enumerate(fits):
            if fit if place else chosen[position] < 0 and not _claimed(names[position], places):
                chosen[position] = number
    return np.asarray(chosen[stage.triangles.instance])


def _claimed(names: set[str], places: Sequence[str]) -> bool:
    return any(place and _fits(name, place) for place in places for name in names)


def _fits(name: str, place: str) -> bool:
    """Whether a name is the place, or fits its pattern; letters large or small."""
    return name.lower() == place.lower() or fnmatch.fnmatchcase(name.lower(), place.lower())


def _laid_over(stage: Stage, masks: Mapping[str, Mask]) -> list[Image]:
    """Masks in the layout of each map, 1 x masks x height x width; those of regions add up to 1 at most.

    Raises:
        UsageError: the model has no texture coordinates, or a mask selects nothing of it.
    """
    if all(surface.uv is None for surface in stage.model.surfaces):
        name = next(iter(masks))
        raise UsageError(f"mask {name!r} has nothing to lie over, the model has no texture coordinates: name a material instead")
    own = {name: [_carried(stage, number, mask) for number in range(len(stage.atlas.pages))]
           for name, mask in masks.items()}  # fmt: skip
    for name, several in own.items():
        shown = zip(several, stage.atlas.pages, strict=True)
        if name not in SPECIAL and not any(float((each * page.covered).max()) > NOTHING for each, page in shown):
            raise UsageError(f"mask {name!r} selects nothing of the model: it has to be light where its style goes")
    found = []
    for each in zip(*own.values(), strict=True):
        total = sum((plane for name, plane in zip(own, each, strict=True) if name not in SPECIAL), torch.zeros_like(each[0]))
        planes = [plane if name in SPECIAL else plane / total.clamp(min=1) for name, plane in zip(own, each, strict=True)]
        found.append(torch.cat(planes, 1))
    return found


def _carried(stage: Stage, number: int, mask: Mask) -> Mask:
    """A mask over the model's own coordinates, brought to the layout of one map."""
    page, model = stage.atlas.pages[number], stage.model
    if page.picture >= 0:
        return geometry.resize(mask, page.shape)
    height, width = page.shape
    found, gray = torch.zeros(height * width), mask[0, 0, :, :, None].double().numpy()
    users = [index for index, each in enumerate(stage.atlas.page) if each == number]
    starts = np.cumsum([0, *(len(stage.atlas.uv[index]) for index in users)])
    whole = np.concatenate([stage.atlas.uv[index] for index in users])
    seen = rasterize(flat_corners(whole, height, width), height, width, 0.5)
    flat, weights = seen.face.reshape(-1), seen.weights.reshape(-1, 3)
    owner = np.where(flat >= 0, np.searchsorted(starts, flat, side="right") - 1, -1)
    for position, surface in enumerate(model.surfaces[index] for index in users):
        if surface.uv is None:  # no mask lies over it, and none is carried on to it from its neighbors
            continue
        texels = np.flatnonzero(owner == position)
        places = (placed(model, surface)[flat[texels] - starts[position]] * weights[texels][..., None]).sum(1)
        places, ends = sample.folded(places, model.materials[surface.material].wrap)
        found[texels] = torch.from_numpy(sample.bilinear(gray, places, ends)[:, 0]).float()
    return geometry.fill(found.view(1, 1, height, width), page.covered)
