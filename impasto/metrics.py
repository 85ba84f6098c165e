"""How near a picture is to a style and to a content, as numbers that can be compared between programs."""

from __future__ import annotations

from functools import cache

import torch

from impasto.features import distances, encoders, statistics
from impasto.features.encoders import VGG
from impasto.pixels import geometry, io
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
def style_distances(picture: ImageLike, style: ImageLike, layers: tuple[str, ...], size: int | None = SIZE) -> dict[str, float]:
    """Gaussian Wasserstein-2 distance, squared, per channel, at each layer; both pictures brought to `size` px."""
    encoder = _encoder()
    found, wanted = encoder(_seen(picture, size), layers), encoder(_seen(style, size), layers)
    values = {}
    for layer in layers:
        target = distances.gaussian([(1.0, statistics.moments(wanted[layer]))])
        values[layer] = float(distances.w2(statistics.moments(found[layer]), target))
    return values


def style_distance(picture: ImageLike, style: ImageLike, size: int | None = SIZE) -> float:
    """w2 over relu1_1 ... relu5_1, weighted 256:64:16:4:1 over their sum; 0 for a picture of the same statistics.

    Features of the embedded VGG-16 on the scale of 0...255 inputs; both pictures at 256 px on the long edge.
    """
    found = style_distances(picture, style, tuple(STYLE_LAYERS), size)
    return sum(STYLE_LAYERS[layer] * value for layer, value in found.items()) / sum(STYLE_LAYERS.values())


@torch.no_grad()
def content_distance(picture: ImageLike, content: ImageLike, size: int | None = SIZE) -> float:
    """Mean squared difference of the features at relu4_2; 0 for the same picture. Sizes as in `style_distance`.

    The content is brought to the picture's exact size, so that rounding of a side does not count.
    """
    encoder = _encoder()
    image = _seen(picture, size)
    wanted = geometry.resize(_seen(content, size), (image.shape[-2], image.shape[-1]))
    found = (encoder(each, [CONTENT_LAYER])[CONTENT_LAYER] for each in (image, wanted))
    return float(distances.mse(*found))
