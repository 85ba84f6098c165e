"""The objective's gradient over tiles: any size in bounded memory, with the statistics of the whole picture.

Two passes over the tiles. The first adds up the moments of the style layers, which are sums over positions; the distance
to the target and its gradient with respect to the moments are then those of the whole picture. The second takes that
gradient back through each tile. Tiles overlap by more than the network sees, and start at multiples of its stride: so
the gradient is the whole picture's, up to rounding, and no seam can arise. (K. Crowson's style_transfer of 2017 tiles
with a random roll too, but with each tile's own Gram matrix.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.features import distances, statistics
from impasto.features.encoders import VGG
from impasto.features.statistics import Moments
from impasto.paint import memory
from impasto.paint.objective import Term, summed
from impasto.paint.settings import Settings
from impasto.types import Features, Image, Mask

STRIDE = 16
"""Pixels a position at relu5_x stands for: tiles start at multiples of it."""
GIVE_BACK = 3
"""Tiles after which freed memory is given back: after each it would cost a quarter as much time again, so 7 %."""


class Tile(NamedTuple):
    """A part of the picture: rows and columns that are its own, and those it looks at."""

    top: int
    bottom: int
    left: int
    right: int
    outer: tuple[slice, slice]

    def own(self, stride: int, height: int, width: int) -> tuple[slice, slice]:
        """Its own positions within the features of what it looks at; `height`, `width` are the whole picture's."""
        rows, columns = self.outer
        bottom = -(-self.bottom // stride) if self.bottom == height else self.bottom // stride
        right = -(-self.right // stride) if self.right == width else self.right // stride
        return (
            slice(self.top // stride - rows.start // stride, bottom - rows.start // stride),
            slice(self.left // stride - columns.start // stride, right - columns.start // stride),
        )


def margin(encoder: VGG, layers: Iterable[str]) -> int:
    """Pixels that a tile must look beyond its border, a multiple of 16: relu5_1 of VGG-16 sees 73, so 80."""
    wanted = set(layers) - {"input"}
    reach, stride, deepest = 0, 1, 0
    for layer, key in encoder.plan:
        reach += stride
        if key is None:
            stride *= 2
        if layer in wanted:
            deepest = reach
    return -(-deepest // STRIDE) * STRIDE


def tiles(height: int, width: int, size: int, border: int, offset: tuple[int, int] = (0, 0)) -> Iterator[Tile]:
    """The tiles of a picture: squares of `size` px that look `border` px beyond, their grid moved by `offset`."""
    for top, bottom in _cuts(height, size, offset[0]):
        for left, right in _cuts(width, size, offset[1]):
            rows = slice(max(0, top - border), min(height, bottom + border))
            columns = slice(max(0, left - border), min(width, right + border))
            yield Tile(top, bottom, left, right, (rows, columns))


def thrifty(grid: Iterable[Tile]) -> Iterator[Tile]:
    """The tiles one by one; memory that those before have freed is given back now and then."""
    for number, tile in enumerate(grid):
        if number % GIVE_BACK == 0:
            memory.give_back()
        yield tile


def _cuts(length: int, size: int, offset: int) -> list[tuple[int, int]]:
    borders = [0, *range(offset % size or size, length, size), length]
    # a last strip thinner than a position of the deepest layer joins its neighbour
    if len(borders) > 2 and borders[-1] - borders[-2] < STRIDE:
        del borders[-2]
    return list(pairwise(borders))


def check(settings: Settings) -> None:
    """Raise UsageError for losses that are not sums over positions."""
    if settings.style_loss not in ("w2", "gram") or settings.content_loss != "features":
        raise UsageError(
            "bounded memory needs --style-loss w2 or gram and --content-loss features, which add up over tiles, "
            f"not {settings.style_loss} and {settings.content_loss}"
        )
    if "input" in (*settings.style_layers, *settings.content_layers):
        raise UsageError("bounded memory cannot compare at the layer input: leave it out, or leave out --max-memory")


@dataclass(frozen=True, slots=True)
class TiledObjective:
    """An `Objective` computed over tiles of `tile` px; style terms must be w2 or gram, content terms features."""

    encoder: VGG
    terms: Sequence[Term]
    tile: int
    content: Image | None = None
    """What terms on features themselves compare with, tile by tile: their targets are not kept, for they are large."""
    seed: int = 0

    def gradient(self, image: Image, step: int = 0) -> tuple[dict[str, Tensor], Image]:
        """Each term's loss and "total", and the gradient of the total with respect to the image.

        The grid of tiles is moved at random each step, drawn from `seed` and `step`.
        """
        image = image.detach()
        height, width = image.shape[-2:]
        random = torch.Generator().manual_seed((self.seed * 1_000_003 + step) % 2**63)
        down, right = (torch.randint(self.tile // STRIDE, (2,), generator=random) * STRIDE).tolist()
        border = margin(self.encoder, (term.layer for term in self.terms))
        grid = list(tiles(height, width, self.tile, border, (down, right)))
        style = [term for term in self.terms if term.statistic in (statistics.moments, statistics.gram)]
        content = [term for term in self.terms if term.statistic is statistics.identity and term.layer != "input"]
        losses, pulls = self._style(image, grid, style)
        gradient = torch.zeros_like(image)
        for tile in thrifty(grid):
            found = self._back(image, tile, style, pulls, content, gradient)
            losses = summed([*losses.items(), *found.items()])
        memory.give_back()
        self._whole(image, losses, gradient)
        return {**losses, "total": torch.stack(list(losses.values())).sum()}, gradient

    @torch.no_grad()
    def _moments(self, image: Image, grid: Sequence[Tile], style: Sequence[Term]) -> list[Moments]:
        """The first pass: each style term's moments over the whole picture."""
        sums: list[Moments | None] = [None] * len(style)
        for tile in thrifty(grid):
            features = self.encoder(image[..., *tile.outer], dict.fromkeys(term.layer for term in style))
            for position, term in enumerate(style):
                part = own_moments(features[term.layer], tile, term, image)
                before = sums[position]
                sums[position] = part if before is None else Moments(before.mean + part.mean, before.second + part.second)
        return [moments for moments in sums if moments is not None]

    def _style(self, image: Image, grid: Sequence[Tile], style: Sequence[Term]) -> tuple[dict[str, Tensor], list[Moments]]:
        """The style's loss, and its gradient with respect to each term's moments."""
        losses, pulls = [], []
        for term, total in zip(style, self._moments(image, grid, style), strict=True):
            leaves = Moments(total.mean.requires_grad_(), total.second.requires_grad_())
            value = leaves if term.statistic is statistics.moments else leaves.second
            loss = term.weight * term.distance(value, term.target)
            mean, second = torch.autograd.grad(loss, leaves, allow_unused=True)
            pulls.append(Moments(torch.zeros_like(total.mean) if mean is None else mean, second))
            losses.append((term.name, loss.detach()))
        return summed(losses), pulls

    def _back(
        self,
        image: Image,
        tile: Tile,
        style: Sequence[Term],
        pulls: Sequence[Moments],
        content: Sequence[Term],
        gradient: Image,
    ) -> dict[str, Tensor]:
        """The second pass of one tile: adds its part to the gradient, and returns its part of the content's loss."""
        crop = image[..., *tile.outer].clone().requires_grad_()
        features = self.encoder(crop, dict.fromkeys(term.layer for term in (*style, *content)))
        wanted = {}
        if self.content is not None:
            with torch.no_grad():
                wanted = self.encoder(self.content[..., *tile.outer], dict.fromkeys(term.layer for term in content))
        parts = []
        for term, pull in zip(style, pulls, strict=True):
            moments = own_moments(features[term.layer], tile, term, image)
            parts.append((moments.mean * pull.mean).sum() + (moments.second * pull.second).sum())
        own = [(term.name, own_content(features[term.layer], wanted[term.layer], tile, term, image)) for term in content]
        total = torch.stack([*parts, *(value for _, value in own)]).sum()
        (found,) = torch.autograd.grad(total, crop)
        gradient[..., *tile.outer] += found
        return summed((name, value.detach()) for name, value in own)

    def _whole(self, image: Image, losses: dict[str, Tensor], gradient: Image) -> None:
        """Terms on the picture itself need no tiles."""
        for term in self.terms:
            if term.layer == "input":
                leaf = image.clone().requires_grad_()
                loss = term(leaf)
                gradient += torch.autograd.grad(loss, leaf)[0]
                losses[term.name] = losses.get(term.name, torch.zeros(())) + loss.detach()


def stride_of(layer: str) -> int:
    """Pixels a position of a layer stands for: relu1_x 1, relu2_x 2 ... relu5_x 16."""
    return int(2 ** (int(layer.removeprefix("relu")[0]) - 1))


def own_moments(features: Features, tile: Tile, term: Term, image: Image) -> Moments:
    """The part of the whole picture's moments that a tile's own positions make."""
    stride = stride_of(term.layer)
    height, width = image.shape[-2:]
    rows, columns = _within(features, tile.own(stride, height, width))
    part = features[..., rows, columns]
    positions = (height // stride) * (width // stride)
    if term.mask is None:
        shares = torch.full((part.shape[-2] * part.shape[-1],), 1 / positions, device=image.device)
    else:
        whole = _shares(term.mask, height // stride, width // stride)
        top, left = tile.top // stride, tile.left // stride
        shares = whole[top : top + part.shape[-2], left : left + part.shape[-1]].flatten()
    return statistics.weighted_moments(statistics.rows(part), shares)


def _within(features: Features, own: tuple[slice, slice]) -> tuple[slice, slice]:
    """Slices cut off where a last row or column was lost to pooling."""
    rows, columns = own
    return slice(rows.start, min(rows.stop, features.shape[-2])), slice(columns.start, min(columns.stop, features.shape[-1]))


def _shares(mask: Mask, height: int, width: int) -> Tensor:
    shares = F.adaptive_avg_pool2d(mask.float(), (height, width))[0, 0]
    return shares / shares.sum().clamp(min=1e-12)


def own_content(features: Features, wanted: Features, tile: Tile, term: Term, image: Image) -> Tensor:
    """The part of the mean squared difference to the content that a tile's own positions make."""
    stride = stride_of(term.layer)
    rows, columns = _within(features, tile.own(stride, *image.shape[-2:]))
    squares = (features[..., rows, columns].float() - wanted[..., rows, columns].float()).square()
    height, width = image.shape[-2] // stride, image.shape[-1] // stride
    if term.mask is not None:
        top, left = tile.top // stride, tile.left // stride
        whole = F.adaptive_avg_pool2d(term.mask.float(), (height, width))
        squares = squares * whole[..., top : top + squares.shape[-2], left : left + squares.shape[-1]]
    return squares.sum() * (term.weight / (features.shape[1] * height * width))


@torch.no_grad()
def moments(encoder: VGG, image: Image, layers: Sequence[str], mask: Mask | None, tile: int) -> dict[str, Moments]:
    """Moments of each layer over the whole picture, computed over tiles."""
    terms = [Term("", layer, 1.0, statistics.moments, distances.w2, None, mask) for layer in layers]
    grid = list(tiles(image.shape[-2], image.shape[-1], tile, margin(encoder, layers)))
    return dict(zip(layers, TiledObjective(encoder, terms, tile)._moments(image, grid, terms), strict=True))
