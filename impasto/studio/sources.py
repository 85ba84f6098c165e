"""What people drop on the page, opened: photographs, paintings, filters by name or file, shares, and what a recipe restores."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ImpastoError
from impasto.studio.desk import Desk
from impasto.studio.job import Wrong, at

if TYPE_CHECKING:
    from impasto.paint.pictures import Style
    from impasto.paint.settings import Settings
    from impasto.pixels.io import Picture

PIXELS = 50_000_000
"""Pixels of the largest picture that is opened: more than any camera in a pocket makes, 600 MB of memory."""
LARGE, MEMORY = 1024, "4GB"
"""Results larger than this, px, are painted in tiles where they would take more memory than this."""
MOST = 8
"""Styles that may be mixed."""
GIVEN = "given by the program"
"""What a recipe says of masks that were painted in the page, as `impasto inspect --reproduce` knows it."""


def picture(desk: Desk, path: str | None, field: str, missing: str) -> tuple[Picture, dict[str, str]]:
    """A picture that was dropped, with its name and SHA-256 for the recipe.

    Raises:
        Wrong: there is none, it is no picture, or it has too many pixels.
    """
    from impasto.paint.pictures import digest
    from impasto.pixels import io

    if not path:
        raise Wrong(field, missing)
    with at(field, path):
        found = io.load(path, max_pixels=PIXELS)
    names = {"source": Path(path).name, "sha256": digest(found)}
    desk.pictures[names["sha256"]] = path
    return found, names


def styles(desk: Desk, named: Sequence[str] | None, paintings: Sequence[str] | None, shares: str, field: str) -> list[Style]:
    """Filters by their names, then paintings, in these shares.

    Raises:
        Wrong: none or too many, one that cannot be read, or shares that do not fit.
    """
    from impasto.paint.pictures import Style

    names, files = list(named or ()), list(paintings or ())
    if not names and not files:
        raise Wrong(field, "There is no style yet: choose a filter, or drop a painting.")
    if len(names) + len(files) > MOST:
        raise Wrong(field, f"{len(names) + len(files)} styles are too many: mix {MOST} at most.")
    weights = _weights(shares, len(names) + len(files), field)
    found = [style(desk, name, weight, field) for name, weight in zip(names, weights, strict=False)]
    for file, weight in zip(files, weights[len(names) :], strict=True):
        opened, told = picture(desk, file, field, "")
        found.append(Style(opened, weight, told["source"], told["sha256"]))
    return found


def labels(files: Sequence[str]) -> dict[str, str]:
    """Files by what they are called in menus: their names, of several of one name the later ones with a number."""
    found: dict[str, str] = {}
    for file in dict.fromkeys(files):
        found[_free(Path(file).name, found)] = file
    return found


def titles(styles: Sequence[Style]) -> str:
    """Styles as captions name them, each once; different ones of one name are told apart by a number."""
    found: dict[str, Any] = {}
    for each in styles:
        if (each.name, each.sha256) not in found.values():
            found[_free(Path(each.name).stem, found)] = (each.name, each.sha256)
    return ", ".join(found)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(other for number in itertools.count(2) if (other := f"{name} ({number})") not in taken)


def style(desk: Desk, name: str, weight: float, field: str) -> Style:
    """A filter by its name, never by a path: one that is built in, or of this desk.

    Raises:
        Wrong: there is none of that name.
    """
    from impasto import still
    from impasto.fast import style as filters

    # `filters.named` would tell of a path whether there is such a file
    if name not in {*desk.filters, *filters.names()}:
        near = difflib.get_close_matches(name.lower(), [*desk.filters, *filters.names()], 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else "choose one from the list."
        raise Wrong(field, f"There is no filter named {name!r}: {hint}")
    with at(field):
        return still.open_style(filters.read(desk.filters[name]) if name in desk.filters else filters.named(name), weight)


def _weights(text: str, count: int, field: str) -> list[float]:
    words = re.findall(r"[^\s,;:]+", text or "")
    if not words:
        return [1.0] * count
    try:
        found = [float(word) for word in words]
    except ValueError as error:
        raise Wrong(field, f"The shares {text!r} are not numbers: write them like 2, 1.") from error
    if len(found) != count:
        raise Wrong(field, f"{len(found)} shares for {count} styles: write one for each, filters first.")
    return found


def settings(field: str, **chosen: Any) -> Settings:
    """Settings as a form has them; large results are given a cap of memory.

    Raises:
        Wrong: a value out of range.
    """
    from impasto.paint.settings import settings_from

    with at(field):
        given = {name: value for name, value in chosen.items() if value is not None}  # None: a field that was emptied
        size = int(given.get("size", 512))
        return settings_from({**given, "size": size, "max_memory": MEMORY if size > LARGE else ""})


def restored(desk: Desk, path: str) -> dict[str, Any] | None:
    """What the recipe in a picture says for the form, and `photo` where its photograph was opened here.

    `size` is a number, or a text where the command was asked for another kind of size.

    None without a recipe, and where it is none that we would write: anybody may have written it.
    """
    from impasto.paint.settings import settings_from
    from impasto.pixels import recipe

    with at("photo", path):
        told = recipe.read(path)
    if told is None or told.get("verb") != "image" or not isinstance(told.get("settings"), dict):
        return None
    found = {name: value for name, value in told["settings"].items() if name in KEPT}
    size = str(found.pop("size", ""))
    found |= {"size": int(size)} if re.fullmatch("[0-9]{1,5}", size) else {}
    try:
        settings_from(found)
    except ImpastoError:
        return None
    found |= {"size": size} if re.fullmatch("full|[0-9]{1,5}x[0-9]{1,5}", size) else {}
    known, shares, lost = _known(desk, told.get("styles"))
    if not lost:
        found |= {**known, "shares": shares}
    content = told.get("content")
    digest = content.get("sha256") if isinstance(content, dict) else None
    return {**found, "photo": desk.pictures.get(str(digest)), "lost": lost}


KEPT = ("strength", "style_scale", "preserve_color", "quality", "time", "seed", "size")
"""Settings that the form has."""


def _known(desk: Desk, entries: Any) -> tuple[dict[str, list[str]], str, list[str]]:
    """The styles of a recipe that are at hand, their shares, and the names of those that are not."""
    from impasto.fast import style as filters

    rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    there, named, paintings, lost = {*filters.names(), *desk.filters}, [], [], []
    for entry in rows:
        source, digest = str(entry.get("source")), str(entry.get("sha256"))
        if source in there:
            named.append((source, entry.get("weight")))
        elif digest in desk.pictures:
            paintings.append((desk.pictures[digest], entry.get("weight")))
        else:
            lost.append(source)
    shares = ", ".join(f"{weight:.4g}" for _, weight in [*named, *paintings] if isinstance(weight, int | float))
    chosen = {"named": [name for name, _ in named], "paintings": [file for file, _ in paintings]}
    return chosen, shares if len(rows) > 1 else "", lost
