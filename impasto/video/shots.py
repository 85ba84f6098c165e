"""Where one shot ends and another begins: there nothing of what was painted before may be taken along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from torch.nn import functional as F

from impasto.types import Image
from impasto.video import flow
from impasto.video.flow import Bytes

WIDTH = 96
"""Long edge at which shots are compared, px."""
BINS = 6
"""Steps of each channel in a histogram of colors."""
UNLIKE, MISPLACED = 0.04, 0.9
"""A cut: `unlikeness` and `misplacement` are both over these. In the five clips that they were set by, cuts have over 0.1 and
1.15, and the wildest motion within a shot 0.01 and 0.66."""
FAINTEST = 6.0
"""Contrast that a frame is taken to have at least, levels of 255: in the dark noise is no cut."""


def thumbnail(image: Image) -> Bytes:
    """A frame as it is compared with its neighbors."""
    height, width = image.shape[-2:]
    factor = max(1, max(height, width) // WIDTH)
    small = F.avg_pool2d(image, factor) if factor > 1 else image
    return flow.guide(small, WIDTH)


def cuts(thumbnails: Iterable[Bytes]) -> Iterator[bool]:
    """For each frame whether a shot begins with it; the first one always does."""
    before: Bytes | None = None
    for now in thumbnails:
        yield before is None or is_cut(now, before)
        before = now


def is_cut(now: Bytes, before: Bytes) -> bool:
    """Whether two frames are of different shots: other colors, and no motion that leads from one to the other."""
    if now.shape != before.shape:
        return True
    return unlikeness(now, before) > UNLIKE and misplacement(now, before) > MISPLACED


def unlikeness(now: Bytes, before: Bytes) -> float:
    """½ Σ (h - h')² / (h + h') of two histograms of colors: 0 for the same, 1 where no color is in both."""
    ours, theirs = _histogram(now), _histogram(before)
    total = ours + theirs
    return float((np.square(ours - theirs)[total > 0] / total[total > 0]).sum() / 2)


def misplacement(now: Bytes, before: Bytes) -> float:
    """Mean |J - W(J')|, J a frame less its mean color over its mean distance from that: about 1 for unrelated frames.

    So a change of exposure does not count.
    """
    moved = flow.warp(before, flow.estimate(now, before, "FAST"))
    return float(np.abs(_normal(now) - _normal(moved)).mean())


def _normal(pixels: Bytes) -> flow.Floats:
    off = pixels - pixels.mean((0, 1), dtype=np.float32)
    found: flow.Floats = off / max(FAINTEST, float(np.abs(off).mean()))
    return found


def _histogram(pixels: Bytes) -> flow.Floats:
    """Shares of colors, each pixel in the bin it lies in."""
    steps = pixels.astype(np.int64) * BINS // 256
    index = (steps[..., 0] * BINS + steps[..., 1]) * BINS + steps[..., 2]
    counts = np.bincount(index.ravel(), minlength=BINS**3)
    return (counts / index.size).astype(np.float32)
