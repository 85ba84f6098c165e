"""A clip being painted, for people who watch: frames per second, the time left, a preview."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from impasto.cli import report

if TYPE_CHECKING:
    from impasto.types import Image, Step


def drive(steps: Iterator[Any], what: str, stop: report.Stop, quiet: bool, preview: str = "") -> None:
    """Take the steps, with progress and previews, until done or asked to stop.

    Raises:
        KeyboardInterrupt: it was asked to stop.
    """
    previews = report.Previews(preview)
    try:
        for step in report.progress(steps, quiet=quiet, label=what, note=note):
            if stop.wanted:
                raise KeyboardInterrupt
            if step.preview is not None:
                previews.show(lambda file, image=step.preview: picture(image, file))  # type: ignore[misc]
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()


def picture(image: Image, file: str, verb: str = "video") -> None:
    """Write a picture that shows how far the work is.

    Raises:
        OutputError: it cannot be written.
    """
    import impasto
    from impasto.pixels import io

    io.save(io.load(image[0].clamp(0, 1)), file, recipe={"version": impasto.__version__, "verb": verb}, force=True)


def note(step: Step) -> str:
    """Where the work stands, for people."""
    height, width = step.size
    rate = getattr(step, "rate", 0.0)
    return f"frame {step.index}/{step.total}  {width} x {height} px  {rate:.1f} a second  {report.clock(step.eta)} left"
