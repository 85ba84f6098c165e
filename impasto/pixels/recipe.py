"""Recipes: the settings that made a picture, kept inside its file.

PNG: an iTXt chunk "impasto" (JSON), and one named "parameters" with a line for people, which galleries of other programs
show. JPEG and WebP: EXIF UserComment. TIFF: ImageDescription. EXR: a text attribute "impasto". The last three share their
field with other programs, so the JSON there is `{"impasto": recipe}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags
from PIL import Image as PILImage

from impasto.errors import UnreadablePicture, UsageError
from impasto.pixels import deep, png, raster, tiff

KEY = "impasto"
USER_COMMENT = 0x9286
CHARSET = b"ASCII\0\0\0"
"""What an EXIF comment starts with: its character set in 8 bytes."""
DROPPED = (0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D, 0x0152, 0x0153, 0x8773)
"""EXIF tags about how the source stored its pixels: sizes, strips, orientation, profile. They are wrong for another file."""
DROPPED_INSIDE = (0x927C, USER_COMMENT, 0xA001, 0xA002, 0xA003, 0xA005)
"""The same inside the EXIF directory; maker notes too, which break when they are moved."""


def to_json(recipe: Mapping[str, Any]) -> str:
    """The recipe as one line of ASCII. Paths become text.

    Raises:
        UsageError: values that JSON does not know, such as NaN.
    """
    try:
        return json.dumps(recipe, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the recipe cannot be written: {error}") from error


def _plain(value: object) -> str:
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise TypeError(f"a {type(value).__name__} is neither a number, a text, a list nor a mapping")


def human(recipe: Mapping[str, Any]) -> str:
    """The recipe's plain values in one line, "name: value, name: value"."""
    plain = {name: value for name, value in recipe.items() if isinstance(value, str | int | float | os.PathLike)}
    return " ".join(", ".join(f"{name}: {value}" for name, value in plain.items()).split())


def chunks(recipe: Mapping[str, Any]) -> list[png.Chunk]:
    """The recipe as chunks of a PNG file."""
    return [png.text_chunk(KEY, to_json(recipe)), png.text_chunk("parameters", human(recipe))]


def description(recipe: Mapping[str, Any]) -> str:
    """The recipe as text for a field that other programs use too."""
    return to_json({KEY: recipe})


def exif(source: bytes | None, recipe: Mapping[str, Any] | None) -> bytes:
    """An EXIF block: what the source had, with the recipe as its comment. Empty if there is neither."""
    block = PILImage.Exif()
    if source:
        block.load(source)
    if recipe is not None:
        block.get_ifd(ExifTags.IFD.Exif)[USER_COMMENT] = CHARSET + description(recipe).encode("ascii")
    return block.tobytes() if len(block) or recipe is not None else b""


def source_exif(image: PILImage.Image) -> bytes | None:
    """A picture's EXIF block without what describes its own pixels; None where there is none, or a damaged one.

    TIFF keeps its pixels' layout and its EXIF block in one directory, and is left out.
    """
    if image.format == "TIFF":
        return None
    try:
        block = PILImage.Exif()
        block.load(image.getexif().tobytes())
        inside = block.get_ifd(ExifTags.IFD.Exif)
        for tag in DROPPED:
            block.pop(tag, None)
        for tag in DROPPED_INSIDE:
            inside.pop(tag, None)
        return block.tobytes() if len(block) else None
    except Exception:  # a damaged block makes Pillow raise nearly anything, and is no reason to refuse the picture
        return None


def read(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The recipe in a picture file; None where there is none, or one that is not ours.

    Raises:
        UnreadablePicture: no such file, or not a picture.
        MissingExtra: an EXR file, and OpenImageIO is not installed.
    """
    name = os.fspath(path)
    with raster.opened(Path(path)) as file:
        head = file.read(8)
        if head[:4] == deep.EXR_MAGIC:
            return _parsed(deep.attribute(name, KEY))
        try:
            if head[:4] in tiff.MAGIC:
                return _shared(_tiff_tags(file).get(tiff.DESCRIPTION))
        except Exception as error:  # see source_exif
            raise UnreadablePicture(f"{name} is damaged: {error}") from error
        return _from_pillow(file, name)


def _tiff_tags(file: BinaryIO) -> Mapping[int, Any]:
    tags = tiff.read_tags(file)
    if tiff.WIDTH not in tags:
        raise ValueError("it has no size")
    return tags


def _from_pillow(file: BinaryIO, name: str) -> dict[str, Any] | None:
    with raster.lenient():
        image = raster.identify(file, name)
        if image.format == "PNG":
            return _parsed(image.info.get(KEY))
        try:
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(USER_COMMENT)
        except Exception:  # see source_exif
            return None
    return _shared(comment)


def _shared(value: object) -> dict[str, Any] | None:
    if isinstance(value, bytes):
        value = value.removeprefix(CHARSET).decode("utf-8", "replace")
    found = (_parsed(value) or {}).get(KEY)
    return found if isinstance(found, dict) else None


def _parsed(text: object) -> dict[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
