"""How many steps at which size: by quality, by number, or by what fits into a time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from impasto.features.encoders import MIN_SIDE, VGG
from impasto.paint.optimize import PREPARATION, Level
from impasto.paint.settings import Settings, parse_steps
from impasto.pixels import geometry

QUALITY_STEPS = {"draft": (15, 8, 6), "good": (40, 25, 20), "best": (120, 70, 60)}
"""Steps at the coarsest size, at those between, and at the last."""
LEAST = (12, 5, 4)
"""Fewer steps than these, likewise, are not worth a size: with too little time the picture is enlarged instead."""
MOST = 3
"""A time budget makes at most this many times the steps of `best`; the plateau usually comes earlier."""
LOSSES = {"w2": 1.35, "gram": 1.35, "swd": 2.0, "nn": 4.0, "patch": 12.0}
"""Seconds of a step with each style loss, over those of the network alone."""


def sizes(height: int, width: int) -> list[int]:
    """Long edges of the pyramid of a picture; sizes whose short side the encoder would lose sight of are left out."""
    end = max(height, width)
    shape = {size: geometry.sizes(height, width, size) for size in geometry.pyramid(end)}
    return [size for size in shape if min(shape[size]) >= 2 * MIN_SIDE or size == end]


def levels(height: int, width: int, settings: Settings) -> list[Level]:
    """The levels of a picture of that size: as many steps as `settings.steps` or `settings.quality` say."""
    asked = parse_steps(settings.steps)
    if isinstance(asked, dict):
        return [Level(size, count) for size, count in sorted(asked.items())]
    found = sizes(height, width)
    shares = distribute(QUALITY_STEPS[settings.quality], len(found))
    if asked is not None:
        shares = _scaled(shares, asked)
    return [Level(size, count) for size, count in zip(found, shares, strict=True) if count]


def distribute(steps: tuple[int, int, int], count: int) -> Sequence[int]:
    """(first, between, last) spread over `count` sizes; a single size gets first and last together."""
    first, between, last = steps
    return [first + last] if count == 1 else [first, *[between] * (count - 2), last]


def _scaled(shares: Sequence[int], total: int) -> list[int]:
    """Shares brought to the given total, in proportion, the first sizes favored."""
    found, before = [], 0
    for position in range(len(shares)):
        upto = -(-total * sum(shares[: position + 1]) // sum(shares))
        found.append(upto - before)
        before = upto
    return found


def fitting(height: int, width: int, seconds: float, second_per_pixel: float) -> list[Level]:
    """The levels that fit into the seconds: as far up the pyramid as the least steps allow, then as many steps as fit."""
    found = sizes(height, width)
    while len(found) > 1 and cost(found, height, width, distribute(LEAST, len(found)), second_per_pixel) > seconds:
        found.pop()
    least, best = distribute(LEAST, len(found)), distribute(QUALITY_STEPS["best"], len(found))
    low = [float(count) for count in least]
    high = [float(MOST * count) for count in best]
    for _ in range(30):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        fits = cost(found, height, width, middle, second_per_pixel) <= seconds
        low, high = (middle, high) if fits else (low, middle)
    return [Level(size, max(1, int(count))) for size, count in zip(found, low, strict=True)]


def cost(found: Sequence[int], height: int, width: int, steps: Sequence[float], second_per_pixel: float) -> float:
    """Seconds of so many steps at each of the sizes."""
    square = height * width / max(height, width) ** 2
    return sum(size**2 * square * second_per_pixel * (count + PREPARATION) for size, count in zip(found, steps, strict=True))


def seconds_per_pixel(encoder: VGG, settings: Settings) -> float:
    """Seconds that one step costs a pixel on this machine: the encoder timed forward and backward at 128 px."""
    device = encoder.get_buffer("mean").device
    layers = dict.fromkeys((*settings.style_layers, *settings.content_layers))
    best = float("inf")
    for _ in range(3):
        image = torch.full((1, 3, 128, 128), 0.5, device=device, requires_grad=True)
        start = time.perf_counter()
        loss = torch.stack([features.float().sum() for features in encoder(image, layers).values()]).sum()
        (gradient,) = torch.autograd.grad(loss, image)
        float(gradient.sum())
        best = min(best, time.perf_counter() - start)
    return best / 128**2 * LOSSES[settings.style_loss]
