"""Feed-forward networks that paint in one pass, conditioned on a painting's statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import UsageError, WeightsError
from impasto.features import weights
from impasto.types import Features, Image

STRIDE = 8
"""The body works at 1/8 size: pictures are padded to a multiple of this, and cropped again."""
DARKEST = 1 / 512
"""Pictures are clamped to [DARKEST, 1 - DARKEST] before the logit: half a step of 8 bits."""
EPSILON = 1e-5
COLOR_EPSILON = 0.25
"""Added to the variance of the content's logits, so that noise in a flat picture is not blown up to full contrast."""
SIGNATURE = {"logit": 3, "relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
"""What the predictor sees of a painting: mean and standard deviation of every channel of these layers (VGG-16)."""

GRAIN, GRAIN_SIZE = 8, 64
"""Channels and side of the noise that strokes start from where a picture is flat; at 1/8 size it repeats after 512 px."""

Code = Float[Tensor, "batch code"]
Statistics = Float[Tensor, "batch statistics"]


def logit(image: Image) -> Image:
    """log(x / (1 - x)) of a picture, finite also for black and white."""
    return torch.logit(image, DARKEST)


def signature(moments: Mapping[str, tuple[Tensor, Tensor]]) -> Float[Tensor, "batch signature"]:
    """A painting as the predictor sees it: means and standard deviations of SIGNATURE's layers in one row.

    `moments`: mean and standard deviation, each batch x channels, by layer.
    """
    return torch.cat([part for layer in SIGNATURE for part in moments[layer]], 1)


class Conditioning:
    """One pass's conditional instance norms: y = gamma (x - mean) / std + beta, gamma and beta from the style's code.

    Dumoulin et al., "A Learned Representation for Artistic Style", ICLR 2017, eq. 5. Means and deviations are the
    picture's own, or frozen ones measured before, which makes the network local: then a tile is painted as it would be
    inside the whole. `joint`: one statistic for the whole batch, as if its pictures were parts of one. The norms are met
    in a fixed order, so a position in the code is all that tells them apart.
    """

    def __init__(self, code: Code, frozen: Statistics | None, joint: bool = False) -> None:
        self.code, self.frozen, self.joint = code, frozen, joint
        self.position, self.place = 0, 0
        self.found: list[Tensor] = []

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
        self.found += [mean, variance]
        return mean, variance

    def __call__(self, x: Features) -> Features:
        channels = x.shape[1]
        gamma, beta = self.code[:, self.position : self.position + 2 * channels].chunk(2, 1)
        self.position += 2 * channels
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


class Block(nn.Module):
    """Two dense 3 x 3 convolutions with conditional norms, added to what comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = convolution(channels, channels), convolution(channels, channels)

    def forward(self, x: Features, norm: Conditioning) -> Features:
        """Return x plus its change."""
        return x + norm(self.second(F.relu(norm(self.first(x)))))


class AnyStyle(nn.Module):
    """Paints any picture in the style of any painting: out = sigmoid(A n + b + delta), n the content's normalized logits.

    A 7 x 7 / 4 stem, a body of dense residual blocks at 1/8 size, a skip from 1/4, bilinear steps to 1/4 and 1/2 with
    convolutions, and a pixel shuffle averaged over 2 x 2, so that no step has phases. All that a style sets is its code: the
    color matrix A and the shift b of the ground the strokes are painted on, and scale and shift of every norm (Dumoulin et
    al. 2017; predicted from the painting as in Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural
    artistic stylization network", BMVC 2017, but from the statistics of VGG layers, which the style losses compare anyway,
    instead of from an Inception network).

    Strength s goes from the content to the style inside the network: the code moves from a learned neutral one to the
    style's, the ground from the content's logits to A n + b, delta is scaled by s, and training sees every s.
    """

    identity = ""
    """SHA-256 of the file it came from: a style's code fits one network only."""

    def __init__(self, stem: int = 32, width: int = 80, blocks: int = 4, fine: int = 16, hidden: int = 192) -> None:
        super().__init__()
        self.stem = convolution(3, stem, 7, 4)
        self.down = convolution(stem, width, 3, 2)
        self.seed = nn.Conv2d(GRAIN, width, 1, bias=False)
        self.body = nn.ModuleList(Block(width) for _ in range(blocks))
        self.rise = nn.Conv2d(width, stem, 1, bias=False)
        self.quarter = convolution(stem, stem)
        self.quarter_seed = nn.Conv2d(GRAIN, stem, 1, bias=False)
        self.widen = nn.Conv2d(stem, fine, 1, bias=False)
        self.detail = nn.Conv2d(3, 12, 2, 2, bias=False)
        self.fine = convolution(fine + 12, fine)
        self.fine_seed = nn.Conv2d(GRAIN, fine, 1, bias=False)
        self.paint = nn.Conv2d(fine, 12, 3, padding=1, padding_mode="replicate")
        self.reach = -(-(16 * blocks + 28) // STRIDE) * STRIDE + STRIDE
        """How far a pixel is seen, px, a multiple of 8: farther ones do not matter once statistics are frozen."""
        norms = [stem, width, *[width] * (2 * blocks), stem, fine]
        self.code_size = 12 + 2 * sum(norms)
        self.predictor = nn.Sequential(
            nn.Linear(2 * sum(SIGNATURE.values()), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, self.code_size),
        )
        neutral = torch.cat(
            [torch.eye(3).flatten(), torch.zeros(3), *(torch.cat([torch.ones(c), torch.zeros(c)]) for c in norms)]
        )
        self.neutral = nn.Parameter(neutral)
        self.signature_mean: Tensor
        self.signature_scale: Tensor
        self.register_buffer("signature_mean", torch.zeros(2 * sum(SIGNATURE.values())))
        self.register_buffer("signature_scale", torch.ones(2 * sum(SIGNATURE.values())))
        self.grain: Tensor
        self.register_buffer("grain", grain())
        self._start()

    def _start(self) -> None:
        """First weights: the shuffles repeat pixels, delta and the predicted change of the code are small."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        with torch.no_grad():
            self.paint.weight *= 0.05
            nn.init.zeros_(self.paint.bias)  # type: ignore[arg-type]
            for block in self.body:
                block.second.weight *= 0.5  # type: ignore[union-attr, operator]
            last = self.predictor[-1]
            nn.init.normal_(last.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            for seed in (self.seed, self.quarter_seed, self.fine_seed):
                seed.weight *= 0.5
        icnr_(self.paint.weight)

    def predict(self, row: Float[Tensor, "batch signature"], noise: Tensor | float = 0.0) -> Code:
        """The code of a painting from its signature. Color starts from matching mean and deviation of the logits.

        `noise` is added to what the predictor sees, in standard deviations.
        """
        change = self.predictor((row - self.signature_mean) / self.signature_scale + noise)
        mean, deviation = row[:, :3], row[:, 3:6]
        color = torch.cat([torch.diag_embed(deviation).flatten(1), mean], 1)
        norms = (self.neutral[12:] + change[:, 12:]).expand(len(row), -1)
        return torch.cat([color + change[:, :12], norms], 1)

    def forward(
        self,
        content: Image,
        code: Code,
        *,
        strength: float | Float[Tensor, " batch"] = 1.0,
        statistics: Statistics | None = None,
        origin: tuple[int, int] = (0, 0),
    ) -> Image:
        """Paint `content` (any size) in the style of `code`, a row for each picture or one for all.

        `strength`: 0 (almost the content) to 1, one number or one for each picture. `statistics`: those that `measure`
        returned, to norm with instead of the picture's own. `origin`: row and column, multiples of 8, where a tile lies in
        its picture.
        """
        code, s = self._weakened(code, strength, content)
        return self._paint(content, code, s, Conditioning(code[:, 12:], statistics), origin)

    def measure(
        self, content: Image, code: Code, *, strength: float | Float[Tensor, " batch"] = 1.0, joint: bool = False
    ) -> Statistics:
        """Mean and variance of every channel before every norm while painting `content`: one row a picture, or one for all."""
        code, s = self._weakened(code, strength, content)
        norm = Conditioning(code[:, 12:], None, joint)
        self._paint(content, code, s, norm, (0, 0))
        return torch.cat(norm.found, 1)

    def _weakened(self, code: Code, strength: float | Tensor, like: Tensor) -> tuple[Code, Tensor]:
        s = torch.as_tensor(strength, dtype=like.dtype, device=like.device).view(-1, 1)
        return self.neutral + s * (code - self.neutral), s[:, :, None, None]

    def _paint(self, content: Image, code: Code, s: Tensor, norm: Conditioning, origin: tuple[int, int]) -> Image:
        height, width = content.shape[-2:]
        content = _pad(content)
        logits = logit(content)
        mean, variance = norm.moments(logits)
        normal = (logits - mean[:, :, None, None]) * torch.rsqrt(variance + COLOR_EPSILON)[:, :, None, None]
        matrix, shift = code[:, :9].view(-1, 3, 3), code[:, 9:12]
        ground = torch.einsum("brc,bchw->brhw", matrix.expand(len(content), 3, 3), normal) + shift[:, :, None, None]
        painted = torch.sigmoid(logits + s * (ground - logits + self._delta(normal, norm, origin)))
        return painted[..., :height, :width]

    def _delta(self, normal: Features, norm: Conditioning, origin: tuple[int, int]) -> Features:
        quarter = F.relu(norm(self.stem(normal)))
        x = self.down(quarter)
        x = F.relu(norm(x + self.seed(self._grain(x, origin, 8))))
        for block in self.body:
            x = block(x, norm)
        x = _twice(self.rise(x)) + quarter
        x = F.relu(norm(self.quarter(x) + self.quarter_seed(self._grain(x, origin, 4))))
        x = torch.cat([_twice(self.widen(x)), self.detail(normal)], 1)
        x = F.relu(norm(self.fine(x) + self.fine_seed(self._grain(x, origin, 2))))
        x = F.pixel_shuffle(self.paint(x), 2)
        return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), "replicate"), 2, 1)

    def _grain(self, like: Features, origin: tuple[int, int], stride: int) -> Features:
        rows, columns = (
            (torch.arange(size, device=like.device) + start // stride) % GRAIN_SIZE
            for size, start in zip(like.shape[-2:], origin, strict=True)
        )
        return self.grain[:, :, rows][..., columns]

    def bind(self, code: Code) -> Bound:
        """This network with a style's code fixed: a Stylizer."""
        return Bound(self, code)


class Bound:
    """A network with its style: a Stylizer."""

    def __init__(self, net: AnyStyle, code: Code) -> None:
        self.net, self.code = net, code.detach()

    @torch.no_grad()
    def __call__(self, content: Image, *, strength: float = 1.0) -> Image:
        """Return the stylized content, the same size; strength 0 returns the content itself.

        Raises:
            UsageError: a strength outside 0 ... 1.
        """
        check_strength(strength)
        if strength == 0.0:
            return content
        return self.net(content, self.code.to(content.device), strength=strength)  # type: ignore[no-any-return]


def check_strength(strength: float) -> None:
    """Raise UsageError for a strength outside 0 ... 1."""
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"strength {strength} is not between 0 and 1")


def mix(codes: list[Code], weights: list[float]) -> Code:
    """Several styles in one code: sum w_i code_i / sum w_i."""
    total = sum(weights)
    if len(codes) != len(weights) or not total > 0 or min(weights) < 0:
        raise UsageError(f"weights {weights} do not fit {len(codes)} styles: one for each, none negative, not all 0")
    return sum((code * (weight / total) for code, weight in zip(codes, weights, strict=True)), torch.zeros_like(codes[0]))


def _twice(x: Features) -> Features:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _pad(image: Image) -> Image:
    bottom, right = -image.shape[-2] % STRIDE, -image.shape[-1] % STRIDE
    return F.pad(image, (0, right, 0, bottom), "replicate") if bottom or right else image


def check(tensors: Mapping[str, Tensor], path: object) -> None:
    """Raise WeightsError for values that are not numbers."""
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise WeightsError(f"{path} is damaged: it holds values that are not numbers")


def load(path: Path) -> AnyStyle:
    """A network from its file, with its SHA-256 as `identity`.

    Raises:
        WeightsError: no such file, damaged, no network, or one that this impasto does not know.
    """
    tensors, passport = weights.load(path)
    if passport.get("kind") != "net":
        raise WeightsError(f"{path} is not a network for filters but a {passport.get('kind', 'file of an unknown kind')}")
    if passport.get("net") not in NETS:
        raise WeightsError(f"{path} holds a network {passport.get('net')!r} that this impasto does not know: upgrade")
    check(tensors, path)
    net = NETS[passport["net"]]()
    try:
        net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit the network {passport['net']!r}: {str(error).splitlines()[0]}") from error
    net.identity = passport["sha256"]
    return net.eval().requires_grad_(False)


NETS: dict[str, Callable[[], AnyStyle]] = {"any": AnyStyle, "any-wide": partial(AnyStyle, width=96, blocks=5)}
"""Networks by name. A style file names the one it belongs to."""
