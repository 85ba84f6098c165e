"""Cameras: named views, a turntable, views spread all around, and random ones to paint from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from impasto.errors import UsageError
from impasto.mesh.model import unit

FIELD = 35.0
"""Angle that a camera sees across, degrees: about what a lens of 57 mm sees of a 24 x 36 mm picture."""
FILL = 0.92
"""Share of the picture that the model's ball fills."""
GOLDEN = math.pi * (3 - math.sqrt(5))
NAMED = {
    "front": (0, 8),
    "right": (90, 8),
    "back": (180, 8),
    "left": (270, 8),
    "corner": (35, 22),
    "high": (35, 50),
    "top": (0, 89),
    "below": (35, -25),
}
"""Azimuth (0: looking along -z, 90: from +x) and elevation of named views, degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Where it stands and what it looks at, in the world, y up."""

    eye: np.ndarray
    target: np.ndarray
    field: float = FIELD
    roll: float = 0.0
    """By how much it is turned clockwise around its view, degrees."""

    @property
    def axes(self) -> np.ndarray:
        """Right, down and forward as rows."""
        forward = unit(self.target - self.eye)
        up = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.999 else np.array([0.0, 0.0, -math.copysign(1.0, -forward[1])])
        right = unit(np.cross(forward, up))
        down = np.cross(forward, right)
        cosine, sine = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        return np.stack([cosine * right + sine * down, cosine * down - sine * right, forward])

    def focal(self, height: int, width: int) -> float:
        """Distance of the picture plane, px; the field is that of the shorter side."""
        return min(height, width) / 2 / math.tan(math.radians(self.field) / 2)

    def project(self, points: np.ndarray, height: int, width: int) -> np.ndarray:
        """Points (... x 3) as (x·w, y·w, w): px from the upper left corner, w the distance along the view."""
        seen = (points - self.eye) @ self.axes.T
        focal = self.focal(height, width)
        x = focal * seen[..., 0] + width / 2 * seen[..., 2]
        y = focal * seen[..., 1] + height / 2 * seen[..., 2]
        return np.stack([x, y, seen[..., 2]], -1)


def orbit(
    center: np.ndarray, radius: float, azimuth: float, elevation: float, *, closer: float = 1.0, field: float = FIELD
) -> Camera:
    """A camera on a ball around the model, at which its own ball fills the picture; `closer` times nearer."""
    a, e = math.radians(azimuth), math.radians(elevation)
    direction = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    distance = radius / FILL / math.sin(math.radians(field) / 2) / closer
    return Camera(center + direction * distance, center, field)


def named(name: str, center: np.ndarray, radius: float) -> Camera:
    """A view by its name, or "AZIMUTH,ELEVATION" in degrees.

    Raises:
        UsageError: no such view.
    """
    if name in NAMED:
        azimuth, elevation = map(float, NAMED[name])
    else:
        try:
            azimuth, elevation = (float(word) for word in name.split(","))
        except ValueError as error:
            raise UsageError(f"view {name!r} is neither one of {', '.join(NAMED)} nor AZIMUTH,ELEVATION in degrees") from error
        if not (math.isfinite(azimuth) and -89.9 <= elevation <= 89.9):
            raise UsageError(f"view {name!r}: an elevation is between -89.9 and 89.9 degrees")
    return orbit(center, radius, azimuth, elevation)


def turntable(center: np.ndarray, radius: float, count: int, elevation: float = 18.0) -> list[Camera]:
    """Once around, the last frame a step before the first."""
    return [orbit(center, radius, 35 + 360 * k / count, elevation) for k in range(count)]


def around(center: np.ndarray, radius: float, count: int) -> list[Camera]:
    """Views spread evenly over the sphere, the lowest fifth left out, on a spiral of the golden angle."""
    found = []
    for k in range(count):
        y = 1 - 1.6 * (k + 0.5) / count
        found.append(orbit(center, radius, math.degrees(k * GOLDEN), math.degrees(math.asin(y))))
    return found


def chance(center: np.ndarray, radius: float, points: np.ndarray, seed: int, number: int) -> Camera:
    """The camera of a step: any azimuth, mostly at eye level or somewhat above, from the whole model to a part of it.

    Azimuth and nearness run through sequences of low discrepancy, so that few steps see all sides alike. The nearer, the
    more it looks towards one of the `points`.
    """
    random = np.random.default_rng([seed & 0xFFFFFFFF, number])
    start = np.random.default_rng(seed & 0xFFFFFFFF).random(2)
    azimuth = 360 * ((start[0] + number * 0.6180339887) % 1) + random.uniform(-10, 10)
    elevation = -18 + 73 * random.beta(1.6, 1.9)
    nearness = (start[1] + number * 0.7548776662) % 1
    aside = (points[random.integers(len(points))] - center) * 0.75 * nearness
    camera = orbit(center, radius, azimuth, elevation, closer=0.95 * 2.1**nearness)
    return Camera(camera.eye + aside, center + aside, camera.field)


def tight(points: np.ndarray, center: np.ndarray, radius: float) -> float:
    """The radius of a ball that orbits may frame instead of the model's own, all points still in the picture."""
    shown = points[:: max(1, len(points) // 20_000)]
    for _ in range(2):
        seen = [camera.project(shown, 2, 2) for camera in turntable(center, radius, 12)]
        # the picture's half is 1 px wide, and the ball fills FILL of it
        most = max(float(np.abs(each[:, :2] / np.maximum(each[:, 2:], 1e-9) - 1).max()) for each in seen)
        radius *= min(1.0, most / FILL)
    return radius


def light(camera: Camera, azimuth: float = -40.0, elevation: float = 40.0) -> np.ndarray:
    """Direction to a lamp that goes with the camera: from the left, above."""
    right, down, forward = camera.axes
    a, e = math.radians(azimuth), math.radians(elevation)
    found = math.sin(a) * math.cos(e) * right - math.sin(e) * down - math.cos(a) * math.cos(e) * forward
    return np.asarray(found)
