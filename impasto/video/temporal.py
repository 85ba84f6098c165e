"""Paint that stays where it is: each frame's painting is laid over the one before, moved along with the picture.

    O(t) = S(t) + m a (W O(t-1) - S(t)),   a = min(0.95, n / (n + 1)),   n(t) = 1 + m W n(t-1)

S is the painting of the frame alone, W moves a picture along its flow (bicubic), m is the flow's trust, n the age: over how
many frames a place has been followed. While a < 0.95 this is the mean of all paintings of a place, each carried here; then
old ones fade. Where nothing can be trusted n is 1 again and the frame's own painting shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from impasto.video import flow
from impasto.video.flow import Bytes, Floats, Motion

MOST = 0.95
"""Greatest weight of what was painted before."""
OLDEST = MOST / (1 - MOST)
"""Age at which that weight is reached, frames; it counts no further."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What was painted, and for how long it has been followed."""

    guide: Bytes
    """The frame as it was looked at."""
    painted: Floats
    """Height x width x 3 in [0, 1]."""
    age: Floats
    """In the guide's size: frames, 1 or more."""

    def arrays(self) -> dict[str, Any]:
        """All of it, to be kept in a file."""
        return {"guide": self.guide, "painted": self.painted, "age": self.age}


def begun(guide: Bytes, painted: Floats) -> History:
    """The first frame of a shot: as it is painted by itself."""
    return History(guide, painted, np.ones(guide.shape[:2], np.float32))


def continued(before: History, guide: Bytes, painted: Floats, motion: Motion) -> History:
    """The next frame: its own painting and what was painted before, by age and trust."""
    age = _followed(before, motion)
    share = (motion.trust * np.minimum(MOST, (age - 1) / age))[..., None]
    moved = carried(before, motion)
    moved -= painted
    moved *= enlarged(share, *painted.shape[:2])
    moved += painted
    return History(guide, moved, np.minimum(age, OLDEST))


def replaced(before: History, guide: Bytes, painted: Floats, motion: Motion) -> History:
    """The next frame as it is painted, which took account of what was painted before."""
    return History(guide, painted, np.minimum(_followed(before, motion), OLDEST))


def _followed(before: History, motion: Motion) -> Floats:
    age: Floats = flow.warp(before.age, motion.flow) * motion.trust + 1
    return age


def carried(before: History, motion: Motion) -> Floats:
    """W O(t-1) in [0, 1]: what was painted before, where the picture is now."""
    height, width = before.painted.shape[:2]
    moved: Floats = flow.warp(before.painted, flow.scaled(motion.flow, height, width), cubic=True)
    # np.clip takes ten times as long as this
    return np.maximum(np.minimum(moved, 1, out=moved), 0, out=moved)


def shift(motion: Motion, height: int, width: int) -> Floats:
    """How far most of the picture has gone, rows and columns in px of a picture of that size; less than STILL is nothing."""
    own_height, own_width = motion.flow.shape[:2]
    across, down = np.median(motion.flow[::4, ::4].reshape(-1, 2), 0)
    if max(abs(across), abs(down)) < flow.STILL:
        return np.zeros(2, np.float32)
    return np.array([down * height / own_height, across * width / own_width], np.float32)


def joined(ahead: Floats, ahead_age: Floats, back: Floats, back_age: Floats) -> Floats:
    """O = (F n² + B n'²) / (n² + n'²): the painting that came along, and the one that came from the end of the shot."""
    share = np.square(back_age) / (np.square(ahead_age) + np.square(back_age))
    weight = enlarged(share[..., None], *ahead.shape[:2])
    return (ahead + weight * (back - ahead)).astype(np.float32)


def enlarged(weight: Floats, height: int, width: int) -> Floats:
    """A weight, height x width x 1, for pictures of another size."""
    if weight.shape[:2] == (height, width):
        return weight
    cv2 = flow.library()
    found: Floats = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return found
