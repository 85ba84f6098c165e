"""What is being minimized: a sum of terms, each a distance between a statistic of a layer's features and its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.features import distances, statistics
from impasto.features.encoders import VGG
from impasto.features.statistics import Statistic
from impasto.paint.optimize import Objective as Minimized
from impasto.paint.settings import Settings
from impasto.pixels import geometry
from impasto.types import Features, Image, Mask


@dataclass(frozen=True, slots=True)
class Term:
    """weight · distance(statistic(features of layer, mask), target)."""

    name: str
    layer: str
    weight: float
    statistic: Statistic
    distance: Callable[[Any, Any], Tensor]
    target: Any
    mask: Mask | None = None
    """How much each position counts, at any size; None: all alike."""

    def __call__(self, features: Features) -> Tensor:
        return self.weight * self.distance(self.statistic(features, self.mask), self.target)


@dataclass(frozen=True, slots=True)
class Objective:
    """The sum of its terms, over one pass of the encoder."""

    encoder: VGG
    terms: Sequence[Term]

    def __call__(self, image: Image) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of an image, and of each term by name (terms of one name added up)."""
        features = self.encoder(image, dict.fromkeys(term.layer for term in self.terms))
        losses = summed((term.name, term(features[term.layer])) for term in self.terms)
        return torch.stack(list(losses.values())).sum(), losses

    def gradient(self, image: Image, step: int = 0) -> tuple[dict[str, Tensor], Image]:
        """Each term's loss and "total", and the gradient of the total with respect to the image."""
        image = image.detach().requires_grad_()
        loss, losses = self(image)
        (gradient,) = torch.autograd.grad(loss, image)
        return {**{name: value.detach() for name, value in losses.items()}, "total": loss.detach()}, gradient


class Scales:
    """The sum of an objective on the picture as it is, and of another on the picture seen from afar.

    What a network sees at once is some hundred pixels: of a large picture it judges only the grain. Both losses are means
    over positions, so both pull a pixel alike.
    """

    def __init__(self, near: Minimized, far: Minimized, shape: tuple[int, int]) -> None:
        """`shape`: height and width of the picture as it is seen from afar, px."""
        self.near, self.far, self.shape = near, far, shape

    def gradient(self, image: Image, step: int = 0) -> tuple[dict[str, Tensor], Image]:
        """Each term's loss and "total", both objectives' added up, and the gradient with respect to the image."""
        losses, pull = self.near.gradient(image, step)
        image = image.detach().requires_grad_()
        small = geometry.resize(image, self.shape)
        far, pull_far = self.far.gradient(small, step)
        (back,) = torch.autograd.grad(small, image, pull_far)
        return summed([*losses.items(), *far.items()]), pull + back


def summed(values: Any) -> dict[str, Tensor]:
    """(name, value) pairs as a dict, values of one name added up."""
    found: dict[str, Tensor] = {}
    for name, value in values:
        found[name] = found[name] + value if name in found else value
    return found


class StyleLoss(NamedTuple):
    """A way to compare style: the statistic, how those of several styles become one target, and the distance to it."""

    statistic: Statistic
    mix: Callable[[Sequence[tuple[float, Any]]], Any]
    distance: Callable[[Any, Any], Tensor]


STYLE_LOSSES: dict[str, StyleLoss] = {
    "w2": StyleLoss(statistics.moments, distances.gaussian, distances.w2),
    "gram": StyleLoss(statistics.gram, distances.mixed_gram, distances.gram),
    "swd": StyleLoss(statistics.cloud, distances.sliced_target, distances.sliced),
    "nn": StyleLoss(statistics.cloud, distances.sampled, distances.nearest),
    "patch": StyleLoss(statistics.patches, distances.sampled, distances.patch),
}

CONTENT_LOSSES: dict[str, tuple[Statistic, Callable[[Any, Any], Tensor]]] = {
    "features": (statistics.identity, distances.mse),
    "similarity": (statistics.similarity, distances.absolute),
}

SIMILARITY_SCALE = 1e5
"""Self-similarity lies between 0 and 2 whatever the network; this brings it to the size of squared responses."""


Look = Callable[[Image, Sequence[str]], Mapping[str, Features | None]]
"""How features are had of a picture: by the encoder, or None where they are taken tile by tile, in each step."""


class Source(NamedTuple):
    """A style's statistics by layer, and its share of the mixture."""

    values: Mapping[str, Any]
    share: float


def style_loss(name: str) -> StyleLoss:
    """The style loss of a name.

    Raises:
        UsageError: no such loss.
    """
    if name not in STYLE_LOSSES:
        raise UsageError(f"style_loss {name!r} is not one of {', '.join(STYLE_LOSSES)}")
    return STYLE_LOSSES[name]


def shared(sources: Sequence[Source], region: str) -> list[Source]:
    """Sources with shares that sum to 1."""
    total = sum(source.share for source in sources)
    if total == 0:
        raise UsageError(f"the styles of region {region!r} all have the weight 0")
    return [source._replace(share=source.share / total) for source in sources]


@torch.no_grad()
def style_terms(sources: Sequence[Source], settings: Settings, mask: Mask | None = None, area: float = 1.0) -> list[Term]:
    """One term a style layer, towards the mixture of the sources' statistics, over the image's pixels that `mask` selects.

    `area` is the share of the picture that the mask covers: it weights the terms, so that each pixel is pulled alike
    whether its region is large or small.
    """
    loss = style_loss(settings.style_loss)
    total = sum(settings.style_layer_weights)
    terms = []
    for layer, share in zip(settings.style_layers, settings.style_layer_weights, strict=True):
        found = [(source.share, source.values[layer]) for source in sources if source.share > 0]
        weight = settings.style_weight * share / total * area
        terms.append(Term("style", layer, weight, loss.statistic, loss.distance, loss.mix(found), mask))
    return terms


def _seen(statistic: Statistic, features: Features | None, mask: Mask | None = None) -> Any:
    """A statistic of the content; None where its features are only taken while working, over tiles."""
    return None if features is None else statistic(features, mask)


@torch.no_grad()
def content_terms(content: Image, look: Look, settings: Settings) -> list[Term]:
    """One term a content layer, towards the content's own features."""
    statistic, distance = CONTENT_LOSSES[settings.content_loss]
    scale = SIMILARITY_SCALE if settings.content_loss == "similarity" else 1.0
    weight = scale * settings.content_weight / len(settings.content_layers)
    features = look(content, settings.content_layers)
    return [
        Term("content", layer, weight, statistic, distance, _seen(statistic, features[layer]))
        for layer in settings.content_layers
    ]


@torch.no_grad()
def anchor_terms(content: Image, look: Look, settings: Settings, amount: Mask | float) -> list[Term]:
    """One term a style layer that holds the image at the content: what strength t < 1 adds, as `amount` = 1 − t.

    Σ wₗ [t · W₂²(F, S) + (1 − t) · |F − C|²] is least at F = (1 − t) C + t T(C), T the optimal transport of the content's
    features C to the style's S: McCann's displacement interpolation, at every position alike. Mixing the content's
    statistics into the style's instead would be satisfied by painting some places in full and others not at all.
    """
    if not isinstance(amount, Tensor) and amount == 0:
        return []
    mask, factor = (amount, 1.0) if isinstance(amount, Tensor) else (None, amount)
    total = sum(settings.style_layer_weights)
    features = look(content, settings.style_layers)
    terms = []
    for layer, share in zip(settings.style_layers, settings.style_layer_weights, strict=True):
        weight = factor * settings.style_weight * share / total
        target = _seen(statistics.identity, features[layer], mask)
        terms.append(Term("anchor", layer, weight, statistics.identity, distances.mse, target, mask))
    return terms


def smoothness_terms(settings: Settings) -> list[Term]:
    """Total variation of the image itself, where its weight is not 0."""
    if settings.tv_weight == 0:
        return []
    # the image is in [0, 1], the features on the scale of 0...255: the same weight must mean the same
    weight = settings.tv_weight * 255.0**2
    return [Term("smoothness", "input", weight, statistics.identity, _variation, None)]


def _variation(image: Image, _target: None) -> Tensor:
    return distances.total_variation(image)


Amount = TypeVar("Amount", float, Tensor)


def pull(strength: Amount) -> Amount:
    """How much of the way to the style: t = 1 − (1 − strength)². So half the strength looks like half."""
    return 1 - (1 - strength) ** 2


def unseen(_image: Image, layers: Sequence[str]) -> dict[str, None]:
    """Features that are not taken beforehand."""
    return dict.fromkeys(layers)
