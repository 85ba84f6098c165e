"""ICC profiles: sRGB's own, and the way from others to sRGB without losing depth.

Little CMS (through Pillow) converts 8 bits only. Nearly all photographs carry a matrix and three curves (Adobe RGB, Display
P3, ProPhoto, or gray with one curve), so those are computed here in floating point: ICC.1:2022, annex F.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BytesIO

import numpy as np
import torch
from PIL import Image as PILImage
from PIL import ImageCms

from impasto.pixels.color import linear_to_srgb

SAME = 2e-3
"""How near a profile must come to sRGB, in its matrix and its curves, to count as sRGB: pictures then stay untouched."""
EPOCH = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""A fixed date for the profile that we embed: Little CMS stamps the time, and the same picture must give the same bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """A profile of a matrix and curves: XYZ (relative to D50) = matrix · curves(device values)."""

    curves: tuple[np.ndarray, ...]
    """One curve a channel (one in all for gray): linear light at evenly spaced device values from 0 to 1."""
    matrix: np.ndarray | None
    """3 x 3, or None for gray."""


@cache
def srgb() -> bytes:
    """The sRGB profile that pictures are written with."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data[:24] + EPOCH + data[36:]


@lru_cache(32)
def parse(icc: bytes) -> Matrix | None:
    """The matrix and curves of a profile; None for one that works by tables, is not for RGB or gray, or is damaged."""
    try:
        tags = _tags(icc)
        if icc[20:24] != b"XYZ " or b"A2B0" in tags:
            return None
        if icc[16:20] == b"GRAY":
            return Matrix((_curve(tags[b"kTRC"]),), None)
        if icc[16:20] != b"RGB ":
            return None
        columns = [_fixed(tags[name][8:20]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        return Matrix(tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")), np.array(columns).T)
    except (KeyError, ValueError, IndexError, struct.error):
        return None


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    entries = [struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(min(count, 100))]
    return {name: icc[start : start + size] for name, start, size in entries}


def _fixed(data: bytes) -> np.ndarray:
    """Numbers of 32 bits, 16 of them behind the point."""
    return np.frombuffer(data, ">i4") / 65536


def _curve(tag: bytes, samples: int = 4096) -> np.ndarray:
    """A tone curve (types curv and para, ICC.1:2022 sections 10.6 and 10.18) at evenly spaced values."""
    x = np.linspace(0, 1, samples)
    if tag[:4] == b"para":
        return _parametric(x, int.from_bytes(tag[8:10], "big"), _fixed(tag[12 : 12 + (len(tag) - 12) // 4 * 4]))
    if tag[:4] != b"curv":
        raise ValueError("not a tone curve")
    count = int.from_bytes(tag[8:12], "big")
    table = np.frombuffer(tag[12 : 12 + 2 * count], ">u2")
    if count == 0:
        return x
    if count == 1:
        return np.asarray(x ** (table[0] / 256))
    return np.interp(x, np.linspace(0, 1, count), table / 65535)


def _parametric(x: np.ndarray, kind: int, numbers: np.ndarray) -> np.ndarray:
    """Y = (a·X + b)^g + e from X = d on, c·X + f below; the five kinds leave out some of the parameters."""
    order = ("g", "gab", "gabe", "gabcd", "gabcdef")[kind]
    p = {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0, "e": 0.0, "f": 0.0} | dict(zip(order, map(float, numbers), strict=False))
    if kind in (1, 2):
        p["d"], p["f"] = -p["b"] / p["a"], p["e"]
    above = np.clip(p["a"] * x + p["b"], 0, None) ** p["g"] + p["e"]
    return np.clip(np.where(x >= p["d"], above, p["c"] * x + p["f"]), 0, 1)


def is_srgb(profile: Matrix) -> bool:
    """Whether the profile is sRGB (or gray with sRGB's curve), up to rounding."""
    reference = parse(srgb())
    if reference is None or reference.matrix is None:
        return False
    near = profile.matrix is None or np.abs(profile.matrix - reference.matrix).max() < SAME
    return bool(near and all(np.abs(curve - reference.curves[0]).max() < SAME for curve in profile.curves))


def to_srgb(rgb: np.ndarray, profile: Matrix) -> np.ndarray:
    """Height x width x 3 values of the profile as sRGB, relative colorimetric; colors outside of the gamut are clipped."""
    if is_srgb(profile):
        return rgb
    grid = np.linspace(0, 1, len(profile.curves[0]))
    curves = profile.curves if len(profile.curves) == 3 else profile.curves * 3
    linear = np.stack([np.interp(rgb[..., i], grid, curve) for i, curve in enumerate(curves)], -1)
    reference = parse(srgb())
    if profile.matrix is not None and reference is not None and reference.matrix is not None:
        linear = linear @ np.linalg.solve(reference.matrix, profile.matrix).T
    return linear_to_srgb(torch.from_numpy(linear)).clamp(0, 1).float().numpy()


def by_tables(image: PILImage.Image, icc: bytes | None) -> PILImage.Image:
    """A picture of 8 bits through Little CMS to sRGB, for profiles with tables: CMYK, Lab, printers, scanners.

    Raises ImageCms.PyCMSError (damaged profile, or one that does not fit) for the caller to handle.
    """
    source = ImageCms.ImageCmsProfile(BytesIO(icc)) if icc else ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if converted is None:
        raise ImageCms.PyCMSError("the profile could not be applied")
    return converted
