"""Files that a model names: only those within its own folder are read."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError, UnreadablePicture
from impasto.pixels import io, raster
from impasto.pixels.picture import Picture

log = logging.getLogger(__name__)
DAMAGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What comes of taking numbers, texts and lists out of a file that has others in their place."""


@contextmanager
def damaged(name: str) -> Iterator[None]:
    """Within this block what is in a file is taken at its word; where that goes wrong the file is damaged.

    Raises:
        UnreadablePicture: it is.
    """
    try:
        yield
    except ImpastoError:
        raise
    except DAMAGE as error:
        raise UnreadablePicture(f"{name} is damaged: {type(error).__name__} {error}") from error


def read(path: Path) -> bytes:
    """All bytes of a model.

    Raises:
        UnreadablePicture: missing, a folder, empty, or no permission.
    """
    if not path.exists():
        raise UnreadablePicture(f"no model at {path}")
    if not path.is_file():
        raise UnreadablePicture(f"{path} is not a file: a model was expected")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadablePicture(f"{path} cannot be read: {error.strerror}") from error
    if not data:
        raise UnreadablePicture(f"{path} is empty")
    return data


def beside(folder: Path, name: str, about: str) -> Path:
    """A file that a model names, in the model's folder or below.

    Raises:
        UnreadablePicture: it climbs out of the folder, or is of the net.
    """
    if "\0" in name:
        raise UnreadablePicture(f"{about} is damaged: it names a file {name[:60]!r}")
    if "://" in name:
        raise UnreadablePicture(f"{about} names {name}: nothing is fetched from the net, put the file beside the model")
    path = folder / name.replace("\\", "/")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise UnreadablePicture(f"{about} names {name}, which is not in its folder: put the file beside the model")
    return path


def linked(text: Any, folder: Path, about: str) -> Path | None:
    """The file beside it that a glTF file's URI names; None where the data are in the URI itself.

    Raises:
        UnreadablePicture: not a text, or out of the folder.
    """
    if not isinstance(text, str):
        raise UnreadablePicture(f"{about} is damaged: {text!r} is no URI")
    return None if text.startswith("data:") else beside(folder, urllib.parse.unquote(text), about)


def uri(text: Any, folder: Path, about: str) -> bytes:
    """What a glTF file's URI holds: data within it, or a file beside it.

    Raises:
        UnreadablePicture: missing, damaged, or out of the folder.
    """
    path = linked(text, folder, about)
    if path is None:
        head, _, data = text.partition(",")
        try:
            return base64.b64decode(data, validate=True) if head.endswith(";base64") else urllib.parse.unquote_to_bytes(data)
        except binascii.Error as error:
            raise UnreadablePicture(f"{about} holds damaged data: {error}") from error
    if not os.path.isfile(path):
        raise UnreadablePicture(f"{about} names {path.name}, which is not there")
    return read(path)


def picture(data: bytes | Path, about: str) -> Picture | None:
    """A picture of a model; None, and a warning, where it is missing or damaged: its colors are painted over anyway."""
    try:
        if isinstance(data, Path):
            return io.load(data)
        with raster.lenient():
            return io.load(raster.identify(BytesIO(data), about))
    except (ImpastoError, OSError, ValueError) as error:
        log.warning("%s: %s; its material's plain color is taken instead", about, error)
        return None
