"""Huge pictures: tile by tile, with the statistics of the whole, in constant memory and without seams.

Instance norm ties every pixel to the whole picture. Its means and variances are measured first, then frozen; from then on
a pixel sees no farther than the network's reach, and a tile with that much around it is painted as inside the whole.
(Chen et al., "Towards Ultra-Resolution Neural Style Transfer via Thumbnail Instance Normalization", AAAI 2022, measure
on a thumbnail. Detail is another in a thumbnail, so we measure on full-size patches spread over the picture.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from impasto.errors import UsageError
from impasto.fast.layers import Statistics
from impasto.fast.nets import STRIDE, Bound, check_strength
from impasto.types import Image

Read = Callable[[int, int, int, int], Image]
"""Gives a part of a picture: (top, left, height, width)."""
WHOLE = 2048 * 2048
"""Pictures up to this many pixels are measured whole."""
PATCH, PATCHES = 256, 8
"""Side of the patches that greater pictures are measured on, px, and how many a side."""


class Tile(NamedTuple):
    """A painted part of a picture, and where it lies."""

    top: int
    left: int
    image: Image


def spread(length: int) -> list[int]:
    """Starts of PATCHES patches evenly over a length, multiples of 8."""
    last = max(0, length - PATCH)
    return sorted({int(last * k / (PATCHES - 1)) // STRIDE * STRIDE for k in range(PATCHES)})


@torch.no_grad()
def measure(bound: Bound, read: Read, height: int, width: int, strength: float = 1.0) -> Statistics:
    """Statistics of a whole picture: of all of it up to 4 megapixels, of 64 patches of 256 px together beyond that."""
    if height * width <= WHOLE:
        return bound.net.measure(read(0, 0, height, width), bound.code, strength=strength)
    side = min(PATCH, height), min(PATCH, width)
    patches = torch.cat([read(top, left, *side) for top in spread(height) for left in spread(width)])
    return bound.net.measure(patches, bound.code, strength=strength, joint=True)


@torch.no_grad()
def steps(
    bound: Bound,
    read: Read,
    height: int,
    width: int,
    *,
    tile: int = 1024,
    strength: float = 1.0,
    statistics: Statistics | None = None,
) -> Iterator[Tile]:
    """Paint a picture tile by tile, rows first; no more than a tile with its surroundings is held.

    Raises:
        UsageError: a strength outside 0 ... 1, or a tile that is no multiple of 8.
    """
    check_strength(strength)
    if tile < STRIDE or tile % STRIDE:
        raise UsageError(f"tiles of {tile} px: a multiple of {STRIDE} is needed")
    frozen = measure(bound, read, height, width, strength) if statistics is None else statistics
    reach = bound.net.reach
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            first, start = max(0, top - reach), max(0, left - reach)
            inside = min(tile, height - top), min(tile, width - left)
            part = read(first, start, min(height, top + tile + reach) - first, min(width, left + tile + reach) - start)
            painted = bound.net(part, bound.code.to(part.device), strength=strength, statistics=frozen, origin=(first, start))
            down, across = top - first, left - start
            yield Tile(top, left, painted[..., down : down + inside[0], across : across + inside[1]])


def stylize_tiled(bound: Bound, content: Image, *, tile: int = 1024, strength: float = 1.0) -> Image:
    """The content stylized tile by tile; strength 0 returns the content itself.

    Raises:
        UsageError: a strength outside 0 ... 1, or a tile that is no multiple of 8.
    """
    check_strength(strength)
    if strength == 0.0:
        return content

    def read(top: int, left: int, height: int, width: int) -> Image:
        return content[..., top : top + height, left : left + width]

    out = torch.empty_like(content)
    for top, left, image in steps(bound, read, *content.shape[-2:], tile=tile, strength=strength):
        out[..., top : top + image.shape[-2], left : left + image.shape[-1]] = image
    return out


def paint(bound: Bound, content: Image, *, tile: int = 0, strength: float = 1.0) -> Image:
    """The content stylized: in tiles of `tile` px, or where that is 0 at once up to 4 megapixels and in large tiles beyond.

    What the network needs does not grow with a picture in tiles; the picture itself and its result do.

    Raises:
        UsageError: a strength outside 0 ... 1, or a tile that is no multiple of 8.
    """
    if not tile and content.shape[-2] * content.shape[-1] <= WHOLE:
        return bound(content, strength=strength)
    return stylize_tiled(bound, content, tile=tile or 1024, strength=strength)
