"""Feed-forward networks that paint in one pass, conditioned on a painting's statistics."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import UsageError, WeightsError
from impasto.fast.layers import (
    GRAIN,
    GRAIN_SIZE,
    Block,
    Code,
    Conditioning,
    Statistics,
    averaged,
    convolution,
    grain,
    icnr_,
    twice,
)
from impasto.features import weights
from impasto.types import Features, Image

STRIDE = 8
"""The body works at 1/8 size: pictures are padded to a multiple of this, and cropped again."""
DARKEST = 1 / 512
"""Pictures are clamped to [DARKEST, 1 - DARKEST] before the logit: half a step of 8 bits."""
COLOR_EPSILON = 0.25
"""Added to the variance of the content's logits, so that noise in a flat picture is not blown up to full contrast."""
SIGNATURE = {"logit": 3, "relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
"""What is known of a painting: mean and standard deviation of every channel of these layers (VGG-16)."""
AXES = 128
"""The predictor sees a signature along so many axes: those in which paintings differ most."""


def logit(image: Image) -> Image:
    """log(x / (1 - x)) of a picture, finite also for black and white."""
    return torch.logit(image, DARKEST)


def signature(moments: Mapping[str, tuple[Tensor, Tensor]]) -> Float[Tensor, "batch signature"]:
    """A painting as the predictor sees it: means and standard deviations of SIGNATURE's layers in one row.

    `moments`: mean and standard deviation, each batch x channels, by layer.
    """
    return torch.cat([part for layer in SIGNATURE for part in moments[layer]], 1)


class Predictor(nn.Module):
    """From a painting's signature to the change of its code: two layers, then one for ground and norms, and a narrow one for
    the convolutions' matrices.
    """

    def __init__(self, hidden: int, plain: int, cores: int, narrow: int = 48) -> None:
        super().__init__()
        inputs = 2 * sum(SIGNATURE.values())
        self.axes: Tensor
        self.register_buffer("axes", torch.randn(AXES, inputs) / inputs**0.5)
        self.trunk = nn.Sequential(nn.Linear(AXES, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.plain, self.narrow, self.cores = nn.Linear(hidden, plain), nn.Linear(hidden, narrow), nn.Linear(narrow, cores)

    def forward(self, signature: Float[Tensor, "batch signature"]) -> Code:
        """`signature`: standardized."""
        hidden = self.trunk(F.linear(signature, self.axes))
        return torch.cat([self.plain(hidden), self.cores(self.narrow(hidden))], 1)


class AnyStyle(nn.Module):
    """Paints any picture in the style of any painting: out = sigmoid(A n + b + delta), n the content's normalized logits.

    A 7 x 7 / 4 stem, a body of dense residual blocks at 1/8 size, a skip from 1/4, bilinear steps to 1/4 and 1/2 with
    convolutions, and a pixel shuffle averaged over 2 x 2, so that no step has phases. All that a style sets is its code: the
    color matrix A and the shift b of the ground the strokes are painted on, scale and shift of every norm (Dumoulin et
    al. 2017; predicted from the painting as in Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural
    artistic stylization network", BMVC 2017, but from the statistics of VGG layers, which the style losses compare anyway,
    instead of from an Inception network).

    Strength s goes from the content to the style inside the network: the code moves from a learned neutral one to the
    style's, the ground from the content's logits to A n + b, delta is scaled by s, and training sees every s.
    """

    identity = ""
    """SHA-256 of the file it came from: a style's code fits one network only."""

    def __init__(
        self, stem: int = 32, width: int = 80, blocks: int = 4, fine: int = 16, hidden: int = 192, rank: int = 16
    ) -> None:
        super().__init__()
        self.stem = convolution(3, stem, 7, 4)
        self.down = convolution(stem, width, 3, 2)
        self.seed = nn.Conv2d(GRAIN, width, 1, bias=False)
        self.body = nn.ModuleList(Block(width, rank) for _ in range(blocks))
        self.rise = nn.Conv2d(width, stem, 1, bias=False)
        self.quarter = convolution(stem, stem)
        self.quarter_seed = nn.Conv2d(GRAIN, stem, 1, bias=False)
        self.widen = nn.Conv2d(stem, fine, 1, bias=False)
        self.fine = convolution(fine + 12, fine)
        self.fine_seed = nn.Conv2d(GRAIN, fine, 1, bias=False)
        self.paint = nn.Conv2d(fine, 12, 3)
        self.reach = -(-(16 * blocks + 28) // STRIDE) * STRIDE + STRIDE
        """How far a pixel is seen, px, a multiple of 8: farther ones do not matter once statistics are frozen."""
        norms = [stem, width, *[width] * (2 * blocks), stem, fine]
        self.plain_size = 12 + 2 * sum(norms)
        """How much of a code is ground and norms; the convolutions' matrices follow."""
        self.code_size = self.plain_size + 2 * blocks * rank**2
        self.predictor = Predictor(hidden, self.plain_size, self.code_size - self.plain_size)
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
                block.second.plain.weight *= 0.5  # type: ignore[union-attr, operator]
            for last in (self.predictor.plain, self.predictor.cores):
                nn.init.normal_(last.weight, std=0.01)
                nn.init.zeros_(last.bias)
            for seed in (self.seed, self.quarter_seed, self.fine_seed):
                seed.weight *= 0.5
        icnr_(self.paint.weight)

    @torch.no_grad()
    def calibrate(self, rows: Float[Tensor, "styles signature"]) -> None:
        """Set what the predictor sees from some styles' rows: their principal axes, each over the root of v + v1 / 50.

        v is the variance along an axis, v1 that of the first: so the axes count alike, but for those in which paintings hardly
        differ. A signature's 1,926 numbers say much the same. Seen as they are, they add up in every weight's gradient, and no
        learning rate suits both what all paintings share and what tells them apart.
        """
        deviation = rows.std(0)
        self.signature_mean.copy_(rows.mean(0))
        self.signature_scale.copy_(deviation + 0.3 * deviation.mean())
        standard = ((rows - self.signature_mean) / self.signature_scale).cpu().double()
        _, spread, axes = torch.linalg.svd(standard, full_matrices=False)
        variance = spread[:AXES].square() / (len(rows) - 1)
        self.predictor.axes.zero_()
        found = axes[:AXES] / (variance + variance[0] / 50).sqrt()[:, None]
        self.predictor.axes[: len(found)] = found.to(self.predictor.axes)

    def predict(self, row: Float[Tensor, "batch signature"], noise: Tensor | float = 0.0) -> Code:
        """The code of a painting from its signature. Color starts from matching mean and deviation of the logits.

        `noise` is added to the standardized row.
        """
        change = self.predictor((row - self.signature_mean) / self.signature_scale + noise)
        mean, deviation = row[:, :3], row[:, 3:6]
        color = torch.cat([torch.diag_embed(deviation).flatten(1), mean], 1)
        norms = self.neutral[12:] + change[:, 12 : self.plain_size]
        return torch.cat([color + change[:, :12], norms, change[:, self.plain_size :]], 1)

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
        return self._paint(content, code, s, self._conditioning(code, statistics), origin)

    def measure(
        self, content: Image, code: Code, *, strength: float | Float[Tensor, " batch"] = 1.0, joint: bool = False
    ) -> Statistics:
        """Mean and variance of every channel before every norm while painting `content`: one row a picture, or one for all."""
        code, s = self._weakened(code, strength, content)
        norm = self._conditioning(code, None, joint)
        norm.found = []
        self._paint(content, code, s, norm, (0, 0))
        return torch.cat(norm.found, 1)

    def _weakened(self, code: Code, strength: float | Tensor, like: Tensor) -> tuple[Code, Tensor]:
        s = torch.as_tensor(strength, dtype=like.dtype, device=like.device).view(-1, 1)
        plain, cores = code[:, : self.plain_size], code[:, self.plain_size :]
        weakened = self.neutral + s * (plain - self.neutral)
        return torch.cat([weakened, cores.expand(len(weakened), -1)], 1), s[:, :, None, None]

    def _conditioning(self, code: Code, frozen: Statistics | None, joint: bool = False) -> Conditioning:
        return Conditioning(code[:, 12 : self.plain_size], code[:, self.plain_size :], frozen, joint)

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
        x = F.relu(norm(x + self._noise(self.seed, x, origin, 8)))
        for block in self.body:
            x = block(x, norm)
        x = twice(self.rise(x)) + quarter
        x = F.relu(norm(self.quarter(x) + self._noise(self.quarter_seed, x, origin, 4)))
        x = torch.cat([twice(self.widen(x)), F.pixel_unshuffle(normal, 2)], 1)
        x = F.relu(norm(self.fine(x) + self._noise(self.fine_seed, x, origin, 2)))
        x = F.conv2d(F.pad(x, (2, 1, 2, 1), "replicate"), averaged(self.paint.weight), self.paint.bias)
        return F.pixel_shuffle(x, 2)

    def _noise(self, seed: nn.Conv2d, like: Features, origin: tuple[int, int], stride: int) -> Features:
        noise: Tensor = seed(self.grain)
        if any(origin):
            noise = noise.roll([-start // stride for start in origin], (2, 3))
        rows, columns = like.shape[-2:]
        tiles = [1 + (side - 1) // GRAIN_SIZE for side in (rows, columns)]
        return noise.repeat(1, 1, *tiles)[..., :rows, :columns]

    def folded(self, code: Code) -> AnyStyle:
        """A copy for one style: its convolutions plain, its code the first `plain_size` values, no predictor."""
        net, cores = copy.deepcopy(self), code[:, self.plain_size :]
        net.predictor = nn.Identity()  # type: ignore[assignment]
        for block in net.body:
            for turned in (block.first, block.second):
                size = turned.rank**2  # type: ignore[union-attr, operator]
                turned.fold(cores[:, :size])  # type: ignore[union-attr, operator]
                cores = cores[:, size:]
        return net

    def bind(self, code: Code) -> Bound:
        """This network with a style's code fixed: a Stylizer."""
        net = self.folded(code.detach()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Bound(net, code.detach()[:, : self.plain_size])


class Bound:
    """A network folded for its style, and the plain part of the code: a Stylizer."""

    def __init__(self, net: AnyStyle, code: Code) -> None:
        self.net, self.code = net, code

    def to(self, device: torch.device) -> Bound:
        """Move to a device, and return self: network and code are this style's own."""
        self.net, self.code = self.net.to(device), self.code.to(device)
        return self

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
        raise WeightsError(f"{path} does not fit the network {passport['net']!r} of this impasto: train it again") from error
    net.identity = passport["sha256"]
    return net.eval().requires_grad_(False)


NETS: dict[str, Callable[[], AnyStyle]] = {"any": AnyStyle, "any-wide": partial(AnyStyle, width=96, blocks=5)}
"""Networks by name. A style file names the one it belongs to."""
