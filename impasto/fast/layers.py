"""The layers of the feed-forward networks: norms and convolutions that a style sets, and what keeps grids away."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.types import Features

EPSILON = 1e-5

GRAIN, GRAIN_SIZE = 8, 64
"""Channels and side of the noise that strokes start from where a picture is flat; at 1/8 size it repeats after 512 px."""

Code = Float[Tensor, "batch code"]
Statistics = Float[Tensor, "batch statistics"]


class Conditioning:
    """One pass's conditional instance norms: y = gamma (x - mean) / std + beta, gamma and beta from the style's code.

    Dumoulin et al., "A Learned Representation for Artistic Style", ICLR 2017, eq. 5. Means and deviations are the
    picture's own, or frozen ones measured before, which makes the network local: then a tile is painted as it would be
    inside the whole. `joint`: one statistic for the whole batch, as if its pictures were parts of one. The norms are met
    in a fixed order, so a position in the code is all that tells them apart.
    """

    def __init__(self, code: Code, cores: Code, frozen: Statistics | None, joint: bool = False) -> None:
        self.code, self.cores, self.frozen, self.joint = code, cores, frozen, joint
        self.position, self.place = 0, 0
        self.found: list[Tensor] | None = None
        """Means and variances met, where they are asked for."""

    def core(self, rank: int) -> Float[Tensor, "batch rank rank"]:
        """The next turned convolution's matrix."""
        core, self.cores = self.cores[:, : rank * rank], self.cores[:, rank * rank :]
        return core.reshape(-1, rank, rank)

    def moments(self, x: Features) -> tuple[Tensor, Tensor]:
        """Mean and variance of every channel, batch x channels: the picture's own, or the frozen ones."""
        channels = x.shape[1]
        if self.frozen is None:
            over = (0, 2, 3) if self.joint else (2, 3)
            mean = x.mean(over).view(-1, channels)
            variance = (x - mean[:, :, None, None]).square().mean(over).view(-1, channels)
        else:
            mean, variance = self.frozen[:, self.place : self.place + 2 * channels].chunk(2, 1)
        self.place += 2 * channels
        if self.found is not None:
            self.found += [mean, variance]
        return mean, variance

    def __call__(self, x: Features) -> Features:
        channels = x.shape[1]
        gamma, beta = self.code[:, self.position : self.position + 2 * channels].chunk(2, 1)
        self.position += 2 * channels
        if self.found is None and self.frozen is None:  # the same in one pass over memory
            gamma, beta = (part.expand(len(x), -1).reshape(-1) for part in (gamma, beta))
            flat = x.reshape(1, -1, *x.shape[2:])
            return torch.batch_norm(flat, gamma, beta, None, None, True, 0.0, EPSILON, False).view(x.shape)
        mean, variance = self.moments(x)
        scale = gamma * torch.rsqrt(variance + EPSILON)
        return x * scale[:, :, None, None] + (beta - mean * scale)[:, :, None, None]


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution before a norm: no bias (the norm would take it out again), borders replicated."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False, padding_mode="replicate")


def icnr_(weight: Tensor, factor: int = 2) -> None:
    """Start a convolution before a pixel shuffle so that the shuffle repeats pixels: no grid (Aitken et al. 2017)."""
    with torch.no_grad():
        weight.copy_(weight[:: factor**2].repeat_interleave(factor**2, 0))


def averaged(weight: Tensor) -> Tensor:
    """The kernel of convolution, shuffle of 2 x 2 and mean over each pixel and its neighbors above and left, as one: 4 x 4.

    A pixel's neighbors are other phases of the shuffle, of the same cell or of the one above or left of it.
    """
    phases, found = weight.view(-1, 2, 2, *weight.shape[1:]), []
    for row, column in itertools.product((0, 1), repeat=2):
        kernels = []
        for up, left in itertools.product((0, 1), repeat=2):
            y, x = int(row >= up), int(column >= left)  # 1 in the same cell, 0 in the one before
            kernels.append(F.pad(phases[:, (row - up) % 2, (column - left) % 2], (x, 1 - x, y, 1 - y)))
        found.append(torch.stack(kernels).mean(0))
    return torch.stack(found, 1).flatten(0, 1)


def grain() -> Float[Tensor, "1 grain side side"]:
    """Periodic noise of unit variance at three scales: what breaks the symmetry of a flat sky.

    Upsampling without phases turns a constant picture into a constant one (with pixel shuffles from 1/8 size ours painted a
    grid of 8 px there: the cheapest way to the variance that a style asks for). Texture networks start from noise for this
    reason (Ulyanov et al., ICML 2016, section 4.1). Ours is fixed: the same picture always gives the same painting.
    """
    draw = torch.Generator().manual_seed(8)
    octaves = []
    for factor, channels in ((1, 3), (2, 3), (4, 2)):
        noise = torch.randn((1, channels, GRAIN_SIZE // factor, GRAIN_SIZE // factor), generator=draw)
        around = F.pad(noise, (1, 1, 1, 1), "circular")
        smooth = F.interpolate(around, scale_factor=float(factor), mode="bilinear", align_corners=False)
        octaves.append(smooth[..., factor:-factor, factor:-factor])
    noise = torch.cat(octaves, 1)
    return noise / noise.std((2, 3), keepdim=True)


class Turned(nn.Module):
    """A convolution that the style turns: W + L M R, with L and R learned for all styles and M, rank x rank, the style's.

    What a network changes while it learns one painting lies mostly in few directions that all paintings share (of 80 x 720
    weights, 32 x 32 directions held nine tenths of it), so a small matrix between them says most of what scale and shift of
    norms cannot. Between features squeezed by L and R, M does what Li et al., "Learning Linear Transformations for Fast Image
    and Video Style Transfer", CVPR 2019, do once for a whole network.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.plain = convolution(channels, channels)
        self.right, self.left = convolution(channels, rank), convolution(rank, channels, 1)

    def forward(self, x: Features, norm: Conditioning) -> Features:
        """Convolve each picture with its own weights."""
        if not self.rank:
            return self.plain(x)  # type: ignore[no-any-return]
        turned = torch.einsum("brs,bshw->brhw", norm.core(self.rank), self.right(x))
        return self.plain(x) + self.left(turned)  # type: ignore[no-any-return]

    @torch.no_grad()
    def fold(self, core: Float[Tensor, "1 core"]) -> None:
        """Become a plain convolution for one style."""
        left, middle = self.left.weight[..., 0, 0], core.view(self.rank, self.rank)
        self.plain.weight += torch.einsum("or,rs,sikl->oikl", left, middle, self.right.weight)
        self.rank, self.right, self.left = 0, nn.Identity(), nn.Identity()  # type: ignore[assignment]


class Block(nn.Module):
    """Two dense 3 x 3 convolutions with conditional norms, added to what comes in."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.first, self.second = Turned(channels, rank), Turned(channels, rank)

    def forward(self, x: Features, norm: Conditioning) -> Features:
        """Return x plus its change."""
        return x + norm(self.second(F.relu(norm(self.first(x, norm))), norm))


def twice(x: Features) -> Features:
    """Twice the size, without phases."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
