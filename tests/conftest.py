"""Small pictures and networks that several tests share. All are drawn from seeds; nothing is read from elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.features import encoders, weights
from impasto.features.encoders import VGG

torch.set_num_threads(1)  # pictures are tiny: one thread is faster here, and sums come in one order

BLOCKS = {"vgg11": (1, 1, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions a block."""


def drawn(seed: int, height: int, width: int) -> Tensor:
    """A picture, 3 x height x width in [0, 1]: soft colored shapes with fine grain, as different as their seeds."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=random)
    grain = torch.rand(1, 3, height, width, generator=random)
    soft = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    return (0.85 * soft + 0.15 * grain).clamp(0, 1)[0]


def random_state(blocks: tuple[int, ...], width: int, seed: int = 0) -> dict[str, Tensor]:
    """Random weights in torchvision's key names; `width` channels in the first block, twice as many in the others."""
    random = torch.Generator().manual_seed(seed)
    state, index, before = {}, 0, 3
    for number, convolutions in enumerate(blocks):
        channels = width * min(2, number + 1)
        for _ in range(convolutions):
            deviation = (2 / (9 * before)) ** 0.5
            state[f"features.{index}.weight"] = torch.randn(channels, before, 3, 3, generator=random) * deviation
            state[f"features.{index}.bias"] = torch.randn(channels, generator=random) * 0.1
            index, before = index + 2, channels
        index += 1
    return state


@pytest.fixture(scope="session")
def picture() -> Callable[[int, int, int], Tensor]:
    return drawn


@pytest.fixture(scope="session")
def photo() -> Tensor:
    return drawn(1, 48, 64)


@pytest.fixture(scope="session")
def painting() -> Tensor:
    return drawn(2, 60, 52)


@pytest.fixture(scope="session")
def vgg_state() -> Callable[..., dict[str, Tensor]]:
    """`vgg_state("vgg16", width=4, seed=0)`: random weights of that shape."""
    return lambda shape, width=4, seed=0: random_state(BLOCKS[shape], width, seed)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory) -> str:
    """Path of a random VGG-16 of 8 and 16 channels: what a painting does, in a hundredth of the time."""
    path: Path = tmp_path_factory.mktemp("encoder") / "narrow.safetensors"
    state = random_state(BLOCKS["vgg16"], 8)
    weights.save(path, state, {"kind": "encoder", "mean": (0.45, 0.45, 0.4), "std": (1 / 255,) * 3})
    return str(path)


@pytest.fixture(scope="session")
def encoder() -> VGG:
    """The embedded VGG-16, float32."""
    return encoders.load("vgg16")
