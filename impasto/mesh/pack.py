"""New texture coordinates: charts by xatlas, or for very large meshes a cell for each pair of faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from impasto.mesh.model import Model, upright
from impasto.mesh.packages import package

MANY = 150_000
"""More faces than this are not cut into charts, which would take minutes."""
PADDING = 4
"""Texels between charts at 1024 px; more in larger maps."""


class Packed(NamedTuple):
    """A surface cut open: where its corners lie, and which vertices that makes."""

    uv: np.ndarray
    """Faces x 3 x 2."""
    vertices: np.ndarray
    """Of each new vertex, which old one it is."""
    faces: np.ndarray
    """Faces x 3, of new vertices, in the old order."""
    places: np.ndarray
    """New vertices x 2."""


def placed(model: Model, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and faces of a surface as large as it first stands in the world, so that charts are of one scale."""
    matrix = upright(model) @ next(each.matrix for each in model.instances if each.surface == index)
    surface = model.surfaces[index]
    return surface.positions @ matrix[:3, :3].T, surface.faces


def pack(meshes: Sequence[tuple[np.ndarray, np.ndarray]], size: int) -> list[Packed]:
    """Lay meshes (positions, faces) out side by side in a square of `size` px. Every face keeps its place in the order."""
    total = sum(len(faces) for _, faces in meshes)
    if total > MANY:
        return _cells(meshes, size)
    xatlas = package("xatlas")
    atlas = xatlas.Atlas()
    for positions, faces in meshes:
        # xatlas works in float32: far from the origin corners would fall together
        moved = positions - positions[np.unique(faces)].mean(0)
        atlas.add_mesh(moved.astype(np.float32), faces.astype(np.uint32))
    options = xatlas.PackOptions()
    options.resolution, options.padding, options.bilinear = size, max(2, round(PADDING * size / 1024)), True
    atlas.generate(pack_options=options)
    found = []
    for number, (_, faces) in enumerate(meshes):
        vertices, split, places = atlas[number]
        if len(split) != len(faces):
            return _cells(meshes, size)
        split, places = split.astype(np.int64), places.astype(np.float64)
        found.append(Packed(places[split], vertices.astype(np.int64), split, places))
    return found


def _cells(meshes: Sequence[tuple[np.ndarray, np.ndarray]], size: int) -> list[Packed]:
    """Two faces share a square cell; near faces lie near each other, so that averages mix what belongs together."""
    counts = [len(faces) for _, faces in meshes]
    centers = np.concatenate([positions[faces].mean(1) for positions, faces in meshes])
    order = np.argsort(_curve(centers), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    across = math.ceil(math.sqrt((len(order) + 1) // 2))
    cell = size / across
    gap = min(1.0, cell / 6)
    near, far = gap, cell - gap
    lower = np.array([[near, near], [far - gap, near], [near, far - gap]])
    upper = np.array([[far, far], [near + gap, far], [far, near + gap]])
    row, column = _unravel(rank // 2, across)
    corners = np.where((rank % 2)[:, None, None] == 0, lower, upper)
    uv = (corners + np.stack([column, row], 1)[:, None] * cell) / size
    found, start = [], 0
    for (_, faces), count in zip(meshes, counts, strict=True):
        own = uv[start : start + count]
        found.append(Packed(own, faces.reshape(-1), np.arange(3 * count).reshape(-1, 3), own.reshape(-1, 2)))
        start += count
    return found


def _unravel(rank: np.ndarray, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of a place in rows that run to and fro."""
    row, column = rank // across, rank % across
    return row, np.where(row % 2 == 0, column, across - 1 - column)


def _curve(points: np.ndarray) -> np.ndarray:
    """A number for each point, near for near points: the bits of its coordinates interleaved (Morton 1966)."""
    low, high = points.min(0), points.max(0)
    steps = ((points - low) / np.maximum(high - low, 1e-30) * 1023).astype(np.int64)
    found = np.zeros(len(points), np.int64)
    for bit in range(10):
        for axis in range(3):
            found |= ((steps[:, axis] >> bit) & 1) << (3 * bit + axis)
    return found
