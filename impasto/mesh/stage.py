"""A model on stage: what a camera sees of it, as a picture that depends on its texture maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.mesh import cameras, sample, viewpoint
from impasto.mesh.atlas import Atlas
from impasto.mesh.cameras import Camera
from impasto.mesh.model import BLEND, MASK, Model, cross, flatten, unit
from impasto.mesh.raster import Cutouts, Seen, no_cutouts, rasterize
from impasto.mesh.sample import Layout, Taps
from impasto.types import Image, Mask

NEAR = 1e-3
"""What is nearer to the camera than this share of the model's radius is cut away."""
GLASS = 0.5
"""Blended faces of less opacity are looked through: they are neither seen nor painted."""
RELIEF = 0.45
"""How much darker than full light a face turned away is."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a camera sees: which texels each of its samples reads, and how bright they are there."""

    camera: Camera
    shape: tuple[int, int]
    samples: int
    """Samples a pixel, across and down."""
    flat: Tensor
    """Places of the samples that see the model, rows first."""
    face: np.ndarray
    """The face each of them sees."""
    taps: Taps
    shade: Tensor
    """Brightness of each by its angle to the lamp."""

    def mask(self, chosen: Tensor | None = None) -> Mask:
        """Share of each pixel that is of the model; of the samples `chosen` (0 or 1 each) alone."""
        height, width = self.shape
        whole = torch.zeros(height * width * self.samples**2)
        whole[self.flat] = 1.0 if chosen is None else chosen
        return F.avg_pool2d(whole.view(1, 1, height * self.samples, width * self.samples), self.samples)

    def picture(self, table: Tensor, background: Tensor) -> Image:
        """The picture, of a table of texels (see `impasto.mesh.sample.texels`). `background`: red, green, blue."""
        height, width = self.shape
        colors = sample.gather(table, self.taps) * self.shade[:, None]
        whole = background.to(colors.dtype).expand(height * width * self.samples**2, 3)
        whole = whole.index_copy(0, self.flat, colors)
        planes = whole.T.reshape(1, 3, height * self.samples, width * self.samples)
        return F.avg_pool2d(planes, self.samples)


class Stage:
    """A model with its atlas, face by face in the world."""

    def __init__(self, model: Model, atlas: Atlas) -> None:
        self.model, self.atlas, self.triangles = model, atlas, flatten(model)
        self.center, self.radius = self.triangles.bounds
        self.frame = cameras.tight(self.triangles.corners.reshape(-1, 3), self.center, self.radius)
        """Radius of the ball that cameras frame."""
        order = [each.surface for each in model.instances]
        self.uv = np.concatenate([atlas.uv[index] for index in order])
        counts = [len(model.surfaces[index].faces) for index in order]
        self.page = np.repeat([max(0, atlas.page[index]) for index in order], counts).astype(np.int64)
        self.clamped = np.array([page.clamped for page in atlas.pages], np.bool_)
        materials = [model.materials[model.surfaces[index].material] for index in order]
        self.glass = np.repeat([material.alpha_mode == BLEND and material.color[3] < GLASS for material in materials], counts)
        self._solid = np.flatnonzero(~self.glass)
        self._holes = self._cutouts()

    @cached_property
    def facing(self) -> np.ndarray:
        """The direction that each face looks in."""
        return unit(cross(self.triangles.corners))

    def layout(self, maps: Sequence[Image]) -> Layout:
        """Where the texels of these maps lie."""
        return Layout(tuple((page.shape[-2], page.shape[-1]) for page in maps))

    def camera(self, name: str) -> Camera:
        """A view by its name, by AZIMUTH,ELEVATION, or in words, "eye=1,2,3 target=0,0,0".

        Raises:
            UsageError: no such view.
        """
        if viewpoint.is_words(name):
            return viewpoint.words(name).camera(self.model)
        return cameras.named(name, self.center, self.frame)

    def see(self, camera: Camera, height: int, width: int) -> Seen:
        """Which face is seen where, glass looked through."""
        corners = camera.project(self.triangles.corners[self._solid], height, width)
        seen = rasterize(corners, height, width, self.radius * NEAR, self._holes)
        return seen._replace(face=np.where(seen.face >= 0, self._solid[seen.face], -1).astype(np.int32))

    def look(
        self, camera: Camera, shape: tuple[int, int], layout: Layout, *, samples: int = 2, lamp: np.ndarray | None = None,
        relief: float = RELIEF
    ) -> View:  # fmt: skip
        """What a camera sees in a picture of (height, width).

        `lamp`: direction to the light, in the world; by default it goes with the camera. `relief`: how much the angle to it
        matters; 0 shows the maps as they are.
        """
        height, width = shape[0] * samples, shape[1] * samples
        seen = self.see(camera, height, width)
        flat = np.flatnonzero(seen.face.reshape(-1) >= 0)
        face, weights = seen.face.reshape(-1)[flat], seen.weights.reshape(-1, 3)[flat]
        depth = seen.depth.reshape(-1)[flat].astype(np.float64)
        density = sample.densities(camera.project(self.triangles.corners, height, width), self.uv)
        found = sample.taps(layout, face, weights, depth, self.uv, self.page, density, self.clamped)
        shade = torch.ones(len(flat))
        if relief:
            shade = self._shade(camera, face, weights, cameras.light(camera) if lamp is None else lamp, relief)
        return View(camera, shape, samples, torch.from_numpy(flat), face, found, shade)

    def points(self, count: int = 4096) -> np.ndarray:
        """Centers of faces, chosen by their area."""
        areas = np.linalg.norm(cross(self.triangles.corners), axis=1)
        chosen = np.searchsorted(np.cumsum(areas), (np.arange(count) + 0.5) / count * areas.sum())
        found: np.ndarray = self.triangles.corners[chosen.clip(0, len(areas) - 1)].mean(1)
        return found

    def _shade(self, camera: Camera, face: np.ndarray, weights: np.ndarray, lamp: np.ndarray, relief: float) -> Tensor:
        """1 where the light falls straight, 1 - relief on the other side: (1 + n·l) / 2, n turned to the camera."""
        normals = np.einsum("pkc,pk->pc", self.triangles.normals[face], weights)
        places = np.einsum("pkc,pk->pc", self.triangles.corners[face], weights)
        away = ((places - camera.eye) * normals).sum(1, keepdims=True) > 0
        normals = np.where(away, -normals, normals) / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return torch.from_numpy(1 - relief * (0.5 - 0.5 * (normals @ lamp))).float()

    def _cutouts(self) -> Cutouts:
        """Holes of materials that are cut out by their picture's opacity."""
        maps, shapes, limits = [np.zeros(0, np.float32)], list[tuple[int, int, int]](), list[float]()
        numbers: dict[tuple[int, float], int] = {}
        table = np.full(len(self.page), -1, np.int32)
        for position, each in enumerate(self.model.instances):
            material = self.model.materials[self.model.surfaces[each.surface].material]
            number = self.atlas.page[each.surface]
            alpha = self.atlas.pages[number].alpha if number >= 0 else None
            if material.alpha_mode == MASK and alpha is not None:
                key = number, material.cutoff
                if key not in numbers:
                    numbers[key] = len(shapes)
                    shapes.append((sum(map(len, maps)), alpha.shape[-2], alpha.shape[-1]))
                    maps.append(alpha.reshape(-1).numpy().astype(np.float32))
                    limits.append(material.cutoff)
                table[self.triangles.instance == position] = numbers[key]
        if not numbers:
            return no_cutouts()
        packed = np.array(shapes, np.int64)
        return Cutouts(self.uv[self._solid], table[self._solid], np.concatenate(maps), packed, np.array(limits))
