"""Painting what comes in, as it comes: nothing is known of what follows, and what took too long is left out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from impasto.errors import UsageError
from impasto.pixels import geometry
from impasto.types import Image
from impasto.video import flow, shots
from impasto.video.flow import Bytes
from impasto.video.layers import Layers, image_of
from impasto.video.look import Look

MEMORY = 0.9
"""Weight of the past in the frame rate that is shown."""


class Easel:
    """Paints frames one after the other; a cut begins anew."""

    def __init__(self, look: Look, size: geometry.Size = 320, steady: bool = True) -> None:
        self.look, self.size, self.steady = look, size, steady
        self.rate = 0.0
        """Frames per second of late."""
        self._layers = Layers(look)
        self._small: Bytes | None = None
        self._place = 0
        self._last: float | None = None

    def paint(self, image: Image, seconds: float) -> Image:
        """The next frame, painted, in the easel's size."""
        content = geometry.fit(image, self.size)
        painted = self._laid_over(content, seconds) if self.steady else self._layers.painter.paint(content, seconds, None, {})
        self._tick()
        return self.look.composed(content, painted, seconds, {})

    def _laid_over(self, content: Image, seconds: float) -> Image:
        small, guide, before = shots.thumbnail(content), flow.guide(content), self._layers.history
        if self._small is None or shots.is_cut(small, self._small):
            self._layers.begin()
            before, self._place = None, 0
        motion = None if before is None else flow.follow(guide, before.guide)
        painted = self._layers.paint(content, seconds, self._place, motion, {})
        self._small, self._place = small, self._place + 1
        return image_of(self._layers.lay(painted, guide, motion).painted)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._last is not None and now > self._last:
            own = 1 / (now - self._last)
            self.rate = MEMORY * self.rate + (1 - MEMORY) * own if self.rate else own
        self._last = now


@contextmanager
def _silent(cv2: Any) -> Iterator[None]:
    """OpenCV tells on stderr of every way that it tried to open a camera; what matters we say ourselves."""
    log = cv2.utils.logging
    before = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)


def camera(number: int) -> Iterator[Image]:
    """What a camera sees now, again and again; what it saw while the last frame was painted is left out.

    Raises:
        UsageError: there is no such camera, or it gives no picture.
        MissingExtra: OpenCV is not installed.
    """
    cv2 = flow.library("a camera")
    with _silent(cv2):
        eye = cv2.VideoCapture(number)
    try:
        if not eye.isOpened():
            raise UsageError(f"there is no camera {number}, or another program uses it: give another number, or a clip")
        eye.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        while True:
            there, pixels = eye.read()
            if not there:
                raise UsageError(f"camera {number} gives no picture any more")
            colors = np.ascontiguousarray(pixels[..., ::-1])
            yield torch.from_numpy(colors).permute(2, 0, 1)[None].float() / 255
    finally:
        eye.release()
