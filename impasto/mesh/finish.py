"""What maps still need when they are painted: places that no view shows, and borders of charts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from impasto.mesh.atlas import Page
from impasto.mesh.canvas import Canvas, whole
from impasto.pixels import geometry
from impasto.types import Image, Mask


def filled(image: Image, seen: Mask, source: Image) -> Image:
    """A map with what no view shows filled in: the source's light and dark there, in colors carried on from nearby."""
    if not bool((seen > 0).any()):
        return source
    carried = geometry.fill(image, seen)
    tone = geometry.fill(source * seen, seen)
    detail = (source - tone).mean(1, keepdim=True)
    return torch.where(seen > 0, image, (carried + 0.5 * detail).clamp(0, 1))


def bordered(image: Image, page: Page) -> Image:
    """A map with its colors carried on where no face lies, so that none of it shows at the borders of charts."""
    return geometry.fill(image, page.covered)


def assembled(canvas: Canvas, bands: Sequence[Tensor]) -> list[Image]:
    """The maps that bands stand for, given in the order of the canvas's parameters."""
    found, start = [], 0
    for parts in canvas.parts:
        found.append(whole([band.detach() for band in bands[start : start + len(parts)]]))
        start += len(parts)
    return found
