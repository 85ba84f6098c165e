"""What changes while a clip runs: numbers and styles by key frames, linear between them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from impasto import times
from impasto.errors import UsageError


@dataclass(frozen=True, slots=True)
class Curve:
    """A number over time, linear between its points, the first one's value before them and the last one's after."""

    points: tuple[tuple[float, float], ...]
    """Seconds and values, in order of time."""

    def at(self, seconds: float) -> float:
        """The value at a time."""
        place = bisect_right(self.points, seconds, key=lambda point: point[0])
        if place in (0, len(self.points)):
            return self.points[max(0, place - 1)][1]
        (start, low), (end, high) = self.points[place - 1 : place + 1]
        return low + (high - low) * (seconds - start) / (end - start)

    @property
    def greatest(self) -> float:
        """The greatest value."""
        return max(value for _, value in self.points)


def seconds(text: str) -> float:
    """A moment: "5", "5s", "1.5m" -> seconds.

    Raises:
        UsageError: anything else.
    """
    return times.seconds(text, "a moment like 5s or 1.5m")


def strength(text: str | float) -> Curve:
    """A strength, or a strength over time: 0.8, "0.8", "0@0s,1@4s".

    Raises:
        UsageError: not a number from 0 to 1, no moment, or two values for one moment.
    """
    parts = [part.strip() for part in str(text).split(",")]
    if len(parts) == 1 and "@" not in parts[0]:
        return Curve(((0.0, _share(parts[0])),))
    points = []
    for part in parts:
        value, at, moment = part.partition("@")
        if not at:
            raise UsageError(f"strength {text!r}: {part!r} has no moment; write 0@0s,1@4s")
        points.append((seconds(moment), _share(value)))
    points.sort()
    if len({moment for moment, _ in points}) < len(points):
        raise UsageError(f"strength {text!r} has two values for one moment")
    return Curve(tuple(points))


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"strength {text!r} is not a number") from error
    if not 0 <= value <= 1:
        raise UsageError(f"strength {value:g} is not between 0 and 1")
    return value


def shares(moments: list[float | None], weights: list[float], now: float) -> list[float]:
    """The weight of each style now: its own, times how near its moment is. Styles without a moment count all the time.

    Between two moments the share of the first falls and that of the second rises linearly; before the first and after the
    last moment those alone are seen.

    Raises:
        UsageError: moments for some of the styles only.
    """
    if all(moment is None for moment in moments):
        return weights
    if None in moments:
        raise UsageError("some styles have a moment (@5s) and some have none: give every style one, or none")
    keys = sorted({moment for moment in moments if moment is not None})
    near = {
        key: Curve(tuple((other, float(other == key)) for other in keys)).at(now)  # a hat with its tip at the key
        for key in keys
    }
    return [weight * near[moment] for weight, moment in zip(weights, moments, strict=True) if moment is not None]
