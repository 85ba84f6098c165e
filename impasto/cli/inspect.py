"""`impasto inspect`: the recipe that a picture, a clip or a model carries, a style's passport, and how near a picture came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import compare, options, presets, report, reproduce
from impasto.errors import ImpastoError, UsageError

Files = Annotated[
    list[str],
    typer.Argument(help="Pictures, clips, models (.glb, .gltf) and styles (.safetensors) made by impasto.", metavar="FILE..."),
]
Reproduce = Annotated[bool, options.option("Print the command that makes the file again.", "--reproduce", panel=None)]
Compare = Annotated[bool, options.option("Compare three pictures: CONTENT STYLE RESULT.", "--compare", panel=None)]
Period = Annotated[
    int, options.option("With --compare: look for seams every so many px.", "--seam-period", panel=None, metavar="PX")
]


def inspect(
    files: Files,
    reproduce: Reproduce = False,
    compare: Compare = False,
    seam_period: Period = 512,
    as_json: options.JsonReport = False,
) -> int:
    """Show the recipe that a picture, clip or model carries, a style file's passport, or compare a result with its sources."""
    if reproduce and compare:
        raise UsageError("--reproduce and --compare are two different things: give one of them")
    if compare:
        return _compare(files, seam_period, as_json)
    code = report.DONE
    for file in files:
        try:
            report.out(_command(file, as_json) if reproduce else _recipe(file, as_json))
        except ImpastoError as error:
            if len(files) == 1:
                raise
            report.failure(error, file)
            code = report.FAILED
    return code


def _command(file: str, as_json: bool) -> str:
    line = reproduce.command(reproduce.read(file), file)
    return json.dumps({"file": file, "command": line}) if as_json else line


def _recipe(file: str, as_json: bool) -> str:
    found = presets.passport(file) if Path(file).suffix.lower() == presets.WEIGHTS else presets.told(file)
    return json.dumps({"file": file, **found}) if as_json else json.dumps(found, indent=2)


def _compare(files: list[str], period: int, as_json: bool) -> int:
    if len(files) != 3:
        raise UsageError(f"--compare takes three pictures, CONTENT STYLE RESULT, not {len(files)}")
    if period < 2:
        raise UsageError(f"--seam-period {period} px: 2 px at least")
    content, style, result = files
    facts = compare.facts(content, style, result, period)
    report.out(json.dumps(facts) if as_json else compare.table(facts))
    return report.DONE
