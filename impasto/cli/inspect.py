"""`impasto inspect`: the recipe that a picture carries, and how near it came."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli import options, report
from impasto.errors import UsageError
from impasto.paint.settings import Settings

Files = Annotated[list[str], typer.Argument(help="Pictures made by impasto.", metavar="FILE...")]
Reproduce = Annotated[bool, typer.Option("--reproduce", help="Print the command that makes the picture again.")]
Compare = Annotated[bool, typer.Option("--compare", help="Compare three pictures: CONTENT STYLE RESULT.")]


def inspect(files: Files, reproduce: Reproduce = False, compare: Compare = False, as_json: options.Json = False) -> int:
    """Show the recipe that a picture carries, or compare a result with its content and style."""
    if compare:
        return _compare(files, as_json)
    from impasto.pixels import recipe

    code = report.DONE
    for file in files:
        found = recipe.read(file)
        if found is None:
            report.say(f"impasto: {file} carries no recipe")
            code = report.FAILED
        elif reproduce:
            print(command(found, file))
        else:
            print(json.dumps({"file": file, **found}) if as_json else json.dumps(found, indent=2))
    return code


def command(recipe: Mapping[str, Any], output: str) -> str:
    """The command that makes a picture with this recipe again.

    Raises:
        UsageError: the recipe does not name the files that it was made from.
    """
    content = recipe.get("content", {}).get("source")
    sources = [style.get("source") for style in recipe.get("styles", [])]
    if not content or not sources or not all(sources):
        raise UsageError(f"{output} was not made from files: its recipe does not name content and styles")
    words = ["impasto", "image", content]
    for style in recipe["styles"]:
        words += ["--style", style["source"] if len(sources) == 1 else f"{style['source']}:{style['weight']!r}"]
    words += flags(Settings.from_dict(recipe["settings"]))
    return shlex.join([*words, "-o", str(Path(output).with_stem(Path(output).stem + "-again"))])


def flags(settings: Settings) -> list[str]:
    """The flags that give these settings; those at their defaults left out."""
    words = []
    for name, value in settings.as_dict().items():
        if value != Settings().as_dict()[name]:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return words


def _compare(files: list[str], as_json: bool) -> int:
    if len(files) != 3:
        raise UsageError(f"--compare takes three pictures, CONTENT STYLE RESULT, not {len(files)}")
    from impasto import metrics

    content, style, result = files
    facts = {
        "style_distance": metrics.style_distance(result, style),
        "style_distance_of_content": metrics.style_distance(content, style),
        "content_distance": metrics.content_distance(result, content),
        "content_distance_of_style": metrics.content_distance(style, content),
    }
    if as_json:
        print(json.dumps(facts))
    else:
        print("\n".join(f"{name:28} {value:10.1f}" for name, value in facts.items()))
    return report.DONE
