"""The command that makes a picture again, from its recipe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from impasto.cli import options, presets, words
from impasto.errors import PictureError
from impasto.paint.settings import Settings


def command(recipe: Mapping[str, Any], file: str) -> str:
    """The command, quoted for a shell, that makes the picture in `file` again, beside it, with "-again" in its name.

    The steps are those that were made, so what was stopped or given a time comes out the same.

    Raises:
        PictureError: the recipe does not name the files that it was made from, or is damaged.
    """
    content = named(recipe.get("content"), file)
    line = ["impasto", "image"]
    mixed = presets.styles(recipe, file)
    for word in mixed:
        place = f"{word.place}=" if word.place else ""
        line += ["--style", f"{place}{word.source}" + (f":{word.weight!r}" if len(mixed) > 1 else "")]
    line += regions(recipe, file)
    line += flags(presets.combined(presets.known(recipe, file), {}, file))
    if recipe.get("bits"):
        line += ["--bits", str(recipe["bits"])]
    line += ["-o", str(Path(file).with_stem(Path(file).stem + "-again"))]
    return shlex.join([*line, *(["--"] if content.startswith("-") else []), content])


def named(entry: Any, file: str) -> str:
    """The file that an entry of a recipe names.

    Raises:
        PictureError: none, or stdin.
    """
    source = entry.get("source") if isinstance(entry, dict) else None
    if not isinstance(source, str) or source in ("", "-"):
        raise PictureError(f"{file} was not made from files alone: its recipe does not name them all")
    return source


def regions(recipe: Mapping[str, Any], file: str) -> list[str]:
    """The options of masks and maps."""
    line: list[str] = []
    for name, entry in (recipe.get("masks") or {}).items():
        line += ["--mask", f"{name}={named(entry, file)}"]
    if recipe.get("content_map"):
        line += ["--content-map", named(recipe["content_map"], file)]
    for entry in recipe.get("style_maps") or []:
        line += ["--style-map", named(entry, file)]
    return line + (["--regions", str(recipe["regions"])] if recipe.get("regions") else [])


def flags(settings: Settings) -> list[str]:
    """The flags that give these settings; those at their defaults left out."""
    defaults, line = Settings().as_dict(), []
    for name, value in settings.as_dict().items():
        if value != defaults[name]:
            line += [options.flag(name), words.listed(value) if isinstance(value, list) else str(value)]
    return line
