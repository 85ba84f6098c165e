"""The contact sheet of a sweep: its pictures from their files, each with the values that made it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli import report, sheet
from impasto.cli.jobs import Job
from impasto.errors import ImpastoError

if TYPE_CHECKING:
    from impasto.cli.batch import Wishes

VERB = "sheet"


def write(file: str, group: Sequence[Job], wishes: Wishes, *, anew: bool) -> None:
    """Write the sheet of the pictures of a sweep that are there; one that is there already only if pictures are new."""
    import impasto
    from impasto.pixels import io

    there = [job for job in group if job.there and not job.unfinished]
    if not there or (Path(file).exists() and not anew):
        return
    whole = sheet.sheet([(io.load(job.output).pil(), job.label) for job in there], columns(there))
    recipe = {"version": impasto.__version__, "verb": VERB, "pictures": [job.output for job in there]}
    io.save(io.load(whole), file, recipe=recipe, force=wishes.force or is_sheet(file))
    report.result(file, {"sheet": [job.output for job in there]}, as_json=wishes.as_json)


def columns(group: Sequence[Job]) -> int:
    """A grid's rows are the values of all sweeps but the last; one sweep of up to five values is a row, of more a block."""
    if len(group[0].swept) > 1:
        last = list(group[0].swept)[-1]
        return len({job.swept[last] for job in group})
    return len(group) if len(group) <= 5 else 0


def is_sheet(file: str) -> bool:
    """Whether a file is a sheet of ours, which a new one may replace."""
    from impasto.pixels import recipe

    try:
        return Path(file).exists() and (recipe.read(file) or {}).get("verb") == VERB
    except ImpastoError:
        return False
