"""Regions of a photograph: painted in the page with a brush, or dropped as a mask or a map, and what each color stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from impasto.errors import UsageError
from impasto.studio import job, sources
from impasto.studio.desk import Desk
from impasto.studio.job import Wrong, at

if TYPE_CHECKING:
    from impasto.paint.pictures import Style
    from impasto.pixels.io import Picture
    from impasto.types import Mask

COLORS = {"red": "#e5484d", "yellow": "#ffc53d", "green": "#30a46c", "blue": "#0090ff"}
"""What regions are painted with."""
LEAVE = "leave the photograph as it is"
ABOVE = "the styles above"
CHOICES = (LEAVE, ABOVE)
"""What a color may stand for besides a style."""
SIDE = 640
"""Long edge of the photograph in the region editor, px."""
TINT = 0.6
"""How much of a color is laid over the photograph where a mask or a map has it."""
GRAY = 0.06
"""A picture whose channels differ no more than this is a mask."""
FREE = ("000000", "ffffff")
"""Colors of a map that are no region: places that stay free."""
NO_PHOTO = "There is no photograph yet to which this belongs: drop one above."


def painted(layers: Sequence[Any]) -> dict[str, Mask]:
    """What was painted over a photograph, by the brush's colors: a mask for each that was used.

    `layers`: height x width x 4, uint8, the last on top.
    """
    import numpy as np
    import torch

    found: dict[str, Any] = {}
    wanted = np.array([_level(value) for value in COLORS.values()], np.float32)
    for layer in layers:
        alpha = layer[..., 3].astype(np.float32) / 255
        nearest = np.square(layer[..., None, :3].astype(np.float32) - wanted).sum(-1).argmin(-1)
        for number, name in enumerate(COLORS):
            here = alpha * (nearest == number)
            before = found.get(name, np.zeros_like(here))
            found[name] = before * (1 - alpha) + here
    return {name: torch.from_numpy(each)[None, None] for name, each in found.items() if each.max() > 0}


def arranged(
    desk: Desk,
    size: tuple[int, int],
    styles: list[Style],
    masks: Mapping[str, Mask],
    places: Mapping[str, str | None],
    paintings: Sequence[str],
) -> dict[str, Any]:
    """Regions and what is kept, as the engine takes them; styles of regions are added to `styles`. `masks` are of `size`.

    Raises:
        UsageError: a color that stands for nothing, or nothing left for the styles that are not of a region.
    """
    import torch

    from impasto.paint import regions
    from impasto.paint.pictures import Style

    found = dict(masks)
    more: dict[str, Any] = {}
    own: list[str | None] = [None] * len(styles)
    files = sources.labels(paintings)
    for name in list(found):
        chosen = places.get(name)
        if not chosen:
            raise UsageError(f"there is {name} in the regions: choose below what {name} stands for, or undo it")
        if chosen in CHOICES:
            mask = found.pop(name)
            if chosen == LEAVE:
                more["keep"] = (more.get("keep", 0.0) + mask).clamp(max=1)
        elif chosen in files:
            picture, told = sources.picture(desk, files[chosen], "regions", "")
            styles.append(Style(picture, 1.0, told["source"], told["sha256"]))
            own.append(name)
        else:
            styles.append(sources.style(desk, chosen, 1.0, "regions"))
            own.append(name)
    if not found:
        return more
    if float((1 - sum(found.values(), torch.zeros(1, 1, *size))).max()) < regions.NOTHING:
        raise UsageError(f"the regions leave nothing for the styles above: choose {ABOVE!r} for one of the colors")
    return {**more, "regions": regions.from_masks(size, found, own)}


def asked_for(desk: Desk, size: tuple[int, int], chart: str | None, editor: Mapping[str, Any] | None) -> dict[str, Mask]:
    """Where each color is: what was painted in the page, and below it the mask or map that was dropped.

    Raises:
        Wrong: a file of another shape, or that is neither a mask nor a map of a few colors.
    """
    import torch

    from impasto.paint import regions

    found: dict[str, Mask] = {}
    if chart:
        picture, _ = sources.picture(desk, chart, "regions", "")
        name = Path(chart).name
        with at("regions"):
            found = _fitted(parted(picture, name)[0], size, name)
    strokes = painted(editor["layers"]) if editor else {}
    over = _fitted(strokes, size, "what was painted")
    free = 1 - sum(over.values(), torch.zeros(1, 1, *size)).clamp(0, 1)
    below = {name: mask * free for name, mask in found.items()}
    both = {name: below.get(name, 0.0) + over.get(name, torch.zeros(1, 1, *size)) for name in COLORS if name in {*below, *over}}
    return {name: mask for name, mask in both.items() if float(mask.max()) >= regions.NOTHING}


def _fitted(masks: Mapping[str, Mask], size: tuple[int, int], name: str) -> dict[str, Mask]:
    from impasto.paint import regions

    return {each: regions.fit_mask(mask, size, name) for each, mask in masks.items()}


def shown(
    desk: Desk, picture: Picture, masks: Mapping[str, Mask] = MappingProxyType({}), layers: Sequence[Any] = ()
) -> dict[str, Any]:
    """What the region editor shows of a photograph: masks tint it in their colors, what was painted lies over it."""
    import torch

    from impasto.paint import regions
    from impasto.pixels import geometry

    image = geometry.fit(picture.image, min(SIDE, max(picture.size)))
    for name, mask in masks.items():
        color = torch.tensor(_level(COLORS[name])).view(1, 3, 1, 1) / 255
        image = torch.lerp(image, color.expand_as(image), TINT * regions.fit_mask(mask, (image.shape[-2], image.shape[-1])))
    return {"background": str(job.poster(desk, image.clamp(0, 1), "regions.jpg", SIDE)), "layers": [*layers], "composite": None}


def laid(desk: Desk, photo: str | None, chart: str | None, layers: Sequence[Any] = ()) -> tuple[dict[str, Any], str]:
    """What the region editor shows of a mask or a map that was dropped, and what there is to say of it.

    `layers`: what was painted before.

    Raises:
        Wrong: there is no photograph, or this is of another shape, or neither a mask nor a map of a few colors.
    """
    content, _ = sources.picture(desk, photo, "regions", NO_PHOTO)
    picture, _ = sources.picture(desk, chart, "regions", "There is no mask.")
    name = Path(chart or "").name
    masks, note = parted(picture, name)
    with at("regions"):
        return shown(desk, content, _fitted(masks, content.size, name), layers), note


def parted(picture: Picture, name: str) -> tuple[dict[str, Mask], str]:
    """A mask for each region of a picture, by the color of the brush that stands for it, and what there is to say of it.

    What is gray is a mask, as the command's --mask: red where it is white. Of a map near colors are one, as in the command's
    maps; each gets the brush that is most like it, and what is black, white or transparent stays free.

    Raises:
        Wrong: it is neither, or has too many colors, or none.
    """
    import torch

    from impasto.paint import charts, regions, segment
    from impasto.pixels import color

    alpha = torch.ones_like(picture.image[:, :1]) if picture.alpha is None else picture.alpha
    spread = (picture.image.amax(1, keepdim=True) - picture.image.amin(1, keepdim=True)) * alpha
    if float(spread.max()) <= GRAY:
        light = picture.image.mean(1, keepdim=True) * alpha
        if float(light.max()) < regions.NOTHING:
            raise Wrong("regions", f"{name} is black everywhere: a mask is white where it counts.")
        return {"red": light}, "Red is where the mask is white."
    try:
        found = charts.chart(picture, name)
    except UsageError as error:
        raise Wrong("regions", f"{name} is neither a mask in black and white nor a map of a few flat colors.") from error
    free = torch.tensor([[level / 255 for level in _level(each)] for each in FREE])
    wanted = [k for k, value in enumerate(found.colors) if float((free - value).norm(dim=1).min()) > charts.TOLERANCE]
    if not 0 < len(wanted) <= len(COLORS):
        raise Wrong("regions", f"{name} has {len(wanted)} colors besides black and white: there may be 1 to {len(COLORS)}.")
    brushes = torch.tensor([[level / 255 for level in _level(each)] for each in COLORS.values()])
    theirs, ours = (color.rgb_to_lab(each.T.reshape(1, 3, 1, -1))[0, :, 0].T for each in (found.colors[wanted], brushes))
    names = [list(COLORS)[k] for k in regions.pair(torch.cdist(theirs, ours))]
    labels = segment.labels(found.image, found.colors)
    pairs = [f"{each} stands for {charts.named(found.colors[k])}" for each, k in zip(names, wanted, strict=True)]
    note = f"Of the map, {', '.join(pairs)}."
    masks = {each: (labels == k).float() for each, k in zip(names, wanted, strict=True)}
    return masks, f"{note} {found.note}." if found.note else note


def _level(value: str) -> list[int]:
    """The levels of a color: [255, 128, 0] of "#ff8000"."""
    digits = value.removeprefix("#")
    return [int(digits[place : place + 2], 16) for place in (0, 2, 4)]
