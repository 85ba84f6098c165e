"""An encoder to be learned, what it is examined by, and how it becomes one to paint with."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.fast import views
from impasto.fast.recognition import STYLE_LAYERS
from impasto.fast.views import TAUGHT, Sitting
from impasto.features.encoders import VGG
from impasto.types import Features, Image

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""VGG-16: channels and convolutions of each block (Simonyan & Zisserman, ICLR 2015, table 1, D)."""
SPREAD: dict[str, float] = {
    "relu1_1": 1500,
    "relu1_2": 26000,
    "relu2_1": 52000,
    "relu2_2": 140000,
    "relu3_1": 180000,
    "relu3_2": 190000,
    "relu3_3": 170000,
    "relu4_1": 94000,
    "relu4_2": 34000,
    "relu4_3": 6100,
    "relu5_1": 3300,
    "relu5_2": 720,
    "relu5_3": 47.5,
}
"""Variance of each layer's responses of VGG-16 over photographs, a channel: what the default weights of painting fit."""
DEEP = ("relu4_2", "relu5_3")
"""Layers that must recognize a content picture."""
CELLS = 4
"""A content picture is recognized cell by cell, of so many a side."""
EMBEDDING = 64
TEMPERATURE = 0.1


class Narrow(nn.Module):
    """A VGG-16 of fewer channels, to be learned; called with an image in [0, 1] it returns all layers."""

    def __init__(self, width: float, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.convolutions, before = nn.ModuleDict(), 3
        for block, (full, count) in enumerate(BLOCKS, 1):
            for number in range(1, count + 1):
                convolution = nn.Conv2d(before, max(8, round(full * width / 8) * 8), 3, padding=1)
                nn.init.kaiming_normal_(convolution.weight)
                nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # there is one
                self.convolutions[f"relu{block}_{number}"] = convolution
                before = convolution.out_channels
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean.float().view(1, 3, 1, 1))
        self.register_buffer("std", std.float().view(1, 3, 1, 1))

    @property
    def layers(self) -> dict[str, nn.Conv2d]:
        """The convolutions by layer, from shallow to deep."""
        return cast("dict[str, nn.Conv2d]", dict(self.convolutions.items()))

    @property
    def channels(self) -> dict[str, int]:
        """Channels of each layer."""
        return {layer: convolution.out_channels for layer, convolution in self.layers.items()}

    def forward(self, image: Image) -> dict[str, Features]:
        """The layers as `encoders.VGG` has them with its usual padding and pooling, but with gradients for the weights."""
        x, found = (image - self.mean) / self.std, {}
        for layer, convolution in self.layers.items():
            if layer == "relu1_1":
                x = F.conv2d(F.pad(x, (1, 1, 1, 1), "replicate"), convolution.weight, convolution.bias)
            else:
                x = convolution(F.max_pool2d(x, 2) if layer.endswith("_1") else x)
            found[layer] = x = F.relu(x)
        return found


class Pupil(nn.Module):
    """An encoder with what it is examined by: heads for content and style, a decoder, maps to a teacher's layers."""

    def __init__(self, encoder: Narrow, taught: Mapping[str, int]) -> None:
        """`taught`: the channels of the teacher's layers."""
        super().__init__()
        channels = encoder.channels
        self.encoder = encoder
        self.content = nn.ModuleDict({layer: nn.Conv2d(channels[layer], EMBEDDING, 1) for layer in DEEP})
        self.style = nn.Linear(2 * sum(channels[layer] for layer in STYLE_LAYERS), 2 * EMBEDDING)
        self.decoder = nn.Sequential(
            nn.Conv2d(channels["relu4_2"], 64, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 3, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip
        self.maps = nn.ModuleDict({layer: nn.Linear(channels[layer], count) for layer, count in taught.items()})

    def forward(self, sitting: Sitting) -> dict[str, Tensor]:
        """The unweighted terms of the loss."""
        count = len(sitting.plain)
        images = torch.cat([sitting.plain, sitting.changed, sitting.first, sitting.second])
        found = self.encoder(images.to(memory_format=torch.channels_last))
        terms = {
            "content": self._content({layer: found[layer][: 2 * count] for layer in DEEP}),
            "style": self._style({layer: found[layer][2 * count :] for layer in STYLE_LAYERS}, sitting.labels),
            "picture": self._picture(found["relu4_2"][:count], sitting.plain),
        }
        if sitting.taught:
            asked = [*range(count), *range(2 * count, 3 * count)]
            terms |= self._taught({layer: views.at(found[layer][asked], sitting.places) for layer in TAUGHT}, sitting.taught)
        return terms

    def _content(self, found: Mapping[str, Features]) -> Tensor:
        parts = [F.adaptive_avg_pool2d(self.content[layer](even(found[layer])), CELLS) for layer in DEEP]
        vectors = F.normalize(parts[0] + parts[1], dim=1).flatten(2).mT.flatten(0, 1)
        return contrast(vectors, torch.arange(len(vectors) // 2, device=vectors.device).repeat(2))

    def _style(self, found: Mapping[str, Features], labels: Tensor) -> Tensor:
        rows = [part for layer in STYLE_LAYERS for part in _moments(even(found[layer]))]
        return contrast(F.normalize(self.style(torch.cat(rows, 1)), dim=1), labels.repeat(2))

    def _picture(self, features: Features, plain: Image) -> Tensor:
        spread = (plain - plain.mean((0, 2, 3), keepdim=True)).square().mean()
        return F.mse_loss(self.decoder(even(features)), plain) / spread.clamp(min=1e-4)

    def _taught(self, found: Mapping[str, Tensor], taught: Mapping[str, Tensor]) -> dict[str, Tensor]:
        wanted = {layer: even(taught[layer].float()) for layer in TAUGHT}
        answers = [F.mse_loss(self.maps[layer](even(found[layer])), wanted[layer]) for layer in TAUGHT]
        unlike = [1 - cka(found[layer].flatten(0, 1), wanted[layer].flatten(0, 1)) for layer in TAUGHT]
        return {"answers": torch.stack(answers).mean(), "likeness": torch.stack(unlike).mean()}


def even(values: Tensor) -> Tensor:
    """F / √E f²: responses of any scale on one scale."""
    return values / values.square().mean().add(1e-12).sqrt()


def _moments(features: Features) -> tuple[Tensor, Tensor]:
    return features.mean((2, 3)), (features.var((2, 3)) + 1e-4).sqrt()


def contrast(vectors: Tensor, labels: Tensor) -> Tensor:
    """− mean over i and its likes p of log (exp(vᵢ·vₚ / τ) / Σ_{j≠i} exp(vᵢ·vⱼ / τ)), the vectors of unit length.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, eq. 2. With two of each label it is the InfoNCE of
    van den Oord et al. 2018 as Chen et al. (SimCLR, ICML 2020, eq. 1) have it. Of n vectors chance has log(n − 1).
    """
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    near = (vectors @ vectors.T / TEMPERATURE).masked_fill(own, -math.inf)
    logs = (near - near.logsumexp(1, keepdim=True)).masked_fill(own, 0.0)
    alike = (labels[:, None] == labels) & ~own
    return -((logs * alike).sum(1) / alike.sum(1)).mean()


def cka(ours: Tensor, theirs: Tensor) -> Tensor:
    """|XᵀY|² / (|XᵀX| |YᵀY|), rows centered: 1 where the two differ by a turn and a scale, 0 where they share nothing.

    Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019, eq. 5.
    """
    x, y = ours - ours.mean(0), theirs - theirs.mean(0)
    shared = (x.T @ y).square().sum()
    likeness: Tensor = shared / ((x.T @ x).norm() * (y.T @ y).norm()).clamp(min=1e-12)
    return likeness


@torch.no_grad()
def spreads(encoder: Narrow, images: Image) -> dict[str, float]:
    """Variance of each layer's responses over pictures and places, the mean of its channels."""
    return {layer: f.var((0, 2, 3)).mean().item() for layer, f in encoder(images).items()}


@torch.no_grad()
def scale(encoder: Narrow, scales: Mapping[str, float]) -> None:
    """Multiply each layer's responses by its scale.

    max(0, s x) = s max(0, x): so what a layer is multiplied by, the weights of the next are divided by.
    """
    before = 1.0
    for layer, convolution in encoder.layers.items():
        convolution.weight.mul_(scales[layer] / before)
        cast("Tensor", convolution.bias).mul_(scales[layer])
        before = scales[layer]


@torch.no_grad()
def to_paint(encoder: Narrow, scales: Mapping[str, float]) -> VGG:
    """The encoder as painting uses it, each layer's responses times its scale."""
    kept = copy.deepcopy(encoder)
    scale(kept, scales)
    state: dict[str, Tensor] = {}
    index = 0
    for layer, convolution in kept.layers.items():
        index += 1 if layer.endswith("_1") and index else 0  # a pooling lies between
        state |= {f"features.{index}.{name}": tensor.detach() for name, tensor in convolution.named_parameters()}
        index += 2
    return VGG(state, mean=kept.mean.flatten().tolist(), std=kept.std.flatten().tolist()).to(kept.mean.device)
