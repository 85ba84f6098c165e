"""ExecuTorch with XNNPACK: for Android, iOS and React Native. Pictures of one size."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.export import check, graph
from impasto.export.check import FP32, INT8, Exported, precise, quiet
from impasto.export.parts import Part

package = partial(check.package, what="exporting to ExecuTorch (.pte)", extra="executorch")
"""A module of the extra `executorch`, or MissingExtra."""


def export(part: Part, file: Path, precision: str) -> Exported:
    """Write a network as .pte for XNNPACK; int8: convolutions of 8 bit, calibrated.

    Raises:
        MissingExtra: `executorch` is not installed.
        UsageError: fp16.
    """
    precise(file, precision, FP32, INT8)
    exir = package("executorch.exir")
    partitioner = package("executorch.backends.xnnpack.partition.xnnpack_partitioner")
    inputs = tuple(part.checks[0].values())
    program = graph.trace(part.module, inputs, graph.SPELLED, fixed=True)
    with quiet():
        if precision == INT8:
            program = _quantized(program, part)
        lowered = exir.to_edge_transform_and_lower(
            program,
            partitioner=[partitioner.XnnpackPartitioner()],
            compile_config=exir.EdgeCompileConfig(_check_ir_validity=False),
        )
        taken = {"executorch_call_delegate", "getitem"}
        left = Counter(name for name in _operators(lowered.exported_program()) if name not in taken)
        file.write_bytes(lowered.to_executorch().buffer)
    return Exported(runner(file, part), Counter(_operators(program)), left)


def _operators(program: Any) -> list[str]:
    """Names of what a graph calls."""
    called = (node.target for node in program.graph.nodes if node.op == "call_function")
    return [getattr(target, "__name__", str(target)) for target in called]


def _quantized(program: Any, part: Part) -> Any:
    """The graph with convolutions of 8 bit: weights a scale a channel, what goes in and comes out one each, by calibration."""
    quantizers = package("executorch.backends.xnnpack.quantizer.xnnpack_quantizer")
    pt2e = package("torchao.quantization.pt2e.quantize_pt2e")
    config = quantizers.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    quantizer = quantizers.XNNPACKQuantizer().set_operator_type(torch.ops.aten.conv2d.default, config)
    prepared = pt2e.prepare_pt2e(program.module(), quantizer)
    with torch.no_grad():
        for inputs in part.calibration:
            prepared(*inputs.values())
    return torch.export.export(pt2e.convert_pt2e(prepared), tuple(part.checks[0].values()))


def runner(file: Path, part: Part) -> Any:
    """The file in ExecuTorch's own runtime: call it with the inputs by name.

    Raises:
        MissingExtra: `executorch` is not installed.
    """
    program = package("executorch.runtime").Runtime.get().load_program(file)
    loaded = {"program": program, "method": program.load_method("forward")}  # a method needs its program to stay

    def run(**inputs: Tensor) -> Tensor:
        return loaded["method"].execute([inputs[name] for name in part.names])[0].clone()  # type: ignore[no-any-return]

    return run
