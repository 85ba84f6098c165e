"""The pictures that painting starts from and ends with: styles, results, and what can be wrong with them."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image as PILImage

from impasto import device as devices
from impasto.errors import PaintingError, UnfitPicture, UsageError
from impasto.features.encoders import MIN_SIDE
from impasto.pixels import io
from impasto.pixels.io import Picture
from impasto.types import Image, ImageLike, Mask

FLAT = 0.01
"""A picture whose values deviate by less than this from their mean shows nothing."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """A picture whose style counts, and how much beside the others."""

    picture: Picture
    weight: float = 1.0
    name: str = ""
    sha256: str = ""


def opened(source: ImageLike) -> tuple[Picture, dict[str, str]]:
    """A picture, with its name and the SHA-256 of its pixels for the recipe."""
    picture = io.load(source)
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    return picture, {"source": name, "sha256": digest(picture)}


def digest(picture: Picture) -> str:
    """SHA-256 of a picture's colors and alpha."""
    planes = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha], 1)
    return hashlib.sha256(planes.contiguous().numpy().tobytes()).hexdigest()


def as_styles(styles: ImageLike | Sequence[ImageLike | tuple[ImageLike, float]]) -> list[Style]:
    """What users hand in as styles, opened.

    Raises:
        PictureError: a style that cannot be read.
    """
    several = styles if isinstance(styles, list | tuple) else [styles]
    found = []
    for entry in several:
        source, weight = entry if isinstance(entry, tuple) else (entry, 1.0)
        picture, names = opened(cast("ImageLike", source))
        found.append(Style(picture, float(weight), names["source"], names["sha256"]))
    return found


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
    named = [(f"style {style.name or 'picture'}", style.picture.image, style.picture.alpha) for style in styles]
    for what, image, opacity in [("the result", full, alpha), *named]:
        height, width = image.shape[-2:]
        if min(height, width) < MIN_SIDE:
            raise UnfitPicture(f"{what} is {width} x {height} px: {MIN_SIDE} px a side at least; give a larger --size or picture")
        if opacity is not None and float(opacity.max()) < 1 / 255:
            raise UnfitPicture(f"{what} is transparent everywhere: there is nothing to see")


def noise(init: str, shape: torch.Size, seed: int, styles: Sequence[Image]) -> Image:
    """noise: normal around middle gray; gray: middle gray; style: normal with the styles' mean color and deviation."""
    drawn = devices.noise(tuple(shape), seed, torch.device("cpu"))
    if init == "style":
        mean = torch.stack([style.mean((0, 2, 3)) for style in styles]).mean(0).view(1, 3, 1, 1)
        deviation = torch.stack([style.std((0, 2, 3)) for style in styles]).mean(0).view(1, 3, 1, 1)
        return (mean + deviation * drawn).clamp(0, 1)
    # gray has a trace of noise, for nothing sets the pixels of a flat plane apart
    return (0.5 + (0.2 if init == "noise" else 1 / 255) * drawn).clamp(0, 1)


def guard(image: Image, content: Image, styles: Sequence[Image]) -> None:
    """Refuse a picture that shows nothing although what it was made from does."""
    if not torch.isfinite(image).all():
        raise PaintingError("the picture holds values that are not numbers: try --precision fp32, or lower weights")
    sources = [content, *styles]
    advice = "raise the content weight, take more steps, or check the encoder's weights"
    if float(image.std()) < FLAT < min(float(source.std()) for source in sources):
        raise PaintingError(f"the result is flat (deviation {float(image.std()):.4f}): {advice}")
    if chroma(image) < 0.1 * min(chroma(source) for source in sources) and min(chroma(source) for source in sources) > FLAT:
        raise PaintingError(f"the result is gray (chroma {chroma(image):.4f}) although its sources have color: {advice}")


def chroma(image: Image) -> float:
    """Mean distance of the pixels from gray, 0 ... about 0.8."""
    return float((image - image.mean(1, keepdim=True)).square().sum(1).sqrt().mean())
