"""Write house.obj and house.mtl, a small house in plain colors, as architects' programs export them. CC0, ours.

python examples/draw_house.py [FOLDER]

Meters, y up; the door looks along +z.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

Corner = tuple[float, float, float]
COLORS = {
    "walls": (0.86, 0.80, 0.68),
    "roof": (0.55, 0.20, 0.14),
    "wood": (0.30, 0.20, 0.12),
    "glass": (0.22, 0.32, 0.42),
    "stone": (0.52, 0.50, 0.47),
}
"""Red, green and blue of each material, sRGB."""


def box(low: Corner, high: Corner) -> Iterator[Sequence[Corner]]:
    """Six sides, counter-clockwise seen from outside."""
    (a, b, c), (d, e, f) = low, high
    yield (a, b, f), (d, b, f), (d, e, f), (a, e, f)
    yield (d, b, c), (a, b, c), (a, e, c), (d, e, c)
    yield (d, b, f), (d, b, c), (d, e, c), (d, e, f)
    yield (a, b, c), (a, b, f), (a, e, f), (a, e, c)
    yield (a, e, f), (d, e, f), (d, e, c), (a, e, c)
    yield (a, b, c), (d, b, c), (d, b, f), (a, b, f)


def gable(x: tuple[float, float], z: tuple[float, float], eaves: float, ridge: float) -> Iterator[Sequence[Corner]]:
    """The two walls under a roof whose ridge runs along x."""
    middle = sum(z) / 2
    yield (x[1], eaves, z[1]), (x[1], eaves, z[0]), (x[1], ridge, middle)
    yield (x[0], eaves, z[0]), (x[0], eaves, z[1]), (x[0], ridge, middle)


def slope(
    x: tuple[float, float], low: tuple[float, float], high: tuple[float, float], thick: float
) -> Iterator[Sequence[Corner]]:
    """One side of a roof, from (y, z) at the eaves to (y, z) at the ridge, with its thickness."""
    (a, b), (y, z), (t, m) = x, low, high
    upper = [(a, y, z), (b, y, z), (b, t, m), (a, t, m)]
    lower = [(p, q - thick, r) for p, q, r in upper]
    front = z > m
    yield upper if front else upper[::-1]
    yield lower[::-1] if front else lower
    for k in range(4):
        edge = [upper[k], lower[k], lower[(k + 1) % 4], upper[(k + 1) % 4]]
        yield edge if front else edge[::-1]


def house() -> dict[str, list[Sequence[Corner]]]:
    """Faces by material."""
    panes = [(x, y) for y in (1.0, 3.7) for x in (-3.6, -1.5, 2.5) if (x, y) != (-0.5, 1.0)]
    windows = [box((x, y, 2.98), (x + 1.1, y + 1.3, 3.04)) for x, y in panes]
    windows += [box((3.98, y, -1.6), (4.04, y + 1.3, -0.4)) for y in (1.0, 3.7)]
    windows += [box((3.98, y, 0.6), (4.04, y + 1.3, 1.8)) for y in (1.0, 3.7)]
    windows += [box((-7.04, 1.0, -0.6), (-6.98, 2.2, 0.8)), box((-6.2, 1.0, 1.98), (-4.8, 2.2, 2.04))]
    windows += [box((x, y, -3.04), (x + 1.1, y + 1.3, -2.98)) for x in (-2.6, 1.5) for y in (1.0, 3.7)]
    frames = [box((x - 0.12, y - 0.16, 2.97), (x + 1.22, y, 3.14)) for x, y in panes]
    return {
        "stone": [*box((-4.1, 0, -3.1), (4.1, 0.45, 3.1)), *box((-7.1, 0, -2.1), (-4, 0.45, 2.1)),
                  *box((0.2, 0, 3.1), (2.2, 0.2, 4.3)), *box((1.9, 6.4, -1.6), (2.8, 8.9, -0.7))],
        "walls": [*box((-4, 0.4, -3), (4, 5.6, 3)), *gable((-4, 4), (-3, 3), 5.6, 8.0),
                  *box((-7, 0.4, -2), (-4, 3.0, 2)), *gable((-7, -4), (-2, 2), 3.0, 4.4)],
        "roof": [*slope((-4.5, 4.5), (5.2, 3.6), (8.15, 0), 0.22), *slope((-4.5, 4.5), (5.2, -3.6), (8.15, 0), 0.22),
                 *slope((-7.4, -3.9), (2.72, 2.45), (4.52, 0), 0.18), *slope((-7.4, -3.9), (2.72, -2.45), (4.52, 0), 0.18)],
        "wood": [*box((0.5, 0.2, 2.98), (1.9, 2.6, 3.08)), *(face for frame in frames for face in frame),
                 *box((-0.1, 2.75, 3.0), (2.5, 2.9, 4.2)), *box((0.0, 0.2, 4.0), (0.16, 2.75, 4.16)),
                 *box((2.24, 0.2, 4.0), (2.4, 2.75, 4.16))],
        "glass": [face for window in windows for face in window],
    }  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    lines, corners = ["# impasto examples/draw_house.py, CC0", "mtllib house.mtl"], dict[Corner, int]()
    for name, faces in house().items():
        lines += [f"o {name}", f"usemtl {name}"]
        for face in faces:
            numbers = [corners.setdefault(tuple(round(v, 3) for v in corner), len(corners) + 1) for corner in face]  # type: ignore[arg-type]
            lines.append("f " + " ".join(map(str, numbers)))
    vertices = ["v {:g} {:g} {:g}".format(*corner) for corner in corners]
    (folder / "house.obj").write_text("\n".join([*lines[:2], *vertices, *lines[2:]]) + "\n")
    text = "\n".join(f"newmtl {name}\nKd {r:g} {g:g} {b:g}" for name, (r, g, b) in COLORS.items())
    (folder / "house.mtl").write_text(text + "\n")


if __name__ == "__main__":
    main()
