"""What is to be made: contents x styles x swept settings, each with its output."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from impasto.cli import words
from impasto.cli.words import StyleWord
from impasto.errors import OutputError, UsageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".exr", ".bmp", ".gif"}
"""What counts as a picture in a folder."""
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to be made."""

    content: str
    styles: tuple[StyleWord, ...]
    output: str
    swept: Mapping[str, str]
    """Settings that differ from the other jobs', by name, as they were written."""

    @property
    def state(self) -> Path | None:
        """Where the state of unfinished work is kept; None for stdout."""
        return None if self.output == STDIN else Path(f"{self.output}.state.safetensors")

    @property
    def there(self) -> bool:
        """Whether its file is there, finished or not."""
        return self.output != STDIN and Path(self.output).exists()

    @property
    def unfinished(self) -> bool:
        """Whether work on it was interrupted."""
        return self.state is not None and self.state.exists()

    @property
    def label(self) -> str:
        """The swept settings for people: "strength 0.3, seed 2"."""
        return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in self.swept.items())


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a command."""

    jobs: tuple[Job, ...]
    batch: bool
    """Whether what is there already is left alone and one that fails does not stop the rest; else there is one job."""
    sheets: Mapping[str, tuple[Job, ...]]
    """Contact sheets of swept settings: the sheet's file, and the jobs whose pictures it shows."""


def plan(
    contents: Sequence[str], styles: Sequence[StyleWord], output: str, *, each: bool = False, sweeps: Sequence[str] = ()
) -> Plan:
    """All jobs: every content, with all styles mixed or with each by itself, for each combination of swept values.

    Raises:
        UsageError: no style, two jobs for one file, stdin twice, a folder without pictures.
    """
    files = [file for content in contents for file in expand(content)]
    known = [word for style in styles for word in _expanded(style)]
    if not known:
        raise UsageError("no style: give --style FILE, or --recipe FILE to take that of another picture")
    if [*files, *(word.source for word in known)].count(STDIN) > 1:
        raise UsageError("- stands for stdin, which can be read once only")
    mixes = [(word._replace(weight=1.0),) for word in known] if each else [tuple(known)]
    variants = combinations(sweeps)
    groups = [
        [Job(file, mix, name(output, file, mix, variant, each), variant) for variant in variants]
        for file in files
        for mix in mixes
    ]
    jobs = tuple(job for group in groups for job in group)
    sheets = {sheet_name(group[0], output, each): tuple(group) for group in groups if sweeps}
    _check_clashes([(job.output, describe(job)) for job in jobs] + [(sheet, "a contact sheet") for sheet in sheets])
    return Plan(jobs, len(jobs) > 1 or is_folder(output) or bool(re.search(r"\{(stem|style|value)\}", output)), sheets)


def expand(content: str) -> list[str]:
    """A folder's pictures, sorted by name; anything else is itself.

    Raises:
        UsageError: a folder without pictures.
    """
    if content == STDIN or not Path(content).is_dir():
        return [content]
    found = sorted(str(path) for path in Path(content).iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UsageError(f"there are no pictures in the folder {content}")
    return found


def _expanded(style: StyleWord) -> list[StyleWord]:
    """A folder of styles as its pictures, which share its weight."""
    files = expand(style.source)
    return [style._replace(source=file, weight=style.weight / len(files)) for file in files]


def combinations(sweeps: Sequence[str]) -> list[dict[str, str]]:
    """Every combination of the values of several sweeps, the last one changing first; one empty one without sweeps.

    Raises:
        UsageError: not SETTING=VALUES, or a setting twice.
    """
    parsed = [words.parse_sweep(text) for text in sweeps]
    names = [name for name, _ in parsed]
    if len(set(names)) < len(names):
        raise UsageError(f"--sweep {names[-1]} was given twice: put all values into one")
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(values for _, values in parsed))]


def stem(file: str) -> str:
    """Name of a file without folder and suffix; "stdin" for -."""
    return "stdin" if file == STDIN else Path(file).stem


def is_folder(output: str) -> bool:
    """Whether results go into a folder, there or not yet."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def name(output: str, content: str, styles: Sequence[StyleWord], swept: Mapping[str, str], each: bool) -> str:
    """Where a picture goes: a template filled in, a name in a folder, or the file itself with the swept values at its end."""
    texts = [text.removesuffix(Path(text).suffix if Path(text).suffix.lower() in SUFFIXES else "") for text in swept.values()]
    value = "-".join(re.sub(r"[^\w.+]+", "_", text) for text in texts)
    return _name(output, content, styles, value, each)


def sheet_name(job: Job, output: str, each: bool) -> str:
    """Where a contact sheet goes: like its pictures, as a PNG, with "sheet" for the value."""
    found = _name(output, job.content, job.styles, "sheet", each)
    return found if found == STDIN else str(Path(found).with_suffix(".png"))


def _name(output: str, content: str, styles: Sequence[StyleWord], value: str, each: bool) -> str:
    parts = {"stem": stem(content), "style": "+".join(stem(word.source) for word in styles), "value": value}
    if is_folder(output):
        shown = [parts["stem"], parts["style"] if each else "", value]
        return str(Path(output) / ("-".join(filter(None, shown)) + ".png"))
    found = re.sub(r"\{(stem|style|value)\}", lambda match: parts[match[1]], output)
    if value and "{value}" not in output and output != STDIN:
        found = str(Path(found).with_name(f"{Path(found).stem}-{value}{Path(found).suffix}"))
    return found


def describe(job: Job) -> str:
    """A job for people."""
    return " ".join(filter(None, [job.content, "in the style of", "+".join(word.source for word in job.styles), job.label]))


def _check_clashes(outputs: Sequence[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for output, what in outputs:
        place = output if output == STDIN else os.path.abspath(output)
        if place in seen:
            raise UsageError(
                f"{output} would be written twice, for {seen[place]} and for {what}: give a folder (ending in /) or a name "
                "with {stem}, {style} or {value}"
            )
        seen[place] = what


def make_folder(output: str) -> None:
    """The folder that an output goes into, made if it is not there.

    Raises:
        OutputError: it cannot be made.
    """
    folder = Path(output).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error
