"""What an encoder learns from: a set of content pictures and one of style pictures, each seen in two ways.

As in `data`, nothing has a state: what a step sees follows from the seed and the step alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.fast import data
from impasto.features.encoders import VGG
from impasto.pixels import color
from impasto.types import Features, Image

log = logging.getLogger(__name__)

SMALLEST = 64
"""Pictures with a shorter side, px, are left out."""
MOST = 3000
"""Pictures that are read of a set at most, evenly spread: all are kept in memory, half a megabyte each."""
APART = 4.0
"""Pictures count as alike whose colors on a grid of 8 x 8 differ by less, of 255, root mean square."""
SIDE = 512
"""Long edge that pictures are read at, px."""
KEPT_APART = 4
"""Of fewer pictures held out nothing can be told."""
TAUGHT = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
"""Layers that a teacher is asked for: those that painting looks at."""

Places = Float[Tensor, "batch points 2"]
"""Places in a picture, down and across, each in [0, 1)."""


class Pictures(NamedTuple):
    """Pictures, and whose each is: the painter's number where folders tell painters apart, else the picture's own."""

    pixels: list[np.ndarray]
    labels: list[int]


def gather(folders: Sequence[Path], kind: str) -> tuple[Pictures, Pictures]:
    """The pictures of a set to learn from, and those held out; `kind` says in messages which set it is.

    Raises:
        UsageError: no such folder; fewer than 8 pictures that can be read and are 64 px a side, or that differ.
    """
    there = data.files(folders)
    paths = there[:: -(-len(there) // MOST) or 1]
    if len(paths) < len(there):
        log.warning("of %d %s pictures %d are read, evenly spread", len(there), kind, len(paths))
    found = data.decoded(paths, SIDE)
    kept = {path: pixels for path, pixels in found.items() if min(pixels.shape[:2]) >= SMALLEST}
    if len(kept) < len(found):
        small = [path.name for path in found if path not in kept]
        log.warning("%d %s pictures have a side under %d px: %s", len(small), kind, SMALLEST, ", ".join(small[:5]))
    _check(kept, folders, kind)
    whose = [_owner(path, folders) for path in kept]
    if len(set(whose)) == 1:  # one folder that holds them all tells nothing
        whose = [str(path) for path in kept]
    numbers = {name: number for number, name in enumerate(sorted(set(whose)))}
    labels = {path: numbers[name] for path, name in zip(kept, whose, strict=True)}
    parts = [Pictures([kept[path] for path in part], [labels[path] for path in part]) for part in data.split(list(kept))]
    if len(parts[1].pixels) < KEPT_APART:
        log.warning("too few %s pictures to keep some apart: the encoder is measured on those that it learns from", kind)
        return parts[0], parts[0]
    return parts[0], parts[1]


def _check(kept: dict[Path, np.ndarray], folders: Sequence[Path], kind: str) -> None:
    where = ", ".join(map(str, folders))
    if len(kept) < data.FEWEST:
        raise UsageError(
            f"{len(kept)} readable {kind} pictures of {SMALLEST} px a side or more in {where} are too few to learn from: "
            f"{data.FEWEST} at least, {data.FEW} and more are good"
        )
    if (count := differing(list(kept.values()))) < data.FEWEST:
        raise UsageError(
            f"the {len(kept)} {kind} pictures in {where} are alike, only {count} differ: {data.FEWEST} different ones at least"
        )
    if len(kept) < data.FEW:
        log.warning("only %d %s pictures: the encoder may not fit others; %d and more are good", len(kept), kind, data.FEW)


def differing(pictures: Sequence[np.ndarray]) -> int:
    """How many of the pictures differ from each other; counting ends at 8."""
    apart: list[Tensor] = []
    for pixels in pictures:
        small = F.adaptive_avg_pool2d(data.tensor(pixels), 8) * 255
        if all((small - other).square().mean().sqrt() > APART for other in apart):
            apart.append(small)
        if len(apart) == data.FEWEST:
            break
    return len(apart)


def _owner(path: Path, folders: Sequence[Path]) -> str:
    """The first folder's name on the way from a set's folder to the file; without any, the file's."""
    for folder in map(Path, folders):
        if path.is_relative_to(folder):
            parts = path.relative_to(folder).parts
            return parts[0] if len(parts) > 1 else str(path)
    return str(path)


class Sitting(NamedTuple):
    """One step's pictures, and what the teacher says of them."""

    plain: Image
    """Content pictures' crops."""
    changed: Image
    """The same places in other colors, blurred, restyled."""
    first: Image
    second: Image
    """Two crops of each style picture."""
    labels: Tensor
    """Whose the style pictures are."""
    places: Places
    """Where the teacher was asked: in the plain pictures, then in the first crops."""
    taught: dict[str, Tensor]
    """Its responses there, batch x points x channels by layer; none without a teacher."""


class Seen(NamedTuple):
    """A crop, with the teacher's responses at some places."""

    image: Image
    places: Places
    taught: dict[str, Tensor]


class Stream:
    """The endless stream of sittings; what the teacher says of a crop is kept for several uses."""

    def __init__(
        self,
        contents: Pictures,
        styles: Pictures,
        *,
        crop: int,
        batch: int,
        seed: int,
        device: torch.device,
        teacher: VGG | None = None,
        points: int = 64,
        window: int = 512,
        uses: int = 8,
    ) -> None:
        """`window`, `uses`: of so many crops each is met so many times. `points`: places where the teacher is asked."""
        self.contents, self.styles, self.crop, self.batch, self.seed = contents, styles, crop, batch, seed
        self.device, self.teacher, self.points = device, teacher, points
        self.photos = data.Reused(self.photo, window, uses, seed)
        self.paintings = data.Reused(self.painting, window, uses, seed + 1)

    def photo(self, number: int, picture: int | None = None) -> Seen:
        """Crop `number` of the content pictures, or of one of them: squares of 1 to 2.5 times the crop's side."""
        rng = np.random.default_rng((self.seed, 1, number))
        chosen = int(rng.integers(len(self.contents.pixels)))
        pixels = self.contents.pixels[chosen if picture is None else picture]
        return self._seen(data.window(pixels, self.crop, self.crop * 2.5 ** rng.random(), rng), rng)

    def painting(self, number: int, picture: int | None = None) -> tuple[Seen, Image, int]:
        """Two crops of a style picture at nearly one scale, with its label."""
        rng = np.random.default_rng((self.seed, 2, number))
        chosen = int(rng.integers(len(self.styles.pixels)))
        chosen = chosen if picture is None else picture
        side = self.crop * 2.5 ** rng.random()
        crops = [
            data.window(self.styles.pixels[chosen], self.crop, side * factor, rng) for factor in (1.0, 1.25 ** rng.uniform(-1, 1))
        ]
        return self._seen(crops[0], rng), crops[1].to(self.device), self.styles.labels[chosen]

    @torch.no_grad()
    def _seen(self, crop: Image, rng: np.random.Generator) -> Seen:
        image, places = crop.to(self.device), torch.from_numpy(rng.random((1, self.points, 2))).to(self.device)
        if self.teacher is None:
            return Seen(image, places, {})
        found = self.teacher(image, TAUGHT)
        return Seen(image, places, {layer: at(features, places).bfloat16() for layer, features in found.items()})

    def sitting(self, step: int, rank: int = 0, ranks: int = 1) -> Sitting:
        """This process's part of the pictures of a step."""
        mine = range(rank * self.batch // ranks, (rank + 1) * self.batch // ranks)
        places = [step * self.batch + index for index in mine]
        photos, paintings = [self.photos[place] for place in places], [self.paintings[place] for place in places]
        changed = [
            change(photo.image, painting[0].image, np.random.default_rng((self.seed, 4, place)))
            for photo, painting, place in zip(photos, paintings, places, strict=True)
        ]
        seen = [*photos, *(painting[0] for painting in paintings)]
        return Sitting(
            torch.cat([photo.image for photo in photos]),
            torch.cat(changed),
            torch.cat([painting[0].image for painting in paintings]),
            torch.cat([painting[1] for painting in paintings]),
            torch.tensor([painting[2] for painting in paintings], device=self.device),
            torch.cat([each.places for each in seen]),
            {layer: torch.cat([each.taught[layer] for each in seen]) for layer in seen[0].taught},
        )


def at(features: Features, places: Places) -> Float[Tensor, "batch points channels"]:
    """Responses at some places of each picture."""
    height, width = features.shape[-2:]
    rows, columns = (places[..., 0] * height).long(), (places[..., 1] * width).long()
    return features[torch.arange(len(features), device=features.device)[:, None], :, rows, columns]


def change(photo: Image, painting: Image, rng: np.random.Generator) -> Image:
    """The picture as it must still be recognized: half of the times restyled, else in other colors; often blurred."""
    if rng.random() < 0.5:
        changed = restyle(photo, painting, rng.uniform(0.7, 2.0), rng.uniform(0.5, 1.5))
    else:
        changed = data.recolor(photo, rng)
    return blur(changed, rng.uniform(0.5, 2.0)) if rng.random() < 0.5 else changed


def restyle(photo: Image, painting: Image, grain: float, amount: float) -> Image:
    """The forms of a photograph in a painting's colors, under the painting's own grain, without any network.

    What is coarser than `grain` px comes from the photograph, its mean and covariance of colors moved to the painting's
    (`color.match_color`); what is finer comes from the painting, times `amount`.
    """
    forms = color.match_color(blur(photo, grain), painting, "match")
    return (forms + amount * (painting - blur(painting, grain))).clamp(0, 1)


def blur(image: Image, sigma: float) -> Image:
    """Convolution with a Gaussian of `sigma` px, borders replicated."""
    reach = max(1, math.ceil(2.5 * sigma))
    steps = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-((steps / sigma) ** 2) / 2)
    row = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    return F.conv2d(F.conv2d(F.pad(image, (reach,) * 4, "replicate"), row, groups=3), row.mT, groups=3)
