"""An export beside the original, on photographs; a file that does not agree is not written."""

from __future__ import annotations

import importlib
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.errors import MissingExtra, OutputError, OutputExists, PaintingError, UsageError
from impasto.export.parts import Part

FP32, FP16, INT8 = "fp32", "fp16", "int8"
PRECISIONS = (FP32, FP16, INT8)
DIFFERENCE = {FP32: 1e-5, FP16: 5e-3}
"""Largest difference from the original, of a range of 1."""
PSNR = 35.0
"""Least agreement of an int8 file with the original, dB."""
TIMED = 7
"""Runs that are timed; the median counts."""


@dataclass(frozen=True)
class Exported:
    """What an exporter has written, and how it is run."""

    run: Callable[..., Tensor] | None
    """Takes the inputs by name; None where this machine has nothing to run the file with."""
    operators: Counter[str]
    undelegated: Counter[str] = field(default_factory=Counter)
    """Operators that the runtime's fast part does not take."""


@dataclass(frozen=True)
class Report:
    """How an exported file does beside the original."""

    output: str
    precision: str
    bytes: int
    difference: float | None
    """Largest difference on any photograph; of a code against its largest entry."""
    psnr: float | None
    """Worst of the photographs, dB."""
    milliseconds: float | None
    torch_milliseconds: float
    size: int
    """Side of the photographs, px."""
    threads: int
    operators: dict[str, int]
    undelegated: dict[str, int]

    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def described(self) -> list[str]:
        """All of it, for people: size, agreement, time, operators."""
        operators = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        left = ", ".join(f"{count} {name}" for name, count in self.undelegated.items())
        lines = [f"{self.bytes / 1e3:.0f} kB, {self.precision}"]
        if self.difference is None or self.milliseconds is None:
            lines.append("not run: there is nothing on this machine that runs it")
        else:
            lines.append(f"largest difference {self.difference:.2g}, PSNR {self.psnr:.1f} dB, at {self.size} px")
            times = f"{self.milliseconds:.1f} ms, {self.torch_milliseconds:.1f} ms in torch"
            lines.append(f"{times}, {self.threads} thread{'' if self.threads == 1 else 's'}")
        lines.append(f"operators: {operators}")
        lines.append(f"undelegated: {left or 'none'}")
        return lines


Exporter = Callable[[Part, Path, str], Exported]
"""Writes a network to a file in a precision, and says how it is run."""


def package(name: str, what: str, extra: str) -> Any:
    """A module of an exporter's extra.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        with quiet():
            return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(what, extra) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without what converters say of their own parts and progress, on stdout too."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def precise(file: Path, precision: str, *offered: str) -> None:
    """Raise UsageError for a precision that a format is not written in."""
    if precision not in offered:
        raise UsageError(f"{file.suffix} files are {' or '.join(offered)}, not {precision}")


def unused(path: Path, force: bool) -> None:
    """Raise OutputExists where something would be replaced that was not to be, OutputError where there is no such folder."""
    if path.exists() and not force:
        raise OutputExists(f"{path} exists already: --force (force=True) replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent} to write {path.name} into: make it first")


def write(part: Part, path: str | os.PathLike[str], exporter: Exporter, precision: str = FP32, *, force: bool = False) -> Report:
    """Export, check, and only then put the file (or folder, as Core ML's are) in its place.

    Raises:
        OutputExists: there is one already, and `force` is not given.
        OutputError: it cannot be written.
        PaintingError: the export does not agree with the original.
        ImpastoError: whatever the exporter cannot do.
    """
    path = Path(path)
    unused(path, force)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
            made = Path(folder) / path.name
            report = measured(part, made, exporter(part, made, precision), path, precision)
            _agree(report)
            _place(made, path, Path(folder))
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return report


def _place(made: Path, path: Path, folder: Path) -> None:
    if path.is_dir():  # a folder is not replaced by one that is moved onto it
        path.rename(folder / f"{path.name}.before")
    os.replace(made, path)


def measured(part: Part, made: Path, exported: Exported, path: Path, precision: str) -> Report:
    """Run file and original on the photographs to check with."""
    first, run = part.checks[0], exported.run
    pairs = [] if run is None else [(part.original(**inputs), run(**inputs)) for inputs in part.checks]
    return Report(
        output=str(path),
        precision=precision,
        bytes=_bytes(made),
        difference=max((difference(a, b) for a, b in pairs), default=None),
        psnr=min((psnr(a, b) for a, b in pairs), default=None),
        milliseconds=None if run is None else milliseconds(partial(run, **first)),
        torch_milliseconds=milliseconds(partial(part.original, **first)),
        size=next(iter(first.values())).shape[-1],
        threads=torch.get_num_threads(),
        operators=dict(exported.operators.most_common()),
        undelegated=dict(exported.undelegated.most_common()),
    )


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def difference(original: Tensor, other: Tensor) -> float:
    """Largest difference, of pictures against their range of 1, of codes against their largest entry."""
    peak = 1.0 if original.ndim == 4 else float(original.abs().max())
    return float((original - other).abs().max()) / peak


def psnr(original: Tensor, other: Tensor) -> float:
    """10 log10(1 / mean squared difference), dB; of codes the mean square of the original takes the place of 1."""
    peak = 1.0 if original.ndim == 4 else float(original.square().mean())
    error = float((original - other).square().mean())
    return float("inf") if error == 0 else 10 * float(torch.log10(torch.tensor(peak / error)))


def milliseconds(run: Callable[[], object], runs: int = TIMED) -> float:
    """Median time of a call, after two that are not counted."""
    times = []
    for _ in range(runs + 2):
        begun = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times[2:])


def _agree(report: Report) -> None:
    """Raise PaintingError for a file that is not what it was made from."""
    if report.difference is None or report.psnr is None:
        return  # nothing here runs it
    about = f"{report.output} is not written: it differs from the original by"
    if report.precision == INT8:
        if not report.psnr >= PSNR:
            raise PaintingError(f"{about} {report.psnr:.1f} dB, and {PSNR:g} are needed: take fp16, or --photos like your own")
    elif not report.difference <= DIFFERENCE[report.precision]:
        limit = DIFFERENCE[report.precision]
        raise PaintingError(f"{about} {report.difference:.2g}, and {report.precision} may by {limit:g}")
