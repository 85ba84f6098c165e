"""ONNX: for ONNX Runtime on servers, desktops, phones and in browsers. Pictures of any size."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.export import check, graph, parts
from impasto.export.check import FP32, INT8, Exported, Report, quiet
from impasto.export.parts import Part
from impasto.fast.nets import STRIDE, Bound

package = partial(check.package, what="exporting to ONNX", extra="onnx")
"""A module of the extra `onnx`, or MissingExtra."""

OPSET = 20
LARGE = 256
"""Constants with more entries than these are kept in half precision where the file is not fp32."""
SEEN = 256
"""Side of the photographs that a file is calibrated and checked on unless another is asked for, px."""


def write(bound: Bound, path: str | os.PathLike[str], precision: str = FP32, *, force: bool = False) -> Report:
    """Write a filter with inputs `content` (1 x 3 x H x W in [0, 1], any size) and `strength` (a number in 0 ... 1).

    Its output is `painted`, of the content's size. The file is checked beside the filter first.

    Raises:
        MissingExtra: `onnx`, `onnxscript` or `onnxruntime` is not installed.
        OutputError: it cannot be written, or is there already.
        PaintingError: it does not agree with the filter.
    """
    return check.write(parts.of_filter(bound, SEEN), path, export, precision, force=force)


def export(part: Part, file: Path, precision: str) -> Exported:
    """Write a network as ONNX; int8: convolutions of 8 bit, calibrated; fp16: weights of 16 bit, computed in 32.

    Only convolutions become int8: the norms between them would amplify what rounding does to everything else.

    Raises:
        MissingExtra: `onnx`, `onnxscript` or `onnxruntime` is not installed.
    """
    onnx = package("onnx")
    for needed in ("onnxscript", "onnxruntime"):
        package(needed)
    with quiet():
        program = graph.trace(part.module, list(part.checks[0].values()), graph.PLAIN, fixed=False)
        names: Any = {"input_names": part.names, "output_names": [part.output]}
        traced = torch.onnx.export(program, (), **names, dynamo=True, opset_version=OPSET, verbose=False)
        model = traced.model_proto  # type: ignore[union-attr]
        _any_size(onnx, model, part)
        if precision == INT8:
            model = _quantized(onnx, model, part, file)
    if precision != FP32:
        _halve(onnx, model)
    onnx.save(model, file)
    return Exported(runner(file), Counter(node.op_type for node in model.graph.node))


def _any_size(onnx: Any, model: Any, part: Part) -> None:
    """Let pictures be of any size: padded to a multiple of 8 by repeating the border, and the result cropped."""
    body = model.graph
    del body.value_info[:], model.metadata_props[:], body.metadata_props[:]  # shapes of the example, where in Python it came from
    for node in body.node:
        del node.metadata_props[:]
    pictures = [each for each in (*body.input, *body.output) if len(each.type.tensor_type.shape.dim) == 4]
    for each in pictures:
        for dimension, name in zip(each.type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
            dimension.dim_param = name
    if not part.pads:
        return
    content, painted = body.input[0].name, body.output[0].name
    for node in body.node:
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                names[k] = {content: "content_padded", painted: "painted_padded"}.get(name, name)
    constants = {"first": [2], "end": [4], "stride": [STRIDE], "zero": [0], "before": [0] * 6, "origin": [0, 0], "sides": [2, 3]}
    for name, value in constants.items():
        body.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.int64), f"size_{name}"))
    make = onnx.helper.make_node
    before = [
        make("Shape", [content], ["size_all"]),
        make("Slice", ["size_all", "size_first", "size_end"], ["size_picture"]),
        make("Sub", ["size_zero", "size_picture"], ["size_negative"]),
        make("Mod", ["size_negative", "size_stride"], ["size_missing"]),
        make("Concat", ["size_before", "size_missing"], ["size_pads"], axis=0),
        make("Pad", [content, "size_pads"], ["content_padded"], mode="edge"),
    ]
    after = make("Slice", ["painted_padded", "size_origin", "size_picture", "size_sides"], [painted])
    nodes = [*before, *body.node, after]
    del body.node[:]
    body.node.extend(nodes)


def _quantized(onnx: Any, model: Any, part: Part, file: Path) -> Any:
    """The model with convolutions of 8 bit: weights a scale a channel, what goes in and comes out one each, by calibration."""
    quantization = package("onnxruntime.quantization")
    samples = iter([_arrays(inputs) for inputs in part.calibration])
    reader = type("Reader", (quantization.CalibrationDataReader,), {"get_next": lambda self: next(samples, None)})
    quantization.quantize_static(
        model,
        file,
        reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        op_types_to_quantize=["Conv"],
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return onnx.load(file)


def _halve(onnx: Any, model: Any) -> None:
    """Keep large constants in half precision; runtimes make them float32 when they load the file."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > LARGE:
            half = f"{tensor.name}_half"
            casts.append(onnx.helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT))
            tensor = onnx.numpy_helper.from_array(values.astype(np.float16), half)
        kept.append(tensor)
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def runner(file: Path) -> Any:
    """The file in ONNX Runtime, on as many threads as torch has: call it with the inputs by name.

    Raises:
        MissingExtra: `onnxruntime` is not installed.
    """
    runtime = package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(**inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, _arrays(inputs))[0])

    return run


def _arrays(inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in inputs.items()}
