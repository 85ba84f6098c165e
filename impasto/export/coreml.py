"""Core ML: for iOS and macOS. Pictures of one size, in and out as images. Converted, and never run here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto.export import check, graph
from impasto.export.check import FP16, FP32, Exported, precise, quiet
from impasto.export.parts import Part

package = partial(check.package, what="exporting to Core ML (.mlpackage)", extra="coreml")
"""A module of the extra `coreml`, or MissingExtra."""


class Pixels(nn.Module):
    """A network whose painting is in 0 ... 255, as Core ML's images are."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network makes, as pixels."""
        return self.module(*inputs).clamp(0, 1) * 255  # type: ignore[no-any-return]


def export(part: Part, file: Path, precision: str) -> Exported:
    """Write a network as .mlpackage for iOS 17 and macOS 14 on; fp16: weights and computing of 16 bit.

    Core ML runs on Apple's machines only, and its images are of 8 bit: the file is inspected, not run and compared.

    Raises:
        MissingExtra: `coremltools` is not installed.
        UsageError: int8.
    """
    precise(file, precision, FP32, FP16)
    core = package("coremltools")
    first = part.checks[0]
    paints = part.original(**first).ndim == 4
    kept = {each: rewrite for each, rewrite in graph.SPELLED.items() if each is not torch.ops.aten.pad.default}
    rewrites = {**kept, torch.ops.aten.max_pool2d.default: pooled}
    with quiet():
        module = Pixels(part.module) if paints else part.module
        program = graph.cleaned(graph.trace(module, tuple(first.values()), rewrites, fixed=True).run_decompositions({}))
        inputs = [_input(core, name, example) for name, example in first.items()]
        output = core.ImageType(name=part.output) if paints else core.TensorType(name=part.output)
        numbers = core.precision.FLOAT16 if precision == FP16 else core.precision.FLOAT32
        model = core.convert(
            program, inputs=inputs, outputs=[output], compute_precision=numbers, minimum_deployment_target=core.target.iOS17
        )
    model.save(str(file))
    return Exported(None, Counter(operators(model.get_spec())))


def pooled(x: Tensor, size: Sequence[int], stride: Sequence[int] = (), *more: Any) -> Any:
    """A maximum whose stride is said: Core ML knows no default."""
    return NotImplemented if stride else torch.max_pool2d(x, list(size), list(size), *more)


def _input(core: Any, name: str, example: Tensor) -> Any:
    """A picture as an image of 8 bit, a scalar as an array of one, anything else as it is."""
    if example.ndim == 4:
        return core.ImageType(name=name, shape=tuple(example.shape), scale=1 / 255, color_layout=core.colorlayout.RGB)
    return core.TensorType(name=name, shape=tuple(example.shape) or (1,))


def operators(spec: Any) -> list[str]:
    """Names of a program's operators, constants aside."""
    blocks = [block for function in spec.mlProgram.functions.values() for block in function.block_specializations.values()]
    return [operation.type for block in blocks for operation in block.operations if operation.type != "const"]
