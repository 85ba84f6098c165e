"""Models as painting sees them: surfaces of one material each, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import UnfitPicture
from impasto.pixels.picture import Picture

OPAQUE, MASK, BLEND = "OPAQUE", "MASK", "BLEND"
REPEAT, CLAMP, MIRROR = "repeat", "clamp", "mirror"
CREASE = np.cos(np.radians(22))
"""Where the file says nothing of normals, faces that turn from their neighbors' mean by less than this look smooth."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a surface looks like, as far as it is painted."""

    name: str = ""
    color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Red, green and blue multiply the picture, in linear light; the fourth is opacity."""
    picture: int = -1
    """Index of its picture in the model; -1: none."""
    transform: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    """Where in the picture: (u, v, 1) multiplied by this (KHR_texture_transform)."""
    wrap: tuple[str, str] = (REPEAT, REPEAT)
    alpha_mode: str = OPAQUE
    cutoff: float = 0.5

    @property
    def white(self) -> bool:
        """Whether its picture shows as it is."""
        return max(abs(1 - level) for level in self.color[:3]) < 1 / 255


@dataclass(slots=True, eq=False)
class Surface:
    """Triangles of one material. Rows of `faces` index the others."""

    name: str
    positions: np.ndarray
    """Vertices x 3, in the surface's own space, float64."""
    faces: np.ndarray
    """Faces x 3, int64."""
    material: int
    uv: np.ndarray | None = None
    """Vertices x 2, u right and v down, before the material's transform; None where there are none."""
    normals: np.ndarray | None = None
    colors: np.ndarray | None = None
    """Vertices x 4, in linear light."""


class Instance(NamedTuple):
    """A surface that stands somewhere in the world."""

    surface: int
    matrix: np.ndarray
    """4 x 4, from the surface's space to the world's."""
    name: str = ""
    """Of the node or object."""


@dataclass(slots=True, eq=False)
class Model:
    """All that a file holds that can be seen."""

    name: str
    surfaces: list[Surface]
    instances: list[Instance]
    materials: list[Material]
    pictures: list[Picture | None]
    """None where a picture is missing or damaged."""
    up: str = "y"
    source: Any = None
    """What was read, for the way back: a `Gltf`, or None."""
    notes: list[str] = field(default_factory=list)
    """What was wrong and could be helped, for people."""
    files: list[Path] = field(default_factory=list)
    """Files that it names, which are read besides it: data, materials, pictures."""

    @property
    def count(self) -> int:
        """Faces, each surface counted once."""
        return sum(len(surface.faces) for surface in self.surfaces)


@dataclass(frozen=True, slots=True, eq=False)
class Triangles:
    """A model in the world, face by face."""

    corners: np.ndarray
    """Faces x 3 x 3, float64, y up."""
    normals: np.ndarray
    """Faces x 3 x 3: of unit length, or zero where a face has no area."""
    surface: np.ndarray
    """Which surface each face is of, int32."""
    face: np.ndarray
    """Which of its faces, int32."""
    instance: np.ndarray
    """Which instance, int32."""

    @property
    def bounds(self) -> tuple[np.ndarray, float]:
        """Center and radius of a ball around all of it."""
        points = self.corners.reshape(-1, 3)
        center = (points.min(0) + points.max(0)) / 2
        return center, float(np.sqrt(((points - center) ** 2).sum(1).max()))


def upright(model: Model) -> np.ndarray:
    """The rotation that brings the model's up to +y."""
    turn = np.eye(4)
    if model.up == "z":
        turn[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    return turn


def flatten(model: Model) -> Triangles:
    """Every instance's faces, in the world, y up."""
    turn = upright(model)
    parts = [_placed(model.surfaces[each.surface], turn @ each.matrix) for each in model.instances]
    counts = [len(corners) for corners, _ in parts]
    return Triangles(
        np.concatenate([corners for corners, _ in parts]),
        np.concatenate([normals for _, normals in parts]),
        np.repeat([each.surface for each in model.instances], counts).astype(np.int32),
        np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        np.repeat(np.arange(len(counts)), counts).astype(np.int32),
    )


def _placed(surface: Surface, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = surface.positions @ matrix[:3, :3].T + matrix[:3, 3]
    corners = points[surface.faces]
    if surface.normals is None:
        return corners, smooth(points, surface.faces)
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-30:  # flattened to a plane or a line
        return corners, flat(corners)
    turned = unit(surface.normals @ np.linalg.inv(matrix[:3, :3]))[surface.faces]
    missing = (turned == 0).all(-1, keepdims=True)
    return corners, np.where(missing, flat(corners), turned)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors over their length; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: np.ndarray = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return found


def cross(corners: np.ndarray) -> np.ndarray:
    """Normal of each face, twice as long as its area."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def flat(corners: np.ndarray) -> np.ndarray:
    """The face's normal at each of its corners."""
    return np.repeat(unit(cross(corners))[:, None], 3, 1)


def smooth(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals averaged over faces that share a place, weighted by their angle there; the face's own at a crease.

    Thürmer & Wüthrich, "Computing Vertex Normals from Polygonal Facets", JGT 1998.
    """
    _, place = np.unique(points, axis=0, return_inverse=True)
    place = place.reshape(-1)[faces]
    corners = points[faces]
    ahead = unit(np.roll(corners, -1, 1) - corners)
    angles = np.arccos(np.clip((ahead * -np.roll(ahead, 1, 1)).sum(-1), -1, 1))
    face = unit(cross(corners))
    total = np.zeros((len(points), 3))
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(place[:, corner], angles[:, corner] * face[:, axis], len(points))
    averaged, own = unit(total)[place], np.repeat(face[:, None], 3, 1)
    return np.where((averaged * own).sum(-1, keepdims=True) > CREASE, averaged, own)


def check(model: Model) -> Model:
    """The model, if it can be painted.

    Raises:
        UnfitPicture: no faces, faces of vertices that do not exist, positions that are not numbers.
    """
    if not model.instances or model.count == 0:
        raise UnfitPicture(f"{model.name} has no faces: there is nothing to paint")
    for surface in model.surfaces:
        where = f"{model.name}: {surface.name or 'a surface'}"
        if len(surface.faces) and not 0 <= surface.faces.min() <= surface.faces.max() < len(surface.positions):
            raise UnfitPicture(f"{where} has faces of vertices that do not exist")
        wrong = int((~np.isfinite(surface.positions[np.unique(surface.faces)]).all(1)).sum())
        if wrong:
            raise UnfitPicture(f"{where} has {wrong} positions that are not numbers: mend it in a 3D program first")
        if surface.uv is not None and not np.isfinite(surface.uv[np.unique(surface.faces)]).all():
            model.notes.append(f"{surface.name}: texture coordinates that are not numbers; it gets new ones")
            surface.uv = None
    triangles = flatten(model)
    if not np.isfinite(triangles.corners).all():
        raise UnfitPicture(f"{model.name} has nodes that are placed by values that are not numbers")
    if not np.linalg.norm(cross(triangles.corners), axis=1).max() > 0:
        raise UnfitPicture(f"{model.name}: all of its {model.count} faces have no area, there is nothing to paint")
    return model
