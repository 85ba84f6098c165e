"""Models as they should not be: a clear error, or a sound result with nothing lost."""

import struct

import numpy as np
import pytest
import torch
import trimesh

from impasto.errors import ImpastoError, UnreadablePicture
from impasto.mesh import export, gltf
from impasto.mesh.load import load
from impasto.mesh.paint import Painting
from impasto.paint.pictures import Style
from impasto.paint.settings import Settings
from impasto.pixels.picture import Picture


@pytest.fixture
def paint(narrow, painting):
    """`paint(path)`: paint a model in two steps, and write it as a GLB beside it."""

    def run(path, **more):
        settings = Settings(size="32", steps="32:2", encoder=narrow, init="content", precision="fp32", device="cpu")
        work = Painting(load(path), [Style(Picture(painting[None]), name="painting")], settings, **more)
        for _ in work.steps():
            pass
        made = work.result()
        export.save(made, path.with_name("painted.glb"))
        return made

    return run


FAN = """o fan
v 0 0 0
v 0 0 2
v 1 0 0
v -1 0.5 0
v 0 -1 0.5
v 0.5 1 1
v 9 9 9
f 1 2 3
f 1 2 4
f 1 2 5
f 2 1 6
f 1 2 3
f 3 3 3
f 1 2 2
f 1 1 2
f 4 5 6 3
"""
"""Five faces at one edge, one of them twice, three without area, a bent quad, a vertex that nothing uses."""


def test_degenerate_and_non_manifold_faces_are_painted_and_kept(tmp_path, paint):
    (tmp_path / "fan.obj").write_text(FAN)
    made = paint(tmp_path / "fan.obj")
    assert made.model.count == 10
    again = load(tmp_path / "painted.glb")
    assert again.count == 10
    assert np.isfinite(again.surfaces[0].uv).all()
    assert torch.isfinite(made.maps[0]).all()
    before, after = (np.sort(np.linalg.norm(areas(model), axis=1)) for model in (made.model, again))
    np.testing.assert_allclose(after, before, rtol=1e-5)


def areas(model):
    surface = model.surfaces[0]
    corners = surface.positions[surface.faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


@pytest.mark.parametrize("mtl", [None, "newmtl wall\nmap_Kd gone.png\n"], ids=["no MTL", "no texture"])
def test_without_mtl_or_texture_a_model_is_painted_on_plain_color(tmp_path, paint, mtl):
    text = "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl wall\n"
    (tmp_path / "m.obj").write_text(text + "f 1/1 2/2 3/3\nf 1/1 2/2 4/3\nf 1/1 3/2 4/3\n")
    if mtl:
        (tmp_path / "m.mtl").write_text(mtl)
    made = paint(tmp_path / "m.obj")
    assert load(tmp_path / "painted.glb").count == 3
    assert float(made.maps[0].std()) > 0.01


@pytest.mark.parametrize("place", ["../secret.png", "/etc/hostname", "a/../../secret.png", "..\\secret.png", "link.png"])
def test_textures_that_climb_out_of_the_folder_are_refused(tmp_path, place):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "m.mtl").write_text(f"newmtl wall\nmap_Kd {place}\n")
    (folder / "m.obj").write_text("mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl wall\nf 1/1 2/1 3/1\n")
    with pytest.raises(UnreadablePicture, match="not in its folder"):
        load(folder / "m.obj")


@pytest.mark.parametrize("place", ["../data.bin", "/etc/hostname", "%2e%2e/data.bin", "file:///etc/hostname"])
def test_buffers_that_climb_out_of_the_folder_are_refused(glb, tmp_path, place):
    with pytest.raises(UnreadablePicture, match=r"not in its folder|from the net"):
        load(glb(change=lambda found: found["buffers"].__setitem__(0, {"uri": place, "byteLength": 8})))


def binary(kind, ball):
    data = ball.export(file_type=kind)
    return data if isinstance(data, bytes) else data.encode()


@pytest.mark.parametrize("kind", ["ply", "stl"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
def test_scans_that_are_cut_off_are_refused(tmp_path, kind, share):
    """STL says how many faces there are, PLY how many vertices as well."""
    data = binary(kind, trimesh.creation.icosphere(2))
    (tmp_path / f"m.{kind}").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImpastoError):
        load(tmp_path / f"m.{kind}")


def test_a_scan_without_faces_is_refused(tmp_path):
    (tmp_path / "m.stl").write_bytes(bytes(80) + struct.pack("<I", 0))
    with pytest.raises(ImpastoError, match=r"m\.stl"):
        load(tmp_path / "m.stl")


def test_positions_out_of_bounds_that_no_face_uses_are_left_alone(glb, tmp_path, paint):
    path = glb()
    writer = gltf.Writer(gltf.read(path))
    positions = np.frombuffer(writer.data[0], "<f4").reshape(-1, 3).copy()
    faces = np.frombuffer(writer.data[3], "<u2").copy()
    positions[0] = np.nan
    faces[faces == 0] = 1  # the faces at that corner lose their area, and it is used no longer
    writer.data[0], writer.data[3] = positions.tobytes(), faces.tobytes()
    path.write_bytes(writer.binary())
    made = paint(path)
    assert load(tmp_path / "painted.glb").count == made.model.count == 12


@pytest.mark.slow
def test_a_million_faces_are_painted(tmp_path, paint):
    count, rows = 1000, 500
    x, y = np.meshgrid(np.arange(count + 1), np.arange(rows + 1))
    points = np.stack([x, y, np.sin(x / 40) * 30], -1).reshape(-1, 3).astype("<f4")
    a = (np.arange(rows)[:, None] * (count + 1) + np.arange(count)).reshape(-1)
    quads = np.concatenate([np.stack([a, a + 1, a + count + 2], 1), np.stack([a, a + count + 2, a + count + 1], 1)])
    faces = np.zeros(len(quads), np.dtype([("n", "u1"), ("v", "<i4", 3)]))
    faces["n"], faces["v"] = 3, quads
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\nproperty float x\nproperty float y\n"
    head += f"property float z\nelement face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "m.ply").write_bytes(head.encode() + points.tobytes() + faces.tobytes())
    made = paint(tmp_path / "m.ply")
    assert made.model.count == 1_000_000
    assert gltf.read(tmp_path / "painted.glb").json["accessors"]
    assert torch.isfinite(made.maps[0]).all()
