"""Cameras that people write down: in words, as keyframes of a path, or by points that a photograph shows.

Coordinates are those of the model's file, whichever axis is up in it.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import UnreadablePicture, UsageError
from impasto.mesh.cameras import FIELD, Camera
from impasto.mesh.model import Model, unit, upright
from impasto.mesh.packages import package

EYE = "eye=X,Y,Z target=X,Y,Z fov=DEGREES"
POINTS = '{"points": {"door": {"model": [X, Y, Z], "photo": [X, Y]}, ...}}'
RATE = 24
FIELDS = (1.0, 150.0)
"""Angles that a camera may see across, degrees."""
TRIED = np.geomspace(8.0, 110.0, 28)
"""Angles among which the one of a photograph is looked for, degrees."""
MOST = 10_000
"""Frames of a path at most."""
LEAST = 4
"""Points at least that tell where a photograph was taken."""


@dataclass(frozen=True, slots=True)
class Key:
    """A camera of a path."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float = FIELD
    """Angle across the picture's shorter side, degrees."""
    time: float | None = None
    """Seconds from the beginning; None: at an even pace."""

    def camera(self, model: Model) -> Camera:
        """It, in the world of a model."""
        turn = upright(model)[:3, :3]
        return Camera(turn @ np.array(self.eye), turn @ np.array(self.target), self.fov)


def is_words(text: str) -> bool:
    """Whether a text means to be a camera in words."""
    return "eye=" in text


def words(text: str) -> Key:
    """The camera that "eye=1,2,3 target=0,0,0 fov=40" says.

    Raises:
        UsageError: it says something else.
    """
    found: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in ("eye", "target", "fov") or name in found:
            raise UsageError(f"camera {text!r} is not {EYE}")
        found[name] = value.split(",") if name != "fov" else value
    return _key(found, f"camera {text!r}")


def _key(entry: Any, about: str) -> Key:
    """A camera out of what a file or a text says.

    Raises:
        UsageError: something is missing, not a number, or impossible.
    """
    try:
        eye, target = (tuple(float(value) for value in entry[name]) for name in ("eye", "target"))
        fov, time = float(entry.get("fov") or FIELD), entry.get("time")
        time = None if time in (None, "") else float(time)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{about} is not {EYE}: {type(error).__name__} {error}") from error
    numbers = (*eye, *target, fov, time or 0.0)
    if len(eye) != 3 or len(target) != 3 or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{about}: eye and target are three numbers each")
    if not FIELDS[0] <= fov <= FIELDS[1]:
        raise UsageError(f"{about}: fov={fov:g} is not between {FIELDS[0]:g} and {FIELDS[1]:g} degrees")
    if eye == target:
        raise UsageError(f"{about}: it stands where it looks, give it another target")
    return Key(eye, target, fov, time)


def read(file: str) -> list[Key]:
    """Keyframes: a JSON list of {"eye": [x, y, z], "target": [x, y, z], "fov": 40, "time": 2}, or a CSV table with
    the columns eye_x, eye_y, eye_z, target_x, target_y, target_z, and fov and time where wanted.

    Raises:
        UnreadablePicture: the file is missing or damaged.
        UsageError: fewer than two keyframes, a keyframe that is none, times that do not rise, that some lack, or that are
            too far apart.
    """
    text = _text(file)
    if Path(file).suffix.lower() == ".csv":
        rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
        entries: Any = [
            {**row, **{end: [row.get(f"{end}_{axis}") for axis in "xyz"] for end in ("eye", "target")}} for row in rows
        ]
    else:
        entries = _json(text, file)
    if not isinstance(entries, list) or len(entries) < 2:
        raise UsageError(f"{file} is no path: a list of at least two keyframes, each {EYE}, is")
    keys = [_key(entry, f"{file}: keyframe {number}") for number, entry in enumerate(entries, 1)]
    times = [key.time for key in keys if key.time is not None]
    if times and (len(times) < len(keys) or any(np.diff(times) <= 0)):
        raise UsageError(f"{file}: times of keyframes have to rise, and all have one or none")
    if times and (times[-1] - times[0]) * RATE >= MOST:
        raise UsageError(f"{file}: {times[-1] - times[0]:g} seconds are more than {MOST} frames; times are in seconds")
    return keys


def _text(file: str) -> str:
    try:
        return Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise UnreadablePicture(f"{file} cannot be read: {getattr(error, 'strerror', '') or 'it is no text'}") from error


def _json(text: str, file: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnreadablePicture(f"{file} is damaged: {error}") from error


def count(keys: Sequence[Key], frames: int) -> int:
    """How many frames a path has: 24 a second if its keyframes have times, else `frames`."""
    first, last = keys[0].time, keys[-1].time
    return frames if first is None or last is None else round((last - first) * RATE) + 1


def along(keys: Sequence[Key], model: Model, frames: int) -> list[Camera]:
    """The cameras of a path, one a frame: through all keyframes, on a cubic spline of eye, target and the logarithm of fov.

    See `count`; without times they go at a pace as even as the ways between keyframes allow. Tangents are
    those of the parabola through three neighbors, so that the path has no corner (Bessel; de Boor, "A Practical Guide to
    Splines", 1978, ch. IV).
    """
    cameras = [key.camera(model) for key in keys]
    knots = np.array([[*each.eye, *each.target, math.log(each.field)] for each in cameras])
    if keys[0].time is None:
        ways = np.linalg.norm(np.diff(knots[:, :6], axis=0), axis=1)
        times = np.concatenate([[0], np.cumsum(ways + 1e-3 * ways.sum() + 1e-9)])
        moments = np.linspace(0, times[-1], frames)
    else:
        times = np.array([key.time for key in keys], float) - keys[0].time
        moments = (np.arange(count(keys, frames)) / RATE).clip(0, times[-1])
    found = _spline(times, knots, moments)
    return [Camera(row[:3], row[3:6], float(np.exp(row[6]))) for row in found]


def _spline(times: np.ndarray, knots: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Knots x values, interpolated at moments: cubic Hermite pieces with the tangents of parabolas."""
    steps = np.diff(times)[:, None]
    slopes = np.diff(knots, axis=0) / steps
    tangents = np.concatenate([slopes[:1], slopes[-1:]])
    if len(knots) > 2:
        inner = (steps[1:] * slopes[:-1] + steps[:-1] * slopes[1:]) / (steps[1:] + steps[:-1])
        tangents = np.concatenate([2 * slopes[:1] - inner[:1], inner, 2 * slopes[-1:] - inner[-1:]])
    piece = np.searchsorted(times, moments, side="right").clip(1, len(times) - 1) - 1
    step = steps[piece]
    t = (moments - times[piece])[:, None] / step
    found: np.ndarray = (
        (1 + 2 * t) * (1 - t) ** 2 * knots[piece]
        + t * (1 - t) ** 2 * step * tangents[piece]
        + t**2 * (3 - 2 * t) * knots[piece + 1]
        + t**2 * (t - 1) * step * tangents[piece + 1]
    )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Where a photograph was taken."""

    camera: Camera
    errors: Mapping[str, float]
    """By how far each point is missed, px; empty for a camera that was said."""
    sound: bool = True
    """Whether the camera's angle was given or is that of a lens, and not only as far as was looked."""

    @property
    def error(self) -> float:
        """Root mean square of them."""
        return math.sqrt(sum(each**2 for each in self.errors.values()) / max(1, len(self.errors)))

    def told(self) -> str:
        """It in one line, for people."""
        worst = max(self.errors, key=lambda name: self.errors[name])
        return (
            f"camera matched from {len(self.errors)} points: {self.error:.1f} px off (root mean square), "
            f"most at {worst!r}, {self.errors[worst]:.1f} px; {self.camera.field:.1f} degrees across"
        )


def matched(file: str, model: Model, height: int, width: int) -> Match:
    """The camera of a photograph of that size, from a JSON file of named points.

    {"points": {"door, lower left": {"model": [x, y, z], "photo": [x, y]}, ...}, "fov": 50}: places of the model and where the
    photograph shows them, px from its upper left corner. "fov" may be left out, it is found then.

    Raises:
        UnreadablePicture: the file is missing or damaged.
        UsageError: too few points, or points that no camera can see so.
        MissingExtra: OpenCV is not installed.
    """
    found = points(file)
    fields = list(TRIED) if found.field is None else [found.field]
    places = found.places @ upright(model)[:3, :3].T
    camera = _nearest(places, found.spots, fields, height, width)
    if camera is None:
        raise UsageError(f"{file}: no camera sees these points so; are x and y, or two points, exchanged?")
    seen = camera.project(places, height, width)
    off = np.linalg.norm(seen[:, :2] / seen[:, 2:] - found.spots, axis=1)
    sound = found.field is not None or 1.01 * TRIED[0] < camera.field < TRIED[-1] / 1.01
    return Match(camera, dict(zip(found.names, map(float, off), strict=True)), sound)


class Points(NamedTuple):
    """Places of a model that a photograph shows."""

    names: list[str]
    places: np.ndarray
    """Points x 3, in the coordinates of the model's file."""
    spots: np.ndarray
    """Points x 2, px."""
    field: float | None
    """The angle that the photograph sees across, where it is said."""


def points(file: str) -> Points:
    """The points in a file, checked; see `matched`.

    Raises:
        UnreadablePicture: the file is missing or damaged.
        UsageError: too few points, or not points.
    """
    found = _json(_text(file), file)
    try:
        names = list(found["points"])
        places, spots = (np.array([found["points"][name][end] for name in names], float) for end in ("model", "photo"))
        field = float(found["fov"]) if found.get("fov") else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} is not {POINTS}: {type(error).__name__} {error}") from error
    if places.shape[1:] != (3,) or spots.shape[1:] != (2,) or not np.isfinite([*places.ravel(), *spots.ravel()]).all():
        raise UsageError(f"{file} is not {POINTS}: points have three numbers in the model and two in the photograph")
    if len(names) < LEAST:
        raise UsageError(f"{file} has {len(names)} points: at least {LEAST} are needed, better six that do not lie in one plane")
    if field is not None and not FIELDS[0] <= field <= FIELDS[1]:
        raise UsageError(f"{file}: fov {field:g} is not between {FIELDS[0]:g} and {FIELDS[1]:g} degrees")
    return Points(names, places, spots, field)


def _nearest(places: np.ndarray, spots: np.ndarray, fields: list[float], height: int, width: int) -> Camera | None:
    """The camera that misses the points least; its angle between those tried by golden section."""

    def best(field: float) -> tuple[float, Camera | None]:
        return _posed(places, spots, field, height, width)

    tried = [best(field) for field in fields]
    least = min(range(len(tried)), key=lambda k: tried[k][0])
    if len(fields) == 1 or tried[least][1] is None:
        return tried[least][1]
    low, high = math.log(fields[max(0, least - 1)]), math.log(fields[min(len(fields) - 1, least + 1)])
    for _ in range(24):
        near, far = high - 0.618034 * (high - low), low + 0.618034 * (high - low)
        if best(math.exp(near))[0] < best(math.exp(far))[0]:
            high = far
        else:
            low = near
    last = best(math.exp((low + high) / 2))
    return min(last, tried[least], key=lambda each: each[0])[1]


def _posed(places: np.ndarray, spots: np.ndarray, field: float, height: int, width: int) -> tuple[float, Camera | None]:
    """The camera of that angle which misses the points least, and by how much (Terzakis & Lourakis, SQPnP, ECCV 2020)."""
    cv2 = package("cv2", "matching a camera to a photograph")
    focal = min(height, width) / 2 / math.tan(math.radians(field) / 2)
    inner = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    center, scale = places.mean(0), float(np.ptp(places, axis=0).max()) or 1.0
    moved = (places - center) / scale
    try:
        good, turn, shift = cv2.solvePnP(moved, spots, inner, None, flags=cv2.SOLVEPNP_SQPNP)
        if good:
            turn, shift = cv2.solvePnPRefineLM(moved, spots, inner, None, turn, shift)
    except cv2.error:
        good = False
    if not good:
        return math.inf, None
    axes = cv2.Rodrigues(turn)[0]
    seen = moved @ axes.T + shift.reshape(3)
    if not (seen[:, 2] > 0).all():
        return math.inf, None
    off = focal * seen[:, :2] / seen[:, 2:] + [width / 2, height / 2] - spots
    eye = -axes.T @ shift.reshape(3) * scale + center
    return float((off**2).sum()), rolled(eye, axes, float(seen[:, 2].mean()) * scale, field)


def rolled(eye: np.ndarray, axes: np.ndarray, distance: float, field: float) -> Camera:
    """The camera that stands at `eye` with these axes (right, down, forward as rows)."""
    level = Camera(eye, eye + axes[2] * distance, field)
    right, down, _ = level.axes
    roll = math.degrees(math.atan2(float(unit(axes[0]) @ down), float(unit(axes[0]) @ right)))
    return Camera(level.eye, level.target, field, roll)
