"""Pictures put together of an exemplar's patches, and where in an exemplar each pixel of a picture comes from.

`arrange` makes a first, small version of a texture in which long structures hold: what statistics of features, blind to
place beyond the reach of a layer, cannot promise. `trace` finds for each pixel of a finished texture the place in the
exemplar that its surroundings look like; `carry` takes other maps of the exemplar there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from impasto.paint import memory
from impasto.pixels import geometry
from impasto.types import Image, Mask

RADIUS = 3
"""Patches are squares of 2 · 3 + 1 px."""
KEPT = 20
"""Principal components that patches are compared by: nearly all of their variance in natural textures."""
BLOCK = 2
"""Blocks are one part in so many of the exemplar's short side, and overlap by a third."""
SLACK = 0.15
"""A block is drawn among those that fit nearly as well as the best: by this share, and this share of the variance / 10."""
REUSE = 0.3
"""What it costs to use a place again, in shares of the variance: so that repeats do not jump to the eye."""
HEALINGS = 2
"""Rounds of matching and voting that close the seams between blocks."""
ROWS = 32768
"""Patches that are matched at a time."""
BRUTE = 48
"""Short side of the exemplar at which each patch is compared with each, px."""
ROUNDS = 2
"""Rounds of propagation and random search at each size."""
SAMPLE = 20000
"""Patches that principal components are found from."""
FAR = 1e6
"""Where patches are put that must not be found."""

Wrap = tuple[bool, bool]
"""Whether a picture goes on at its other side: vertically, horizontally."""
Field = Int[Tensor, "2 height width"]
"""Row and column in an exemplar, for each pixel of a picture."""


def padded(planes: Tensor, radius: int, wrap: Wrap) -> Tensor:
    """Planes continued by `radius` px on all sides: from the other side where they wrap, else by their edge pixels."""
    planes = F.pad(planes, (radius, radius, 0, 0), "circular" if wrap[1] else "replicate")
    return F.pad(planes, (0, 0, radius, radius), "circular" if wrap[0] else "replicate")


@torch.no_grad()
def arrange(
    exemplar: Image, size: tuple[int, int], wrap: Wrap = (False, False), seed: int = 0, mask: Mask | None = None
) -> Image:
    """A picture of (height, width) made of the exemplar's patches, without seam where it wraps.

    Blocks are laid in rows, each drawn among those that fit best to what lies there (Efros & Freeman, "Image Quilting",
    SIGGRAPH 2001, without their cuts); the seams are closed by replacing each patch with the exemplar's nearest and
    averaging (Kwatra et al., "Texture Optimization", SIGGRAPH 2005, eq. 1). `mask`: which of the exemplar's pixels count.
    """
    random = torch.Generator().manual_seed(seed)
    exemplar, mask = exemplar.cpu().float(), None if mask is None else mask.cpu()
    image = _laid(exemplar, size, wrap, random, mask)
    for _ in range(HEALINGS):
        image = _healed(image, exemplar, wrap, mask)
    return image.clamp(0, 1)


def _usable(mask: Mask | None, height: int, width: int, edge: int) -> Tensor:
    """Which squares of `edge` px lie within the mask, in the order of unfolding; all, where none does."""
    if mask is None:
        return torch.ones((height - edge + 1) * (width - edge + 1), dtype=torch.bool)
    found = F.max_pool2d((mask < 0.5).float(), edge, 1).flatten() == 0
    return found if bool(found.any()) else torch.ones_like(found)


def _laid(exemplar: Image, size: tuple[int, int], wrap: Wrap, random: torch.Generator, mask: Mask | None) -> Image:
    """Blocks in rows from the top left, each chosen by what overlaps with blocks that lie there already."""
    height, width = exemplar.shape[-2:]
    edge = max(1, min(max(8, min(height, width) // BLOCK), *size, height, width))
    usable = _usable(mask, height, width, edge)
    blocks = F.unfold(exemplar, edge)[0].T[usable]
    squares, variance = blocks.square(), float(exemplar.var().clamp(min=1e-6))
    used = torch.zeros(len(blocks))
    places = usable.nonzero()[:, 0]
    rows, columns = places // (width - edge + 1), places % (width - edge + 1)
    image, known = torch.zeros(3, *size), torch.zeros(size)
    for top in _starts(size[0], edge, wrap[0]):
        for left in _starts(size[1], edge, wrap[1]):
            spot = _span(top, left, edge, size)
            there, counts = image[:, *spot].flatten(), known[spot].flatten().repeat(3)
            costs = squares @ counts - 2 * (blocks @ (counts * there)) + (counts * there.square()).sum()
            costs = costs.clamp(min=0) / counts.sum().clamp(min=1) + REUSE * variance * used
            chosen = _drawn(costs, variance, random)
            used += torch.exp(-((rows - rows[chosen]) ** 2 + (columns - columns[chosen]) ** 2) / (edge / 3) ** 2)
            _lay(image, known, spot, blocks[chosen].view(3, edge, edge))
    return image[None]


def _starts(length: int, edge: int, wraps: bool) -> list[int]:
    """Where blocks begin so that they overlap by a third at least, evenly."""
    step = max(1, edge - edge // 3)
    if wraps:
        count = -(-length // step)
        return [round(index * length / count) for index in range(count)]
    count = -(-(length - edge) // step)
    return [round(index * (length - edge) / max(1, count)) for index in range(count + 1)]


def _span(top: int, left: int, edge: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The rows (a column) and columns of a block, around the picture's borders."""
    steps = torch.arange(edge)
    return (top + steps[:, None]) % size[0], (left + steps) % size[1]


def _drawn(costs: Tensor, variance: float, random: torch.Generator) -> int:
    good = (costs <= (1 + SLACK) * costs.min() + SLACK / 10 * variance).nonzero()[:, 0]
    return int(good[torch.randint(len(good), (), generator=random)])


def _lay(image: Tensor, known: Tensor, spot: tuple[Tensor, Tensor], block: Tensor) -> None:
    """Put a block down; half of what it overlaps stays as it was."""
    edge = block.shape[-1]
    inner = torch.zeros(edge, edge, dtype=torch.bool)
    rim = edge // 6
    inner[rim : edge - rim, rim : edge - rim] = True
    image[:, *spot] = torch.where(inner | (known[spot] == 0), block, image[:, *spot])
    known[spot] = 1


class Patches:
    """Patches of an exemplar as points in few dimensions; `radius` px around a middle."""

    def __init__(self, exemplar: Image, mask: Mask | None = None) -> None:
        self.size = exemplar.shape[-2], exemplar.shape[-1]
        self.radius = min(RADIUS, (min(self.size) - 1) // 2)
        self.edge = 2 * self.radius + 1
        stride = 1 + int((self.size[0] * self.size[1] / SAMPLE) ** 0.5)
        sample = F.unfold(exemplar, self.edge, stride=stride)[0].T
        self.mean = sample.mean(0)
        centered = sample - self.mean
        self.basis = torch.linalg.eigh(centered.T @ centered).eigenvectors[:, -KEPT:]
        self.points = _gathered(self._strips(exemplar), self.across * (self.size[0] - self.edge + 1))
        self.usable = _usable(mask, *self.size, self.edge)
        self.points[~self.usable] = FAR

    @property
    def across(self) -> int:
        """Patches in a row."""
        return self.size[1] - self.edge + 1

    def _strips(self, image: Image) -> Iterator[Tensor]:
        """The patches of an image as points, some rows at a time: unfolded, they take fifty times its memory."""
        band = max(1, ROWS // image.shape[-1])
        for top in range(0, image.shape[-2] - self.edge + 1, band):
            strip = image[..., top : top + band + self.edge - 1, :]
            yield (F.unfold(strip, self.edge)[0].T - self.mean) @ self.basis

    def around(self, image: Image, wrap: Wrap) -> Iterator[Tensor]:
        """The patch around each pixel of a picture as a point; some rows of the picture at a time."""
        return self._strips(padded(image, self.radius, wrap))

    def nearest(self, image: Image, wrap: Wrap) -> Int[Tensor, " pixels"]:
        """For each pixel of a picture the number of the patch that is most like what surrounds it."""
        half = self.points.square().sum(1) / 2
        parts = (part for strip in self.around(image, wrap) for part in torch.split(strip, 4096))
        return torch.cat([(part @ self.points.T - half).argmax(1) for part in parts])

    def middles(self, numbers: Tensor, size: tuple[int, int]) -> Field:
        """Where the middles of patches lie."""
        return (torch.stack([numbers // self.across, numbers % self.across]) + self.radius).view(2, *size)

    def costs(self, points: Tensor, places: Tensor) -> Tensor:
        """Squared distance of points to the patches around places (2 x points)."""
        numbers = (places[0] - self.radius) * self.across + places[1] - self.radius
        pairs = zip(torch.split(numbers, ROWS), torch.split(points, ROWS), strict=True)
        return torch.cat([(self.points[part] - wanted).square().sum(1) for part, wanted in pairs])

    def inside(self, field: Field) -> Field:
        """Places moved to where a whole patch lies around them."""
        return torch.stack([part.clamp(self.radius, side - 1 - self.radius) for part, side in zip(field, self.size, strict=True)])


def _healed(image: Image, exemplar: Image, wrap: Wrap, mask: Mask | None) -> Image:
    """Each patch replaced by the exemplar's nearest, and these averaged where they overlap, their middles counting most."""
    found = Patches(exemplar, mask)
    size = image.shape[-2], image.shape[-1]
    return carry(exemplar, found.middles(found.nearest(image, wrap), size), wrap, found.radius)


@torch.no_grad()
def carry(planes: Tensor, field: Field, wrap: Wrap = (False, False), radius: int = 2) -> Tensor:
    """Planes of an exemplar brought to where a field says: 1 x channels x height x width of the field.

    Every pixel is the mean of what its neighbors within `radius` px would have there, p <- Σ w(d) planes[field(p + d) - d],
    the near ones counting most: so the pieces that a field consists of flow into each other. The identity changes nothing.
    """
    height, width = field.shape[-2:]
    total, weights = torch.zeros(1, planes.shape[1], height, width), 0.0
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            weight = 2.0 ** -(4 * (down**2 + right**2) / max(1, radius) ** 2)
            rows, columns = _moved(field, down, right, wrap)
            total += weight * planes[..., rows.clamp(0, planes.shape[-2] - 1), columns.clamp(0, planes.shape[-1] - 1)]
            weights += weight
    return total / weights


def _moved(field: Field, down: int, right: int, wrap: Wrap) -> Field:
    """What each pixel's neighbor (down, right) says of this pixel: field(p + d) - d; beyond the border the pixel itself."""
    moved = field
    for axis, shift, around in ((0, down, wrap[0]), (1, right, wrap[1])):
        length = field.shape[1 + axis]
        there = torch.arange(length) + shift
        there = there % length if around else there.clamp(0, length - 1)
        moved = moved.index_select(1 + axis, there)
        step = torch.full((length,), shift) if around else there - torch.arange(length)
        shape = (length, 1) if axis == 0 else (1, length)
        moved = torch.stack([part - step.view(shape) if index == axis else part for index, part in enumerate(moved)])
    return moved


@torch.no_grad()
def trace(image: Image, exemplar: Image, wrap: Wrap = (False, False), seed: int = 0, mask: Mask | None = None) -> Field:
    """For each pixel the place in the exemplar whose surroundings are most like its own.

    All are compared where both pictures are small; from there to the full size in steps of two the neighbors' places and
    random ones nearby are tried (Barnes et al., "PatchMatch", SIGGRAPH 2009, sections 3.2 and 3.3, all pixels at once).
    """
    memory.give_back()  # what the steps before left lies in pieces too small for this
    random = torch.Generator().manual_seed(seed)
    image, exemplar, mask = image.cpu().float(), exemplar.cpu().float(), None if mask is None else mask.cpu()
    halvings = max(0, math.floor(math.log2(min(exemplar.shape[-2:]) / BRUTE)))
    field, before = None, (0, 0)
    for halving in range(halvings, -1, -1):
        seen, source = _shrunk(image, halving), _shrunk(exemplar, halving)
        found = Patches(source, None if mask is None else _shrunk(mask, halving))
        size = seen.shape[-2], seen.shape[-1]
        if field is None:
            field = found.middles(found.nearest(seen, wrap), size)
        else:
            start = found.inside(enlarged(field, size, before, found.size))
            field = _searched(start, _gathered(found.around(seen, wrap), size[0] * size[1]), found, random)
        before = found.size
    return field if field is not None else torch.zeros(2, *image.shape[-2:], dtype=torch.long)


def _gathered(strips: Iterable[Tensor], count: int) -> Tensor:
    """All rows of the strips, `count`, without holding them twice."""
    whole, place = torch.empty(0), 0
    for strip in strips:
        whole = strip.new_empty(count, strip.shape[1]) if place == 0 else whole
        whole[place : place + len(strip)] = strip
        place += len(strip)
    return whole


def _shrunk(planes: Tensor, halvings: int) -> Tensor:
    height, width = planes.shape[-2:]
    return geometry.resize(planes, (max(1, round(height / 2**halvings)), max(1, round(width / 2**halvings))))


def enlarged(field: Field, size: tuple[int, int], before: tuple[int, int], now: tuple[int, int]) -> Field:
    """A field in another size of picture and exemplar: neighbors of one coarse pixel get neighboring places."""
    parts = []
    at = [(torch.arange(length) + 0.5) * small / length for length, small in zip(size, field.shape[-2:], strict=True)]
    coarse = [position.long().clamp(max=small - 1) for position, small in zip(at, field.shape[-2:], strict=True)]
    for axis, part in enumerate(field.float()):
        picked = part[coarse[0]][:, coarse[1]]
        beyond = (at[axis] - coarse[axis] - 0.5).view((-1, 1) if axis == 0 else (1, -1))
        parts.append(((picked + 0.5 + beyond) * now[axis] / before[axis]).long())
    return torch.stack(parts)


def _searched(field: Field, points: Tensor, found: Patches, random: torch.Generator) -> Field:
    """The field bettered by what neighbors propose, near and farther ones, and by chance."""
    costs = found.costs(points, field.flatten(1))
    for turn in range(ROUNDS):
        for reach in (4, 1) if turn == 0 else (2, 1):
            for down, right in ((reach, 0), (-reach, 0), (0, reach), (0, -reach)):
                moved = torch.roll(field, (down, right), (1, 2)) + torch.tensor([down, right]).view(2, 1, 1)
                field, costs = _better(field, costs, moved, points, found)
        radius = max(found.size) // 4
        while radius >= 1:
            moved = field + torch.randint(-radius, radius + 1, field.shape, generator=random)
            field, costs = _better(field, costs, moved, points, found)
            radius //= 4
    return field


def _better(field: Field, costs: Tensor, moved: Field, points: Tensor, found: Patches) -> tuple[Field, Tensor]:
    moved = found.inside(moved)
    proposed = found.costs(points, moved.flatten(1))
    closer = proposed < costs
    return torch.where(closer.view(field.shape[1:]), moved, field), torch.where(closer, proposed, costs)
