"""Texture maps to paint on: a model's own pictures where each place of a surface has its place in them, else a new one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from impasto.mesh import bake, pack
from impasto.mesh.model import CLAMP, MIRROR, OPAQUE, REPEAT, Model, Surface, cross
from impasto.mesh.raster import Seen, rasterize
from impasto.mesh.sample import STRIDE
from impasto.pixels import geometry
from impasto.types import Image, Mask

OVERLAP = 0.02
"""Share of a picture's faces that may lie over others."""
SPARSE = 0.03
"""A picture of which less than this share is used is a palette."""
SLACK = 0.002
"""How far coordinates may reach beyond the picture, in its sides."""
PROBE = 512
"""Long edge at which overlaps are looked for, px."""
LARGEST = 8192


@dataclass(slots=True, eq=False)
class Page:
    """A texture map."""

    picture: int
    """Which of the model's pictures; -1: a new one."""
    image: Image
    """1 x 3 x height x width: its colors before painting, carried on where no face lies."""
    alpha: Mask | None
    covered: Mask
    """1 where a face lies, else 0."""
    clamped: tuple[bool, bool] = (True, True)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[-2], self.image.shape[-1]


@dataclass(slots=True, eq=False)
class Atlas:
    """All maps, and where in them each surface lies."""

    pages: list[Page]
    page: list[int]
    """Of each surface; -1 for one that stands nowhere."""
    uv: list[np.ndarray]
    """Of each surface, faces x 3 x 2, float64, sides 1, v down."""
    packed: dict[int, pack.Packed] = field(default_factory=dict)
    """Of each surface with new coordinates: its vertices as they must be split."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Why each of the model's pictures was not kept, by its index."""


def build(model: Model, size: int, *, keep: bool | None = None) -> Atlas:
    """Decide for every picture, and lay out anew what cannot be kept. `size`: long edge of a new map, px.

    `keep`: True keeps every picture's coordinates that can be painted on at all, False none.
    """
    shown = sorted({each.surface for each in model.instances if len(model.surfaces[each.surface].faces)})
    pictures = sorted({model.materials[model.surfaces[index].material].picture for index in shown} - {-1})
    atlas = Atlas([], [-1] * len(model.surfaces), [placed(model, surface) for surface in model.surfaces])
    for picture in pictures:
        users = [index for index in shown if model.materials[model.surfaces[index].material].picture == picture]
        reason = unfit(model, users, atlas.uv) if keep is not False else "a new layout was asked for"
        if reason:
            atlas.reasons[picture] = reason
            continue
        for index in users:
            atlas.page[index] = len(atlas.pages)
        atlas.pages.append(_kept(model, picture, users, atlas.uv, size))
    rest = [index for index in shown if atlas.page[index] < 0]
    if rest:
        _repack(model, rest, atlas, size)
    return atlas


def placed(model: Model, surface: Surface) -> np.ndarray:
    """Coordinates of a surface's corners in its picture, each face moved by whole sides to begin within it.

    By two sides where the picture is mirrored beyond its borders, and not at all where it ends: so it shows the same.
    """
    if surface.uv is None:
        return np.zeros((len(surface.faces), 3, 2))
    material = model.materials[surface.material]
    transform = np.array(material.transform)
    uv = (surface.uv @ transform[:, :2].T + transform[:, 2])[surface.faces]
    period = np.array([{REPEAT: 1, MIRROR: 2, CLAMP: 0}[each] for each in material.wrap])
    return np.asarray(uv - period * np.floor(uv.mean(1, keepdims=True) / np.maximum(period, 1)))


def unfit(model: Model, users: list[int], uv: list[np.ndarray]) -> str:
    """Why the coordinates in a picture cannot be painted on; "" where they can."""
    materials = [model.materials[model.surfaces[index].material] for index in users]
    picture = model.pictures[materials[0].picture]
    if picture is None:
        return "the picture is missing"
    if any(model.surfaces[index].uv is None for index in users):
        return "no texture coordinates"
    if any(model.surfaces[index].colors is not None for index in users):
        return "colors of vertices multiply it"
    if not all(material.white for material in materials):
        return "a color multiplies it"
    whole = np.concatenate([uv[index] for index in users])
    beyond = whole.min() < -SLACK or whole.max() > 1 + SLACK
    if np.ptp(whole, axis=1).max() > 1 + SLACK or (beyond and any(material.wrap != (REPEAT, REPEAT) for material in materials)):
        return "it is tiled"
    height, width = geometry.sizes(*picture.size, PROBE)
    edges = whole[:, 1:] - whole[:, :1]
    areas = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
    shapes = np.concatenate([cross(model.surfaces[index].positions[model.surfaces[index].faces]) for index in users])
    sizes = np.linalg.norm(shapes, axis=1)
    if sizes[areas * height * width < 1e-3].sum() > OVERLAP * sizes.sum():
        return "faces have no room in it"
    if areas.sum() < SPARSE:
        return "it is a palette"
    used = (lying(whole, height, width).face >= 0).mean()
    return "faces overlap in it" if used < (1 - OVERLAP) * areas.sum() else ""


def flat_corners(uv: np.ndarray, height: int, width: int) -> np.ndarray:
    """Corners in a map as the rasterizer takes them: x, y in px, w = 1."""
    return np.concatenate([uv * [width, height], np.ones((*uv.shape[:2], 1))], -1)


def lying(uv: np.ndarray, height: int, width: int) -> Seen:
    """Which face lies at each texel of a map that repeats: what reaches beyond a border comes in at the other."""
    found = rasterize(flat_corners(uv, height, width), height, width, 0.5)
    for x in (-1, 0, 1):
        for y in (-1, 0, 1):
            moved = uv + np.array([x, y])
            inside = np.flatnonzero((moved.max(1) > 0).all(1) & (moved.min(1) < 1).all(1))
            if (x or y) and len(inside):
                more = rasterize(flat_corners(moved[inside], height, width), height, width, 0.5)
                new = (more.face >= 0) & (found.face < 0)
                found.face[new], found.weights[new] = inside[more.face[new]], more.weights[new]
    return found


def sides(height: int, width: int, long_edge: int) -> tuple[int, int]:
    """A shape near the given one, sides multiples of what the pyramid of averages needs."""
    found = geometry.sizes(height, width, min(long_edge, LARGEST))
    return max(STRIDE, round(found[0] / STRIDE) * STRIDE), max(STRIDE, round(found[1] / STRIDE) * STRIDE)


def _kept(model: Model, number: int, users: list[int], uv: list[np.ndarray], size: int) -> Page:
    picture = model.pictures[number]
    if picture is None:
        raise ValueError(f"picture {number} is missing")
    height, width = sides(*picture.size, min(size, max(max(picture.size), size // 2)))
    whole = np.concatenate([uv[index] for index in users])
    wraps = [model.materials[model.surfaces[index].material].wrap for index in users]
    ends = all(wrap[0] in (CLAMP, MIRROR) for wrap in wraps), all(wrap[1] in (CLAMP, MIRROR) for wrap in wraps)
    image = geometry.resize(picture.image, (height, width))
    alpha = None if picture.alpha is None else geometry.resize(picture.alpha, (height, width))
    return Page(number, image, alpha, torch.from_numpy(lying(whole, height, width).face >= 0)[None, None].float(), ends)


def _repack(model: Model, users: list[int], atlas: Atlas, size: int) -> None:
    """One new map for all of these surfaces, with their colors as they were."""
    atlas.packed = dict(zip(users, pack.pack([pack.placed(model, index) for index in users], size), strict=True))
    before = [atlas.uv[index] for index in users]
    for index in users:
        atlas.page[index] = len(atlas.pages)
        atlas.uv[index] = atlas.packed[index].uv
    whole = np.concatenate([atlas.uv[index] for index in users])
    side = sides(size, size, size)[0]
    seen = rasterize(flat_corners(whole, side, side), side, side, 0.5)
    image, alpha = bake.bake(model, users, before, [atlas.uv[index] for index in users], seen)
    covered = torch.from_numpy(seen.face >= 0)[None, None].float()
    opaque = all(model.materials[model.surfaces[index].material].alpha_mode == OPAQUE for index in users)
    atlas.pages.append(Page(-1, geometry.fill(image, covered), None if opaque else alpha, covered))
