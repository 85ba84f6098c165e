"""What is kept of a layer's features: statistics that forget where things are, or the features themselves.

Each takes `(features, weight)`, the weight a mask at any size that says how much each position counts (None: all
alike), and returns one value for a batch of one picture. Moments are linear in the picture's positions: they add up over
tiles, and several styles mix by mixing them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from impasto.types import Features, Mask

Statistic = Callable[..., Any]


class Moments(NamedTuple):
    """Mean and second raw moment of a layer's responses: linear in the picture, unlike the covariance."""

    mean: Float[Tensor, " channels"]
    second: Float[Tensor, "channels channels"]

    @property
    def covariance(self) -> Float[Tensor, "channels channels"]:
        """Σ = E[f fᵀ] − μ μᵀ."""
        return self.second - torch.outer(self.mean, self.mean)


class Cloud(NamedTuple):
    """A layer's responses as points: one row a position, with how much each counts (sum 1)."""

    points: Float[Tensor, "points channels"]
    weight: Float[Tensor, " points"]


def wide(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it is that already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def rows(features: Features) -> Float[Tensor, "points channels"]:
    """Features of one picture as a matrix, a row a position (no copy where the layout is channels-last).

    At least float32: responses in bfloat16 are widened, float64 stays.
    """
    if features.shape[0] != 1:
        raise ValueError(f"statistics are of one picture, not of a batch of {features.shape[0]}")
    return wide(features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]))


def spread(weight: Mask | None, features: Features) -> Float[Tensor, " points"]:
    """The weight of each position, summing to 1: the mask averaged down to the features' size."""
    height, width = features.shape[-2:]
    dtype = torch.promote_types(features.dtype, torch.float32)
    if weight is None:
        return torch.full((height * width,), 1 / (height * width), device=features.device, dtype=dtype)
    shares = F.adaptive_avg_pool2d(weight.to(dtype), (height, width)).flatten()
    return shares / shares.sum().clamp(min=1e-12)


class _Moments(torch.autograd.Function):
    """m = Fᵀw and S = Fᵀ diag(w) F, F a row a position: backward is one product, F's gradient w (gᵀ + F (G + Gᵀ))."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(matrix, weight)
        return weight @ matrix, matrix.T @ (weight[:, None] * matrix)

    @staticmethod
    def backward(ctx: Any, mean: Tensor, second: Tensor) -> tuple[Tensor, None]:
        matrix, weight = ctx.saved_tensors
        gradient = torch.addmm(mean.expand(1, -1), matrix, second + second.T)
        return gradient.mul_(weight[:, None]), None


def weighted_moments(matrix: Float[Tensor, "points channels"], weight: Float[Tensor, " points"]) -> Moments:
    """Σ wᵢ fᵢ and Σ wᵢ fᵢ fᵢᵀ of rows fᵢ. The moments of all rows are the sums over any division of them."""
    return Moments(*_Moments.apply(matrix, weight))  # type: ignore[no-untyped-call]


def moments(features: Features, weight: Mask | None = None) -> Moments:
    """μ = Σ wᵢ fᵢ and S = Σ wᵢ fᵢ fᵢᵀ over positions i, Σ wᵢ = 1.

    Invariant under permutation of positions; with masks the guided statistics of Gatys et al., "Controlling Perceptual
    Factors", CVPR 2017, section 4.
    """
    return weighted_moments(rows(features), spread(weight, features))


def gram(features: Features, weight: Mask | None = None) -> Float[Tensor, "channels channels"]:
    """G = F Fᵀ / (H·W), F the C × (H·W) matrix of responses.

    Gatys et al., "Image Style Transfer Using CNNs", CVPR 2016, eq. 3; we divide by H·W here, the paper in the loss
    (eq. 4), so that one style target serves content of any size.
    """
    return moments(features, weight).second


def cloud(features: Features, weight: Mask | None = None) -> Cloud:
    """The responses as weighted points."""
    return Cloud(rows(features), spread(weight, features))


def patches(features: Features, weight: Mask | None = None) -> Cloud:
    """All 3 × 3 patches of the responses as weighted points of 9 C channels (Li & Wand, CVPR 2016, section 3)."""
    height, width = features.shape[-2:]
    if min(height, width) < 3:  # the deepest layers of the smallest pictures
        features = F.pad(features, (0, max(0, 3 - width), 0, max(0, 3 - height)), "replicate")
    matrix = F.unfold(wide(features), 3)[0].T
    shares = spread(weight, features).view(features.shape[-2:])[1:-1, 1:-1].flatten()
    return Cloud(matrix, shares / shares.sum().clamp(min=1e-12))


def identity(features: Features, weight: Mask | None = None) -> Features:
    """The features themselves, in float32: what content is compared by. A weight w multiplies by √w, so that squares count w."""
    if weight is None:
        return wide(features)
    height, width = features.shape[-2:]
    return wide(features) * F.adaptive_avg_pool2d(weight.float(), (height, width)).sqrt()


def similarity(features: Features, weight: Mask | None = None, *, points: int = 1024) -> Float[Tensor, "points points"]:
    """D = pairwise cosine distances between positions, each row divided by its sum: what lies like what.

    Kolkin et al., "Style Transfer by Relaxed Optimal Transport and Self-Similarity", CVPR 2019, eq. 5. Of larger maps
    a regular grid of at most `points` positions is taken, so that content and image are compared at the same ones.
    """
    height, width = features.shape[-2:]
    stride = 1
    while -(-height // stride) * -(-width // stride) > points:
        stride += 1
    matrix = F.normalize(rows(features[..., ::stride, ::stride]), dim=1, eps=1e-6)
    distances = 1 - matrix @ matrix.T
    return distances / distances.sum(1, keepdim=True).clamp(min=1e-6)
