"""PNG files as chunks: an encoder for 8 and 16 bits, and the reading and checking of chunks.

An encoder of our own because Pillow has no 16-bit color, and because the same pixels must give the same bytes: nothing
here stamps a time. PNG specification, third edition (W3C 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from impasto.errors import UnreadablePicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STRIP = 64
"""Rows that are filtered and compressed at a time, so that a large picture needs little memory beside itself."""

Chunk = tuple[bytes, bytes]
"""Type and data."""


def write(file: BinaryIO, pixels: np.ndarray, chunks: Iterable[Chunk] = ()) -> None:
    """Write height x width x 3 or 4 pixels, uint8 or uint16, with extra chunks before the picture's data."""
    height, width, channels = pixels.shape
    color_type = {3: 2, 4: 6}[channels]
    file.write(SIGNATURE)
    write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, pixels.itemsize * 8, color_type, 0, 0, 0))
    for kind, data in chunks:
        write_chunk(file, kind, data)
    packer = zlib.compressobj(6)
    for start in range(0, height, STRIP):
        write_chunk(file, b"IDAT", packer.compress(_filtered(pixels, start)))
    write_chunk(file, b"IDAT", packer.flush())
    write_chunk(file, b"IEND", b"")


def write_chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    """Length, type, data, and the checksum over type and data."""
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _filtered(pixels: np.ndarray, start: int) -> bytes:
    """A strip of rows, each byte minus its Paeth prediction from left, above and above left (section 9.4)."""
    rows, step = _bytes(pixels[start : start + STRIP]), pixels.shape[2] * pixels.itemsize
    above = np.zeros_like(rows)
    above[1:] = rows[:-1]
    if start:
        above[:1] = _bytes(pixels[start - 1 : start])
    a, b = _shifted(rows, step).astype(np.int16), above.astype(np.int16)
    c = _shifted(above, step).astype(np.int16)
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    guess = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    filtered = np.full((rows.shape[0], rows.shape[1] + 1), 4, np.uint8)  # a row starts with its filter's number
    filtered[:, 1:] = rows - guess.astype(np.uint8)
    return filtered.tobytes()


def _bytes(rows: np.ndarray) -> np.ndarray:
    big_endian = np.ascontiguousarray(rows, rows.dtype.newbyteorder(">"))
    return big_endian.reshape(len(rows), -1).view(np.uint8)


def _shifted(rows: np.ndarray, step: int) -> np.ndarray:
    moved = np.zeros_like(rows)
    moved[:, step:] = rows[:, :-step]
    return moved


def read_chunks(file: BinaryIO, name: str) -> Iterator[Chunk]:
    """The chunks of a PNG file, each checked against its checksum.

    Raises:
        UnreadablePicture: no PNG file, or a damaged or truncated one.
    """
    file.seek(0)
    if file.read(8) != SIGNATURE:
        raise UnreadablePicture(f"{name} is not a PNG file")
    kind = b""
    while kind != b"IEND":
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        data, checksum = file.read(length), file.read(4)
        if len(checksum) < 4 or zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            raise UnreadablePicture(f"{name} is damaged or cut off")
        yield kind, data


def sides(header: bytes) -> tuple[int, int]:
    """Height and width from the data of an IHDR chunk."""
    return int.from_bytes(header[4:8], "big"), int.from_bytes(header[:4], "big")


def text_chunk(keyword: str, text: str) -> Chunk:
    """An international text chunk (iTXt), not compressed, no language."""
    return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()


def profile_chunk(icc: bytes) -> Chunk:
    """An ICC profile (iCCP)."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 6)
