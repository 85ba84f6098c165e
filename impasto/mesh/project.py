"""Pictures of a model brought back to its texture maps: each texel takes the color that the views show at its place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.mesh.atlas import lying
from impasto.mesh.cameras import Camera
from impasto.mesh.stage import Stage
from impasto.types import Image, Mask

FACING = 6
"""Power of the cosine between a face and a view: the view that looks straightest counts by far the most."""
SLANT = 0.12
"""A view that looks flatter than this (cosine) tells nothing."""
TOLERANCE = 0.01
"""By how much of the radius a place may lie behind what the camera sees there."""


class Places:
    """Where in the world each texel of a map is."""

    def __init__(self, stage: Stage, number: int, shape: tuple[int, int]) -> None:
        """`number`: which map; `shape`: its height and width."""
        first = np.unique(stage.triangles.surface, return_index=True)[1]
        chosen = np.isin(stage.triangles.instance, stage.triangles.instance[first]) & (stage.page == number)
        faces = np.flatnonzero(chosen)
        seen = lying(stage.uv[faces], *shape)
        flat = np.flatnonzero(seen.face.reshape(-1) >= 0)
        face, weights = faces[seen.face.reshape(-1)[flat]], seen.weights.reshape(-1, 3)[flat]
        self.shape, self.face = shape, face
        self.flat = torch.from_numpy(flat)
        self.points = torch.from_numpy(np.einsum("pkc,pk->pc", stage.triangles.corners[face], weights)).float()
        self.normals = torch.from_numpy(np.einsum("pkc,pk->pc", stage.triangles.normals[face], weights)).float()
        self.normals = F.normalize(self.normals, dim=1)


def weights(stage: Stage, places: Places, camera: Camera, height: int, width: int) -> tuple[Tensor, Tensor]:
    """How much a view tells of each place (0 where it is hidden or slanted away), and where in the view it is, px."""
    eye, axes = torch.from_numpy(camera.eye).float(), torch.from_numpy(camera.axes).float()
    toward = places.points - eye
    seen = toward @ axes.T
    w = seen[:, 2].clamp(min=1e-6)
    focal = camera.focal(height, width)
    x, y = focal * seen[:, 0] / w + width / 2, focal * seen[:, 1] / w + height / 2
    depth = torch.from_numpy(stage.see(camera, height, width).depth)
    column, row = x.floor().long(), y.floor().long()
    inside = (seen[:, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    nearest = depth[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    facing = (F.normalize(toward, dim=1) * places.normals).sum(1).abs()
    slack = stage.radius * TOLERANCE + w / focal / facing.clamp(min=SLANT)
    visible = inside & (nearest > 0) & (w < nearest + slack) & (facing > SLANT)
    return torch.where(visible, facing**FACING, 0.0), torch.stack([x, y], 1)


class Collected:
    """Colors of maps, as views bring them."""

    def __init__(self, stage: Stage, shapes: Sequence[tuple[int, int]]) -> None:
        self.stage = stage
        self.places = [Places(stage, number, shape) for number, shape in enumerate(shapes)]
        self.colors = [torch.zeros(len(each.flat), 3) for each in self.places]
        self.total = [torch.zeros(len(each.flat)) for each in self.places]

    def add(self, camera: Camera, picture: Image) -> None:
        """Take in what a view shows."""
        height, width = picture.shape[-2:]
        for places, colors, total in zip(self.places, self.colors, self.total, strict=True):
            weight, where = weights(self.stage, places, camera, height, width)
            here = weight.nonzero()[:, 0]
            grid = where[here] / torch.tensor([width, height]) * 2 - 1
            read = F.grid_sample(picture, grid[None, None], "bilinear", "border", align_corners=False)[0, :, 0].T
            colors[here] += weight[here, None] * read
            total[here] += weight[here]

    def maps(self) -> list[tuple[Image, Mask]]:
        """The maps, and where a view showed anything."""
        found = []
        for places, colors, total in zip(self.places, self.colors, self.total, strict=True):
            height, width = places.shape
            image, mask = torch.zeros(height * width, 3), torch.zeros(height * width)
            image[places.flat] = colors / total.clamp(min=1e-12)[:, None]
            mask[places.flat] = (total > 0).float()
            found.append((image.T.reshape(1, 3, height, width), mask.view(1, 1, height, width)))
        return found
