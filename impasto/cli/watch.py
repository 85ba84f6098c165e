"""A clip being painted, for people who watch: frames per second, the time left, a preview."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from impasto.cli import batch, report
from impasto.errors import ImpastoError

if TYPE_CHECKING:
    from impasto.types import Image, Step


def drive(steps: Iterator[Any], what: str, stop: report.Stop, quiet: bool, preview: str = "") -> None:
    """Take the steps, with progress and previews, until done or asked to stop.

    Raises:
        KeyboardInterrupt: it was asked to stop.
    """
    written, cost = time.monotonic(), 0.0
    try:
        for step in _told(steps, what, quiet):
            if stop.wanted:
                raise KeyboardInterrupt
            now = time.monotonic()
            if preview and step.preview is not None and now - written > max(batch.PREVIEW_SECONDS, batch.PREVIEW_SHARE * cost):
                preview = _preview(step.preview, preview)
                written = time.monotonic()
                cost = written - now
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()


def _preview(image: Image, file: str) -> str:
    """Write a preview; "" once that fails, for the work is worth more than its preview."""
    import impasto
    from impasto.pixels import io

    try:
        io.save(io.load(image[0].clamp(0, 1)), file, recipe={"version": impasto.__version__, "verb": "video"}, force=True)
        return file
    except ImpastoError as error:
        report.say(f"impasto: no more previews: {report.one_line(error)}")
        return ""


def _told(steps: Iterable[Step], what: str, quiet: bool) -> Iterator[Step]:
    """Pass the steps on, and show frames per second and the time left: a bar on a terminal, else a line now and then."""
    if quiet:
        yield from steps
        return
    if sys.stderr.isatty():
        yield from _bar(steps, what)
        return
    told = time.monotonic()
    for step in steps:
        if time.monotonic() - told > report.LINE_SECONDS:
            told = time.monotonic()
            report.say(f"{what} {note(step)}")
        yield step


def _bar(steps: Iterable[Step], what: str) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[note]}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, note="")
        for step in steps:
            bar.update(task, total=step.total, completed=step.index, note=note(step))
            yield step


def note(step: Step) -> str:
    """Where the work stands, for people."""
    height, width = step.size
    rate = getattr(step, "rate", 0.0)
    return f"frame {step.index}/{step.total}  {width} x {height} px  {rate:.1f} a second  {report.clock(step.eta)} left"
