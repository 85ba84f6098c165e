"""Recipes in clips: the settings that made one, as JSON in the container's comment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from impasto.pixels import recipe as recipes
from impasto.video.ffmpeg import opened
from impasto.video.frame import Clip

KEY = "comment"
OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder", "timecode", "duration", KEY)
"""Tags that are about the source's own file, and would be wrong for another. Timecode goes with the picture."""


def tags(recipe: Mapping[str, Any] | None, clip: Clip | None) -> dict[str, str]:
    """The tags of a new clip: those of its source, and the recipe as the comment beside the source's own.

    Raises:
        UsageError: a recipe that JSON cannot hold.
    """
    source = {} if clip is None else clip.metadata
    found = {key: value for key, value in source.items() if key.lower() not in OF_THE_FILE}
    old = next((value for key, value in source.items() if key.lower() == KEY and _parsed(value) is None), None)
    if recipe is not None:
        found[KEY] = recipes.to_json({recipes.KEY: recipe} | ({KEY: old} if old else {}))
    elif old:
        found[KEY] = old
    return found


def read(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The recipe in a clip; None where there is none, or one that is not ours.

    Raises:
        UnreadablePicture: no such file, or not a clip.
        MissingExtra: PyAV is not installed.
    """
    with opened(Path(path)) as container:
        return next((_parsed(value) for key, value in container.metadata.items() if key.lower() == KEY), None)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    recipe = found.get(recipes.KEY) if isinstance(found, dict) else None
    return recipe if isinstance(recipe, dict) else None
