"""Weight files: safetensors with a passport, checked by SHA-256. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor

from impasto.errors import WeightsError

FORMAT = 1
"""Version of the passport. A file with a greater one comes from a newer impasto."""


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes of the tensors, in the order of their names."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def save(path: Path, tensors: Mapping[str, Tensor], passport: Mapping[str, Any]) -> None:
    """Write tensors and passport to `path`, atomically. The passport gains `format` and `sha256`."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    passport = {**passport, "format": FORMAT, "sha256": digest(tensors)}
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(serialized(tensors, metadata={"impasto": json.dumps(passport)}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a weight file: its tensors, and its passport ({} for a foreign file without one).

    `.safetensors` is read as it is; `.pth` and `.pt` with `weights_only=True`, so that no code in them runs.

    Raises:
        WeightsError: no such file, a damaged one, one whose SHA-256 does not match, or from a newer impasto.
    """
    if not path.is_file():
        raise WeightsError(f"no weight file at {path}")
    tensors, passport = _read_torch(path) if path.suffix in {".pth", ".pt"} else _read_safetensors(path)
    version = passport.get("format", FORMAT)
    if not isinstance(version, int):
        raise WeightsError(f"{path} has a passport of the format {version!r}, which is not a number")
    if version > FORMAT:
        raise WeightsError(f"{path} was written by a newer impasto (format {version}, this one reads {FORMAT}): upgrade")
    if "sha256" in passport and passport["sha256"] != digest(tensors):
        raise WeightsError(f"{path} is damaged: its weights do not match the SHA-256 in its passport; get the file again")
    return tensors, passport


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        passport = json.loads(metadata.get("impasto", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from error
    if not isinstance(passport, dict):
        raise WeightsError(f"{path} has a passport that is not an object")
    return tensors, passport


def _read_torch(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the unpickler stumbles over in bytes that were never a checkpoint
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} is not a readable checkpoint of plain weights: {first}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} does not hold a state dict of tensors")
    return dict(state), {}
