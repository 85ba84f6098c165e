"""Which styles go where: by masks, by colored maps, or found in content and styles.

The masks of a picture's regions add up to 1 at every pixel. A style loss compares statistics that are means over a region,
so its gradient at a pixel falls as 1 / area; weighted by the region's share of the picture (`shares`), Σᵣ shareᵣ · lossᵣ
pulls every pixel alike, in a small region as in a large one, and one region over all is the loss without regions. (Gatys
et al., "Controlling Perceptual Factors", CVPR 2017, section 4, weight by hand.)
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UnfitPicture, UsageError
from impasto.paint import segment
from impasto.types import Image, Mask

REST = "the rest"
"""Name of the region that no mask names; with a space, so that no place is called so."""
NOTHING = 1 / 255
"""A mask below this everywhere selects nothing."""
UNCLAIMED = 0.01
"""Share of the picture that masks may leave free without a style for the rest: gaps along edges."""
SHAPE_TOLERANCE = 0.02
"""How much a mask's width / height may be off its picture's."""
FEATHER = 1 / 256
"""Softness of the edges of a colored map: deviation in long edges."""
EXACT_UP_TO = 6
"""Up to so many regions the best of all pairings is found; more are paired one by one."""
MOST = 16
"""The most regions that are looked for."""


class Region(NamedTuple):
    """A part of the picture and the styles that are painted there."""

    name: str
    mask: Mask | None
    """1 x 1 x height x width, soft; None: everywhere."""
    sources: tuple[tuple[int, Mask | None], ...]
    """Index of a style, and which of its pixels count: 1 x 1 x height x width; None: all."""


def shares(regions: Sequence[Region]) -> list[float]:
    """The share of the picture that each region covers: what its style terms are weighted by."""
    return [1.0 if region.mask is None else float(region.mask.mean()) for region in regions]


def from_masks(
    content_size: tuple[int, int],
    masks: Mapping[str, Mask],
    places: Sequence[str | None],
    style_masks: Sequence[Mask | None] = (),
) -> list[Region]:
    """A region for each mask, painted with the styles of its place, and one for the rest, with the styles without a place.

    `places`: one for each style. `style_masks`, where given: one for each style, which of its pixels count. Masks are
    brought to `content_size` (height, width). Where they add up to more than 1 they are divided in proportion.

    Raises:
        UsageError: a place without mask, a mask without style, an empty mask, a rest without style or styles without a rest.
        UnfitPicture: a mask of another shape than the content.
    """
    _check_partners(masks, places)
    wanted = {name: _checked(mask, content_size, f"mask {name!r}") for name, mask in masks.items()}
    own = dict(enumerate(style_masks))
    claimed = sum(wanted.values(), torch.zeros(1, 1, *content_size))
    free = 1 - claimed.clamp(max=1)
    share = float(free.mean())
    if None in places:
        if float(free.max()) < NOTHING:
            raise UsageError(
                f"style {1 + places.index(None)} is for the rest, and the masks {_listed(masks)} leave nothing: give it a place"
            )
        wanted[REST] = free
    elif share > UNCLAIMED:
        raise UsageError(f"the masks {_listed(masks)} leave {share:.0%} of the picture free: add a style without a name for it")
    # of slits that nothing claims everyone gets a little, by size
    total = sum(wanted.values(), torch.zeros(1, 1, *content_size))
    sizes = {name: mask.mean() / total.mean() for name, mask in wanted.items()}
    parts = {name: torch.where(total > NOTHING, mask / total.clamp(min=NOTHING), sizes[name]) for name, mask in wanted.items()}
    return [Region(name, part, _sources(name if name in masks else None, places, own)) for name, part in parts.items()]


def _sources(
    place: str | None, places: Sequence[str | None], own: Mapping[int, Mask | None]
) -> tuple[tuple[int, Mask | None], ...]:
    return tuple((index, own.get(index)) for index, other in enumerate(places) if other == place)


def _check_partners(masks: Mapping[str, Mask], places: Sequence[str | None]) -> None:
    if not places:
        raise UsageError("no style was given")
    for index, place in enumerate(places):
        if place is not None and place not in masks:
            near = difflib.get_close_matches(place, masks, 1)
            there = f"the masks are {_listed(masks)}" if masks else "there is no mask"
            hint = f"; did you mean {near[0]}?" if near else f"; give --mask {place}=FILE" if not masks else ""
            raise UsageError(f"style {index + 1} is for {place!r}, which has no mask: {there}{hint}")
    for name in masks:
        if name not in places:
            raise UsageError(f"mask {name!r} has no style: give --style {name}=FILE")


def _listed(masks: Mapping[str, Mask]) -> str:
    return ", ".join(masks)


def _checked(mask: Mask, size: tuple[int, int], what: str) -> Mask:
    fit = fit_mask(mask, size, what)
    if float(fit.max()) < NOTHING:
        raise UsageError(f"{what} is empty: white is where it counts, and it has none")
    return fit


def fit_mask(mask: Mask, size: tuple[int, int], what: str = "mask") -> Mask:
    """The mask at (height, width), bilinear and antialiased: soft edges stay soft, and masks that add up to 1 still do.

    Raises:
        UnfitPicture: its shape differs from that of the size by more than 2 % (and more than a pixel).
    """
    (height, width), (own_height, own_width) = size, mask.shape[-2:]
    off = abs(own_width * height / own_height - width)
    if off > max(SHAPE_TOLERANCE * width, 1) and abs(own_height * width / own_width - height) > 1:
        raise UnfitPicture(
            f"{what} is {own_width} x {own_height} px, its picture {width} x {height}: make it the same shape, in any size"
        )
    if (own_height, own_width) == (height, width):
        return mask.clamp(0, 1)
    return F.interpolate(mask.float(), (height, width), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def fitted(regions: Sequence[Region], content_size: tuple[int, int], style_sizes: Sequence[tuple[int, int]]) -> list[Region]:
    """The regions with their masks in the sizes (height, width) of the content and the styles.

    Raises:
        UnfitPicture: a mask, or the map it comes from, of another shape than its picture.
    """
    found = []
    for name, mask, sources in regions:
        ours = None if mask is None else fit_mask(mask, content_size, f"the content's mask or map of region {name!r}")
        theirs = tuple(
            (index, None if own is None else fit_mask(own, style_sizes[index], f"mask or map {name!r} of style {index + 1}"))
            for index, own in sources
        )
        found.append(Region(name, ours, theirs))
    return found


def from_maps(content_map: Image, style_maps: Sequence[Image | None], *, tolerance: float = 0.1) -> list[Region]:
    """A region for each color of the content's map, painted with what has that color in the maps of the styles.

    Colors within `tolerance` are the same (see `segment.palette`). Colors that no map of a style has are painted with the
    styles without a map, if there are any; styles may have more colors. Masks are in the sizes of the maps; `fitted` brings
    them to those of the pictures.

    Raises:
        UsageError: no style has a map, or colors of the content's map that no style has.
    """
    maps = {index: image for index, image in enumerate(style_maps) if image is not None}
    mapless = tuple((index, None) for index, image in enumerate(style_maps) if image is None)
    if not maps:
        raise UsageError("the content has a map and no style does: give each style's map as well")
    palettes = {index: segment.palette(image, tolerance=tolerance) for index, image in maps.items()}
    labels = {index: segment.labels(image, palettes[index]) for index, image in maps.items()}
    colors = segment.palette(content_map, tolerance=tolerance)
    masks = _feathered(segment.labels(content_map, colors), len(colors))
    found, missing = [], []
    for k, value in enumerate(colors):
        partners = {index: _partner(value, palettes[index], tolerance) for index in maps}
        sources = tuple((index, (labels[index] == partner).float()) for index, partner in partners.items() if partner is not None)
        if not sources and not mapless:
            missing.append(value)
        found.append(Region(_hex(value), masks[:, k : k + 1], sources or mapless))
    if missing:
        raise UsageError(_no_partner(missing, torch.cat(list(palettes.values()))))
    return found


def _feathered(labels: Tensor, count: int) -> Tensor:
    masks = F.one_hot(labels[:, 0], count).permute(0, 3, 1, 2).float()
    return segment.blur(masks, FEATHER * max(masks.shape[-2:]))


def _partner(value: Tensor, colors: Tensor, tolerance: float) -> int | None:
    """The nearest of the colors, where it is near enough; at a tolerance of 0 a level of rounding is allowed."""
    distance = (colors - value.to(colors)).norm(dim=1)
    return int(distance.argmin()) if float(distance.min()) <= max(tolerance, 1e-3) else None


def _hex(value: Tensor) -> str:
    return "#" + "".join(f"{round(255 * level):02x}" for level in value.tolist())


def _no_partner(missing: Sequence[Tensor], colors: Tensor) -> str:
    named = [f"{_hex(value)} (nearest {_hex(colors[(colors - value).norm(dim=1).argmin()])})" for value in missing[:6]]
    more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
    there = "is in no map of a style" if len(missing) == 1 else "are in no map of a style"
    return f"{', '.join(named)}{more} of the content's map {there}: use the same colors in both"


def automatic(content: Image, styles: Sequence[Image], count: int) -> list[Region]:
    """At most `count` regions found in the content, each painted with what is most like it in each style.

    See `segment.divide`; paired by color, detail, height in the picture and size, so that sky is painted like sky.

    Raises:
        UsageError: a count that is not between 1 and 16, or no style.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"{count} regions cannot be looked for: 1 to {MOST} can")
    if not styles:
        raise UsageError("no style was given")
    areas = segment.divide(content, count)
    found = areas.masks.shape[1]
    divided = [segment.divide(style, found) for style in styles]
    weight = areas.masks.mean((0, 2, 3))[:, None]  # what most of the picture is painted like matters most
    partners = [pair(weight * torch.cdist(areas.traits, other.traits).square()) for other in divided]
    masks = _enlarged(areas.masks, content)
    theirs = [_enlarged(other.masks, style) for other, style in zip(divided, styles, strict=True)]
    return [
        Region(
            f"region {k + 1}",
            masks[:, k : k + 1],
            tuple((i, theirs[i][:, partner[k] : partner[k] + 1]) for i, partner in enumerate(partners)),
        )
        for k in range(found)
    ]


def _enlarged(masks: Tensor, image: Image) -> Tensor:
    return F.interpolate(masks, (image.shape[-2], image.shape[-1]), mode="bilinear", antialias=True, align_corners=False)


def pair(costs: Tensor) -> list[int]:
    """The column of each row, each taken once, at the least sum.

    The best of all pairings up to 6 columns; above, rows of high cost choose first and then two swap while that lowers the
    sum. With fewer columns than rows each row takes its cheapest.
    """
    rows, columns = costs.shape
    if columns < rows:
        return [int(column) for column in costs.argmin(1)]
    table = costs.tolist()

    def total(chosen: Iterable[int]) -> float:
        return math.fsum(line[column] for line, column in zip(table, chosen, strict=False))

    if columns <= EXACT_UP_TO:
        return list(min(itertools.permutations(range(columns), rows), key=total))
    free, found = list(range(columns)), [0] * rows
    for row in sorted(range(rows), key=lambda row: -sum(table[row])):
        found[row] = min(free, key=table[row].__getitem__)
        free.remove(found[row])
    found += free
    swaps = list(itertools.combinations(range(columns), 2))
    while (best := min((_swapped(found, *swap) for swap in swaps), key=total)) and total(best) < total(found):
        found = best
    return found[:rows]


def _swapped(chosen: Sequence[int], one: int, other: int) -> list[int]:
    found = list(chosen)
    found[one], found[other] = found[other], found[one]
    return found
