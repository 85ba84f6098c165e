"""LiteRT (TensorFlow Lite): for Android. Pictures of one size, rows of pixels: 1 x H x W x 3."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.export import check, graph
from impasto.export.check import FP32, INT8, Exported, precise, quiet
from impasto.export.parts import Inputs, Part

package = partial(check.package, what="exporting to LiteRT (.tflite)", extra="litert")
"""A module of the extra `litert`, or MissingExtra."""

SIGNATURE = "serving_default"


def export(part: Part, file: Path, precision: str) -> Exported:
    """Write a network as .tflite; int8: convolutions of 8 bit, calibrated.

    Raises:
        MissingExtra: `litert-torch`, `ai-edge-litert` or `ai-edge-quantizer` is not installed.
        UsageError: fp16.
    """
    precise(file, precision, FP32, INT8)
    litert = package("litert_torch")
    inputs = tuple(part.checks[0].values())
    with quiet():
        module = graph.trace(part.module, inputs, graph.SPELLED, fixed=True).module()
        pictures = [k for k, each in enumerate(inputs) if each.ndim == 4]
        painted = [0] if part.original(**part.checks[0]).ndim == 4 else []
        by_rows = litert.to_channel_last_io(module, args=pictures, outputs=painted)
        litert.convert(by_rows, tuple(map(_rows, inputs))).export(str(file))
        if precision == INT8:
            _quantize(file, part)
    return Exported(runner(file), Counter(_operators(file)))


def _rows(x: Tensor) -> Tensor:
    """A picture with its channels last; anything else as it is."""
    return x.permute(0, 2, 3, 1).contiguous() if x.ndim == 4 else x


def _arrays(inputs: Inputs) -> dict[str, np.ndarray]:
    return {f"args_{k}": _rows(each).numpy() for k, each in enumerate(inputs.values())}


def _quantize(file: Path, part: Part) -> None:
    """Make the file's convolutions of 8 bit: weights a scale a channel, what goes in and comes out one each, by calibration."""
    quantizers = package("ai_edge_quantizer.quantizer")
    operators = package("ai_edge_quantizer.qtyping").TFLOperationName
    quantizer = quantizers.Quantizer(str(file))
    quantizer.add_static_config(".*", operators.CONV_2D, activation_num_bits=8, weight_num_bits=8)
    found = quantizer.calibrate(
        {SIGNATURE: [_arrays(inputs) for inputs in part.calibration]}, num_threads=torch.get_num_threads()
    )
    result = quantizer.quantize(found, enable_progress_bar=False, enable_progress_report=False)
    file.unlink()
    result.export_model(str(file))


def _operators(file: Path) -> list[str]:
    """Names of the file's operators, before the fast part of the runtime takes any."""
    interpreters = package("ai_edge_litert.interpreter")
    plain = interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = interpreters.Interpreter(model_path=str(file), experimental_op_resolver_type=plain)
    return [each["op_name"] for each in interpreter._get_ops_details()]


def runner(file: Path) -> Any:
    """The file in LiteRT's interpreter with XNNPACK, on as many threads as torch has: call it with the inputs by name.

    Raises:
        MissingExtra: `ai-edge-litert` is not installed.
    """
    interpreters = package("ai_edge_litert.interpreter")
    interpreter = interpreters.Interpreter(model_content=file.read_bytes(), num_threads=torch.get_num_threads())
    signature = interpreter.get_signature_runner(SIGNATURE)

    def run(**inputs: Tensor) -> Tensor:
        (output,) = signature(**_arrays(inputs)).values()
        found = torch.from_numpy(output)
        return found.permute(0, 3, 1, 2) if found.ndim == 4 else found

    return run
