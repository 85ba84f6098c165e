"""Models are read whole, and what is wrong with a file is said in one line."""

import base64
import json
import logging
import struct
from io import BytesIO

import numpy as np
import pytest
import trimesh
from PIL import EpsImagePlugin
from PIL import Image as PILImage

from impasto.errors import UnfitPicture, UnreadablePicture, UsageError
from impasto.mesh import gltf
from impasto.mesh.load import load
from impasto.mesh.model import MASK, cross, flatten

OBJ = """mtllib m.mtl
v -1 -1 0
v 1 -1 0
v 1 1 0
v -1 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
o square
usemtl wall
f 1/1 2/2 3/3 4/4
o other
usemtl roof
f -4 -3 -2
"""


def write_obj(folder, obj=OBJ, mtl="newmtl wall\nKd 0.5 0.5 0.5\nnewmtl roof\nKd 1 0 0\nd 0.25\n"):
    (folder / "m.mtl").write_text(mtl)
    (folder / "m.obj").write_text(obj)
    return folder / "m.obj"


def areas(model):
    return np.sort(np.linalg.norm(cross(flatten(model).corners), axis=1))


def test_a_glb_stands_in_the_world_as_another_library_has_it(glb):
    path = glb()
    model, oracle = load(path), trimesh.load(path, force="scene").to_geometry()
    mine = flatten(model).corners
    theirs = oracle.triangles
    np.testing.assert_allclose(np.sort(mine.reshape(-1, 9), 0), np.sort(theirs.reshape(-1, 9), 0), atol=1e-5)
    assert [model.materials[0].name, model.pictures[0].size, model.pictures[1]] == ["paint", (96, 96), None]
    assert [each.name for each in model.instances] == ["near", "far"]


def test_an_obj_keeps_every_face_and_its_materials(tmp_path):
    model = load(write_obj(tmp_path))
    assert model.count == 3
    assert [surface.name for surface in model.surfaces] == ["square", "other"]
    names = [model.materials[surface.material].name for surface in model.surfaces]
    assert names == ["wall", "roof"]
    np.testing.assert_allclose(areas(model), [4, 4, 4])
    np.testing.assert_allclose(model.surfaces[0].uv[model.surfaces[0].faces[0]], [[0, 1], [1, 1], [1, 0]])
    assert model.surfaces[1].uv is None
    assert model.materials[model.surfaces[1].material].color == (1, 0, 0, 0.25)


@pytest.mark.parametrize(("suffix", "up"), [("ply", "y"), ("stl", "z")])
def test_scans_come_with_every_face(tmp_path, suffix, up):
    ball = trimesh.creation.icosphere(1)
    ball.export(tmp_path / f"ball.{suffix}")
    model = load(tmp_path / f"ball.{suffix}")
    assert (model.count, model.up) == (len(ball.faces), up)
    np.testing.assert_allclose(areas(model), np.sort(2 * ball.area_faces), rtol=1e-5)


def test_colors_of_vertices_are_read_as_light(tmp_path):
    mesh = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], vertex_colors=[[188, 0, 255, 255]] * 3)
    mesh.export(tmp_path / "m.ply")
    np.testing.assert_allclose(load(tmp_path / "m.ply").surfaces[0].colors[0], [0.503, 0, 1, 1], atol=1e-3)


def test_texture_transforms_and_cutouts(glb):
    def change(found):
        material = found["materials"][0]
        transform = {"offset": [0.25, 0.5], "scale": [0.5, 0.25], "rotation": np.pi / 2}
        material["pbrMetallicRoughness"]["baseColorTexture"]["extensions"] = {"KHR_texture_transform": transform}
        material |= {"alphaMode": "MASK", "alphaCutoff": 0.3}

    material = load(glb(change=change)).materials[0]
    assert (material.alpha_mode, material.cutoff, material.wrap) == (MASK, 0.3, ("clamp", "clamp"))
    # the specification's own matrices: translation x rotation x scale, u to the right and v down
    np.testing.assert_allclose(np.array(material.transform) @ [1, 0, 1], [0.25, 0.0], atol=1e-9)
    np.testing.assert_allclose(np.array(material.transform) @ [0, 1, 1], [0.5, 0.5], atol=1e-9)


def test_strips_and_fans_are_triangles(glb):
    def change(mode):
        def put(found):
            primitive = found["meshes"][0]["primitives"][0]
            primitive["mode"] = mode
            del primitive["indices"]

        return put

    strip = load(glb("s.glb", change=change(5))).surfaces[0].faces
    fan = load(glb("f.glb", change=change(6))).surfaces[0].faces
    assert strip[:3].tolist() == [[0, 1, 2], [1, 3, 2], [2, 3, 4]]
    assert fan[:2].tolist() == [[1, 2, 0], [2, 3, 0]]
    assert len(strip) == len(fan) == 22


@pytest.mark.parametrize("cut", [3, 15, 200, -40])
def test_a_truncated_glb_is_refused(glb, cut):
    path = glb()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UnreadablePicture, match=r"cut off|not glTF"):
        load(path)


def with_nan(found, body):
    return struct.pack("<f", float("nan")) + body[4:]


def test_positions_that_are_not_numbers_are_counted(glb):
    path = glb()
    source = gltf.read(path)
    writer = gltf.Writer(source)
    writer.data[0] = with_nan(None, writer.data[0])
    path.write_bytes(writer.binary())
    with pytest.raises(UnfitPicture, match="1 positions that are not numbers"):
        load(path)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda found: found["meshes"][0]["primitives"].clear(), UnfitPicture, "no faces"),
        (lambda found: found["nodes"][2].update(children=[0]), UnreadablePicture, "below itself"),
        (lambda found: found["accessors"][3].update(count=3600), UnreadablePicture, "beyond its data"),
        (lambda found: found["accessors"][0].update(count=12), UnfitPicture, "vertices that do not exist"),
        (lambda found: found["materials"].clear(), UnreadablePicture, "damaged"),
        (lambda found: found.update(extensionsRequired=["KHR_draco_mesh_compression"]), UnreadablePicture, "compress"),
        (lambda found: found["images"].__setitem__(0, {"uri": "../../secret.png"}), UnreadablePicture, "not in its folder"),
        (lambda found: found["images"].__setitem__(0, {"uri": "/etc/passwd"}), UnreadablePicture, "not in its folder"),
        (lambda found: found["images"].__setitem__(0, {"uri": "http://a.b/c.png"}), UnreadablePicture, "from the net"),
        (lambda found: found["asset"].update(version="1.0"), UnreadablePicture, "not glTF 2.0"),
    ],
)
def test_what_is_wrong_with_a_glb_is_said(glb, change, error, says):
    with pytest.raises(error, match=says):
        load(glb(change=change))


def test_missing_files_are_warned_of_and_the_rest_is_read(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        model = load(write_obj(tmp_path, mtl="newmtl wall\nmap_Kd gone.png\n"))
    assert model.count == 3
    assert model.pictures == [None]
    assert "gone.png" in caplog.text
    assert "roof" in caplog.text
    (tmp_path / "m.mtl").unlink()
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path / "m.obj").count == 3
    assert "m.mtl" in caplog.text


@pytest.mark.parametrize(
    ("obj", "error", "says"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", UnfitPicture, "no faces"),
        ("v 0 0 0\nf 1 2 3\n", UnreadablePicture, "line 2"),
        ("v 0 0 x\n", UnreadablePicture, "line 1"),
        ("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", UnfitPicture, "no area"),
        ("v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", UnfitPicture, "not numbers"),
        ("mtllib ../../m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", UnreadablePicture, "not in its folder"),
        ("", UnreadablePicture, "empty"),
    ],
)
def test_what_is_wrong_with_an_obj_is_said(tmp_path, obj, error, says):
    with pytest.raises(error, match=says):
        load(write_obj(tmp_path, obj))


def test_what_is_no_model_is_said(tmp_path):
    (tmp_path / "a.ply").write_bytes(b"nothing of the kind")
    (tmp_path / "a.fbx").write_bytes(b"x")
    for name, says in (("a.ply", "damaged"), ("a.fbx", "no known format"), ("b.glb", "no model")):
        with pytest.raises(UnreadablePicture, match=says):
            load(tmp_path / name)
    with pytest.raises(UsageError, match="up"):
        load(tmp_path / "a.ply", up="x")


def test_a_million_faces_are_read(tmp_path):
    count = 1000
    x, y = np.meshgrid(np.arange(count + 1), np.arange(501))
    points = np.stack([x, y, np.sin(x / 9) * 3], -1).reshape(-1, 3).astype("<f4")
    a = (np.arange(500)[:, None] * (count + 1) + np.arange(count)).reshape(-1)
    quads = np.concatenate([np.stack([a, a + 1, a + count + 2], 1), np.stack([a, a + count + 2, a + count + 1], 1)])
    faces = np.zeros(len(quads), np.dtype([("n", "u1"), ("v", "<i4", 3)]))
    faces["n"], faces["v"] = 3, quads
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\nproperty float x\nproperty float y\n"
    head += f"property float z\nelement face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "m.ply").write_bytes(head.encode() + points.tobytes() + faces.tobytes())
    assert load(tmp_path / "m.ply").count == 1_000_000


def test_json_of_a_gltf_file_is_the_same_model(glb, tmp_path):
    source = gltf.read(glb())
    found = json.loads(json.dumps(source.json))
    found["buffers"][0]["uri"] = "data%20.bin"
    (tmp_path / "data .bin").write_bytes(source.buffers[0])
    (tmp_path / "m.gltf").write_text(json.dumps(found))
    np.testing.assert_array_equal(flatten(load(tmp_path / "m.gltf")).corners, flatten(load(tmp_path / "cube.glb")).corners)


@pytest.mark.parametrize(
    "obj",
    [
        OBJ.replace(" ", "\t"),
        OBJ.replace(" ", "  \t", 1),
        "".join(f"{line} # a note\n" if line[0] in "vf" else f"{line}\n" for line in OBJ.splitlines()),
        OBJ.replace("m.mtl", "m.mtl # a note"),
        OBJ.replace("m.mtl", "gone.mtl m.mtl"),
    ],
    ids=["tabs", "mixed", "notes", "note on a library", "two libraries"],
)
def test_objs_as_programs_write_them(tmp_path, obj):
    model = load(write_obj(tmp_path, obj, mtl="newmtl wall # brick\nnewmtl wall\nKd 1 0 0 # red\nnewmtl\troof\nd 0.25 # glass\n"))
    assert model.count == 3
    wall, roof = (model.materials[surface.material] for surface in model.surfaces)
    assert (wall.name, wall.color, roof.name, roof.color) == ("wall", (1, 0, 0, 1), "roof", (1, 1, 1, 0.25))


def test_names_of_files_hold_spaces(tmp_path):
    path = write_obj(tmp_path, OBJ.replace("m.mtl", "my own #1.mtl"))
    (tmp_path / "m.mtl").rename(tmp_path / "my own #1.mtl")
    model = load(path)
    assert model.materials[model.surfaces[1].material].color == (1, 0, 0, 0.25)
    assert model.files == [tmp_path / "my own #1.mtl"]


@pytest.mark.parametrize(
    ("obj", "says"),
    [
        ("v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "line 1"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 1 0\nf 1//1 2//1 3//1\n", "line 4"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt\nf 1/1 2/1 3/1\n", "line 4"),
        ("f // // //\n", "line 1"),
        ("v 0 0 0\nvt 0 0\nf /1 /1 /1\n", "line 3"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/1 3/1\n", "line 4"),
        ("f 1 1 1\n", "line 1"),
        ("mtllib a\0b.mtl\nv 0 0 0\n", "names a file"),
    ],
)
def test_a_damaged_obj_is_named(tmp_path, obj, says):
    with pytest.raises(UnreadablePicture, match=says):
        load(write_obj(tmp_path, obj))


def test_odd_but_sound_objs_are_read(tmp_path):
    odd = "v 0 0 0 1\nv 1 0 0 0.5 0.5 0.5\nv 0 1 0\nvt 0.5\nf 1/1 2/1 3/1\n"  # a weight, a color, texture in one dimension
    model = load(write_obj(tmp_path, odd))
    np.testing.assert_allclose(areas(model), [1])
    assert model.surfaces[0].colors is None
    np.testing.assert_allclose(model.surfaces[0].uv, [[0.5, 1]] * 3)


@pytest.mark.parametrize("opacity", ["abc", "nan", ""])
def test_opacity_that_is_no_number_is_warned_of(tmp_path, caplog, opacity):
    with caplog.at_level(logging.WARNING):
        model = load(write_obj(tmp_path, mtl=f"newmtl wall\nd {opacity}\nKd\nnewmtl roof\nKd nan 0 0\n"))
    assert [material.color for material in model.materials if material.name] == [(1, 1, 1, 1)] * 2
    assert ("opacity" in caplog.text) == bool(opacity)


def uri(found, value):
    found["images"][0] = {"uri": value}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found.update(buffers=[5]), "buffers are not a list"),
        (lambda found: found.update(buffers=[{"uri": 7}]), "7 is no URI"),
        (lambda found: found.update(asset=[1]), "not glTF 2.0"),
        (lambda found: found.update(nodes=[1]), "nodes are not a list"),
        (lambda found: found.update(extensionsRequired=5), "damaged"),
        (lambda found: found["buffers"][0].update(byteLength="long"), "damaged"),
        (lambda found: uri(found, "a\0.png"), "names a file"),
        (lambda found: uri(found, 7), "7 is no URI"),
        (lambda found: found["accessors"].__setitem__(0, {"componentType": 5126, "count": 10**12, "type": "VEC3"}), "no data"),
        (lambda found: found["accessors"].__setitem__(0, {"componentType": 5126, "count": -1, "type": "VEC3"}), "no data"),
        (lambda found: found["accessors"][2].update(count=3), "damaged: uv of 3 x 2"),
        (lambda found: found["accessors"][1].update(type="VEC2"), "damaged: normals of 24 x 2"),
        (lambda found: found["accessors"][0].update(type="VEC2"), "damaged: positions of 24 x 2"),
        (lambda found: found["materials"].__setitem__(0, {"pbrMetallicRoughness": [1]}), "damaged"),
        (
            lambda found: found["materials"][0]["pbrMetallicRoughness"].update(baseColorFactor=[float("nan"), 1, 1, 1]),
            "not a number",
        ),
        (lambda found: found["scenes"].__setitem__(0, {"nodes": "root"}), "damaged"),
        (lambda found: found["meshes"][0]["primitives"][0].update(material=float("nan")), "damaged"),
    ],
)
def test_a_damaged_gltf_is_named(glb, change, says):
    with pytest.raises(UnreadablePicture, match=says):
        load(glb(change=change))


def test_deep_json_is_named(tmp_path):
    (tmp_path / "m.gltf").write_text("[" * 100_000)
    with pytest.raises(UnreadablePicture, match="not glTF"):
        load(tmp_path / "m.gltf")


def test_files_that_a_gltf_names_are_known(glb, tmp_path, caplog):
    picture = gltf.read(glb()).view(4)
    (tmp_path / "my paint.png").write_bytes(picture)
    with caplog.at_level(logging.WARNING):
        model = load(glb("named.glb", change=lambda found: uri(found, "my%20paint.png")))
    assert model.files == [tmp_path / "my paint.png"]
    assert model.pictures[0].size == (96, 96)
    assert not caplog.text


@pytest.mark.parametrize("kind", ["TGA", "DDS", "EPS", "PCX"])
def test_pictures_within_a_model_are_of_the_formats_that_are_read_elsewhere(glb, caplog, monkeypatch, kind):
    """Not of all that Pillow knows: for some it starts other programs."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    file = BytesIO()
    PILImage.new("RGB", (8, 8)).save(file, kind)
    text = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    with caplog.at_level(logging.WARNING):
        model = load(glb(change=lambda found: uri(found, text)))
    assert model.pictures[0] is None
    assert "plain color is taken" in caplog.text
