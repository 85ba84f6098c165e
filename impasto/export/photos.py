"""Photographs to calibrate and to check exports with: the embedded CC0 crops, or the user's own."""

from __future__ import annotations

from pathlib import Path

from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.pixels import geometry, io
from impasto.types import Image

EMBEDDED = Path(__file__).parent.parent / "fast" / "photos"
HELD = "held-"
"""Names of the embedded photographs that nothing is trained or calibrated on begin so."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
MOST = 16
"""Photographs that are calibrated on, or checked with, at most."""


def sorted_out(folder: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Photographs to calibrate on, and others to check with: the embedded ones, or every second of a folder.

    Raises:
        UsageError: no such folder, or fewer than two pictures in it.
    """
    if folder is None:
        found = sorted(EMBEDDED.glob("*.jpg"))
        held = [path for path in found if path.name.startswith(HELD)]
        return [path for path in found if path not in held], held
    if not folder.is_dir():
        raise UsageError(f"--photos {folder} is not a folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if len(found) < 2:
        raise UsageError(f"--photos {folder} holds {len(found)} pictures ({', '.join(SUFFIXES)}): two at least are needed")
    return found[::2][:MOST], found[1::2][:MOST]


def square(path: Path, size: int) -> Image:
    """The middle of a photograph, its shorter side `size` px.

    Raises:
        PictureError: it cannot be read.
    """
    picture = io.load(path)
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    height, width = image.shape[-2:]
    factor = size / min(height, width)
    shape = [max(size, round(side * factor)) for side in (height, width)]
    scaled = F.interpolate(image, shape, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    top, left = (shape[0] - size) // 2, (shape[1] - size) // 2
    return scaled[..., top : top + size, left : left + size]
