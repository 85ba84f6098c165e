"""The command that makes a picture again, from its recipe."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import impasto
from impasto.cli import doodle, footage, mesh, mesh_files, options, presets, report, texture, words
from impasto.cli.words import StyleWord
from impasto.errors import PictureError
from impasto.paint.settings import Settings

Recipe = Mapping[str, Any]
Line = tuple[list[str], list[str]]
"""Options, and what stands without one."""
FRAME = re.compile(r"(.*?)(\d+)(\.(?:png|tiff?|exr|jpe?g|webp|bmp))", re.IGNORECASE)
"""A frame of a sequence: its number is the last one in its name."""
GIVEN = "given by the program"
"""What a recipe says of that which was no file."""


def read(file: str) -> dict[str, Any]:
    """The recipe in a picture or a clip, of a verb whose command is known.

    Raises:
        UsageError: it was made by another verb.
        PictureError: there is no recipe, or the file cannot be read.
    """
    return presets.read(file, COMMANDS, f"this version, {impasto.__version__}, can repeat")


def command(recipe: Recipe, file: str) -> str:
    """The command, quoted for a shell, that makes the picture in `file` again, beside it, with "-again" in its name.

    The steps are those that were made, so what was stopped or given a time comes out the same.

    Raises:
        PictureError: the recipe does not name the files that it was made from, or is damaged.
    """
    if recipe.get("start") or recipe.get("regions") == GIVEN:
        raise PictureError(f"{file} was not made from files alone: a program gave what its recipe cannot name")
    chosen, sources = COMMANDS[recipe["verb"]](recipe, file)
    if recipe.get("bits"):
        chosen += ["--bits", str(recipe["bits"])]
    chosen += ["-o", str(_again(recipe, file))]
    end = ["--"] if any(source.startswith("-") for source in sources) else []
    return shlex.join(["impasto", recipe["verb"], *chosen, *end, *sources])


def _again(recipe: Recipe, file: str) -> Path:
    """The name of what is made again; for a map that was carried along, that of its texture; for a frame, its sequence."""
    stem = Path(file).stem
    if recipe["verb"] == "video":
        return _of_frames(file)
    if recipe["verb"] == "mesh" and not _is_model(file):
        return Path(file).with_name(f"{stem}-again.glb")  # what shows a model is made of it
    if recipe.get("map") and recipe["verb"] == "texture":
        stem = stem.removesuffix("-" + texture.short(named(recipe["map"], file), named(recipe["exemplars"][0], file)))
    return Path(file).with_stem(f"{stem}-again")


def _of_frames(file: str) -> Path:
    """The name of a clip again, or of the sequence that a frame is of."""
    if match := FRAME.fullmatch(Path(file).name):
        return Path(file).with_name(f"{match[1].rstrip('._-')}-again.{'#' * len(match[2])}{match[3]}".lstrip("-"))
    return Path(file).with_stem(f"{Path(file).stem}-again")


def _is_model(file: str) -> bool:
    return Path(file).suffix.lower() in presets.MODELS


def _image(recipe: Recipe, file: str) -> Line:
    content = named(recipe.get("content"), file)
    return [*_styles(recipe, file), *regions(recipe, file), *_settings(recipe, file)], [content]


def _texture(recipe: Recipe, file: str) -> Line:
    exemplars = presets.styles(recipe, file, "exemplars")
    chosen = regions(recipe, file)
    if recipe.get("tile"):
        chosen += ["--tile", str(recipe["tile"])]
    for entry in recipe.get("maps") or filter(None, [recipe.get("map")]):
        chosen += ["--with", named(entry, file)]
    chosen += _settings(recipe, file, texture.FLAGS)
    return chosen, [written(word, len(exemplars) > 1) for word in exemplars]


def _doodle(recipe: Recipe, file: str) -> Line:
    drawing = named(recipe.get("map"), file)
    chosen = [*_styles(recipe, file), *regions(recipe, file)]
    if recipe.get("content"):
        chosen += ["--content", named(recipe["content"], file)]
    for name, default in doodle.DEFAULTS.items():
        value = recipe.get(name, default)
        if value != default:
            chosen += [options.flag(name), str(value)]
    return [*chosen, *_settings(recipe, file)], [drawing]


def _video(recipe: Recipe, file: str) -> Line:
    chosen = []
    found = recipe.get("styles") or []
    try:
        moments = [f"@{float(style['time'])!r}s" if "time" in style else "" for style in found]
        mixed = presets.styles({**recipe, "places": [style.get("place", "") for style in found]}, file)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PictureError(f"the recipe in {file} is damaged: its styles cannot be read") from error
    for word, moment in zip(mixed, moments, strict=True):
        chosen += ["--style", written(word, len(mixed) > 1) + moment]
    for name, source in (recipe.get("masks") or {}).items():
        chosen += ["--mask", f"{name}={source}"]
    usual = {each.name: each.default for each in fields(footage.Wanted)}
    for name, value in presets.known(recipe, file, footage.SETTINGS).items():
        if value != usual[name]:
            chosen += [options.flag(name), str(value)]
    return chosen, [named(recipe.get("content"), file)]


def _mesh(recipe: Recipe, file: str) -> Line:
    if recipe.get("render_style"):
        raise PictureError(f"{file} is a picture of a model (--render-style): only commands that paint models are told again")
    chosen = [*_styles(recipe, file), *regions(recipe, file)]
    if recipe.get("up"):
        chosen += ["--up", str(recipe["up"])]
    if recipe.get("unlit"):
        chosen.append("--unlit")
    return [*chosen, *_shown(recipe, file), *_settings(recipe, file, mesh.SETTINGS)], [named(recipe.get("content"), file)]


def _shown(recipe: Recipe, file: str) -> list[str]:
    """The options that make what shows a model, beside the model; where the recipe does not tell, that is said."""
    shown, site = ({} if not isinstance(found, dict) else found for found in (recipe.get("shown"), recipe.get("site")))
    again = str(Path(file).with_stem(f"{Path(file).stem}-again"))
    if "still" in shown:
        return ["--still", f"{shown['still']}={again}"]
    if "sheet" in shown:
        return ["--sheet", again]
    if "turntable" in shown:
        return ["--turntable", str(_of_frames(file)), "--frames", str(shown["turntable"])]
    if "path" in shown:
        return ["--path", f"{shown['path']}={_of_frames(file)}", "--frames", str(shown.get("frames", mesh_files.FRAMES))]
    if site.keys() >= {"source", "camera", "sun"}:
        return ["--site", f"{site['source']}={again}", "--camera", str(site["camera"]), "--sun", str(site["sun"])]
    if not _is_model(file):
        report.say(f"impasto: {file} was made along with a model: the command makes the model again")
    return []


COMMANDS: dict[str, Callable[[Recipe, str], Line]] = {
    "image": _image,
    "texture": _texture,
    "doodle": _doodle,
    "video": _video,
    "mesh": _mesh,
}
"""How the command of each verb is told from its recipe."""


def _styles(recipe: Recipe, file: str) -> list[str]:
    mixed = presets.styles(recipe, file)
    return [part for word in mixed for part in ("--style", written(word, len(mixed) > 1))]


def written(word: StyleWord, mixed: bool) -> str:
    """A style as it is typed; alone it needs no weight."""
    return (f"{word.place}=" if word.place else "") + word.source + (f":{word.weight!r}" if mixed else "")


def _settings(recipe: Recipe, file: str, known: Collection[str] = options.SETTINGS) -> list[str]:
    return flags(presets.combined(presets.known(recipe, file), {}, file), known)


def named(entry: Any, file: str) -> str:
    """The file that an entry of a recipe names.

    Raises:
        PictureError: none, or stdin.
    """
    source = entry.get("source") if isinstance(entry, dict) else None
    if not isinstance(source, str) or source in ("", "-"):
        raise PictureError(f"{file} was not made from files alone: its recipe does not name them all")
    return source


def regions(recipe: Recipe, file: str) -> list[str]:
    """The options of masks and maps."""
    line: list[str] = []
    for name, entry in (recipe.get("masks") or {}).items():
        line += ["--mask", f"{name}={named(entry, file)}"]
    if recipe.get("content_map"):
        line += ["--content-map", named(recipe["content_map"], file)]
    for entry in recipe.get("style_maps") or []:
        line += ["--style-map", named(entry, file)]
    return line + (["--regions", str(recipe["regions"])] if recipe.get("regions") else [])


def flags(settings: Settings, known: Collection[str] = options.SETTINGS) -> list[str]:
    """The flags that give these settings; those at their defaults left out, and those that a verb does not know."""
    defaults, line = Settings().as_dict(), []
    for name, value in settings.as_dict().items():
        if name in known and value != defaults[name]:
            line += [options.flag(name), words.listed(value) if isinstance(value, list) else str(value)]
    return line
