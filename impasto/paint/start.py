"""The picture that painting starts from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from impasto import device as devices
from impasto.errors import UnfitPicture, WeightsError
from impasto.paint.pictures import Style
from impasto.paint.regions import Region
from impasto.paint.settings import INITS, Settings
from impasto.pixels import geometry, io
from impasto.types import Image, Mask, Stylizer

log = logging.getLogger(__name__)


class Bind(Protocol):
    """Makes filters."""

    def __call__(self, styles: Sequence[Style], size: int, tile: int = 0) -> Stylizer:
        """The filter of a mixture of styles, for pictures of a long edge of `size` px, in tiles of `tile` px (0: as it likes)."""


def first_picture(
    content: Image,
    styles: Sequence[Style],
    settings: Settings,
    start: Image | Stylizer | None,
    filtered: Callable[[Image], Image] | None,
) -> Image:
    """What is on the canvas before the first step, in the shape of `content`.

    `start`: a picture or a stylizer that the program gave; else `settings.init` says, and "filter" is `filtered` (the
    content itself where there is no filter, where a style is too small for one or was learned for another network).
    """
    shape = content.shape[-2], content.shape[-1]
    if isinstance(start, Tensor):
        return geometry.resize(start.to(content.device), shape)
    if start is not None:
        return start(content, strength=settings.strength)
    if settings.init == "filter" and filtered is not None:
        try:
            return filtered(content)
        except UnfitPicture as error:
            log.info("no filter to start from: %s", error)
            return content
        except WeightsError as error:
            log.warning("it starts from the photograph: %s", error)
            return content
    if settings.init in ("filter", "content"):
        return content
    if settings.init in INITS:
        return noise(settings.init, content.shape, settings.seed, styles).to(content.device)
    return geometry.resize(io.load(settings.init).image.to(content.device), shape)


def filtered(filters: Sequence[Stylizer], content: Image, regions: Sequence[Region], strength: float, mask: Mask | None) -> Image:
    """The content painted by the filter of each region, laid together by the regions' masks.

    `mask`: how much of it, by place, beside `strength`.
    """
    shape = content.shape[-2], content.shape[-1]
    whole: Image | None = None
    for paint, region in zip(filters, regions, strict=True):
        image = paint(content, strength=strength)
        if region.mask is not None:
            image = geometry.resize(region.mask.to(content.device), shape) * image
        whole = image if whole is None else whole + image
    if whole is None:
        return content
    if mask is not None:
        whole = torch.lerp(content, whole, geometry.resize(mask.to(content.device), shape))
    return whole.clamp(0, 1)


def noise(init: str, shape: torch.Size, seed: int, styles: Sequence[Style]) -> Image:
    """noise: normal around middle gray; gray: middle gray; style: normal with the styles' mean color and deviation."""
    drawn = devices.noise(tuple(shape), seed, torch.device("cpu"))
    if init == "style":
        images = [style.open("--init style").image for style in styles]
        mean = torch.stack([image.mean((0, 2, 3)) for image in images]).mean(0).view(1, 3, 1, 1)
        deviation = torch.stack([image.std((0, 2, 3)) for image in images]).mean(0).view(1, 3, 1, 1)
        return (mean + deviation * drawn).clamp(0, 1)
    # gray has a trace of noise, for nothing sets the pixels of a flat plane apart
    return (0.5 + (0.2 if init == "noise" else 1 / 255) * drawn).clamp(0, 1)
