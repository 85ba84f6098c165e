"""Styles as the objective takes them: statistics of a painting looked at in a level's size, or those kept in a style file."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from impasto.errors import UsageError
from impasto.features import statistics
from impasto.features.encoders import MIN_SIDE, VGG
from impasto.features.statistics import Moments
from impasto.paint import objective, tiled
from impasto.paint.objective import Source
from impasto.paint.optimize import Level
from impasto.paint.pictures import Style, product
from impasto.paint.settings import Settings
from impasto.pixels import geometry
from impasto.types import Features, Image, Mask


class Sources:
    """The statistics of styles at one level, each painting encoded once however many regions it serves."""

    def __init__(self, encoder: VGG, settings: Settings, level: Level, device: torch.device) -> None:
        self.encoder, self.settings, self.level, self.device = encoder, settings, level, device
        self._encoded: dict[int, Mapping[str, Features]] = {}

    def of(self, style: Style, chosen: Mask | None) -> Source:
        """The statistics of a style over its opaque pixels and those that a region has `chosen` of it."""
        if style.known is not None:
            return self._known(style, chosen)
        picture = style.open()
        alpha = None if picture.alpha is None else picture.alpha.to(self.device)
        here = None if chosen is None else geometry.resize(chosen.to(self.device), picture.size)
        mask = product(alpha, here)
        layers, loss = self.settings.style_layers, objective.style_loss(self.settings.style_loss)
        if self.level.tile:
            moments = tiled.moments(self.encoder, self._look(style), layers, mask, self.level.tile)
            additive = loss.statistic is statistics.moments
            return Source({layer: value if additive else value.second for layer, value in moments.items()}, style.weight)
        with torch.no_grad():
            if id(style) not in self._encoded:
                self._encoded[id(style)] = self.encoder(self._look(style), layers)
            features = self._encoded[id(style)]
            return Source({layer: loss.statistic(features[layer], mask) for layer in layers}, style.weight)

    def _look(self, style: Style) -> Image:
        """A style in the size that it is looked at beside content of the level; never enlarged."""
        height, width = style.open().size
        least = 2 * MIN_SIDE * max(height, width) / min(height, width)
        wanted = round(self.level.size * self.settings.style_scale)
        edge = min(max(height, width), max(wanted, math.ceil(least)))
        return geometry.resize(style.open().image.to(self.device), geometry.sizes(height, width, edge))

    def _known(self, style: Style, chosen: Mask | None) -> Source:
        check_known(style, self.settings)
        if style.known is None or chosen is not None:
            raise UsageError(f"of style {style.name!r} only statistics are kept: a map of its regions needs the painting itself")
        found = style.known.at(round(self.level.size * self.settings.style_scale))
        whole = {layer: Moments(*(part.to(self.device) for part in found[layer])) for layer in self.settings.style_layers}
        linear = objective.style_loss(self.settings.style_loss).statistic is statistics.moments
        return Source({layer: value if linear else value.second for layer, value in whole.items()}, style.weight)


def check_known(style: Style, settings: Settings) -> None:
    """Refuse settings that need the painting itself, where only its statistics are known.

    Raises:
        UsageError: another network than the one that the statistics are of, or other layers; a loss that compares patches.
    """
    if style.known is None:
        return
    wrong = [
        f"--{name} {value}"
        for name, value in (("encoder", settings.encoder), ("pooling", settings.pooling))
        if value not in ("vgg16", "max")
    ]
    if settings.style_loss not in ("w2", "gram"):
        wrong.append(f"--style-loss {settings.style_loss}")
    wrong += [f"layer {layer}" for layer in settings.style_layers if layer not in style.known.at(256)]
    if wrong:
        raise UsageError(f"of style {style.name!r} only statistics are kept: {wrong[0]} needs the painting itself")
