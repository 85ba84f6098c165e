"""A painted model put into a photograph of the place where it will stand.

What the camera of the photograph sees of the model is laid over it, lit by a sun and the sky: in linear light

    E(n) = sky · a · (1 + n_y) / 2 + sun · (1 - a) · max(0, n · l) · v

where a is the share of the sky's light, l points to the sun, and v is 0 in the model's own shadow (Williams, "Casting Curved
Shadows on Curved Surfaces", SIGGRAPH 1978). The ground, a plane at the model's lowest point, gets the model's shadow and is
darker where the model touches it. Then light and dark of the paint come half way to those of the photograph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.mesh import sample
from impasto.mesh.cameras import Camera
from impasto.mesh.raster import Seen
from impasto.mesh.stage import Stage, View
from impasto.pixels import geometry
from impasto.pixels.color import lab_to_rgb, linear_to_srgb, luminance, rgb_to_lab, srgb_to_linear
from impasto.pixels.picture import Picture
from impasto.types import Image, Mask

LARGEST = 2048
"""Long edge of the still at most, px."""
SAMPLES = 2
"""Samples a pixel, across and down."""
ELEVATION = 40.0
"""How high the sun stands where nothing is said of it, degrees: no photograph tells it for sure."""
GLARE, SPOT, LOWEST = 0.97, 0.04, 6.0
"""Luminance of a glare, the share of a photograph that it may fill, and how high the sun stands then at least, degrees."""
ASIDE = (40.0, 75.0)
"""How far from behind the camera the sun is taken to be, by how much lighter one side of the photograph is, degrees."""
SKY = (0.2, 0.6)
"""The sky's share of the light, from the harshest sun to an overcast day."""
TINT = 0.5
"""How much of the color of a photograph's light and shade is its light's, not that of what it shows."""
SHARE, HUE = 0.5, 0.15
"""How far lightness comes to the photograph's, and how far color does."""
STRETCH = (0.7, 1.4)
"""By how much the deviation of lightness may change."""
SHADOWS = 1024
"""Sides of the shadow map, px."""
BIAS = 0.008
"""How far from a surface, in radii of the model, its shadow begins."""
CONTACT = 0.8
"""How much darker the ground is where it is all covered, and what is around it in proportion."""
REACH = 5.0
"""How far from the model, in its radii, shadows on the ground are looked for."""
FAR = 60.0
"""Distance of the sun, in radii."""


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """The light of a place."""

    azimuth: float
    """Where the sun stands, degrees, as views are named: 0 is where a view from the front is taken from."""
    elevation: float
    sky: float
    """The sky's share of all light."""
    colors: tuple[Tensor, Tensor] = (torch.ones(3), torch.ones(3))
    """Red, green and blue of the sun and of the sky; their luminance is 1."""

    @property
    def direction(self) -> np.ndarray:
        """To the sun, in the world."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        return np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])

    def given(self, text: str) -> Light:
        """This light from where a text says, with its share of the sky where it says one; see `sun`."""
        azimuth, elevation, sky = sun(text)
        return replace(self, azimuth=azimuth, elevation=elevation, sky=self.sky if sky is None else sky)

    def told(self) -> str:
        """It as `--sun` takes it."""
        return f"{self.azimuth:.0f},{self.elevation:.0f},{self.sky:.2f}"


def sun(text: str) -> tuple[float, float, float | None]:
    """Azimuth, elevation and, where it is said, the sky's share, of "AZIMUTH,ELEVATION[,SKY]".

    Raises:
        UsageError: it is something else.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(map(math.isfinite, numbers)):
        raise UsageError(f"--sun {text!r} is not AZIMUTH,ELEVATION or AZIMUTH,ELEVATION,SKY, like 60,40,0.3")
    if not 0 < numbers[1] <= 90 or not all(0 <= share <= 1 for share in numbers[2:]):
        raise UsageError(f"--sun {text!r}: the elevation is over 0 and up to 90 degrees, the sky's share 0 to 1")
    return numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else None


def estimated(photo: Image, camera: Camera) -> Light:
    """A light that fits a photograph, as far as one picture tells.

    A small glare is the sun itself; else it stands on the side that is lighter, behind the camera. The less light and dark
    differ below the upper third (the sky), the more of the light is the sky's; light and dark pixels give the colors of sun
    and sky.
    """
    small = geometry.resize(photo, geometry.sizes(photo.shape[-2], photo.shape[-1], 96))
    height, width = small.shape[-2:]
    level = luminance(small)[0, 0] + 1e-3
    across = torch.linspace(-1, 1, width)
    slope = float((level.log().mean(0) * across).sum() / (across**2).sum())
    aside = math.copysign(ASIDE[0] + (ASIDE[1] - ASIDE[0]) * min(1.0, abs(slope) / 0.5), slope)
    forward = camera.axes[2]
    behind = math.degrees(math.atan2(-forward[0], -forward[2]))
    azimuth, elevation = _glare(level, camera) or (behind + aside, ELEVATION)
    ground = level[height // 3 :]
    dark, light = (float(ground.quantile(q)) for q in (0.15, 0.85))
    sky = min(max(2 * dark / light, SKY[0]), SKY[1])
    pixels = srgb_to_linear(small[0, :, height // 3 :]).flatten(1)
    colors = [_tint(pixels[:, chosen]) for chosen in ((ground >= light).flatten(), (ground <= dark).flatten())]
    return Light(azimuth % 360, elevation, sky, (colors[0], colors[1]))


def _glare(level: Tensor, camera: Camera) -> tuple[float, float] | None:
    """Azimuth and elevation of the sun, if a picture's luminance has one spot in the sky that is all white."""
    height, width = level.shape
    rows, columns = (level > GLARE).nonzero().double().numpy().T + 0.5
    if not len(rows) or len(rows) > SPOT * level.numel() or max(rows.std(), columns.std()) > SPOT * width:
        return None
    focal = camera.focal(height, width)
    ray = np.array([(columns.mean() - width / 2) / focal, (rows.mean() - height / 2) / focal, 1.0]) @ camera.axes
    elevation = math.degrees(math.asin(ray[1] / np.linalg.norm(ray)))
    return (math.degrees(math.atan2(ray[0], ray[2])), max(elevation, LOWEST)) if elevation > 0 else None


def _tint(pixels: Tensor) -> Tensor:
    """The color of light that shows on these pixels (linear), its luminance 1."""
    mean = pixels.mean(1) + 1e-4
    tint = torch.lerp(torch.ones(3), mean / (mean @ torch.tensor([0.2126, 0.7152, 0.0722])), TINT)
    return tint / (tint @ torch.tensor([0.2126, 0.7152, 0.0722]))


class Shadow:
    """What the sun sees of a model: all else is in its shadow."""

    def __init__(self, stage: Stage, direction: np.ndarray) -> None:
        self.stage = stage
        field = 2 * math.degrees(math.asin(1.05 / FAR))
        self.camera = Camera(stage.center + direction * stage.radius * FAR, stage.center, field)
        self.depth = stage.see(self.camera, SHADOWS, SHADOWS).depth

    def lit(self, places: np.ndarray) -> np.ndarray:
        """How much of the sun each place (places x 3) sees, 0 ... 1: the mean of 3 x 3 tests (Reeves et al. 1987)."""
        seen = self.camera.project(places, SHADOWS, SHADOWS)
        x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
        total = np.zeros(len(places))
        for across in (-1, 0, 1):
            for down in (-1, 0, 1):
                column, row = np.floor(x + across).astype(int), np.floor(y + down).astype(int)
                inside = (column >= 0) & (column < SHADOWS) & (row >= 0) & (row < SHADOWS)
                nearest = self.depth[row.clip(0, SHADOWS - 1), column.clip(0, SHADOWS - 1)]
                total += ~(inside & (nearest > 0) & (seen[:, 2] > nearest + BIAS * self.stage.radius))
        return total / 9


def seen(stage: Stage, camera: Camera, photo: Picture) -> Seen:
    """What the camera of a photograph sees of the model, SAMPLES x SAMPLES times a pixel.

    Raises:
        UsageError: nothing.
    """
    height, width = geometry.sizes(*photo.size, min(LARGEST, max(photo.size)))
    found = stage.see(camera, height * SAMPLES, width * SAMPLES)
    if not (found.face >= 0).any():
        raise UsageError("the camera does not see the model: look at --still with the same eye, target and fov")
    return found


@torch.no_grad()
def composite(stage: Stage, maps: list[Image], photo: Picture, camera: Camera, light: Light) -> Picture:
    """The photograph with the painted model in it, its long edge LARGEST px at most; what is transparent in it stays so.

    Raises:
        UsageError: the camera does not see the model.
    """
    own = seen(stage, camera, photo)
    height, width = own.face.shape[0] // SAMPLES, own.face.shape[1] // SAMPLES
    ground = geometry.resize(photo.image, (height, width))
    view = stage.look(camera, (height, width), stage.layout(maps), samples=SAMPLES, relief=0)
    shadow = Shadow(stage, light.direction)
    alpha = view.mask()
    lit = _lit(stage, view, own, maps, light, shadow) / alpha.clamp(min=1e-6)
    paint = _toned(linear_to_srgb(lit.clamp(0, 1)), alpha, ground)
    below = srgb_to_linear(ground) * _shade(stage, camera, light, shadow, height, width)
    opacity = None if photo.alpha is None else alpha + (1 - alpha) * geometry.resize(photo.alpha, (height, width))
    share = alpha if opacity is None else alpha / opacity.clamp(min=1e-6)
    # edges are mixed as light is
    mixed = torch.lerp(below, srgb_to_linear(paint), share)
    return Picture(linear_to_srgb(mixed).clamp(0, 1), opacity, bits=photo.bits, exif=photo.exif)


def _lit(stage: Stage, view: View, own: Seen, maps: list[Image], light: Light, shadow: Shadow) -> Image:
    """The model in its light: linear, multiplied by its coverage. What faces the sun straight is as light as its paint."""
    weights = own.weights.reshape(-1, 3)[view.flat.numpy()]
    normals = np.einsum("pkc,pk->pc", stage.triangles.normals[view.face], weights)
    places = np.einsum("pkc,pk->pc", stage.triangles.corners[view.face], weights)
    away = ((places - view.camera.eye) * normals).sum(1, keepdims=True) > 0
    normals = np.where(away, -normals, normals) / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    facing = np.maximum(normals @ light.direction, 0)
    facing *= shadow.lit(places + normals * BIAS * stage.radius)
    table = sample.texels([srgb_to_linear(each) for each in maps])
    most = light.sky * (1 + light.direction[1]) / 2 + 1 - light.sky
    total = torch.zeros(1, 3, *view.shape)
    for color, share in zip(light.colors, ((1 - light.sky) * facing, light.sky * (1 + normals[:, 1]) / 2), strict=True):
        shaded = replace(view, shade=torch.from_numpy(share / most).float())
        total += shaded.picture(table, torch.zeros(3)) * color.view(1, 3, 1, 1)
    return total


def _toned(paint: Image, alpha: Mask, photo: Image) -> Image:
    """The paint, its lightness moved half way to the photograph's mean and deviation, its color a little."""
    lab, other = rgb_to_lab(paint), rgb_to_lab(photo)
    weight = alpha / alpha.sum()
    mean = (lab * weight).sum((2, 3), keepdim=True)
    other = other[:, :, photo.shape[-2] // 3 :]  # not the sky
    target = other.mean((2, 3), keepdim=True)
    spread = float(((lab[:, :1] - mean[:, :1]) ** 2 * weight).sum().sqrt())
    stretch = (float(other[:, :1].std()) / max(spread, 1e-3)) ** SHARE
    shares = torch.tensor([SHARE, HUE, HUE]).view(1, 3, 1, 1)
    scale = torch.tensor([min(max(stretch, STRETCH[0]), STRETCH[1]), 1.0, 1.0]).view(1, 3, 1, 1)
    return lab_to_rgb((lab - mean) * scale + torch.lerp(mean, target, shares)).clamp(0, 1)


def _shade(stage: Stage, camera: Camera, light: Light, shadow: Shadow, height: int, width: int) -> Image:
    """By how much the ground is darker at each pixel, linear: the shadow, and the light that the model keeps from it."""
    found = torch.ones(1, 3, height, width)
    bottom = float(stage.triangles.corners[..., 1].min())
    rows, columns = np.mgrid[:height, :width] + 0.5
    focal = camera.focal(height, width)
    rays = np.stack([(columns - width / 2) / focal, (rows - height / 2) / focal, np.ones_like(rows)], -1).reshape(-1, 3)
    rays = rays @ camera.axes
    way = np.divide(bottom - camera.eye[1], rays[:, 1], out=np.full(len(rays), -1.0), where=np.abs(rays[:, 1]) > 1e-9)
    places = camera.eye + rays * way[:, None]
    off = np.linalg.norm(places - stage.center, axis=1) / stage.radius
    here = np.flatnonzero((way > 0) & (off < REACH))
    fade = torch.from_numpy(np.clip((REACH - off[here]) / (0.2 * REACH), 0, 1)).float()[:, None]
    lit = torch.from_numpy(shadow.lit(places[here] + np.array([0, BIAS, 0]) * stage.radius)).float()[:, None]
    covered = torch.from_numpy(_covered(stage, places[here])).float()[:, None]
    suns, skies = light.colors
    from_sun, from_sky = (1 - light.sky) * float(light.direction[1]) * suns, light.sky * skies
    share = (lit * from_sun + (1 - CONTACT * covered) * from_sky) / (from_sun + from_sky)
    found.view(3, -1)[:, here] = torch.lerp(torch.ones_like(share), share * (1 - 0.5 * CONTACT * covered), fade).T
    return found


def _covered(stage: Stage, places: np.ndarray) -> np.ndarray:
    """How much of what is around and above each place of the ground is covered by the model: its outline from above, blurred."""
    size = SHADOWS // 4
    above = Camera(stage.center + np.array([0, FAR, 0]) * stage.radius, stage.center, 2 * math.degrees(math.asin(1.6 / FAR)))
    plan = torch.from_numpy(stage.see(above, size, size).face >= 0).float()[None, None]
    blurred = (_blurred(plan, 0.05 * size) + _blurred(plan, 0.008 * size)) / 2
    seen = above.project(places, size, size)
    grid = torch.from_numpy(seen[:, :2] / seen[:, 2:] / size * 2 - 1).float()[None, None]
    found: np.ndarray = F.grid_sample(blurred, grid, "bilinear", "zeros", align_corners=False)[0, 0, 0].numpy()
    return found


def _blurred(plane: Mask, sigma: float) -> Mask:
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    rows = F.conv2d(plane, kernel.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1), padding=(reach, 0))
