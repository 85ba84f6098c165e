"""`impasto mesh`: what it writes, and what it refuses before any work."""

import json

import numpy as np
import pytest
from PIL import Image as PILImage

pytest.importorskip("numba")
pytest.importorskip("xatlas")

from impasto.cli import report
from impasto.mesh import load as loader
from impasto.mesh.gltf import read

OBJ = """v -1 -1 -1
v 1 -1 -1
v 1 1 -1
v -1 1 -1
v -1 -1 1
v 1 -1 1
v 1 1 1
v -1 1 1
o box
usemtl roof
f 4 8 7 3
usemtl walls
f 1 2 6 5
f 5 6 7 8
f 2 1 4 3
f 6 2 3 7
f 1 5 8 4
"""


@pytest.fixture
def box(impasto, tmp_path, drawing, monkeypatch, narrow):
    """`box(*arguments)`: run the command on a box, in few steps by a narrow network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box.obj").write_text(OBJ)
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    drawing(tmp_path / "b.png", seed=2, size=(64, 64))
    quick = ("--encoder", narrow, "--size", 32, "--steps", "32:2", "--init", "content")

    def run(*arguments, style=("--style", "a.png"), output="out.glb"):
        return impasto("mesh", "box.obj", *style, *quick, "-o", output, *arguments)

    return run


def test_a_model_and_all_that_shows_it_are_written(box, tmp_path):
    ran = box("--still", "front=front.png", "--still", "30,20=else.png", "--sheet", "sheet.png", "--turntable", "turn.##.png",
              "--frames", 2, "--unlit", "--json", "--quiet")  # fmt: skip
    assert ran.code == report.DONE, ran.err
    told = json.loads(ran.out)
    assert (told["output"], told["finished"]) == ("out.glb", True)
    assert told["files"] == ["front.png", "else.png", "sheet.png", "turn.##.png"]
    assert loader.load("out.glb").count == 12
    with PILImage.open("front.png") as picture:
        assert picture.size == (32, 32)
    assert sorted(path.name for path in tmp_path.glob("turn.*")) == ["turn.00.png", "turn.01.png"]
    found = read(tmp_path / "out.glb").json
    assert found["extensionsUsed"] == ["KHR_materials_unlit"]
    recipe = found["asset"]["extras"]["impasto"]
    assert (recipe["verb"], recipe["settings"]["steps"], recipe["content"]) == ("mesh", "32:2", {"source": "box.obj"})


def test_inspect_shows_the_recipe_in_a_model(box, impasto):
    assert box("--quiet").code == report.DONE
    told = json.loads(impasto("inspect", "out.glb", "--json").out)
    assert (told["file"], told["verb"], told["content"]) == ("out.glb", "mesh", {"source": "box.obj"})


def test_styles_are_for_materials(box):
    ran = box("--quiet", style=("--style", "roof=a.png", "--style", "walls=b.png"), output="out.obj")
    assert ran.code == report.DONE, ran.err
    assert ran.lines == ["out.obj", "out.mtl", "out.png"]
    ran = box(style=("--style", "door=a.png"))
    assert ran.code == report.USAGE
    assert "door" in ran.err
    assert "roof" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--still", "front"), "VIEW=FILE"),
        (("--still", "frnt=a1.png"), "neither one of front"),
        (("--still", "front=out.glb"), "written as .glb"),
        (("--sheet", "a.png"), "exists already"),
        (("--sheet", "s.png", "--still", "front=s.png"), "two results"),
        (("--frames", "0"), "between 1"),
        (("--resume",), "nothing to go on with"),
        (("--resume", "--force"), "one of them"),
        (("--up", "x"), "up 'x'"),
        (("--size", "64x32"), "one number"),
        (("--turntable", "turn.xyz"), "xyz"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(box, tmp_path, arguments, says):
    ran = box(*arguments)
    assert ran.code in (report.USAGE, report.FAILED)
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "out.glb").exists()


def test_a_model_that_is_there_is_kept(box, tmp_path):
    (tmp_path / "out.glb").write_bytes(b"mine")
    assert "exists already" in box().err
    assert (tmp_path / "out.glb").read_bytes() == b"mine"
    assert box("--force", "--quiet").code == report.DONE
    assert box("--resume", "--quiet").code == report.DONE


def test_missing_models_and_styles(box, impasto):
    assert "no model at gone.glb" in impasto("mesh", "gone.glb", "--style", "a.png", "-o", "out.glb").err
    assert "no style" in impasto("mesh", "box.obj", "-o", "out.glb").err
    assert box(output="out.fbx").code == report.USAGE


def test_interrupted_work_is_gone_on_with(box, monkeypatch, tmp_path):
    from impasto.mesh.paint import Painting

    steps = Painting.steps

    def stopped(self, **more):
        for number, step in enumerate(steps(self, **more)):
            if number == 1:
                import os
                import signal

                os.kill(os.getpid(), signal.SIGINT)
            yield step

    monkeypatch.setattr(Painting, "steps", stopped)
    ran = box()
    assert ran.code == report.INTERRUPTED
    assert (tmp_path / "out.glb.state.safetensors").exists()
    assert loader.load("out.glb").count == 12
    monkeypatch.setattr(Painting, "steps", steps)
    assert "--resume goes on" in box().err
    assert box("--resume", "--quiet").code == report.DONE
    assert not (tmp_path / "out.glb.state.safetensors").exists()
    assert np.isfinite(loader.load("out.glb").pictures[0].image.numpy()).all()
