"""Color: transfer curves, CIELAB, and the color of one picture given to another.

Everything works on batches, in any float precision. What a formula yields outside of sRGB's gamut is clamped only where
a function returns a picture to look at (`preserve_color`, `match_color`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from impasto.errors import UnfitPicture, UsageError
from impasto.types import Image, Mask

PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
"""Chromaticities (x, y) of sRGB's red, green and blue, IEC 61966-2-1."""
WHITE = (0.3127, 0.3290)
"""Chromaticity of D65."""
MODES = ("off", "luminance", "match", "histogram")
"""Ways to give one picture the colors of another."""
DELTA = 6 / 29
"""Where CIELAB's cube root becomes a line: at DELTA³."""
FLAT = 1e-7
"""Variance under which a color axis counts as flat: a tenth of an 8-bit step. Stretching it would only amplify noise."""


def _xyz(chromaticity: tuple[float, float]) -> tuple[float, float, float]:
    x, y = chromaticity
    return x / y, 1.0, (1 - x - y) / y


def _xyz_from_rgb() -> Tensor:
    """The 3 x 3 matrix of linear sRGB -> XYZ: columns are the primaries, scaled so that (1, 1, 1) is D65 with Y = 1."""
    columns = np.array([_xyz(primary) for primary in PRIMARIES]).T
    scale = np.linalg.solve(columns, np.array(_xyz(WHITE)))
    return torch.from_numpy(columns * scale)


XYZ_FROM_RGB = _xyz_from_rgb()
RGB_FROM_XYZ = torch.linalg.inv(XYZ_FROM_RGB)


def srgb_to_linear(image: Tensor) -> Tensor:
    """Linear light of sRGB values: v/12.92 up to 0.04045, ((v + 0.055)/1.055)^2.4 above. IEC 61966-2-1.

    Values below 0 follow the line, values over 1 the curve. Any shape.
    """
    # The clamp keeps the unused branch's slope finite: `where` would turn its NaN into a NaN of the whole gradient.
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(image: Tensor) -> Tensor:
    """From linear light to sRGB values: 12.92·v up to 0.0031308, 1.055·v^(1/2.4) - 0.055 above. Inverse of `srgb_to_linear`."""
    return torch.where(image <= 0.0031308, image * 12.92, 1.055 * image.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def rgb_to_lab(image: Image) -> Tensor:
    """CIELAB of an sRGB image, relative to D65: L in 0..100, a and b about -110..110. CIE 15:2004, section 8.2.1.

    XYZ is divided by the white that the matrix itself gives, so grays have a = b = 0.
    """
    xyz = _transform(srgb_to_linear(image), XYZ_FROM_RGB / XYZ_FROM_RGB.sum(1, keepdim=True))
    f = torch.where(xyz > DELTA**3, xyz.clamp(min=DELTA**3) ** (1 / 3), xyz / (3 * DELTA**2) + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """From CIELAB to sRGB, the inverse of `rgb_to_lab`. Colors outside of the gamut come out below 0 or over 1."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    f = torch.stack((y + a / 500, y, y - b / 200), 1)
    xyz = torch.where(f > DELTA, f**3, 3 * DELTA**2 * (f - 4 / 29))
    return linear_to_srgb(_transform(xyz, RGB_FROM_XYZ * XYZ_FROM_RGB.sum(1)))


def luminance(image: Image) -> Mask:
    """Relative luminance Y = 0.2126·R + 0.7152·G + 0.0722·B of linear light, batch x 1 x height x width, in [0, 1]."""
    return _transform(srgb_to_linear(image), XYZ_FROM_RGB[1:2])


def _transform(image: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix.to(image), image)


def preserve_color(result: Image, content: Image, mode: str, mask: Mask | None = None) -> Image:
    """The result in the colors of the content, clamped to [0, 1].

    "luminance" keeps the result's L and takes a and b from the content, pixel by pixel (Gatys et al., "Preserving Color
    in Neural Artistic Style Transfer", 2016, section 5, there in YIQ); "match" and "histogram" move the result's colors as
    `match_color` does. `mask` limits both what is measured and what is changed.

    Raises:
        UsageError: an unknown mode.
        UnfitPicture: content or mask of another size, or an empty mask.
    """
    _check(mode)
    if mode == "off":
        return result
    if content.shape[-2:] != result.shape[-2:]:
        raise UnfitPicture(f"content is {_size(content)} px, the result {_size(result)} px: colors need the same size")
    if mode == "luminance":
        colored = lab_to_rgb(torch.cat((rgb_to_lab(result)[:, :1], rgb_to_lab(content)[:, 1:]), 1)).clamp(0, 1)
    else:
        colored = match_color(result, content, mode, mask, mask)
    return colored if mask is None else torch.lerp(result, colored, mask.to(result))


def match_color(
    source: Image, target: Image, mode: str, source_weight: Mask | None = None, target_weight: Mask | None = None
) -> Image:
    """The source with the target's distribution of colors, clamped to [0, 1]. Sizes may differ.

    "luminance": a gray picture, its L moved to the target's mean and standard deviation (Gatys et al. 2016, eq. 8).
    "match": the linear map in Lab that gives the target's mean and covariance with the least change, see `transport`.
    "histogram": each of L, a and b through the quantiles of source and target (`match_quantiles`).
    Weights say how much a pixel counts; None counts all alike.

    Raises:
        UsageError: an unknown mode.
        UnfitPicture: a weight of another size than its picture, or one that selects nothing.
    """
    _check(mode)
    if mode == "off":
        return source
    match = {"luminance": _match_luminance, "match": _match_moments, "histogram": _match_histogram}[mode]
    target = target.to(source).expand(len(source), -1, -1, -1)
    pairs = zip(source, target, _weights(source, source_weight), _weights(target, target_weight), strict=True)
    return torch.stack([_matched(match, *pair) for pair in pairs]).clamp(0, 1)


def _matched(match: Callable[..., Tensor], source: Tensor, target: Tensor, weight: Tensor, target_weight: Tensor) -> Tensor:
    """One picture of a batch: float64 for the statistics, the source's own precision for the result."""
    return match(source.double(), target.double(), weight, target_weight).to(source.dtype)


def _match_moments(source: Tensor, target: Tensor, source_weight: Tensor, target_weight: Tensor) -> Tensor:
    ours, theirs = rgb_to_lab(source[None])[0].flatten(1), rgb_to_lab(target[None])[0].flatten(1)
    mean, covariance = moments(ours, source_weight)
    goal, goal_covariance = moments(theirs, target_weight)
    # L is in the hundreds, transport's floor for flat colors is meant for values near 1
    moved = transport(covariance / 1e4, goal_covariance / 1e4) @ (ours - mean) + goal
    return lab_to_rgb(moved.view_as(source)[None])[0]


def _match_histogram(source: Tensor, target: Tensor, source_weight: Tensor, target_weight: Tensor) -> Tensor:
    ours, theirs = rgb_to_lab(source[None])[0].flatten(1), rgb_to_lab(target[None])[0].flatten(1)
    channels = [match_quantiles(a, b, source_weight, target_weight) for a, b in zip(ours, theirs, strict=True)]
    return lab_to_rgb(torch.stack(channels).view_as(source)[None])[0]


def _match_luminance(source: Tensor, target: Tensor, source_weight: Tensor, target_weight: Tensor) -> Tensor:
    lightness = rgb_to_lab(source[None])[0, :1]
    mean, variance = moments(lightness.flatten(1), source_weight)
    goal, goal_variance = moments(rgb_to_lab(target[None])[0, :1].flatten(1), target_weight)
    moved = transport(variance / 1e4, goal_variance / 1e4) * (lightness - mean) + goal
    return lab_to_rgb(torch.cat((moved, torch.zeros_like(moved), torch.zeros_like(moved)))[None])[0]


def moments(colors: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (channels x 1) and covariance (channels x channels) of channels x n colors under n weights that add up to 1."""
    mean = (colors * weight).sum(1, keepdim=True)
    centered = colors - mean
    return mean, (centered * weight) @ centered.T


def transport(source: Tensor, target: Tensor) -> Tensor:
    """The symmetric matrix A with A·S·A = T for covariances S and T: A = S^-½ (S^½ T S^½)^½ S^-½.

    Of all linear maps between two Gaussians this one moves colors least (Monge-Kantorovich; Pitié & Kokaram 2007, eq. 14).
    Axes on which the source is flat are sent to the target's mean.
    """
    root, inverse = _root(source), _root(source, inverse=True)
    return inverse @ _root(root @ target @ root) @ inverse


def _root(matrix: Tensor, *, inverse: bool = False) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    powers = torch.where(values > FLAT, values.clamp(min=FLAT).rsqrt(), 0) if inverse else values.clamp(min=0).sqrt()
    root: Tensor = (vectors * powers) @ vectors.T
    return root


def match_quantiles(source: Tensor, target: Tensor, source_weight: Tensor, target_weight: Tensor) -> Tensor:
    """Values of `source` (n) moved to those of `target` (m) at the same quantile; between quantiles, linear.

    A value's quantile is the middle of its step in the distribution: equal values stay equal, so a flat area gets no noise.
    """
    values, where, quantile = _quantiles(source, source_weight)
    goals, _, goal_quantile = _quantiles(target[target_weight > 0], target_weight[target_weight > 0])
    upper = torch.searchsorted(goal_quantile, quantile).clamp(1, max(len(goals) - 1, 1)).clamp(max=len(goals) - 1)
    lower = (upper - 1).clamp(min=0)
    step = (goal_quantile[upper] - goal_quantile[lower]).clamp(min=torch.finfo(values.dtype).tiny)
    share = ((quantile - goal_quantile[lower]) / step).clamp(0, 1)
    return torch.lerp(goals[lower], goals[upper], share)[where]


def _quantiles(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct values in order, the place of each value among them, and the quantile of each distinct value."""
    distinct, where = torch.unique(values, return_inverse=True)
    mass = torch.zeros_like(distinct).index_add(0, where, weight)
    return distinct, where, mass.cumsum(0) - mass / 2


def _weights(image: Image, weight: Mask | None) -> Tensor:
    """Weights, batch x n, in float64 that add up to 1 for each picture."""
    if weight is None:
        weight = torch.ones_like(image[:, :1])
    elif weight.shape[-2:] != image.shape[-2:]:
        raise UnfitPicture(f"the mask is {_size(weight)} px, its picture {_size(image)} px: they must be the same")
    flat = weight.to(image.device).double().flatten(1).expand(len(image), -1)
    total = flat.sum(1, keepdim=True)
    if not bool((total > 0).all()):
        raise UnfitPicture("the mask selects nothing: it is 0 everywhere")
    return flat / total


def _check(mode: str) -> None:
    if mode not in MODES:
        raise UsageError(f"color mode {mode!r} is not one of {', '.join(MODES)}")


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]} x {image.shape[-2]}"
