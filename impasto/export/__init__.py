"""Filters for other runtimes: one function a file format, and the check that each export must pass."""

from __future__ import annotations

import os
from pathlib import Path

from impasto import still
from impasto.errors import UsageError
from impasto.export import check, coreml, executorch, litert, onnx, parts
from impasto.export.check import PRECISIONS, Exporter, Report
from impasto.fast import style as filters
from impasto.fast.nets import STRIDE
from impasto.fast.style import StyleLike
from impasto.features import encoders

ANY = "any"
"""The name of the any-style network: of its transformer and its encoder."""
SIZE = 512
"""Side of the pictures of files that have one size, px; of any file the side of the photographs it is checked on."""
EXPORTERS: dict[str, Exporter] = {
    ".onnx": onnx.export,
    ".pte": executorch.export,
    ".tflite": litert.export,
    ".mlpackage": coreml.export,
}
"""Exporters by the suffix of what they write."""

__all__ = ["ANY", "EXPORTERS", "PRECISIONS", "SIZE", "Report", "write"]


def write(
    style: StyleLike,
    path: str | os.PathLike[str],
    precision: str = check.FP32,
    *,
    size: int = SIZE,
    photos: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> list[Report]:
    """Export a filter, or the any-style network under the name "any": `any.onnx` and, beside it, `any-encoder.onnx`.

    The suffix says the format. `size`: side of the pictures, px, where a format has one size; ONNX takes any. `photos`: a
    folder of photographs to calibrate and to check on instead of the embedded ones. A file that does not agree with the
    original is not written.

    Raises:
        UsageError: an unknown suffix, precision, size or name, or a folder without photographs.
        MissingExtra: the format's packages are not installed.
        OutputError: a file is there already, or cannot be written.
        PaintingError: the export does not agree with the original.
        ImpastoError: a style that cannot be read.
    """
    path, folder = Path(path), None if photos is None else Path(photos)
    if path.suffix not in EXPORTERS:
        raise UsageError(f"{path} has no suffix that says a format: {', '.join(EXPORTERS)}; a browser app is written with --web")
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    if size < 64 or size % STRIDE:
        raise UsageError(f"size {size}: a multiple of {STRIDE} from 64 on is needed")
    net = filters.network()
    if isinstance(style, str) and style == ANY:
        codes = [filters.named(name).code for name in filters.names()]
        encoder = parts.of_encoder(net, encoders.load("vgg16"), size, folder)
        wanted = {path: parts.of_transformer(net, codes, size, folder), beside(path): encoder}
    else:
        known = still.learned(still.open_style(style), size)
        wanted = {path: parts.of_filter(filters.bind(net, [(1.0, known)]), size, folder)}
    for each in wanted:
        check.unused(each, force)
    return [check.write(part, each, EXPORTERS[path.suffix], precision, force=force) for each, part in wanted.items()]


def beside(path: Path) -> Path:
    """Where the encoder goes: any.onnx has any-encoder.onnx beside it."""
    return path.with_name(f"{path.stem}-encoder{path.suffix}")
