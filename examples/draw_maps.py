"""Draw swirls-map.png, what is where in swirls.jpg, and doodle.png, another landscape in the same colors. CC0, ours.

python examples/draw_maps.py [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

SIZE = (640, 480)
SKY, LIGHT, HILL, FIELD = "#000080", "#ffff00", "#800080", "#ff8000"
Points = Sequence[tuple[int, int]]


def draw(lights: Sequence[tuple[int, int, int]], hills: Points, field: Points) -> Image.Image:
    """Lights (x, y, radius) in a sky, and the upper edges of hills and field; edges are hard."""
    picture = Image.new("RGB", SIZE, SKY)
    ink = ImageDraw.Draw(picture)
    for x, y, radius in lights:
        ink.ellipse((x - radius, y - radius, x + radius, y + radius), LIGHT)
    for edge, color in ((hills, HILL), (field, FIELD)):
        ink.polygon([*edge, (edge[-1][0], SIZE[1]), (edge[0][0], SIZE[1])], color)
    return picture


MAPS = {
    "swirls-map": draw(
        [(162, 108, 56), (490, 131, 76), (321, 222, 42), (31, 228, 37)],
        [(110, 358), (160, 322), (260, 318), (392, 287), (490, 306), (560, 316), (639, 338)],
        [(0, 354), (135, 361), (184, 388), (263, 392), (404, 405), (551, 398), (639, 377)],
    ),
    "doodle": draw(
        [(210, 140, 96), (470, 90, 34), (560, 190, 44), (50, 60, 26)],
        [(0, 330), (120, 300), (250, 330), (400, 170), (440, 200), (520, 310), (639, 280)],
        [(0, 440), (140, 390), (300, 400), (420, 440), (540, 400), (639, 350)],
    ),
}


def main(arguments: Sequence[str]) -> None:
    """Write the maps to the folder given, or beside this script."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    for name, picture in MAPS.items():
        picture.quantize(16).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
