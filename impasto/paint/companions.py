"""Maps that belong to an exemplar (normals, roughness, height), carried along to its texture: a whole material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from impasto.errors import UnfitPicture, UsageError
from impasto.features.encoders import MIN_SIDE
from impasto.paint import patchwork
from impasto.paint.patchwork import Wrap
from impasto.paint.pictures import Stylized, opened
from impasto.pixels import geometry
from impasto.pixels.io import Picture
from impasto.types import Image, ImageLike

LARGEST = 2.0
"""An exemplar larger than this many times the texture is cut to its middle: more of it would only cost time."""
LEAST = 128
"""It is not cut to less than this, px."""
TILES: Mapping[str, Wrap] = {"": (False, False), "x": (False, True), "xy": (True, True)}
"""In which directions a texture repeats: vertically, horizontally."""
UNIT = 0.1
"""Mean error of length up to which the vectors of a map count as normals."""


def looked_at(picture: Picture, scale: float, shape: tuple[int, int]) -> Picture:
    """An exemplar, or a map of it, as a texture of (height, width) is made from it: scaled, and cut where it is far larger."""
    size = cast("tuple[int, int]", tuple(max(MIN_SIDE, round(side * scale)) for side in picture.size))
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    image, alpha = geometry.resize(image, size), picture.alpha
    alpha = None if alpha is None else geometry.resize(alpha, size)
    most = max(round(LARGEST * max(shape)), LEAST)
    if max(size) > most and (alpha is None or float(alpha.min()) == 1):
        top, left = (max(0, side - most) // 2 for side in size)
        middle = (..., slice(top, top + most), slice(left, left + most))
        image, alpha = image[middle], None if alpha is None else alpha[middle]
    return replace(picture, image=image, alpha=alpha)


def check(exemplar: Picture, name: str, map_picture: Picture) -> None:
    """Raise UnfitPicture for a map that is not of the exemplar's size."""
    (height, width), (own_height, own_width) = exemplar.size, map_picture.size
    if (height, width) != (own_height, own_width):
        raise UnfitPicture(f"map {name} is {own_width} x {own_height} px, its exemplar {width} x {height}: they must be alike")


def carry(texture: Stylized, exemplar: ImageLike, maps: Mapping[str, ImageLike]) -> dict[str, Stylized]:
    """The exemplar's maps, put together as the texture is: each pixel from the place that the texture resembles there.

    `texture`: what `impasto.paint.texture.synthesize` made of that one `exemplar`. Maps of normals are recognized by their
    lengths, and keep them; depths of 16 bits stay.

    Raises:
        PictureError: a map that cannot be read, or of another size than the exemplar.
        UsageError: a texture of several exemplars, or none that was made here.
    """
    if texture.recipe.get("verb") != "texture" or len(texture.recipe["exemplars"]) != 1:
        raise UsageError("maps can be carried along to the texture of one exemplar, made by synthesize")
    source, read = opened(exemplar)[0], {name: opened(each) for name, each in maps.items()}
    for name, (picture, _) in read.items():
        check(source, name, picture)
    settings, wrap = texture.recipe["settings"], TILES[texture.recipe["tile"]]
    found = place(texture, [source, *(picture for picture, _ in read.values())], settings["style_scale"], wrap)
    return {name: Stylized(made, _recipe(texture, names)) for (name, (_, names)), made in zip(read.items(), found, strict=True)}


def _recipe(texture: Stylized, names: Mapping[str, str]) -> dict[str, Any]:
    return {**texture.recipe, "map": dict(names)}


def place(texture: Stylized, pictures: Sequence[Picture], scale: float, wrap: Wrap) -> list[Picture]:
    """Maps (all pictures but the first, the exemplar) brought to the texture."""
    shape = texture.picture.size
    exemplar, *maps = (looked_at(picture, scale, shape) for picture in pictures)
    field = patchwork.trace(texture.image, exemplar.image, wrap, mask=exemplar.alpha)
    return [_placed(each, field, wrap) for each in maps]


def _placed(picture: Picture, field: patchwork.Field, wrap: Wrap) -> Picture:
    image = patchwork.carry(picture.image, field, wrap)
    alpha = None if picture.alpha is None else patchwork.carry(picture.alpha, field, wrap)
    image = renormalized(image) if is_normals(picture.image) else image
    return replace(picture, image=image.clamp(0, 1), alpha=None if alpha is None else alpha.clamp(0, 1))


def is_normals(image: Image) -> bool:
    """Whether the colors are unit vectors n = 2 c - 1 that look out of the surface, as normal maps are written."""
    vectors = 2 * image - 1
    gray = float((image - image.mean(1, keepdim=True)).abs().max()) < UNIT
    return not gray and float((vectors.norm(dim=1) - 1).abs().mean()) < UNIT and float(vectors[:, 2].mean()) > 0


def renormalized(image: Image) -> Image:
    """A map of normals with its vectors brought to the length 1 (averages of unit vectors are shorter)."""
    vectors = 2 * image - 1
    unit: Image = (vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6) + 1) / 2
    return torch.where(vectors.norm(dim=1, keepdim=True) > 1e-6, unit, image)
