"""Display matrices: how players turn what a clip stores (ISO/IEC 14496-12, section 8.3.2; sixteen bits after the point)."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

ONE = 1 << 16
Matrix = tuple[int, ...]
"""Nine integers a, b, u, c, d, v, x, y, w: x' = a·x + c·y, y' = b·x + d·y. Empty: as it is."""


def signs(matrix: Matrix) -> tuple[int, int, int, int]:
    """a, b, c, d as -1, 0 and 1. Anything but quarter turns and mirrors counts as upright, and is said."""
    if not matrix:
        return 1, 0, 0, 1
    a, b, c, d = (round(matrix[i] / ONE) for i in (0, 1, 3, 4))
    if (abs(a), abs(b), abs(c), abs(d)) not in ((1, 0, 0, 1), (0, 1, 1, 0)):
        logger.warning("the clip is to be shown at a slant, which is left to the player: %s", matrix)
        return 1, 0, 0, 1
    return a, b, c, d


def swaps(matrix: Matrix) -> bool:
    """Whether the upright picture is as wide as the stored one is high."""
    return signs(matrix)[0] == 0


def upright(planes: Tensor, matrix: Matrix) -> Tensor:
    """A picture (... x height x width) as it is to be seen."""
    a, b, c, d = signs(matrix)
    if a == 0:
        planes = planes.transpose(-1, -2)
        flips = [axis for axis, sign in ((-2, b), (-1, c)) if sign < 0]
    else:
        flips = [axis for axis, sign in ((-2, d), (-1, a)) if sign < 0]
    return torch.flip(planes, flips).contiguous() if flips else planes.contiguous()


def stored(planes: Tensor, matrix: Matrix) -> Tensor:
    """The inverse of `upright`."""
    a, b, c, _ = signs(matrix)
    if a == 0:
        flips = [axis for axis, sign in ((-2, b), (-1, c)) if sign < 0]
        return torch.flip(planes, flips).transpose(-1, -2).contiguous()
    return upright(planes, matrix)


def moved(matrix: Matrix, height: int, width: int) -> Matrix:
    """The matrix for a stored picture of another size: what it moves the picture by goes with the size."""
    if not matrix or not (matrix[6] or matrix[7]):
        return matrix
    a, b, c, d = signs(matrix)
    x = width * (a < 0) + height * (c < 0)
    y = width * (b < 0) + height * (d < 0)
    return (*matrix[:6], x * ONE, y * ONE, matrix[8])
