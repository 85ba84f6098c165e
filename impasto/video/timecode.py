"""SMPTE timecode, the hours:minutes:seconds:frames by which film people find a frame (SMPTE ST 12-1)."""

from __future__ import annotations

import re
from fractions import Fraction


def advanced(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode so many frames later, around midnight too; one that cannot be read comes back as it was.

    With a semicolon it drops frames: to keep up with 29.97 frames per second, every minute but each tenth starts at
    frame 2 (4 of 59.94).
    """
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d)([:;.])(\d+)", timecode)
    whole = round(rate)
    if not found or not frames or whole < 1:
        return timecode
    hours, minutes, seconds, count = (int(found[i]) for i in (1, 2, 3, 5))
    skipped = round(whole / 15) if found[4] != ":" else 0
    passed = 60 * hours + minutes
    number = (60 * passed + seconds) * whole + count - skipped * (passed - passed // 10) + frames
    number %= 24 * 6 * (600 * whole - 9 * skipped)
    tens, rest = divmod(number, 600 * whole - 9 * skipped)
    if rest >= 60 * whole:
        number += skipped * (1 + (rest - 60 * whole) // (60 * whole - skipped))
    number += 9 * skipped * tens
    clock, count = divmod(number, whole)
    return f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}{found[4]}{count:02}"
