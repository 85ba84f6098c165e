"""Still pictures: a filter paints them at once (draft), or the optimizer, which starts from what the filter made."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from impasto.fast import style as filters
from impasto.fast import tiles
from impasto.fast.style import StyleLike
from impasto.features import encoders
from impasto.paint.image import Painting
from impasto.paint.pictures import Style, Stylized, opened
from impasto.paint.settings import Settings, settings_from
from impasto.paint.start import Bind
from impasto.pixels import geometry, io
from impasto.pixels.io import Picture
from impasto.types import Image, ImageLike, Stylizer

SEEN = 256, 768
"""The network has learned from paintings of these long edges, px, least and most."""


def open_style(source: StyleLike, weight: float = 1.0) -> Style:
    """A style by its picture, its name, or its file.

    Raises:
        PictureError: a picture that cannot be read.
        UsageError: neither a picture nor a filter's name; suggests the nearest.
        WeightsError: a style file that is damaged, no style, or from a newer impasto.
    """
    if not filters.is_style(source):
        picture, names = opened(cast("ImageLike", source))
        return Style(picture, float(weight), names["source"], names["sha256"])
    known = source if isinstance(source, filters.Style) else filters.load(cast("str", source))
    name = known.name if isinstance(source, filters.Style) else os.fspath(cast("str", source))
    return Style(None, float(weight), name, known.sha256, known)


def open_styles(styles: StyleLike | Sequence[StyleLike | tuple[StyleLike, float]]) -> list[Style]:
    """What users hand in as styles, opened.

    Raises:
        ImpastoError: a style that cannot be read; see `open_style`.
    """
    several = styles if isinstance(styles, list | tuple) else [styles]
    pairs = [entry if isinstance(entry, tuple) else (entry, 1.0) for entry in several]
    return [open_style(cast("StyleLike", source), weight) for source, weight in pairs]


def bind(styles: Sequence[Style], size: int = 512, tile: int = 0) -> Stylizer:
    """The filter that paints in a mixture of styles: in the ways they were learned, or as the any-style network sees a picture.

    `size`: long edge of what is to be painted, px; a painting is looked at in that size, as far as the network has learned.
    `tile`: paint in tiles of that edge, px, a multiple of 8; 0: at once up to 4 megapixels, in tiles of 1024 px beyond.

    Raises:
        UnfitPicture: a painting with a side under 64 px.
        WeightsError: a style that belongs to another network.
    """
    net = filters.network()
    bound = filters.bind(net, [(style.weight, learned(style, size)) for style in styles])

    def paint(content: Image, *, strength: float = 1.0) -> Image:
        return tiles.paint(bound.to(content.device), content, tile=tile, strength=strength)

    return paint


def learned(style: Style, size: int) -> filters.Style:
    """A style as the network is conditioned on it: as it was learned, or as the network sees its picture at `size` px.

    Raises:
        UnfitPicture: a painting with a side under 64 px.
    """
    if isinstance(style.known, filters.Style):
        return style.known
    picture = style.open()
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    least, most = SEEN
    net = filters.network()
    with torch.no_grad():
        code = net.predict(filters.row(encoders.load("vgg16"), image, min(max(size, least), most)))
    return filters.Style(style.name, code, {}, net.identity)


def stylizer(styles: StyleLike | Sequence[StyleLike | tuple[StyleLike, float]]) -> Stylizer:
    """A filter by name ("starry-night"), by style file, or from any painting: call it with a batch of pictures.

    `impasto.stylizer("starry-night")(content, strength=0.8)`: content 1 x 3 x H x W in [0, 1], result the same shape.

    Raises:
        ImpastoError: a style that cannot be read; see `open_style`.
    """
    return bind(open_styles(styles))


def painting(content: Picture, styles: Sequence[Style], settings: Settings, **more: Any) -> Painting:
    """A `Painting` that starts from a filter, or is painted by one: see there for `more`.

    Raises:
        ImpastoError: whatever can be known to be wrong before the work.
    """
    names = dict(more.pop("names", None) or {})
    if settings.init == "filter" and more.get("start") is None:
        names["network"] = filters.network().identity
    return Painting(content, styles, settings, bind=_scaled(settings.style_scale), names=names, **more)


def _scaled(scale: float) -> Bind:
    """`bind` for strokes of another size: the painting is looked at so many times larger."""
    return lambda styles, size, tile=0: bind(styles, round(size * scale), tile)


def stylize(
    content: ImageLike,
    styles: StyleLike | Sequence[StyleLike | tuple[StyleLike, float]],
    *,
    start: ImageLike | Stylizer | None = None,
    **settings: Any,
) -> Stylized:
    """Paint `content` in the style of one or several pictures.

    `styles`: a picture, the name of a filter ("starry-night") or a style file; or a list of them or of (style, weight).
    `start`: a picture or a `Stylizer` to start from.
    `settings`: the fields of `Settings` (size=512, quality="good", strength=1.0, time=60 ...). A picture is a path, a PIL
    picture, an array (H x W x 3, uint8, uint16 or float in [0, 1]) or a tensor (3 x H x W in [0, 1]).

    Raises:
        ImpastoError: a picture that cannot be used, a wrong setting, or work that went wrong; see `impasto.errors`.
    """
    begun = time.monotonic()
    chosen = settings_from(settings)
    picture, names = opened(content)
    first = start if start is None or (callable(start) and not isinstance(start, Tensor)) else io.load(start).image
    work = painting(
        picture,
        open_styles(styles),
        chosen,
        start=first,
        deadline=begun + chosen.time if chosen.time else math.inf,
        names={"content": names},
    )
    for _ in work.steps():
        pass
    return work.result()
