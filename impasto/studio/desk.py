"""What one tab of a browser has in use: its folder, its results, its own filters. Others do not see it."""

from __future__ import annotations

import itertools
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError

IDLE = 24 * 3600.0
"""Seconds after which a desk that nobody uses is cleared; those of browsers are when their tab is closed."""


@dataclass(frozen=True, slots=True)
class Made:
    """A result."""

    file: Path
    poster: Path
    """A picture of it."""
    caption: str
    recipe: Mapping[str, Any]
    note: str = ""
    """What else is to be said of it."""


class Desk:
    """One tab's folder with all that lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, time.monotonic()
        self.made: list[Made] = []
        self.filters: dict[str, Path] = {}
        """Style files learned or opened here, by name."""
        self.pictures: dict[str, str] = {}
        """Pictures opened here by their SHA-256, as recipes name them, so that they can be put back."""
        self.told = ""
        """What was said of the picture that was dropped last."""
        self.edited = ""
        """SHA-256 of the photograph that regions are painted on."""
        self.closed = False
        """Whether the tab is gone: nothing is kept any more."""
        self._stops: dict[str, threading.Event] = {}
        self._numbers = itertools.count(1)

    def path(self, name: str) -> Path:
        """A new file's path; of the name only what follows its last slash counts, so it lies in this folder.

        Raises:
            ImpastoError: the desk is cleared.
        """
        if self.closed:
            raise ImpastoError("this page was closed: open it again")
        place = self.folder / str(next(self._numbers))
        place.mkdir(parents=True)
        return place / Path(name).name

    @contextmanager
    def working(self, tab: str) -> Iterator[threading.Event]:
        """Work in one of the studio's tabs; what is given is set when it is to stop. Work begun there before stops."""
        self.stop(tab)
        stop = self._stops[tab] = threading.Event()
        if self.closed:
            stop.set()
        try:
            yield stop
        finally:
            if self._stops.get(tab) is stop:
                del self._stops[tab]
            if self.closed:  # work in its last step may have made folders anew
                self._remove()

    def works(self, tab: str) -> bool:
        """Whether there is work in a tab."""
        return tab in self._stops

    def stop(self, tab: str) -> None:
        """Ask the work in a tab to stop after its step."""
        if stop := self._stops.get(tab):
            stop.set()

    def clear(self) -> None:
        """Stop all work and take the folder away."""
        self.closed = True
        for tab in list(self._stops):
            self.stop(tab)
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Desks:
    """The desks of all tabs, in folders whose names nobody can guess."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._desks: dict[str, Desk] = {}
        self._lock = threading.Lock()

    def of(self, session: str | None) -> Desk:
        """The desk of a session, a new one for a new session."""
        with self._lock:
            now = time.monotonic()
            for name in [name for name, desk in self._desks.items() if now - desk.used > IDLE]:
                self._desks.pop(name).clear()
            found = self._desks.setdefault(session or "", Desk(self.root / secrets.token_hex(16)))
            found.used = now
            return found

    def close(self, session: str | None) -> None:
        """Clear a desk whose tab was closed."""
        with self._lock:
            desk = self._desks.pop(session or "", None)
        if desk:
            desk.clear()

    def close_all(self) -> None:
        """Clear all."""
        for session in list(self._desks):
            self.close(session)
