"""Styles as files: a network's code for a painting, and the painting's feature statistics, compressed.

So one file of some 300 kB serves the filters, and the optimizer and all that it paints as well. It is named, carries
a passport, and holds nothing that could run.
"""

from __future__ import annotations

import copy
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import UnfitPicture, UsageError, WeightsError
from impasto.fast import nets
from impasto.fast.layers import Code
from impasto.fast.nets import SIGNATURE, AnyStyle, Bound, logit, mix, signature
from impasto.features import statistics, weights
from impasto.features.encoders import VGG
from impasto.features.statistics import Moments
from impasto.types import Image, ImageLike

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
SIZES = (256, 512)
"""Long edges at which a painting's statistics are kept, px: strokes are of another size in each."""
RANKS = {"relu4_1": 80, "relu5_1": 16}
"""Eigenvectors kept of the widest layers' covariances, whose style distances count least; the others are kept whole."""
CHANGE_RANK, LARGE_CHANGE = 12, 8192
"""Changes of a network's parameters with more entries than these are kept as two factors of this rank: of what learning
changes in a convolution of the body that is 95 % (Hu et al., "LoRA", ICLR 2022, found the same of language models)."""
SMALLEST = 64
"""Shortest side of a painting, px."""
EMBEDDED, EMBEDDED_NET = Path(__file__).parent / "styles", Path(__file__).parent / "any.safetensors"
WORD = re.compile(r"[\w -]+")
"""What may be meant as a style's name, in whatever case and with whatever between its words."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


Factors = Mapping[str, Tensor]
"""Moments in few numbers, beside the mean: `root`, the upper triangle of Σ^½, or `factor` F and `rest` r with
Σ ≈ F Fᵀ + diag(r²), F the leading eigenvectors times deviations, r² what the diagonal lacks."""


@dataclass(frozen=True)
class Style:
    """A painting as a filter and as targets."""

    name: str
    code: Code
    """One row: what the network is conditioned on."""
    moments: Mapping[int, Mapping[str, Factors]]
    """Statistics of each layer, by the long edge of the painting in px."""
    net: str = ""
    """SHA-256 of the network that the code belongs to."""
    changes: Mapping[str, Tensor] = field(default_factory=dict)
    """What is added to parameters of the network, by their names, where the filter was trained on its own."""
    passport: Mapping[str, Any] = field(default_factory=dict)
    """title, artist, year, rights, training, and whatever else is to be kept."""
    sha256: str = ""
    """Of the file it came from."""

    def at(self, size: int) -> dict[str, Moments]:
        """Moments of each layer at the kept size that is nearest (by ratio) to a long edge of `size` px."""
        nearest = min(self.moments, key=lambda kept: abs(torch.tensor(kept / size).log().item()))
        return {layer: expand(factors) for layer, factors in self.moments[nearest].items()}


StyleLike: TypeAlias = "ImageLike | Style"
"""What users may hand in as a style: a picture, the name of a filter, a style file's path, or a style that was loaded."""


def compress(moments: Moments, rank: int | None = None) -> dict[str, Tensor]:
    """Mean and the covariance's root, or its leading `rank` eigenvectors and the rest of its diagonal: variances stay exact."""
    covariance = moments.covariance.double()
    values, vectors = torch.linalg.eigh(covariance)
    deviations = values.clamp(min=0).sqrt()
    if rank is None:
        root = (vectors * deviations) @ vectors.T
        return {"mean": moments.mean.float(), "root": root[_triangle(len(root))].float()}
    factor = vectors[:, -rank:] * deviations[-rank:]
    rest = (covariance.diagonal() - factor.square().sum(1)).clamp(min=0).sqrt()
    return {"mean": moments.mean.float(), "factor": factor.float(), "rest": rest.float()}


def expand(factors: Factors) -> Moments:
    """Mean and second raw moment Σ + μ μᵀ."""
    parts = {name: part.float() for name, part in factors.items()}
    mean = parts["mean"]
    if "root" in parts:
        root = torch.zeros(len(mean), len(mean))
        root[_triangle(len(mean))] = parts["root"]
        root = root + root.triu(1).T
        covariance = root @ root
    else:
        covariance = parts["factor"] @ parts["factor"].T + torch.diag(parts["rest"].square())
    return Moments(mean, covariance + torch.outer(mean, mean))


def _triangle(size: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.triu_indices(size, size)
    return rows, columns


def fitted(painting: Image, size: int) -> Image:
    """The painting with a long edge of at most `size` px.

    Raises:
        UnfitPicture: a side under 64 px.
    """
    height, width = painting.shape[-2:]
    if min(height, width) < SMALLEST:
        raise UnfitPicture(f"a painting of {width} x {height} px is too small: {SMALLEST} px a side at least")
    factor = size / max(height, width)
    if factor >= 1:
        return painting
    shape = [max(16, round(side * factor)) for side in (height, width)]
    return F.interpolate(painting, shape, mode="bicubic", antialias=True).clamp(0, 1)


@torch.no_grad()
def row(encoder: VGG, painting: Image, size: int = 512) -> Float[Tensor, "1 signature"]:
    """A painting as the network's predictor sees it, at a long edge of `size` px.

    Raises:
        UnfitPicture: a side under 64 px.
    """
    painting = fitted(painting, size)
    found = {"logit": logit(painting), **encoder(painting, [layer for layer in SIGNATURE if layer != "logit"])}
    moments = {layer: torch.var_mean(features.float(), (2, 3), correction=0) for layer, features in found.items()}
    return signature({layer: (mean, variance.sqrt()) for layer, (variance, mean) in moments.items()})


@torch.no_grad()
def describe(encoder: VGG, painting: Image, sizes: Sequence[int] = SIZES) -> dict[int, dict[str, Factors]]:
    """Compressed statistics of a painting at each size.

    Raises:
        UnfitPicture: a side under 64 px.
    """
    found = {size: encoder(fitted(painting, size), LAYERS) for size in sizes}
    return {
        size: {layer: compress(statistics.moments(features), RANKS.get(layer)) for layer, features in layers.items()}
        for size, layers in found.items()
    }


def of(net: AnyStyle, encoder: VGG, painting: Image, name: str, passport: Mapping[str, Any] | None = None) -> Style:
    """A painting's style, as the any-style network sees it: no training.

    Raises:
        UnfitPicture: a side under 64 px.
    """
    with torch.no_grad():
        code = net.predict(row(encoder, painting))
    return Style(name, code, describe(encoder, painting), net.identity, {}, dict(passport or {}))


def save(path: Path, style: Style) -> None:
    """Write a style file, atomically; statistics and changes in half precision, large changes by their leading part.

    Raises:
        UsageError: a name that is not of lower-case letters, digits and single hyphens.
    """
    if not NAME.fullmatch(style.name):
        raise UsageError(f"a style's name is of lower-case letters, digits and single hyphens, not {style.name!r}")
    tensors = {"code": style.code.float()}
    for name, change in style.changes.items():
        tensors |= {f"net.{name}{part}": value.half() for part, value in factored(change).items()}
    for size, layers in style.moments.items():
        for layer, factors in layers.items():
            tensors |= {f"{size}.{layer}.{part}": value.half() for part, value in factors.items()}
    weights.save(path, tensors, {**style.passport, "kind": "style", "name": style.name, "net": style.net})


def factored(change: Tensor) -> dict[str, Tensor]:
    """A change whole, under "", or where it is large as its best approximation L R of rank 12, under ":left" and ":right"."""
    if change.numel() <= LARGE_CHANGE:
        return {"": change}
    left, values, right = torch.linalg.svd(change.flatten(1).float(), full_matrices=False)
    roots = values[:CHANGE_RANK].sqrt()
    return {
        ":left": left[:, :CHANGE_RANK] * roots,
        ":right": (roots[:, None] * right[:CHANGE_RANK]).view(-1, *change.shape[1:]),
    }


def multiplied(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Changes by parameter, factors multiplied out.

    Raises:
        KeyError: a factor without its other.
    """
    found = {}
    for key, value in parts.items():
        name, _, part = key.partition(":")
        if part == "left":
            right = parts[f"{name}:right"].float()
            found[name] = (value.float() @ right.flatten(1)).view(-1, *right.shape[1:])
        elif not part:
            found[name] = value.float()
    return found


def read(path: Path) -> Style:
    """Read a style file.

    Raises:
        WeightsError: no such file, damaged, no style, or from a newer impasto.
    """
    tensors, passport = weights.load(path)
    if passport.get("kind") != "style":
        raise WeightsError(f"{path} is not a style but a {passport.get('kind', 'file of an unknown kind')}")
    nets.check(tensors, path)
    parts = {key.removeprefix("net."): tensor for key, tensor in tensors.items() if key.startswith("net.")}
    try:
        code, found, changes = tensors["code"], _factors(tensors), multiplied(parts)
        if code.ndim != 2 or len(code) != 1 or len({frozenset(layers) for layers in found.values()}) > 1:
            raise ValueError("code or layers")
        for layers in found.values():
            for factors in layers.values():
                expand(factors)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path} is damaged: it lacks a part of the style ({error})") from error
    if not found:
        raise WeightsError(f"{path} is damaged: a style has statistics")
    name = passport.get("name", path.stem)
    if "name" in passport and not (isinstance(name, str) and NAME.fullmatch(name)):  # other programs make files and fields of it
        raise WeightsError(f"{path} is damaged: a style's name is of lower-case letters, digits and hyphens, not {name!r}")
    kept = {key: value for key, value in passport.items() if key not in {"kind", "name", "net", "format", "sha256"}}
    return Style(name, code, found, passport.get("net", ""), changes, kept, passport["sha256"])


def _factors(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Factors]]:
    parts: dict[tuple[int, str], dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key != "code" and not key.startswith("net."):
            size, layer, part = key.split(".")
            parts.setdefault((int(size), layer), {})[part] = tensor
    found: dict[int, dict[str, Factors]] = {}
    for (long_edge, layer), values in sorted(parts.items()):
        if values.keys() not in ({"mean", "root"}, {"mean", "factor", "rest"}):
            raise ValueError(f"statistics of {layer}")
        found.setdefault(long_edge, {})[layer] = values
    return found


def names(folder: Path = EMBEDDED) -> list[str]:
    """The named styles, sorted."""
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def plain(name: str) -> str:
    """A name as it is spelled here: "Starry Night" is "starry-night"."""
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def named(name: str, folder: Path = EMBEDDED) -> Style:
    """A style by its name: never a path.

    Raises:
        UsageError: no such name; suggests the nearest.
    """
    known, asked = names(folder), name
    name = plain(name)
    if name not in known:
        if Path(asked).exists():
            raise UsageError(f"{asked} is a file but not of a style: give a style's name or a .safetensors file")
        near = difflib.get_close_matches(name, known, 1, 0.55)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
        raise UsageError(f"there is no style named {asked!r}, and no such file: {hint}")
    return read(folder / f"{name}.safetensors")


def load(source: str | Path | Style, folder: Path = EMBEDDED) -> Style:
    """A style from a `.safetensors` file, or by its name; one that is loaded already is itself.

    Raises:
        UsageError: no such name; suggests the nearest.
        WeightsError: no such file, damaged, no style, or from a newer impasto.
    """
    if isinstance(source, Style):
        return source
    return read(Path(source)) if Path(source).suffix == ".safetensors" else named(str(source), folder)


def is_style(source: object) -> bool:
    """Whether a source is a filter's name, a style file, or a loaded style, rather than a picture."""
    if not isinstance(source, str | os.PathLike):
        return isinstance(source, Style)
    path = Path(source)
    return path.suffix == ".safetensors" or (WORD.fullmatch(os.fspath(source)) is not None and not path.exists())


@lru_cache(maxsize=1)
def network() -> AnyStyle:
    """The embedded any-style network."""
    return nets.load(EMBEDDED_NET)


def bind(net: AnyStyle, styles: Sequence[tuple[float, Style]]) -> Bound:
    """A network that paints in a mixture of styles: codes, and changes of the network, are mixed by weight.

    Raises:
        UsageError: weights that are negative or all 0.
        WeightsError: a style of another network.
    """
    for _, style in styles:
        if style.net and net.identity and style.net != net.identity:
            raise WeightsError(f"style {style.name!r} belongs to another network than the one that is here: learn it again")
        if style.code.shape != (1, net.code_size):
            raise WeightsError(f"style {style.name!r} is damaged: its code does not fit the network")
    code = mix([style.code for _, style in styles], [weight for weight, _ in styles])
    if not any(style.changes for _, style in styles):
        return net.bind(code)
    total = sum(weight for weight, _ in styles)
    return changed(net, [(weight / total, style.changes) for weight, style in styles]).bind(code)


def changed(net: AnyStyle, changes: Sequence[tuple[float, Mapping[str, Tensor]]]) -> AnyStyle:
    """A copy of the network with weighted changes added to its parameters.

    Raises:
        WeightsError: a change that does not fit the network.
    """
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for share, change in changes:
        for name, difference in change.items():
            if name not in state or state[name].shape != difference.shape:
                raise WeightsError(f"a style changes {name!r} {tuple(difference.shape)}, which its network does not have")
            state[name] += share * difference
    other = copy.deepcopy(net)
    other.load_state_dict(state)
    return other
