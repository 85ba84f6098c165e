"""Whether a file is all there, by the lengths written in it: found out before hours of work, where decoding finds out last."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from impasto.errors import UnreadablePicture

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
"""Matroska's outermost elements (RFC 9559)."""


def check(path: Path) -> None:
    """Refuse an MP4, QuickTime, Matroska or WebM file that ends before its last part does.

    Raises:
        UnreadablePicture: it is cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if int.from_bytes(head[:4], "big") == EBML:
            end = _segment_end(file)
        elif head[4:8] in (b"ftyp", b"moov", b"wide", b"mdat"):
            end = _boxes_end(file, size)
        else:
            return
    if end > size:
        raise UnreadablePicture(f"{os.fspath(path)} is cut off: it has {size} of {end} bytes")


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last of the outermost boxes ends (ISO/IEC 14496-12, section 4.2)."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: up to the end; others are no boxes, and not for us to judge
            return size
        place += length
    return place


def _segment_end(file: BinaryIO) -> int:
    """Where the Segment ends; 0 where it does not say, as in live recordings."""
    file.seek(4)
    header = _number(file)
    file.seek(file.tell() + header)
    if int.from_bytes(file.read(4), "big") != SEGMENT:
        return 0
    length = _number(file)
    return file.tell() + length if length else 0


def _number(file: BinaryIO) -> int:
    """A number of variable length (RFC 8794, section 4); 0 where all its bits are set, which stands for unknown."""
    first = int.from_bytes(file.read(1), "big")
    count = 8 - first.bit_length()
    value = (first & (0x7F >> count)) << 8 * count | int.from_bytes(file.read(count), "big")
    return 0 if value == (1 << 7 * (count + 1)) - 1 else value
