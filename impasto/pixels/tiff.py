"""TIFF files: an encoder for 8, 16 and 32 bits, and the reading of tags.

An encoder of our own because Pillow has no 16-bit color, and other libraries stamp the time into the file: the same pixels
must give the same bytes. TIFF 6.0 (Adobe 1992) with deflate (technical note 2).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from impasto.errors import OutputError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF file starts: little and big endian, classic and big."""
WIDTH, HEIGHT, BITS, PHOTOMETRIC, DESCRIPTION, SAMPLES, SAMPLE_FORMAT = 256, 257, 258, 262, 270, 277, 339
STRIP_BYTES = 1 << 20
LIMIT = 1 << 32
"""Offsets in a classic TIFF file have 32 bits."""

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7
FORMATS = {SHORT: "H", LONG: "I", RATIONAL: "I"}


def write(file: BinaryIO, pixels: np.ndarray, *, icc: bytes, description: str = "") -> None:
    """Write height x width x 3 or 4 pixels: uint8, uint16 or float32; a fourth channel is straight alpha.

    Raises:
        OutputError: a file over 4 GiB.
    """
    height, width, channels = pixels.shape
    rows = max(1, STRIP_BYTES // (pixels.itemsize * width * channels))
    file.write(b"II*\0\0\0\0\0")
    offsets, counts = [], []
    for start in range(0, height, rows):
        offsets.append(file.tell())
        counts.append(file.write(zlib.compress(_packed(pixels[start : start + rows]), 6)))
    tags: list[tuple[int, int, Any]] = [
        (WIDTH, LONG, [width]),
        (HEIGHT, LONG, [height]),
        (BITS, SHORT, [pixels.itemsize * 8] * channels),
        (259, SHORT, [8]),  # deflate
        (PHOTOMETRIC, SHORT, [2]),  # RGB
        (273, LONG, offsets),
        (SAMPLES, SHORT, [channels]),
        (278, LONG, [rows]),
        (279, LONG, counts),
        (282, RATIONAL, [72, 1]),  # a reader may insist on a resolution
        (283, RATIONAL, [72, 1]),
        (284, SHORT, [1]),  # channels interleaved
        (296, SHORT, [2]),  # inches
        (317, SHORT, [1 if pixels.dtype.kind == "f" else 2]),  # differences between neighbors
        (SAMPLE_FORMAT, SHORT, [3 if pixels.dtype.kind == "f" else 1] * channels),
        (34675, UNDEFINED, icc),
    ]
    if channels == 4:
        tags.append((338, SHORT, [2]))  # straight alpha
    if description:
        tags.append((DESCRIPTION, ASCII, description.encode("ascii") + b"\0"))
    _write_tags(file, sorted(tags, key=lambda tag: tag[0]))


def _packed(rows: np.ndarray) -> bytes:
    """Rows in little endian; integers as differences from the pixel to the left (section 14), which wrap around."""
    packed = rows.astype(rows.dtype.newbyteorder("<"), order="C")
    if rows.dtype.kind != "f":
        packed[:, 1:] = rows[:, 1:] - rows[:, :-1]
    return packed.tobytes()


def _write_tags(file: BinaryIO, tags: list[tuple[int, int, Any]]) -> None:
    """Write the directory at the end of the file and its place into the header; long values go in front of it."""
    entries = b""
    for tag, kind, value in tags:
        data = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}{FORMATS[kind]}", *value)
        count = len(value) // 2 if kind == RATIONAL else len(value)
        if len(data) > 4:
            place = _aligned(file)
            file.write(data)
            data = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    place = _aligned(file)
    file.write(struct.pack("<H", len(tags)) + entries + b"\0\0\0\0")
    file.seek(4)
    file.write(struct.pack("<I", place))


def _aligned(file: BinaryIO) -> int:
    """The next even place of the file, where values and directories must start."""
    file.write(b"\0" * (file.tell() % 2))
    if file.tell() >= LIMIT:
        raise OutputError("a TIFF file cannot be larger than 4 GiB: write PNG or EXR, or fewer bits")
    return file.tell()


def read_tags(file: BinaryIO) -> Mapping[int, Any]:
    """The tags of a file's first picture, by number. Raises whatever Pillow raises for a damaged file."""
    file.seek(0)
    head = file.read(8)
    directory = TiffImagePlugin.ImageFileDirectory_v2(head + file.read(8) if head[2:3] == b"+" else head)
    file.seek(directory.next)
    directory.load(file)
    return directory
