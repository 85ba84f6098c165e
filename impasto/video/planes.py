"""The planes of video, luma and chroma in integers, to RGB in floats and back.

Computed in floats from the clip's own integers, so that 10, 12 and 16 bits lose nothing, where FFmpeg's scaler would round
to 8 bits by habit. Equations: ITU-T H.273, section 8.3. Chroma is sited as MPEG-2 and H.264 have it by default: level
with every other luma sample across, halfway between two lines down.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from impasto.types import Image, Mask
from impasto.video.frame import FULL, UNSPECIFIED, Colors

logger = logging.getLogger(__name__)

RGB, BT709, BT601 = 0, 1, 6
WEIGHTS = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470 BG
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
}
"""Kr and Kb of the matrices in H.273, table 4."""
SD_LINES, HD_COLUMNS = 576, 1280
"""Players take a clip that does not say its matrix for BT.709 if it has more lines, or so many columns (mpv, VLC)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a pixel format lays out a frame."""

    name: str
    bits: int
    rgb: bool = False
    gray: bool = False
    alpha: bool = False
    across: int = 1
    """Luma samples for one of chroma, horizontally: 1 or 2."""
    down: int = 1
    """The same vertically."""

    @property
    def top(self) -> int:
        """The greatest code value."""
        return (1 << self.bits) - 1


def layout_of(format: Any) -> Layout:
    """The planar layout that holds an FFmpeg pixel format without loss.

    4:1:1 and 4:1:0 are widened to 4:4:4 by FFmpeg; palettes and packed formats are only taken apart.
    """
    parts = format.components
    rgb, alpha = bool(format.is_rgb or format.has_palette), any(part.is_alpha for part in parts) or format.has_palette
    gray = not rgb and len(parts) - alpha == 1
    bits = min(16, max(part.bits for part in parts))
    chroma = next((part for part in parts if part.is_chroma), None)
    across, down = (format.width / chroma.width, format.height / chroma.height) if chroma and not rgb else (1, 1)
    wide, tall = round(across), round(down)
    if wide > 2 or tall > 2:
        wide = tall = 1
    depth = "" if bits == 8 else f"{bits}le"
    stem = ("gbrap" if alpha else "gbrp") if rgb else "gray" if gray else f"yuv{'a' * alpha}{_sampling(wide, tall)}p"
    if gray and alpha:
        stem, gray = "yuva444p", False
    return Layout(stem + depth, bits, rgb, gray, alpha, wide, tall)


def _sampling(across: int, down: int) -> str:
    return {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440"}[across, down]


def matrix_of(colors: Colors, height: int, width: int) -> int:
    """The matrix in force: the one that is named, else the one that players assume for the size that is stored."""
    if colors.matrix in WEIGHTS or colors.matrix == RGB:
        return colors.matrix
    if colors.matrix != UNSPECIFIED:
        logger.warning("matrix %d of H.273 is not known here: taken for BT.709", colors.matrix)
        return BT709
    return BT709 if height > SD_LINES or width >= HD_COLUMNS else BT601


def decoded(frame: Any, colors: Colors) -> tuple[Image, Mask | None, Layout]:
    """Image in [0, 1] and straight alpha of an FFmpeg frame, and how it was laid out."""
    layout = layout_of(frame.format)
    if frame.format.name.replace("yuvj", "yuv") != layout.name:
        frame = frame.reformat(format=layout.name)
    samples = [_samples(frame, part) for part in frame.format.components]
    alpha = samples.pop() / layout.top if layout.alpha else None
    full = colors.range == FULL or (layout.gray and colors.range == 0)
    image = to_rgb(samples, layout, matrix_of(colors, frame.height, frame.width), full)
    return image, None if alpha is None else alpha[None, None], layout


def _samples(frame: Any, part: Any) -> Tensor:
    plane = frame.planes[part.plane]
    return torch.from_numpy(_view(plane, part.bits > 8)[:, : part.width].astype(np.float32))


def _view(plane: Any, deep: bool) -> np.ndarray:
    """A plane's memory as rows of integers, with what pads them at the right."""
    return np.frombuffer(plane, np.dtype("<u2") if deep else np.uint8).reshape(plane.height, -1)


def to_rgb(samples: Sequence[Tensor], layout: Layout, matrix: int, full: bool) -> Image:
    """R = Y + 2(1-Kr)·Cr, B = Y + 2(1-Kb)·Cb, G = (Y - Kr·R - Kb·B) / Kg; Y in [0, 1], Cb and Cr in [-1/2, 1/2].

    Code values over white and under black become white and black.
    """
    if layout.rgb:
        return torch.stack([*samples])[None] / layout.top
    (low, high), (middle, swing) = _scales(layout.bits, full)
    luma = (samples[0] - low) / high
    if layout.gray:
        return luma.clamp(0, 1).expand(1, 3, *luma.shape).contiguous()
    kr, kb = WEIGHTS.get(matrix, WEIGHTS[BT709])
    cb, cr = (_widened((plane - middle) / swing, layout, luma.shape) for plane in samples[1:3])
    red, blue = luma + (2 - 2 * kr) * cr, luma + (2 - 2 * kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    image = torch.stack([red, green, blue])[None].clamp_(0, 1)
    return image


def _scales(bits: int, full: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Code value of black and distance to white; of gray in chroma, and distance between its extremes."""
    if full:
        return (0, 2**bits - 1), (2 ** (bits - 1), 2**bits - 1)
    step = 2 ** (bits - 8)
    return (16 * step, 219 * step), (128 * step, 224 * step)


def _widened(plane: Tensor, layout: Layout, shape: Sequence[int]) -> Tensor:
    """Chroma at every pixel, linear between its samples."""
    if layout.down == 2:
        above, below = torch.cat([plane[:1], plane[:-1]]), torch.cat([plane[1:], plane[-1:]])
        plane = torch.stack([0.75 * plane + 0.25 * above, 0.75 * plane + 0.25 * below], 1).flatten(0, 1)
    if layout.across == 2:
        right = torch.cat([plane[:, 1:], plane[:, -1:]], 1)
        plane = torch.stack([plane, (plane + right) / 2], 2).flatten(1, 2)
    return plane[: shape[0], : shape[1]]


def from_rgb(image: Image, layout: Layout, matrix: int, full: bool) -> list[Tensor]:
    """Y = Kr·R + Kg·G + Kb·B, Cb = (B - Y) / (2 - 2·Kb), Cr = (R - Y) / (2 - 2·Kr), rounded to the layout's integers."""
    red, green, blue = image[0].detach().float().cpu().clamp(0, 1)
    if layout.rgb:
        return [(plane * layout.top).round() for plane in (red, green, blue)]
    kr, kb = WEIGHTS.get(matrix, WEIGHTS[BT709])
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    (low, high), (middle, swing) = _scales(layout.bits, full)
    chroma = [_narrowed(part, layout) for part in ((blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr))]
    return [(luma * high + low).round(), *((part * swing + middle).round().clamp(0, layout.top) for part in chroma)]


def _narrowed(plane: Tensor, layout: Layout) -> Tensor:
    """Chroma where its samples are: (1, 2, 1)/4 across around every other pixel, the mean of two lines down."""
    if layout.across == 2:
        wide = pad(plane[None, None], (1, 1, 0, 0), mode="replicate")[0, 0]
        plane = (wide[:, :-2:2] + 2 * wide[:, 1:-1:2] + wide[:, 2::2]) / 4
    if layout.down == 2:
        if plane.shape[0] % 2:
            plane = torch.cat([plane, plane[-1:]])
        plane = (plane[::2] + plane[1::2]) / 2
    return plane


def encoded(image: Image, alpha: Mask | None, layout: Layout, colors: Colors) -> Any:
    """An FFmpeg frame of an image, with the alpha that its layout has room for (1 where none is given)."""
    from impasto.video.ffmpeg import library

    height, width = image.shape[-2:]
    planes = from_rgb(image, layout, colors.matrix, colors.range == FULL)
    if layout.alpha:
        mask = torch.ones(height, width) if alpha is None else alpha[0, 0].detach().float().cpu().clamp(0, 1)
        planes.append((mask * layout.top).round())
    frame = library().VideoFrame(width, height, layout.name)
    if layout.name in ("bgr0", "bgra"):
        _pack(frame, planes)
    else:
        for part, plane in zip(frame.format.components, planes, strict=True):
            _view(frame.planes[part.plane], part.bits > 8)[:, : part.width] = plane.numpy()
    frame.color_range, frame.colorspace = colors.range, colors.matrix
    frame.color_primaries, frame.color_trc = colors.primaries, colors.transfer
    return frame


def _pack(frame: Any, planes: list[Tensor]) -> None:
    """Red, green, blue (and alpha) into one plane of blue, green, red, alpha: all that FFV1 has for 8 bits."""
    rows = _view(frame.planes[0], deep=False)[:, : 4 * frame.width].reshape(frame.height, frame.width, 4)
    for place, plane in zip((2, 1, 0, 3), planes, strict=False):
        rows[..., place] = plane.numpy()
    if len(planes) == 3:
        rows[..., 3] = 0
