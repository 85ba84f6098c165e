"""What nothing in a glTF refers to any more, made to take no room; numbers stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from impasto.mesh.gltf import Writer

INSTANCING = "EXT_mesh_gpu_instancing"


def prune(writer: Writer) -> None:
    """Take the data from accessors and pictures that are not used."""
    found = writer.json
    used, freed = set(_accessors(found)), set[int]()
    for index, accessor in enumerate(found.get("accessors", [])):
        # what an extension that we do not know of refers to has no type of geometry's
        if index not in used and "bufferView" in accessor and _geometry(found, accessor):
            freed.add(accessor["bufferView"])
            for key in ("bufferView", "byteOffset", "sparse", "min", "max"):
                accessor.pop(key, None)
    shown = {_source(found["textures"][index]) for index in _textures(found.get("materials", []))}
    painted = [image for image in found.get("images", []) if image.get("name") == "painted"]
    for index, image in enumerate(found.get("images", [])):
        if painted and index not in shown and image is not painted[-1] and not _named_elsewhere(found, index):
            freed.update([image["bufferView"]] if "bufferView" in image else [])
            image.pop("uri", None)
            image |= {"bufferView": painted[-1]["bufferView"], "mimeType": "image/png"}
    forget(writer, freed)


def forget(writer: Writer, freed: set[int]) -> None:
    """Empty the buffer views that were freed and nothing else refers to."""
    for index in freed - set(_numbers(writer.json, "bufferView")):
        if index < len(writer.data):
            writer.data[index] = bytes(4)  # a view of no bytes is not allowed
            writer.json["bufferViews"][index].pop("byteStride", None)


def _accessors(found: dict[str, Any]) -> Iterator[int]:
    for mesh in found.get("meshes", []):
        for primitive in mesh["primitives"]:
            yield from primitive["attributes"].values()
            yield from [primitive["indices"]] if "indices" in primitive else []
            for target in primitive.get("targets", []):
                yield from target.values()
    for animation in found.get("animations", []):
        for sampler in animation["samplers"]:
            yield from (sampler["input"], sampler["output"])
    for skin in found.get("skins", []):
        yield from [skin["inverseBindMatrices"]] if "inverseBindMatrices" in skin else []
    for node in found.get("nodes", []):
        yield from ((node.get("extensions") or {}).get(INSTANCING) or {}).get("attributes", {}).values()


def _geometry(found: dict[str, Any], accessor: dict[str, Any]) -> bool:
    """Whether an accessor held vertices or faces, as its buffer view or its extremes say."""
    return "target" in found["bufferViews"][accessor["bufferView"]] or "min" in accessor


def _textures(value: Any) -> Iterator[int]:
    """Textures that materials refer to, by extensions too."""
    if isinstance(value, list):
        for each in value:
            yield from _textures(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key.lower().endswith("texture") and isinstance(each, dict) and isinstance(each.get("index"), int):
                yield each["index"]
            yield from _textures(each)


def _source(texture: dict[str, Any]) -> int:
    extensions = texture.get("extensions") or {}
    return int(next((each["source"] for each in extensions.values() if "source" in each), texture.get("source", -1)))


def _named_elsewhere(found: dict[str, Any], index: int) -> bool:
    """Whether an extension of the file as a whole refers to a picture."""
    return index in _numbers(found.get("extensions", {}), "image")


def _numbers(value: Any, key: str) -> list[int]:
    """All numbers that stand under a key, anywhere."""
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each, key)]
    if not isinstance(value, dict):
        return []
    own = [value[key]] if isinstance(value.get(key), int) else []
    return own + [number for each in value.values() for number in _numbers(each, key)]
