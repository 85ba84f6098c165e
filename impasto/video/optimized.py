"""Frames painted by the optimizer, each over the one before: slow, and as near to the painting as it gets.

A frame starts from what was painted before, moved along the flow, and one term more holds it there:

    L = style + content + γ mean m |x − W O(t−1)|²

Ruder et al., "Artistic Style Transfer for Videos", GCPR 2016, eqs. 6 and 7; their c of 0 or 1 is here the trust m of the flow.
What cannot be trusted starts from what the filter paints, and so does the first frame of a shot. Only the frame before
counts, not ones long ago, and shots are gone through once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from impasto import device as devices
from impasto.features import distances, statistics
from impasto.features.encoders import VGG
from impasto.features.statistics import Moments
from impasto.paint import optimize
from impasto.paint.image import Painting, loaded
from impasto.paint.objective import Objective, Term, summed
from impasto.paint.optimize import Level
from impasto.paint.pictures import Style
from impasto.paint.regions import Region
from impasto.paint.settings import Settings
from impasto.paint.sources import Sources
from impasto.pixels.picture import Picture
from impasto.types import Image, Mask
from impasto.video.look import Filters, Painter, Place

STEPS = 25
"""Steps of a frame that starts from the one before; the first of a shot has those of a picture."""
HOLD = 20.0
"""γ, of squared levels of 255."""


@dataclass(frozen=True)
class Optimized:
    """Frames painted by the optimizer, started from the filters'."""

    filters: Filters
    styles: tuple[Style, ...]
    """The paintings, in the order of the filters."""
    steps: int = STEPS
    first: str = ""
    """Steps of the first frame of a shot, as `Settings.steps`; empty: those of a picture with quality best."""
    carries = True

    @property
    def identity(self) -> str:
        """Tells one look from another."""
        own = [self.filters.identity, self.steps, self.first, HOLD, [style.sha256 for style in self.styles]]
        return hashlib.sha256(repr(own).encode()).hexdigest()

    def painter(self) -> Painter:
        """Load the networks."""
        return _Brush(self)

    def composed(self, content: Image, painted: Image, seconds: float, masks: Mapping[str, Mask]) -> Image:
        """The painted frame with what is to stay of the content."""
        return self.filters.composed(content, painted, seconds, masks)


@dataclass(frozen=True)
class _Both:
    """The sum of two objectives."""

    one: optimize.Objective
    other: optimize.Objective

    def gradient(self, image: Image, step: int = 0) -> tuple[dict[str, Tensor], Image]:
        losses, pull = self.one.gradient(image, step)
        more, own = self.other.gradient(image, step)
        return summed([*losses.items(), *more.items()]), pull + own


class _Measured:
    """A painting's statistics, measured once for all frames."""

    def __init__(self, style: Style, settings: Settings, encoder: VGG, device: torch.device) -> None:
        self.style, self.settings, self.encoder, self.device = style, settings, encoder, device
        self.at = lru_cache(maxsize=8)(self._at)

    def _at(self, size: int) -> Mapping[str, Moments]:
        sources = Sources(self.encoder, self.settings, Level(size, 0), self.device)
        found: Mapping[str, Moments] = sources.of(self.style, None).values
        return found


@lru_cache(maxsize=1)
def _encoder(settings: Settings) -> VGG:
    """The encoder, once a process: it is only read."""
    return loaded(settings)


class _Brush:
    """The optimizer, and the filters' brush that it starts from."""

    def __init__(self, look: Optimized) -> None:
        self.look, self.start = look, look.filters.painter()
        self.settings = Settings(size="full", quality="best", init="content", device=look.filters.device)
        self.device, _ = devices.choose(self.settings.device)
        self.encoder = _encoder(self.settings)
        self.known = {
            id(timed.style): self._measured(style) for timed, style in zip(look.filters.styles, look.styles, strict=True)
        }
        """The styles by what the filters have for them."""

    def _measured(self, style: Style) -> Style:
        if style.known is not None:
            return style
        return replace(style, picture=None, known=_Measured(style, self.settings, self.encoder, self.device))

    def paint(self, content: Image, seconds: float, place: Place | None, masks: Mapping[str, Mask]) -> Image:
        strength = self.look.filters.strength.at(seconds)
        start = self.start.paint(content, seconds, place, masks)
        if strength == 0:
            return start
        edge, steps, hold = max(content.shape[-2:]), self.look.first, None
        if place is not None and place.before is not None and place.trust is not None:
            start, steps = torch.lerp(start, place.before, place.trust), f"{edge}:{self.look.steps}"
            hold = self._hold(place.before, place.trust)
        styles, regions = self._sources(content, seconds, masks)
        settings = replace(self.settings, strength=strength, steps=steps)
        work = Painting(Picture(content), styles, settings, regions=regions, start=start, encoder=self.encoder)

        def objective_at(level: Level) -> optimize.Objective:
            found = work.objective_at(level)
            return found if hold is None else _Both(found, hold)

        for _ in optimize.steps(work.canvas, objective_at, work.levels, settings, state=work.state):
            pass
        return work.result().image

    def _hold(self, before: Image, trust: Mask) -> Objective:
        """What holds a frame at the one before, where that can be trusted."""
        before, trust = before.to(self.device), trust.to(self.device)
        target = statistics.identity(before, trust)
        # the image is in [0, 1], the features on the scale of 0...255: the same weight must mean the same
        term = Term("temporal", "input", HOLD * 255.0**2, statistics.identity, distances.mse, target, trust)
        return Objective(self.encoder, [term])

    def _sources(self, content: Image, seconds: float, masks: Mapping[str, Mask]) -> tuple[list[Style], list[Region]]:
        """The styles of this moment, with their weights, and where each goes."""
        styles: list[Style] = []
        regions = []
        for name, mask in self.look.filters.regions(masks, content).items():
            mixed = self.look.filters.mixed(name, seconds)
            chosen = tuple((len(styles) + index, None) for index in range(len(mixed)))
            styles += [replace(self.known[id(style)], weight=weight) for weight, style in mixed]
            regions.append(Region(name, mask, chosen))
        return styles, regions

    def state(self) -> dict[str, Tensor]:
        """That of the filters: what was painted is given with each frame."""
        return self.start.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from such a state."""
        self.start.restore(state)
