"""Small models built in code, as files and as they are in memory."""

import json
import struct
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

pytest.importorskip("numba")
pytest.importorskip("trimesh")
pytest.importorskip("xatlas")

from impasto.mesh.model import Instance, Material, Model, Surface
from impasto.pixels.picture import Picture

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
"""Corners of a cube's sides, counter-clockwise seen from outside."""


def checker(cells=8, size=64, first=(0.9, 0.3, 0.2), second=(0.1, 0.3, 0.7)):
    """A board, 1 x 3 x size x size."""
    board = (np.indices((size, size)) * cells // size).sum(0) % 2
    return torch.from_numpy(np.where(board[..., None] == 0, first, second).transpose(2, 0, 1)[None].astype(np.float32))


def cube_parts(margin=0.02):
    """Positions, faces and places of a cube whose six sides lie in a grid of 3 x 2 in the picture, with room between them."""
    positions, faces, uv = [], [], []
    for k, side in enumerate(SIDES):
        base = len(positions)
        positions += [CUBE[v] for v in side]
        left, top = k % 3 / 3, k // 3 / 2
        right, bottom = left + 1 / 3 - margin, top + 1 / 2 - margin
        uv += [(left + margin, bottom), (right, bottom), (right, top + margin), (left + margin, top + margin)]
        faces += [(base, base + 1, base + 2), (base, base + 2, base + 3)]
    return np.array(positions), np.array(faces, np.int64), np.array(uv)


def cube_model(uv=True, picture=True):
    positions, faces, places = cube_parts()
    surface = Surface("cube", positions, faces, 0, places if uv else None)
    material = Material("paint", (1, 1, 1, 1) if picture else (0.2, 0.4, 0.6, 1), 0 if picture else -1)
    pictures = [Picture(checker(12, 96))] if picture else []
    return Model("cube", [surface], [Instance(0, np.eye(4), "cube")], [material], pictures)


def quad_model(size=2.0, picture=None, **material):
    """A square in the plane z = 0 that fills its picture."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size / 2
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float64)
    surface = Surface("quad", corners, np.array([[0, 1, 2], [0, 2, 3]]), 0, uv)
    found = picture or Picture(checker())
    return Model("quad", [surface], [Instance(0, np.eye(4), "quad")], [Material("paint", picture=0, **material)], [found])


def png(image):
    file = BytesIO()
    PILImage.fromarray((image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def cube_glb(path, *, uv=True, change=lambda json: None):
    """A GLB of a cube under two nodes, one of them turned and moved, with an animation and a normal map."""
    positions, faces, places = cube_parts()
    normals = np.repeat(np.cross(positions[1::4] - positions[::4], positions[2::4] - positions[::4]), 4, 0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    parts = [
        positions.astype(np.float32).tobytes(),
        normals.astype(np.float32).tobytes(),
        places.astype(np.float32).tobytes(),
        faces.astype(np.uint16).tobytes(),
        png(checker(12, 96)),
        png(torch.full((1, 3, 8, 8), 0.5)),
        np.array([0, 1], np.float32).tobytes(),
        np.array([0, 0, 0, 0, 1, 0], np.float32).tobytes(),
    ]
    views, body = [], b""
    for part in parts:
        views.append({"buffer": 0, "byteOffset": len(body), "byteLength": len(part)})
        body += part + bytes(-len(part) % 4)
    attributes = {"POSITION": 0, "NORMAL": 1, **({"TEXCOORD_0": 2} if uv else {})}
    found = {
        "asset": {"version": "2.0", "generator": "by hand"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"name": "root", "children": [1, 2]},
            {"name": "near", "mesh": 0},
            {"name": "far", "mesh": 0, "translation": [4, 0, 0], "rotation": [0, 0.38268343, 0, 0.92387953], "scale": [1, 2, 1]},
        ],
        "meshes": [{"name": "cube", "primitives": [{"attributes": attributes, "indices": 3, "material": 0}]}],
        "materials": [
            {
                "name": "paint",
                "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0.25},
                "normalTexture": {"index": 1},
                "extras": {"kept": [1, 2, 3]},
            }
        ],
        "textures": [{"source": 0, "sampler": 0}, {"source": 1}],
        "samplers": [{"wrapS": 33071, "wrapT": 33071}],
        "images": [{"mimeType": "image/png", "bufferView": 4}, {"mimeType": "image/png", "bufferView": 5}],
        "animations": [
            {
                "channels": [{"sampler": 0, "target": {"node": 1, "path": "translation"}}],
                "samplers": [{"input": 4, "output": 5}],
            }
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 24, "type": "VEC3", "min": [-1] * 3, "max": [1] * 3},
            {"bufferView": 1, "componentType": 5126, "count": 24, "type": "VEC3"},
            {"bufferView": 2, "componentType": 5126, "count": 24, "type": "VEC2"},
            {"bufferView": 3, "componentType": 5123, "count": 36, "type": "SCALAR"},
            {"bufferView": 6, "componentType": 5126, "count": 2, "type": "SCALAR", "min": [0], "max": [1]},
            {"bufferView": 7, "componentType": 5126, "count": 2, "type": "VEC3"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(body)}],
    }
    change(found)
    text = json.dumps(found).encode()
    text += b" " * (-len(text) % 4)
    whole = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(body), 0x004E4942) + body
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(whole)) + whole)
    return path


@pytest.fixture
def cube():
    return cube_model


@pytest.fixture
def quad():
    return quad_model


@pytest.fixture
def glb(tmp_path):
    return lambda name="cube.glb", **more: cube_glb(tmp_path / name, **more)


@pytest.fixture
def board():
    return checker
