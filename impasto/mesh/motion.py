"""How a model moves between two views of it, told exactly by its geometry.

    b(x) = π'(X(x)) - x

X is the place of the surface that pixel x of this view sees, π' the other camera. It was seen there where it is not hidden:
where the other view shows the same face, or one just as far. What is behind the model stands still.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from impasto.mesh.cameras import Camera
from impasto.mesh.model import unit
from impasto.mesh.raster import Seen
from impasto.mesh.stage import Stage
from impasto.video import flow
from impasto.video.flow import Floats, Motion

REACH = 1.5
"""A place may be as much farther than what the other view shows as its face recedes over so many pixels."""
FLAT = 0.05
"""Least cosine between a face and a view that this goes by."""
UNKNOWN = 255.0
"""A difference, in levels, at which nothing is trusted."""


class Glance(NamedTuple):
    """A camera and what it sees, a sample a pixel."""

    camera: Camera
    seen: Seen


def glance(stage: Stage, camera: Camera, height: int, width: int) -> Glance:
    """What a camera sees in a picture of that shape."""
    return Glance(camera, stage.see(camera, height, width))


def between(stage: Stage, now: Glance, before: Glance) -> Motion:
    """How one view follows from another. Trust draws back from what is newly seen, as `impasto.video.flow.trust` says."""
    found, sound = exact(stage, now, before)
    return Motion(found, flow.trust(found, np.where(sound, 0.0, UNKNOWN).astype(np.float32)))


def exact(stage: Stage, now: Glance, before: Glance) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Where each pixel of a view was in another one, less where it is, and whether it was to be seen there."""
    height, width = now.seen.face.shape
    found = np.zeros((height, width, 2), np.float32)
    sound: npt.NDArray[np.bool_] = (now.seen.face < 0) & (before.seen.face < 0)
    rows, columns = np.nonzero(now.seen.face >= 0)
    face = now.seen.face[rows, columns]
    places = np.einsum("pkc,pk->pc", stage.triangles.corners[face], now.seen.weights[rows, columns])
    there = before.camera.project(places, height, width)
    ahead = there[:, 2] > 0
    x, y = (there[:, :2] / np.where(ahead, there[:, 2], 1)[:, None]).T
    inside = ahead & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = np.where(inside, x, columns + 0.5), np.where(inside, y, rows + 0.5)
    found[rows, columns] = np.stack([x - columns - 0.5, y - rows - 0.5], 1)
    sound[rows, columns] = inside & _shown(stage, before, face, places, there[:, 2], y.astype(int), x.astype(int))
    return found, sound


def _shown(
    stage: Stage, other: Glance, face: np.ndarray, places: np.ndarray, depth: np.ndarray, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Whether places on faces, `depth` from the other camera, are what it sees at those pixels."""
    seen = other.seen
    facing = np.abs((unit(places - other.camera.eye) * stage.facing[face]).sum(1))
    slack = REACH * depth / other.camera.focal(*seen.face.shape) / np.maximum(facing, FLAT)
    same = seen.face[row, column] == face
    found: np.ndarray = same | ((seen.face[row, column] >= 0) & (np.abs(seen.depth[row, column] - depth) < slack))
    return found
