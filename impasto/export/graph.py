"""What is exported: a filter, the any-style network, its encoder, as graphs that runtimes run quickly.

A module is traced once (torch.export); then operators that runtimes lack, or run slowly, are written in others: that is all
that is known here of the network.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

from impasto.fast import nets
from impasto.fast.layers import Code
from impasto.fast.nets import SIGNATURE, STRIDE, AnyStyle, Bound, signature
from impasto.features.encoders import VGG
from impasto.types import Features, Image

aten = torch.ops.aten
Rewrites = Mapping[Any, Callable[..., Any]]
"""Operators of a graph, and what is put in their place."""


class Tiled(AnyStyle):
    """The network with its noise laid out by tensors put side by side: of fixed size, in operators that all runtimes know."""

    def _noise(self, seed: nn.Conv2d, like: Features, origin: tuple[int, int], stride: int) -> Features:
        tiles: Tensor = seed(self.grain + 0.0 * like[:, :1, :1, :1])  # not a constant: converters would write all tiles
        for dimension in (2, 3):
            size = like.shape[dimension]
            while tiles.shape[dimension] < size:
                tiles = torch.cat([tiles, tiles * 1.0], dimension)  # XNNPACK puts only different tensors side by side
            tiles = tiles.narrow(dimension, 0, size)
        return tiles


def tiled(module: nn.Module) -> nn.Module:
    """A copy of a module, its networks' noise laid out in tiles, its kernels as converters expect them in memory."""
    other: nn.Module = copy.deepcopy(module).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for each in other.modules():
        if isinstance(each, AnyStyle):
            each.__class__ = Tiled
    return other


class Transformer(nn.Module):
    """(content, code, strength) -> painted: the any-style network with the style as an input."""

    def __init__(self, net: AnyStyle) -> None:
        super().__init__()
        self.net = net

    def forward(self, content: Image, code: Code, strength: Tensor) -> Image:
        """Paint a picture whose sides are multiples of 8."""
        return self.net(content, code, strength=strength)  # type: ignore[no-any-return]


class Filter(nn.Module):
    """(content, strength) -> painted: a style fixed in the graph."""

    def __init__(self, bound: Bound) -> None:
        super().__init__()
        self.transformer = Transformer(bound.net)
        self.style: Tensor
        self.register_buffer("style", bound.code.clone())

    def forward(self, content: Image, strength: Tensor) -> Image:
        """Paint a picture whose sides are multiples of 8."""
        return self.transformer(content, self.style, strength)  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """painting -> code: what the any-style network is conditioned on."""

    def __init__(self, net: AnyStyle, encoder: VGG) -> None:
        super().__init__()
        self.net, self.encoder = net, encoder

    def forward(self, painting: Image) -> Code:
        """The code of a painting of 64 px a side at least."""
        layers = [layer for layer in SIGNATURE if layer != "logit"]
        found = {"logit": nets.logit(painting), **self.encoder(painting, layers)}
        moments = {}
        for layer, features in found.items():
            mean = features.mean((2, 3))
            moments[layer] = mean, (features - mean[:, :, None, None]).square().mean((2, 3)).sqrt()
        return self.net.predict(signature(moments))


def trace(module: nn.Module, examples: Sequence[Tensor], rewrites: Rewrites, *, fixed: bool) -> ExportedProgram:
    """The graph of a module, rewritten. Pictures among the inputs may be of any size (a multiple of 8) unless it is `fixed`."""
    rows, columns = Dim("rows", min=2, max=512), Dim("columns", min=2, max=512)
    free: dict[int, Any] = {} if fixed else {2: STRIDE * rows, 3: STRIDE * columns}
    shapes = None if fixed else tuple(free if example.ndim == 4 else {} for example in examples)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own, of its own parts
        traced = (tiled(module) if fixed else module).eval()
        first = torch.export.export(traced, tuple(examples), dynamic_shapes=shapes).module(check_guards=False)
        program = torch.export.export(with_kernels(first), tuple(examples), dynamic_shapes=shapes)
        table: Any = torch.export.default_decompositions()
        for each in list(table):
            table.pop(each)  # what is not rewritten stays as it is
        table.update(rewrites)
        return cleaned(program.run_decompositions(table))


def with_kernels(module: Any) -> Any:
    """A traced module whose convolutions' kernels are constants where they were computed from constants alone.

    What is unused goes: the encoder's deeper half, the predictor.
    """
    known: dict[Any, Any] = {}
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(module)
        elif node.op == "call_function" and node.all_input_nodes and all(each in known for each in node.all_input_nodes):
            arguments, options = torch.fx.node.map_arg((node.args, node.kwargs), lambda each: known[each])
            known[node] = node.target(*arguments, **options)
        elif node.target is aten.conv2d.default and node.args[1] in known and node.args[1].op != "get_attr":
            name = f"kernel_{len(known)}"
            module.register_buffer(name, known[node.args[1]].detach().clone())
            with module.graph.inserting_before(node):
                node.update_arg(1, module.graph.get_attr(name))
    module.graph.eliminate_dead_code()
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name, _ in [*module.named_parameters(), *module.named_buffers()]:
        if name not in used:
            owner, _, own = name.rpartition(".")
            delattr(module.get_submodule(owner), own)
    module.recompile()
    return module


def cleaned(program: ExportedProgram) -> ExportedProgram:
    """The same graph without operators that do nothing, which some runtimes do not know."""
    for node in list(program.graph.nodes):
        if node.target is aten.alias.default:
            node.replace_all_uses_with(node.args[0])
        if node.target in (aten.alias.default, aten._assert_tensor_metadata.default):
            program.graph.erase_node(node)
    return program


def logit(x: Tensor, eps: float) -> Tensor:
    """log(y / (1 - y)), y clamped: exporters write torch's own with comparisons."""
    clamped = x.clamp(eps, 1 - eps)
    return torch.log(clamped / (1.0 - clamped))


def mixed(_equation: str, operands: Sequence[Tensor], path: object = None) -> Tensor:
    """The style's matrix times the colors, as a 1 x 1 convolution."""
    matrix, image = operands
    return F.conv2d(image, matrix[0, :, :, None, None])


def multiplied(_equation: str, operands: Sequence[Tensor], path: object = None) -> Tensor:
    """The style's matrix times the colors, as matrices: where a convolution's weights must be constant."""
    matrix, image = operands
    return torch.bmm(matrix, image.flatten(2)).view(image.shape)


def resized(x: Tensor, size: Sequence[int], *, implicit: bool = False) -> Any:
    """Nothing where the size is what it was."""
    same = len(size) == x.ndim and all(new in (-1, old) for new, old in zip(size, x.shape, strict=True))
    return x if same else NotImplemented


def joined(tensors: Sequence[Tensor], dimension: int = 0) -> Any:
    """Five at a time, and nothing empty: XNNPACK takes no more."""
    full = [each for each in tensors if each.shape[dimension]]
    if len(full) < len(tensors):
        return torch.cat(full, dimension) if len(full) > 1 else full[0]
    return NotImplemented if len(tensors) <= 5 else torch.cat([torch.cat(list(tensors[:5]), dimension), *tensors[5:]], dimension)


def diagonal(x: Tensor) -> Tensor:
    """Rows as diagonal matrices, from zeros put around their entries."""
    zeros, count = x * 0.0, x.shape[-1]
    rows = [
        torch.cat([part for part in (zeros[:, :k], x[:, k : k + 1], zeros[:, k + 1 :]) if part.shape[1]], 1) for k in range(count)
    ]
    return torch.cat(rows, 1).view(-1, count, count)


def padded(x: Tensor, pads: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Borders repeated by slices put side by side."""
    if mode != "replicate":
        return NotImplemented
    for k, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        dimension = x.ndim - 1 - k
        borders = []
        for place, count in ((0, before), (x.shape[dimension] - 1, after)):
            edges = [x.narrow(dimension, place, 1) for _ in range(count)]  # XNNPACK puts up to five, all different, side by side
            borders.append([torch.cat(edges, dimension)] if count > 1 else edges)
        x = torch.cat([*borders[0], x, *borders[1]], dimension)
    return x


def level(x: Tensor) -> Tensor:
    """Mean over a picture in steps: XNNPACK's own adds in one row, and is off by 1e-5 after some ten thousand numbers."""
    for factor in (16, 8, 4, 2):
        while x.shape[-2] % factor == 0 and x.shape[-1] % factor == 0:
            x = F.avg_pool2d(x, factor)
    return x.mean((2, 3), keepdim=True)


def averaged(x: Tensor, dimensions: Sequence[int], keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Any:
    """A mean over a picture that keeps its dimensions, and a view without them."""
    return NotImplemented if keepdim else level(x).view(x.shape[:2])


def divided(x: Tensor, size: int, dimension: int = 0) -> list[Tensor]:
    """Parts of a tensor by slices."""
    whole = x.shape[dimension]
    return [x.narrow(dimension, start, min(size, whole - start)) for start in range(0, whole, size)]


def normed(x: Tensor, gamma: Tensor, beta: Tensor, _training: bool, _momentum: float, eps: float) -> tuple[Tensor, ...]:
    """A norm of one picture by its own statistics as one operator: instance and batch norm are the same then."""
    return F.instance_norm(x, weight=gamma, bias=beta, eps=eps), gamma, beta  # in place of statistics, which nobody reads


def spelled(x: Tensor, gamma: Tensor, beta: Tensor, _training: bool, _momentum: float, eps: float) -> tuple[Tensor, ...]:
    """The same from means, products and a root."""
    centered = x - level(x)
    scale = gamma.view(1, -1, 1, 1) * torch.rsqrt(level(centered * centered) + eps)
    return centered * scale + beta.view(1, -1, 1, 1), gamma, beta


PLAIN: dict[Any, Callable[..., Any]] = {
    aten.logit.default: logit,
    aten.einsum.default: mixed,
    aten._native_batch_norm_legit.no_stats: normed,
    aten.reshape.default: resized,
    aten.view.default: resized,
    aten.expand.default: resized,
    aten.split.Tensor: divided,
}
"""Rewrites that serve every runtime."""
SPELLED: dict[Any, Callable[..., Any]] = {
    **PLAIN,
    aten.einsum.default: multiplied,
    aten._native_batch_norm_legit.no_stats: spelled,
    aten.pad.default: padded,
    aten.mean.dim: averaged,
    aten.square.default: lambda x: x * x,
    aten.cat.default: joined,
    aten.diag_embed.default: diagonal,
}
"""Rewrites to operators that runtimes for phones know, all of fixed size."""
