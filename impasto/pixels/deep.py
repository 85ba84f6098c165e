"""Reading more than 8 bits a channel, through OpenImageIO (the extra `pro`): PNG and TIFF."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from impasto.errors import ImpastoError, MissingExtra, UnfitPicture, UnreadablePicture
from impasto.pixels.raster import Raster, check_size

EXR_MAGIC = b"v/1\x01"


def openimageio(what: str) -> Any:
    """The module, loaded when it is first needed.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module("OpenImageIO")
    except ImportError as error:
        raise MissingExtra(what, "pro") from error


@contextmanager
def opened(what: str, path: str, name: str) -> Iterator[tuple[Any, Any]]:
    """OpenImageIO and a file opened with it, its alpha left as it is stored (it would be multiplied in).

    Raises:
        MissingExtra: OpenImageIO is not installed.
        UnreadablePicture: OpenImageIO does not know the file, or stumbles over it later.
    """
    oiio = openimageio(what)
    hints = oiio.ImageSpec()
    hints.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(path, hints)
    if source is None:
        raise UnreadablePicture(f"{name} is damaged or not a picture: {message(oiio)}")
    try:
        yield oiio, source
    except ImpastoError:
        raise
    except MemoryError as error:
        raise UnfitPicture(f"{name} does not fit into memory") from error
    except Exception as error:  # the names in a damaged file need not even be text
        raise UnreadablePicture(f"{name} is damaged: {error}") from error
    finally:
        source.close()


def read_pixels(oiio: Any, source: Any, part: int, name: str) -> np.ndarray:
    """Height x width x channels of one part as float32: integers as 0..1, floats as they are.

    Raises:
        UnreadablePicture: a damaged or truncated file.
    """
    spec = source.spec(part, 0)
    whole = str(spec.format) == "uint16"  # divided here, so that every way in gives the same float for the same integer
    pixels = source.read_image(part, 0, 0, spec.nchannels, "uint16" if whole else "float")
    complaint = message(source, oiio)
    if pixels is None:
        raise UnreadablePicture(f"{name} is damaged or cut off: {complaint}")
    return pixels.astype(np.float32) / np.float32(65535) if whole else np.asarray(pixels)


def message(*sources: Any) -> str:
    """The first line of the first complaint among sources that OpenImageIO keeps errors for. Takes them all away."""
    complaints = []
    for source in sources:
        try:
            complaints.append(source.geterror())
        except UnicodeDecodeError:  # it quotes the damaged file
            complaints.append("unreadable names")
    return next((text.strip().splitlines()[0] for text in complaints if text.strip()), "no reason given")


def attribute(path: str, key: str) -> object:
    """A text attribute of an EXR file; None where it has none."""
    with opened("reading EXR", path, path) as (_, source):
        return source.spec().getattribute(key)


def header(path: str, name: str) -> dict[str, int]:
    """Height and width of an EXR file."""
    with opened("reading EXR", path, name) as (_, source):
        return {"height": source.spec().height, "width": source.spec().width}


def read(path: str, max_pixels: int, name: str) -> tuple[Raster, int]:
    """Pixels of a PNG or TIFF file of 16 bits or float, and its EXIF orientation (not yet applied).

    Float TIFF counts as sRGB, not as scene-linear (nothing in the file says which); values outside of [0, 1] are clipped.

    Raises:
        MissingExtra: OpenImageIO is not installed.
        UnreadablePicture: a damaged or truncated file.
        UnfitPicture: more than `max_pixels`.
    """
    with opened(f"reading {name} without losing depth", path, name) as (oiio, source):
        spec = source.spec()
        check_size(spec.height, spec.width, max_pixels, name)
        if spec.deep:
            raise UnfitPicture(f"{name} holds deep samples: flatten it first")
        return _raster(spec, read_pixels(oiio, source, 0, name)), int(spec.getattribute("Orientation") or 1)


def _raster(spec: Any, pixels: np.ndarray) -> Raster:
    pixels = np.nan_to_num(pixels).clip(0, 1)
    color = [i for i in range(spec.nchannels) if i != spec.alpha_channel][:3]
    rgb = pixels[..., color if len(color) == 3 else color[:1] * 3]
    alpha = pixels[..., spec.alpha_channel] if spec.alpha_channel >= 0 else None
    if spec.getattribute("tiff:PhotometricInterpretation") == 0:
        rgb = 1 - rgb  # white is 0, which OpenImageIO leaves to us
    if alpha is not None and not spec.getattribute("oiio:UnassociatedAlpha"):
        rgb = straight(rgb, alpha).clip(0, 1)
    profile = spec.getattribute("ICCProfile")
    bits = {"uint8": 8, "uint16": 16}.get(str(spec.format), 32)
    return Raster(rgb, alpha, bits, None if profile is None else np.asarray(profile).tobytes())


def straight(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Color divided by alpha; where alpha is 0, the color as it is."""
    return rgb / np.where(alpha > 0, alpha, 1)[..., None]
