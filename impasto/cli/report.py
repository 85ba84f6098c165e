"""What the command says: results on stdout, everything else on stderr, exit codes, and what Ctrl-C does."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from impasto.errors import ImpastoError, OutputError, UsageError

if TYPE_CHECKING:
    from impasto.types import Step

BEGUN = time.monotonic() - time.process_time()
"""When the process began, near enough: start-up is all computing."""
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
LINE_SECONDS = 30.0
"""How often progress is told where there is no terminal to draw a bar on."""
PREVIEW_SECONDS, PREVIEW_SHARE = 2.0, 10
"""Previews rest for so many seconds, or for so many times what writing one takes."""
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What asks us to stop: Ctrl-C, a batch system or a shutting-down machine, a closed terminal."""

tracebacks = False
"""Whether errors are shown with their traceback (--debug)."""
warnings = True
"""Whether the library's warnings are shown (not with --quiet)."""


def say(text: str, *, quiet: bool = False) -> None:
    """A message for people."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def out(text: str) -> None:
    """A result, on stdout at once.

    Raises:
        OutputError: stdout cannot be written to: a full disk.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        # what is still in the buffer would fail a second time at exit, with a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"cannot write to stdout: {error.strerror}") from error


def result(path: object, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """A result on stdout: its path, or a JSON object of the path and more. A picture on stdout is its own result."""
    if str(path) != "-":
        out(json.dumps({"output": str(path), **facts}) if as_json else str(path))


def failure(error: BaseException, about: str = "") -> int:
    """Report an error in one line (or with its traceback) and give the exit code."""
    if tracebacks:
        traceback.print_exception(error, file=sys.stderr)
    text = one_line(error)
    # most of our errors name the file themselves
    say(f"impasto: {about}: {text}" if about and about not in text else f"impasto: {text}")
    return USAGE if isinstance(error, UsageError) else FAILED


def wrong_line(error: Exception) -> int:
    """Report a command line that makes no sense."""
    context = getattr(error, "ctx", None)
    text = " ".join(str(getattr(error, "format_message", lambda: error)()).split())
    say(f"impasto: {text[:1].lower()}{text[1:].rstrip('.')} (see {context.command_path if context else 'impasto'} --help)")
    return USAGE


def one_line(error: BaseException) -> str:
    """What an error says, on one line; errors that are not ours with their type, and how to see more."""
    text = " ".join(str(error).split())
    if isinstance(error, ImpastoError):
        return text
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        return "not enough memory: take a smaller --size"
    return f"unexpected {type(error).__name__}: {text} (--debug shows where)"


def listen() -> None:
    """Treat SIGTERM and SIGHUP as Ctrl-C, and let the library's warnings through to stderr."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # started by nohup, or in the background by a script
            signal.signal(number, interrupt)
    logging.basicConfig(level=logging.WARNING, format="impasto: %(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: warnings or record.levelno >= logging.ERROR)


@dataclass(slots=True)
class Stop:
    """Whether somebody asked to stop."""

    wanted: bool = False


@contextmanager
def deferred(note: str) -> Iterator[Stop]:
    """Within this block a first signal only asks to stop, so that a step is never cut in two; the next one interrupts."""
    stop = Stop()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop.wanted = True
        if note:
            os.write(2, f"\nimpasto: {note}\n".encode())  # print could be in the middle of another print

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, ask)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def note(step: Step) -> str:
    """Where the work stands, for people."""
    height, width = step.size
    return f"step {step.index}/{step.total}  {width} x {height} px  {clock(step.eta)} left"


def progress(steps: Iterable[Step], *, quiet: bool, label: str = "", note: Callable[[Step], str] = note) -> Iterator[Step]:
    """Pass the steps on, and show on stderr how far they are: a bar on a terminal, elsewhere a line now and then."""
    if quiet:
        return iter(steps)
    return _bar(steps, label, note) if sys.stderr.isatty() else _lines(steps, label, note)


def _lines(steps: Iterable[Step], label: str, note: Callable[[Step], str]) -> Iterator[Step]:
    told = time.monotonic()
    for step in steps:
        if time.monotonic() - told > LINE_SECONDS:
            told = time.monotonic()
            say(f"{label} {note(step)}".strip())
        yield step


def _bar(steps: Iterable[Step], label: str, note: Callable[[Step], str]) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[note]}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, note="")
        for step in steps:
            bar.update(task, total=step.total, completed=step.index, note=note(step))
            yield step


class Previews:
    """A preview file that is rewritten while work goes on, in a tenth of the time at most; once that fails, no more.

    The work is worth more than its preview.
    """

    def __init__(self, file: str, seconds: float | None = None) -> None:
        """`file`: "" for none. `seconds`: between two previews, at least; default PREVIEW_SECONDS."""
        self.file, self.seconds = file, PREVIEW_SECONDS if seconds is None else seconds
        self.due = time.monotonic() + self.seconds

    def show(self, write: Callable[[str], object]) -> None:
        """Let the preview be written, where it is time to."""
        begun = time.monotonic()
        if not self.file or begun < self.due:
            return
        try:
            write(self.file)
        except ImpastoError as error:
            say(f"impasto: no more previews: {one_line(error)}")
            self.file = ""
        done = time.monotonic()
        self.due = done + max(self.seconds, PREVIEW_SHARE * (done - begun))


def clock(seconds: float) -> str:
    """75 -> "1:15"."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
