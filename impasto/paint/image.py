"""A photograph painted in the style of one or several pictures, by optimization."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

import impasto
from impasto import device as devices
from impasto.errors import PaintingError, UnfitPicture, UsageError
from impasto.features import encoders
from impasto.features.encoders import MIN_SIDE
from impasto.paint import objective, optimize, schedule
from impasto.paint.objective import Objective, Source
from impasto.paint.optimize import Level
from impasto.paint.settings import INITS, Settings
from impasto.pixels import geometry, io
from impasto.pixels.io import Picture
from impasto.types import Image, ImageLike, Mask, Step, Stylizer

FLAT = 0.01
"""A picture whose values deviate by less than this from their mean shows nothing."""
SAVING = 0.7, 1.2e-6
"""Seconds kept for finishing and writing the result: once, and for each pixel."""


@dataclass(frozen=True, slots=True)
class Stylized:
    """A finished picture with the recipe that made it."""

    picture: Picture
    recipe: Mapping[str, Any]

    @property
    def image(self) -> Image:
        """1 x 3 x H x W, sRGB in [0, 1], float32, on the CPU."""
        return self.picture.image

    def numpy(self) -> np.ndarray[Any, Any]:
        """H x W x 3 (4 where the content had alpha), sRGB in [0, 1], float32."""
        return self.picture.numpy()

    def pil(self) -> PILImage.Image:
        """An 8-bit PIL picture, RGB, or RGBA where the content had alpha."""
        return self.picture.pil()

    def save(self, path: str | os.PathLike[str], *, bits: int | None = None, force: bool = False) -> Path:
        """Write the picture with its recipe; the format by the suffix. See `impasto.pixels.io.save`."""
        return io.save(self.picture, path, recipe=self.recipe, bits=bits, force=force)


@dataclass(frozen=True, slots=True)
class Style:
    """A picture whose style counts, and how much beside the others."""

    picture: Picture
    weight: float = 1.0
    name: str = ""
    sha256: str = ""


class Painting:
    """One picture being painted: plan it, take its `steps()`, ask for its `result()` at any time."""

    def __init__(
        self,
        content: Picture,
        styles: Sequence[Style],
        settings: Settings,
        *,
        start: Image | Stylizer | None = None,
        deadline: float = math.inf,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        """Check everything that can be wrong before any work is done, and plan the levels.

        `start`: a picture or a stylizer to start from, instead of `settings.init`. `deadline`: `time.monotonic()` by which
        the result must be written; by default `settings.time` from now.

        Raises:
            UnfitPicture: content or a style too small for the encoder.
            UsageError: no style, weights that are not positive, unknown names of layers, devices, losses.
        """
        self.content, self.settings, self.names = content, settings, dict(names or {})
        self.styles = _normalized(styles)
        objective.style_loss(settings.style_loss)
        self.device, dtype = devices.choose(settings.device, settings.precision)
        self.encoder = encoders.load(settings.encoder, pooling=settings.pooling).precision(dtype).to(self.device)
        self.encoder.check([*settings.style_layers, *settings.content_layers])
        self.full = geometry.fit(content.image, geometry.parse_size(settings.size)).to(self.device)
        self.alpha = _resized_alpha(content.alpha, self.full)
        _check_sizes(self.full, self.styles)
        if deadline == math.inf and settings.time:
            deadline = time.monotonic() + settings.time
        height, width = self.shape
        once, per_pixel = SAVING
        self.deadline = deadline - once - per_pixel * height * width
        self.levels = self._plan()
        self.state = optimize.State()
        self.canvas = optimize.Picture(self._begin(start))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result."""
        return self.full.shape[-2], self.full.shape[-1]

    def _plan(self) -> list[Level]:
        height, width = self.shape
        if self.deadline == math.inf or self.settings.steps:
            return schedule.levels(height, width, self.settings)
        rate = schedule.seconds_per_pixel(self.encoder, self.settings)
        return schedule.fitting(height, width, max(0.0, self.deadline - time.monotonic()), rate)

    def plan(self) -> str:
        """What will be done, in one line."""
        sizes = ", ".join(f"{level.size} px x {level.steps}" for level in self.levels)
        height, width = self.shape
        enlarged = "" if self.levels[-1].size == max(height, width) else ", then enlarged"
        return f"{width} x {height} px: steps at {sizes}{enlarged}"

    def steps(self, *, preview: bool = False) -> Iterator[Step]:
        """Do the work, a step at a time. Closing the generator stops it; `result()` gives what there is.

        Raises:
            PaintingError: values that are not numbers, or a flat result.
        """
        if self.settings.strength == 0:
            return
        yield from optimize.steps(
            self.canvas,
            self.objective_at,
            self.levels,
            self.settings,
            state=self.state,
            deadline=self.deadline,
            preview=preview,
        )
        _guard(self.canvas.render().detach(), self.full, [style.picture.image for style in self.styles])

    def objective_at(self, size: int) -> Objective:
        """The objective at a level: style and content looked at in its size."""
        content = geometry.resize(self.full, geometry.sizes(*self.shape, size))
        mask = None if self.alpha is None else geometry.resize(self.alpha, (content.shape[-2], content.shape[-1]))
        strength = self.settings.strength
        sources = [self._source(style, size, strength) for style in self.styles]
        if strength < 1:
            sources.append(Source(content, 1 - strength, mask))
        return Objective(
            self.encoder,
            [
                *objective.style_terms(self.encoder, sources, self.settings, mask),
                *objective.content_terms(self.encoder, content, self.settings),
                *objective.smoothness_terms(self.settings),
            ],
        )

    def _source(self, style: Style, size: int, strength: float) -> Source:
        """A style in the size that it is looked at beside content of `size`; never enlarged, never under 32 px a side."""
        height, width = style.picture.image.shape[-2:]
        least = 2 * MIN_SIDE * max(height, width) / min(height, width)
        edge = min(max(height, width), max(round(size * self.settings.style_scale), math.ceil(least)))
        shape = geometry.sizes(height, width, edge)
        image = geometry.resize(style.picture.image.to(self.device), shape)
        alpha = None if style.picture.alpha is None else geometry.resize(style.picture.alpha.to(self.device), shape)
        return Source(image, style.weight * strength, alpha)

    def _begin(self, start: Image | Stylizer | None) -> Image:
        """The first picture on the canvas, in the first level's size."""
        shape = geometry.sizes(*self.shape, self.levels[0].size)
        content = geometry.resize(self.full, shape)
        if isinstance(start, Tensor):
            return geometry.resize(start.to(self.device), shape)
        if start is not None:
            return start(content, strength=self.settings.strength)
        init, seed = self.settings.init, self.settings.seed
        if init == "content":
            return content
        if init in INITS:
            return _noise(init, content.shape, seed, [style.picture.image for style in self.styles]).to(self.device)
        return geometry.resize(io.load(init).image.to(self.device), shape)

    def result(self) -> Stylized:
        """The picture as it stands, with alpha and recipe. At strength 0 the content itself.

        Raises:
            PaintingError: the picture holds values that are not numbers.
        """
        image = self.full
        if self.settings.strength > 0 and self.state.made:
            image = geometry.resize(self.canvas.render().detach().clamp(0, 1), self.shape)
        if not torch.isfinite(image).all():
            raise PaintingError("the picture holds values that are not numbers: try --precision fp32, or lower weights")
        if self.alpha is not None:
            image = torch.where(self.alpha > 0, image, self.full)
        alpha = None if self.alpha is None else self.alpha.cpu()
        return Stylized(self.content.with_image(image.cpu(), alpha), self.recipe())

    def recipe(self) -> dict[str, Any]:
        """All that is needed to make the picture again: settings with the steps that were made, and what it was made from."""
        made = ",".join(f"{size}:{count}" for size, count in self.state.made if count)
        settings = replace(self.settings, steps=made or self.settings.steps, time=0.0)
        styles = [{"source": style.name, "weight": style.weight, "sha256": style.sha256} for style in self.styles]
        return {
            "version": impasto.__version__,
            "torch": torch.__version__,
            "verb": "image",
            "settings": settings.as_dict(),
            **self.names,
            "styles": styles,
        }


def stylize(
    content: ImageLike,
    styles: ImageLike | Sequence[ImageLike | tuple[ImageLike, float]],
    *,
    start: ImageLike | Stylizer | None = None,
    **settings: Any,
) -> Stylized:
    """Paint `content` in the style of one or several pictures.

    `styles`: a picture, or a list of pictures or (picture, weight). `start`: a picture or a `Stylizer` to start from.
    `settings`: the fields of `Settings` (size=512, quality="good", strength=1.0, time=60 ...). A picture is a path, a PIL
    picture, an array (H x W x 3, uint8, uint16 or float in [0, 1]) or a tensor (3 x H x W in [0, 1]).

    Raises:
        ImpastoError: a picture that cannot be used, a wrong setting, or work that went wrong; see `impasto.errors`.
    """
    begun = time.monotonic()
    chosen = settings_from(settings)
    picture, names = opened(content)
    first = start if start is None or (callable(start) and not isinstance(start, Tensor)) else io.load(start).image
    painting = Painting(
        picture,
        as_styles(styles),
        chosen,
        start=first,
        deadline=begun + chosen.time if chosen.time else math.inf,
        names={"content": names},
    )
    for _ in painting.steps():
        pass
    return painting.result()


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings from keywords; `size` and `steps` may be numbers.

    Raises:
        UsageError: a name that is not a setting, or a wrong value.
    """
    values = {name: str(value) if name in ("size", "steps") else value for name, value in values.items()}
    try:
        return Settings(**values)
    except TypeError as error:
        raise UsageError(f"not a setting: {str(error).rpartition('argument ')[2]}; see impasto.Settings") from error


def opened(source: ImageLike) -> tuple[Picture, dict[str, str]]:
    """A picture, with its name and the SHA-256 of its pixels for the recipe."""
    picture = io.load(source)
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    planes = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha], 1)
    return picture, {"source": name, "sha256": hashlib.sha256(planes.contiguous().numpy().tobytes()).hexdigest()}


def as_styles(styles: ImageLike | Sequence[ImageLike | tuple[ImageLike, float]]) -> list[Style]:
    """What users hand in as styles, opened.

    Raises:
        PictureError: a style that cannot be read.
    """
    several = styles if isinstance(styles, list | tuple) else [styles]
    found = []
    for entry in several:
        source, weight = entry if isinstance(entry, tuple) else (entry, 1.0)
        picture, names = opened(cast("ImageLike", source))
        found.append(Style(picture, float(weight), names["source"], names["sha256"]))
    return found


def _normalized(styles: Sequence[Style]) -> list[Style]:
    if not styles:
        raise UsageError("no style was given")
    total = sum(style.weight for style in styles)
    if min(style.weight for style in styles) < 0 or not 0 < total < math.inf:
        raise UsageError(f"style weights must be positive, got {', '.join(f'{style.weight:g}' for style in styles)}")
    return [replace(style, weight=style.weight / total) for style in styles]


def _resized_alpha(alpha: Mask | None, full: Image) -> Mask | None:
    """The content's alpha in the result's size; None where there is none, or nothing to see through."""
    if alpha is None:
        return None
    return geometry.resize(alpha.to(full.device), (full.shape[-2], full.shape[-1]))


def _check_sizes(full: Image, styles: Sequence[Style]) -> None:
    for what, image in [("the result", full), *[(f"style {style.name or 'picture'}", style.picture.image) for style in styles]]:
        height, width = image.shape[-2:]
        if min(height, width) < MIN_SIDE:
            raise UnfitPicture(f"{what} is {width} x {height} px: {MIN_SIDE} px a side at least; give a larger --size or picture")


def _noise(init: str, shape: torch.Size, seed: int, styles: Sequence[Image]) -> Image:
    """noise: normal around middle gray; gray: middle gray; style: normal with the styles' mean color and deviation."""
    drawn = devices.noise(tuple(shape), seed, torch.device("cpu"))
    if init == "style":
        mean = torch.stack([style.mean((0, 2, 3)) for style in styles]).mean(0).view(1, 3, 1, 1)
        deviation = torch.stack([style.std((0, 2, 3)) for style in styles]).mean(0).view(1, 3, 1, 1)
        return (mean + deviation * drawn).clamp(0, 1)
    # gray has a trace of noise, for nothing sets the pixels of a flat plane apart
    return (0.5 + (0.2 if init == "noise" else 1 / 255) * drawn).clamp(0, 1)


def _guard(image: Image, content: Image, styles: Sequence[Image]) -> None:
    """Refuse a picture that shows nothing although what it was made from does."""
    if not torch.isfinite(image).all():
        raise PaintingError("the picture holds values that are not numbers: try --precision fp32, or lower weights")
    sources = [content, *styles]
    advice = "raise the content weight, take more steps, or check the encoder's weights"
    if float(image.std()) < FLAT < min(float(source.std()) for source in sources):
        raise PaintingError(f"the result is flat (deviation {float(image.std()):.4f}): {advice}")
    if chroma(image) < 0.1 * min(chroma(source) for source in sources) and min(chroma(source) for source in sources) > FLAT:
        raise PaintingError(f"the result is gray (chroma {chroma(image):.4f}) although its sources have color: {advice}")


def chroma(image: Image) -> float:
    """Mean distance of the pixels from gray, 0 ... about 0.8."""
    return float((image - image.mean(1, keepdim=True)).square().sum(1).sqrt().mean())
