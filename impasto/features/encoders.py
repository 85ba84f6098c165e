"""Encoders: networks whose layers are asked for by the field's names (relu1_1 ... relu5_3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.errors import UnfitPicture, UsageError, WeightsError
from impasto.features import weights
from impasto.types import Features, Image

POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda x: F.max_pool2d(x, 2),
    "average": lambda x: 1.55 * F.avg_pool2d(x, 2),
    "l2": lambda x: 0.68 * F.lp_pool2d(x, 2.0, 2),
}
"""Pooling by 2. Average and L2 are rescaled so that responses keep the size they have under max, which the network was
trained with (Gatys et al. 2016 do not rescale): the factors keep relu5_1 of VGG-16 as large on photographs and paintings."""

TORCHVISION_MEAN, TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PADDINGS = ("edge", "circular", "circular-x")
MIN_SIDE = 16
"""The smallest side that an encoder takes, px: four poolings must leave something."""


class VGG(nn.Module):
    """A VGG-shaped network, read from a state dict with torchvision's key names (`features.N.weight`, `features.N.bias`).

    Simonyan & Zisserman, ICLR 2015. Two indices between convolutions mean a rectifier between them, three a pooling as
    well: so VGG-11, 13, 16 and 19 and narrower ones are told apart by their keys alone. Called with
    `(image, layers) -> {layer: features}`; normalizes inside; stops at the deepest layer asked for. The layer "input"
    is the image itself.

    `padding`: "edge" replicates the border pixels before the first convolution and pads zeros before the others, which
    avoids dark frames; "circular" makes the plane periodic in both directions, "circular-x" in one.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        *,
        mean: Iterable[float] = TORCHVISION_MEAN,
        std: Iterable[float] = TORCHVISION_STD,
        pooling: str = "max",
        padding: str = "edge",
        name: str = "vgg",
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise UsageError(f"pooling {pooling!r} is not one of {', '.join(POOLINGS)}")
        if padding not in PADDINGS:
            raise UsageError(f"padding {padding!r} is not one of {', '.join(PADDINGS)}")
        self.name, self.pooling, self.padding = name, pooling, padding
        self.plan = plan(state)
        for layer, key in self.plan:
            if key is not None:
                self.register_buffer(f"{layer}_weight", state[f"{key}.weight"].float())
                self.register_buffer(f"{layer}_bias", state[f"{key}.bias"].float())
        self.register_buffer("mean", torch.tensor(tuple(mean)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(tuple(std)).view(1, 3, 1, 1))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that can be asked for, from shallow to deep, without "input"."""
        return tuple(layer for layer, key in self.plan if key is not None)

    def check(self, layers: Iterable[str]) -> None:
        """Raise UsageError for a layer that this network does not have."""
        for layer in layers:
            if layer != "input" and layer not in self.layers:
                raise UsageError(f"layer {layer!r} is not in {self.name}: it has {', '.join(self.layers)}")

    def forward(self, image: Image, layers: Iterable[str]) -> dict[str, Features]:
        """Features of an sRGB image in [0, 1], in the network's own precision.

        Raises:
            UnfitPicture: a side under 16 px.
            UsageError: a layer that the network does not have.
        """
        wanted = list(layers)
        self.check(wanted)
        if min(image.shape[-2:]) < MIN_SIDE:
            raise UnfitPicture(
                f"{image.shape[-1]} x {image.shape[-2]} px is too small for {self.name}: {MIN_SIDE} px a side at least"
            )
        found: dict[str, Features] = {"input": image} if "input" in wanted else {}
        missing = set(wanted) - {"input"}
        x = (image - self.get_buffer("mean")) / self.get_buffer("std")
        x = x.to(self.dtype, memory_format=torch.channels_last)
        for layer, key in self.plan:
            if not missing:
                break
            x = POOLINGS[self.pooling](x) if key is None else F.relu(self._convolve(x, layer))
            if layer in missing:
                found[layer] = x
                missing.remove(layer)
        return found

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the convolutions."""
        dtype = self.get_buffer(f"{self.plan[0][0]}_weight").dtype
        return dtype

    def precision(self, dtype: torch.dtype) -> VGG:
        """Set the precision of the convolutions (bfloat16 halves the time where the processor has it) and return self."""
        for layer, key in self.plan:
            if key is not None:
                weight = self.get_buffer(f"{layer}_weight")
                setattr(self, f"{layer}_weight", weight.to(dtype, memory_format=torch.channels_last))
                setattr(self, f"{layer}_bias", self.get_buffer(f"{layer}_bias").to(dtype))
        return self

    def _convolve(self, x: Tensor, layer: str) -> Tensor:
        weight, bias = self.get_buffer(f"{layer}_weight"), self.get_buffer(f"{layer}_bias")
        if self.padding == "edge":
            if layer != self.plan[0][0]:
                return F.conv2d(x, weight, bias, padding=1)
            x = F.pad(x, (1, 1, 1, 1), "replicate")
        elif self.padding == "circular":
            x = F.pad(x, (1, 1, 1, 1), "circular")
        else:
            x = F.pad(F.pad(x, (1, 1, 0, 0), "circular"), (0, 0, 1, 1), "replicate")
        return F.conv2d(x, weight, bias)


def plan(state: Mapping[str, Tensor]) -> list[tuple[str, str | None]]:
    """The layers of a VGG in order: (name, key of its weights), or (name of the pooling, None).

    Raises:
        WeightsError: not the convolutions of a VGG.
    """
    found = (re.fullmatch(r"features\.(0|[1-9]\d*)\.weight", key) for key in state)
    indices = sorted(int(match[1]) for match in found if match)
    layers: list[tuple[str, str | None]] = []
    block, number, channels = 1, 0, 3
    for position, index in enumerate(indices):
        gap = index - indices[position - 1] if position else 2
        weight = state[f"features.{index}.weight"]
        bias = state.get(f"features.{index}.bias")
        if gap not in (2, 3) or weight.shape[1:] != (channels, 3, 3) or bias is None or bias.shape != weight.shape[:1]:
            raise WeightsError(f"features.{index} does not fit a VGG: weight {tuple(weight.shape)} after {channels} channels")
        if gap == 3:
            layers.append((f"pool{block}", None))
            block, number = block + 1, 0
        number += 1
        layers.append((f"relu{block}_{number}", f"features.{index}"))
        channels = weight.shape[0]
    if indices[:1] != [0] or block < 4:
        raise WeightsError("not a VGG: expected keys features.0.weight, features.0.bias ... in at least four blocks")
    return layers


def load_vgg(path: Path, **options: Any) -> VGG:
    """Read a VGG from a checkpoint in torchvision's key names; the passport may carry `mean` and `std`.

    Raises:
        WeightsError: a damaged file, or not a VGG.
    """
    state, passport = weights.load(path)
    if passport and passport.get("kind") != "encoder":
        raise WeightsError(f"{path} is not an encoder but a {passport.get('kind', 'file of an unknown kind')}")
    try:
        if not all(torch.isfinite(tensor).all() for tensor in state.values()):
            raise WeightsError("damaged: it holds values that are not numbers")
        return VGG(
            state,
            mean=passport.get("mean", TORCHVISION_MEAN),
            std=passport.get("std", TORCHVISION_STD),
            name=passport.get("name", path.stem),
            **options,
        ).requires_grad_(False)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


EMBEDDED = Path(__file__).parent / "vgg16.safetensors"

ENCODERS: dict[str, Callable[..., VGG]] = {"vgg16": partial(load_vgg, EMBEDDED)}
"""Encoders by name. Any file can stand in for a name."""


def load(name: str = "vgg16", **options: Any) -> VGG:
    """An encoder by name, or from a file (`.safetensors`, `.pth`) in torchvision's key names.

    Raises:
        UsageError: neither a known name nor a file.
        WeightsError: a damaged file, or not a VGG.
    """
    if name in ENCODERS:
        return ENCODERS[name](**options)
    if Path(name).suffix in {".safetensors", ".pth", ".pt"}:
        return load_vgg(Path(name), **options)
    raise UsageError(f"encoder {name!r} is neither one of {', '.join(ENCODERS)} nor a .safetensors or .pth file")
