"""What there is to export: a filter, and the any-style network as its transformer and its encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto.export import graph, photos
from impasto.fast import style as filters
from impasto.fast.layers import Code
from impasto.fast.nets import AnyStyle, Bound
from impasto.features.encoders import VGG

Inputs = Mapping[str, Tensor]
STRENGTHS = (1.0, 0.5)
"""Strengths that are calibrated and checked at, in turn."""


@dataclass(frozen=True)
class Part:
    """One network to export, what it is calibrated on, and what it is checked against."""

    module: nn.Module
    original: Callable[..., Tensor]
    """What the file must agree with, called with the inputs."""
    output: str
    calibration: Sequence[Inputs]
    checks: Sequence[Inputs]
    pads: bool = True
    """Whether pictures must be padded to a multiple of 8, and the result cropped."""

    @property
    def names(self) -> list[str]:
        """The inputs in their order."""
        return list(self.checks[0])


def of_filter(bound: Bound, size: int, folder: Path | None = None) -> Part:
    """(content, strength) -> painted, calibrated and checked on photographs of `size` px a side.

    Raises:
        UsageError: a folder without photographs.
        PictureError: one that cannot be read.
    """
    calibration, checks = ([{**each} for each in some] for some in _photographs(size, folder))
    return Part(graph.Filter(bound), _original(bound.net, bound.code), "painted", calibration, checks)


def of_transformer(net: AnyStyle, codes: Sequence[Code], size: int, folder: Path | None = None) -> Part:
    """(content, code, strength) -> painted, calibrated and checked with these codes in turn.

    Raises:
        UsageError: a folder without photographs.
        PictureError: one that cannot be read.
    """

    def conditioned(some: Sequence[Inputs]) -> list[Inputs]:
        return [
            {"content": each["content"], "code": codes[k % len(codes)], "strength": each["strength"]}
            for k, each in enumerate(some)
        ]

    calibration, checks = _photographs(size, folder)
    return Part(graph.Transformer(net), _original(net), "painted", conditioned(calibration), conditioned(checks))


def of_encoder(net: AnyStyle, encoder: VGG, size: int, folder: Path | None = None) -> Part:
    """(painting) -> code, calibrated and checked on photographs, for any picture is a painting to it.

    Raises:
        UsageError: a folder without photographs.
        PictureError: one that cannot be read.
    """

    @torch.no_grad()
    def original(painting: Tensor) -> Code:
        return net.predict(filters.row(encoder, painting, max(painting.shape[-2:])))

    calibration, checks = ([{"painting": each["content"]} for each in some] for some in _photographs(size, folder))
    return Part(graph.Encoder(net, encoder), original, "code", calibration, checks, pads=False)


def _photographs(size: int, folder: Path | None) -> tuple[list[Inputs], list[Inputs]]:
    calibration, checks = photos.sorted_out(folder)
    return _inputs(calibration, size), _inputs(checks, size)


def _inputs(paths: Sequence[Path], size: int) -> list[Inputs]:
    return [
        {"content": photos.square(path, size), "strength": torch.tensor(STRENGTHS[k % len(STRENGTHS)])}
        for k, path in enumerate(paths)
    ]


def _original(net: AnyStyle, fixed: Code | None = None) -> Callable[..., Tensor]:
    @torch.no_grad()
    def paint(content: Tensor, strength: Tensor, code: Code | None = fixed) -> Tensor:
        return net(content, code, strength=float(strength))  # type: ignore[no-any-return]

    return paint
