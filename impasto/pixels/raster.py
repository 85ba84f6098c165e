"""Decoding with Pillow, and arrays and tensors: everything of 8 bits, and what has more but only one channel."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image as PILImage
from PIL import ImageCms, UnidentifiedImageError

from impasto.errors import UnfitPicture, UnreadablePicture
from impasto.pixels import icc

logger = logging.getLogger(__name__)

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "AVIF", "ICO", "QOI")
"""What Pillow may try. Not all it has: some start other programs (EPS), some take any bytes for theirs."""
ORIENTATION = 0x0112
TOLERANCE = 1e-3
"""How far float values may lie outside of [0, 1], as rounding and resizing leave them."""


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Decoded pixels on the way to a Picture."""

    rgb: np.ndarray
    """Height x width x 3, float32 in [0, 1]."""
    alpha: np.ndarray | None = None
    """Height x width, float32 in [0, 1], straight."""
    bits: int = 8
    icc: bytes | None = None
    """A profile that the values are still in; None for sRGB."""

    def turned(self, orientation: int) -> Raster:
        """The raster as EXIF orientation 1 to 8 wants it seen."""
        alpha = None if self.alpha is None else _turned(self.alpha, orientation)
        return replace(self, rgb=_turned(self.rgb, orientation), alpha=alpha)

    def in_srgb(self, name: str) -> Raster:
        """The raster with its profile applied. One that works by tables is kept as it is, and said so."""
        if self.icc is None:
            return self
        profile = icc.parse(self.icc)
        if profile is not None:
            return replace(self, rgb=icc.to_srgb(self.rgb, profile), icc=None)
        logger.warning("%s: its color profile works by tables and is kept as it is, for its %d bits", name, self.bits)
        return self


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF 2.32, section 4.6.4: rows and columns exchanged (5 to 8), left and right (2, 3, 6, 7), top and bottom (3, 4, 7, 8)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def opened(path: Path) -> BinaryIO:
    """A picture file, opened for reading (to be closed by the caller); a pipe is read to its end first.

    Raises:
        UnreadablePicture: missing, a folder, empty, or not permitted.
    """
    try:
        stream: BinaryIO = path.open("rb")
        if not stream.seekable():
            with stream:
                stream = BytesIO(stream.read())
        empty = not stream.read(1)
        stream.seek(0)
    except FileNotFoundError as error:
        raise UnreadablePicture(f"no picture at {path}") from error
    except IsADirectoryError as error:
        raise UnreadablePicture(f"{path} is a folder, not a picture") from error
    except (OSError, ValueError) as error:
        raise UnreadablePicture(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if empty:
        stream.close()
        raise UnreadablePicture(f"{path} is empty")
    return stream


_lock = threading.Lock()
_users = 0
_settings = ExitStack()


@contextmanager
def lenient() -> Iterator[None]:
    """Pillow without its limit of pixels (ours is `max_pixels`) and its warnings about oddities, for all threads that ask.

    Both are settings of the whole process, so the first one in changes them and the last one out puts them back.
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _settings.enter_context(warnings.catch_warnings())
            _settings.callback(setattr, PILImage, "MAX_IMAGE_PIXELS", PILImage.MAX_IMAGE_PIXELS)
            warnings.simplefilter("ignore")
            PILImage.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _settings.close()


def identify(file: BinaryIO, name: str) -> PILImage.Image:
    """Open a picture without decoding it.

    Raises:
        UnreadablePicture: Pillow does not know it.
    """
    PILImage.init()
    tried = (*FORMATS, "TGA") if name.lower().endswith(".tga") else FORMATS  # a TGA file has no mark of its own
    formats = [form for form in tried if form in PILImage.OPEN]
    file.seek(0)
    try:
        return PILImage.open(file, formats=formats)
    except UnidentifiedImageError as error:
        raise UnreadablePicture(f"{name} is damaged or not a picture: PNG, JPEG, WebP, TIFF, EXR, GIF, BMP are read") from error
    except Exception as error:  # a damaged header makes Pillow raise nearly anything
        raise UnreadablePicture(f"{name} is damaged: {error}") from error


def check_size(height: int, width: int, max_pixels: int, name: str) -> None:
    """Raise UnfitPicture for a picture without pixels or with more than `max_pixels`."""
    if height < 1 or width < 1:
        raise UnfitPicture(f"{name} has no pixels: it is {width} x {height}")
    if height * width > max_pixels:
        raise UnfitPicture(f"{name} is too large: {width} x {height} px, {max_pixels / 1e6:g} megapixels are the limit")


def from_pillow(image: PILImage.Image, name: str) -> Raster:
    """Pixels of a Pillow picture (its first frame), turned upright.

    Raises:
        UnreadablePicture: a damaged or truncated file.
        UnfitPicture: 32-bit integers, whose range nobody knows; more pixels than memory.
    """
    if getattr(image, "is_animated", False) and image.format != "MPO":
        logger.warning("%s has several frames or pages: the first is used", name)
    with lenient():
        try:
            image.load()
            raster = _one_channel(image, name) if image.mode[0] in "IF" else _eight_bits(image, name)
        except UnfitPicture:
            raise
        except MemoryError as error:
            raise UnfitPicture(f"{name} does not fit into memory: {image.width} x {image.height} px") from error
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            raise UnreadablePicture(f"{name} is damaged or cut off: {error}") from error
        # After load, because Pillow turns a TIFF while loading it, and a PNG may carry its EXIF block at the end.
        return raster.turned(_orientation(image))


def _orientation(image: PILImage.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged EXIF block makes Pillow raise nearly anything, and is no reason to refuse the picture
        return 1


def _eight_bits(image: PILImage.Image, name: str) -> Raster:
    profile = image.info.get("icc_profile") or None
    if image.mode in ("CMYK", "LAB") or (profile and icc.parse(profile) is None):
        alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
        image = _through_tables(image, profile, name)
        profile = None
    else:
        image = image.convert("LA") if image.mode == "La" else image
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
    rgb = np.asarray(image)[..., :3].astype(np.float32) / 255
    return Raster(rgb, None if alpha is None else np.asarray(alpha).astype(np.float32) / 255, 8, profile)


def _through_tables(image: PILImage.Image, profile: bytes | None, name: str) -> PILImage.Image:
    """The picture's colors as 8-bit sRGB; without a usable profile, Pillow's plain conversion."""
    if image.mode not in ("CMYK", "LAB", "L"):
        image = image.convert("RGB")
    try:
        return icc.by_tables(image, profile) if profile or image.mode == "LAB" else image.convert("RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.warning("%s: its color profile cannot be used (%s); colors are taken without it", name, error)
        return icc.by_tables(image, None) if image.mode == "LAB" else image.convert("RGB")


def _one_channel(image: PILImage.Image, name: str) -> Raster:
    """Gray of 16 bits (modes I;16 and I) or float (mode F)."""
    gray = np.asarray(image)
    if gray.dtype.kind == "f":
        return replace(from_array(np.nan_to_num(gray).clip(0, 1), name), bits=32)
    if gray.max() > 65535 or gray.min() < 0:
        raise UnfitPicture(f"{name} holds 32-bit integers from {gray.min()} to {gray.max()}: convert it to 16 bits first")
    raster = replace(from_array(gray.astype(np.uint16), name), icc=image.info.get("icc_profile") or None)
    transparent = image.info.get("transparency")
    return replace(raster, alpha=(gray != transparent).astype(np.float32)) if isinstance(transparent, int) else raster


def from_array(array: np.ndarray, name: str = "array") -> Raster:
    """Pixels of an array: height x width, optionally x 1, 3 or 4 channels; uint8, uint16, bool, or floats in [0, 1].

    Floats have no depth of their own and count as 8 bits.

    Raises:
        UnfitPicture: another shape or type, no pixels, values out of range or not numbers.
    """
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise UnfitPicture(f"{name} has the shape {array.shape}: a picture is height x width (x 3 or 4 channels)")
    check_size(pixels.shape[0], pixels.shape[1], pixels.size, name)
    values = _floats(pixels, name)
    rgb = np.repeat(values, 3, 2) if values.shape[2] == 1 else values[..., :3]
    return Raster(rgb, values[..., 3] if values.shape[2] == 4 else None, 16 if pixels.dtype == np.uint16 else 8)


def _floats(pixels: np.ndarray, name: str) -> np.ndarray:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    if pixels.dtype.kind not in "fb":
        raise UnfitPicture(f"{name} holds {pixels.dtype}: a picture is uint8, uint16 or float in [0, 1]")
    values = pixels.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise UnfitPicture(f"{name} has values from {low:g} to {high:g}: floats must lie in [0, 1] (divide by 255?)")
    return values.clip(0, 1)
