"""Painted models as Wavefront OBJ, with MTL and PNG beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from impasto.mesh.rebuild import corners

if TYPE_CHECKING:
    from impasto.mesh.paint import Painted


def names_of(stem: str, pictures: int) -> list[str]:
    """Names of a model's files: the OBJ, its MTL, and a PNG for each map."""
    maps = [f"{stem}.png"] if pictures == 1 else [f"{stem}-{number}.png" for number in range(pictures)]
    return [f"{stem}.obj", f"{stem}.mtl", *maps]


def write_obj(painted: Painted, stem: str, pictures: list[bytes]) -> dict[str, bytes]:
    """The files of a model by their names: the OBJ, its MTL, and a PNG for each map. Nodes are brought into the world."""
    model, library, *names = names_of(stem, len(pictures))
    lines, vertices, places, normals = [f"mtllib {library}"], 0, 0, 0
    used: dict[tuple[int, int], str] = {}
    for each in painted.model.instances:
        surface, page = painted.model.surfaces[each.surface], painted.atlas.page[each.surface]
        if not len(surface.faces):
            continue
        old, faces, uv = corners(painted, each.surface, surface)
        points = surface.positions @ each.matrix[:3, :3].T + each.matrix[:3, 3]
        lines.append(f"o {_word(each.name or surface.name or 'object')}")
        lines += [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in points]
        lines += [f"vt {u:.7g} {1 - v:.7g}" for u, v in uv]
        corner = "{v}/{t}"
        if surface.normals is not None and abs(np.linalg.det(each.matrix[:3, :3])) > 1e-30:
            turned = surface.normals @ np.linalg.inv(each.matrix[:3, :3])
            lines += [f"vn {x:.6g} {y:.6g} {z:.6g}" for x, y, z in turned]
            corner = "{v}/{t}/{n}"
        name = used.setdefault((surface.material, page), _name(painted, surface.material, used))
        lines.append(f"usemtl {name}")
        for face in faces.tolist():
            words = (corner.format(v=vertices + old[k] + 1, t=places + k + 1, n=normals + old[k] + 1) for k in face)
            lines.append("f " + " ".join(words))
        vertices, places = vertices + len(points), places + len(uv)
        normals += len(points) if "{n}" in corner else 0
    text = "\n".join(lines) + "\n"
    pages = {names[number]: data for number, data in enumerate(pictures)}
    return {model: text.encode(), library: _materials(painted, used, names).encode(), **pages}


def _word(name: str) -> str:
    return re.sub(r"\s+", "_", name)


def _name(painted: Painted, material: int, used: dict[tuple[int, int], str]) -> str:
    """A material's name, unlike those in use."""
    name = _word(painted.model.materials[material].name or "painted")
    return name if name not in used.values() else f"{name}_{len(used)}"


def _materials(painted: Painted, used: dict[tuple[int, int], str], names: list[str]) -> str:
    lines = []
    for (number, page), name in used.items():
        opacity = painted.model.materials[number].color[3]
        lines += [f"newmtl {name}", "Ka 1 1 1", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"d {opacity:g}"]
        lines += [f"map_Kd {names[page]}"] if page >= 0 else []
        if page >= 0 and painted.atlas.pages[page].alpha is not None:
            lines.append(f"map_d {names[page]}")
    return "\n".join(lines) + "\n"
