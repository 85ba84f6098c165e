"""What a filter is trained for: the distance of statistics, content, and steadiness under motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.fast.nets import logit, signature
from impasto.features.encoders import VGG
from impasto.types import Features, Image

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_1"
TONE = 32
"""Side of the squares whose mean colors are tones, px."""
FLOOR = 1.0
"""Added to every variance before its root (responses are on the 0-255 scale: variances are in the thousands)."""


class Target(NamedTuple):
    """What a painting's features are to be: a row a style of each."""

    mean: Tensor
    deviation: Tensor
    basis: Tensor
    """Eigenvectors of the covariance, in columns, in the encoder's precision."""
    spectrum: Tensor
    """Deviation along each of them."""


class Style(NamedTuple):
    """A style as training uses it: the target of each layer, and the predictor's row."""

    targets: dict[str, Target]
    row: Tensor


def points(features: Features) -> Tensor:
    """Features as batch x positions x channels (no copy where the layout is channels-last)."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def raw_moments(features: Features) -> tuple[Tensor, Tensor]:
    """Mean, and second raw moment E[f fᵀ], each with a leading batch, in float64."""
    f = points(features).float()
    return f.mean(1).double(), (f.mT @ f / f.shape[1]).double()


def target(mean: Tensor, second: Tensor) -> Target:
    """Target from raw moments; deviations carry the same floor as the painted picture's."""
    covariance = second - mean[:, :, None] * mean[:, None, :]
    values, vectors = torch.linalg.eigh(covariance)
    parts = mean, (variance(mean, second) + FLOOR).sqrt(), vectors, (values.clamp(min=0) + FLOOR).sqrt()
    mean, deviation, vectors, spectrum = (part.float() for part in parts)
    return Target(mean, deviation, vectors.bfloat16(), spectrum)


@torch.no_grad()
def encode_style(encoder: VGG, crops: Sequence[tuple[float, Image]]) -> Style:
    """The targets of a style: the crops' raw moments mixed by weight, as one picture that holds them all."""
    device = next(encoder.buffers()).device
    mixed: dict[str, tuple[Tensor, Tensor]] = {}
    for weight, crop in crops:
        crop = crop.to(device)
        for layer, features in {"logit": logit(crop), **encoder(crop, STYLE_LAYERS)}.items():
            mean, second = raw_moments(features.cpu())
            before = mixed.get(layer, (torch.zeros_like(mean), torch.zeros_like(second)))
            mixed[layer] = before[0] + weight * mean, before[1] + weight * second
    row = signature({layer: (mean.float(), variance(mean, second).sqrt().float()) for layer, (mean, second) in mixed.items()})
    targets = {layer: Target(*(part.to(device) for part in target(*mixed[layer]))) for layer in STYLE_LAYERS}
    return Style(targets, row.to(device))


def variance(mean: Tensor, second: Tensor) -> Tensor:
    """Diagonal of the covariance, from raw moments."""
    return (second.diagonal(dim1=1, dim2=2) - mean.square()).clamp(min=0)


def distance(features: Features, wanted: Target, usual: Tensor | None = None) -> Tensor:
    """(|Δμ|² + ½|Δσ|² + ½|Δσ'|²) / E, one value a picture: σ along channels, σ' along the style's own axes.

    E = |μₛ|² + |σₛ|², or where `usual` is given (the mean of E over styles) the mean of the two: relative distances alone
    would let smooth, pale styles rule, absolute ones the harsh.

    |Δμ|² + |Δσ|² in any orthonormal basis is at most the squared Wasserstein-2 distance of the two normal distributions
    (pinching a covariance never increases the Bures distance), and equals it in the basis where both are diagonal. So
    this is a floor under the product's style distance at a fraction of its price: no root of a matrix for each picture.
    Huang & Belongie (ICCV 2017, eq. 13) match channels only.
    """
    f = points(features)
    mean = f.mean(1, dtype=torch.float32)
    centered = f - mean[:, None].to(f.dtype)
    deviation = _deviation(centered)
    spectrum = _deviation(centered @ wanted.basis.to(f.dtype))
    apart = (mean - wanted.mean).square() + ((deviation - wanted.deviation).square() + (spectrum - wanted.spectrum).square()) / 2
    energies = size(wanted)
    return apart.sum(1) / (energies if usual is None else (energies + usual) / 2)


def size(wanted: Target) -> Tensor:
    """|μₛ|² + |σₛ|², one value a style."""
    return (wanted.mean.square() + wanted.deviation.square()).sum(1)


def _deviation(centered: Tensor) -> Tensor:
    return (centered.square().mean(1, dtype=torch.float32) + FLOOR).sqrt()


def energy(features: Features) -> Tensor:
    """Mean square of responses."""
    return features.float().square().mean()


def blotches(painted: Image, photo: Image) -> Tensor:
    """|Y - X (XᵀX)⁻¹ XᵀY|² / N, one value a picture: tones of the painting that no affine map of the photograph's explains.

    Y and X are the colors of the two, averaged over squares of 32 px (X with a constant): N places, three colors. Statistics
    alone are met most cheaply by large patches of light and dark wherever the noise is high: painters keep the values of
    what they see, in whatever colors, and put their variety into strokes, which this does not touch.
    """
    tones, seen = (F.avg_pool2d(image.float(), TONE, TONE // 2).flatten(2).mT for image in (painted, photo))
    seen = torch.cat([seen, torch.ones_like(seen[..., :1])], 2)
    inner = seen.mT @ seen + 1e-3 * torch.eye(4, device=seen.device)
    rest = tones - seen @ torch.linalg.solve(inner, seen.mT @ tones)
    apart: Tensor = rest.square().sum(2).mean(1)
    return apart


def unsteadiness(painted: Image, moved: Image, grid: Tensor) -> Tensor:
    """Mean squared difference between the painted picture moved and the moved picture painted, where both are seen."""
    seen = (grid.abs().amax(-1) < 0.95)[:, None]
    apart = (F.grid_sample(painted, grid, align_corners=False) - moved).square().mean(1, keepdim=True)
    return (apart * seen).sum((1, 2, 3)) / seen.sum((1, 2, 3)).clamp(min=1)
