"""Surfaces with new texture coordinates, as glTF."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from impasto.mesh.gltf import ELEMENT_BUFFER, Gltf, Writer
from impasto.mesh.model import BLEND, MASK, Surface
from impasto.mesh.paint import Painted
from impasto.mesh.read_gltf import FAN, GLOSSY, STRIP, TRIANGLES

MATT = 0.9
"""Roughness of paint."""
EDGE = {"wrapS": 33071, "wrapT": 33071}


def split(writer: Writer, source: Gltf, painted: Painted, picture: bytes) -> None:
    """Give every surface that was laid out anew its new vertices, and its material the new map."""
    texture = _texture(writer, picture)
    number = -1
    sets: dict[int, int] = {}
    wanted = []
    for mesh in writer.of("meshes"):
        for primitive in mesh["primitives"]:
            if primitive.get("mode", TRIANGLES) in (TRIANGLES, STRIP, FAN) and "POSITION" in primitive["attributes"]:
                number += 1
                if number in painted.atlas.packed:
                    wanted.append((number, primitive))
    for _, primitive in wanted:
        material = _material(writer, primitive)
        sets[material] = max(sets.get(material, 0), _free_set(writer.json, primitive, material))
    for number, primitive in wanted:
        _split(writer, source, painted, number, primitive, sets[primitive["material"]])
    for material, chosen in sets.items():
        _repaint(writer.json["materials"][material], texture, chosen)


def _texture(writer: Writer, picture: bytes) -> int:
    image = writer.add("images", {"mimeType": "image/png", "bufferView": writer.add_view(picture), "name": "painted"})
    sampler = writer.add("samplers", {"magFilter": 9729, "minFilter": 9987, **EDGE})
    return writer.add("textures", {"source": image, "sampler": sampler})


def _material(writer: Writer, primitive: dict[str, Any]) -> int:
    """The primitive's material, made where it has none."""
    if "material" not in primitive:
        primitive["material"] = writer.add("materials", {"name": "painted", "pbrMetallicRoughness": {"metallicFactor": 0}})
    return int(primitive["material"])


def _free_set(found: dict[str, Any], primitive: dict[str, Any], material: int) -> int:
    """Which set of coordinates the new ones become: the first that none of the material's other maps needs."""
    entry = json.loads(json.dumps(found["materials"][material]))
    entry.get("pbrMetallicRoughness", {}).pop("baseColorTexture", None)
    entry.get("extensions", {}).get(GLOSSY, {}).pop("diffuseTexture", None)
    needed: set[int] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("index"), int):
                transform = (value.get("extensions") or {}).get("KHR_texture_transform") or {}
                own = int(value.get("texCoord", 0))
                needed.update({own, int(transform.get("texCoord", own))})
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(entry)
    there = {int(name[9:]) for name in primitive["attributes"] if name.startswith("TEXCOORD_")}
    # sets must be numbered without gaps
    return next(k for k in range(len(there | needed) + 2) if k not in needed and (k in there or k >= len(there)))


def _split(writer: Writer, source: Gltf, painted: Painted, number: int, primitive: dict[str, Any], chosen: int) -> None:
    """One primitive with its vertices split: each attribute's rows copied, the new coordinates added."""
    packed = painted.atlas.packed[number]
    there = [name for name in primitive["attributes"] if name.startswith("TEXCOORD_")]
    count = len(there)
    attributes = {}
    for name, accessor in primitive["attributes"].items():
        if name not in (f"TEXCOORD_{chosen}", "COLOR_0"):  # its colors are in the map now
            attributes[name] = _copied(writer, source, accessor, packed.vertices)
    while count < chosen:
        attributes[f"TEXCOORD_{count}"] = writer.add_array(packed.places.astype(np.float32), "VEC2")
        count += 1
    attributes[f"TEXCOORD_{chosen}"] = writer.add_array(packed.places.astype(np.float32), "VEC2")
    primitive["attributes"] = attributes
    for target in primitive.get("targets", []):
        target.pop("COLOR_0", None)
        for name, accessor in target.items():
            target[name] = _copied(writer, source, accessor, packed.vertices)
    primitive["mode"] = TRIANGLES
    primitive["indices"] = _indices(writer, packed.faces)


def _copied(writer: Writer, source: Gltf, accessor: int, vertices: np.ndarray) -> int:
    """Rows of an attribute, in the numbers that it is stored in."""
    entry = source.json["accessors"][accessor]
    more = {"normalized": True} if entry.get("normalized") else {}
    return writer.add_array(source.array(accessor)[vertices], entry["type"], bounds="min" in entry, **more)


def _indices(writer: Writer, faces: np.ndarray) -> int:
    kind = np.uint16 if faces.max(initial=0) < 65535 else np.uint32
    return writer.add_array(faces.reshape(-1, 1).astype(kind), "SCALAR", target=ELEMENT_BUFFER)


def _repaint(material: dict[str, Any], texture: int, chosen: int) -> None:
    """A material that shows the new map as it is. Metal would show what is around it instead of paint."""
    extensions = material.get("extensions") or {}
    extensions.pop(GLOSSY, None)
    plain = material.setdefault("pbrMetallicRoughness", {})
    plain.pop("baseColorFactor", None)
    plain["baseColorTexture"] = {"index": texture, **({"texCoord": chosen} if chosen else {})}
    if "metallicRoughnessTexture" not in plain:
        plain["metallicFactor"], plain["roughnessFactor"] = 0, max(MATT, plain.get("roughnessFactor", 1.0))


def from_scratch(painted: Painted, pictures: list[bytes]) -> Writer:
    """A model of another format: a node for each object, a mesh and a material for each surface's material."""
    writer, model, atlas = Writer(), painted.model, painted.atlas
    textures = [_texture(writer, data) for data in pictures]
    numbers: dict[tuple[int, int], int] = {}
    nodes = []
    for index, surface in enumerate(model.surfaces):
        if not len(surface.faces):
            continue
        key = surface.material, atlas.page[index]
        if key not in numbers:
            numbers[key] = _new_material(writer, painted, surface.material, textures[key[1]] if key[1] >= 0 else -1)
        primitive = {**_primitive(writer, painted, index, surface), "material": numbers[key]}
        mesh = writer.add("meshes", {"primitives": [primitive], **_named(surface.name)})
        for each in model.instances:
            if each.surface == index:
                node: dict[str, Any] = {"mesh": mesh, **_named(each.name)}
                if not np.array_equal(each.matrix, np.eye(4)):
                    node["matrix"] = each.matrix.T.reshape(-1).tolist()
                nodes.append(writer.add("nodes", node))
    if model.up == "z":
        # glTF is y up by definition
        half = 0.5**0.5
        nodes = [writer.add("nodes", {"children": nodes, "rotation": [-half, 0.0, 0.0, half], "name": "upright"})]
    writer.json |= {"scenes": [{"nodes": nodes}], "scene": 0}
    return writer


def _named(name: str) -> dict[str, str]:
    return {"name": name} if name else {}


def _new_material(writer: Writer, painted: Painted, number: int, texture: int) -> int:
    material = painted.model.materials[number]
    plain: dict[str, Any] = {"metallicFactor": 0, "roughnessFactor": MATT}
    entry: dict[str, Any] = {**_named(material.name), "pbrMetallicRoughness": plain, "doubleSided": True}
    if texture >= 0:
        plain["baseColorTexture"] = {"index": texture}
    opacity = material.color[3]
    if opacity < 1 or material.alpha_mode == BLEND:
        entry["alphaMode"] = BLEND
    elif material.alpha_mode == MASK:
        entry |= {"alphaMode": MASK, "alphaCutoff": material.cutoff}
    return writer.add("materials", entry)


def _primitive(writer: Writer, painted: Painted, index: int, surface: Surface) -> dict[str, Any]:
    vertices, faces, places = corners(painted, index, surface)
    positions = surface.positions[vertices].astype(np.float32)
    attributes = {"POSITION": writer.add_array(positions, "VEC3", bounds=True)}
    if surface.normals is not None:
        lengths = np.linalg.norm(surface.normals, axis=1, keepdims=True)
        if (lengths > 1e-12).all():
            attributes["NORMAL"] = writer.add_array((surface.normals / lengths)[vertices].astype(np.float32), "VEC3")
    attributes["TEXCOORD_0"] = writer.add_array(places.astype(np.float32), "VEC2")
    return {"attributes": attributes, "indices": _indices(writer, faces)}


def corners(painted: Painted, index: int, surface: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """New vertices as old ones, faces of them, and their coordinates in the map."""
    if index in painted.atlas.packed:
        packed = painted.atlas.packed[index]
        return packed.vertices, packed.faces, packed.places
    uv = painted.atlas.uv[index].reshape(-1, 2)
    keys = np.concatenate([surface.faces.reshape(-1, 1), np.round(uv * 2**20)], 1)
    _, first, faces = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return surface.faces.reshape(-1)[first], faces.reshape(-1, 3), uv[first]
