"""Borders of charts equalized: both sides of a seam get one color, and what lies beside it goes along.

Where one surface is cut into two charts, a place of the cut is read from two places of the map. The correction D is least where

    Σ |D_i - D_j|² + Σ |D_i|² / REACH² + TIE · Σ_seam g · |(T + D)(u) - (T + D)(u')|²

over neighboring texels i, j of one chart, and places of the seams read bilinearly at u on one side and u' on the other: the
paint's own gradients are kept (Pérez et al., "Poisson Image Editing", SIGGRAPH 2003), and the correction ends within a few
REACH (a screened Poisson equation). g is 1 where the unpainted model is of one color on both sides, and fades where it is not:
a white wall that meets a red roof stays apart from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.mesh.atlas import lying
from impasto.mesh.stage import Stage
from impasto.pixels import geometry
from impasto.types import Image, Mask

REACH, SHORTEST = 1 / 96, 4.0
"""How far a correction goes into a chart, in the map's long edge, and in texels at least."""
TIE = 30.0
ALIKE = 0.06
"""By how much the unpainted model may differ across a seam, in sRGB, before its sides count as two things."""
SAME = 1e-5
"""Corners nearer to each other than this share of the model's radius are one."""
MANY = 0.02
"""Seams over texels: with more of them charts are of a few texels each, and a correction has no room."""
RING = 2
"""Texels beyond a chart's border that go along with it: bilinear reading at the border reads them."""
BARE, STAYS = -1, -2
"""Instead of a chart's number: no face lies there; one that is not painted."""
BLOCK = 8
"""Texels in steps of which places near a seam are found; a divisor of `sample.STRIDE`."""
STEPS, ENOUGH = 160, 1e-3
"""Steps of conjugate gradients at most, and the share of the residual at which they end."""


class Seams(NamedTuple):
    """Places of the seams, as their two sides read them; texels of all maps are counted on."""

    texel: Tensor
    """Places x 8: four texels of each side, int64."""
    weight: Tensor
    """Places x 8: the first four add up to √g, the others to -√g."""


class Charts(NamedTuple):
    """The texels that may be corrected, numbered."""

    texel: Tensor
    """Of each its place among all texels, int64."""
    number: Tensor
    """Of all texels the number; -1 for those that stay."""
    beside: Tensor
    """Each one's neighbors in its chart, 4 numbers; as many as there are texels where there is none."""


def equalized(stage: Stage, maps: Sequence[Image], kept: Sequence[Mask], region: np.ndarray) -> list[Image]:
    """The maps with the sides of their seams brought together, and carried on beyond them.

    `kept`: 1 where a map stays as it was. `region`: of each face which styles are for it; seams between two regions stay.
    """
    painted = ~stage.glass & _first(stage)
    shared = _shared(stage, painted, region)
    if len(shared[0]) > MANY * sum(mask.numel() for mask in kept):
        return list(maps)
    seams = _seams(stage, maps, shared)
    if not len(seams.texel):
        return list(maps)
    labels = [_labels(stage, np.flatnonzero(painted & (stage.page == k)), mask) for k, mask in enumerate(kept)]
    reach = max(SHORTEST, REACH * max(max(image.shape[-2:]) for image in maps))
    charts = _charts(labels, seams, round(3 * reach))
    flat = torch.cat([image[0].flatten(1).T for image in maps])
    flat[charts.texel] += _solve(charts, seams, flat, 1 / reach**2)
    found, start = [], 0
    for image, label in zip(maps, labels, strict=True):
        planes = flat[start : start + label.size].T.reshape(image.shape).clamp(0, 1)
        found.append(geometry.fill(planes, torch.from_numpy(label != BARE)[None, None].float()))
        start += label.size
    return found


def _first(stage: Stage) -> np.ndarray:
    """Faces of each surface where it first stands: others read the same texels."""
    first = np.unique(stage.triangles.surface, return_index=True)[1]
    return np.isin(stage.triangles.instance, stage.triangles.instance[first])


def _edges(stage: Stage, painted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges that exactly two faces share: their faces, and the ends' coordinates in the map on both sides, end by end."""
    faces = np.flatnonzero(painted)
    keys = np.round(stage.triangles.corners[faces].reshape(-1, 3) / (stage.radius * SAME)).astype(np.int64)
    place = _alike(keys).reshape(-1, 3)
    ends = np.stack([place, np.roll(place, -1, 1)], -1).reshape(-1, 2)
    uv = np.stack([stage.uv[faces], np.roll(stage.uv[faces], -1, 1)], 2).reshape(-1, 2, 2)
    turned = ends[:, 0] > ends[:, 1]
    uv[turned], ends[turned] = uv[turned, ::-1], ends[turned, ::-1]
    edge = _alike(ends)
    count = np.bincount(edge)
    order = np.argsort(edge, kind="stable")
    pairs = order[(count[edge[order]] == 2) & (ends[order, 0] != ends[order, 1])].reshape(-1, 2)
    return np.repeat(faces, 3)[pairs], uv[pairs]


def _alike(rows: np.ndarray) -> np.ndarray:
    """A number for each row of integers, the same for the same; counted from 0."""
    found = np.zeros(len(rows), np.int64)
    for column in rows.T:
        # by column, for sorting rows as such takes ten times as long
        _, rank = np.unique(column, return_inverse=True)
        _, found = np.unique(found * (int(rank.max(initial=0)) + 1) + rank, return_inverse=True)
    return found


def _shared(stage: Stage, painted: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seams: edges within a region whose sides lie apart in the map. See `_edges`."""
    faces, uv = _edges(stage, painted)
    page = stage.page[faces]
    apart = (np.abs(uv[:, 0] - uv[:, 1]).max((1, 2)) > 1e-5) | (page[:, 0] != page[:, 1])
    chosen = apart & (region[faces[:, 0]] == region[faces[:, 1]])
    return faces[chosen], uv[chosen]


def _seams(stage: Stage, maps: Sequence[Image], shared: tuple[np.ndarray, np.ndarray]) -> Seams:
    faces, uv = shared
    shapes = np.array([image.shape[-2:] for image in maps])
    page = stage.page[faces]
    length = np.linalg.norm((uv[:, :, 1] - uv[:, :, 0]) * shapes[page][..., ::-1], axis=-1).max(1, initial=0)
    count = np.ceil(length).astype(np.int64).clip(1)
    owner = np.repeat(np.arange(len(faces)), count)
    share = (np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[owner]
    texels, weights, colors = [], [], []
    source = torch.cat([each.image[0].flatten(1).T for each in stage.atlas.pages]).numpy()
    for side in (0, 1):
        place = uv[owner, side, 0] * (1 - share)[:, None] + uv[owner, side, 1] * share[:, None]
        texel, weight = _bilinear(place, page[owner, side], shapes, stage.clamped)
        colors.append((source[texel] * weight[..., None]).sum(1))
        texels.append(texel)
        weights.append(weight)
    alike = np.exp(-0.5 * (np.abs(colors[0] - colors[1]).max(1) / ALIKE) ** 2)
    signed = np.concatenate([weights[0], -weights[1]], 1) * alike[:, None]
    kept = alike > 1e-2
    return Seams(torch.from_numpy(np.concatenate(texels, 1)[kept]), torch.from_numpy(signed[kept]).float())


def _bilinear(place: np.ndarray, page: np.ndarray, shapes: np.ndarray, clamped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four texels that a place of a map reads, counted over all maps, and how much of each."""
    sizes = shapes[page]
    starts = (np.cumsum(shapes.prod(1)) - shapes.prod(1))[page]
    spot = place * sizes[:, ::-1] - 0.5
    low = np.floor(spot).astype(np.int64)
    part = spot - low
    texel, weight = np.zeros((len(place), 4), np.int64), np.zeros((len(place), 4))
    for corner in range(4):
        step = np.array([corner % 2, corner // 2])
        at = low + step
        limit = sizes[:, ::-1]
        at = np.where(clamped[page], at.clip(0, limit - 1), at % limit)
        texel[:, corner] = starts + at[:, 1] * sizes[:, 1] + at[:, 0]
        weight[:, corner] = np.where(step, part, 1 - part).prod(1)
    return texel, weight


def _labels(stage: Stage, faces: np.ndarray, kept: Mask) -> np.ndarray:
    """Of each texel of a map a number of its chart, and of those around charts theirs; below 0 what must stay."""
    height, width = kept.shape[-2:]
    label = np.append(_components(stage.uv[faces]), BARE)[lying(stage.uv[faces], height, width).face]
    label = np.where(kept[0, 0].numpy() == 1, STAYS, label)
    for _ in range(RING):
        for axis, way in ((0, 1), (0, -1), (1, 1), (1, -1)):
            label = np.where(label == BARE, np.roll(label, way, axis).clip(BARE), label)
    return label


def _components(uv: np.ndarray) -> np.ndarray:
    """Of each face the smallest number of a corner that its chart's faces hang together by, through corners they share."""
    corner = _alike(np.round(uv.reshape(-1, 2) * 1e6).astype(np.int64)).reshape(-1, 3)
    least = np.arange(corner.max(initial=-1) + 1)
    while True:
        face = least[corner].min(1)
        now = least.copy()
        np.minimum.at(now, corner.reshape(-1), np.repeat(face, 3))
        now = now[now]
        if (now == least).all():
            return np.asarray(face)
        least = now


def _charts(labels: Sequence[np.ndarray], seams: Seams, width: int) -> Charts:
    """Texels of charts within some `width` of a seam, or a little more."""
    total = sum(label.size for label in labels)
    near = torch.zeros(total)
    near[seams.texel] = 1.0
    chosen, start = [], 0
    for label in labels:
        plane = near[start : start + label.size].view(1, 1, *label.shape)
        steps = -(-width // BLOCK)
        wide = F.max_pool2d(F.max_pool2d(plane, BLOCK), 2 * steps + 1, 1, steps)
        wide = F.interpolate(wide, scale_factor=float(BLOCK))
        chosen.append(((wide[0, 0] > 0) & torch.from_numpy(label >= 0)).flatten())
        start += label.size
    texel = torch.cat(chosen).nonzero()[:, 0]
    number = torch.full((total,), -1)
    number[texel] = torch.arange(len(texel))
    beside, start = [], 0
    for label in labels:
        own = number[start : start + label.size].view(label.shape)
        beside.append(_beside(own, torch.from_numpy(label))[own >= 0])
        start += label.size
    found = torch.cat(beside)
    return Charts(texel, number, torch.where(found >= 0, found, len(texel)))


def _beside(number: Tensor, label: Tensor) -> Tensor:
    """Height x width x 4: the numbers of the texels above, below, left and right that are of one chart; else -1."""
    around = F.pad(torch.stack([number, label]), (1, 1, 1, 1), value=-1)
    found = []
    for part in (around[:, :-2, 1:-1], around[:, 2:, 1:-1], around[:, 1:-1, :-2], around[:, 1:-1, 2:]):
        found.append(torch.where(part[1] == label, part[0], -1))
    return torch.stack(found, -1)


def _solve(charts: Charts, seams: Seams, flat: Tensor, damping: float) -> Tensor:
    """D by conjugate gradients, with the diagonal as preconditioner."""
    count = len(charts.texel)
    texel = charts.number[seams.texel]
    known = texel >= 0
    texel, weight = texel.clamp(min=0), torch.where(known, seams.weight, 0.0) * TIE**0.5

    def back(values: Tensor) -> Tensor:
        spread = (weight[..., None] * values[:, None]).reshape(-1, values.shape[-1])
        return values.new_zeros(count, values.shape[-1]).index_add_(0, texel.reshape(-1), spread)

    degree = (charts.beside < count).sum(1, keepdim=True) + damping
    diagonal = degree + torch.zeros(count, 1).index_add_(0, texel.reshape(-1), weight.reshape(-1, 1) ** 2)

    def applied(values: Tensor) -> Tensor:
        padded = torch.cat([values, values.new_zeros(1, 3)])
        ties = back((values[texel] * weight[..., None]).sum(1))
        return degree * values - F.embedding_bag(charts.beside, padded, mode="sum") + ties

    gap = -(TIE**0.5) * (flat[seams.texel] * seams.weight[..., None]).sum(1)
    residual = back(gap)
    found, limit = torch.zeros(count, 3), ENOUGH * float(residual.norm())
    way = residual / diagonal
    size = (residual * way).sum()
    for _ in range(STEPS):
        if float(residual.norm()) <= limit:
            break
        pull = applied(way)
        step = size / (way * pull).sum()
        found += step * way
        residual -= step * pull
        ahead = residual / diagonal
        size, before = (residual * ahead).sum(), size
        way = ahead + size / before * way
    return found
