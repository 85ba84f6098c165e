"""How near a picture is to a style and to a content, as numbers that can be compared between programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import cast

import torch

from impasto.errors import UsageError
from impasto.fast import style as filters
from impasto.fast.style import StyleLike
from impasto.features import distances, encoders, statistics
from impasto.features.encoders import VGG
from impasto.features.statistics import Moments
from impasto.pixels import color, geometry, io
from impasto.types import Image, ImageLike

SIZE = 256
"""Long edge that pictures are brought to before they are compared, px."""
STYLE_LAYERS = {"relu1_1": 256.0, "relu2_1": 64.0, "relu3_1": 16.0, "relu4_1": 4.0, "relu5_1": 1.0}
CONTENT_LAYER = "relu4_2"


@cache
def _encoder() -> VGG:
    return encoders.load("vgg16")


def _seen(picture: ImageLike, size: int | None) -> Image:
    return geometry.fit(io.load(picture).image, size)


@torch.no_grad()
def style_distances(picture: ImageLike, style: StyleLike, layers: tuple[str, ...], size: int | None = SIZE) -> dict[str, float]:
    """Gaussian Wasserstein-2 distance, squared, per channel, at each layer; both pictures brought to `size` px.

    Raises:
        UsageError: a layer of which a named style keeps no statistics.
    """
    image = _seen(picture, size)
    found, wanted = _encoder()(image, layers), _wanted(style, layers, size, image.shape[-2:])
    values = {}
    for layer in layers:
        target = distances.gaussian([(1.0, wanted[layer])])
        values[layer] = float(distances.w2(statistics.moments(found[layer].double()), target))
    return values


def _wanted(style: StyleLike, layers: tuple[str, ...], size: int | None, shape: Sequence[int]) -> dict[str, Moments]:
    """A style's moments, in float64: hundreds of small eigenvalues add up, float32 would put a picture hundreds from itself."""
    if not filters.is_style(style):
        features = _encoder()(_seen(cast("ImageLike", style), size), layers)
        return {layer: statistics.moments(features[layer].double()) for layer in layers}
    kept = filters.load(cast("str", style)).at(size or max(shape))
    if missing := [layer for layer in layers if layer not in kept]:
        raise UsageError(f"style {style} keeps no statistics of {missing[0]}: give the painting itself")
    return {layer: Moments(*(part.double() for part in kept[layer])) for layer in layers}


def style_distance(picture: ImageLike, style: StyleLike, size: int | None = SIZE) -> float:
    """w2 over relu1_1 ... relu5_1, weighted 256:64:16:4:1 over their sum; 0 for a picture of the same statistics.

    Features of the embedded VGG-16 on the scale of 0...255 inputs; both pictures at 256 px on the long edge. `style` may be
    a filter's name or a style file too: their statistics are of 256 px (and 512), of the deepest layers in few numbers.
    """
    found = style_distances(picture, style, tuple(STYLE_LAYERS), size)
    return sum(STYLE_LAYERS[layer] * value for layer, value in found.items()) / sum(STYLE_LAYERS.values())


@torch.no_grad()
def content_distance(picture: ImageLike, content: ImageLike, size: int | None = SIZE) -> float:
    """Mean squared difference of the features at relu4_2; 0 for the same picture. Sizes as in `style_distance`.

    The content is brought to the picture's exact size, so that rounding of a side does not count.
    """
    encoder = _encoder()
    found = (encoder(each, [CONTENT_LAYER])[CONTENT_LAYER] for each in _pair(picture, content, size))
    return float(distances.mse(*found))


@torch.no_grad()
def self_similarity_distance(picture: ImageLike, content: ImageLike, size: int | None = SIZE) -> float:
    """Mean over positions of Σ |D − Dc|, D the cosine distances between features at relu4_2, rows summing to 1; 0 ... 2.

    Kolkin et al., "STROTSS", CVPR 2019, eq. 5: 0 where what lies like what is kept, whatever its colors and strokes. Sizes
    as in `content_distance`.
    """
    encoder = _encoder()
    found = (statistics.similarity(encoder(each, [CONTENT_LAYER])[CONTENT_LAYER]) for each in _pair(picture, content, size))
    return float(distances.absolute(*found))


@torch.no_grad()
def color_difference(picture: ImageLike, content: ImageLike, size: int | None = SIZE) -> float:
    """Mean ΔE*ab = |Lab − Labc| over pixels (CIE 1976), 0 ... about 100; 2.3 is just seen. Sizes as in `content_distance`."""
    image, wanted = (color.rgb_to_lab(each) for each in _pair(picture, content, size))
    return float((image - wanted).square().sum(1).sqrt().mean())


@torch.no_grad()
def seam_energy(picture: ImageLike, period: int) -> float:
    """Mean jump between neighbors across lines every `period` px, over the mean jump elsewhere; 1 where there is no seam.

    At the picture's own size; rows and columns, counted from the top left, each jump the absolute difference over channels.

    Raises:
        UsageError: a period of less than 2 px, or none that fits into the picture.
    """
    image = io.load(picture).image
    if period < 2 or period >= max(image.shape[-2:]):
        raise UsageError(f"no border of tiles of {period} px lies in a picture of {image.shape[-1]} x {image.shape[-2]} px")
    borders, elsewhere = [], []
    for along in (-1, -2):
        jumps = image.diff(dim=along).abs().mean(1).transpose(-1, along).flatten(0, -2)
        at_border = torch.arange(1, jumps.shape[-1] + 1) % period == 0
        borders.append(jumps[:, at_border].flatten())
        elsewhere.append(jumps[:, ~at_border].flatten())
    return float(torch.cat(borders).mean() / torch.cat(elsewhere).mean().clamp(min=1e-12))


def _pair(picture: ImageLike, content: ImageLike, size: int | None) -> tuple[Image, Image]:
    """The picture at `size`, and the content at the picture's exact size then."""
    image = _seen(picture, size)
    return image, geometry.resize(_seen(content, size), (image.shape[-2], image.shape[-1]))
