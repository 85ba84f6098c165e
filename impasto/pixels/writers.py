"""One function a file format: a Picture, and where to write it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as PILImage

from impasto.errors import OutputError
from impasto.pixels import exr, icc, png, recipe, tiff
from impasto.pixels.picture import Picture

logger = logging.getLogger(__name__)

EXIF_LIMIT = 65533
"""Bytes of EXIF that a JPEG file can hold in its one segment."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to write."""

    bits: int
    quality: int = 95
    recipe: Mapping[str, Any] | None = None
    keep_format: bool = False
    """EXR: half or float as the source has them."""


def write_png(picture: Picture, file: BinaryIO, options: Options) -> None:
    """PNG, straight alpha, with profile, EXIF and recipe in chunks."""
    chunks = [png.profile_chunk(picture.icc or icc.srgb())]
    if picture.exif:
        chunks.append((b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    if options.recipe is not None:
        chunks += recipe.chunks(options.recipe)
    png.write(file, picture.numpy(options.bits), chunks)


def write_tiff(picture: Picture, file: BinaryIO, options: Options) -> None:
    """TIFF, straight alpha; 32 bits are float sRGB. The EXIF block is not carried over."""
    text = "" if options.recipe is None else recipe.description(options.recipe)
    tiff.write(file, picture.numpy(options.bits), icc=picture.icc or icc.srgb(), description=text)


def write_jpeg(picture: Picture, file: BinaryIO, options: Options) -> None:
    """JPEG without subsampling of color. It has no alpha: the picture is laid on white."""
    pixels = picture.numpy(32)
    if pixels.shape[2] == 4:
        logger.warning("JPEG has no transparency: the picture is laid on white")
        pixels = pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]
    image = PILImage.fromarray((pixels * 255).round().astype(np.uint8))
    image.save(file, "JPEG", quality=options.quality, subsampling=0, **_metadata(picture, options))


def write_webp(picture: Picture, file: BinaryIO, options: Options) -> None:
    """WebP, straight alpha; quality 100 is lossless, and keeps colors under transparency."""
    lossless = options.quality >= 100
    picture.pil().save(
        file, "WEBP", quality=options.quality, lossless=lossless, exact=lossless, method=4, **_metadata(picture, options)
    )


def _metadata(picture: Picture, options: Options) -> dict[str, bytes]:
    exif = recipe.exif(picture.exif, options.recipe)
    if len(exif) > EXIF_LIMIT:
        logger.warning("the source's EXIF block does not fit beside the recipe and is left out")
        exif = recipe.exif(None, options.recipe)
    if len(exif) > EXIF_LIMIT:
        raise OutputError(f"the recipe of {len(exif)} bytes does not fit this format: write PNG, TIFF or EXR")
    return {"icc_profile": picture.icc or icc.srgb(), "exif": exif}


def write_exr(picture: Picture, path: Path, options: Options) -> None:
    """EXR, scene-linear, premultiplied alpha, see `exr.write`."""
    text = None if options.recipe is None else recipe.to_json(options.recipe)
    half = None if options.keep_format else options.bits == 16
    exr.write(os.fspath(path), picture.numpy(32), scene=picture.scene, half=half, recipe=text)


WRITERS: dict[str, Callable[[Picture, BinaryIO, Options], None]] = {
    ".png": write_png,
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".jpg": write_jpeg,
    ".jpeg": write_jpeg,
    ".webp": write_webp,
}
"""Writers into an opened file. EXR stands apart because its library opens files itself."""
DEPTHS = {".png": (8, 16), ".tif": (8, 16, 32), ".tiff": (8, 16, 32), ".exr": (16, 32)} | dict.fromkeys(
    (".jpg", ".jpeg", ".webp"), (8,)
)
"""Bits a channel that a format can hold; 16 is half in EXR."""


def write(picture: Picture, path: Path, options: Options) -> None:
    """Write a picture in the format of the path's suffix.

    Raises:
        OutputError: what the library says.
        OSError: what the system says, a full disk for example.
    """
    suffix = path.suffix.lower()
    if suffix == ".exr":
        write_exr(picture, path, options)
        return
    with path.open("wb") as file:
        WRITERS[suffix](picture, file, options)
