"""Which face is seen at each pixel: an exact z-buffer.

Corners come as (x·w, y·w, w), pixels and depth. They are cut at the near plane, set on a grid of 1/256 px and tested with
edge functions whose products are exact in float64, so that neighbors share every pixel of their edge fairly: none is left
out, none drawn twice (Pineda, SIGGRAPH 1988; the rule of top and left edges). 1/w is linear in the picture.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from impasto.mesh.packages import compiled

GRID = 256.0
"""Places of a corner within a pixel, each way."""
BEHIND = 1 - 1e-6
"""By how much a face seen from behind must be nearer than one seen from the front at the same place."""


class Seen(NamedTuple):
    """What a camera sees, pixel by pixel."""

    face: np.ndarray
    """Height x width, int32; -1 where there is nothing."""
    weights: np.ndarray
    """Height x width x 3, float32: how much of each corner of the face, perspective taken into account."""
    depth: np.ndarray
    """Height x width, float32: distance along the view; 0 where there is nothing."""


class Cutouts(NamedTuple):
    """Holes in faces: where opacity is under a threshold."""

    uv: np.ndarray
    """Faces x 3 x 2."""
    table: np.ndarray
    """Faces, int32: which map; -1 for a whole face."""
    maps: np.ndarray
    """Opacities, one map after the other, float32."""
    shapes: np.ndarray
    """Maps x 3, int64: where a map begins, its height and width."""
    limits: np.ndarray
    """Maps: opacity under which there is a hole."""


def no_cutouts() -> Cutouts:
    """Faces without holes."""
    return Cutouts(
        np.zeros((0, 3, 2)), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 3), np.int64), np.zeros(0, np.float64)
    )


def rasterize(corners: np.ndarray, height: int, width: int, near: float, cutouts: Cutouts | None = None) -> Seen:
    """The nearest face at the center of each pixel; of two at the same depth the one seen from the front, else the first.

    `corners`: faces x 3 x (x·w, y·w, w), float64; y goes down. What is nearer than `near` is cut away.
    """
    face = np.full((height, width), -1, np.int32)
    key = np.zeros((height, width))
    weights = np.zeros((height, width, 3), np.float32)
    depth = np.zeros((height, width), np.float32)
    holes = cutouts or no_cutouts()
    _fill(np.ascontiguousarray(corners, np.float64), near, face, key, weights, depth, *holes)
    return Seen(face, weights, depth)


def _clip(corners: Any, near: float, poly: Any, shares: Any) -> int:
    """Cut a face at w = near (Sutherland & Hodgman): its polygon, and how much of each corner its points are. 0, 3 or 4."""
    count = 0
    for a in range(3):
        b = (a + 1) % 3
        inside, after = corners[a, 2] >= near, corners[b, 2] >= near
        if inside:
            poly[count] = corners[a]
            shares[count] = 0.0
            shares[count, a] = 1.0
            count += 1
        if inside != after:
            # from the inside out, so that both neighbors find the same point
            i, o = (a, b) if inside else (b, a)
            t = (near - corners[i, 2]) / (corners[o, 2] - corners[i, 2])
            poly[count] = corners[i] + t * (corners[o] - corners[i])
            poly[count, 2] = near
            shares[count] = 0.0
            shares[count, i] = 1 - t
            shares[count, o] = t
            count += 1
    return count


def _hole(u: float, v: float, number: int, maps: Any, shapes: Any, limits: Any) -> bool:
    """Whether there is a hole at a place of a repeating map."""
    start, height, width = shapes[number]
    x, y = int(np.floor(u * width)) % width, int(np.floor(v * height)) % height
    return bool(maps[start + y * width + x] < limits[number])


_clip, _hole = compiled(_clip), compiled(_hole)


def _draw(
    points: Any, shares: Any, number: int, factor: float, face: Any, key: Any, weights: Any, depth: Any, uv: Any, cut: Any,
    maps: Any, shapes: Any, limits: Any
) -> None:  # fmt: skip
    """Draw one triangle of a face. `factor` makes it count as farther."""
    height, width = face.shape
    x, y, inverse = np.empty(3), np.empty(3), np.empty(3)
    for k in range(3):
        inverse[k] = 1 / points[k, 2]
        x[k], y[k] = np.rint(points[k, 0] * inverse[k] * GRID), np.rint(points[k, 1] * inverse[k] * GRID)
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    if area == 0 or not np.isfinite(area):
        return
    sign = 1.0 if area > 0 else -1.0
    left = max(0.0, np.floor((min(x[0], x[1], x[2]) - GRID / 2) / GRID))
    right = min(width - 1.0, np.ceil((max(x[0], x[1], x[2]) - GRID / 2) / GRID))
    top = max(0.0, np.floor((min(y[0], y[1], y[2]) - GRID / 2) / GRID))
    bottom = min(height - 1.0, np.ceil((max(y[0], y[1], y[2]) - GRID / 2) / GRID))
    if left > right or top > bottom:
        return
    own = np.empty(3)
    for row in range(int(top), int(bottom) + 1):
        py = row * GRID + GRID / 2
        for column in range(int(left), int(right) + 1):
            px = column * GRID + GRID / 2
            outside, total = False, 0.0
            for k in range(3):
                a, b = (k + 1) % 3, (k + 2) % 3
                dx, dy = sign * (x[b] - x[a]), sign * (y[b] - y[a])
                edge = dx * (py - y[a]) - dy * (px - x[a])
                # on the edge itself only those of the top and the left count
                if edge < 0 or (edge == 0 and not (dy < 0 or (dy == 0 and dx > 0))):
                    outside = True
                    break
                own[k] = edge * inverse[k]
                total += own[k]
            near = total / (sign * area)
            if outside or near * factor <= key[row, column]:
                continue
            parts = (own[0] * shares[0] + own[1] * shares[1] + own[2] * shares[2]) / total
            if cut.shape[0] and cut[number] >= 0:
                u = parts[0] * uv[number, 0, 0] + parts[1] * uv[number, 1, 0] + parts[2] * uv[number, 2, 0]
                v = parts[0] * uv[number, 0, 1] + parts[1] * uv[number, 1, 1] + parts[2] * uv[number, 2, 1]
                if _hole(u, v, cut[number], maps, shapes, limits):
                    continue
            key[row, column], face[row, column], depth[row, column] = near * factor, number, 1 / near
            for k in range(3):
                weights[row, column, k] = parts[k]


_draw = compiled(_draw)


def _fill(
    corners: Any, near: float, face: Any, key: Any, weights: Any, depth: Any, uv: Any, cut: Any, maps: Any, shapes: Any,
    limits: Any
) -> None:  # fmt: skip
    """Draw all faces."""
    poly, shares = np.empty((4, 3)), np.empty((4, 3))
    points, parts = np.empty((3, 3)), np.empty((3, 3))
    for number in range(corners.shape[0]):
        p, q, r = corners[number, 0], corners[number, 1], corners[number, 2]
        turn = p[0] * (q[1] * r[2] - q[2] * r[1]) - p[1] * (q[0] * r[2] - q[2] * r[0]) + p[2] * (q[0] * r[1] - q[1] * r[0])
        count = _clip(corners[number], near, poly, shares)
        for k in range(1, count - 1):
            points[0], points[1], points[2] = poly[0], poly[k], poly[k + 1]
            parts[0], parts[1], parts[2] = shares[0], shares[k], shares[k + 1]
            factor = 1.0 if turn < 0 else BEHIND
            _draw(points, parts, number, factor, face, key, weights, depth, uv, cut, maps, shapes, limits)


_fill = compiled(_fill)
