"""What filters learn from: folders of photographs and paintings, as an endless, repeatable stream of crops.

Nothing here has a state. The item that training sees at a place of the stream follows from the seed and the place alone,
so a run goes on after an interruption exactly as it would have without one, on any number of processes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from PIL import Image as PILImage
from PIL import ImageOps
from torch import Tensor

from impasto.errors import UsageError
from impasto.types import Image

log = logging.getLogger(__name__)

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
FEWEST, FEW = 8, 200
"""Photographs: fewer are refused, fewer earn a warning."""
Pixels = np.ndarray
T = TypeVar("T")


def files(folders: Iterable[Path]) -> list[Path]:
    """The pictures in folders and below, sorted; a file stands for itself.

    Raises:
        UsageError: no such folder.
    """
    found: set[Path] = set()
    for folder in map(Path, folders):
        if not folder.exists():
            raise UsageError(f"no folder of pictures at {folder}")
        inside = [folder] if folder.is_file() else folder.rglob("*")
        found |= {path for path in inside if path.suffix.lower() in SUFFIXES and path.is_file()}
    return sorted(found)


def split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Pictures to learn from, and those held out to measure on: every tenth by the hash of its name."""
    shuffled = sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    held = set(shuffled[9::10])
    return [path for path in paths if path not in held], [path for path in paths if path in held]


def read(paths: Iterable[Path], side: int) -> list[Pixels]:
    """Decode pictures to 8-bit sRGB, at most `side` px on the long edge; those that cannot be read are counted and skipped."""
    return list(decoded(paths, side).values())


def decoded(paths: Iterable[Path], side: int) -> dict[Path, Pixels]:
    """What `read` finds, by its path."""
    pictures, skipped = {}, []
    for path in paths:
        try:
            with PILImage.open(path) as file:
                file.draft("RGB", (side, side))
                picture = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, ValueError, SyntaxError, PILImage.DecompressionBombError):
            skipped.append(path.name)
            continue
        picture.thumbnail((side, side), PILImage.Resampling.LANCZOS)
        pictures[path] = np.asarray(picture)
    if skipped:
        log.warning("%d pictures cannot be read and are skipped: %s", len(skipped), ", ".join(skipped[:5]))
    return pictures


def enough(photos: Sequence[Pixels]) -> None:
    """Raise UsageError for fewer than 8 photographs; warn under 200."""
    if len(photos) < FEWEST:
        raise UsageError(
            f"{len(photos)} readable photographs are too few to learn from: {FEWEST} at least, {FEW} and more are good"
        )
    if len(photos) < FEW:
        log.warning("only %d photographs: the filter may not fit others; %d and more are good", len(photos), FEW)


def tensor(pixels: Pixels) -> Image:
    """A picture of 8 bits as 1 x 3 x height x width in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def window(pixels: Pixels, size: int, side: float, rng: np.random.Generator) -> Image:
    """A square of about `side` px somewhere in the picture, resampled to `size` px, mirrored half of the times."""
    height, width = pixels.shape[:2]
    side = min(side, height, width)
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    around = (int(left), int(top), min(width, int(left + side) + 1), min(height, int(top + side) + 1))
    inside = PILImage.fromarray(pixels[around[1] : around[3], around[0] : around[2]])
    box = (
        left - around[0],
        top - around[1],
        min(left - around[0] + side, inside.width),
        min(top - around[1] + side, inside.height),
    )
    square = np.asarray(inside.resize((size, size), PILImage.Resampling.BICUBIC, box=box))
    return tensor(square[:, ::-1] if rng.random() < 0.5 else square)


def recolor(image: Image, rng: np.random.Generator) -> Image:
    """Other colors for a painting: turned about the gray axis, contrast and brightness changed, sometimes a negative."""
    angle = rng.uniform(0, 2 * np.pi)
    axis, turn = np.full((3, 3), 1 / 3), np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    matrix = np.cos(angle) * np.eye(3) + (1 - np.cos(angle)) * axis + np.sin(angle) * turn
    saturation = rng.uniform(0.3, 1.3)
    matrix = saturation * matrix + (1 - saturation) * axis
    turned = torch.einsum("rc,bchw->brhw", torch.tensor(matrix, dtype=torch.float32), image)
    if rng.random() < 0.1:
        turned = 1 - turned
    return ((turned - 0.5) * rng.uniform(0.7, 1.3) + 0.5 + rng.uniform(-0.1, 0.1)).clamp(0, 1)


@dataclass(frozen=True)
class Source:
    """The crops that training sees, each by its number."""

    photos: Sequence[Pixels]
    paintings: Sequence[Pixels]
    size: int
    """Side of the photographs' crops, px."""
    style_size: int = 224
    """Side of the paintings' crops, px."""
    seed: int = 0
    scales: tuple[float, float] = (256.0, 768.0)
    """Long edge that a painting is brought to before it is cropped, px, from ... to."""
    widen: bool = True
    """Whether styles are widened: other colors, mixtures of two, photographs as styles."""

    def photo(self, number: int) -> Image:
        """Crop `number` of the photographs: squares of 1 to 2.5 times the crop's side."""
        rng = np.random.default_rng((self.seed, 1, number))
        pixels = self.photos[int(rng.integers(len(self.photos)))]
        return window(pixels, self.size, self.size * 2.5 ** rng.random(), rng)

    def style(self, number: int) -> list[tuple[float, Image]]:
        """Style `number`: one painting's crop with weight 1, or two to be mixed."""
        rng = np.random.default_rng((self.seed, 2, number))
        share = rng.uniform(0.3, 0.7) if self.widen and rng.random() < 0.15 else 1.0
        return [(weight, self._painting(rng)) for weight in ((share, 1 - share) if share < 1 else (1.0,))]

    def _painting(self, rng: np.random.Generator) -> Image:
        from_photos = self.widen and rng.random() < 0.08
        pictures = self.photos if from_photos else self.paintings
        pixels = pictures[int(rng.integers(len(pictures)))]
        low, high = self.scales
        long_edge = low * (high / low) ** rng.random()
        crop = window(pixels, self.style_size, self.style_size * max(pixels.shape[:2]) / long_edge, rng)
        return recolor(crop, rng) if self.widen and rng.random() < 0.35 else crop


class Reused(Generic[T]):
    """A stream in which each crop returns several times, so that what was computed of it can be kept.

    Of a window of crops each is met `times` times, in another order each time, before the next window begins.
    """

    def __init__(self, make: Callable[[int], T], window: int, times: int, seed: int) -> None:
        self.window, self.times, self.seed = window, times, seed
        self.make = lru_cache(maxsize=window + 8)(make)

    def number(self, place: int) -> int:
        """Which crop stands at this place of the stream."""
        visit, position = divmod(place, self.window)
        order = np.random.default_rng((self.seed, 3, visit)).permutation(self.window)
        return int(visit // self.times * self.window + order[position])

    def __getitem__(self, place: int) -> T:
        return self.make(self.number(place))


def shift(count: int, size: int, rng: np.random.Generator) -> Tensor:
    """A small camera motion a picture: sampling grid, batch x size x size x 2, for `grid_sample` (align_corners false).

    Up to 12 px of translation, 3 degrees, 4 % of zoom: the flow is known exactly, no video is needed.
    """
    angle, zoom = rng.uniform(-0.05, 0.05, count), rng.uniform(0.96, 1.04, count)
    move = rng.uniform(-12, 12, (count, 2)) * 2 / size
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    rows = np.stack([np.stack([cosine, -sine, move[:, 0]], 1), np.stack([sine, cosine, move[:, 1]], 1)], 1)
    theta = torch.tensor(rows, dtype=torch.float32)
    return torch.nn.functional.affine_grid(theta, [count, 3, size, size], align_corners=False)
