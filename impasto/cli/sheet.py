"""Contact sheets: pictures side by side, each with a line that says what it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

CELL = 512
"""Long edge of the largest picture on a sheet, px; larger ones are shown smaller."""
NARROWEST = 160
"""Least width of a cell, px, so that a label can be read under a small picture too."""
GAP = 16
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def sheet(pictures: Sequence[tuple[Image.Image, str]], columns: int = 0) -> Image.Image:
    """Pictures in rows of `columns` (0: about as many as rows), white between them, a label under each. RGB.

    Cells are of one size; smaller pictures stand in the middle. Transparent parts are laid on white.
    """
    if not pictures:
        raise ValueError("a sheet of no pictures")
    shown = [_shrunk(picture) for picture, _ in pictures]
    columns = min(columns or math.ceil(math.sqrt(len(shown))), len(shown))
    width, height = max(NARROWEST, *(each.width for each in shown)), max(each.height for each in shown)
    labels = [_label(text, width) for _, text in pictures]
    below = max(each.height for each in labels)
    rows = math.ceil(len(shown) / columns)
    whole = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + below + GAP) + GAP), WHITE)
    for index, (picture, label) in enumerate(zip(shown, labels, strict=True)):
        left, top = GAP + index % columns * (width + GAP), GAP + index // columns * (height + below + GAP)
        whole.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
        whole.paste(label, (left, top + height))
    return whole


def _shrunk(picture: Image.Image) -> Image.Image:
    whole = picture.convert("RGBA")
    ground = Image.new("RGBA", whole.size, (*WHITE, 255))
    flat = Image.alpha_composite(ground, whole).convert("RGB")
    flat.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return flat


def _label(text: str, width: int) -> Image.Image:
    """Text in the middle of a white strip, as large as reads well; broken into lines where it is longer than the strip."""
    font = ImageFont.load_default(max(11.0, width / 22))
    lines = _lines(text, font, width)
    step = math.ceil(sum(font.getmetrics()) * 1.1) if isinstance(font, ImageFont.FreeTypeFont) else 12
    strip = Image.new("RGB", (width, step * len(lines) + 4), WHITE)
    draw = ImageDraw.Draw(strip)
    for index, line in enumerate(lines):
        draw.text((width / 2, 2 + index * step), line, BLACK, font, anchor="ma")
    return strip


def _lines(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Words on as many lines as they need; a word too long for a line is cut into pieces."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line] or [""]
