"""glTF 2.0 files as they lie: the JSON, its buffers, and arrays in and out of them.

Khronos Group, "glTF 2.0 Specification", sections 3.6 (buffers, accessors) and 4.4 (binary files).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import UnreadablePicture
from impasto.mesh import files
from impasto.pixels import recipe as recipes

MAGIC = b"glTF"
JSON_CHUNK, BIN_CHUNK = 0x4E4F534A, 0x004E4942
KINDS: dict[int, Any] = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
ARRAY_BUFFER, ELEMENT_BUFFER = 34962, 34963
MOST = 1 << 24
"""Rows of an accessor that has no data, and so is of any length that it says."""
COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")


@dataclass(slots=True, eq=False)
class Gltf:
    """A glTF file in memory."""

    name: str
    folder: Path
    json: dict[str, Any]
    buffers: list[bytes]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The list of that kind: "nodes", "meshes" ...; empty where there is none."""
        found = self.json.get(kind) or []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise UnreadablePicture(f"{self.name} is damaged: its {kind} are not a list of objects")
        return found

    def view(self, index: int) -> bytes:
        """The bytes of a buffer view."""
        view = self.json["bufferViews"][index]
        start = view.get("byteOffset", 0)
        data: bytes = self.buffers[view["buffer"]][start : start + view["byteLength"]]
        if start < 0 or len(data) < view["byteLength"]:
            raise UnreadablePicture(f"{self.name} is cut off: its data end before buffer view {index} does")
        return data

    def array(self, index: int) -> np.ndarray:
        """An accessor as count x width, as it is stored; see `floats`."""
        accessor = self.json["accessors"][index]
        kind, width, count = np.dtype(KINDS[accessor["componentType"]]), WIDTHS[accessor["type"]], accessor["count"]
        if "bufferView" in accessor:
            found = self._strided(accessor["bufferView"], accessor.get("byteOffset", 0), kind, width, count)
        elif not 0 <= count <= MOST:
            raise UnreadablePicture(f"{self.name} is damaged: an accessor of {count} rows has no data")
        else:
            found = np.zeros((count, width), kind)
        if "sparse" in accessor:
            found = found.copy()
            sparse = accessor["sparse"]
            at, values = sparse["indices"], sparse["values"]
            where = self._strided(
                at["bufferView"], at.get("byteOffset", 0), np.dtype(KINDS[at["componentType"]]), 1, sparse["count"]
            )
            found[where[:, 0]] = self._strided(values["bufferView"], values.get("byteOffset", 0), kind, width, sparse["count"])
        return found

    def _strided(self, view: int, offset: int, kind: np.dtype[Any], width: int, count: int) -> np.ndarray:
        data, stride = self.view(view), self.json["bufferViews"][view].get("byteStride") or kind.itemsize * width
        if count < 0 or (count and offset + stride * (count - 1) + kind.itemsize * width > len(data)):
            raise UnreadablePicture(f"{self.name} is damaged: an accessor reaches beyond its data")
        return np.ndarray((count, width), kind, data, offset, (stride, kind.itemsize))

    def floats(self, index: int) -> np.ndarray:
        """An accessor as float64, normalized integers as fractions."""
        found = self.array(index)
        if self.json["accessors"][index].get("normalized") and found.dtype.kind in "iu":
            return np.maximum(found / np.iinfo(found.dtype).max, -1.0)
        return found.astype(np.float64)


def read(path: Path) -> Gltf:
    """Read a .glb or .gltf file with all its buffers.

    Raises:
        UnreadablePicture: missing, truncated, not glTF 2.0, compressed, or naming files out of its folder.
    """
    data, name = files.read(path), str(path)
    text, binary = _chunks(data, name) if data[:4] == MAGIC else (data, None)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadablePicture(f"{name} is damaged or not glTF: {error}") from error
    asset = found.get("asset") if isinstance(found, dict) else None
    if not isinstance(asset, dict) or not str(asset.get("version", "")).startswith("2"):
        raise UnreadablePicture(f"{name} is not glTF 2.0")
    source = Gltf(name, path.parent, found, [])
    with files.damaged(name):
        for extension in COMPRESSED:
            if extension in (found.get("extensionsRequired") or []):
                raise UnreadablePicture(f"{name} is compressed by {extension}: save it without compression first")
        for index, buffer in enumerate(source.all("buffers")):
            held = files.uri(buffer["uri"], path.parent, name) if "uri" in buffer else binary if index == 0 else None
            if held is None or len(held) < buffer.get("byteLength", 0):
                raise UnreadablePicture(f"{name} is cut off: buffer {index} holds less than it says")
            source.buffers.append(held)
    return source


def recipe(path: Path) -> dict[str, Any] | None:
    """The recipe that a model of ours carries; None where there is none.

    Raises:
        UnreadablePicture: no such file, or a damaged one.
    """
    asset = read(path).json.get("asset")
    extras = asset.get("extras") if isinstance(asset, dict) else None
    found = extras.get(recipes.KEY) if isinstance(extras, dict) else None
    return found if isinstance(found, dict) else None


def _chunks(data: bytes, name: str) -> tuple[bytes, bytes | None]:
    """The JSON and binary chunks of a GLB file."""
    if len(data) < 20:
        raise UnreadablePicture(f"{name} is cut off: it has {len(data)} bytes")
    _, version, length = struct.unpack_from("<4sII", data)
    if version != 2:
        raise UnreadablePicture(f"{name} is glTF {version}: 2 is needed")
    if length > len(data):
        raise UnreadablePicture(f"{name} is cut off: it has {len(data)} bytes of {length}")
    found: dict[int, bytes] = {}
    offset = 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<II", data, offset)
        if offset + 8 + size > length:
            raise UnreadablePicture(f"{name} is cut off within a chunk of {size} bytes")
        found.setdefault(kind, data[offset + 8 : offset + 8 + size])
        offset += 8 + size
    if JSON_CHUNK not in found:
        raise UnreadablePicture(f"{name} is damaged: it has no JSON chunk")
    return found[JSON_CHUNK], found.get(BIN_CHUNK)


class Writer:
    """A glTF file being put together: everything of another one, or nothing, and what is added to it."""

    def __init__(self, source: Gltf | None = None) -> None:
        found = {"asset": {"version": "2.0"}} if source is None else json.loads(json.dumps(source.json))
        self.json: dict[str, Any] = found
        self.data = [source.view(index) for index in range(len(source.all("bufferViews")))] if source else []
        """Bytes of each buffer view; those of a source untouched."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The list of that kind, made where there is none."""
        found: list[dict[str, Any]] = self.json.setdefault(kind, [])
        return found

    def add(self, kind: str, entry: dict[str, Any]) -> int:
        """Add an entry and return its index."""
        self.of(kind).append(entry)
        return len(self.json[kind]) - 1

    def add_view(self, data: bytes, target: int = 0) -> int:
        """Add bytes."""
        self.data.append(data)
        return self.add("bufferViews", {"buffer": 0, "byteLength": len(data), **({"target": target} if target else {})})

    def add_array(self, array: np.ndarray, kind: str, *, bounds: bool = False, target: int = ARRAY_BUFFER, **more: Any) -> int:
        """Add an array, count x width, as an accessor. Rows of vertices are padded to multiples of 4 bytes, as they must be."""
        array = np.ascontiguousarray(array)
        size = array.itemsize * array.shape[1]
        stride = -(-size // 4) * 4
        data = array.tobytes()
        if target == ARRAY_BUFFER and stride != size:
            rows = np.zeros((len(array), stride), np.uint8)
            rows[:, :size] = np.frombuffer(data, np.uint8).reshape(len(array), size)
            data = rows.tobytes()
        view = self.add_view(data, target)
        if target == ARRAY_BUFFER and stride != size:
            self.json["bufferViews"][view]["byteStride"] = stride
        component = next(number for number, each in KINDS.items() if each == array.dtype)
        entry = {"bufferView": view, "componentType": component, "count": len(array), "type": kind, **more}
        if bounds:
            entry |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        return self.add("accessors", entry)

    def use(self, extension: str) -> None:
        """Say that an extension is used."""
        used = self.json.setdefault("extensionsUsed", [])
        if extension not in used:
            used.append(extension)

    def packed(self) -> bytes:
        """All buffer views one after the other, each at a multiple of 4 bytes; tells the JSON where they lie."""
        parts, offset = [], 0
        for view, data in zip(self.json.get("bufferViews", []), self.data, strict=True):
            view["buffer"], view["byteLength"] = 0, len(data)
            view["byteOffset"] = offset
            padded = data + bytes(-len(data) % 4)
            parts.append(padded)
            offset += len(padded)
        if parts:
            self.json["buffers"] = [{"byteLength": offset}]
        return b"".join(parts)

    def binary(self) -> bytes:
        """The file as GLB."""
        body = self.packed()
        text = json.dumps(self.json, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<II", len(text), JSON_CHUNK) + text
        if body:
            chunks += struct.pack("<II", len(body), BIN_CHUNK) + body
        return struct.pack("<4sII", MAGIC, 2, 12 + len(chunks)) + chunks
