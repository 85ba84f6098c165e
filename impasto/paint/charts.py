"""Maps of flat colors: read as people draw them, compared, and suggested for a painting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.paint import regions, segment
from impasto.paint.pictures import opened
from impasto.pixels import color, geometry
from impasto.pixels.picture import Picture
from impasto.types import Image, ImageLike

TOLERANCE = 0.1
"""Colors of two maps that are nearer than this are the same (Euclid on sRGB in [0, 1])."""
SHADE = 2.5 / 255
"""A pixel that is off its color by more than this in a channel was snapped to it."""
NEAR, MOSTLY = 0.06, 0.75
"""A map has at least this share of its pixels within this distance of its colors; a photograph has not."""
FEW = 4
"""A color with so many pixels inside, and on too small a share of the map to be a region, is told of."""
MOST_COLORS = 64
"""More colors than these are no map."""
LARGEST = 1024
"""Long edge that larger maps are brought to, px, where the result is no larger."""
WORDS = {
    "black": "000000",
    "dark gray": "404040",
    "gray": "808080",
    "light gray": "c0c0c0",
    "white": "ffffff",
    "red": "ff0000",
    "dark red": "a00000",
    "orange": "ff8000",
    "brown": "804000",
    "beige": "f0d8a8",
    "yellow": "ffff00",
    "olive": "808000",
    "lime": "c0ff40",
    "green": "00ff00",
    "dark green": "006000",
    "teal": "008080",
    "cyan": "00ffff",
    "sky blue": "80c0ff",
    "blue": "0000ff",
    "navy": "000080",
    "purple": "800080",
    "magenta": "ff00ff",
    "pink": "ffa0c0",
}
"""Plain words for colors, far enough apart to be the colors of a map."""
DULL = ("black", "dark gray", "gray", "light gray", "beige", "dark red", "olive")
"""Words that are not suggested: vivid colors are easier to draw over."""
VIVID = (1.0, 2.0, 2.0)
"""By what L, a and b of an area are multiplied before the plain color nearest to it is looked for."""


class Chart(NamedTuple):
    """A map as it was read."""

    name: str
    image: Image
    colors: Tensor
    """Its colors, the most frequent first: n x 3."""
    note: str
    """What was done to it, for people; "" for nothing."""


def chart(picture: Picture, name: str, edge: int = LARGEST) -> Chart:
    """A map with its palette; transparent pixels are white, as on paper. Larger ones are brought to a long edge of `edge` px.

    Raises:
        UsageError: it has so many colors that it must be a photograph.
    """
    image = picture.image if picture.alpha is None else picture.image * picture.alpha + 1 - picture.alpha
    if max(picture.size) > edge:
        image = F.interpolate(image, geometry.sizes(*picture.size, edge), mode="nearest-exact")
    colors = segment.palette(image, tolerance=TOLERANCE)
    nearest = colors[segment.labels(image, colors)[0, 0]].permute(2, 0, 1)[None]
    near = float(((image - nearest).norm(dim=1) <= NEAR).float().mean())
    if len(colors) > MOST_COLORS or near < MOSTLY:
        raise UsageError(
            f"{name} is no map of flat colors but looks like a photograph or painting ({len(colors)} colors, {1 - near:.0%} of "
            "it between them): --suggest-map makes a map of one"
        )
    few = segment.palette(image, tolerance=TOLERANCE, least=FEW / image[0, 0].numel())
    lost = few[torch.cdist(few, colors).amin(1) > TOLERANCE]
    off = float(((image - nearest).abs().amax(1) > SHADE).float().mean())
    notes = [] if picture.alpha is None or float(picture.alpha.min()) == 1 else ["transparent pixels are taken as white"]
    if len(lost):
        notes.append(f"{', '.join(named(each) for each in lost[:8])} covers too little to be a region and is left out")
    if off > 0:
        words = ", ".join(named(each) for each in colors[:8])
        more = f" and {len(colors) - 8} more" if len(colors) > 8 else ""
        notes.append(f"blends and near shades ({max(off, 0.001):.1%} of it) are taken for the nearest of {words}{more}")
    return Chart(name, image, colors, f"{name}: {'; '.join(notes)}" if notes else "")


def matched(ours: Chart, theirs: Sequence[Chart]) -> list[str]:
    """What is to be told of colors that are alike in the maps and not the same.

    Raises:
        UsageError: colors of the map that no map of a style has, naming them.
    """
    there = torch.cat([each.colors for each in theirs])
    distances = torch.cdist(ours.colors, there)
    missing = [named(value) for value, row in zip(ours.colors, distances, strict=True) if float(row.min()) > TOLERANCE]
    if missing:
        known = ", ".join(dict.fromkeys(named(value) for value in there))
        raise UsageError(
            f"{ours.name} has {', '.join(missing)}, which no style map has (there are {known}): use the same colors in both"
        )
    pairs = [(value, there[row.argmin()]) for value, row in zip(ours.colors, distances, strict=True)]
    return [
        f"{ours.name}: {named(value)} is taken for {named(other)} of the style maps"
        for value, other in pairs
        if float((value - other).abs().max()) > SHADE
    ]


def named(value: Tensor) -> str:
    """A color for people: "#00c000 (green)", the word the nearest in Lab."""
    plain = _plain()
    lab = color.rgb_to_lab(torch.cat((plain, value[None])).T.reshape(1, 3, 1, -1))[0, :, 0].T
    word = list(WORDS)[int((lab[:-1] - lab[-1]).norm(dim=1).argmin())]
    return f"{_hex(value)} ({word})"


def _hex(value: Tensor) -> str:
    return "#" + "".join(f"{round(255 * level):02x}" for level in value.tolist())


def _plain() -> Tensor:
    return torch.tensor([[int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for code in WORDS.values()])


def suggest(picture: ImageLike | Picture, colors: int = 5) -> Picture:
    """A map of a painting to start from: at most so many areas that look alike, each in the plain color nearest to its own.

    A picture that is a map of no more colors is returned in its own, without blends.

    Raises:
        UsageError: a number of colors that is not between 2 and 16.
        PictureError: the picture cannot be read.
    """
    if not 2 <= colors <= regions.MOST:
        raise UsageError(f"a map of {colors} colors cannot be suggested: 2 to {regions.MOST} can")
    given = picture if isinstance(picture, Picture) else opened(picture)[0]
    image = given.image if given.alpha is None else geometry.fill(given.image, given.alpha)
    try:
        own = chart(Picture(image), "").colors
    except UsageError:
        own = image.new_empty(0, 3)
    if 0 < len(own) <= colors:
        return Picture(own[segment.labels(image, own)[0, 0]].permute(2, 0, 1)[None].contiguous())
    areas = segment.divide(image, colors)
    masks = F.interpolate(areas.masks, (image.shape[-2], image.shape[-1]), mode="bilinear", align_corners=False)
    labels = masks.argmax(1)[0]
    small = F.interpolate(image, areas.masks.shape[-2:], mode="bilinear", antialias=True, align_corners=False)
    means = torch.einsum("bkhw,bchw->kc", areas.masks, small) / areas.masks.sum((0, 2, 3))[:, None]
    plain = _plain()[[word not in DULL for word in WORDS]]
    lab, wanted = (color.rgb_to_lab(each.T.reshape(1, 3, 1, -1))[0, :, 0].T for each in (means, plain))
    chosen = plain[regions.pair(torch.cdist(lab * lab.new_tensor(VIVID), wanted))]
    return Picture(chosen[labels].permute(2, 0, 1)[None].contiguous())
