"""Little pictures of what the filters do, painted behind the page while it loads; with them torch and the networks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from impasto.errors import ImpastoError
from impasto.studio.queue import Queue

log = logging.getLogger(__name__)
EDGE = 144
"""Long edge of a sample, px."""
PHOTO = "coffee-2.jpg"
PATIENCE = 20.0
"""Seconds that the end waits for it at most: where torch is being loaded, it takes so long."""


class Samples:
    """The samples that there are so far."""

    def __init__(self, folder: Path, queue: Queue) -> None:
        self.folder, self.queue = folder, queue
        self._found: dict[str, Path] = {}
        self._changed = threading.Condition()
        self._finished = self._closed = False
        self._thread = threading.Thread(target=self._paint, daemon=True, name="samples")

    def begin(self) -> None:
        """Paint them in a thread of its own, which gives way to jobs."""
        self._thread.start()

    def close(self) -> None:
        """Paint no more; waits for the sample under way, for torch must not be at work when Python ends."""
        self._closed = True
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def follow(self) -> Iterator[dict[str, Path]]:
        """Those that there are, by name, and again whenever there are more."""
        told, finished = -1, False
        while not finished:
            with self._changed:
                if len(self._found) == told and not self._finished:
                    self._changed.wait(1)
                found, finished = dict(self._found), self._finished
            if len(found) != told:
                told = len(found)
                yield found

    def _paint(self) -> None:
        try:
            self._paint_all()
        except (ImpastoError, OSError, RuntimeError) as error:
            log.warning("the filters cannot be shown: %s", error)
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _paint_all(self) -> None:
        from impasto import still
        from impasto.fast import learn
        from impasto.fast import style as filters
        from impasto.features import encoders
        from impasto.pixels import geometry, io

        encoders.load("vgg16")
        image = geometry.fit(io.load(learn.PHOTOS / PHOTO).image, EDGE)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in filters.names():
            while self.queue.places and not self._closed:
                time.sleep(0.2)
            if self._closed:
                return
            painted = still.bind([still.open_style(name)], EDGE)(image)
            path = self.folder / f"{name}.jpg"
            io.load(painted[0]).pil().save(path, quality=85)
            with self._changed:
                self._found[name] = path
                self._changed.notify_all()
