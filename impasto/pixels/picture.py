"""A picture and what its file knew beside its colors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image as PILImage

from impasto.errors import UnfitPicture
from impasto.pixels.exr import Scene
from impasto.pixels.geometry import resize
from impasto.types import Image, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture, upright and in sRGB, with what is needed to write a like file."""

    image: Image
    """1 x 3 x height x width, sRGB in [0, 1], float32."""
    alpha: Mask | None = None
    """1 x 1 x height x width in [0, 1], straight: colors are not multiplied by it. None where the source has none."""
    bits: int = 8
    """Bits a channel in the source: 8, 16, or 32 for float and half."""
    icc: bytes | None = None
    """The source's ICC profile where the values could not be brought to sRGB and are still in it; else None."""
    exif: bytes | None = None
    """The source's EXIF block, without orientation and layout."""
    scene: Scene | None = None
    """Of an EXR source: its scale of brightness, its other channels and parts, its metadata."""

    @property
    def linear(self) -> bool:
        """Whether the source is scene-linear (EXR)."""
        return self.scene is not None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.image.shape[-2], self.image.shape[-1]

    def with_image(self, image: Image, alpha: Mask | None = None) -> Picture:
        """The same file with another image, of any size. Without `alpha` it keeps its own, resized if need be.

        Raises:
            UnfitPicture: image or alpha of a wrong shape.
        """
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise UnfitPicture(f"an image of the shape {tuple(image.shape)} does not fit a picture: 1 x 3 x height x width does")
        if alpha is None and self.alpha is not None:
            alpha = resize(self.alpha, (image.shape[-2], image.shape[-1]))
        if alpha is not None and alpha.shape != (1, 1, *image.shape[-2:]):
            raise UnfitPicture(f"alpha of the shape {tuple(alpha.shape)} does not fit an image of {tuple(image.shape)}")
        return replace(self, image=image, alpha=alpha)

    def numpy(self, bits: int = 32) -> np.ndarray:
        """Height x width x 3 channels, or 4 with alpha: uint8, uint16, or float32 in [0, 1] for 32 bits."""
        parts = (self.image,) if self.alpha is None else (self.image, self.alpha.to(self.image.device))
        values = torch.cat([part.detach().float() for part in parts], 1)[0].permute(1, 2, 0).clamp(0, 1)
        if bits == 32:
            return values.cpu().contiguous().numpy()
        return values.cpu().mul(2**bits - 1).round().numpy().astype(np.uint8 if bits == 8 else np.uint16)

    def pil(self) -> PILImage.Image:
        """As a Pillow picture of 8 bits, RGB or RGBA."""
        return PILImage.fromarray(self.numpy(8))
