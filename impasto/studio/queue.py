"""One heavy job at a time: the others wait in the order in which they came, and know their places."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from impasto.errors import ImpastoError

WAITING = 12
"""Jobs that may wait; more are told to come again."""


class Place:
    """A place in the queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def ahead(self, seconds: float = 0.0) -> int:
        """How many come before it, 0 when it is its turn. Waits so long for that to change."""
        queue = self._queue
        with queue.changed:
            if queue.places.index(self) and seconds:
                queue.changed.wait(seconds)
            return queue.places.index(self)


class Queue:
    """Who stands first works."""

    def __init__(self, most: int = WAITING) -> None:
        self.most, self.places, self.changed = most, list[Place](), threading.Condition()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place at the end, given up when the block is left.

        Raises:
            ImpastoError: too many wait already.
        """
        place = Place(self)
        with self.changed:
            if len(self.places) > self.most:
                raise ImpastoError(f"busy: {self.most} jobs are waiting already; try again in a minute")
            self.places.append(place)
        try:
            yield place
        finally:
            with self.changed:
                self.places.remove(place)
                self.changed.notify_all()
