"""One shot being painted, frame after frame, each laid over those before, or painted over them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from impasto.types import Image, Mask
from impasto.video import temporal
from impasto.video.flow import Bytes, Floats, Motion
from impasto.video.look import Look, Place
from impasto.video.temporal import History


class Layers:
    """What is known of the frames before: what was painted, how far the camera has gone, what the painter has seen."""

    def __init__(self, look: Look) -> None:
        self.look, self.painter = look, look.painter()
        self.begin()

    def begin(self) -> None:
        """Forget what was painted: a shot begins."""
        self.history: History | None = None
        self._origin = np.zeros(2, np.float32)

    def paint(self, content: Image, seconds: float, number: int, motion: Motion | None, masks: Mapping[str, Mask]) -> Image:
        """Frame `number` of the shot, not laid over anything; `motion` leads to the frame before."""
        height, width = content.shape[-2:]
        if motion is not None:
            self._origin = self._origin + temporal.shift(motion, height, width)
        rows, columns = np.rint(self._origin).astype(int).tolist()
        place = Place(number, (rows, columns))
        if self.look.carries and self.history is not None and motion is not None:
            trust = temporal.enlarged(motion.trust[..., None], height, width)
            place = Place(number, place.origin, image_of(temporal.carried(self.history, motion)), image_of(trust))
        return self.painter.paint(content, seconds, place, masks)

    def lay(self, image: Image, guide: Bytes, motion: Motion | None) -> History:
        """Lay a frame over those before; without `motion` nothing is taken along."""
        painted = pixels_of(image)
        if self.history is None or motion is None:
            self.history = temporal.begun(guide, painted)
        else:
            join = temporal.replaced if self.look.carries else temporal.continued
            self.history = join(self.history, guide, painted, motion)
        return self.history

    def state(self) -> dict[str, Tensor]:
        """All that has to be known to go on."""
        own = {} if self.history is None else self.history.arrays()
        known = {f"history {key}": torch.from_numpy(value) for key, value in own.items()}
        known |= {f"painter {key}": value for key, value in self.painter.state().items()}
        return {**known, "origin": torch.from_numpy(self._origin)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from such a state."""
        found = _named(state, "history ")
        self.history = History(**{key: value.numpy() for key, value in found.items()}) if found else None
        self.painter.restore(_named(state, "painter "))
        self._origin = state["origin"].numpy()


def _named(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def pixels_of(image: Image) -> Floats:
    """Height x width x 3."""
    return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())


def image_of(pixels: Floats) -> Image:
    """1 x channels x height x width."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]
