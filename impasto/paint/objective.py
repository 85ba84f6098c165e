"""What is being minimized: a sum of terms, each a distance between a statistic of a layer's features and its target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.features import distances, statistics
from impasto.features.encoders import VGG
from impasto.features.statistics import Statistic
from impasto.paint.settings import Settings
from impasto.types import Features, Image, Mask


@dataclass(frozen=True, slots=True)
class Term:
    """weight · distance(statistic(features of layer), target)."""

    name: str
    layer: str
    weight: float
    statistic: Statistic
    distance: Callable[[Any, Any], Tensor]
    target: Any

    def __call__(self, features: Features) -> Tensor:
        return self.weight * self.distance(self.statistic(features), self.target)


@dataclass(frozen=True, slots=True)
class Objective:
    """The sum of its terms, over one pass of the encoder."""

    encoder: VGG
    terms: Sequence[Term]

    def __call__(self, image: Image) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of an image, and of each term by name (terms of one name added up)."""
        features = self.encoder(image, dict.fromkeys(term.layer for term in self.terms))
        losses: dict[str, Tensor] = {}
        for term in self.terms:
            value = term(features[term.layer])
            losses[term.name] = losses[term.name] + value if term.name in losses else value
        return torch.stack(list(losses.values())).sum(), losses


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


class Source(NamedTuple):
    """A picture that statistics are taken from: its share of the mixture, and which of its pixels count."""

    image: Image
    share: float
    mask: Mask | None = None


def style_loss(name: str) -> StyleLoss:
    """The style loss of a name.

    Raises:
        UsageError: no such loss.
    """
    if name not in STYLE_LOSSES:
        raise UsageError(f"style_loss {name!r} is not one of {', '.join(STYLE_LOSSES)}")
    return STYLE_LOSSES[name]


@torch.no_grad()
def style_terms(encoder: VGG, sources: Sequence[Source], settings: Settings, mask: Mask | None = None) -> list[Term]:
    """One term a style layer, towards the mixture of the sources' statistics, over the image's pixels that `mask` selects."""
    loss = style_loss(settings.style_loss)
    total = sum(settings.style_layer_weights)
    found = [(source, encoder(source.image, settings.style_layers)) for source in sources if source.share > 0]
    terms = []
    for layer, layer_weight in zip(settings.style_layers, settings.style_layer_weights, strict=True):
        target = loss.mix([(source.share, loss.statistic(features[layer], source.mask)) for source, features in found])
        statistic = loss.statistic if mask is None else statistics.masked(loss.statistic, mask)
        weight = settings.style_weight * layer_weight / total
        terms.append(Term("style", layer, weight, statistic, loss.distance, target))
    return terms


@torch.no_grad()
def content_terms(encoder: VGG, content: Image, settings: Settings) -> list[Term]:
    """One term a content layer, towards the content's own features."""
    statistic, distance = CONTENT_LOSSES[settings.content_loss]
    scale = SIMILARITY_SCALE if settings.content_loss == "similarity" else 1.0
    features = encoder(content, settings.content_layers)
    weight = scale * settings.content_weight / len(settings.content_layers)
    return [Term("content", layer, weight, statistic, distance, statistic(features[layer])) for layer in settings.content_layers]


def smoothness_terms(settings: Settings) -> list[Term]:
    """Total variation of the image itself, where its weight is not 0."""
    if settings.tv_weight == 0:
        return []
    # the image is in [0, 1], the features on the scale of 0...255: the same weight must mean the same
    weight = settings.tv_weight * 255.0**2
    return [Term("smoothness", "input", weight, statistics.identity, lambda image, _: distances.total_variation(image), None)]
