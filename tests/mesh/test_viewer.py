"""The page that shows a model: what lies in it. That it shows the model is tested in tests/e2e/test_viewer.py."""

import base64
import hashlib
import re
from importlib import resources

import pytest
import torch

from impasto.errors import OutputExists, UsageError
from impasto.mesh import export, load, viewer
from impasto.mesh.atlas import build
from impasto.mesh.paint import Painted


@pytest.fixture
def painted(glb):
    model = load.load(glb())
    atlas = build(model, 96)
    return Painted(model, atlas, [1 - page.image for page in atlas.pages], {"verb": "mesh"})


def test_the_models_lie_in_the_page_and_nothing_is_asked_for(painted):
    before = Painted(painted.model, painted.atlas, [page.image for page in painted.atlas.pages], {})
    text = viewer.page(painted, before)
    models = re.search(r'const models = { Painted: "([^"]+)", Before: "([^"]+)" }', text)
    assert base64.b64decode(models[1]) == export.gltf(painted).binary()
    assert base64.b64decode(models[2]) == export.gltf(before).binary()
    assert text.count("<script") == text.count("</script>") == 2
    own = text.replace(resources.files(viewer).joinpath("model-viewer.js").read_text("utf-8"), "")
    assert not re.findall(r"(?:src|href)=[\"']?(?!data:)\w", own.split("<script>")[0])
    assert "default-src 'none'" in own
    assert "sourceMappingURL" not in text


def test_without_a_model_before_there_is_no_button(painted):
    assert 'Before: "" }' in viewer.page(painted)


def test_names_are_no_code(painted):
    painted.model.name = '"><script>alert(1)</script>'
    assert "<script>alert" not in viewer.page(painted)


def test_the_library_is_as_it_came_and_its_licence_lies_beside_it():
    folder = resources.files(viewer)
    digest = hashlib.sha256(folder.joinpath("model-viewer.js").read_bytes()).hexdigest()
    assert digest == "d785423b1d046ea84a9f59ef6cf15f3077603e1bf938b01ced9b0240691884a2"
    assert "Apache License" in folder.joinpath("LICENSE").read_text()
    assert "three.js" in folder.joinpath("NOTICE").read_text("utf-8")
    assert "</script" not in folder.joinpath("model-viewer.js").read_text("utf-8").lower()


def test_a_page_is_a_page_and_is_kept(painted, tmp_path):
    with pytest.raises(UsageError, match=r"viewer\.html"):
        viewer.save(painted, tmp_path / "a.htm5")
    path = viewer.save(painted, tmp_path / "a.html", unlit=True)
    assert path.read_text("utf-8") == viewer.page(painted, unlit=True)
    with pytest.raises(OutputExists):
        viewer.save(painted, tmp_path / "a.html")
    (tmp_path / "mine.html").write_text("<!doctype html>")
    assert [viewer.ours(tmp_path / name) for name in ("a.html", "mine.html", "gone.html")] == [True, False, True]


def test_places_are_told_in_the_models_own_axes(cube):
    model = cube()
    atlas = build(model, 64)
    maps = [torch.zeros_like(page.image) for page in atlas.pages]
    assert "place.textContent = found ? [x, y, z]." in viewer.page(Painted(model, atlas, maps, {}))
    model.up = "z"
    assert "place.textContent = found ? [x, -z, y]." in viewer.page(Painted(model, atlas, maps, {}))
