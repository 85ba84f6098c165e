"""Reading texture maps where a camera sees them, filtered and differentiable: each pixel a weighted sum of eight texels.

A pixel covers |det J| texels, J the derivative of its place in the map; in homogeneous coordinates det J = d·w³, d the same
for all of a face. Two steps of a pyramid of averages beside that size are read bilinearly and blended (Williams, "Pyramidal
Parametrics", SIGGRAPH 1983). The weights are fixed by the camera, so reading is a sparse matrix A, and the gradient of the
texels is Aᵀ times that of the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.mesh.model import MIRROR, REPEAT
from impasto.mesh.packages import compiled
from impasto.types import Image

MIPS = 6
"""Steps of the pyramid of averages, the map itself included."""
STRIDE = 2 ** (MIPS - 1)
"""Sides of maps are multiples of this."""
TAPS = 8


class Taps(NamedTuple):
    """Which texels each pixel reads, and how much of each."""

    texel: Tensor
    """Pixels x 8, int64."""
    weight: Tensor
    """Pixels x 8, float32; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the texels of all maps and their averages lie in one table."""

    shapes: tuple[tuple[int, int], ...]
    """Height and width of each map."""

    @property
    def table(self) -> np.ndarray:
        """Maps x steps x (start, height, width), int64."""
        found, start = np.zeros((len(self.shapes), MIPS, 3), np.int64), 0
        for page, (height, width) in enumerate(self.shapes):
            for step in range(MIPS):
                h, w = height >> step, width >> step
                found[page, step] = start, h, w
                start += h * w
        return found


def texels(maps: Sequence[Image]) -> Tensor:
    """All maps and their averages as one table, texels x 3, in the order of `Layout`."""
    parts = []
    for page in maps:
        for step in range(MIPS):
            parts.append(page[0].flatten(1).T)
            page = F.avg_pool2d(page, 2) if step < MIPS - 1 else page
    return torch.cat(parts)


def densities(corners: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """The d of each face: twice its area in the map (sides 1), over the determinant of its corners (x·w, y·w, w)."""
    edges = uv[:, 1:] - uv[:, :1]
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    volume = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum(1)
    found: np.ndarray = np.abs(np.divide(area, volume, out=np.zeros_like(area), where=volume != 0))
    return found


def taps(
    layout: Layout,
    face: np.ndarray,
    weights: np.ndarray,
    depth: np.ndarray,
    uv: np.ndarray,
    page: np.ndarray,
    density: np.ndarray,
    clamped: np.ndarray,
) -> Taps:
    """The texels of pixels: `face`, `weights` and `depth` of each; of each face its `uv`, map (`page`) and `density`.

    `clamped`: of each map whether it ends at its borders, across and down, rather than repeats.
    """
    index, weight = np.zeros((len(face), TAPS), np.int64), np.zeros((len(face), TAPS), np.float32)
    _tap(layout.table, face, weights, depth, uv, page, density, clamped, index, weight)
    return Taps(torch.from_numpy(index), torch.from_numpy(weight))


def _tap(
    table: Any, face: Any, weights: Any, depth: Any, uv: Any, page: Any, density: Any, clamped: Any, index: Any, weight: Any
) -> None:
    steps = table.shape[1]
    for i in range(face.shape[0]):
        f = face[i]
        u, v = 0.0, 0.0
        for k in range(3):
            u += weights[i, k] * uv[f, k, 0]
            v += weights[i, k] * uv[f, k, 1]
        p = page[f]
        covered = density[f] * depth[i] ** 3 * table[p, 0, 1] * table[p, 0, 2]
        level = min(max(0.5 * np.log2(covered + 1e-30), 0.0), steps - 1.0)
        lower = min(int(level), steps - 2)
        for step in range(2):
            share = (level - lower) if step else 1 - (level - lower)
            start, height, width = table[p, lower + step]
            x, y = u * width - 0.5, v * height - 0.5
            left, top = int(np.floor(x)), int(np.floor(y))
            across, down = x - left, y - top
            for corner in range(4):
                c, r = left + corner % 2, top + corner // 2
                c = min(max(c, 0), width - 1) if clamped[p, 0] else c % width
                r = min(max(r, 0), height - 1) if clamped[p, 1] else r % height
                index[i, 4 * step + corner] = start + r * width + c
                part = (across if corner % 2 else 1 - across) * (down if corner // 2 else 1 - down)
                weight[i, 4 * step + corner] = share * part


_tap = compiled(_tap)


class _Gather(torch.autograd.Function):
    """A x, and Aᵀ g on the way back."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.count = table.shape[0]
        if table.dtype == torch.float32:
            return F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")
        return (table[index] * weight[..., None].to(table.dtype)).sum(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        flat, found = index.flatten(), []
        for channel in range(gradient.shape[1]):
            # a channel at a time: adding to one dimension is the quick way on a processor
            part = (gradient[:, channel : channel + 1] * weight).flatten()
            found.append(gradient.new_zeros(ctx.count).index_add_(0, flat, part))
        return torch.stack(found, 1), None, None


def gather(table: Tensor, found: Taps) -> Tensor:
    """What pixels read of a table of texels, pixels x 3."""
    colors: Tensor = _Gather.apply(table, found.texel, found.weight)  # type: ignore[no-untyped-call]
    return colors


def folded(uv: np.ndarray, wrap: tuple[str, str]) -> tuple[np.ndarray, tuple[bool, bool]]:
    """Places for `bilinear` in a picture that repeats, ends or is mirrored beyond its borders, and where it ends for it."""
    mirrored = np.array([each == MIRROR for each in wrap])
    return np.where(mirrored, 1 - np.abs(1 - uv % 2), uv), (wrap[0] != REPEAT, wrap[1] != REPEAT)


def bilinear(image: np.ndarray, uv: np.ndarray, clamped: tuple[bool, bool]) -> np.ndarray:
    """A picture (height x width x channels) read at places (points x 2, sides 1), repeated or its borders carried on."""
    height, width = image.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = (x - left)[:, None], (y - top)[:, None]

    def at(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        r = row.clip(0, height - 1) if clamped[1] else row % height
        c = column.clip(0, width - 1) if clamped[0] else column % width
        found: np.ndarray = image[r, c]
        return found

    upper = at(top, left) * (1 - across) + at(top, left + 1) * across
    lower = at(top + 1, left) * (1 - across) + at(top + 1, left + 1) * across
    found: np.ndarray = upper * (1 - down) + lower * down
    return found
