"""What the command says: results on stdout, everything else on stderr, and exit codes."""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from impasto.errors import ImpastoError, UsageError

if TYPE_CHECKING:
    from impasto.types import Step

BEGUN = time.monotonic() - time.process_time()
"""When the process began, near enough: start-up is all computing."""
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def say(text: str, *, quiet: bool = False) -> None:
    """A message for people."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def result(path: object, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """A result on stdout: its path, or a JSON object of the path and more."""
    if as_json:
        print(json.dumps({"output": str(path), **facts}), flush=True)
    elif str(path) != "-":
        print(path, flush=True)


def failure(error: BaseException, *, debug: bool) -> int:
    """Report an error in one line (or with its traceback) and give the exit code."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    else:
        say(f"impasto: {one_line(error)}")
    return USAGE if isinstance(error, UsageError) else FAILED


def one_line(error: BaseException) -> str:
    """What an error says, on one line; errors that are not ours with their type, and how to see more."""
    text = " ".join(str(error).split())
    if isinstance(error, ImpastoError):
        return text
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "not enough memory: take a smaller --size"
    return f"unexpected {type(error).__name__}: {text} (--debug shows where)"


def listen() -> None:
    """Treat SIGTERM as Ctrl-C, and let the library's warnings through to stderr."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    logging.basicConfig(level=logging.WARNING, format="impasto: %(message)s", stream=sys.stderr)


def progress(steps: Iterable[Step], *, quiet: bool, label: str = "") -> Iterator[Step]:
    """Pass the steps on and draw a bar with the time left on stderr, where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield from steps
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, note="")
        for step in steps:
            height, width = step.size
            note = f"step {step.index}/{step.total}  {width} x {height} px  {clock(step.eta)} left"
            bar.update(task, total=step.total, completed=step.index, note=note)
            yield step


def clock(seconds: float) -> str:
    """75 -> "1:15"."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
