"""The canvas of textures: pixels that go on at the other side, seen from a random place, in the exemplars' colors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.paint import patchwork, tiled
from impasto.paint.patchwork import Wrap
from impasto.types import Image, Mask

RARE = 0.0005
"""Share of an exemplar's pixels that may lie beyond the colors that a texture of it keeps to, on each side of each axis."""


@dataclass(frozen=True, slots=True)
class Frame:
    """How the objective sees a texture of a size: moved around, and continued at the borders that repeat."""

    shape: tuple[int, int]
    """Height and width of the texture, px."""
    rows: Tensor
    columns: Tensor
    """Which rows and columns are seen, in order; more than there are, where it is continued."""
    inside: Mask | None = None
    """1 where what is seen counts, 0 where it only continues the texture; None: all counts."""

    def show(self, planes: Tensor) -> Tensor:
        """Planes of the texture's shape as they are seen."""
        if self.inside is None and self.rows[0] == 0 == self.columns[0]:
            return planes
        return planes.index_select(-2, self.rows).index_select(-1, self.columns)


def frame(shape: tuple[int, int], wrap: Wrap, border: int, seed: int) -> Frame:
    """The view of a texture: rolled at random where it repeats, so that no pixel is always at the border of a pooling.

    With a `border` it is continued by so many px there and up to a multiple of 16: the network then sees beyond the border
    what really lies there, which serves any size and works over tiles. Without, the network itself has to be periodic.
    """
    random = torch.Generator().manual_seed((seed * 1_000_003 + shape[0] * 65_537 + shape[1]) % 2**63)
    seen, counts = [], []
    for length, around in zip(shape, wrap, strict=True):
        offset = int(torch.randint(length, (), generator=random)) if around else 0
        before, after = (border, border + -length % tiled.STRIDE) if around else (0, 0)
        seen.append((torch.arange(-before, length + after) + offset) % length if around else torch.arange(length))
        counts.append(F.pad(torch.ones(length), (before, after)))
    inside = None if border == 0 or not any(wrap) else (counts[0][:, None] * counts[1])[None, None]
    return Frame(shape, seen[0], seen[1], inside)


class Box(NamedTuple):
    """What values are wont to be: from low to high along axes of their own."""

    axes: Tensor
    """3 x 3, a column an axis."""
    low: Tensor
    high: Tensor

    def nearest(self, image: Image) -> Image:
        """The image with values from outside moved to the border."""
        axes, low, high = (each.to(image) for each in self)
        along = torch.einsum("ij,bihw->bjhw", axes, image)
        return torch.einsum("ij,bjhw->bihw", axes, along.clamp(low.view(1, 3, 1, 1), high.view(1, 3, 1, 1)))


def box(values: Tensor) -> Box:
    """Where all but the rarest of values (3 x count) lie, along their principal components."""
    centered = values - values.mean(1, keepdim=True)
    axes = torch.linalg.eigh(centered @ centered.T).eigenvectors
    along = (axes.T @ values).sort(1).values
    beyond = int(RARE * along.shape[1])
    return Box(axes, along[:, beyond], along[:, -1 - beyond])


def grain(image: Image) -> Image:
    """What sets pixels apart from their neighbors: the image less the mean of 3 x 3."""
    return image - F.avg_pool2d(F.pad(image, (1, 1, 1, 1), "replicate"), 3, 1)


class Gamut(NamedTuple):
    """The colors of exemplars, and how far a pixel is from its neighbors there.

    Means and covariances are also met by a few pixels of a glaring color, which is what descent finds first.
    """

    colors: Box
    grains: Box

    @classmethod
    def of(cls, images: Sequence[tuple[Image, Mask | None]]) -> Gamut:
        """The gamut of images, where their masks are."""
        kept = [torch.ones_like(image[:, :1]) if mask is None else mask for image, mask in images]
        found = []
        for seen in (lambda image: image, grain):
            parts = [seen(image)[0, :, mask[0, 0] > 0.5].cpu() for (image, _), mask in zip(images, kept, strict=True)]
            found.append(box(torch.cat(parts, 1)))
        return cls(*found)

    def nearest(self, image: Image) -> Image:
        """The image with its colors within the gamut and within [0, 1]."""
        return self.colors.nearest(image).clamp(0, 1)

    def excess(self, image: Image, inside: Mask | None = None) -> Tensor:
        """Mean squared distance of the pixels, and of their grain, from the gamut; on the scale of 0...255.

        `inside`: how much each pixel counts.
        """
        fine = grain(image)
        away = image - self.colors.nearest(image.detach()).clamp(0, 1), fine - self.grains.nearest(fine.detach())
        squares = away[0].square() + away[1].square()
        if inside is None:
            return 255.0**2 * squares.mean()
        return 255.0**2 * (squares * inside).sum() / (3 * inside.sum())


Frames = Callable[[int], Frame]
Enlarge = Callable[[Image, int], Image]


class Canvas:
    """What is painted: a texture's pixels, which go on at the other side where they `wrap`."""

    def __init__(self, image: Image, frames: Frames, size: int, wrap: Wrap, enlarge: Enlarge, gamut: Gamut) -> None:
        """`frames(size)`: the frame of a long edge of so many px. `enlarge(image, size)`: how it comes to another size."""
        self.pixels, self.frames, self.frame = _leaf(image), frames, frames(size)
        self.wrap, self.enlarge, self.gamut = wrap, enlarge, gamut

    def resize(self, size: int) -> None:
        self.frame = self.frames(size)
        if self.frame.shape != tuple(self.pixels.shape[-2:]):
            self.pixels = _leaf(self.enlarge(self.pixels.detach(), size).clamp(0, 1))

    def parameters(self) -> list[Tensor]:
        return [self.pixels]

    def resized(self, moment: Tensor, parameter: Tensor, mode: str) -> Tensor:
        return resampled(moment, (parameter.shape[-2], parameter.shape[-1]), self.wrap, mode)

    def render(self) -> Image:
        axis = self.gamut.grains.axes[:, -1].to(self.pixels)
        return self.frame.show(SoftColors.apply(self.pixels, axis))  # type: ignore[no-untyped-call]

    def restrain(self) -> None:
        with torch.no_grad():
            self.pixels.copy_(self.gamut.nearest(self.pixels))


SMOOTHINGS = 6
"""How often the gradient of colors is smoothed, each time over 5 x 5 px."""


TAIL = 2.5
"""Gradients are cut off at so many times their root mean square."""


class SoftColors(torch.autograd.Function):
    """The image itself; but of its gradient only the part along `axis` keeps its finest detail, the others are smoothed.

    Deep layers can be satisfied by sprinkling single pixels with colors of their own, which no eye takes for the texture.
    With a symmetric smoothing M, steps along M g still go down, and all they add lies in its range.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, axis: Tensor) -> Tensor:
        ctx.save_for_backward(axis)
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (axis,) = ctx.saved_tensors
        main = axis.view(1, 3, 1, 1) * (gradient * axis.view(1, 3, 1, 1)).sum(1, keepdim=True)
        rest = gradient - main
        kernel = (torch.tensor([1.0, 4, 6, 4, 1]) / 16).to(gradient)
        for _ in range(SMOOTHINGS):
            for shape, sides in (((1, 5), (2, 2, 0, 0)), ((5, 1), (0, 0, 2, 2))):
                weight = kernel.view(1, 1, *shape).expand(3, -1, -1, -1)
                rest = F.conv2d(F.pad(rest, sides, "circular"), weight, groups=3)
        even = main + rest
        most = TAIL * even.square().mean().sqrt()
        return even.clamp(-most, most), None


def _leaf(image: Tensor) -> Tensor:
    return image.detach().clone(memory_format=torch.contiguous_format).requires_grad_()


def resampled(planes: Tensor, shape: tuple[int, int], wrap: Wrap, mode: str = "bicubic") -> Tensor:
    """Planes in another size, interpolated around where they wrap."""
    reach = 2  # what bicubic interpolation looks at
    whole = patchwork.padded(planes, reach, wrap)
    places = []
    for length, old in zip(shape, planes.shape[-2:], strict=True):
        place = (torch.arange(length, device=planes.device) + 0.5) * old / length - 0.5 + reach
        places.append(place / (old + 2 * reach - 1) * 2 - 1)
    rows, columns = torch.meshgrid(*places, indexing="ij")
    grid = torch.stack([columns, rows], -1)[None].to(planes)
    found: Tensor = F.grid_sample(whole, grid, mode, "border", align_corners=True)
    return found
