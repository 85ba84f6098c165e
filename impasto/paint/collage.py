"""A picture laid out of patches of others, where a map says what goes where.

Texture by numbers (Hertzmann et al., "Image Analogies", SIGGRAPH 2001, section 4) matched as Champandard does ("Semantic
Style Transfer and Turning Two-Bit Doodles into Fine Artwork", 2016, section 3): what a patch shows and what the map says
around it are compared together. Coarse to fine (Wexler et al., "Space-Time Completion of Video", PAMI 2007): match every
patch, let the matched patches vote for each pixel, repeat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from impasto.pixels import geometry
from impasto.types import Image

SEMANTIC_WEIGHT = 1.0
"""What it costs to take a patch from where the map says something else, beside mean squared differences of color (0 ... 1)."""
PATCH = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
"""Offsets of a patch's pixels from its center, px."""
REACH = 6
AROUND = [(y, x) for reach in (2, REACH) for y in (-reach, 0, reach) for x in (-reach, 0, reach) if (y, x) != (0, 0)]
"""Where the map is looked at beside the center, px: what lies above, below and beside."""
AROUND_SHARE = 0.06
"""Share of the map's cost that these have: water at a shore is like water at a shore, and any water is better than land."""
START, FINEST = 32, 512
"""Long edges of the coarsest size and of the finest that matches are looked for at, px; above, those there are serve."""
EXHAUSTIVE = 96
"""Up to this long edge every patch is compared with every other; above, matches spread from neighbor to neighbor."""
ROUNDS, FINE_ROUNDS = 6, 3
"""Rounds of matching and voting at each size, up to EXHAUSTIVE and above."""
EVEN = 0.002
"""Cost of a patch for being used once as often as all others are: what keeps the cheapest from being used everywhere."""
ELSEWHERE = 0.01
"""Vote of a patch for pixels of another region than it shows there: nearly none, so borders stay sharp."""
SHUFFLE = 0.02
"""Random cost, up to, of the first matches, which know nothing but the map."""
SPREAD, LAST_SPREAD = 2.0, 0.7
"""Deviation of the weight of votes about a patch's center, px: smooth while matches are found, crisp at the end."""
ROWS = 2048
"""Patches that are compared with all others at a time."""


class Piece(NamedTuple):
    """A picture that patches are taken from."""

    image: Image
    labels: Int[Tensor, "1 1 height width"]
    """The region of each pixel, from 0; -1 where nothing is to be taken. At any size."""
    share: float = 1.0
    """How much of it is to be used, beside other pieces of the same regions."""


class Plane(NamedTuple):
    """Pictures with their labels, padded and side by side, as rows of pixels: a step aside is a difference of indices."""

    colors: Float[Tensor, "pixels 3"]
    labels: Int[Tensor, " pixels"]
    owners: Int[Tensor, " pixels"]
    """Number of the picture, from 0."""
    centers: Int[Tensor, " centers"]
    """Indices of the pixels that are no padding and have a label."""
    width: int
    sizes: tuple[tuple[int, int], ...]
    """Height and width of each picture without padding."""
    lefts: tuple[int, ...]
    """Column of each picture's first pixel."""

    def steps(self, offsets: Sequence[tuple[int, int]]) -> list[int]:
        """Offsets in rows and columns as differences of indices."""
        return [y * self.width + x for y, x in offsets]


class Match(NamedTuple):
    """Where each pixel's patch is taken from, at a size."""

    target: Plane
    source: Plane
    taken: Int[Tensor, " centers"]
    """A center of the source for each center of the target."""


def collage(
    labels: Int[Tensor, "1 1 height width"],
    pieces: Sequence[Piece],
    shape: tuple[int, int],
    *,
    seed: int = 0,
    weight: float = SEMANTIC_WEIGHT,
    scale: float = 1.0,
    start: Image | None = None,
) -> Iterator[Image]:
    """The picture of (height, width) that `labels` asks for, laid of patches of the pieces; yielded at each size, the last last.

    `weight`: 0 forgets the labels, infinity never takes a patch of another region's. `scale`: the pieces are looked at this
    many times the size of the picture, and never enlarged. Without a `start` patches are shuffled within their regions at the
    coarsest size; with one the picture resembles it.
    """
    count = 1 + max(int(marks.max()) for marks in (labels, *(piece.labels for piece in pieces)))
    shares = [piece.share for piece in pieces]
    before: Match | None = None
    image = start
    for size in levels(max(shape), START if start is None else EXHAUSTIVE):
        here = geometry.sizes(*shape, size) if size < max(shape) else shape
        source = plane(*zip(*(_seen(piece, round(size * scale), count) for piece in pieces), strict=True))
        blank = torch.zeros(1, 3, *here) if image is None else geometry.resize(image, here)
        target = plane([blank], [labels_at(labels, here, count)])
        match = _first(target, source, weight, seed, blank=image is None) if before is None else enlarged(before, target, source)
        match = homed(match, weight, seed)
        before, image = _settled(match, weight, shares, seed, size, drawn=start is not None and before is None)
        yield image


def levels(end: int, start: int = START) -> list[int]:
    """Long edges that patches are laid at: growing by the square root of 2 up to FINEST, and the last."""
    found = geometry.pyramid(end, min(start, end))
    return [size for size in found if size <= FINEST or size == end]


def _seen(piece: Piece, edge: int, count: int) -> tuple[Image, Tensor]:
    height, width = piece.image.shape[-2:]
    size = geometry.sizes(height, width, max(1, min(edge, max(height, width))))
    return geometry.resize(piece.image, size), labels_at(piece.labels, size, count)


def _settled(match: Match, weight: float, shares: Sequence[float], seed: int, size: int, *, drawn: bool) -> tuple[Match, Image]:
    """Match and vote in turn; `drawn`: the target shows something that is to be kept, so the first votes wait."""
    use = torch.zeros(len(match.source.labels))
    if not drawn:
        match = _painted(match, vote(match, weight))
    rounds = 0 if size > FINEST else ROUNDS if size <= EXHAUSTIVE else FINE_ROUNDS
    for number in range(rounds // 2 if drawn else rounds):
        use = (use + usage(match, shares)) / 2
        if size <= EXHAUSTIVE:
            match = match._replace(taken=search(match.target, match.source, weight, use))
        else:
            match = refined(match, weight, use, seed + number)
        match = _painted(match, vote(match, weight))
    colors = vote(match, weight, LAST_SPREAD)
    return match, colors.T.reshape(1, 3, *match.target.sizes[0]).contiguous()


def _painted(match: Match, colors: Tensor) -> Match:
    """The match with new colors in the target, those of its border carried on into the padding."""
    image = colors.T.reshape(1, 3, *match.target.sizes[0])
    padded = F.pad(image, (REACH,) * 4, "replicate")[0].flatten(1).T.contiguous()
    return match._replace(target=match.target._replace(colors=padded))


def plane(images: Sequence[Image], labels: Sequence[Tensor]) -> Plane:
    """Pictures and labels (1 x 1 x height x width) of their sizes laid side by side."""
    tall = max(image.shape[-2] for image in images)
    rows: list[Tensor] = []
    lefts, left = [], REACH
    for number, (image, own) in enumerate(zip(images, labels, strict=True)):
        planes = torch.cat((image, own.to(image), torch.full_like(own, number).to(image)), 1)
        padded = F.pad(planes, (REACH,) * 4, "replicate")
        inside = F.pad(torch.ones_like(own).to(image), (REACH,) * 4)
        rows.append(F.pad(torch.cat((padded, inside), 1), (0, 0, 0, tall - image.shape[-2])))
        lefts.append(left)
        left += image.shape[-1] + 2 * REACH
    joined = torch.cat(rows, 3)
    flat = joined[0].flatten(1)
    marks = flat[3].long()
    return Plane(
        flat[:3].T.contiguous(),
        marks,
        flat[4].long(),
        torch.nonzero((flat[5] > 0) & (marks >= 0))[:, 0],
        joined.shape[-1],
        tuple((image.shape[-2], image.shape[-1]) for image in images),
        tuple(lefts),
    )


def labels_at(labels: Tensor, size: tuple[int, int], count: int) -> Int[Tensor, "1 1 height width"]:
    """The label that covers most of each pixel of (height, width); -1 where none does."""
    best = torch.zeros(1, 1, *size)
    found = torch.full((1, 1, *size), -1)
    for k in range(count):
        share = F.interpolate((labels == k).float(), size, mode="area")
        found = torch.where(share > best, k, found)
        best = torch.maximum(best, share)
    return found


def _first(target: Plane, source: Plane, weight: float, seed: int, *, blank: bool) -> Match:
    """Matches to begin with: by the map alone, shuffled, or by what the target shows as well."""
    nothing = torch.zeros(len(source.labels))
    return Match(target, source, search(target, source, weight, nothing, shuffle=seed if blank else None))


def search(target: Plane, source: Plane, weight: float, use: Tensor, *, shuffle: int | None = None) -> Int[Tensor, " centers"]:
    """For each center of the target the center of the source of least `cost`, by trying all.

    `shuffle`: a seed; colors do not count then, and chance does a little.
    """
    kinds = 1 + int(torch.maximum(target.labels.max(), source.labels.max()))
    ours, theirs = (_rows(part, kinds, weight, colors=shuffle is None) for part in (target, source))
    length = theirs.square().sum(1) + use[source.centers]
    own, other = target.labels[target.centers], source.labels[source.centers]
    random = torch.Generator().manual_seed(shuffle or 0)
    found = []
    for rows, label in zip(torch.split(ours, ROWS), torch.split(own, ROWS), strict=True):
        costs = torch.addmm(length.expand(1, -1), rows, theirs.T, alpha=-2)
        if shuffle is not None:
            costs += SHUFFLE * torch.rand(costs.shape, generator=random)
        if weight == math.inf:
            costs.masked_fill_(label[:, None] != other, math.inf)
        found.append(costs.argmin(1))
    return source.centers[torch.cat(found)]


def _rows(part: Plane, kinds: int, weight: float, *, colors: bool) -> Tensor:
    """What centers are compared by: rows whose squared distances are costs, less what an infinite weight forbids."""
    found = []
    if colors:
        patches = part.colors[part.centers[:, None] + torch.tensor(part.steps(PATCH))]
        found.append(patches.flatten(1) / math.sqrt(3 * len(PATCH)))
    marks = part.labels[part.centers[:, None] + torch.tensor(part.steps([(0, 0), *AROUND]))]
    # two marks of one kind lie √2 apart where they differ
    factors = torch.tensor(_shares(weight)).div(2).sqrt()
    found.append(((marks[:, :, None] == torch.arange(kinds)) * factors[:, None]).flatten(1))
    return torch.cat(found, 1)


def _shares(weight: float) -> list[float]:
    """What a difference of the map costs at the center, and at each place around."""
    finite = SEMANTIC_WEIGHT if weight == math.inf else weight
    return [finite * (1 - AROUND_SHARE), *[finite * AROUND_SHARE / len(AROUND)] * len(AROUND)]


def cost(match: Match, weight: float, use: Tensor) -> Float[Tensor, " centers"]:
    """|c − c'|² + weight · share of the places around where labels differ + use; infinite weights forbid another region's.

    c and c' are the colors of the patches about a center of the target and its match, their squared difference a mean.
    """
    target, source, taken = match
    total = torch.zeros(len(taken))
    for there, here in zip(source.steps(PATCH), target.steps(PATCH), strict=True):
        total += (target.colors[target.centers + here] - source.colors[taken + there]).square().sum(1)
    total /= 3 * len(PATCH)
    places = [(0, 0), *AROUND]
    for share, there, here in zip(_shares(weight), source.steps(places), target.steps(places), strict=True):
        total += share * (target.labels[target.centers + here] != source.labels[taken + there])
    if weight == math.inf:
        total.masked_fill_(target.labels[target.centers] != source.labels[taken], math.inf)
    return total + use[taken]


def refined(match: Match, weight: float, use: Tensor, seed: int) -> Match:
    """Better matches from the neighbors' and from random places around (Barnes et al., "PatchMatch", SIGGRAPH 2009)."""
    target, source, taken = match._replace(taken=match.taken.clone())
    allowed = torch.zeros(len(source.labels), dtype=torch.bool)
    allowed[source.centers] = True
    number = torch.full((len(target.labels),), -1)
    number[target.centers] = torch.arange(len(target.centers))
    best = cost(match, weight, use)
    random = torch.Generator().manual_seed(seed)
    reach = max(4, max(max(size) for size in source.sizes) // 8)
    for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        neighbor = number[target.centers + down * target.width + right]
        tried = taken[neighbor.clamp(min=0)] - (down * source.width + right)
        _take(match, taken, best, torch.where(neighbor < 0, taken, tried), allowed, weight, use)
    while reach >= 1:
        jump = torch.randint(-reach, reach + 1, (2, len(taken)), generator=random)
        _take(match, taken, best, taken + jump[0] * source.width + jump[1], allowed, weight, use)
        reach //= 3
    return match._replace(taken=taken)


def _take(match: Match, taken: Tensor, best: Tensor, tried: Tensor, allowed: Tensor, weight: float, use: Tensor) -> None:
    """Put the matches tried in place of those that cost more."""
    tried = tried.clamp(0, len(allowed) - 1)
    fit = torch.nonzero(allowed[tried] & (tried != taken))[:, 0]
    target = match.target._replace(centers=match.target.centers[fit])
    found = cost(Match(target, match.source, tried[fit]), weight, use)
    better = found < best[fit]
    taken[fit[better]], best[fit[better]] = tried[fit[better]], found[better]


def vote(match: Match, weight: float = SEMANTIC_WEIGHT, spread: float = SPREAD) -> Float[Tensor, "centers 3"]:
    """Each center's color: the mean of what the patches over it show there, those centered near it counting most."""
    target, source, taken = match
    total = torch.zeros(len(target.labels), 4)
    for (y, x), there, here in zip(PATCH, source.steps(PATCH), target.steps(PATCH), strict=True):
        share = torch.full((len(taken), 1), math.exp(-(y * y + x * x) / (2 * spread**2)))
        if weight > 0:
            same = source.labels[taken + there] == target.labels[target.centers + here]
            share = torch.where(same[:, None], share, ELSEWHERE * share)
        total[target.centers + here] += torch.cat((source.colors[taken + there] * share, share), 1)
    found = total[target.centers]
    return found[:, :3] / found[:, 3:]


def usage(match: Match, shares: Sequence[float]) -> Float[Tensor, " pixels"]:
    """What each pixel of the source costs for how often it was used: EVEN at its even share of its region's matches."""
    target, source, taken = match
    counts = torch.bincount(taken, minlength=len(source.labels)).float()
    used = F.avg_pool2d(counts.view(1, 1, -1, source.width), 3, 1, 1).flatten()
    group = source.labels.clamp(min=0) * len(shares) + source.owners
    groups = (int(group.max()) // len(shares) + 1) * len(shares)
    there = torch.bincount(group[source.centers], minlength=groups).float()
    wanted = torch.bincount(target.labels[target.centers], minlength=groups // len(shares))[: groups // len(shares)]
    portions = torch.tensor(shares) * (there.view(-1, len(shares)) > 0)
    portions = portions / portions.sum(1, keepdim=True).clamp(min=1e-12)
    even = (wanted[:, None] * portions).flatten() / there.clamp(min=1)
    return EVEN * used / even[group].clamp(min=1e-3)


def enlarged(before: Match, target: Plane, source: Plane) -> Match:
    """The matches of another size brought to that of the planes."""
    (height, width), (old_height, old_width) = target.sizes[0], before.target.sizes[0]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack(((y + 0.5) * old_height / height, (x + 0.5) * old_width / width)).flatten(1)
    row, column = place[0].long().clamp(max=old_height - 1), place[1].long().clamp(max=old_width - 1)
    old, own = before.source, before.taken[row * old_width + column]
    owner, down, right = old.owners[own], own // old.width - REACH + place[0] - row, own % old.width + place[1] - column
    sizes, old_sizes = torch.tensor(source.sizes)[owner], torch.tensor(old.sizes)[owner]
    lefts, old_lefts = torch.tensor(source.lefts)[owner], torch.tensor(old.lefts)[owner]
    down = torch.minimum((down * sizes[:, 0] / old_sizes[:, 0]).long().clamp(min=0), sizes[:, 0] - 1)
    right = torch.minimum(((right - old_lefts) * sizes[:, 1] / old_sizes[:, 1]).long().clamp(min=0), sizes[:, 1] - 1)
    return Match(target, source, (down + REACH) * source.width + right + lefts)


def homed(match: Match, weight: float, seed: int) -> Match:
    """Matches that lie in another region, or nowhere, replaced by random ones of their own: regions too small for a coarser
    size begin so. Without a weight, any will do.
    """
    target, source, taken = match
    own, home = target.labels[target.centers], source.labels[source.centers]
    lost = source.labels[taken] < 0 if weight == 0 else source.labels[taken] != own
    random = torch.Generator().manual_seed(seed)
    taken = taken.clone()
    for label in torch.unique(own[lost]).tolist():
        here = torch.nonzero(lost & (own == label))[:, 0]
        there = source.centers[home == label] if weight > 0 else source.centers
        there = there if len(there) else source.centers
        taken[here] = there[torch.randint(len(there), (len(here),), generator=random)]
    return match._replace(taken=taken)
