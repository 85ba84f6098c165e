"""What users write in options: styles with weights, named files, times, lists, sweeps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from impasto import times
from impasto.errors import UsageError

WEIGHT = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


class StyleWord(NamedTuple):
    """What --style says."""

    source: str
    weight: float = 1.0
    place: str = ""


def parse_style(text: str) -> StyleWord:
    """Read "a.jpg" -> ("a.jpg", 1, ""), "a.jpg:0.7" -> ("a.jpg", 0.7, ""), "sky=a.jpg:2" -> ("a.jpg", 2, "sky").

    A file whose name looks like more than a name is taken as a file.

    Raises:
        UsageError: no source.
    """
    place, source, weight = "", text, 1.0
    if not Path(source).exists() and (match := re.fullmatch(r"([\w-]+)=(.*)", source, re.DOTALL)):
        place, source = match.groups()
    if not Path(source).exists() and (match := re.fullmatch(rf"(.+):({WEIGHT})", source, re.DOTALL)):
        source, weight = match[1], float(match[2])
    if not source:
        raise UsageError(f"--style {text!r} names no picture")
    return StyleWord(source, weight, place)


def parse_named(text: str, what: str) -> tuple[str, str]:
    """Read "sky=sky.png" -> ("sky", "sky.png").

    Raises:
        UsageError: no name, or no file.
    """
    name, _, file = text.partition("=")
    if not re.fullmatch(r"[\w-]+", name) or not file:
        raise UsageError(f"{what} {text!r} is not NAME=FILE")
    return name, file


def parse_time(text: str) -> float:
    """Read "60", "60s", "5m", "1h" -> seconds; "" -> 0.

    Raises:
        UsageError: anything else, and less than a second.
    """
    if not text:
        return 0.0
    wanted = "a time of at least a second, like 60s or 5m"
    found = times.seconds(text, wanted)
    if found < 1:
        raise UsageError(f"{text!r} is not {wanted}")
    return found


def parse_list(text: str) -> tuple[str, ...]:
    """Read "relu1_1, relu2_1" -> ("relu1_1", "relu2_1")."""
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def parse_numbers(text: str, what: str) -> tuple[float, ...]:
    """Read "256,64" -> (256.0, 64.0).

    Raises:
        UsageError: something that is not a number.
    """
    try:
        return tuple(float(word) for word in parse_list(text))
    except ValueError as error:
        raise UsageError(f"{what} {text!r} is not a list of numbers") from error


def parse_number(value: Any, kind: type[int] | type[float], what: str) -> float:
    """Read "3" -> 3, "0.5" -> 0.5.

    Raises:
        UsageError: it is not a number, or not a whole one where one must be.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(f"{what} {value!r} is not a {'whole ' if kind is int else ''}number") from error


def listed(values: Iterable[object]) -> str:
    """(256.0, 64.0) -> "256,64": what `parse_list` and `parse_numbers` read, and nothing lost."""
    return ",".join(re.sub(r"\.0$", "", str(value)) for value in values)


def parse_sweep(text: str) -> tuple[str, list[str]]:
    """Read "style-scale=0.5,1" -> ("style_scale", ["0.5", "1"]). Values that hold commas are parted by semicolons.

    Raises:
        UsageError: no name, or no values.
    """
    name, _, rest = text.partition("=")
    values = [value.strip() for value in rest.split(";" if ";" in rest else ",") if value.strip()]
    if not name or not values:
        raise UsageError(f"--sweep {text!r} is not SETTING=VALUE,VALUE")
    return name.strip().removeprefix("--").replace("-", "_"), values
