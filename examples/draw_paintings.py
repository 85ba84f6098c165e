"""Draw the three example paintings: swirls.jpg (strokes), points.jpg (dots) and waves.jpg (a woodcut). CC0, ours.

    python examples/draw_paintings.py [FOLDER]

Each is drawn at twice its size and brought down at the end, so that edges are soft. Seeds are fixed: the same picture
every time (JPEG bytes may differ between versions of Pillow).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

Plane = np.ndarray
"""Height x width, or height x width x 3 for colors, float."""
WIDTH, HEIGHT = 1280, 960
"""Size of the drawing, px: twice that of the picture."""


def colors(*names: str) -> Plane:
    """Palette of hexadecimal colors: n x 3 in [0, 1]."""
    return np.array([[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in names])


def ramp(palette: Plane, position: Plane) -> Plane:
    """Color at `position` (0...1) of a palette, blended between neighbors."""
    places = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(position, places, palette[:, channel]) for channel in range(3)], -1)


def noise(rng: np.random.Generator, cells: int, octaves: int = 3) -> Plane:
    """Smooth noise in about [0, 1]: `cells` bumps across at the coarsest octave, each octave half as strong."""
    total, weights = np.zeros((HEIGHT, WIDTH)), 0.0
    for octave in range(octaves):
        grid = rng.random((max(2, cells * 2**octave * HEIGHT // WIDTH) + 1, cells * 2**octave + 1)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 2**octave
        weights += 0.5**octave
    return np.clip((total / weights - 0.5) * 1.5 + 0.5, 0, 1)


def plane() -> tuple[Plane, Plane]:
    """Coordinates of every pixel: x in [0, 4/3], y in [0, 1] downwards."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    return x, y


def normals(line: Plane) -> Plane:
    """Unit vectors across a line of n x 2 points."""
    along = np.gradient(line, axis=0)
    return np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-6)


def paint(rgb: Plane) -> tuple[int, int, int]:
    """A color as Pillow takes it."""
    red, green, blue = (np.clip(rgb, 0, 1) * 255).astype(int).tolist()
    return red, green, blue


def finish(picture: Plane) -> Image.Image:
    """The picture, from a drawing in [0, 1]."""
    large = Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
    return large.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.LANCZOS)


# --- strokes of thick paint along a field of directions ---------------------------------------------------------------

SUNS = ((1.02, 0.27, 0.13, 1.0), (0.34, 0.23, 0.10, -1.0), (0.66, 0.46, 0.07, 1.0), (0.06, 0.48, 0.06, -1.0))
"""Vortices of the sky: x, y, radius, sense of turning."""


def hills(x: Plane) -> tuple[Plane, Plane]:
    """Heights (y) of the far ridge and of the near one."""
    far = 0.66 + 0.045 * np.sin(5.1 * x + 0.6) + 0.02 * np.sin(13 * x)
    near = 0.77 - 0.07 * np.sin(2.7 * x + 2.4) + 0.012 * np.sin(17 * x + 1)
    return far, near


def swirl_scene(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Colors of the scene and the direction of the strokes (radians)."""
    x, y = plane()
    far, near = hills(x)
    wander = noise(rng, 4)
    u, v = np.ones_like(x), 0.35 * np.sin(6 * x + 9 * (wander - 0.5))
    glow, rings = np.zeros_like(x), np.zeros_like(x)
    for sun_x, sun_y, radius, sense in SUNS:
        dx, dy = x - sun_x, y - sun_y
        distance = np.hypot(dx, dy) + 1e-6
        pull = 3.5 * np.exp(-((distance / (1.9 * radius)) ** 2))
        u, v = u - sense * pull * dy / distance, v + sense * pull * dx / distance
        glow = np.maximum(glow, np.exp(-((distance / radius) ** 2)))
        rings += np.sin(distance / radius * 9) * np.exp(-((distance / (2.4 * radius)) ** 2))
    night = colors("0b1547", "173a8c", "1f63b5", "3aa0c4", "9fd4c6", "f4e7b0")
    sky = ramp(night, np.clip(0.12 + 0.42 * y + 0.5 * (noise(rng, 6) - 0.5) + 0.2 * rings, 0, 1))
    fire = ramp(colors("2b8fb8", "d9d58a", "f7c33b", "f39a1d", "fdf3c0"), glow)
    scene = sky + (fire - sky) * np.clip(glow * 1.6, 0, 1)[..., None]
    ridge = ramp(colors("1a1440", "3a2a72", "5a4f9c", "2f6f86"), np.clip((y - far) / 0.14 + 0.4 * (wander - 0.5), 0, 1))
    rows = 0.5 + 0.5 * np.sin(70 * (y - near) + 10 * x + 5 * wander)
    crops = colors("5e1f16", "b5371c", "e8761e", "f6b732", "8a9a2c", "1f5a3c")
    field = ramp(crops, np.clip(0.75 * rows + 0.4 * (wander - 0.4), 0, 1))
    scene = np.where((y > far)[..., None], ridge, scene)
    scene = np.where((y > near)[..., None], field, scene)
    angle = np.arctan2(v, u)
    slope = np.arctan(np.gradient(far, axis=1) * HEIGHT)
    angle = np.where(y > far, slope + 0.9 * (noise(rng, 9) - 0.5), angle)
    furrow = np.arctan2(-10 - 5 * np.gradient(wander, axis=1) * HEIGHT, 70.0 + 0 * x)
    return scene, np.where(y > near, furrow + 0.8 * (noise(rng, 7) - 0.5), angle)


def trace(start: Plane, angle: Plane, length: float, step: float) -> Plane:
    """Points of a stroke that starts at `start` (x, y in px) and follows the field: n x 2."""
    points = [start]
    for _ in range(max(2, round(length / step))):
        x, y = points[-1]
        turn = angle[min(max(int(y), 0), HEIGHT - 1), min(max(int(x), 0), WIDTH - 1)]
        points.append(points[-1] + step * np.array([np.cos(turn), np.sin(turn)]))
    return np.array(points)


def bristles(
    rng: np.random.Generator, path: Plane, width: float, color: Plane, ink: ImageDraw.ImageDraw, relief: ImageDraw.ImageDraw
) -> None:
    """One stroke: parallel hairs, each with its own load of paint, in color and as height."""
    across = normals(path)
    hairs = max(4, round(width / 2.2))
    for offset in np.linspace(-0.5, 0.5, hairs):
        shade = color + rng.normal(0, 0.035) + rng.normal(0, 0.012, 3)
        cut = slice(rng.integers(0, 2), len(path) - rng.integers(0, 3))
        points = [tuple(point) for point in (path + across * offset * width)[cut]]
        if len(points) < 2:
            continue
        thick = max(2, round(1.7 * width / hairs))
        ink.line(points, paint(shade), thick, joint="curve")
        height = 110 + 110 * (1 - (2 * offset) ** 2) * rng.random() + 30 * (abs(offset) > 0.42)
        relief.line(points, int(min(height, 255)), thick, joint="curve")


def lit(picture: Plane, height: Plane, strength: float) -> Plane:
    """Paint of that height under light from the top left."""
    down, right = np.gradient(height)
    shade = strength * (down + right)
    gloss = np.clip(shade - 0.09, 0, None) ** 1.5
    return picture * (1 + np.clip(shade, -0.35, 0.3))[..., None] + 0.5 * gloss[..., None]


def swirls(seed: int = 3) -> Image.Image:
    """A night of turning lights over a plowed field: long strokes, thick paint."""
    rng = np.random.default_rng(seed)
    scene, angle = swirl_scene(rng)
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (58, 42, 40))
    relief = Image.new("L", (WIDTH, HEIGHT), 100)
    ink, bump = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    for width, length, spacing in ((34, 130, 20), (20, 95, 14), (12, 62, 11)):
        grid = np.mgrid[0:HEIGHT:spacing, 0:WIDTH:spacing].reshape(2, -1).T[:, ::-1]
        starts = rng.permutation(grid + rng.uniform(-spacing, spacing, grid.shape))
        for start in starts if width > 12 else starts[: len(starts) * 2 // 3]:
            path = trace(start, angle, length * rng.uniform(0.6, 1.2), 7)
            x, y = path[len(path) // 3].clip(0, (WIDTH - 1, HEIGHT - 1)).astype(int)
            color = scene[y, x] + rng.normal(0, 0.045, 3)
            bristles(rng, path, width * rng.uniform(0.7, 1.2), color, ink, bump)
    return finish(lit(np.asarray(canvas) / 255, np.asarray(relief) / 255, 0.95))


# --- dots of pure color -----------------------------------------------------------------------------------------------


POPLARS = ((0.10, 0.10, 0.052), (0.205, 0.02, 0.06), (0.315, 0.15, 0.048), (0.40, 0.24, 0.04), (1.21, 0.20, 0.05))
"""Trees: x, top, half their breadth."""


def shore_scene(rng: np.random.Generator) -> Plane:
    """A river at sunset, with poplars and their reflections."""
    x, y = plane()
    horizon = 0.56
    mirrored = np.where(y > horizon, 2 * horizon - y, y)
    warm = np.clip(1.15 - np.hypot((x - 0.88) * 0.9, (mirrored - 0.44) * 1.5) * 1.5, 0, 1)
    lift = np.clip(mirrored / horizon, 0, 1)
    sky = ramp(colors("2f4fa8", "6b7fd0", "b79ad2", "f0a7a0", "fbc66a", "fff0b3"), np.clip(0.42 * lift + 0.5 * warm**1.6, 0, 1))
    clouds, leaves = noise(rng, 5), noise(rng, 34, 2)
    streaks = np.sin(24 * mirrored + 7 * clouds + 2 * x) * np.clip((0.5 - mirrored) * 5, 0, 1)
    sky = sky + (colors("f7b0b4")[0] - sky) * (0.55 * np.clip(streaks + 0.1, 0, 1))[..., None]
    sun = np.hypot(x - 0.88, mirrored - 0.44) < 0.06
    scene = np.where(sun[..., None], colors("fffbe0")[0], sky)
    bank = horizon - 0.05 - 0.03 * np.sin(4 * x + 1) - 0.015 * np.sin(11 * x)
    green = ramp(colors("14324a", "1f5d57", "3f8a4a", "b4b544"), np.clip((mirrored - bank) / 0.1 + 0.6 * (clouds - 0.5), 0, 1))
    scene = np.where((mirrored > bank)[..., None], green, scene)
    for tree_x, top, breadth in POPLARS:
        reach = np.clip((mirrored - top) / (horizon - top), 0, 1)
        outline = breadth * (reach**0.75 * (1 - 0.55 * reach**3)) * (0.65 + 0.9 * leaves)
        inside = (np.abs(x - tree_x - 0.02 * (leaves - 0.5)) < outline) & (mirrored > top)
        light = np.clip(0.42 + 0.4 * (x - tree_x) / breadth + 0.55 * (leaves - 0.5), 0, 1)
        leaf = ramp(colors("10264d", "17505a", "2f7d46", "86a83a", "f2cf4e"), light)
        scene = np.where(inside[..., None], leaf, scene)
    water = y > horizon
    ripple = 0.5 + 0.5 * np.sin(260 * np.clip(y - horizon, 0, 1) ** 0.8 + 5 * np.sin(8 * x) + 8 * clouds)
    scene = np.where(water[..., None], scene * (0.72 + 0.28 * ripple[..., None]) + 0.05 * colors("3355bb")[0], scene)
    meadow = y > 0.86 + 0.05 * np.sin(3.1 * x + 2.2) + 0.05 * (clouds - 0.5)
    grass = ramp(colors("123a3f", "2c6e3f", "7aa43b", "e3c545"), np.clip(noise(rng, 12) * 0.8 + 0.25 * (x - 0.5), 0, 1))
    return np.where(meadow[..., None], grass, scene)


def divided(rng: np.random.Generator, color: Plane) -> Plane:
    """A pure color near `color`: over many dots they mix back to it (Chevreul, Signac)."""
    gray = color.mean()
    pure = gray + (color - gray) * rng.uniform(1.1, 1.75)
    turn = rng.normal(0, 0.085, 3)
    shade = pure + turn - turn.mean() + rng.normal(0, 0.05)
    if rng.random() < 0.07:  # a dot of the complement here and there makes the rest glow
        return 1.06 * gray + 0.02 - (shade - gray) * 0.7
    return shade


def points(seed: int = 5) -> Image.Image:
    """A river at sunset in dots of unmixed color over a toned canvas."""
    rng = np.random.default_rng(seed)
    scene = shore_scene(rng)
    weave = 0.03 * (np.sin(np.arange(WIDTH) * 1.6)[None, :] * np.sin(np.arange(HEIGHT) * 1.6)[:, None])[..., None]
    canvas = Image.fromarray((np.clip(0.45 * scene + 0.55 * colors("e9dcc0")[0] + weave, 0, 1) * 255).astype(np.uint8))
    relief = Image.new("L", (WIDTH, HEIGHT), 90)
    ink, bump = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    for radius, spacing in ((9.5, 13), (7.0, 10), (5.2, 10)):
        grid = np.mgrid[0:HEIGHT:spacing, 0:WIDTH:spacing].reshape(2, -1).T[:, ::-1]
        for x, y in rng.permutation(grid + rng.uniform(-spacing / 1.6, spacing / 1.6, grid.shape)):
            color = scene[min(max(int(y), 0), HEIGHT - 1), min(max(int(x), 0), WIDTH - 1)]
            a, b = radius * rng.uniform(0.65, 1.1), radius * rng.uniform(0.6, 0.95)
            ink.ellipse((x - a, y - b, x + a, y + b), paint(divided(rng, color)))
            bump.ellipse((x - a, y - b, x + a, y + b), 150)
            bump.ellipse((x - a * 0.6, y - b * 0.6, x + a * 0.6, y + b * 0.6), int(rng.uniform(165, 215)))
    return finish(lit(np.asarray(canvas) / 255, np.asarray(relief) / 255, 0.28))


# --- a woodcut in four colors -----------------------------------------------------------------------------------------

PAPER, INK, DEEP, PALE, RED = colors("efe3c6", "13223f", "1f4a7c", "8fb3bd", "c2452d")


def swell(row: float, depth: float, t: Plane) -> Plane:
    """A trochoid, the shape of waves in deep water: x = t - a sin t, y = -a cos t; `depth` flattens it. n x 2, px."""
    steep = (0.76 + 0.17 * row) * np.exp(-1.1 * depth)
    length = WIDTH * (0.105 + 0.13 * row) / 2
    phase = 2.1 * row * 5 + 0.5
    swing = 1 + 0.12 * np.sin(0.37 * t + 9 * row)
    x = length * (t - steep * swing * np.sin(t + phase) - 0.3 * steep * swing * (1 + np.cos(t + phase)))
    y = HEIGHT * (0.47 + 0.52 * row) + length * (-steep * swing * np.cos(t + phase) + 2.0 * depth)
    return np.stack([x, y], 1)


def carve(draw: ImageDraw.ImageDraw, line: Plane, widths: Plane, color: Plane) -> None:
    """A line of varying width, as a gouge cuts it."""
    half = normals(line) * np.maximum(widths, 0)[:, None] / 2
    left, right = line + half, line - half
    for i in np.flatnonzero(widths[:-1] > 0.3):
        draw.polygon([tuple(corner) for corner in (left[i], left[i + 1], right[i + 1], right[i])], paint(color))


def foam(rng: np.random.Generator, draw: ImageDraw.ImageDraw, surface: Plane, size: float) -> None:
    """Foam along the crests: scalloped outline, paper inside, a few cut curls, spray thrown ahead."""
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(surface, axis=0).T))])
    even = np.arange(0, lengths[-1], 0.45 * size)
    x, y = np.interp(even, lengths, surface[:, 0]), np.interp(even, lengths, surface[:, 1])
    low, top = np.quantile(surface[:, 1], (0.9, 0.005))
    height = np.clip((low - y) / (low - top), 0, 1)
    breaking = height > np.where(np.gradient(y) < 0, 0.45, 0.66)
    crest = np.stack([x, y], 1)[breaking] + rng.normal(0, 0.45 * size, (breaking.sum(), 2)) + (-0.15 * size, 0.1 * size)
    radii = size * (0.25 + 1.2 * (height[breaking] - 0.5)) * rng.uniform(0.6, 1.3, len(crest))
    for grow, color in ((3.5, INK), (0.0, PAPER)):
        for (a, b), r in zip(crest, radii + grow, strict=True):
            draw.ellipse((a - r, b - r, a + r, b + r), paint(color))
    for (a, b), r in zip(crest[::2], radii[::2], strict=True):
        start = int(rng.integers(0, 200))
        draw.arc((a - r * 0.6, b - r * 0.6, a + r * 0.6, b + r * 0.6), start, start + 150, paint(DEEP if r > 7 else PALE), 2)
    ahead = np.abs(rng.normal(0, 1, (len(crest), 2))) * size * (1.5, 1.3)
    for a, b in (crest - ahead)[height[breaking] > 0.75]:
        r = rng.uniform(1.5, 2 + 0.18 * size)
        draw.ellipse((a - r, b - r, a + r, b + r), paint(PAPER), paint(INK), 1)


def woodcut_sky(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Sun, clouds and the cut lines of the air."""
    for i in range(70):
        y = 8 + i * 8.2
        x = np.linspace(-20, WIDTH + 20, 160)
        bend = y + 7 * np.sin(x / 190 + i * 0.12) + 3 * np.sin(x / 61 + i * 0.3)
        widths = 3.4 * (1 - i / 70) + 1.6 * np.sin(x / 130 + i * 0.35) - 0.4
        carve(draw, np.stack([x, bend], 1), widths, PALE if i > 14 else DEEP)
    draw.ellipse((800, 90, 1040, 330), paint(RED), paint(INK), 4)
    for i in range(9):
        x = np.linspace(805, 1035, 60)
        inside = np.hypot(x - 920, i * 17 - 40) < 112
        carve(draw, np.stack([x, 170 + i * 17 + 4 * np.sin(x / 30 + i)], 1), np.where(inside, 0.5 + 0.5 * i, 0), PAPER)


def waves(seed: int = 7) -> Image.Image:
    """Rows of breaking waves under a red sun: ink lines, three blocks of color, paper."""
    rng = np.random.default_rng(seed)
    canvas = Image.new("RGB", (WIDTH, HEIGHT), paint(PAPER))
    draw = ImageDraw.Draw(canvas)
    woodcut_sky(draw, rng)
    t = np.arange(-8, 40, 0.05)
    for row in (0.0, 0.16, 0.36, 0.62, 0.95):
        surface = swell(row, 0, t)
        body = [tuple(p) for p in surface] + [(WIDTH + 900, HEIGHT + 400), (-900, HEIGHT + 400)]
        draw.polygon(body, paint(PALE if row < 0.1 else DEEP))
        slope = np.gradient(surface[:, 1])
        for j in range(1, 26):
            line = swell(row, 0.075 * j, t)
            lean = np.interp(slope, (-4, 4), (0.15, 1.0))
            carve(draw, line, (2.2 + 5 * row) * lean * (1.1 + 0.5 * np.sin(j * 1.9 + 0.8 * t)), (INK, PAPER, PALE)[j % 3])
        carve(draw, surface, np.full(len(t), 4 + 5 * row), INK)
        foam(rng, draw, surface, 8 + 11 * row)
    grain = (noise(rng, 3, 2) * 60 % 1.0 - 0.5) * 0.05 + rng.normal(0, 0.012, (HEIGHT, WIDTH))
    return finish(np.asarray(canvas) / 255 + grain[..., None])


PAINTINGS = {"swirls": swirls, "points": points, "waves": waves}


def main(arguments: Sequence[str]) -> None:
    """Write the paintings to the folder given, or beside this script."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    for name, draw in PAINTINGS.items():
        draw().save(folder / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
