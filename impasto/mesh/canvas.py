"""Texture maps as a canvas: what the optimizer paints is a pyramid, what it sees is a picture of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.mesh.atlas import sides
from impasto.mesh.sample import texels
from impasto.mesh.stage import View
from impasto.types import Image

PACE = (0.35, 0.5, 0.7, 0.85, 1.0)
"""How far a step of the optimizer goes in each band, the finest first: fine ones are seen by few views and overshoot."""
REST = 0.5
"""Bands are stored around this, so that all parameters lie about 0 ... 1."""


def bands(image: Image) -> list[Image]:
    """A Laplacian pyramid (Burt & Adelson 1983) of halves: each band what the next one enlarged lacks; over their pace."""
    sizes = [image]
    for _ in PACE[1:]:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    found = [fine - enlarged(coarse) for fine, coarse in pairwise(sizes)]
    return [band / pace + REST for band, pace in zip([*found, sizes[-1] - REST], PACE, strict=True)]


def whole(parts: Sequence[Tensor]) -> Image:
    """The picture that a pyramid stands for."""
    image = PACE[-1] * (parts[-1] - REST) + REST
    for part, pace in zip(reversed(parts[:-1]), reversed(PACE[:-1]), strict=True):
        image = enlarged(image) + pace * (part - REST)
    return image


def enlarged(image: Image) -> Image:
    """Twice as large, bilinear."""
    return F.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)


class Canvas:
    """All texture maps of a model, seen by another camera in each step."""

    def __init__(
        self, maps: Sequence[Image], size: int, full: int, view: Callable[[int, int, list[Image]], tuple[View, Tensor]]
    ) -> None:
        """`maps` at their full size, which they have when views have a long edge of `full` px; begun at `size`.

        `view(number, size, maps)`: what the camera of that step sees in maps of that shape, and the background.
        """
        self.shapes = [(each.shape[-2], each.shape[-1]) for each in maps]
        self.full, self.size, self._view = full, size, view
        self.number = 0
        """Which camera looks: that of this step."""
        self.parts: list[list[Tensor]] = []
        self._kept: tuple[tuple[int, int], View, Tensor] | None = None
        self._set([self.fitted(each, size) for each in maps])

    def _set(self, maps: Sequence[Image]) -> None:
        self.parts = [[band.detach().contiguous().requires_grad_() for band in bands(each)] for each in maps]
        self._kept = None

    def fitted(self, image: Image, size: int) -> Image:
        """A map as large as it is when views have a long edge of `size` px."""
        height, width = image.shape[-2:]
        shape = sides(height, width, round(max(height, width) * min(1.0, size / self.full)))
        if shape == (height, width):
            return image
        return F.interpolate(image, shape, mode="bilinear", antialias=True, align_corners=False)

    def maps(self) -> list[Image]:
        """The maps as they stand."""
        return [whole(parts) for parts in self.parts]

    def seen(self) -> tuple[View, Tensor]:
        """What the present camera sees, and the background."""
        key = self.number, self.size
        if self._kept is None or self._kept[0] != key:
            shapes = [parts[0] for parts in self.parts]
            self._kept = (key, *self._view(self.number, self.size, shapes))
        return self._kept[1], self._kept[2]

    def resize(self, size: int) -> None:
        """Views of another size, and maps to fit."""
        if size == self.size:
            return
        with torch.no_grad():
            maps = self.maps()
        found = []
        for shape, image in zip(self.shapes, maps, strict=True):
            target = sides(*shape, round(max(shape) * min(1.0, size / self.full)))
            found.append(F.interpolate(image, target, mode="bicubic", antialias=True, align_corners=False))
        self.size = size
        self._set(found)

    def parameters(self) -> list[Tensor]:
        """Every band of every map."""
        return [band for parts in self.parts for band in parts]

    def resized(self, moment: Tensor, parameter: Tensor, mode: str) -> Tensor:
        """A band's moment brought to its new size.

        Both of Adam's alike: texels that no view has shown have none, and one spread farther than the other over them would
        make steps of any length there.
        """
        return F.interpolate(moment, parameter.shape[-2:], mode="bilinear")

    def render(self) -> Image:
        """The model as the present camera sees it."""
        view, background = self.seen()
        return view.picture(texels(self.maps()), background)

    def restrain(self) -> None:
        """Nothing: bands have no bounds of their own; colors are cut to 0 ... 1 when all is done."""
