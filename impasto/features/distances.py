"""How far a statistic is from its target. Each is `(value, target) -> scalar`, 0 where they agree.

All distances of style are brought to one unit, squared responses a channel, so that a loss can be exchanged for another
without a new weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import PaintingError
from impasto.features.statistics import Cloud, Moments

Weighted = Sequence[tuple[float, Moments]]


class Gaussian(NamedTuple):
    """A target of `w2`: mean, covariance's trace, and a factor S with S Sᵀ = Σ, as narrow as the rank of Σ."""

    mean: Float[Tensor, " channels"]
    trace: Float[Tensor, ""]
    factor: Float[Tensor, "channels rank"]


def gaussian(mixture: Weighted) -> Gaussian:
    """The normal distribution of several styles' features together: their raw moments mixed by weight.

    Averaging covariances instead would lose what sets the styles' means apart.

    Raises:
        PaintingError: features that are not numbers.
    """
    mean = torch.stack([weight * moments.mean for weight, moments in mixture]).sum(0)
    second = torch.stack([weight * moments.second for weight, moments in mixture]).sum(0)
    # in float64, which not every device has
    covariance = Moments(mean, second).covariance.cpu().double()
    if not torch.isfinite(covariance).all():
        raise PaintingError(
            "the style's features are not numbers: the encoder overflows; try --precision fp32, or another encoder"
        )
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values[-1].clamp(min=1e-30) * torch.finfo(mean.dtype).eps / 100
    kept[-1] = True  # a flat style has no spread, but its factor a column
    factor = vectors[:, kept] * values[kept].clamp(min=0).sqrt()
    return Gaussian(mean, covariance.trace().to(mean), factor.to(mean))


def w2(value: Moments, target: Gaussian) -> Tensor:
    """(|μ − μₛ|² + tr Σ + tr Σₛ − 2 tr (Sᵀ Σ S)^½) / C: squared Wasserstein-2 distance between Gaussians.

    Dowson & Landau 1982, eq. 10; as a style loss due to K. Crowson. With Σₛ = S Sᵀ, tr (Σ^½ Σₛ Σ^½)^½ = Σ √λ(Sᵀ Σ S):
    only eigenvalues are needed, whose gradient has no terms of eigenvalue gaps, and S is as narrow as the style's rank.
    """
    inner = target.factor.T @ value.covariance @ target.factor
    if not torch.isfinite(inner).all():
        return inner.sum() * torch.nan  # the caller's to see; eigenvalues of it cannot be had
    spread = value.covariance.diagonal().sum() + target.trace - 2 * _sum_of_roots(inner)
    squared: Tensor = (value.mean - target.mean).square().sum() + spread
    return squared / len(target.mean)


def _sum_of_roots(matrix: Tensor) -> Tensor:
    """Σ √λ of a positive matrix, as Σ λ / √(λ + ε λmax): within rounding of the root, with a finite slope at 0."""
    eigenvalues = torch.linalg.eigvalsh((matrix + matrix.T) / 2).clamp(min=0)
    floor = eigenvalues.detach()[-1].clamp(min=1e-12) * torch.finfo(matrix.dtype).eps
    roots: Tensor = eigenvalues * (eigenvalues + floor).rsqrt()
    return roots.sum()


def mixed_gram(mixture: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Gram matrices mixed by weight."""
    return torch.stack([weight * matrix for weight, matrix in mixture]).sum(0)


def gram(value: Tensor, target: Tensor) -> Tensor:
    """|G − Gₛ|² / (C |Gₛ|): Gatys et al., CVPR 2016, eq. 4, divided by the target's norm instead of 4 C² H² W².

    So it has the unit of the other distances and does not grow with the fourth power of the responses.
    """
    difference: Tensor = (value - target).square().sum()
    size: Tensor = target.detach().norm().clamp(min=1e-12)
    return difference / (len(target) * size)


class Quantiles(NamedTuple):
    """A target of `sliced`: directions, and the sorted projections of the style on each."""

    directions: Float[Tensor, "channels directions"]
    sorted: Float[Tensor, "quantiles directions"]


DIRECTIONS, QUANTILES = 64, 1024


def quantiles(cloud: Cloud, directions: Tensor, count: int) -> Float[Tensor, "count directions"]:
    """Projections on each direction at `count` evenly spaced quantiles of the weighted points (midpoints, linear between)."""
    counting = cloud.weight > 0  # the others would be knots of the interpolation
    points, weights = (cloud.points[counting], cloud.weight[counting]) if counting.any() else cloud
    if len(points) == 1:
        return (points @ directions).expand(count, -1)
    projections, order = (points @ directions).sort(0)
    weight = weights[order]
    level = weight.cumsum(0) - weight / 2
    middles = (torch.arange(count, device=level.device, dtype=level.dtype) + 0.5) / count
    wanted = middles.expand(level.shape[1], -1).contiguous()
    right = torch.searchsorted(level.T.contiguous(), wanted).clamp(1, len(level) - 1).T
    low, high = level.gather(0, right - 1), level.gather(0, right)
    share = ((wanted.T - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    return torch.lerp(projections.gather(0, right - 1), projections.gather(0, right), share)


def joined(mixture: Sequence[tuple[float, Cloud]]) -> Cloud:
    """Several styles' points in one cloud, each style's share by its weight."""
    points = torch.cat([cloud.points for _, cloud in mixture])
    return Cloud(points, torch.cat([weight * cloud.weight for weight, cloud in mixture]))


def sampled(mixture: Sequence[tuple[float, Cloud]], *, points: int = 4096) -> Cloud:
    """At most `points` of several styles' points, each style's share of them by its weight; always the same ones."""
    kept = []
    for weight, cloud in mixture:
        chosen = cloud.points[cloud.weight > 0]
        count = min(len(chosen), max(1, round(points * weight)))
        kept.append(chosen[torch.linspace(0, len(chosen) - 1, count, device=chosen.device).round().long()])
    together = torch.cat(kept)
    if len(together) == 0:
        raise PaintingError("nothing of the styles counts: they are transparent, or their masks are empty")
    return Cloud(together, torch.full((len(together),), 1 / len(together), device=together.device))


def sliced_target(mixture: Sequence[tuple[float, Cloud]]) -> Quantiles:
    """Fixed random directions (drawn on the CPU) and the style's sorted projections on them."""
    cloud = joined(mixture)
    channels = cloud.points.shape[1]
    drawn = torch.randn(channels, DIRECTIONS, generator=torch.Generator().manual_seed(channels))
    directions = F.normalize(drawn, dim=0).to(cloud.points)
    return Quantiles(directions, quantiles(cloud, directions, QUANTILES))


def sliced(value: Cloud, target: Quantiles) -> Tensor:
    """Mean squared difference between sorted projections on unit directions.

    Heitz et al., "A Sliced Wasserstein Loss for Neural Texture Synthesis", CVPR 2021, eq. 6; quantiles in the place of
    sorted pixels, so that sizes may differ and masks count.
    """
    return (quantiles(value, target.directions, len(target.sorted)) - target.sorted).square().mean()


@torch.no_grad()
def matches(points: Float[Tensor, "points channels"], others: Float[Tensor, "others channels"]) -> Tensor:
    """For each point the index of the other at the smallest angle; a part at a time, for all cosines at once are gigabytes."""
    directions = F.normalize(others, dim=1, eps=1e-6).T
    return torch.cat([(part @ directions).argmax(1) for part in torch.split(points, 4096)])


def nearest(value: Cloud, target: Cloud) -> Tensor:
    """Σ wᵢ minⱼ (1 − cos(fᵢ, sⱼ)) · E|s|² / C: each feature to the style's nearest by angle.

    Kolkin et al., "Neural Neighbor Style Transfer", 2022, eq. 2, with the match found anew at each step; scaled by the
    style's mean energy to have the unit of the other distances. Angles forget size, so the mean and deviation of the
    responses' lengths are matched beside.
    """
    own, wanted = value.points, target.points
    similarity = F.cosine_similarity(own, wanted[matches(own, wanted)], dim=1, eps=1e-6)
    angle = ((1 - similarity) * value.weight).sum()
    lengths, goal = own.square().sum(1).add(1e-6).sqrt(), wanted.square().sum(1).sqrt()
    mean = (lengths * value.weight).sum()
    deviation = ((lengths - mean).square() * value.weight).sum().add(1e-6).sqrt()
    size = (mean - goal.mean()).square() + (deviation - goal.std(unbiased=False)).square()
    return (2 * angle * goal.square().mean() + size) / own.shape[1]


def patch(value: Cloud, target: Cloud) -> Tensor:
    """Σ wᵢ |pᵢ − s_{NN(i)}|² / 9 C: each 3 × 3 patch to the style's nearest by normalized correlation.

    Li & Wand, "Combining Markov Random Fields and CNNs", CVPR 2016, eqs. 2 and 3.
    """
    match = target.points[matches(value.points, target.points)]
    return ((value.points - match).square().mean(1) * value.weight).sum()


def mse(value: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference (Gatys et al., CVPR 2016, eq. 1, a mean for the sum)."""
    return F.mse_loss(value, target)


def absolute(value: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, summed over rows: the self-similarity loss of Kolkin et al., CVPR 2019, eq. 5."""
    return (value - target).abs().sum(1).mean()


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference between neighbours, over the nine-point stencil: the same in all directions.

    Horizontal and vertical neighbours count 2/3, diagonal ones 1/6 each, edges replicated. Constant pictures have 0.
    """
    p = F.pad(image, (1, 1, 1, 1), "replicate")
    center = p[..., 1:-1, 1:-1]
    straight = (p[..., 1:-1, 2:] - center).square().mean() + (p[..., 2:, 1:-1] - center).square().mean()
    diagonal = (p[..., 1:, 1:] - p[..., :-1, :-1]).square().mean() + (p[..., 1:, :-1] - p[..., :-1, 1:]).square().mean()
    return straight * 2 / 3 + diagonal / 6
