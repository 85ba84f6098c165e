"""Sizes of pictures: fitting, resizing, the pyramid of scales, and what users write for a size."""

from __future__ import annotations

import re
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.types import Image, Mask

Size: TypeAlias = int | tuple[int, int] | None
"""A wish for a size: the long edge in px, or (height, width), or None for the picture's own size."""


def parse_size(text: str) -> Size:
    """What users write for a size: "512" (long edge), "1024x768" (width x height, becomes (768, 1024)) or "full" (None).

    Raises:
        UsageError: anything else, and sides of 0 px.
    """
    word = text.strip().lower()
    if word == "full":
        return None
    match = re.fullmatch(r"([0-9]{1,6})(?:[x\u00d7]([0-9]{1,6}))?", word)
    sides = [int(side) for side in match.groups() if side is not None] if match else [0]
    if min(sides) < 1:
        raise UsageError(f"size {text!r} is not a number of pixels (512), a width x height (1024x768) or full")
    return sides[0] if len(sides) == 1 else (sides[1], sides[0])


def sizes(height: int, width: int, long_edge: int) -> tuple[int, int]:
    """(height, width) of the same shape with the given long edge; no side becomes less than 1 px."""
    scale = long_edge / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The image (or mask) at (height, width): bicubic, antialiased when it shrinks, clamped to [0, 1].

    Bicubic filters overshoot at edges, which is why the result is clamped. The same size returns the image itself.
    """
    if min(size) < 1:
        raise UsageError(f"size {size[1]} x {size[0]} px: sides must be 1 px at least")
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, tuple(size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def fit(image: Image, size: Size) -> Image:
    """The image with a long edge of `size` px, its shape kept. (height, width) is taken exactly, None changes nothing."""
    if size is None:
        return image
    if isinstance(size, int):
        height, width = image.shape[-2:]
        return resize(image, sizes(height, width, size))
    return resize(image, size)


def fill(image: Image, alpha: Mask) -> Image:
    """The image with the colors of what shows carried on under what is fully transparent, from near and ever farther.

    So nothing of what lies there (often black) bleeds into the edges when the image is resized. Visible pixels stay.
    """
    return torch.where(alpha > 0, image, _carried(image * alpha, alpha))


def _carried(premultiplied: Image, weight: Mask) -> Image:
    """Colors over their weight, and where there is none those of the next coarser size."""
    if max(weight.shape[-2:]) == 1 or float(weight.min()) > 0:
        return premultiplied / weight.clamp(min=1e-6)
    half = (F.avg_pool2d(plane, 2, ceil_mode=True, count_include_pad=False) for plane in (premultiplied, weight))
    coarse = F.interpolate(_carried(*half), weight.shape[-2:], mode="nearest")
    return torch.where(weight > 0, premultiplied / weight.clamp(min=1e-6), coarse)


def pyramid(end: int, start: int = 128) -> list[int]:
    """Long edges to paint at, from coarse to fine: end / 2^(k/2), rounded, while at least `start`; [end] if end < start.

    The factor of sqrt 2 between scales is Crowson's (style-transfer-pytorch): half as many pixels at each.
    """
    found = [end]
    while found[-1] > (smaller := round(end / 2 ** (len(found) / 2))) >= start:
        found.append(smaller)
    return found[::-1]
