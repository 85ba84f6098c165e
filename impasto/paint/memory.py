"""What a size costs in memory, and how to stay under a cap: tiles, and a shorter memory of L-BFGS."""

from __future__ import annotations

import ctypes
import math
import re
import sys

import torch

from impasto.errors import UsageError
from impasto.paint.optimize import HISTORY, Level

BASE = 0.5e9
"""Bytes of Python, torch and the encoder's weights."""
PER_PIXEL = {torch.float32: 2600, torch.bfloat16: 1900}
"""Bytes that the encoder's forward and backward pass keeps for a pixel."""
TILED = 1.35
"""So much more, measured, where there are tiles: what is freed after one lies in pieces that do not all fit the next."""
IMAGES = 11
"""Pictures of float32 kept beside L-BFGS's history: the image, its gradient, the content, directions."""
CONTENT = 32
"""Bytes a pixel of the content's own features (relu4_2: 512 channels at 1/64 of the pixels, float32)."""
FILTER, FILTER_IMAGES = 170, 8
"""Bytes that a filter keeps for a pixel that it sees, and the pictures of float32 that there are beside it."""
FILTER_WHOLE, FILTER_OVERLAP = 2048 * 2048, 208
"""Pixels up to which a filter paints at once where memory is not short; and how much larger it sees a tile, px."""
TILES = (1024, 768, 512, 384, 256)
LEAST_HISTORY = 2
OVERLAP = 160
"""Pixels by which a tile is seen larger than it is, both sides together."""


def parse(text: str) -> float:
    """Read "2GB", "512MB" or "1.5G" as bytes; "" is no limit (infinity).

    Raises:
        UsageError: anything else.
    """
    if not text:
        return float("inf")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"max_memory {text!r} is not an amount of memory like 2GB or 800MB")
    return float(match[1]) * {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[match[2].upper()]


ANCHOR = 1000
"""More bytes a pixel seen at less than full strength: the content's features at the style layers, and their differences."""


def estimate(
    height: int, width: int, dtype: torch.dtype, tile: int = 0, history: int = HISTORY, *, anchored: bool = False
) -> float:
    """Bytes that painting takes at its peak; `anchored`: at less than full strength."""
    pixels = height * width
    seen = pixels if not tile else min(pixels, TILED * (tile + OVERLAP) ** 2)
    pictures = IMAGES + 2 * history + (2 if history == HISTORY else 0)
    return BASE + seen * (PER_PIXEL[dtype] + ANCHOR * anchored) + pixels * (12 * pictures + CONTENT)


def filter_estimate(height: int, width: int, tile: int = 0) -> float:
    """Bytes that one pass of a filter takes at its peak."""
    seen = height * width if not tile else min(height * width, (tile + FILTER_OVERLAP) ** 2)
    return BASE + seen * FILTER + height * width * 12 * FILTER_IMAGES


def filter_tile(height: int, width: int, cap: float) -> int:
    """Edge of the tiles in which a filter stays under the cap, px; 0: it can paint at once.

    Raises:
        UsageError: the cap is too small for the size whatever is done.
    """
    if height * width <= FILTER_WHOLE and filter_estimate(height, width) <= cap:
        return 0
    for tile in TILES:
        if filter_estimate(height, width, tile) <= cap:
            return tile
    needed = math.ceil(filter_estimate(height, width, TILES[-1]) / 1e7) / 100
    raise UsageError(f"{width} x {height} px cannot be painted in {cap / 1e9:.3g} GB: it takes {needed:.2f} GB at least")


def limited(level: Level, height: int, width: int, dtype: torch.dtype, cap: float, *, anchored: bool = False) -> Level:
    """The level with the largest tile and the longest history that stay under the cap.

    Raises:
        UsageError: the cap is too small for the size whatever is done.
    """
    for tile in (0, *TILES):
        if estimate(height, width, dtype, tile, HISTORY, anchored=anchored) <= cap:
            return level._replace(tile=tile)
    for tile in TILES:
        room = cap - estimate(height, width, dtype, tile, 0, anchored=anchored)
        history = min(HISTORY - 1, int(room // (24 * height * width)))
        if history >= LEAST_HISTORY:
            return level._replace(tile=tile, history=history)
    least = estimate(height, width, dtype, TILES[-1], LEAST_HISTORY, anchored=anchored)
    needed = math.ceil(least / 1e7) / 100
    raise UsageError(f"{width} x {height} px cannot be painted in {cap / 1e9:.3g} GB: it takes {needed:.2f} GB at least")


def give_back() -> None:
    """Hand what is free back to the system. Elsewhere than under glibc nothing is done.

    glibc keeps what is freed, in pieces that the next tile's features do not fit into: of the 2 GB that a texture of 2048 px
    needs it made 3.7 GB.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
