"""What is written: nothing changes but the paint where the layout was kept, and nothing is lost where it was not."""

import json

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image as PILImage

from impasto.errors import OutputError, OutputExists, UnreadablePicture, UsageError
from impasto.mesh import export, gltf
from impasto.mesh.atlas import build
from impasto.mesh.load import load
from impasto.mesh.model import Instance, Material, Model, cross, flatten
from impasto.mesh.paint import Painted
from impasto.pixels import recipe

RECIPE = {"version": "x", "verb": "mesh", "settings": {"seed": 3}}


def painted(model, size=64, keep=None, value=(0.2, 0.6, 0.4)):
    atlas = build(model, size, keep=keep)
    color = torch.tensor(value).view(1, 3, 1, 1)
    return Painted(model, atlas, [color.expand(1, 3, *page.shape).clone() for page in atlas.pages], RECIPE)


def sorted_corners(model):
    return np.sort(flatten(model).corners.reshape(-1, 9), 0)


def test_a_kept_layout_changes_nothing_but_its_picture(glb, tmp_path):
    path = glb()
    source = gltf.read(path)
    export.save(painted(load(path)), tmp_path / "out.glb")
    after = gltf.read(tmp_path / "out.glb")
    for name in ("nodes", "meshes", "animations", "samplers", "textures", "materials", "scenes", "scene", "accessors", "images"):
        assert after.json[name] == source.json[name], name
    for index in range(len(source.all("bufferViews"))):
        assert (after.view(index) == source.view(index)) == (index != 4), index
    picture = after.view(4)
    (tmp_path / "map.png").write_bytes(picture)
    found = np.asarray(PILImage.open(tmp_path / "map.png"))
    assert np.abs(found.reshape(-1, 3) - np.array([51, 153, 102])).max() <= 1
    assert recipe.read(tmp_path / "map.png") == RECIPE
    assert after.json["asset"]["extras"]["impasto"] == RECIPE
    assert after.json["asset"]["generator"] == "by hand"


def test_a_picture_that_other_maps_use_too_is_left_to_them(glb, tmp_path):
    path = glb(change=lambda found: found["materials"][0].update(emissiveTexture={"index": 0}))
    source = gltf.read(path)
    export.save(painted(load(path)), tmp_path / "out.glb")
    after = gltf.read(tmp_path / "out.glb")
    material = after.json["materials"][0]
    assert after.view(4) == source.view(4)
    assert material["emissiveTexture"] == {"index": 0}
    color = after.json["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    assert color["sampler"] == 0
    assert color["source"] == 2


@pytest.mark.parametrize("uv", [True, False])
def test_a_new_layout_keeps_everything_else(glb, tmp_path, uv):
    path = glb(uv=uv)
    model = load(path)
    export.save(painted(model, keep=False), tmp_path / "out.glb")
    again, after, source = load(tmp_path / "out.glb"), gltf.read(tmp_path / "out.glb"), gltf.read(path)
    np.testing.assert_allclose(sorted_corners(again), sorted_corners(model), atol=1e-6)
    for name in ("nodes", "animations", "scenes"):
        assert after.json[name] == source.json[name]
    primitive = after.json["meshes"][0]["primitives"][0]
    material = after.json["materials"][0]
    reference = material["pbrMetallicRoughness"]["baseColorTexture"]
    chosen = f"TEXCOORD_{reference.get('texCoord', 0)}"
    assert chosen == "TEXCOORD_1"  # the normal map keeps its own
    assert chosen in primitive["attributes"]
    assert material["extras"] == {"kept": [1, 2, 3]}
    assert material["normalTexture"] == {"index": 1}
    normals = after.floats(primitive["attributes"]["NORMAL"])
    places = after.floats(primitive["attributes"]["POSITION"])
    np.testing.assert_allclose((normals * places).sum(1), 1, atol=1e-5)  # on a cube: straight out
    assert build(again, 64).pages[0].picture >= 0  # and now it can be painted on as it is


def test_another_library_reads_what_is_written(glb, tmp_path):
    model = load(glb(uv=False))
    export.save(painted(model), tmp_path / "out.glb", unlit=True)
    scene = trimesh.load(tmp_path / "out.glb", force="scene")
    assert sum(len(each.faces) for each in scene.to_geometry().split(only_watertight=False)) == 24
    assert "KHR_materials_unlit" in gltf.read(tmp_path / "out.glb").json["extensionsUsed"]


@pytest.mark.parametrize("name", ["out.glb", "out.gltf", "out.obj"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_models_without_glTF_come_back_whole(cube, tmp_path, name, up):
    model = cube()
    model.up = up
    model.instances.append(Instance(0, np.diag([1.0, 2, 1, 1]) + np.eye(4, k=3) * 3, "second"))
    files = export.save(painted(model), tmp_path / name)
    assert all(file.exists() for file in files)
    again = load(tmp_path / name, up="auto" if name != "out.obj" else up)
    np.testing.assert_allclose(sorted_corners(again), sorted_corners(model), atol=1e-5)
    atlas = build(again, 64)
    assert [page.picture >= 0 for page in atlas.pages] == ([True] if name != "out.obj" else [False])  # in the world twice
    np.testing.assert_allclose(atlas.pages[0].image.mean((0, 2, 3)), [0.2, 0.6, 0.4], atol=0.01)


def test_several_materials_and_an_odd_face_are_kept(cube, tmp_path):
    model = cube(uv=False, picture=False)
    surface = model.surfaces[0]
    surface.faces = np.concatenate([surface.faces, [[0, 0, 1], [2, 2, 2]]])  # no area
    other = cube(uv=False, picture=False).surfaces[0]
    other.material = 1
    model.materials.append(Material("glass", (1, 1, 1, 0.3), alpha_mode="BLEND"))
    model = Model("m", [surface, other], [Instance(0, np.eye(4)), Instance(1, np.eye(4) * [1, 1, 3, 1])], model.materials, [])
    export.save(painted(model), tmp_path / "out.glb")
    again = load(tmp_path / "out.glb")
    assert again.count == 26
    assert sorted(each.alpha_mode for each in again.materials if each.name != "plain") == ["BLEND", "OPAQUE"]
    mine, theirs = (np.sort(np.linalg.norm(cross(flatten(each).corners), axis=1)) for each in (again, model))
    np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_nothing_is_replaced_unasked(cube, tmp_path):
    made = painted(cube())
    export.save(made, tmp_path / "out.obj")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(OutputExists):
        export.save(made, tmp_path / "out.obj")
    (tmp_path / "out.obj").unlink()
    with pytest.raises(OutputExists, match="mtl"):
        export.save(made, tmp_path / "out.obj")
    export.save(made, tmp_path / "out.obj", force=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    with pytest.raises(UsageError, match="fbx"):
        export.check(tmp_path / "out.fbx")
    with pytest.raises(OutputError, match="no folder"):
        export.check(tmp_path / "none" / "out.glb")


def test_files_of_gltf_lie_beside_it(glb, tmp_path):
    files = export.save(painted(load(glb())), tmp_path / "out.gltf")
    assert sorted(file.name for file in files) == ["out-0.png", "out-1.png", "out.bin", "out.gltf"]
    found = json.loads((tmp_path / "out.gltf").read_text())
    assert [image["uri"] for image in found["images"]] == ["out-0.png", "out-1.png"]
    np.testing.assert_allclose(sorted_corners(load(tmp_path / "out.gltf")), sorted_corners(load(tmp_path / "cube.glb")))


def test_what_is_replaced_takes_no_room(glb, tmp_path):
    path = glb()
    export.save(painted(load(path), keep=False), tmp_path / "out.glb")
    after = gltf.read(tmp_path / "out.glb")
    assert after.view(0) == bytes(4)  # the old positions: their accessor says zeros now
    assert after.view(4) == bytes(4)  # the old picture
    assert after.view(5) == gltf.read(path).view(5)  # the normal map
    assert after.view(7) == gltf.read(path).view(7)  # the animation
    for image in after.json["images"]:
        assert after.view(image["bufferView"])[:4] == b"\x89PNG"
        assert b"iCCP" not in after.view(image["bufferView"])


@pytest.mark.parametrize("name", ["out.glb", "out.gltf", "out.obj", "OUT.OBJ", "out.GLTF"])
@pytest.mark.parametrize("keep", [None, False])
def test_all_names_are_known_before(glb, cube, tmp_path, name, keep):
    for number, model in enumerate([load(glb()), load(glb("bare.glb", uv=False)), cube()]):
        made = painted(model, keep=keep)
        folder = tmp_path / str(number)
        folder.mkdir()
        said = export.names(model, made.atlas, folder / name)
        assert list(folder.iterdir()) == []
        assert export.save(made, folder / name) == said
        assert sorted(folder.iterdir()) == sorted(said)


def test_pictures_that_were_missing_are_warned_of_by_name(glb, tmp_path, caplog):
    path = glb(change=lambda found: found["images"].__setitem__(1, {"uri": "gone.png"}))
    export.save(painted(load(path)), tmp_path / "out.glb")
    assert "gone.png" in caplog.text
    assert gltf.read(tmp_path / "out.glb").json["images"][1] == {"uri": "gone.png"}


def test_what_goes_wrong_with_a_picture_is_not_hidden(glb, tmp_path, monkeypatch):
    def fails(*_arguments):
        raise MemoryError

    path = glb(change=lambda found: found["images"].__setitem__(1, {"uri": "gone.png"}))
    made = painted(load(path))
    monkeypatch.setattr("impasto.mesh.read_gltf.image_bytes", fails)
    with pytest.raises(MemoryError):
        export.save(made, tmp_path / "out.glb")


def test_what_cannot_be_kept_is_said_before(glb, tmp_path):
    model = load(glb(change=lambda found: found["images"].__setitem__(1, {"uri": "data:image/png;base64,?"})))
    with pytest.raises(OutputError, match="picture 1"):
        export.names(model, build(model, 64), tmp_path / "out.glb")
    model = load(glb("other.glb", change=lambda found: found["materials"][0].update(normalTexture={"index": 99})))
    with pytest.raises(UnreadablePicture, match="damaged"):
        export.names(model, build(model, 64, keep=False), tmp_path / "out.glb")


def test_models_do_not_go_to_stdout():
    with pytest.raises(UsageError, match="stdout"):
        export.check("-")
