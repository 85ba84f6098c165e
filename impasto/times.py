"""Lengths of time, and moments, as people write them."""

from __future__ import annotations

import re

from impasto.errors import UsageError

TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(text: str, what: str = "a time like 60s, 5m or 3h") -> float:
    """Read "60", "60s", "1.5m", "1h". `what`: what it should have been, for the message.

    Raises:
        UsageError: anything else.
    """
    match = TIME.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is not {what}")
    return float(match[1]) * UNITS[match[2]]
