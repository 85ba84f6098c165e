"""Pictures in and out of files: 8, 16 and 32 bits, EXIF orientation, ICC profiles, alpha, atomic writing.

What comes in is upright, sRGB in [0, 1], alpha straight. What goes out carries the sRGB profile and the recipe. The same
picture and recipe give the same bytes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image as PILImage

from impasto.errors import ImpastoError, OutputError, OutputExists, UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels import deep, exr, png, raster, tiff, writers
from impasto.pixels import recipe as recipes
from impasto.pixels.picture import Picture
from impasto.pixels.raster import Raster
from impasto.types import ImageLike

__all__ = ["MAX_PIXELS", "Picture", "check_output", "load", "probe", "save"]

MAX_PIXELS = 400_000_000
"""Pixels of the largest picture that is read unless it is said otherwise: 5 GB of memory."""


def load(source: ImageLike, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture: a path, "-" (a file on stdin), a Pillow picture, an array or a tensor.

    Arrays are height x width (x 3 or 4), uint8, uint16 or float in [0, 1]; tensors (1 x) 3 or 4 x height x width. Floats
    in memory count as 8 bits, for want of a better guess. Of several frames or pages the first is read, and logged.
    CMYK, gray, palette and other spaces become sRGB; 16 bits stay 16 bits, of a PNG or TIFF file. EXR: see
    `impasto.pixels.exr`.

    Raises:
        UnreadablePicture: missing, a folder, empty, damaged, truncated, or not a picture.
        UnfitPicture: no pixels, more than `max_pixels`, or values out of range.
        MissingExtra: it has more than 8 bits, and OpenImageIO is not installed.
    """
    if isinstance(source, torch.Tensor):
        return _checked(raster.from_array(_channels_last(source), "tensor"), max_pixels, "tensor")
    if isinstance(source, np.ndarray):
        return _checked(raster.from_array(source), max_pixels, "array")
    if isinstance(source, PILImage.Image):
        return _from_pillow(source, max_pixels, str(getattr(source, "filename", "") or "picture"))
    if not isinstance(source, str | os.PathLike):
        raise UsageError(f"a {type(source).__name__} is not a picture: give a path, a PIL picture, an array or a tensor")
    name = os.fspath(source)
    if name != "-":
        with raster.opened(Path(source)) as file:
            return _from_file(file, name, max_pixels)
    data = sys.stdin.buffer.read()
    if not data:
        raise UnreadablePicture("stdin is empty: a picture was expected there")
    return _from_file(BytesIO(data), "stdin", max_pixels)


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
    if tensor.ndim == 4 and len(tensor) != 1:
        raise UnfitPicture(f"a tensor of the shape {tuple(tensor.shape)} holds {len(tensor)} pictures: give one")
    planes = tensor[0] if tensor.ndim == 4 else tensor
    if planes.ndim != 3 or planes.shape[0] not in (1, 3, 4):
        raise UnfitPicture(f"a tensor of the shape {tuple(tensor.shape)} is no picture: (1 x) 3 or 4 x height x width is")
    planes = planes.detach().cpu()
    return (planes.float() if planes.dtype == torch.bfloat16 else planes).permute(1, 2, 0).numpy()


def _from_file(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    kind = _kind(file)
    if kind == "exr":
        with _on_disk(file, ".exr") as path:
            pixels, scene = exr.read(path, max_pixels, name)
        return replace(_picture(pixels, name), scene=scene)
    if kind == "pillow":
        with raster.lenient():
            image = raster.identify(file, name)
        return _from_pillow(image, max_pixels, name)
    if kind == ".png":
        for chunk, data in png.read_chunks(file, name):  # the whole file is checked first: libpng writes its errors on stderr
            if chunk == b"IHDR":
                raster.check_size(*png.sides(data), max_pixels, name)
    with _on_disk(file, kind) as path:
        pixels, orientation = deep.read(path, max_pixels, name)
    return replace(_picture(pixels.turned(orientation), name), exif=_exif(file, name))


def _kind(file: BinaryIO) -> str:
    """Who decodes a file, by its first bytes: "exr", "pillow", or OpenImageIO by the suffix ".png" or ".tif"."""
    file.seek(0)
    head = file.read(32)
    if head[:4] == deep.EXR_MAGIC:
        return "exr"
    if head[:8] == png.SIGNATURE and len(head) == 32 and head[24] == 16 and head[25] != 0:
        return ".png"  # Pillow reads gray of 16 bits as it is, and brings color down to 8 without a word
    if head[:4] in tiff.MAGIC and _is_deep_tiff(file):
        return ".tif"
    return "pillow"


def _is_deep_tiff(file: BinaryIO) -> bool:
    """Whether Pillow would lose depth, or not read it at all."""
    try:
        with raster.lenient():
            tags = tiff.read_tags(file)
            bits, plain = tags.get(tiff.BITS, (1,)), tags.get(tiff.SAMPLE_FORMAT, (1,))[0] == 1
        return max(bits) > 8 and not (bits == (16,) and plain and tags.get(tiff.PHOTOMETRIC) == 1)
    except Exception:  # damaged tags make Pillow raise nearly anything; then it is Pillow that refuses the file
        return False


@contextmanager
def _on_disk(file: BinaryIO, suffix: str) -> Iterator[str]:
    """The path of an opened file; one that is in memory goes to a temporary file for the time."""
    if not isinstance(file, BytesIO):
        yield file.name
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"picture{suffix}")
        path.write_bytes(file.getbuffer())
        yield os.fspath(path)


def _exif(file: BinaryIO, name: str) -> bytes | None:
    try:
        with raster.lenient():
            return recipes.source_exif(raster.identify(file, name))
    except UnreadablePicture:
        return None  # a TIFF that only OpenImageIO reads


def _from_pillow(image: PILImage.Image, max_pixels: int, name: str) -> Picture:
    raster.check_size(image.height, image.width, max_pixels, name)
    picture = _picture(raster.from_pillow(image, name), name)
    with raster.lenient():
        return replace(picture, exif=recipes.source_exif(image))


def _checked(pixels: Raster, max_pixels: int, name: str) -> Picture:
    height, width, _ = pixels.rgb.shape
    raster.check_size(height, width, max_pixels, name)
    return _picture(pixels, name)


def _picture(pixels: Raster, name: str) -> Picture:
    pixels = pixels.in_srgb(name)
    image = torch.from_numpy(np.array(pixels.rgb.transpose(2, 0, 1), np.float32, order="C"))[None]
    alpha = None if pixels.alpha is None else torch.from_numpy(np.array(pixels.alpha, np.float32, order="C"))[None, None]
    return Picture(image, alpha, pixels.bits, pixels.icc)


def probe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Format, height, width and bits of a picture file from its header alone; sides as stored, before any EXIF turn.

    Raises:
        UnreadablePicture: missing, a folder, empty, or not a picture.
        MissingExtra: EXR, and OpenImageIO is not installed.
    """
    name = os.fspath(path)
    with raster.opened(Path(path)) as file:
        kind = _kind(file)
        if kind == "exr":
            with _on_disk(file, ".exr") as place:
                return {"format": "EXR", **deep.header(place, name), "bits": 32}
        if kind == ".tif":
            return {"format": "TIFF", **_tiff_header(file, name)}
        with raster.lenient():
            image = raster.identify(file, name)
        bits = 16 if kind == ".png" else {"I": 16, "F": 32}.get(image.mode[0], 8)
        return {"format": image.format, "height": image.height, "width": image.width, "bits": bits}


def _tiff_header(file: BinaryIO, name: str) -> dict[str, int]:
    try:
        with raster.lenient():
            tags = tiff.read_tags(file)
        return {"height": int(tags[tiff.HEIGHT]), "width": int(tags[tiff.WIDTH]), "bits": int(max(tags[tiff.BITS]))}
    except Exception as error:  # see _is_deep_tiff
        raise UnreadablePicture(f"{name} is damaged: {error}") from error


def check_output(path: str | os.PathLike[str], force: bool = False, bits: int | None = None) -> None:
    """Check that a picture can be written to `path`, as `save` does: to be called before long work.

    Raises:
        UsageError: an unknown format, a depth that the format lacks, "-" for a terminal.
        MissingExtra: EXR, and OpenImageIO is not installed.
        OutputExists: a file is there, and `force` is not set.
        OutputError: no such folder, a folder in the file's place, or no permission to write.
    """
    if os.fspath(path) == "-":
        if sys.stdout.isatty():
            raise UsageError("a picture would go to the terminal: redirect stdout, or give a file name")
        _depth(".png", 8, bits)
        return
    path = Path(path)
    _depth(path.suffix.lower(), 8, bits)
    if path.suffix.lower() == ".exr":
        deep.openimageio("writing EXR")
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give a file name")
    if path.exists() and not force:
        raise OutputExists(f"{path} exists already: --force (force=True) replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent} to write {path.name} into: make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into {path.parent}")


def _depth(suffix: str, bits: int, wanted: int | None) -> int:
    """Bits to write: those wanted, else the fewest of the format that hold the source's, else its most."""
    if suffix not in writers.DEPTHS:
        raise UsageError(f"pictures cannot be written as {suffix or 'a file without a suffix'}: use {', '.join(writers.DEPTHS)}")
    depths = writers.DEPTHS[suffix]
    if wanted is not None:
        if wanted not in depths:
            raise UsageError(f"{wanted} bits cannot be written as {suffix}: it holds {' or '.join(map(str, depths))}")
        return wanted
    if suffix == ".exr" and bits == 16:
        return 32  # half has 11 significant bits
    return next((depth for depth in depths if depth >= bits), depths[-1])


def save(
    picture: Picture,
    path: str | os.PathLike[str],
    *,
    recipe: Mapping[str, Any] | None = None,
    bits: int | None = None,
    quality: int = 95,
    force: bool = False,
) -> Path:
    """Write a picture in the format of the path's suffix, atomically; "-" writes PNG to stdout. Returns the path.

    `bits` defaults to the source's depth, as far as the format has it (a float source becomes a 16-bit PNG). `quality`
    is for JPEG and WebP, 1 to 100; WebP at 100 is lossless. JPEG has no alpha: the picture is laid on white.

    Raises:
        UsageError: an unknown format, a depth that the format lacks, a wrong quality, a recipe that JSON cannot hold.
        MissingExtra: EXR, and OpenImageIO is not installed.
        OutputExists: a file is there, and `force` is not set.
        OutputError: it cannot be written: no folder, no permission, no space, or values that are not numbers.
    """
    check_output(path, force, bits)
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not between 1 and 100")
    if not bool(torch.isfinite(picture.image).all()):
        raise OutputError("the picture holds values that are not numbers and is not written")
    to_stdout = os.fspath(path) == "-"
    depth = _depth(".png" if to_stdout else Path(path).suffix.lower(), picture.bits, bits)
    options = writers.Options(depth, quality, recipe, keep_format=picture.linear and bits is None)
    with _reported(path):
        if to_stdout:
            writers.write_png(picture, sys.stdout.buffer, options)
            sys.stdout.buffer.flush()
        else:
            with _replacing(Path(path), force) as partial:
                writers.write(picture, partial, options)
    return Path(path)


@contextmanager
def _reported(path: str | os.PathLike[str]) -> Iterator[None]:
    """What system and libraries raise while writing, as one line of ours."""
    try:
        yield
    except ImpastoError as error:
        if type(error) is OutputError:
            raise OutputError(f"cannot write {os.fspath(path)}: {error}") from error
        raise
    except (OSError, ValueError, OverflowError) as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _replacing(path: Path, force: bool) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when all went well and disappears when not."""
    target = Path(os.path.realpath(path))  # a link stays one, and its target is replaced
    partial = target.with_name(f".impasto-{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield partial
        if target.exists() and not force:
            raise OutputExists(f"{path} appeared meanwhile: --force (force=True) replaces it")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
