"""OpenEXR: scene-linear light in and out, through OpenImageIO (the extra `pro`).

Painting works on sRGB in [0, 1], a scene has values over 1. They go through a shoulder, which is undone on writing:
linear light stays as it is up to KNEE, and [KNEE, peak] is pressed into [KNEE, 1], where peak is the scene's greatest
value. So the painted picture keeps the scene's range, and one that is not changed comes back as it was. Values below 0
(colors outside of sRGB's gamut) and those that are not numbers become 0, and the log says so.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from impasto.errors import OutputError, UnfitPicture
from impasto.pixels import deep
from impasto.pixels.color import linear_to_srgb, srgb_to_linear
from impasto.pixels.raster import Raster, check_size

logger = logging.getLogger(__name__)

KNEE = 0.8
"""Linear light over which the shoulder begins; sRGB 0.906."""
FAINT = 0.01
"""Alpha under which a color is too uncertain to say how bright the scene is."""
EXACT_INTEGERS = 2**23
"""Integer channels pass through float32 in OpenImageIO, and are exact below this."""
HALF_MAX = 65504.0
REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of the file: OpenImageIO's description of it, and all its channels."""

    spec: Any
    pixels: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An EXR file as it was read."""

    parts: tuple[Part, ...]
    index: int
    """The part that holds the picture."""
    color: tuple[int, ...]
    """Its red, green and blue channel, or the one of luminance."""
    alpha: int | None
    """Its alpha channel."""
    peak: float
    """The scene's greatest value, 1 at least: what white stands for."""


def shoulder(linear: np.ndarray, peak: float) -> np.ndarray:
    """[0, peak] -> [0, 1]: x up to KNEE = k; above, k + (1-k)·c·log(1 + t/c) with t = (x-k)/(1-k).

    c is such that the peak becomes 1; the slope at the knee is 1. A logarithm, because then every stop of light keeps
    the same relative precision in a float32 picture (about 1e-6), however bright the scene. Float64. `peak` 1 changes
    nothing.
    """
    x = np.clip(np.asarray(linear, np.float64), 0, peak)
    if peak <= 1:
        return x
    c = _curvature(peak)
    return np.minimum(x, KNEE) + (1 - KNEE) * c * np.log1p(np.maximum(x - KNEE, 0) / (1 - KNEE) / c)


def unshoulder(value: np.ndarray, peak: float) -> np.ndarray:
    """[0, 1] -> [0, peak], the inverse of `shoulder`: t = c·(exp(u/c) - 1) with u = (y-k)/(1-k)."""
    y = np.clip(np.asarray(value, np.float64), 0, 1)
    if peak <= 1:
        return y
    c = _curvature(peak)
    return np.minimum(y, KNEE) + (1 - KNEE) * c * np.expm1(np.maximum(y - KNEE, 0) / (1 - KNEE) / c)


def _curvature(peak: float) -> float:
    """The c with c·log(1 + w/c) = 1, w = (peak-k)/(1-k) > 1, by bisection of its logarithm (the left side grows with c)."""
    w, low, high = (peak - KNEE) / (1 - KNEE), -10.0, 40.0
    for _ in range(100):
        middle = (low + high) / 2
        c = math.exp(middle)
        low, high = (middle, high) if c * math.log1p(w / c) < 1 else (low, middle)
    return math.exp((low + high) / 2)


def read(path: str, max_pixels: int, name: str) -> tuple[Raster, Scene]:
    """The picture in an EXR file, and all that the file holds.

    Raises:
        MissingExtra: OpenImageIO is not installed.
        UnreadablePicture: a damaged or truncated file.
        UnfitPicture: no color channels, deep samples, more than `max_pixels`.
    """
    with deep.opened("reading EXR", path, name) as (oiio, source):
        parts: list[Part] = []
        while source.seek_subimage(len(parts), 0):
            parts.append(_part(oiio, source, len(parts), max_pixels, name))
    for index, part in enumerate(parts):
        if (channels := _channels(part.spec.channelnames)) is not None:
            color, alpha = channels
            raster, peak = _raster(part.pixels, color, alpha, name)
            return raster, Scene(tuple(parts), index, color, alpha, peak)
    names = ", ".join(channel for part in parts for channel in part.spec.channelnames)
    raise UnfitPicture(f"{name} has no red, green and blue channels: it has {names}")


def _part(oiio: Any, source: Any, index: int, max_pixels: int, name: str) -> Part:
    spec = source.spec(index, 0).copy()
    if spec.deep:
        raise UnfitPicture(f"{name} holds deep samples: flatten it first")
    check_size(spec.height, spec.width, max_pixels, name)
    pixels = deep.read_pixels(oiio, source, index, name)
    for i, kind in enumerate(_formats(spec)):
        if str(kind) == "uint" and pixels[..., i].max() * (2**32 - 1) >= EXACT_INTEGERS:
            logger.warning("%s: integers over %d in %s are rounded", name, EXACT_INTEGERS, spec.channelnames[i])
    chromaticities = spec.getattribute("chromaticities")
    if chromaticities is not None and np.abs(np.subtract(chromaticities, REC709)).max() > 1e-3:
        logger.warning("%s: its primaries are not sRGB's; it is painted and written as if they were, and keeps its mark", name)
    return Part(spec, pixels)


def _channels(names: tuple[str, ...]) -> tuple[tuple[int, ...], int | None] | None:
    """Color and alpha among the channels: R, G, B, else the first layer that has them, else luminance."""
    layers = dict.fromkeys(["", *(name.rpartition(".")[0] + "." for name in names if "." in name)])
    for layer in layers:
        if all(layer + channel in names for channel in "RGB"):
            color = tuple(names.index(layer + channel) for channel in "RGB")
            return color, names.index(layer + "A") if layer + "A" in names else None
    if "Y" in names and "RY" not in names:
        return (names.index("Y"),), names.index("A") if "A" in names else None
    return None


def _raster(pixels: np.ndarray, color: tuple[int, ...], alpha: int | None, name: str) -> tuple[Raster, float]:
    """Straight sRGB of premultiplied linear channels, and the scene's peak."""
    mask = None if alpha is None else np.nan_to_num(pixels[..., alpha]).clip(0, 1)
    linear = np.nan_to_num(pixels[..., list(color)], nan=0, posinf=HALF_MAX, neginf=0)
    if not np.isfinite(pixels[..., list(color)]).all() or linear.min() < 0:
        logger.warning("%s: values below 0 and such that are not numbers are taken as 0", name)
    linear = linear.clip(0)
    seen = linear
    if mask is not None:
        linear = deep.straight(linear, mask)
        seen = linear[mask > FAINT]
    peak = max(1.0, float(seen.max(initial=0)))
    rgb = np.broadcast_to(_to_display(linear, peak), (*linear.shape[:2], 3))
    return Raster(rgb, mask, 32), peak


def _to_display(linear: np.ndarray, peak: float) -> np.ndarray:
    return linear_to_srgb(torch.from_numpy(shoulder(linear, peak))).float().clamp(0, 1).numpy()


def write(path: str, pixels: np.ndarray, *, scene: Scene | None, half: bool | None, recipe: str | None) -> None:
    """Write height x width x 3 or 4 straight sRGB pixels as premultiplied linear light.

    With a `scene`, its other channels, parts and metadata go along; if the size is another, channels of the old size are
    resampled by nearest neighbor (depth and object numbers must not be mixed) and parts of other sizes are left out.
    `half` None keeps the scene's own formats.

    Raises:
        OutputError: it cannot be written.
    """
    oiio = deep.openimageio("writing EXR")
    parts, index = (_new_part(oiio, pixels), 0) if scene is None else _filled(pixels, scene)
    main = parts[index].spec
    if half is not None:
        kinds = _formats(main)
        for channel in _color_of(main.channelnames):
            kinds[channel] = oiio.TypeDesc("half" if half else "float")
        _set_formats(main, kinds)
    for part in parts:
        part.spec.erase_attribute("impasto")
        if not part.spec.getattribute("DateTime"):
            part.spec.attribute("DateTime", "")  # else OpenImageIO stamps the time
    if recipe is not None:
        main.attribute("impasto", recipe)
    _write_parts(oiio, path, parts)


def _new_part(oiio: Any, pixels: np.ndarray) -> list[Part]:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "float")
    spec.channelnames = tuple("RGBA"[: pixels.shape[2]])
    spec.alpha_channel = 3 if pixels.shape[2] == 4 else -1
    spec.attribute("compression", "zip")
    return [Part(spec, _premultiplied(pixels, 1.0))]


def _filled(pixels: np.ndarray, scene: Scene) -> tuple[list[Part], int]:
    """The scene's parts with the picture in its place, and the index of the picture's part."""
    size, old = pixels.shape[:2], scene.parts[scene.index].pixels.shape[:2]
    kept = [i for i, part in enumerate(scene.parts) if size == old or part.pixels.shape[:2] == old]
    if len(kept) < len(scene.parts):
        logger.warning(
            "parts of another size than the picture are left out: %d of %d", len(scene.parts) - len(kept), len(scene.parts)
        )
    parts = [_resized(scene.parts[i], size) for i in kept]
    index = kept.index(scene.index)
    parts[index] = _painted(parts[index], pixels, scene, same=size == old)
    return parts, index


def _resized(part: Part, size: tuple[int, int]) -> Part:
    """A copy of the part, at another size by nearest neighbor."""
    spec, (height, width) = part.spec.copy(), part.pixels.shape[:2]
    if (height, width) == size:
        return Part(spec, part.pixels.copy())
    rows = (np.arange(size[0]) * height + height // 2) // size[0]
    columns = (np.arange(size[1]) * width + width // 2) // size[1]
    spec.x = spec.y = spec.full_x = spec.full_y = 0
    spec.height = spec.full_height = size[0]
    spec.width = spec.full_width = size[1]
    return Part(spec, part.pixels[rows.clip(max=height - 1)][:, columns.clip(max=width - 1)])


def _painted(part: Part, pixels: np.ndarray, scene: Scene, *, same: bool) -> Part:
    """The part with its color and alpha replaced; what glows without covering (alpha 0) stays, at the same size."""
    linear = _premultiplied(pixels, scene.peak)
    if same and scene.alpha is not None and pixels.shape[2] == 4:
        linear[..., :3] = np.where(pixels[..., 3:] > 0, linear[..., :3], part.pixels[..., list(scene.color)])
    channels = [*scene.color] if scene.alpha is None else [*scene.color, scene.alpha]
    if len(scene.color) == 3 and len(channels) == pixels.shape[2]:
        part.pixels[..., channels] = linear
        return part
    return _rearranged(part, linear, scene)


def _rearranged(part: Part, linear: np.ndarray, scene: Scene) -> Part:
    """The part with R, G, B (and A) in front, where its file had gray, or no alpha."""
    spec, kinds, names = part.spec, _formats(part.spec), part.spec.channelnames
    rest = [i for i in range(spec.nchannels) if i not in (*scene.color, scene.alpha)]
    layer = "".join(names[scene.color[0]].rpartition(".")[:2])
    fresh = [layer + channel for channel in "RGBA"[: linear.shape[2]]]
    spec.nchannels = len(fresh) + len(rest)
    spec.channelnames = (*fresh, *(names[i] for i in rest))
    _set_formats(spec, [*[kinds[scene.color[0]]] * len(fresh), *(kinds[i] for i in rest)])
    spec.alpha_channel = 3 if linear.shape[2] == 4 else -1
    return Part(spec, np.concatenate((linear, part.pixels[..., rest]), -1))


def _premultiplied(pixels: np.ndarray, peak: float) -> np.ndarray:
    linear = unshoulder(srgb_to_linear(torch.from_numpy(pixels[..., :3]).double()).numpy(), peak)
    if pixels.shape[2] == 3:
        return linear.astype(np.float32)
    return np.concatenate((linear * pixels[..., 3:], pixels[..., 3:]), -1).astype(np.float32)


def _color_of(names: tuple[str, ...]) -> list[int]:
    color, alpha = _channels(names) or ((), None)
    return [*color] if alpha is None else [*color, alpha]


def _formats(spec: Any) -> list[Any]:
    return list(spec.channelformats) or [spec.format] * spec.nchannels


def _set_formats(spec: Any, kinds: list[Any]) -> None:
    """OpenImageIO heeds formats by channel only where they differ."""
    same = len({str(kind) for kind in kinds}) == 1
    spec.set_format(kinds[0] if same else "float")
    if not same:
        spec.channelformats = tuple(kinds)


def _write_parts(oiio: Any, path: str, parts: list[Part]) -> None:
    output = oiio.ImageOutput.create(path)
    if output is None:
        raise OutputError(deep.message(oiio))
    specs = tuple(part.spec for part in parts)
    done = output.open(path, specs if len(specs) > 1 else specs[0])
    for number, part in enumerate(parts):
        done = done and (number == 0 or output.open(path, part.spec, "AppendSubimage"))
        done = done and output.write_image(np.ascontiguousarray(part.pixels))
    closed = output.close()
    if not (closed and done):
        raise OutputError(deep.message(output, oiio))
