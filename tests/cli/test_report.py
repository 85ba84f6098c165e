"""What the command says, and to whom."""

import os
import signal
import sys

import pytest

from impasto.cli import report
from impasto.errors import OutputError, PictureError, UsageError
from impasto.types import Step


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3599.6, "60:00"), (-1, "0:00")])
def test_clock(seconds, text):
    assert report.clock(seconds) == text


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("two\n  lines"), 2, "impasto: a.png: two lines"),
        (PictureError("a.png is damaged"), 1, "impasto: a.png is damaged"),
        (PictureError("damaged"), 1, "impasto: a.png: damaged"),
        (MemoryError(), 1, "impasto: a.png: not enough memory: take a smaller --size"),
        (RuntimeError("CUDA out of memory. Tried"), 1, "impasto: a.png: not enough memory: take a smaller --size"),
        (KeyError("x"), 1, "impasto: a.png: unexpected KeyError: 'x' (--debug shows where)"),
    ],
)
def test_errors_are_one_line(capsys, error, code, text):
    assert report.failure(error, "a.png") == code
    assert capsys.readouterr().err == text + "\n"


def test_a_full_stdout(monkeypatch):
    """In a process of its own, for file descriptor 1 is changed."""
    if pid := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        return
    try:
        sys.stdout = open("/dev/full", "w")  # noqa: SIM115
        os.dup2(sys.stdout.fileno(), 1)
        report.out("a.png")
    except OutputError:
        os._exit(3)
    os._exit(4)


def test_progress_is_told_in_lines_where_there_is_no_terminal(capsys, monkeypatch):
    steps = [Step(index, 9, eta=75, size=(30, 40)) for index in range(1, 4)]
    assert list(report.progress(steps, quiet=False)) == steps
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(report, "LINE_SECONDS", -1)
    assert list(report.progress(steps, quiet=False)) == steps
    assert capsys.readouterr().err.splitlines()[0] == "step 1/9  40 x 30 px  1:15 left"
    assert list(report.progress(steps, quiet=True)) == steps
    assert capsys.readouterr().err == ""


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with report.deferred("") as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert not stop.wanted
    finally:
        signal.signal(signal.SIGTERM, before)
