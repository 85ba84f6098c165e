"""How steady a painted clip is, and what was paid for it.

Clips are sequences of frames, height x width x 3 in [0, 1]: I the content, S each frame painted by itself, O the result.
`flows[t]` leads from frame t back to the frame k before it, `valid[t]` says where it is right; both are None for the first k.
Warp error alone rewards smearing, so it is to be read beside `smear` and `sharpness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from impasto.video import flow
from impasto.video.flow import Floats

Clip: TypeAlias = Sequence[Floats]
Valid: TypeAlias = Sequence[Any]
NEW = 8
"""Frames for which what came into sight counts as new."""
COARSE = 4.0
"""Deviation of the blur through which smear is seen, px: strokes do not count, wrong colors do."""


def warp_error(clip: Clip, flows: Sequence[Any], valid: Valid, lag: int = 1) -> float:
    """E = sqrt(mean over t of Σ_V |O(t) - W O(t-k)|² / (3 |V|)), W bicubic, V the valid pixels, k the lag.

    Lai et al. ("Learning Blind Video Temporal Consistency", ECCV 2018) report E²; ReCoNet's e_stab sums channels: √3 E.
    """
    errors = []
    for t in range(lag, len(clip)):
        inside = np.asarray(valid[t]) > 0.5
        if inside.any():
            off = clip[t] - flow.warp(clip[t - lag], flows[t], cubic=True)
            errors.append(float(np.square(off[inside]).mean()))
    return float(np.sqrt(np.mean(errors))) if errors else 0.0


def flicker_share(result: Clip, alone: Clip, content: Clip, flows: Sequence[Any], valid: Valid, lag: int = 1) -> float:
    """R = (E(O) - E(I)) / (E(S) - E(I)): which share of the flicker that painting brings is left; 1 for O = S."""
    noise, own, raw = (warp_error(clip, flows, valid, lag) for clip in (content, result, alone))
    return (own - noise) / (raw - noise)


def smear(result: Clip, alone: Clip, ages: Sequence[Floats]) -> float:
    """Deviation |G O - G S| where something came into sight less than NEW frames ago, over that elsewhere; over 1 is smear.

    `ages`: for how many frames each pixel has been in sight, 0 where it is new.
    """
    cv2 = flow.library()
    new, old = [], []
    for painted, own, age in zip(result, alone, ages, strict=True):
        off = np.square(cv2.GaussianBlur(painted - own, (0, 0), COARSE)).mean(-1)
        new.append(off[age < NEW])
        old.append(off[age >= NEW])
    fresh, rest = np.concatenate(new), np.concatenate(old)
    if not fresh.size or not rest.size or not rest.mean():
        return 0.0
    return float(np.sqrt(fresh.mean() / rest.mean()))


def ages(flows: Sequence[Any], valid: Valid) -> list[Floats]:
    """For how many frames each pixel has been in sight, from exact flow and validity; what the first frame shows is old."""
    height, width = np.asarray(valid[1]).shape
    found = [np.full((height, width), float(NEW), np.float32)]
    for motion, sure in zip(flows[1:], valid[1:], strict=True):
        moved = flow.warp(found[-1], motion) + 1
        found.append(np.where(np.asarray(sure) > 0.5, moved, 0).astype(np.float32))
    return found


def sharpness(result: Clip, alone: Clip) -> float:
    """Σ |∇O| / Σ |∇S|: 1 for as sharp as each frame by itself."""
    return sum(map(_slopes, result)) / sum(map(_slopes, alone))


def _slopes(image: Floats) -> float:
    return float(np.abs(np.diff(image, axis=0)).sum() + np.abs(np.diff(image, axis=1)).sum())


def drift(clip: Clip) -> float:
    """Greatest change of a channel's mean from the first frame to the last, of a clip in which nothing moves."""
    return float(np.abs(clip[-1].mean((0, 1)) - clip[0].mean((0, 1))).max())


def end_point_error(motion: Floats, truth: Floats) -> tuple[float, float]:
    """Mean distance of a flow from the true one where that is known, px, and the share of pixels more than 3 px off."""
    known = np.isfinite(truth).all(-1)
    off = np.sqrt(np.square(motion - truth)[known].sum(-1))
    return float(off.mean()), float((off > 3).mean())
