"""How far the painting of a clip is, how fast it goes, and what it spends its time on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from impasto.types import Image, Step
from impasto.video.work import Chunk, Work

Item = TypeVar("Item")
PARTS = ("reading", "painting", "motion", "writing")


@dataclass(frozen=True, slots=True)
class Progress(Step):
    """One frame further."""

    rate: float = 0.0
    """Frames per second."""


class Clock:
    """Seconds that each part of the work took; reading and motion go on beside painting."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """What is done within this block is of this part."""
        begun = time.perf_counter()
        yield
        self.spent[part] += time.perf_counter() - begun


class Pace:
    """How fast it goes."""

    def __init__(self, work: Work, chunks: Sequence[Chunk]) -> None:
        self.total = sum(chunk.stop - chunk.start for chunk in chunks)
        self.units = sum(chunk.last - chunk.first for chunk in chunks if work.missing(chunk)) or 1
        gone = sum(stop - start for chunk in chunks for start, stop in work.missing(chunk))
        self.finished = self.begun = self.total - gone
        self.done = 0
        self.start: float | None = None
        self.size = work.shape

    def passed(self, units: int, finished: int) -> None:
        """So many frames were painted, and so many of them are finished."""
        self.start = self.start or time.monotonic()
        self.done += units
        self.finished += finished

    def seen(self, gone: int) -> None:
        """So many frames are still missing."""
        self.start = self.start or time.monotonic()
        self.finished = self.total - gone
        self.done = self.units * (self.finished - self.begun) // max(1, self.total - self.begun)

    def step(self, preview: Image | None) -> Progress:
        """Where it stands. The first frame loads and warms up, so it is no measure."""
        seconds = time.monotonic() - (self.start or time.monotonic())
        rate = max(0, self.finished - self.begun - 1) / seconds if seconds > 0 else 0.0
        speed = max(0, self.done - 1) / seconds if seconds > 0 else 0.0
        eta = (self.units - self.done) / speed if speed else 0.0
        return Progress(self.finished, self.total, preview=preview, eta=max(0.0, eta), size=self.size, rate=rate)


def ahead(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """The items, made in a thread of their own, so many in advance; once it is closed no more are begun."""
    end: Any = object()
    thread = ThreadPoolExecutor(1)
    try:
        waiting = deque(thread.submit(next, items, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, items, end))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
