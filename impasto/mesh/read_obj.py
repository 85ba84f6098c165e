"""Models out of Wavefront OBJ and its MTL."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from impasto.errors import UnreadablePicture
from impasto.mesh import files
from impasto.mesh.model import MASK, Instance, Material, Model, Surface
from impasto.pixels.color import srgb_to_linear
from impasto.pixels.picture import Picture

log = logging.getLogger(__name__)
FLAGS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-mm": 2, "-texres": 1, "-clamp": 1, "-bm": 1, "-imfchan": 1, "-cc": 1}
"""Options of a map, with the values they take; -o, -s and -t take up to three numbers."""


@dataclass(slots=True)
class _Group:
    """Faces of one object and material, as triples of indices (position, uv, normal); -1 where one is not given."""

    name: str
    material: str
    corners: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Lists:
    """What an OBJ file lists."""

    positions: list[list[float]] = field(default_factory=list)
    uv: list[list[float]] = field(default_factory=list)
    normals: list[list[float]] = field(default_factory=list)
    groups: dict[tuple[str, str], _Group] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)


def read(path: Path) -> Model:
    """Read a model with every face; polygons become fans of triangles. A missing MTL or picture is warned of.

    Raises:
        UnreadablePicture: missing, damaged, or naming files out of its folder.
    """
    lists = _lists(path)
    materials, pictures = {"": Material()}, list[Picture | None]()
    named: list[Path] = []
    for library in dict.fromkeys(each for text in lists.libraries for each in _libraries(text, path)):
        named.append(library)
        named += _read_library(library, materials, pictures)
    groups = [group for group in lists.groups.values() if group.corners]
    for name in dict.fromkeys(group.material for group in groups if group.material not in materials):
        log.warning("%s: its material %s is in none of its MTL files; it is taken as white", path, name)
        materials[name] = Material(name)
    order = list(materials)
    surfaces = [_surface(lists, group, order.index(group.material)) for group in groups]
    instances = [Instance(index, np.eye(4), surface.name) for index, surface in enumerate(surfaces)]
    return Model(path.name, surfaces, instances, list(materials.values()), pictures, files=named)


def _lists(path: Path) -> _Lists:
    found, name = _Lists(), ""
    group = _Group("", "")
    lines = files.read(path).decode("utf-8", "replace").replace("\\\n", " ").replace("\\\r\n", " ").splitlines()
    for number, line in enumerate(lines, 1):
        word, rest = [*line.split(None, 1), "", ""][:2]
        plain = rest.split("#", 1)[0]  # names may hold a #
        try:
            if word == "v":
                found.positions.append(_numbers(plain, 3))
            elif word == "vt":
                found.uv.append([*_numbers(plain, 1), 0.0][:2])
            elif word == "vn":
                found.normals.append(_numbers(plain, 3)[:3])
            elif word == "f":
                _face(plain, found, group)
            elif word in ("o", "g", "usemtl"):
                name, material = (name, rest.strip()) if word == "usemtl" else (rest.strip(), group.material)
                group = found.groups.setdefault((name, material), _Group(name, material))
            elif word == "mtllib" and rest.strip():
                found.libraries.append(rest.strip())
        except ValueError as error:
            raise UnreadablePicture(f"{path} is damaged in line {number}: {line.strip()[:60]!r}") from error
        if group.corners and not group.name and not group.material:
            found.groups.setdefault(("", ""), group)
    return found


def _numbers(text: str, least: int) -> list[float]:
    found = [float(word) for word in text.split()]
    if len(found) < least:
        raise ValueError(text)
    return found


def _libraries(text: str, path: Path) -> list[Path]:
    """MTL files that a line names: the whole of it, spaces and all, where there is such a file, else each of its words."""
    whole = files.beside(path.parent, text, str(path))
    words = text.split(" #", 1)[0].split()
    return [whole] if os.path.isfile(whole) else [files.beside(path.parent, word, str(path)) for word in words]


def _face(text: str, lists: _Lists, group: _Group) -> None:
    corners = [_corner(word, lists) for word in text.split()]
    if len(corners) < 3:
        raise ValueError(text)
    for second, third in pairwise(corners[1:]):
        group.corners += (corners[0], second, third)


def _corner(word: str, lists: _Lists) -> tuple[int, int, int]:
    """Read "3/1/2" -> (2, 0, 1); what is left out is -1; negative numbers count from the end."""
    parts = [*word.split("/"), "", ""]
    counts = len(lists.positions), len(lists.uv), len(lists.normals)
    found = []
    for part, count in zip(parts[:3], counts, strict=True):
        number = int(part) if part else 0
        found.append(number - 1 if number >= 0 else count + number)
        if part and not 0 <= found[-1] < count:
            raise ValueError(word)
    if found[0] < 0:
        raise ValueError(word)
    return found[0], found[1], found[2]


def _surface(lists: _Lists, group: _Group, material: int) -> Surface:
    """Vertices are the triples that differ."""
    triples, faces = np.unique(np.array(group.corners, np.int64), axis=0, return_inverse=True)
    widest = max(map(len, lists.positions))
    if min(map(len, lists.positions)) < widest:  # colors on some lines only
        widest = 3
    table = np.array([row[:widest] for row in lists.positions], np.float64)
    positions, colors = table[triples[:, 0], :3], None
    if widest >= 6:
        encoded = torch.from_numpy(table[triples[:, 0], 3:6]).clamp(0, 1)
        colors = np.concatenate([srgb_to_linear(encoded).numpy(), np.ones((len(triples), 1))], 1)
    uv = normals = None
    if (triples[:, 1] >= 0).all():
        uv = np.array(lists.uv, np.float64)[triples[:, 1]] * [1, -1] + [0, 1]
    if (triples[:, 2] >= 0).all():
        normals = np.array(lists.normals, np.float64)[triples[:, 2]]
    return Surface(group.name, positions, faces.reshape(-1, 3), material, uv, normals, colors)


def _read_library(path: Path, materials: dict[str, Material], pictures: list[Picture | None]) -> list[Path]:
    """Add the materials and pictures of an MTL file; returns the files of the pictures."""
    named: list[Path] = []
    if not os.path.isfile(path):
        log.warning("%s is not there: its materials are taken as white", path)
        return named
    for name, words in _entries(path):
        found = Material(name)
        opacity, kd = 1.0, (1.0, 1.0, 1.0)
        for word, rest in words:
            if word == "kd":
                kd = _color(rest, kd)
            elif word in ("d", "tr") and rest:
                opacity = _opacity(rest, word == "tr", f"{path}, {name}")
            elif word in ("map_kd", "map_d") and (file := _file(rest)):
                mode = MASK if word == "map_d" else found.alpha_mode
                index = found.picture
                if word == "map_kd":
                    named.append(files.beside(path.parent, file, str(path)))
                    pictures.append(files.picture(named[-1], str(path)))
                    index = len(pictures) - 1
                found = replace(found, picture=index, alpha_mode=mode)
        # with a picture programs differ on whether the color counts, and most exports hold a leftover 0.8
        kd = (1.0, 1.0, 1.0) if found.picture >= 0 else kd
        red, green, blue = srgb_to_linear(torch.tensor(kd, dtype=torch.float64).clamp(0, 1)).tolist()
        materials[name] = replace(found, color=(red, green, blue, opacity))
    return named


def _opacity(text: str, inverse: bool, about: str) -> float:
    """The last number of a line, as opacity; 1, and a warning, where it is none."""
    word = text.split("#", 1)[0].split()[-1:]
    value = float(word[0]) if word and _is_number(word[0]) else math.nan
    if not math.isfinite(value):
        log.warning("%s: %r is not an opacity; it is taken as opaque", about, text)
        return 1.0
    return min(1.0, max(0.0, 1 - value if inverse else value))


def _entries(path: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Materials of an MTL file: a name, and its lines as (word, rest)."""
    name, words = "", list[tuple[str, str]]()
    for line in files.read(path).decode("utf-8", "replace").splitlines():
        word, _, rest = line.strip().replace("\t", " ").partition(" ")
        if word == "newmtl":
            if words or name:
                yield name, words
            name, words = rest.strip(), []
        elif word and not word.startswith("#"):
            words.append((word.lower(), rest.strip()))
    if words or name:
        yield name, words


def _color(text: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    words = text.split("#", 1)[0].split()[:3]
    if not words or not all(map(_is_number, words)):  # "spectral file.rfl", "xyz 1 1 1"
        return default
    levels = [float(word) for word in words]
    if not all(map(math.isfinite, levels)):
        return default
    return (levels * 3)[0], (levels * 3)[1], (levels * 3)[2]


def _file(text: str) -> str:
    """The file that a map's line names, after its options; names may hold spaces."""
    words = text.split(" ")
    while words and words[0] in {*FLAGS, "-o", "-s", "-t"}:
        flag, words = words[0], words[1:]
        count = FLAGS.get(flag, 0)
        words = words[count:]
        while flag in ("-o", "-s", "-t") and words and _is_number(words[0]):
            words = words[1:]
    return " ".join(words).strip()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
