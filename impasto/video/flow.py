"""How a clip moves: optical flow between two frames, and how far it can be trusted.

Pictures are seen here as guides: height x width x 3 in uint8, at most GUIDE px on the long edge. A flow is height x width x 2
in float32, x and y in px of the guide: b(x) says where what is at x in this frame was in the one before, at x + b(x).
Distances in px are for a long edge of 512 and grow with it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from impasto.errors import MissingExtra
from impasto.types import Image

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]

GUIDE = 512
"""Long edge at which motion is looked for, px; larger pictures are looked at smaller, and their flow is enlarged."""
SMALLEST = 16
"""Under so many px a side nothing is looked for: all stands still."""
TOLERANCE = 20.0
"""Difference in levels of 255 at which a pixel's trust has fallen to 1/e."""
SOFTNESS = 1.5
"""Deviation by which differences are smoothed before they are judged, px."""
PREFERENCE = 2.0
"""Levels by which the motion of the whole picture may fit worse than a pixel's own, and is still taken."""
STILL = 0.1
"""A motion of the whole picture by less than this everywhere is none, px."""
NEAR_EDGE = 10
"""Distance from a border between motions within which forward and backward flow must agree, px."""
EROSION = 6
"""How far trust draws back from what is not trusted, px: what is newly seen is painted with what lies beside it, so the old
paint is wrong a stroke's width farther than the old picture is."""
SPACING = 8
"""Distance of the points that the motion of the whole picture is found from, px."""
AGREEING, SHARE = 1.5, 0.4
"""The motion of the whole picture is one that this share of the flow differs from by less than so many px."""
EXPOSURE = 0.02
"""A change of brightness by less than this share is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """How a frame follows from its neighbor."""

    flow: Floats
    """Height x width x 2, px: where each pixel was, less where it is."""
    trust: Floats
    """Height x width in [0, 1]: how far what was there can be taken for what is here."""


def library(what: str = "optical flow") -> Any:
    """OpenCV, the module `cv2`.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise MissingExtra(what, "video") from error


def guide(image: Image, longest: int = GUIDE) -> Bytes:
    """A picture as it is looked at for its motion."""
    pixels: Bytes = image[0].detach().permute(1, 2, 0).mul(255).round().clamp(0, 255).byte().cpu().contiguous().numpy()
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cv2 = library()
    smaller: Bytes = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return smaller


@lru_cache(maxsize=4)
def grid(height: int, width: int) -> Floats:
    """Where each pixel is: x, y. Not to be written to."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    found = np.stack([x, y], -1)
    found.setflags(write=False)
    return found


def warp(pixels: Any, flow: Floats, *, cubic: bool = False) -> Any:
    """W(x) = P(x + b(x)), linear or bicubic; borders are repeated."""
    cv2 = library()
    way = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    return cv2.remap(pixels, grid(*flow.shape[:2]) + flow, None, way, borderMode=cv2.BORDER_REPLICATE)


def scaled(flow: Floats, height: int, width: int) -> Floats:
    """A flow for pictures of another size."""
    own_height, own_width = flow.shape[:2]
    if (own_height, own_width) == (height, width):
        return flow
    cv2 = library()
    factors = np.array([width / own_width, height / own_height], np.float32)
    found: Floats = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * factors
    return found


def estimate(now: Bytes, before: Bytes, preset: str = "MEDIUM") -> Floats:
    """Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), of gray values.

    `preset` is OpenCV's: ULTRAFAST, FAST or MEDIUM.
    """
    if min(now.shape[:2]) < SMALLEST or np.array_equal(now, before):
        return np.zeros((*now.shape[:2], 2), np.float32)
    cv2 = library()
    finder = cv2.DISOpticalFlow_create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset}"))
    flow: Floats = finder.calc(_gray(now), _gray(before), None)
    return flow


def follow(now: Bytes, before: Bytes) -> Motion:
    """How `now` follows from `before`: flow by dense inverse search, joined with the camera's motion, and its trust."""
    if np.array_equal(now, before):
        return Motion(np.zeros((*now.shape[:2], 2), np.float32), np.ones(now.shape[:2], np.float32))
    before = exposed(before, now)
    flow, back = estimate(now, before), estimate(before, now, "FAST")
    flow, off = fused(flow, back, now, before)
    return Motion(flow, trust(flow, off, back))


def exposed(pixels: Bytes, like: Bytes) -> Bytes:
    """A picture as bright as another: a lamp that flickers is no motion."""
    cv2 = library()
    factor = sum(cv2.mean(like)) / max(1.0, sum(cv2.mean(pixels)))
    if abs(factor - 1) < EXPOSURE:
        return pixels
    brighter: Bytes = cv2.convertScaleAbs(pixels, alpha=factor)
    return brighter


def fused(flow: Floats, back: Floats, now: Bytes, before: Bytes) -> tuple[Floats, Floats]:
    """The flow, with the motion of the whole picture wherever that explains it about as well, and its `residual`.

    A homography between the two frames, as a camera's turn or a plane's motion gives, is exact to hundredths of a pixel, also
    where there is nothing to see, which dense flow is not.
    """
    whole, off = camera(flow, back, now), residual(flow, now, before)
    if whole is None:
        return flow, off
    theirs = residual(whole, now, before)
    better = theirs <= off + PREFERENCE
    return np.where(better[..., None], whole, flow), np.where(better, theirs, off)


def camera(flow: Floats, back: Floats, now: Bytes) -> Floats | None:
    """The motion of the whole picture as a homography's flow; None where much of the picture does not move so.

    What is found may be the motion of a thing before a background with nothing to see in it.
    """
    cv2 = library()
    height, width = flow.shape[:2]
    points = grid(height, width)[SPACING // 2 :: SPACING, SPACING // 2 :: SPACING].reshape(-1, 2)
    columns, rows = points.astype(int).T
    motion = flow[rows, columns]
    there = np.rint(points + motion).astype(int)
    inside = (there >= 0).all(1) & (there[:, 0] < width) & (there[:, 1] < height)
    there = there.clip(0, [width - 1, height - 1])
    agrees = np.abs(motion + back[there[:, 1], there[:, 0]]).sum(1) < 1
    gray = _gray(now)
    detail = np.abs(cv2.Sobel(gray, cv2.CV_16S, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_16S, 0, 1))
    chosen = inside & agrees & (detail[rows, columns] > 32)
    if chosen.sum() < 16:
        return None
    found, _ = cv2.findHomography(points[chosen], points[chosen] + motion[chosen], cv2.RANSAC, 0.5, maxIters=500)
    if found is None:
        return None
    flow_of = homography_flow(found, height, width)
    if (np.abs(flow_of[rows, columns] - motion).sum(1) < AGREEING).mean() < SHARE:
        return None
    corners = flow_of[[0, 0, -1, -1], [0, -1, 0, -1]]
    return np.zeros_like(flow_of) if np.abs(corners).max() < STILL else flow_of


def homography_flow(matrix: Any, height: int, width: int) -> Floats:
    """The flow H x - x of a homography, 3 x 3."""
    places = grid(height, width)
    moved: Floats = library().perspectiveTransform(places.reshape(1, -1, 2), matrix).reshape(height, width, 2)
    return (moved - places).astype(np.float32)


def residual(flow: Floats, now: Bytes, before: Bytes) -> Floats:
    """Largest over channels of |I - W(I') - g|, smoothed, in levels of 255; g, the median difference, is a change of exposure."""
    cv2 = library()
    off = cv2.subtract(now, warp(before, flow), dtype=cv2.CV_16S)
    planes = [cv2.absdiff(plane, float(np.median(plane[::4, ::4]))) for plane in cv2.split(off)]
    worst = cv2.max(cv2.max(planes[0], planes[1]), planes[2]).astype(np.float32)
    found: Floats = cv2.GaussianBlur(worst, (0, 0), _size(SOFTNESS, now))
    return found


def trust(flow: Floats, residual: Floats, back: Floats | None = None) -> Floats:
    """exp(-(r / 20)²) of the residual r, 0 outside of the frame before and where flows disagree at a border, drawn back.

    The test of forward against backward flow is Sundaram's ("Dense Point Trajectories", ECCV 2010, eq. 5), but only near
    borders between motions: elsewhere it fails on flat areas, which is where flicker shows most.
    """
    cv2 = library()
    close = np.exp(-np.square(residual / TOLERANCE))
    height, width = flow.shape[:2]
    x, y = np.moveaxis(grid(height, width) + flow, -1, 0)
    sound = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5) & (close > 0.3)
    if back is not None:
        sound &= ~(_disagree(flow, back) & _near_edge(flow))
    radius = max(1, round(_size(EROSION, flow)))
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * radius + 1, 2 * radius + 1))
    kept = cv2.erode(sound.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    soft: Floats = cv2.GaussianBlur(kept.astype(np.float32), (0, 0), _size(1, flow)) * close
    return soft


def _disagree(flow: Floats, back: Floats) -> npt.NDArray[np.bool_]:
    """Where |b + f|² >= 0.01 (|b|² + |f|²) + 0.5, f the forward flow where b leads."""
    met = warp(back, flow)
    wrong: npt.NDArray[np.bool_] = _squares(flow + met) >= 0.01 * (_squares(flow) + _squares(met)) + 0.5
    return wrong


def _squares(motion: Floats) -> Floats:
    """|b|², many times faster than numpy's sum over the last axis."""
    across, down = motion[..., 0], motion[..., 1]
    found: Floats = across * across + down * down
    return found


def _near_edge(flow: Floats) -> npt.NDArray[np.bool_]:
    cv2 = library()
    slopes = np.zeros(flow.shape[:2], np.float32)
    slopes[:, 1:] += _squares(np.diff(flow, axis=1))
    slopes[1:] += _squares(np.diff(flow, axis=0))
    edge = slopes > 0.01 * _squares(flow) + 0.02
    side = 2 * max(1, round(_size(NEAR_EDGE, flow))) + 1
    near: npt.NDArray[np.bool_] = cv2.dilate(edge.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return near


def _size(pixels: float, like: Bytes | Floats) -> float:
    """A length for a picture of 512 px, in a picture of this size."""
    return pixels * float(max(like.shape[:2])) / GUIDE


def _gray(pixels: Bytes) -> Bytes:
    cv2 = library()
    gray: Bytes = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return gray
