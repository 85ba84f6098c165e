"""Models out of files: GLB, glTF, OBJ with MTL, PLY, STL."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.errors import UnreadablePicture, UsageError
from impasto.mesh import files, read_gltf, read_obj
from impasto.mesh.model import Instance, Material, Model, Surface, check
from impasto.mesh.packages import package
from impasto.pixels.color import srgb_to_linear

UPS = ("auto", "y", "z")


def load(path: str | os.PathLike[str], *, up: str = "auto") -> Model:
    """Read a model with every face of it.

    `up`: which axis points up, y or z; "auto" is y, and z for STL, as programs for construction write it.

    Raises:
        UnreadablePicture: missing, damaged, truncated, of an unknown format, or naming files out of its folder.
        UnfitPicture: no faces, or positions that are not numbers.
        MissingExtra: PLY or STL, and trimesh is not installed.
        UsageError: another axis.
    """
    path = Path(path)
    if up not in UPS:
        raise UsageError(f"up {up!r} is not one of {', '.join(UPS)}")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UnreadablePicture(f"{path} is of no known format: models are read as {', '.join(READERS)}")
    model = READERS[suffix](path)
    model.up = ("z" if suffix == ".stl" else "y") if up == "auto" else up
    return check(model)


def _scanned(path: Path) -> Model:
    """PLY and STL, through trimesh, with nothing merged and nothing left out."""
    data = files.read(path)
    suffix = path.suffix.lower().removeprefix(".")
    trimesh = package("trimesh", f"reading .{suffix}")
    try:
        mesh = trimesh.load(BytesIO(data), file_type=suffix, process=False, maintain_order=True)
    except Exception as error:  # of a damaged file trimesh raises nearly anything
        raise UnreadablePicture(f"{path} is damaged: {type(error).__name__} {error}") from error
    faces = np.asarray(getattr(mesh, "faces", np.zeros((0, 3))), np.int64).reshape(-1, 3)
    positions = np.asarray(getattr(mesh, "vertices", np.zeros((0, 3))), np.float64).reshape(-1, 3)
    surface = Surface(path.stem, positions, faces, 0, colors=_colors(mesh))
    return Model(path.name, [surface], [Instance(0, np.eye(4), path.stem)], [Material("plain")], [])


def _colors(mesh: Any) -> np.ndarray | None:
    """Colors of vertices, in linear light."""
    visual: Any = getattr(mesh, "visual", None)
    if visual is None or visual.kind != "vertex":
        return None
    levels = torch.from_numpy(np.asarray(visual.vertex_colors, np.float64) / 255)
    return np.concatenate([srgb_to_linear(levels[:, :3]).numpy(), levels[:, 3:].numpy()], 1)


READERS = {".glb": read_gltf.read, ".gltf": read_gltf.read, ".obj": read_obj.read, ".ply": _scanned, ".stl": _scanned}
