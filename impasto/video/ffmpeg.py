"""FFmpeg through PyAV (the extra `video`): loaded when it is first needed, its complaints in our words."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError, MissingExtra, UnfitPicture, UnreadablePicture


def library(what: str = "reading and writing video") -> Any:
    """PyAV, the module `av`.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingExtra(what, "video") from error


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A clip, opened for reading. Only files are opened, never what a playlist within them points to on the net.

    Raises:
        MissingExtra: PyAV is not installed.
        UnreadablePicture: missing, a folder, empty, not a clip, or damaged: here, or in what is done with it.
    """
    av = library()
    _check(path)
    options = {"protocol_whitelist": "file"}
    with reading(os.fspath(path)), av.open(f"file:{path}", container_options=options, metadata_errors="replace") as container:
        yield container


def _check(path: Path) -> None:
    if not path.exists():
        raise UnreadablePicture(f"no clip at {path}")
    if not path.is_file():
        raise UnreadablePicture(f"{path} is not a file: a clip was expected")
    if not os.access(path, os.R_OK):
        raise UnreadablePicture(f"{path} cannot be read: no permission")
    if not path.stat().st_size:
        raise UnreadablePicture(f"{path} is empty")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What FFmpeg raises over a clip, as one line of ours."""
    av = library()
    try:
        yield
    except ImpastoError:
        raise
    except MemoryError as error:
        raise UnfitPicture(f"a frame of {name} does not fit into memory") from error
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadablePicture(f"{name} is damaged, cut off or not a clip: {reason}") from error


def picture_stream(container: Any, name: str) -> Any:
    """The stream that holds the moving picture: the first that is no cover.

    Raises:
        UnreadablePicture: there is none, or one that FFmpeg cannot decode.
    """
    cover = library().stream.Disposition.attached_pic
    moving = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not moving:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise UnreadablePicture(f"{name} has no video stream: it holds {kinds}")
    if moving[0].codec_context is None:
        raise UnreadablePicture(f"{name} is coded in a way that the installed FFmpeg cannot decode: convert it first")
    return moving[0]
