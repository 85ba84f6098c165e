"""Long work as the page follows it: waiting for its turn, a step at a time, stopped at any step with the best so far."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from impasto.errors import ImpastoError
from impasto.studio.desk import Desk, Made
from impasto.studio.queue import Queue

if TYPE_CHECKING:
    from impasto.paint.pictures import Stylized
    from impasto.types import Image, Step

log = logging.getLogger(__name__)
TOLD, SHOWN = 0.25, 0.8
"""Seconds between two messages, and between two previews: a browser needs time to load one."""
PATIENCE = 0.5
"""Seconds after which one who waits is told of the place again, and may leave."""
WARM = 3
"""Steps after which the time that is left can be told: the first ones load and warm up."""
POSTER, LOOK = 480, 1024
"""Long edges of a result's small picture, and of a preview at most, px."""
KEPT = 6
"""Previews that are not thrown away yet."""


class Wrong(ImpastoError):
    """What is wrong with one field of a form."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@contextmanager
def at(field: str, *files: str) -> Iterator[None]:
    """Whatever cannot be done in this block is wrong with this field; files are called by their names alone.

    Raises:
        Wrong: it is.
    """
    try:
        yield
    except Wrong:
        raise
    except Exception as error:
        text = sentence(error)
        for file in files:
            text = text.replace(os.path.join(os.path.dirname(file), ""), "")
        raise Wrong(field, text) from error


def sentence(error: BaseException) -> str:
    """What went wrong, for people; of errors that are not ours the log has more."""
    text = " ".join(str(error).split())
    if isinstance(error, ImpastoError):
        return text
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        return "there is not enough memory for this: take a smaller size"
    log.error("unexpected", exc_info=error)
    return f"unexpected {type(error).__name__}: {text}"


@dataclass(frozen=True, slots=True)
class News:
    """What there is to tell of a job."""

    text: str
    share: float = 0.0
    """How much of it is done, 0 ... 1."""
    preview: Path | None = None
    """The picture so far."""
    made: Made | None = None
    """The result, at the end."""
    before: Path | None = None
    """What it is made from, to be compared with."""


class Job(Protocol):
    """Work that was checked and is about to begin."""

    before: Path | None
    """What it is made from, to be looked at beside."""
    label: str
    """What a step of it is called."""

    def steps(self) -> Iterator[Step]:
        """Do it, a step at a time."""

    def finish(self, stopped: bool) -> Made | None:
        """What there is of it; None where nothing can be kept."""


def follow(queue: Queue, desk: Desk, tab: str, begin: Callable[[], Job]) -> Generator[News, None, None]:
    """Wait, begin, work and finish; then what it needed is given back. Closing the generator stops the work within a step and
    keeps nothing.

    Raises:
        ImpastoError: too many wait; or what `begin`, the work, or keeping its result raises.
    """
    try:
        yield from _followed(queue, desk, tab, begin)
    finally:
        from impasto.paint import memory

        memory.give_back()


def _followed(queue: Queue, desk: Desk, tab: str, begin: Callable[[], Job]) -> Generator[News, None, None]:
    with desk.working(tab) as stop, queue.place() as place:
        while before := place.ahead(PATIENCE):
            yield News(f"Waiting: {before} {'job' if before == 1 else 'jobs'} before yours.")
            if stop.is_set():
                yield News("Stopped before it began.")
                return
        yield News("Beginning …")
        begun = time.monotonic()
        job = begin()
        with closing(_watched(desk, job)) as news:
            for each in news:
                yield from [each] if each else []
                if stop.is_set():
                    break
        if desk.closed:
            return
        made = job.finish(stop.is_set())
        how = "Stopped" if stop.is_set() else "Done"
        kept = f". {made.note}" if made else "; nothing can be kept of it."
        desk.made += [made] if made else []
        share = 0.0 if stop.is_set() else 1.0
        yield News(f"{how} after {clock(time.monotonic() - begun)}{kept}".rstrip(), share, made=made, before=job.before)


def _watched(desk: Desk, job: Job) -> Generator[News | None, None, None]:
    """The steps of a job, and now and then news of them; the last few previews are kept, for a browser to load them."""
    told, shown, previews = -math.inf, time.monotonic(), deque[Path]()
    for step in job.steps():
        now, preview = time.monotonic(), None
        if step.preview is not None and now - shown > SHOWN:
            preview, shown = poster(desk, step.preview, "preview.jpg", LOOK), now
            previews.append(preview)
            if len(previews) > KEPT:
                previews.popleft().unlink(missing_ok=True)
        if preview or now - told > TOLD:
            told = now
            yield News(note(step, job.label), step.index / max(1, step.total), preview, before=job.before)
        else:
            yield None


def note(step: Step, label: str = "Step") -> str:
    """Where the work stands."""
    height, width = step.size
    size = f", {width} × {height} px" if width else ""
    left = f", about {clock(step.eta)} left" if step.eta and step.index > WARM else ""
    return f"{label} {step.index} of {step.total}{size}{left}"


def clock(seconds: float) -> str:
    """75 -> "1:15 min", 4.2 -> "4 s"."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02d} min"


def poster(desk: Desk, image: Image, name: str, edge: int = POSTER) -> Path:
    """A small JPEG to be looked at."""
    from impasto.pixels import geometry, io

    path = desk.path(name).with_suffix(".jpg")
    small = geometry.fit(image, min(edge, max(image.shape[-2:])))
    io.load(small[0].detach().cpu()).pil().convert("RGB").save(path, quality=90)
    return path


def keep(desk: Desk, made: Stylized, name: str, caption: str) -> Made:
    """A finished picture as a PNG file with its recipe."""
    path = made.save(desk.path(f"{name}.png"), bits=16 if made.picture.bits > 8 else 8)
    return Made(path, poster(desk, made.image, name), caption, made.recipe)


class Still:
    """What paints a picture, as a job."""

    before: Path | None = None
    label = "Step"

    def __init__(self, desk: Desk, work: Any, name: str, caption: str) -> None:
        self.desk, self.work, self.name, self.caption = desk, work, name, caption

    def steps(self) -> Iterator[Step]:
        """Its steps, with previews."""
        yield from self.work.steps(preview=True)

    def finish(self, stopped: bool) -> Made | None:
        """The picture as it stands."""
        return keep(self.desk, self.work.result(), self.name, self.caption)
