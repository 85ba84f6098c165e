"""A sheet that shows which region of the content is painted with what of the styles."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont
from torch import Tensor

from impasto.paint.regions import Region, fit_mask, shares
from impasto.pixels import color, geometry
from impasto.types import Image, Mask

HEIGHT, MARGIN, LINE = 320, 12, 26
"""Of the pictures, between them, and of a line of the legend, px."""
TINT = 0.6
"""How much of a pixel's color is its region's; the rest is its own lightness."""
PAPER = 0.97


def show(content: Image, styles: Sequence[Image], regions: Sequence[Region]) -> Image:
    """Content and styles side by side, what belongs together tinted alike, with a legend: 1 x 3 x height x width.

    Pixels of a style that no region is painted with stay gray.
    """
    colors = [_color(k) for k in range(len(regions))]
    tiles = [_tinted(content, [region.mask for region in regions], colors)]
    for index, style in enumerate(styles):
        used = [(own, colors[k]) for k, region in enumerate(regions) for other, own in region.sources if other == index]
        tiles.append(_tinted(style, [own for own, _ in used], [value for _, value in used]))
    width = sum(tile.shape[-1] + MARGIN for tile in tiles) + MARGIN
    sheet = torch.full((1, 3, HEIGHT + 2 * MARGIN, width), PAPER)
    left = MARGIN
    for tile in tiles:
        sheet[..., MARGIN : MARGIN + HEIGHT, left : left + tile.shape[-1]] = tile
        left += tile.shape[-1] + MARGIN
    return torch.cat((sheet, _legend(regions, colors, len(styles), width)), 2)


def _color(index: int) -> Tensor:
    """Hues a golden section apart: however many there are, neighbors differ."""
    return torch.tensor(colorsys.hsv_to_rgb((0.58 + 0.618034 * index) % 1, 0.85, 0.95))


def _tinted(image: Image, masks: Sequence[Mask | None], colors: Sequence[Tensor]) -> Image:
    """The picture in gray, tinted where masks are (None: everywhere), by the mean of their colors."""
    height, width = image.shape[-2:]
    small = geometry.resize(image.cpu(), (HEIGHT, max(1, round(width * HEIGHT / height))))
    gray = (color.rgb_to_lab(small)[:, :1] / 100).expand_as(small)
    if not masks:
        return gray
    shape = (small.shape[-2], small.shape[-1])
    weights = torch.cat([torch.ones(1, 1, *shape) if mask is None else fit_mask(mask.cpu(), shape) for mask in masks], 1)
    total = weights.sum(1, keepdim=True)
    tint = torch.einsum("bkhw,kc->bchw", weights, torch.stack(list(colors))) / total.clamp(min=1e-6)
    return torch.lerp(gray, tint * (0.35 + 0.65 * gray), TINT * total.clamp(max=1)).clamp(0, 1)


def _legend(regions: Sequence[Region], colors: Sequence[Tensor], styles: int, width: int) -> Image:
    """A swatch for each region: its name, its share of the picture, and its styles where there are several."""
    sheet = PILImage.new("RGB", (width, LINE * len(regions) + MARGIN), (round(255 * PAPER),) * 3)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (region, value, share) in enumerate(zip(regions, colors, shares(regions), strict=True)):
        top = row * LINE
        fill = tuple(round(255 * level) for level in value.tolist())
        draw.rectangle((MARGIN, top, MARGIN + LINE - 8, top + LINE - 8), fill=fill)
        from_styles = f"   from style {', '.join(str(index + 1) for index, _ in region.sources)}" if styles > 1 else ""
        text = f"{region.name or 'everywhere'}   {share:.0%}{from_styles}"
        draw.text((MARGIN + LINE, top + 1), text, fill=(30, 30, 30), font=font)
    return torch.from_numpy(np.array(sheet)).permute(2, 0, 1)[None].float() / 255
