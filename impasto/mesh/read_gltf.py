"""Models out of glTF 2.0: nodes, materials, texture transforms, alpha modes."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import UnreadablePicture
from impasto.mesh import files, gltf
from impasto.mesh.gltf import Gltf
from impasto.mesh.model import CLAMP, MIRROR, OPAQUE, REPEAT, Instance, Material, Model, Surface
from impasto.pixels.picture import Picture

TRIANGLES, STRIP, FAN = 4, 5, 6
WRAPS = {10497: REPEAT, 33071: CLAMP, 33648: MIRROR}
TRANSFORM = "KHR_texture_transform"
GLOSSY = "KHR_materials_pbrSpecularGlossiness"
WIDTHS = {"uv": 2, "normals": 3, "colors": 4}
"""Numbers of a vertex."""


def read(path: Path) -> Model:
    """Read a model with every triangle that its scene shows.

    Raises:
        UnreadablePicture: see `impasto.mesh.gltf.read`; references to what is not there.
    """
    source = gltf.read(path)
    with files.damaged(source.name):
        surfaces, where = _surfaces(source)
        instances = _instances(source, where)
        materials = [_material(source, entry) for entry in source.all("materials")]
        used = sorted({material.picture for material in materials} - {-1})
        pictures: list[Picture | None] = [None] * len(source.all("images"))
        for index in used:
            pictures[index] = _picture(source, index)
        named = list(_named(source))
    plain = len(materials)
    for surface in surfaces:
        if surface.material < 0:
            surface.material = plain
        elif surface.material > plain:
            raise UnreadablePicture(f"{path} is damaged: it has no material {surface.material}")
    return Model(path.name, surfaces, instances, [*materials, Material("plain")], pictures, source=source, files=named)


def _named(source: Gltf) -> Iterator[Path]:
    """Files that it names, as far as they may be read."""
    for entry in [*source.all("buffers"), *source.all("images")]:
        with suppress(UnreadablePicture):
            if "uri" in entry and (path := files.linked(entry["uri"], source.folder, source.name)):
                yield path


def _surfaces(source: Gltf) -> tuple[list[Surface], dict[tuple[int, int], int]]:
    """Every primitive of triangles, and where it is in the list by mesh and primitive."""
    found: list[Surface] = []
    where = {}
    for mesh, entry in enumerate(source.all("meshes")):
        for number, primitive in enumerate(entry["primitives"]):
            if primitive.get("mode", TRIANGLES) in (TRIANGLES, STRIP, FAN) and "POSITION" in primitive["attributes"]:
                where[mesh, number] = len(found)
                found.append(_surface(source, entry.get("name", ""), primitive))
    return found, where


def _surface(source: Gltf, name: str, primitive: dict[str, Any]) -> Surface:
    attributes = primitive["attributes"]
    material = operator.index(primitive.get("material", -1))
    chosen = _texture(source.all("materials")[material]) if material >= 0 else {}
    number = chosen.get("extensions", {}).get(TRANSFORM, {}).get("texCoord", chosen.get("texCoord", 0))
    found = {
        name: source.floats(attributes[key]) if key in attributes else None
        for name, key in (("uv", f"TEXCOORD_{number}"), ("normals", "NORMAL"), ("colors", "COLOR_0"))
    }
    if found["colors"] is not None and found["colors"].shape[1] == 3:
        found["colors"] = np.concatenate([found["colors"], np.ones((len(found["colors"]), 1))], 1)
    positions = source.floats(attributes["POSITION"])
    for what, values, width in (("positions", positions, 3), *((key, found[key], WIDTHS[key]) for key in found)):
        if values is not None and (len(values) < len(positions) or values.shape[1] != width):
            shape = " x ".join(map(str, values.shape))
            raise UnreadablePicture(f"{source.name} is damaged: {what} of {shape} numbers for {len(positions)} vertices")
    return Surface(str(name), positions, faces_of(source, primitive), material, **found)


def faces_of(source: Gltf, primitive: dict[str, Any]) -> np.ndarray:
    """The triangles of a primitive, also of strips and fans (glTF 2.0, section 3.7.2.1)."""
    count = source.json["accessors"][primitive["attributes"]["POSITION"]]["count"]
    order = source.array(primitive["indices"])[:, 0].astype(np.int64) if "indices" in primitive else np.arange(count)
    mode = primitive.get("mode", TRIANGLES)
    if mode == TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    first = np.arange(max(0, len(order) - 2))
    if mode == FAN:
        return np.stack([order[first + 1], order[first + 2], np.broadcast_to(order[:1], first.shape)], 1)
    odd = first % 2
    return np.stack([order[first], order[first + 1 + odd], order[first + 2 - odd]], 1)


def _texture(material: dict[str, Any]) -> dict[str, Any]:
    """The reference to the picture that is painted; empty where there is none."""
    glossy = (material.get("extensions") or {}).get(GLOSSY) or {}
    plain = (material.get("pbrMetallicRoughness") or {}).get("baseColorTexture")
    return plain or glossy.get("diffuseTexture") or {}


def _material(source: Gltf, entry: dict[str, Any]) -> Material:
    reference, glossy = _texture(entry), (entry.get("extensions") or {}).get(GLOSSY) or {}
    color = (entry.get("pbrMetallicRoughness") or {}).get("baseColorFactor") or glossy.get("diffuseFactor") or (1, 1, 1, 1)
    picture, wrap = -1, (REPEAT, REPEAT)
    if reference:
        texture = source.all("textures")[reference["index"]]
        picture = image_of(texture)
        sampler = source.all("samplers")[texture["sampler"]] if "sampler" in texture else {}
        wrap = WRAPS[sampler.get("wrapS", 10497)], WRAPS[sampler.get("wrapT", 10497)]
    red, green, blue, opacity = (float(level) for level in color)
    transform = _transform((reference.get("extensions") or {}).get(TRANSFORM) or {})
    if not np.isfinite([red, green, blue, opacity, *transform[0], *transform[1]]).all():
        raise UnreadablePicture(f"{source.name} is damaged: the color or place of a material is not a number")
    return Material(
        str(entry.get("name", "")),
        (red, green, blue, opacity),
        picture,
        transform,
        wrap,
        entry.get("alphaMode", OPAQUE),
        float(entry.get("alphaCutoff", 0.5)),
    )


def image_of(texture: dict[str, Any]) -> int:
    """The picture of a texture, also where an extension names it (WebP)."""
    webp = (texture.get("extensions") or {}).get("EXT_texture_webp") or {}
    return int(webp.get("source", texture.get("source", -1)))


def _transform(entry: dict[str, Any]) -> tuple[tuple[float, float, float], ...]:
    """Offset, rotation and scale as a matrix (KHR_texture_transform): translation x rotation x scale."""
    (x, y), (sx, sy) = entry.get("offset", (0, 0)), entry.get("scale", (1, 1))
    c, s = math.cos(entry.get("rotation", 0.0)), math.sin(entry.get("rotation", 0.0))
    return (c * sx, s * sy, float(x)), (-s * sx, c * sy, float(y))


def image_bytes(source: Gltf, index: int) -> bytes:
    """A picture's file."""
    entry = source.all("images")[index]
    return files.uri(entry["uri"], source.folder, source.name) if "uri" in entry else source.view(entry["bufferView"])


def _picture(source: Gltf, index: int) -> Picture | None:
    entry = source.all("images")[index]
    if "uri" in entry and (path := files.linked(entry["uri"], source.folder, source.name)):
        return files.picture(path, source.name)
    return files.picture(image_bytes(source, index), f"{source.name}, picture {index}")


def _instances(source: Gltf, where: dict[tuple[int, int], int]) -> list[Instance]:
    """What the scene shows: every node below its roots."""
    nodes, scenes = source.all("nodes"), source.all("scenes")
    children = {child for node in nodes for child in node.get("children", [])}
    roots = [index for index in range(len(nodes)) if index not in children]
    if scenes:
        roots = scenes[source.json.get("scene", 0)].get("nodes", [])
    placed: dict[int, np.ndarray] = {}
    stack = [(root, np.eye(4)) for root in roots]
    while stack:
        index, above = stack.pop()
        if index in placed:
            raise UnreadablePicture(f"{source.name} is damaged: node {index} is below itself, or below two others")
        placed[index] = above @ _matrix(nodes[index])
        stack += [(child, placed[index]) for child in nodes[index].get("children", [])]
    found = []
    for index in sorted(placed):
        node = nodes[index]
        if "mesh" in node:
            matrix = _bound(source, node["skin"], placed) if "skin" in node else placed[index]
            for number in range(len(source.all("meshes")[node["mesh"]]["primitives"])):
                if (node["mesh"], number) in where:
                    found.append(Instance(where[node["mesh"], number], matrix, str(node.get("name", ""))))
    return found


def _bound(source: Gltf, skin: int, placed: dict[int, np.ndarray]) -> np.ndarray:
    """Where a skinned mesh stands: in its pose of rest all joints move it alike, so the first one tells."""
    entry = source.all("skins")[skin]
    joint = placed.get(entry["joints"][0], np.eye(4))
    if "inverseBindMatrices" not in entry:
        return joint
    found: np.ndarray = joint @ source.floats(entry["inverseBindMatrices"])[0].reshape(4, 4).T
    return found


def _matrix(node: dict[str, Any]) -> np.ndarray:
    """A node's own placing: its matrix, or translation x rotation x scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    found = np.eye(4)
    turned = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    found[:3, :3] = np.array(turned) * np.array(node.get("scale", (1, 1, 1)), np.float64)
    found[:3, 3] = node.get("translation", (0, 0, 0))
    return found
