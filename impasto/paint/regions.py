"""Which styles go where."""

from __future__ import annotations

from typing import NamedTuple

from impasto.types import Mask


class Region(NamedTuple):
    """A part of the picture and the styles that are painted there."""

    name: str
    mask: Mask | None
    sources: tuple[tuple[int, Mask | None], ...]
