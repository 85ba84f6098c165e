"""Cuts found, and nothing else taken for one."""

import cv2
import numpy as np
import pytest
import torch

from impasto.video import shots


def scene(seed: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """A picture with colors of its own."""
    random = np.random.default_rng(seed)
    small = random.random((12, 16, 3)) * random.uniform(0.2, 1, 3)
    return (cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1) * 255).astype(np.uint8)


def frames(seed: int, count: int) -> list[np.ndarray]:
    """A pan over a scene with noise: 2 px a frame."""
    random = np.random.default_rng(seed)
    whole = scene(seed)
    moved = [whole[20:74, 10 + 2 * t : 106 + 2 * t] for t in range(count)]
    return [(each + random.normal(0, 3, each.shape)).clip(0, 255).astype(np.uint8) for each in moved]


def test_a_cut_is_found_where_another_shot_begins():
    clip = [*frames(0, 5), *frames(1, 4), *frames(2, 3)]
    assert [i for i, new in enumerate(shots.cuts(clip)) if new] == [0, 5, 9]


@pytest.mark.parametrize("light", [0.6, 1.3])
def test_a_pan_with_a_change_of_light_is_no_cut(light):
    clip = frames(3, 6)
    clip[3:] = [(each * light).clip(0, 255).astype(np.uint8) for each in clip[3:]]
    assert list(shots.cuts(clip)) == [True, *[False] * 5]


def test_noise_in_the_dark_is_no_cut():
    random = np.random.default_rng(0)
    clip = [random.integers(0, 12, (54, 96, 3)).astype(np.uint8) for _ in range(4)]
    assert sum(shots.cuts(clip)) == 1


def test_unlikeness_runs_from_0_to_1():
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert shots.unlikeness(black, black) == 0
    assert shots.unlikeness(black, white) == pytest.approx(1)
    half = black.copy()
    half[:4] = 255
    assert shots.unlikeness(black, half) == pytest.approx((0.25 / 1.5 + 0.25 / 0.5) / 2)


def test_thumbnails_are_small():
    assert shots.thumbnail(torch.rand(1, 3, 540, 960)).shape == (54, 96, 3)
    assert shots.thumbnail(torch.rand(1, 3, 48, 64)).shape == (48, 64, 3)
