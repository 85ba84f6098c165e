"""Regions as the command line names them: masks, colored maps, or regions found by themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from impasto.cli import words
from impasto.cli.shelf import Shelf
from impasto.cli.words import StyleWord
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.paint.pictures import Style
    from impasto.pixels.io import Picture

SPECIAL = {"keep": "keep", "strength": "strength_mask", "color": "color_mask"}
"""Masks that are no place of a style, and what the engine calls them."""


@dataclass(frozen=True, slots=True)
class Places:
    """What was said about regions; empty: all styles everywhere."""

    masks: Mapping[str, str] = field(default_factory=dict)
    """Files by name."""
    content_map: str = ""
    style_maps: tuple[str, ...] = ()
    count: int = 0
    """Regions to find; 0: none."""
    show: str = ""
    """Where to draw the regions."""

    @property
    def named(self) -> dict[str, str]:
        """The masks that are places of styles."""
        return {name: file for name, file in self.masks.items() if name not in SPECIAL}


def parse(masks: Sequence[str], content_map: str, style_maps: Sequence[str], regions: str, show: str) -> Places:
    """What the options say, checked against each other.

    Raises:
        UsageError: a mask twice, two kinds of regions, a map without its partner, nothing to show.
    """
    named = [words.parse_named(text, "--mask") for text in masks]
    if len(dict(named)) < len(named):
        raise UsageError("--mask was given twice with the same name")
    match = re.fullmatch(r"auto:(\d{1,4})", regions)
    if regions and not match:
        raise UsageError(f"--regions {regions!r} is not auto:N, like auto:4")
    found = Places(dict(named), content_map, tuple(style_maps), int(match[1]) if match else 0, show)
    kinds = [
        option for option, given in (("--mask", found.named), ("--content-map", content_map), ("--regions", regions)) if given
    ]
    if len(kinds) > 1:
        raise UsageError(f"{' and '.join(kinds)} both say where styles go: give one of them")
    if bool(content_map) != bool(style_maps):
        raise UsageError(
            "--content-map and --style-map go together: one says where the colors are, the other what they look like"
        )
    if show and not kinds:
        raise UsageError("--show-regions has nothing to show: give --mask, --content-map or --regions")
    return found


def check(places: Places, mixes: Sequence[Sequence[StyleWord]], each: bool) -> None:
    """Check before any work that styles and regions fit together.

    Raises:
        UsageError: a place without a mask, or with --each; not one map for each style.
    """
    for word in (word for mix in mixes for word in mix if word.place):
        if each:
            raise UsageError(f"--each paints {word.source} by itself, so it cannot be for {word.place!r} alone")
        if word.place in SPECIAL or word.place not in places.masks:
            there = ", ".join(places.named) or "none"
            raise UsageError(f"style {word.source} is for {word.place!r}, which has no --mask; there are: {there}")
    for mix in mixes:
        if places.style_maps and len(places.style_maps) != len(mix):
            raise UsageError(f"{len(places.style_maps)} style maps for {len(mix)} styles: give one for each, in order")


def arrange(
    places: Places, content: Picture, mix: Sequence[StyleWord], styles: Sequence[Style], shelf: Shelf
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Regions and masks as `Painting` takes them, and what the recipe says of them.

    Raises:
        ImpastoError: masks or maps that cannot be read or do not fit.
    """
    from impasto.paint import regions

    arguments: dict[str, Any] = {}
    for name in SPECIAL.keys() & places.masks.keys():
        mask = shelf.mask(places.masks[name])
        arguments[SPECIAL[name]] = regions.fit_mask(mask, content.size, f"mask {name!r}")
    if places.named:
        found = {name: shelf.mask(file) for name, file in places.named.items()}
        arguments["regions"] = regions.from_masks(content.size, found, [word.place or None for word in mix])
    elif places.content_map:
        maps = [shelf.open(file)[0].image for file in places.style_maps]
        made = regions.from_maps(shelf.open(places.content_map)[0].image, maps)
        sizes = [style.open("--style-map").size for style in styles]
        arguments["regions"] = regions.fitted(made, content.size, sizes)
    elif places.count:
        arguments["regions"] = regions.automatic(content.image, [style.open("--regions").image for style in styles], places.count)
    return arguments, _names(places, mix, shelf)


def _names(places: Places, mix: Sequence[StyleWord], shelf: Shelf) -> dict[str, Any]:
    """What a recipe says of the regions."""
    names: dict[str, Any] = {}
    if places.masks:
        names["masks"] = {name: shelf.open(file)[1] for name, file in places.masks.items()}
    if any(word.place for word in mix):
        names["places"] = [word.place for word in mix]
    if places.content_map:
        names["content_map"] = shelf.open(places.content_map)[1]
        names["style_maps"] = [shelf.open(file)[1] for file in places.style_maps]
    if places.count:
        names["regions"] = f"auto:{places.count}"
    return names
