"""The colors of surfaces brought over to new texture coordinates."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from impasto.mesh.model import Material, Model
from impasto.mesh.raster import Seen
from impasto.mesh.sample import bilinear, folded
from impasto.pixels.color import linear_to_srgb, srgb_to_linear
from impasto.pixels.picture import Picture
from impasto.types import Image, Mask

COARSEST = 8
"""Halvings at most of a picture that shrinks on its way."""


def bake(model: Model, users: list[int], before: list[np.ndarray], after: list[np.ndarray], seen: Seen) -> tuple[Image, Mask]:
    """Colors and opacity of a new map: of each texel those of its place on the surface. Middle gray where no face lies.

    `before` and `after`: corners of each surface's faces in its picture and in the new map. `seen`: which face lies at each
    texel, the surfaces' faces counted on.
    """
    height, width = seen.face.shape
    flat, weights = seen.face.reshape(-1), seen.weights.reshape(-1, 3).astype(np.float64)
    found = np.full((height * width, 4), [0.5, 0.5, 0.5, 1.0])
    starts = np.cumsum([0, *(len(each) for each in before)])
    owner = np.searchsorted(starts, flat, side="right") - 1
    for position, index in enumerate(users):
        texels = np.flatnonzero((owner == position) & (flat >= 0))
        face, surface = flat[texels] - starts[position], model.surfaces[index]
        material = model.materials[surface.material]
        colors = np.ones((len(texels), 4))
        picture = model.pictures[material.picture] if material.picture >= 0 and surface.uv is not None else None
        if picture is not None:
            size = np.array([width, height])
            colors = _read(picture, material, before[position], after[position] * size, face, weights[texels])
        factor = np.broadcast_to(np.array(material.color), colors.shape)
        if surface.colors is not None:
            own = surface.colors[surface.faces[face]]
            factor = factor * (own * weights[texels][..., None]).sum(1)
        found[texels] = multiplied(colors, factor)
    whole = torch.from_numpy(found.astype(np.float32)).T.reshape(1, 4, height, width).contiguous()
    return whole[:, :3].contiguous(), whole[:, 3:].contiguous()


def multiplied(colors: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Colors in sRGB (and opacity) times factors in linear light."""
    if (factor == 1).all():
        return colors
    light = srgb_to_linear(torch.from_numpy(colors[:, :3])) * torch.from_numpy(np.ascontiguousarray(factor[:, :3]))
    return np.concatenate([linear_to_srgb(light).clamp(0, 1).numpy(), colors[:, 3:] * factor[:, 3:]], 1)


def _read(
    picture: Picture, material: Material, before: np.ndarray, after: np.ndarray, face: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Colors of texels: the picture read where it was, as small as it becomes."""
    planes = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha], 1)
    shrinks = _area(before * [planes.shape[-1], planes.shape[-2]]) / np.maximum(_area(after), 1e-12)
    halvings = np.clip(np.rint(0.5 * np.log2(np.maximum(shrinks, 1.0))), 0, COARSEST).astype(int)[face]
    uv, clamped = folded((before[face] * weights[..., None]).sum(1), material.wrap)
    found = np.ones((len(face), 4))
    for count in range(COARSEST + 1):
        here = np.flatnonzero(halvings == count)
        if len(here):
            image = planes[0].permute(1, 2, 0).double().numpy()
            found[here, : planes.shape[1]] = bilinear(image, uv[here], clamped)
        if min(planes.shape[-2:]) > 1:
            planes = F.avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False)
    return found


def _area(corners: np.ndarray) -> np.ndarray:
    edges = corners[:, 1:] - corners[:, :1]
    found: np.ndarray = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    return found
