"""What an encoder recognizes: the same three questions to any encoder, with nothing learned for the answers but a line.

Content: is a picture's changed view, by the responses of relu4_2, nearest to the picture itself among others? Style: is
another crop of a painting, by the mean and deviation of the style layers' channels, nearest to that painting? Picture: how
well does a linear map from relu4_2 tell the pixels under each of its positions?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from impasto.features.encoders import VGG
from impasto.types import Features, Image

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CELL = 8
"""Side of what one position of CONTENT_LAYER stands for, px."""
AT_ONCE = 8
"""Pictures encoded at a time."""
RIDGE = 1e-2
"""What is added to the covariance of the responses, as a share of its mean diagonal."""

Rows = Float[Tensor, "pictures numbers"]


class Trial(NamedTuple):
    """The pictures of the questions, all of them held out but `read`."""

    plain: Image
    """Crops of different content pictures."""
    changed: Image
    """Their changed views."""
    gallery: Image
    """Crops of different style pictures."""
    labels: Tensor
    asked: Image
    """Other crops of the same pictures, the gallery several times over."""
    read: Image
    """Pictures that the map to pixels is fitted on."""


@torch.no_grad()
def judge(encoder: VGG, trial: Trial) -> dict[str, float]:
    """Top-1 of content and style, 0 to 1, and the picture's relative squared error, 0 to 1 where only the mean is known."""
    content = [gathered(encoder, images, (CONTENT_LAYER,), _laid_out) for images in (trial.plain, trial.changed)]
    style = [gathered(encoder, images, STYLE_LAYERS, _summed_up) for images in (trial.gallery, trial.asked)]
    responses = [gathered(encoder, images, (CONTENT_LAYER,), _positions) for images in (trial.read, trial.plain)]
    deviation, (right, allowed) = style[0].std(0).clamp(min=1e-6), _wanted(trial)
    return {
        "content_top1": top1(content[0], content[1], torch.eye(len(trial.plain), dtype=torch.bool)),
        "style_top1": top1(style[0] / deviation, style[1] / deviation, right, allowed),
        "picture_error": unread(responses[0], blocks(trial.read), responses[1], blocks(trial.plain)),
    }


def chance(trial: Trial) -> dict[str, float]:
    """What guessing reaches."""
    right, allowed = _wanted(trial)
    guessed = ((right & allowed).sum(1) / allowed.sum(1)).mean().item()
    return {"content_top1": 1 / len(trial.plain), "style_top1": guessed, "picture_error": 1.0}


def _wanted(trial: Trial) -> tuple[Bool[Tensor, "asked gallery"], Bool[Tensor, "asked gallery"]]:
    """Which of the gallery are right for each that is asked for, and which may be answered.

    Where a painter has other paintings there, the asked one itself may not: the painter is to be recognized.
    """
    labels = trial.labels.cpu()
    times = len(trial.asked) // len(labels)
    alike = labels[:, None] == labels
    own = torch.eye(len(labels), dtype=torch.bool)
    allowed = ~own | (alike.sum(1, keepdim=True) == 1)
    return alike.repeat(times, 1), allowed.repeat(times, 1)


def top1(gallery: Rows, asked: Rows, right: Bool[Tensor, "a g"], allowed: Bool[Tensor, "a g"] | None = None) -> float:
    """Share of `asked` whose nearest of the gallery, by the angle seen from the gallery's mean, is right."""
    center = gallery.mean(0)
    near = F.normalize(asked - center, dim=1) @ F.normalize(gallery - center, dim=1).T
    if allowed is not None:
        near = near.masked_fill(~allowed, -2.0)
    found: float = right.gather(1, near.argmax(1, keepdim=True)).double().mean().item()
    return found


def unread(known: Rows, wanted: Rows, asked: Rows, answers: Rows) -> float:
    """|Y − X W|² / |Y − E Y|² of (asked, answers), with W fitted to (known, wanted) by ridge regression with a constant."""
    center, mean = known.mean(0), wanted.mean(0)
    inputs = (known - center).double()
    covariance = inputs.T @ inputs
    covariance += RIDGE * covariance.diagonal().mean().clamp(min=1e-12) * torch.eye(len(covariance), dtype=torch.float64)
    linear = torch.linalg.solve(covariance, inputs.T @ (wanted - mean).double())
    left = (answers - mean).double() - (asked - center).double() @ linear
    error: float = (left.square().sum() / (answers - answers.mean(0)).double().square().sum().clamp(min=1e-12)).item()
    return error


def gathered(encoder: VGG, images: Image, layers: Sequence[str], kept: Callable[[Sequence[Features]], Tensor]) -> Rows:
    """What is kept of the layers' responses, a few pictures at a time, on the CPU."""
    parts = []
    for some in torch.split(images, AT_ONCE):
        found = encoder(some, layers)
        parts.append(kept([found[layer].float() for layer in layers]).cpu())
    return torch.cat(parts)


def _laid_out(found: Sequence[Features]) -> Rows:
    return F.adaptive_avg_pool2d(found[0], 4).flatten(1)


def _summed_up(found: Sequence[Features]) -> Rows:
    return torch.cat([part for f in found for part in (f.mean((2, 3)), f.std((2, 3)))], 1)


def _positions(found: Sequence[Features]) -> Rows:
    return found[0].permute(0, 2, 3, 1).flatten(0, 2)


def blocks(images: Image) -> Rows:
    """The pixels under each position of CONTENT_LAYER, in the order of `_positions`."""
    return F.pixel_unshuffle(images, CELL).permute(0, 2, 3, 1).flatten(0, 2).cpu()


@torch.no_grad()
def portrait(encoder: VGG, image: Image, columns: int = 7) -> Image:
    """A picture and, for each layer, its three directions of most variance as red, green and blue; from left to right."""
    found = encoder(image, encoder.layers)
    tiles = [image, *(_in_colors(found[layer].float(), image.shape[-2:]) for layer in encoder.layers)]
    tiles += [torch.ones_like(image)] * (-len(tiles) % columns)
    rows = [torch.cat(tiles[start : start + columns], -1) for start in range(0, len(tiles), columns)]
    return torch.cat(rows, -2)


def _in_colors(features: Features, size: Sequence[int]) -> Image:
    points = features[0].flatten(1).double().cpu()
    points = points - points.mean(1, keepdim=True)
    _, vectors = torch.linalg.eigh(points @ points.T)
    axes = vectors[:, -3:].flip(1)
    axes = axes * torch.where(axes.sum(0) < 0, -1.0, 1.0)  # eigenvectors have no sign of their own
    colors = axes.T @ points
    colors = 0.5 + colors / (4 * colors.std(1, keepdim=True).clamp(min=1e-9))
    small = colors.clamp(0, 1).view(1, 3, *features.shape[-2:]).to(features)
    return F.interpolate(small, tuple(size), mode="nearest")
