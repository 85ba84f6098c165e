"""The names of what flows through impasto: one layout for pictures, masks, features and flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    import os

    import numpy as np
    from PIL import Image as PILImage

Image: TypeAlias = Float[Tensor, "batch 3 height width"]
"""A picture: sRGB in [0, 1], float32."""
Mask: TypeAlias = Float[Tensor, "batch 1 height width"]
"""A soft selection in [0, 1]."""
Features: TypeAlias = Float[Tensor, "batch channels height width"]
"""Responses of one layer of an encoder, rectified (>= 0) for layers named relu."""
Flow: TypeAlias = Float[Tensor, "batch 2 height width"]
"""Motion in pixels: x, then y."""
ImageLike: TypeAlias = "str | os.PathLike[str] | PILImage.Image | np.ndarray | Tensor"
"""What users may hand in as a picture: a path, PIL picture, H x W x 3 array (uint8, uint16, or float in [0, 1]) or tensor."""


class Stylizer(Protocol):
    """Anything that stylizes a picture in one go: what video, tiles, studio and export accept."""

    def __call__(self, content: Image, *, strength: float = 1.0) -> Image:
        """Return the stylized content, the same size. `strength` 0 returns the content itself."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One step of long work, as the generators of progress yield it."""

    index: int
    """Steps done, from 1."""
    total: int
    """Steps planned; may shrink when a plateau or the time budget ends the work early."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Weighted value of each term, and their sum under "total"."""
    preview: Image | None = None
    """The picture so far, at the size being worked at (None where it was not asked for)."""
    eta: float = 0.0
    """Estimated seconds until the end."""
    size: tuple[int, int] = (0, 0)
    """Height and width being worked at, px."""
