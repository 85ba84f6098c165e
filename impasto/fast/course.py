"""The stream of batches that training sees, with what the encoder says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.fast import data
from impasto.fast.losses import (
    CONTENT_LAYER,
    STYLE_LAYERS,
    Style,
    Target,
    blotches,
    distance,
    encode_style,
    energy,
    size,
    unsteadiness,
)
from impasto.features.encoders import VGG
from impasto.types import Features, Image


@dataclass(frozen=True)
class Pace:
    """What the loop itself needs to know of a training, whatever is learned."""

    net: str = "any"
    crop: int = 128
    """Side of what the losses see, px."""
    batch: int = 4
    """Pictures a step, over all processes."""
    rate: float = 2e-3
    """Learning rate of Adam after the warm-up; falls with the inverse root of steps from `settle` on."""
    warmup: int = 300
    settle: int = 10000
    average: float = 0.999
    """Decay of the average of weights that is validated and kept."""
    validate: int = 500
    """Steps between validations (and states saved)."""
    seed: int = 0


@dataclass(frozen=True)
class Settings(Pace):
    """Everything that can be set about the training of filters."""

    margin: int = 16
    """Pixels that the network paints beyond it on each side, so that it does not only learn borders."""
    predictor: float = 0.5
    """The predictor's learning rate against the others': its last layers move every part of a code at once."""
    decay: float = 1e-2
    """Weight decay of the predictor."""
    content: float = 1.0
    style: float = 12.0
    ramp: int = 1000
    """Steps over which the weight of style rises from a tenth to its full value."""
    layers: tuple[float, ...] = (0.7, 1.3, 1.3, 0.7)
    """Weights of the style layers."""
    tone: float = 30.0
    """Of patches of light and dark that the photograph has not."""
    motion: float = 10.0
    motion_from: int = 8000
    """Step from which the weight of motion rises, over `ramp` steps."""
    blur: float = 0.2
    """Noise on the standardized row of a painting, so that it does not learn the paintings by heart."""
    weaken: float = 0.3
    """Share of pictures that are painted with a strength under 1."""
    photo_uses: int = 8
    style_uses: int = 24
    """How many times a crop is met before it is replaced: what the encoder says of it is kept."""
    photo_window: int = 1024
    style_window: int = 1024
    style_crop: int = 224
    """Side of the paintings' crops, px."""
    sample: int = 256
    """Styles and photographs whose mean energies are the units of the losses; the styles tell what the predictor looks at."""
    exam: int = 6
    """Batches of held-out pictures that a validation looks at."""


class Photo(NamedTuple):
    """A photograph's crop with margin, and the content layer's features of the crop."""

    image: Image
    features: Features


class Batch(NamedTuple):
    """One step's pictures and what is wanted of them."""

    photo: Image
    features: Features
    targets: dict[str, Target]
    row: Tensor
    noise: Tensor
    """Added to the standardized row."""
    strength: Tensor
    moved: Image | None
    grid: Tensor | None


class Course:
    """The stream of batches: photographs and styles with what the encoder says of them, each kept for several uses."""

    def __init__(self, source: data.Source, encoder: VGG, settings: Settings, like: Course | None = None) -> None:
        """`like`: the course whose usual energies are the units of the losses (default: this one's own)."""
        self.source, self.encoder, self.settings = source, encoder, settings
        self.device = next(encoder.buffers()).device
        self.photos = data.Reused(self.photo, settings.photo_window, settings.photo_uses, settings.seed)
        self.styles = data.Reused(self.style, settings.style_window, settings.style_uses, settings.seed + 1)
        self.usual: dict[str, Tensor]
        self.energy: Tensor
        self.rows: Tensor
        if like is None:
            self._measure()
        else:
            self.usual, self.energy, self.rows = like.usual, like.energy, like.rows

    def _measure(self) -> None:
        some = [self.styles.make(number) for number in range(self.settings.sample)]
        self.rows = torch.cat([style.row for style in some])
        self.usual = {layer: torch.cat([size(style.targets[layer]) for style in some]).mean() for layer in STYLE_LAYERS}
        self.energy = torch.stack([energy(self.photos.make(number).features) for number in range(self.settings.sample)]).mean()

    @torch.no_grad()
    def photo(self, number: int) -> Photo:
        """Photograph `number` of the source, encoded."""
        image = self.source.photo(number).to(self.device)
        return Photo(image, self.encoder(self.inner(image), [CONTENT_LAYER])[CONTENT_LAYER])

    def style(self, number: int) -> Style:
        """Style `number` of the source, encoded."""
        return encode_style(self.encoder, self.source.style(number))

    def inner(self, image: Image) -> Image:
        """The picture without its margin."""
        margin = self.settings.margin
        return image[..., margin : image.shape[-2] - margin, margin : image.shape[-1] - margin]

    def batch(self, step: int, rank: int = 0, ranks: int = 1, *, moving: bool = False) -> Batch:
        """This process's part of the batch of a step; together the parts are what one process alone would see.

        Everything random is drawn for the whole batch, then cut. `moving`: with moved copies of the photographs.
        """
        count = self.settings.batch
        mine = slice(rank * count // ranks, (rank + 1) * count // ranks)
        rng = np.random.default_rng((self.settings.seed, 4, step))
        weak = rng.random(count) < self.settings.weaken
        strength = torch.tensor(np.where(weak, rng.uniform(0.1, 1.0, count), 1.0), dtype=torch.float32)[mine]
        places = range(step * count, (step + 1) * count)[mine]
        batch = collate([self.photos[place] for place in places], [self.styles[place] for place in places], strength)
        blur = torch.tensor(rng.standard_normal((count, batch.row.shape[1])), dtype=torch.float32)[mine]
        batch = batch._replace(noise=self.settings.blur * blur.to(self.device))
        return jitter(batch, rng, count, mine) if moving else batch


def collate(photos: Sequence[Photo], styles: Sequence[Style], strength: Tensor) -> Batch:
    """Photographs and styles side by side."""
    image = torch.cat([photo.image for photo in photos])
    targets = {
        layer: Target(*(torch.cat(parts) for parts in zip(*(style.targets[layer] for style in styles), strict=True)))
        for layer in STYLE_LAYERS
    }
    features, row = torch.cat([photo.features for photo in photos]), torch.cat([style.row for style in styles])
    return Batch(image, features, targets, row, torch.zeros_like(row), strength.to(image.device), None, None)


def jitter(batch: Batch, rng: np.random.Generator, count: int, mine: slice) -> Batch:
    """The batch with moved copies of its photographs: known motion, sensor noise, brightness."""
    photo = batch.photo
    grid = data.shift(count, photo.shape[-1], rng)[mine].to(photo.device)
    noise = torch.tensor(rng.standard_normal((count, *photo.shape[1:])), dtype=torch.float32)[mine].to(photo.device)
    bright = torch.tensor(rng.normal(1, 0.02, (count, 1, 1, 1)), dtype=torch.float32)[mine].to(photo.device)
    moved = F.grid_sample(photo, grid, padding_mode="reflection", align_corners=False)
    return batch._replace(moved=(moved * bright + 0.015 * noise).clamp(0, 1), grid=grid)


def terms(settings: Settings, course: Course, batch: Batch, painted: Image, moved: Image | None) -> dict[str, Tensor]:
    """The unweighted terms, means over the batch; style is weighted by strength squared."""
    inner = course.inner(painted)
    found = course.encoder(inner, {*STYLE_LAYERS, CONTENT_LAYER})
    wanted = batch.features.float()
    content = energy(found[CONTENT_LAYER].float() - wanted) / course.energy
    apart = [
        weight * distance(found[layer], batch.targets[layer], course.usual[layer])
        for weight, layer in zip(settings.layers, STYLE_LAYERS, strict=True)
    ]
    values = {"content": content, "style": (torch.stack(apart).mean(0) * batch.strength.square()).mean()}
    values["tone"] = blotches(inner, course.inner(batch.photo)).mean()
    if moved is not None and batch.grid is not None:
        values["motion"] = unsteadiness(painted, moved, batch.grid).mean()
    return values


def term_weights(settings: Settings, step: int) -> dict[str, float]:
    """Weights of the terms at a step: style rises from a tenth, motion comes late."""
    style = settings.style * min(1.0, 0.1 + 0.9 * step / max(1, settings.ramp))
    motion = settings.motion * min(1.0, max(0.0, (step - settings.motion_from) / max(1, settings.ramp)))
    return {"content": settings.content, "style": style, "tone": settings.tone, "motion": motion}


def rate(settings: Pace, step: int) -> float:
    """Learning rate: linear warm-up, then constant, then falling with the inverse root. It does not know the end."""
    fall = min(1.0, math.sqrt(settings.settle / max(1, step)))
    return settings.rate * min(1.0, (step + 1) / max(1, settings.warmup)) * fall


def examination(course: Course) -> list[Batch]:
    """Fixed batches of held-out photographs and styles, at full strength."""
    size = course.settings.batch
    parts = [range(k * size, (k + 1) * size) for k in range(course.settings.exam)]
    return [collate([course.photo(n) for n in part], [course.style(n) for n in part], torch.ones(size)) for part in parts]
