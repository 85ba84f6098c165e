"""Areas of a picture: of a colored map by its colors, of a photograph or painting by what looks alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from impasto.features import encoders
from impasto.features.encoders import MIN_SIDE
from impasto.pixels import color, geometry
from impasto.types import Image, Mask

FLAT = 8 / 255
"""Pixels whose 3 × 3 neighbors deviate by no more than this are inside a color of a map, and not on an edge."""
REACH = 7
"""An edge pixel of a map becomes one of the colors whose insides lie within half of this, px."""
EDGE = 192
"""Long edge that pictures are divided at, px: enough for areas, and the same work for every picture."""
PIECES = 256
"""Superpixels of a picture."""
PIECE_ROUNDS, AREA_ROUNDS = 8, 30
"""Rounds of k-means for the superpixels and for the areas."""
LIKENESS, NEARNESS = 0.35, 0.35
"""Widths of the affinity: of looks, where the pieces' deviation is 1; of places, in long edges."""
LEAST_AREA = 0.01
"""Areas under this share of the picture are too small to take a style from, and are given to the others."""
DEEP = {"relu3_1": 0.5, "relu4_1": 0.85}
"""Layers that say what kind of thing a piece shows, and their weights beside color and texture."""
DEEP_AXES = 12
"""Principal axes kept of each of those layers."""
PLAIN = 0.02
"""A picture whose color and texture deviate by less (1 is 25 in Lab) is one area."""
GUIDE_SIGMA, GUIDE_EPSILON = 2.0, 1e-3
"""Window, px, and smoothness of the guided filter that gives the areas the picture's own edges."""


class Areas(NamedTuple):
    """A picture divided: soft masks, and what each area looks like."""

    masks: Float[Tensor, "1 areas height width"]
    """Adding up to 1 at every pixel; in the size that was worked at."""
    traits: Float[Tensor, "areas traits"]
    """Areas of two pictures that could stand for each other are close (Euclid)."""


def blur(planes: Tensor, sigma: float) -> Tensor:
    """Each channel convolved with a Gaussian; the border replicated, so constants and sums of channels are kept."""
    radius = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, dtype=planes.dtype, device=planes.device) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    rows = planes.flatten(0, 1)[:, None]
    rows = F.conv2d(F.pad(rows, (radius, radius, 0, 0), "replicate"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(rows, (0, 0, radius, radius), "replicate"), kernel.view(1, 1, -1, 1)).view_as(planes)


def palette(image: Image, *, tolerance: float = 0.1, least: float = 0.001) -> Float[Tensor, "colors 3"]:
    """The colors that a map is painted in, the most frequent first, sRGB in [0, 1].

    Only pixels inside of a color count, so blends along soft edges and the noise of JPEG around them add none. The most
    frequent value takes in all within `tolerance` (Euclid on sRGB: 0.1 is 25 of 255 levels of one channel), then the most
    frequent of those left, and so on. Colors on less than `least` of the picture are dropped.
    """
    pixels = image[0].flatten(1).T
    inside = flat(image).flatten()
    values = (pixels[inside] if inside.any() else pixels).mul(255).round()
    found, counts = torch.unique(values, dim=0, return_counts=True)
    found, colors, shares = found / 255, [], []
    for _ in range(int(1 / least)):
        if not counts.any():
            break
        mode = found[counts.argmax()]
        members = (found - mode).norm(dim=1) <= tolerance
        colors.append(mode)
        shares.append(int(counts[members].sum()))
        counts = counts.masked_fill(members, 0)
    kept = [k for k, share in enumerate(shares) if share >= least * len(values)]
    return torch.stack([colors[k] for k in sorted(kept, key=lambda k: -shares[k])])


def flat(image: Image) -> Bool[Tensor, "1 1 height width"]:
    """Which pixels differ from none of their neighbors by more than `FLAT` in a channel."""
    highest, lowest = F.max_pool2d(image, 3, 1, 1), -F.max_pool2d(-image, 3, 1, 1)
    return (highest - lowest).amax(1, keepdim=True) <= 2 * FLAT


def labels(image: Image, colors: Float[Tensor, "colors 3"]) -> Int[Tensor, "1 1 height width"]:
    """The index of each pixel's color in a palette.

    Inside of a color that is the nearest of the palette. On an edge it is the nearest of those that are inside close by:
    the blend of red and blue becomes red or blue, though the palette has a violet. Lines under 3 px go to their neighbors.
    """
    inside, none = flat(image), torch.full_like(image[:, :1], math.inf)
    anywhere = _nearest(image, colors, [none == none] * len(colors))
    sure = torch.where(inside, anywhere, -1)
    near = [F.max_pool2d((sure == k).float(), REACH, 1, REACH // 2) > 0 for k in range(len(colors))]
    nearby = _nearest(image, colors, near)
    return torch.where(inside | (nearby < 0), anywhere, nearby)


def _nearest(image: Image, colors: Tensor, allowed: list[Tensor]) -> Tensor:
    """Index of the nearest color among those allowed at a pixel, -1 where none is; one color at a time, to spare memory."""
    best = torch.full_like(image[:, :1], math.inf)
    index = torch.full_like(best, -1, dtype=torch.long)
    for k, value in enumerate(colors):
        distance = (image - value.to(image).view(1, 3, 1, 1)).norm(dim=1, keepdim=True).masked_fill(~allowed[k], math.inf)
        index = torch.where(distance < best, k, index)
        best = torch.minimum(best, distance)
    return index


@torch.no_grad()
def divide(image: Image, count: int) -> Areas:
    """At most `count` areas that look alike within, from the top of the picture down. Deterministic.

    Superpixels by k-means over color, texture and place (as SLIC, Achanta et al., PAMI 2012, without its windows), described
    by color, texture and the encoder's responses; their normalized cut (Shi & Malik, PAMI 2000, over `count` eigenvectors as
    Ng et al., NIPS 2001); edges by the guided filter (He et al., ECCV 2010). Fewer areas where the picture has no more.
    """
    height, width = image.shape[-2:]
    # the encoder needs something to look at across as well
    long_edge = max(EDGE, math.ceil(MIN_SIDE * max(height, width) / min(height, width)))
    small = geometry.resize(image, geometry.sizes(height, width, long_edge))
    shape = (small.shape[-2], small.shape[-1])
    lab = color.rgb_to_lab(small)
    surface = torch.cat((blur(lab, 1.0) * lab.new_tensor([0.7, 1.3, 1.3]).view(1, 3, 1, 1) / 25, _texture(lab[:, :1])), 1)
    if count == 1 or float(surface.std((2, 3)).norm()) < PLAIN:
        masks = torch.ones_like(lab[:, :1])
        return Areas(masks, _traits(masks, lab))
    pieces, sizes = _superpixels(surface, count)
    place = _mean(_places(shape), pieces, sizes)
    looks = torch.cat((_mean(surface, pieces, sizes), *_deep(small, pieces, sizes)), 1)
    areas = _cut(looks, place, sizes, count)
    hard = F.one_hot(areas[pieces].view(shape), int(areas.max()) + 1).permute(2, 0, 1)[None].to(image)
    masks = _guided(hard, lab[:, :1] / 100)
    order = (masks * _places(shape)[:, 1:].to(masks)).sum((0, 2, 3)).div(masks.sum((0, 2, 3))).argsort()
    masks = masks[:, order]
    return Areas(masks, _traits(masks, lab))


def _texture(lightness: Tensor) -> Tensor:
    """Energy of detail about 1.5 and 4 px wide, 1 for a deviation of 12 in L: 1 x 2 x height x width."""
    fine, coarse = blur(lightness, 1.5), blur(lightness, 4.0)
    energies = (blur((lightness - fine) ** 2, 3.0), blur((fine - coarse) ** 2, 6.0))
    return torch.cat(energies, 1).clamp(min=0).sqrt() / 12


def _places(shape: tuple[int, int]) -> Tensor:
    """Columns and rows of the pixels, in long edges: 1 x 2 x height x width."""
    height, width = shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((x, y))[None] / max(shape)


def _superpixels(surface: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """The superpixel of each pixel, counted without gaps, and how many pixels each has."""
    height, width = surface.shape[-2:]
    step = max(1.0, math.sqrt(height * width / max(PIECES, least)))
    place = _places((height, width)).to(surface) * (max(height, width) / step * 0.6)
    points = torch.cat((surface, place), 1)[0].flatten(1).T
    rows, columns = torch.arange(step / 2, height, step).long(), torch.arange(step / 2, width, step).long()
    seeds = (rows[:, None] * width + columns).flatten()
    _, pieces, sizes = torch.unique(_kmeans(points, points[seeds], PIECE_ROUNDS), return_inverse=True, return_counts=True)
    return pieces, sizes


def _kmeans(points: Tensor, centers: Tensor, rounds: int) -> Tensor:
    """The index of each point's center after some of Lloyd's rounds; centers without points stay where they are."""
    for _ in range(rounds):
        index = torch.cdist(points, centers).argmin(1)
        counts = torch.bincount(index, minlength=len(centers))[:, None]
        sums = torch.zeros_like(centers).index_add_(0, index, points)
        centers = torch.where(counts > 0, sums / counts.clamp(min=1), centers)
    return torch.cdist(points, centers).argmin(1)


def _mean(planes: Tensor, pieces: Tensor, sizes: Tensor) -> Tensor:
    """The mean of each channel over each piece: pieces x channels."""
    rows = planes[0].flatten(1).T.float()
    return rows.new_zeros(len(sizes), rows.shape[1]).index_add_(0, pieces, rows) / sizes[:, None]


def _deep(small: Image, pieces: Tensor, sizes: Tensor) -> list[Tensor]:
    """Directions of the encoder's responses at each piece, on their principal axes, with the deviation of `DEEP`."""
    found = []
    for layer, features in encoders.load("vgg16").to(small.device)(small, DEEP).items():
        here = F.interpolate(features, (small.shape[-2], small.shape[-1]), mode="bilinear", align_corners=False)
        rows = F.normalize(_mean(here, pieces, sizes), dim=1)
        left, values, _ = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
        found.append(DEEP[layer] * _scaled((left * values)[:, :DEEP_AXES]))
    return found


def _scaled(rows: Tensor) -> Tensor:
    """Centered, with a root mean square length of 1; what does not vary stays 0."""
    rows = rows - rows.mean(0)
    length = rows.square().sum(1).mean().sqrt()
    return rows / length if length > 1e-4 else torch.zeros_like(rows)


def _cut(looks: Tensor, place: Tensor, sizes: Tensor, count: int) -> Tensor:
    """The area of each piece, by the normalized cut; areas under `LEAST_AREA` dissolved, others found in their stead."""
    affinity = torch.exp(-(_distance(_scaled(looks)) / LIKENESS).square() / 2 - (_distance(place) / NEARNESS).square() / 2)
    weight = sizes.double()
    affinity = affinity * weight[:, None] * weight
    scale = affinity.sum(1).rsqrt()
    _, vectors = torch.linalg.eigh(affinity * scale[:, None] * scale)
    best = torch.zeros(len(sizes), dtype=torch.long, device=looks.device)
    for tried in range(min(count, len(sizes)), min(2 * count, len(sizes)) + 1):
        points = F.normalize(vectors[:, -tried:], dim=1)
        areas = _kmeans(points, _spread_out(points, tried), AREA_ROUNDS)
        areas = _dissolved(points, areas, torch.bincount(areas, weight, tried) >= LEAST_AREA * weight.sum())
        if best.max() < areas.max() < count:
            best = areas
    return best


def _distance(rows: Tensor) -> Tensor:
    """Distances of all pairs, in float64."""
    return torch.cdist(rows.double(), rows.double())


def _spread_out(points: Tensor, count: int) -> Tensor:
    """Points far from each other: the one farthest from the middle, then each time the one farthest from those taken."""
    chosen = [int((points - points.mean(0)).norm(dim=1).argmax())]
    gap = torch.full_like(points[:, 0], math.inf)
    while len(chosen) < count:
        gap = torch.minimum(gap, (points - points[chosen[-1]]).norm(dim=1))
        chosen.append(int(gap.argmax()))
    return points[chosen]


def _dissolved(points: Tensor, areas: Tensor, large: Tensor) -> Tensor:
    """The points of areas that are not large given to the nearest large one; areas counted without gaps."""
    kept = large.nonzero().flatten()
    centers = torch.stack([points[areas == area].mean(0) for area in kept.tolist()])
    nearest = torch.cdist(points, centers).argmin(1)
    position = torch.cumsum(large.long(), 0) - 1
    return torch.where(large[areas], position[areas], nearest)


def _guided(hard: Tensor, guide: Mask) -> Tensor:
    """Masks filtered with the picture as guide: near the masks, locally linear in the guide. Their sum stays 1.

    He et al., ECCV 2010, eq. 5, 6 and 8, with Gaussian windows. Where the picture has an edge the mask gets it, where it
    has none the mask is feathered.
    """
    mean, mask = blur(guide, GUIDE_SIGMA), blur(hard, GUIDE_SIGMA)
    variance = blur(guide * guide, GUIDE_SIGMA) - mean * mean
    slope = (blur(guide * hard, GUIDE_SIGMA) - mean * mask) / (variance + GUIDE_EPSILON)
    found = blur(slope, GUIDE_SIGMA) * guide + blur(mask - slope * mean, GUIDE_SIGMA)
    found = found.clamp(min=0)  # linear models overshoot
    return found / found.sum(1, keepdim=True)


def _traits(masks: Tensor, lab: Tensor) -> Tensor:
    """What areas are paired by: mean color, itself and against the picture's, detail, height, and size."""
    weight = masks[0].flatten(1) / masks.sum((2, 3)).T
    pixels = torch.cat((lab, 25 * _texture(lab[:, :1])), 1)[0].flatten(1).T
    mean = weight @ pixels
    against = (mean - pixels.mean(0)) / pixels.std(0).clamp(min=4)
    y = _places((lab.shape[-2], lab.shape[-1]))[0, 1].flatten().to(weight)
    height, size = weight @ (y / y.max().clamp(min=1e-6)), masks.mean((0, 2, 3)).sqrt()
    return torch.cat((mean[:, :3] / 50, 0.5 * against, 4 * height[:, None], size[:, None]), 1)
