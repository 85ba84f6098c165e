"""Recipes of files, and what is taken over from them: settings and styles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import impasto
from impasto.cli import jobs, report
from impasto.cli.words import StyleWord
from impasto.errors import PictureError, UnreadablePicture, UsageError, WeightsError
from impasto.paint.settings import Settings

VERB = "image"
MODELS = {".glb", ".gltf"}
WEIGHTS = ".safetensors"
BARE = {".obj", ".mtl", ".ply", ".stl"}
"""Models that have no place for a recipe."""
READ = "recipes are read from pictures, clips and models (.glb, .gltf), passports from style and weight files (.safetensors)"
SETTINGS = frozenset(field.name for field in fields(Settings))
PACING = ("size", "quality", "steps", "time")
"""Settings that decide on the steps: when one is given anew, those that a recipe counted no longer fit."""


def settings(file: str, chosen: Mapping[str, Any], swept: Iterable[str] = ()) -> tuple[Settings, list[StyleWord]]:
    """What was chosen, and for the rest what the recipe in a file says, or the defaults; and the recipe's styles.

    `swept`: settings that will be given several values anew.

    Raises:
        UsageError: a wrong setting, or a recipe of another verb.
        PictureError: a file without a recipe, or with a damaged one.
    """
    if not file:
        return Settings(**chosen), []
    recipe = read(file, [VERB], "--recipe takes over")
    old = known(recipe, file)
    if old.get("size") == "full" or not {*chosen, *swept}.isdisjoint(PACING):
        old.pop("steps", None)
    return combined(old, chosen, file), styles(recipe, file)


def told(file: str) -> dict[str, Any]:
    """The recipe in a picture, a clip or a model.

    Raises:
        PictureError: there is none, or the file cannot be read.
    """
    found = _told(file)
    if found is None:
        raise PictureError(f"{file} carries no recipe: it was not made by impasto, or another program has saved it since")
    return found


def _told(file: str) -> dict[str, Any] | None:
    from impasto.video import formats

    if formats.is_clip(file):
        from impasto.video import io

        return io.recipe(file)
    if Path(file).suffix.lower() in MODELS:
        from impasto.mesh import gltf

        return gltf.recipe(Path(file))
    from impasto.pixels import recipe

    try:
        return recipe.read(file)
    except UnreadablePicture as error:
        if what := _other(file):
            raise UnreadablePicture(f"{file} {what}: {READ}") from error
        raise


def _other(file: str) -> str:
    """What a file is that is there and not even meant as a picture; nothing for others."""
    from impasto.cli import web

    suffix = Path(file).suffix.lower()
    if not suffix or suffix in jobs.SUFFIXES or not Path(file).exists():
        return ""
    if suffix == WEIGHTS:
        return "holds weights, with a passport in a recipe's place, which `impasto inspect` shows"
    if suffix in BARE:
        return "is of a model whose format has no place for a recipe, only its pictures have"
    if suffix in web.exported():
        return "is an exported filter, which carries no recipe"
    return "is damaged, or nothing that impasto makes"


def passport(file: str) -> dict[str, Any]:
    """The passport of a style or of other weights.

    Raises:
        WeightsError: there is none, or the file cannot be read.
    """
    from impasto.features import weights

    _, found = weights.load(Path(file))
    if not found:
        raise WeightsError(f"{file} carries no passport: it was not made by impasto")
    return found


def read(file: str, verbs: Collection[str], able: str) -> dict[str, Any]:
    """The recipe in a file that one of these verbs made; `able`: what can be done with those, for the message.

    Raises:
        UsageError: it was made by another verb.
        PictureError: there is no recipe, or the file cannot be read.
    """
    found = told(file)
    verb = found.get("verb")
    if verb not in verbs:
        known = " or ".join(f"`impasto {each}`" for each in verbs)
        raise UsageError(f"{file} was made by impasto {found.get('version', '?')} as {verb!r}: {able} what {known} made")
    return found


def known(recipe: Mapping[str, Any], file: str, names: Collection[str] = SETTINGS) -> dict[str, Any]:
    """A recipe's settings of these names; a warning tells of the others, which this version does not know.

    Raises:
        PictureError: it has none.
    """
    found = recipe.get("settings")
    if not isinstance(found, dict):
        raise PictureError(f"the recipe in {file} is damaged: it has no settings")
    foreign = sorted(found.keys() - set(names))
    if foreign:
        report.say(
            f"impasto: {file} was made by impasto {recipe.get('version', '?')}; this version, {impasto.__version__}, does not "
            f"know {', '.join(foreign)}, so the result will differ"
        )
    return {name: value for name, value in found.items() if name in names}


def combined(old: Mapping[str, Any], chosen: Mapping[str, Any], file: str) -> Settings:
    """A recipe's settings with those chosen in their place.

    Raises:
        UsageError: a wrong setting was chosen.
        PictureError: the recipe is damaged.
    """
    try:
        base = Settings.from_dict(old)
    except (UsageError, TypeError) as error:
        raise PictureError(f"the recipe in {file} is damaged: {error}") from error
    return Settings.from_dict({**base.as_dict(), **chosen})


def styles(recipe: Mapping[str, Any], file: str, key: str = "styles") -> list[StyleWord]:
    """A recipe's styles, or exemplars, with their weights and places.

    Raises:
        PictureError: the recipe does not name them.
    """
    found = recipe.get(key) or []
    try:
        names = recipe.get("places") or [""] * len(found)
        words = [
            StyleWord(str(style["source"]), float(style["weight"]), str(place)) for style, place in zip(found, names, strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise PictureError(f"the recipe in {file} is damaged: its {key} cannot be read") from error
    if not words or not all(word.source not in ("", "-") for word in words):
        raise PictureError(f"the recipe in {file} does not name its {key}: they were not files")
    return words
