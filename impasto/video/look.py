"""What a clip shall look like: styles over time and place, and how a frame is painted in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.fast import style as filters
from impasto.fast import tiles
from impasto.fast.layers import Statistics
from impasto.fast.nets import STRIDE, Bound
from impasto.pixels import color, geometry
from impasto.types import Image, Mask, Stylizer
from impasto.video.curve import Curve, shares

REFRESH = 24
"""Frames after which the statistics of a shot are taken anew; between, they move from one measurement to the next."""
FAINT = 1 / 255
"""Where masks sum up to less, what is painted fades to the content, which is all that is seen there."""
WHOLE = Curve(((0.0, 1.0),))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a frame stands in its shot."""

    number: int
    """From 0."""
    origin: tuple[int, int] = (0, 0)
    """How far the camera has gone since the shot began, rows and columns in px."""
    before: Image | None = None
    """What was painted before, moved to where the picture is now; None where nobody asks for it (`Look.carries`)."""
    trust: Mask | None = None
    """How far that can be trusted."""


class Painter(Protocol):
    """Paints the frames of one shot after the other."""

    def paint(self, content: Image, seconds: float, place: Place | None, masks: Mapping[str, Mask]) -> Image:
        """The frame in its style. `place`: None where frames have nothing to do with another."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What it has to know of earlier frames of the shot."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from such a state."""
        ...


class Look(Protocol):
    """How frames are painted; can be sent to another process."""

    @property
    def identity(self) -> str:
        """Tells one look from another."""
        ...

    @property
    def carries(self) -> bool:
        """Whether a frame is painted over what was painted before, instead of being laid over it afterward."""
        ...

    def painter(self) -> Painter:
        """Make one, which holds networks and what it has seen."""
        ...

    def composed(self, content: Image, painted: Image, seconds: float, masks: Mapping[str, Mask]) -> Image:
        """The painted frame with what is to stay of the content."""
        ...


@dataclass(frozen=True)
class Plain:
    """Any `Stylizer`, each frame by itself."""

    stylizer: Stylizer
    strength: Curve = WHOLE
    identity: str = "a stylizer"
    carries = False

    def painter(self) -> Painter:
        return _Alone(self)

    def composed(self, content: Image, painted: Image, seconds: float, masks: Mapping[str, Mask]) -> Image:
        return painted if self.strength.at(seconds) > 0 else content


@dataclass(frozen=True)
class _Alone:
    look: Plain

    def paint(self, content: Image, seconds: float, place: Place | None, masks: Mapping[str, Mask]) -> Image:
        return self.look.stylizer(content, strength=self.look.strength.at(seconds))

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        pass


@dataclass(frozen=True)
class Timed:
    """A style, how much of it, when, and where."""

    style: filters.Style
    weight: float = 1.0
    moment: float | None = None
    """Seconds at which it is seen alone; None: all the time."""
    place: str = ""
    """A mask's name; "": wherever no mask with a style of its own is."""


@dataclass(frozen=True)
class Filters:
    """Frames painted by the any-style network."""

    styles: tuple[Timed, ...]
    strength: Curve = WHOLE
    places: tuple[str, ...] = ()
    """Masks that have styles of their own."""
    preserve_color: str = "off"
    device: str = "cpu"
    identity: str = field(default="", compare=False)
    carries = False

    def __post_init__(self) -> None:
        """Check what styles, places and moments there are.

        Raises:
            UsageError: no style, a place without a mask or a mask without a style, moments for some styles only.
        """
        if not self.styles:
            raise UsageError("no style: give --style FILE")
        used = {timed.place for timed in self.styles}
        for place in sorted(used - {""} - set(self.places)):
            raise UsageError(f"a style is for {place!r}, which has no --mask: give --mask {place}=FILE")
        for place in sorted(set(self.places) - used):
            raise UsageError(f"mask {place!r} has no style: give --style {place}=FILE")
        for place in used:
            self.mixed(place, 0.0)
        object.__setattr__(self, "identity", self._digest())

    def _digest(self) -> str:
        told = hashlib.sha256(repr((self.strength, self.places, self.preserve_color)).encode())
        for timed in self.styles:
            told.update(repr((timed.weight, timed.moment, timed.place, timed.style.net)).encode())
            told.update(timed.style.code.contiguous().numpy().tobytes())
            for name, change in sorted(timed.style.changes.items()):
                told.update(name.encode() + change.contiguous().numpy().tobytes())
        return told.hexdigest()

    def mixed(self, place: str, seconds: float) -> list[tuple[float, filters.Style]]:
        """The styles of a place at a time, with their weights; none with weight 0."""
        own = [timed for timed in self.styles if timed.place == place]
        weights = shares([timed.moment for timed in own], [timed.weight for timed in own], seconds)
        return [(weight, timed.style) for weight, timed in zip(weights, own, strict=True) if weight > 0]

    def regions(self, masks: Mapping[str, Mask], like: Image) -> dict[str, Mask | None]:
        """Where each place is: masks divided by their sum where that is over 1, and the rest for styles without a place."""
        if not self.places:
            return {"": None}
        own = {place: geometry.resize(masks[place], (like.shape[-2], like.shape[-1])).to(like.device) for place in self.places}
        total = sum(own.values(), torch.zeros_like(like[:, :1]))
        found: dict[str, Mask | None] = {place: mask / total.clamp(min=1) for place, mask in own.items()}
        if any(timed.place == "" for timed in self.styles):
            found[""] = 1 - total.clamp(max=1)
        return found

    def painter(self) -> Painter:
        """Load the network."""
        return _Brush(self)

    def composed(self, content: Image, painted: Image, seconds: float, masks: Mapping[str, Mask]) -> Image:
        """The content where strength is 0, where nothing is painted, and what is to be kept of it."""
        if self.strength.at(seconds) == 0:
            return content
        shape = content.shape[-2], content.shape[-1]
        if self.preserve_color != "off":
            painted = color.preserve_color(painted, content, self.preserve_color)
        cover = _cover(self.regions(masks, content))
        for name, turned in (("strength", False), ("keep", True)):
            if name in masks:
                mask = geometry.resize(masks[name], shape)
                mask = 1 - mask if turned else mask
                cover = mask if cover is None else cover * mask
        return painted if cover is None else torch.lerp(content, painted, cover)


class _Brush:
    """The network with styles bound to it as time goes on, and the norms' statistics of the shot.

    Instance norms make every stroke depend on the whole frame, so whatever enters it changes all colors. Within a shot they
    are given statistics measured on a frame every REFRESH frames; until the next measurement they move from the one before
    the last to the last, so they never jump, and no frame has to be read ahead.

    The network works at 1/8 size and starts strokes from noise, both fixed to its input's upper left corner: under a pan the
    picture would slide along beneath the strokes of a flat sky. So its corner goes along with the camera (but not in frames
    of over 4 megapixels, which are painted in tiles).
    """

    def __init__(self, look: Filters) -> None:
        self.look = look
        self.device = torch.device(look.device)
        self.bound: Callable[..., Bound] = lru_cache(maxsize=8)(self._bound)
        self.measured: dict[str, tuple[Statistics, Statistics]] = {}

    def _bound(self, *mixed: tuple[float, int]) -> Bound:
        known = {id(timed.style): timed.style for timed in self.look.styles}
        return filters.bind(filters.network(), [(weight, known[key]) for weight, key in mixed]).to(self.device)

    @torch.no_grad()
    def paint(self, content: Image, seconds: float, place: Place | None, masks: Mapping[str, Mask]) -> Image:
        strength = self.look.strength.at(seconds)
        if strength == 0 and place is None:
            return content
        content = content.to(self.device)
        whole, regions = torch.zeros_like(content), self.look.regions(masks, content)
        for name, mask in regions.items():
            bound = self.bound(*((weight, id(style)) for weight, style in self.look.mixed(name, seconds)))
            frozen = None if place is None else self._frozen(name, bound, content, strength, place.number)
            image = self._one(bound, content, strength, frozen, (0, 0) if place is None else place.origin)
            whole += image if mask is None else mask * image
        cover = _cover(regions)
        if cover is not None:  # as if all were covered: how far it is, `composed` sees to
            least = cover.clamp(min=FAINT)
            whole = whole / least + (1 - cover / least) * content
        return whole.clamp(0, 1).cpu()

    def _frozen(self, name: str, bound: Bound, content: Image, strength: float, number: int) -> Statistics | None:
        """The statistics in force: own ones of a shot's first frame, so it is painted as if it were alone."""
        if number % REFRESH == 0 or name not in self.measured:
            found = tiles.measure(bound, _reader(content), content.shape[-2], content.shape[-1], strength)
            fresh = number == 0 or name not in self.measured
            self.measured[name] = (found if fresh else self.measured[name][1], found)
        before, last = self.measured[name]
        return torch.lerp(before, last, number % REFRESH / REFRESH) if number else None

    @staticmethod
    def _one(bound: Bound, content: Image, strength: float, frozen: Statistics | None, origin: tuple[int, int]) -> Image:
        if strength == 0:
            return content
        height, width = content.shape[-2:]
        if frozen is None:
            return tiles.paint(bound, content, strength=strength)
        if height * width <= tiles.WHOLE:
            # what the network takes is a multiple of its stride; the rest is made up by moving the picture
            down, right = (step % STRIDE for step in origin)
            moved = F.pad(content, (right, 0, down, 0), "replicate")
            corner = origin[0] - down, origin[1] - right
            image: Image = bound.net(moved, bound.code, strength=strength, statistics=frozen, origin=corner)
            return image[..., down:, right:]
        whole = torch.empty_like(content)
        for top, left, image in tiles.steps(bound, _reader(content), height, width, strength=strength, statistics=frozen):
            whole[..., top : top + image.shape[-2], left : left + image.shape[-1]] = image
        return whole

    def state(self) -> dict[str, Tensor]:
        """Both measurements of each place."""
        found: dict[str, Tensor] = {}
        for name, (before, last) in self.measured.items():
            found |= {f"before {name}": before.cpu(), f"last {name}": last.cpu()}
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take both measurements of each place from a state."""
        names = [key.removeprefix("last ") for key in state if key.startswith("last ")]
        self.measured = {name: (state[f"before {name}"].to(self.device), state[f"last {name}"].to(self.device)) for name in names}


def _cover(regions: Mapping[str, Mask | None]) -> Mask | None:
    """How far regions cover the picture together; None where one of them is all that the others leave."""
    return None if "" in regions else torch.stack([mask for mask in regions.values() if mask is not None]).sum(0)


def _reader(content: Image) -> Any:
    return lambda top, left, height, width: content[..., top : top + height, left : left + width]


def learned(styles: Sequence[Any], size: int) -> list[filters.Style]:
    """Styles as the network is conditioned on them, for frames of a long edge of `size` px.

    Raises:
        UnfitPicture: a painting with a side under 64 px.
    """
    from impasto import still

    return [still.learned(style, size) for style in styles]
