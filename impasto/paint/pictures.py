"""The pictures that painting starts from and ends with: styles, results, and what can be wrong with them."""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image as PILImage

from impasto.errors import PaintingError, UnfitPicture, UsageError
from impasto.features.encoders import MIN_SIDE
from impasto.features.statistics import Moments
from impasto.pixels import geometry, io
from impasto.pixels.io import Picture
from impasto.types import Image, ImageLike, Mask

log = logging.getLogger(__name__)
FLAT = 0.01
"""A picture whose values deviate by less than this from their mean shows nothing."""
ENLARGED = 2.0
"""A content that is enlarged by more than this is soft, which is said."""


@dataclass(frozen=True, slots=True)
class Stylized:
    """A finished picture with the recipe that made it."""

    picture: Picture
    recipe: Mapping[str, Any]

    @property
    def image(self) -> Image:
        """1 x 3 x H x W, sRGB in [0, 1], float32, on the CPU."""
        return self.picture.image

    def numpy(self) -> np.ndarray[Any, Any]:
        """H x W x 3 (4 where the content had alpha), sRGB in [0, 1], float32."""
        return self.picture.numpy()

    def pil(self) -> PILImage.Image:
        """An 8-bit PIL picture, RGB, or RGBA where the content had alpha."""
        return self.picture.pil()

    def save(self, path: str | os.PathLike[str], *, bits: int | None = None, force: bool = False) -> Path:
        """Write the picture with its recipe; the format by the suffix. See `impasto.pixels.io.save`."""
        return io.save(self.picture, path, recipe=self.recipe, bits=bits, force=force)


class Known(Protocol):
    """A painting of which only statistics are kept, as a style file holds them."""

    def at(self, size: int) -> Mapping[str, Moments]:
        """Moments of each layer, the painting looked at with a long edge of about `size` px."""


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """A picture whose style counts, or its statistics alone, and how much beside the others."""

    picture: Picture | None
    weight: float = 1.0
    name: str = ""
    sha256: str = ""
    known: Known | None = None
    """What is known of it where there is no picture."""

    def open(self, purpose: str = "this") -> Picture:
        """The picture.

        Raises:
            UsageError: there are statistics only; says that `purpose` needs more.
        """
        if self.picture is None:
            raise UsageError(f"of style {self.name!r} only statistics are kept: {purpose} needs the painting itself")
        return self.picture


def opened(source: ImageLike) -> tuple[Picture, dict[str, str]]:
    """A picture, with its name and the SHA-256 of its pixels for the recipe."""
    picture = io.load(source)
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    return picture, {"source": name, "sha256": digest(picture)}


def digest(picture: Picture) -> str:
    """SHA-256 of a picture's colors and alpha."""
    planes = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha], 1)
    return hashlib.sha256(planes.contiguous().numpy().tobytes()).hexdigest()


def normalized(styles: Sequence[Style]) -> list[Style]:
    """The styles with weights that add up to 1.

    Raises:
        UsageError: no style, or weights that are not positive.
    """
    if not styles:
        raise UsageError("no style was given")
    found = shares([style.weight for style in styles])
    return [replace(style, weight=share) for style, share in zip(styles, found, strict=True)]


def shares(weights: Sequence[float]) -> list[float]:
    """The weights over their sum, adding up to exactly 1, so that the shares in a recipe give the same shares again.

    Where rounding stands in the way they are rounded to multiples of 2^-40, whose sums are exact.

    Raises:
        UsageError: weights that are not positive.
    """
    total = sum(weights)
    if min(weights) < 0 or not 0 < total < math.inf:
        raise UsageError(f"style weights must be positive, got {', '.join(f'{weight:g}' for weight in weights)}")
    found = [weight / total for weight in weights]
    if sum(found) != 1:
        found = [max(1 if share else 0, round(share * 2**40)) / 2**40 for share in found]
        largest = found.index(max(found))
        found[largest] = 1 - sum(found[:largest] + found[largest + 1 :])
    return found


def check(full: Image, alpha: Mask | None, styles: Sequence[Style]) -> None:
    """Refuse pictures too small for the encoder, or of which nothing shows."""
    seen = [(style.name, style.picture) for style in styles if style.picture is not None]
    named = [(f"style {name or 'picture'}", picture.image, picture.alpha) for name, picture in seen]
    for what, image, opacity in [("the result", full, alpha), *named]:
        height, width = image.shape[-2:]
        if min(height, width) < MIN_SIDE:
            raise UnfitPicture(f"{what} is {width} x {height} px: {MIN_SIDE} px a side at least; give a larger --size or picture")
        if opacity is not None and float(opacity.max()) < 1 / 255:
            raise UnfitPicture(f"{what} is transparent everywhere: there is nothing to see")


def note_enlarged(content: Mapping[str, str], size: tuple[int, int], shape: tuple[int, int]) -> None:
    """Warn of a content of `size`, height and width, that is enlarged to `shape` by so much that it becomes soft.

    `content`: what the recipe says of it.
    """
    if max(shape) > ENLARGED * max(size):
        told = content.get("source") or "the content", size[1], size[0], shape[1], shape[0]
        log.warning("%s has only %d x %d px and is enlarged to %d x %d: a smaller --size keeps it sharp", *told)


def guard(image: Image, content: Image, styles: Sequence[Style]) -> None:
    """Refuse a picture that shows nothing although what it was made from does."""
    if not torch.isfinite(image).all():
        raise PaintingError("the picture holds values that are not numbers: try --precision fp32, or lower weights")
    sources = [content, *(style.picture.image for style in styles if style.picture is not None)]
    advice = "raise the content weight, take more steps, or check the encoder's weights"
    if float(image.std()) < FLAT < min(float(source.std()) for source in sources):
        raise PaintingError(f"the result is flat (deviation {float(image.std()):.4f}): {advice}")
    if chroma(image) < 0.1 * min(chroma(source) for source in sources) and min(chroma(source) for source in sources) > FLAT:
        raise PaintingError(f"the result is gray (chroma {chroma(image):.4f}) although its sources have color: {advice}")


def chroma(image: Image) -> float:
    """Mean distance of the pixels from gray, 0 ... about 0.8."""
    return float((image - image.mean(1, keepdim=True)).square().sum(1).sqrt().mean())


def product(first: Mask | None, second: Mask | None) -> Mask | None:
    """Two masks multiplied, None standing for ones; of two sizes, in the first one's."""
    if first is None or second is None:
        return second if first is None else first
    return first * geometry.resize(second, (first.shape[-2], first.shape[-1]))
