"""`impasto mesh`: what it writes, and what it refuses before any work."""

import json

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

pytest.importorskip("numba")
pytest.importorskip("xatlas")

from impasto.cli import mesh_files, report
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


def unpainted(monkeypatch):
    """Make painting fail, so that what is refused was refused before it."""
    from impasto.mesh.paint import Painting

    def steps(self, **more):
        raise RuntimeError("painted")

    monkeypatch.setattr(Painting, "steps", steps)


@pytest.mark.parametrize(
    ("output", "mine", "arguments", "says"),
    [
        ("out.obj", "out.png", (), "out.png exists already"),
        ("out.gltf", "out-0.png", (), "out-0.png exists already"),
        ("out.gltf", "out.bin", (), "out.bin exists already"),
        ("out.obj", "", ("--still", "front=out.png"), "two results"),
        ("out.gltf", "", ("--sheet", "out-0.png"), "two results"),
        ("out.glb", "", ("--turntable", "t.#.png", "--sheet", "t.3.png"), "two results"),
        ("a.obj", "", ("--force",), "a.png is both read and written"),
        ("out.obj", "", ("--sheet", "t.png", "--force"), "t.png is both read and written"),
        ("m.obj", "", ("--force",), "m.mtl is both read and written"),
        ("out.glb", "mine.png", ("--preview", "mine.png"), "was not made by impasto"),
        ("out.glb", "t.07.png", ("--turntable", "t.##.png"), "t.07.png for one"),
        ("-", "", (), "cannot go to stdout"),
        ("out.glb", "", ("--still", "front=-"), "cannot go to stdout"),
        ("out.glb", "", ("--turntable", "-"), "cannot go to stdout"),
    ],
)
def test_every_file_is_checked_before_painting(box, tmp_path, monkeypatch, drawing, output, mine, arguments, says):
    unpainted(monkeypatch)
    (tmp_path / "box.obj").write_text(f"mtllib m.mtl\n{OBJ}")
    (tmp_path / "m.mtl").write_text("newmtl roof\nmap_Kd t.png\n")
    drawing(tmp_path / "t.png", seed=3, size=(32, 32))
    if mine:
        drawing(tmp_path / "mine.png", seed=4, size=(8, 8)).rename(tmp_path / mine)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    ran = box("--quiet", *arguments, output=output)
    assert ran.code in (report.USAGE, report.FAILED)
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_frames_beyond_the_turntable_may_stay(box, tmp_path, drawing):
    drawing(tmp_path / "t.07.png", seed=4, size=(8, 8))
    assert box("--turntable", "t.##.png", "--frames", 2, "--quiet").code == report.DONE
    assert sorted(path.name for path in tmp_path.glob("t.*")) == ["t.00.png", "t.01.png", "t.07.png"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_model_outlives_what_should_show_it(box, tmp_path, monkeypatch, as_json):
    """The model is told of, and its state kept, when a still cannot be written; then --resume makes what is missing."""
    from impasto.errors import OutputError
    from impasto.mesh import turntable

    def fails(*_arguments, **_more):
        raise OutputError("no space left")

    stills = turntable.stills
    monkeypatch.setattr(turntable, "stills", fails)
    shown = ("--still", "front=front.png", *(["--json"] if as_json else []))
    ran = box("--quiet", *shown)
    assert ran.code == report.FAILED
    assert "no space left" in ran.err
    if as_json:
        told = json.loads(ran.out)
        assert (told["output"], told["finished"], told["files"]) == ("out.glb", False, [])
    else:
        assert ran.lines == ["out.glb"]
    state, painted = tmp_path / "out.glb.state.safetensors", (tmp_path / "out.glb").read_bytes()
    assert state.exists()
    monkeypatch.setattr(turntable, "stills", stills)
    assert box("--quiet", "--resume", *shown).code == report.DONE
    assert (tmp_path / "front.png").exists()
    assert not state.exists()
    assert (tmp_path / "out.glb").read_bytes() == painted


def test_a_model_that_cannot_be_written_is_not_lost(box, tmp_path, monkeypatch):
    from impasto.errors import OutputError
    from impasto.mesh import export

    def fails(*_arguments, **_more):
        raise OutputError("no space left")

    save = export.save
    monkeypatch.setattr(export, "save", fails)
    ran = box("--quiet", "--json")
    assert (ran.code, ran.out) == (report.FAILED, "")
    assert (tmp_path / "out.glb.state.safetensors").exists()
    monkeypatch.setattr(export, "save", save)
    ran = box("--quiet", "--resume")
    assert ran.code == report.DONE, ran.err
    assert loader.load("out.glb").count == 12


def test_going_on_replaces_no_picture_of_the_users(box, tmp_path, monkeypatch, drawing):
    from impasto.errors import OutputError
    from impasto.mesh import export

    def fails(*_arguments, **_more):
        raise OutputError("no space left")

    save = export.save
    monkeypatch.setattr(export, "save", fails)
    box("--quiet")
    monkeypatch.setattr(export, "save", save)
    named = {"mine.png": "--sheet", "t.0.png": "--turntable", "turn.mp4": "--turntable", "v.html": "--viewer"}
    for name, option in named.items():
        drawing(tmp_path / "drawn.png", seed=4, size=(8, 8)).rename(tmp_path / name)
        ran = box("--quiet", "--resume", option, name.replace("t.0.", "t.#."))
        assert ran.code == report.FAILED
        assert "was not made by impasto" in ran.err


SQUARE = """mtllib m.mtl
v -1 -1 0
v 1 -1 0
v 1 1 0
v -1 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl wall
f 1/1 2/2 3/3 4/4
"""


def test_masks_are_places_of_styles(impasto, tmp_path, monkeypatch, drawing, narrow):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.obj").write_text(SQUARE)
    (tmp_path / "m.mtl").write_text("newmtl wall\nmap_Kd t.png\n")
    drawing(tmp_path / "t.png", seed=2, size=(64, 64))
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    half = PILImage.new("L", (64, 64))
    half.paste(255, (0, 0, 64, 32))
    half.save("half.png")
    line = ("mesh", "m.obj", "--style", "upper=a.png", "--mask", "upper=half.png", "--encoder", narrow, "--size", 32)
    line += ("--steps", "32:2", "--init", "content", "--quiet", "-o")
    ran = impasto(*line, "out.glb")
    assert ran.code == report.DONE, ran.err
    before, after = (loader.load(name).pictures[0].image for name in ("m.obj", "out.glb"))
    moved = (torch.nn.functional.interpolate(before, after.shape[-2:], mode="bilinear") - after).abs().mean((0, 1))
    height = len(moved)
    assert float(moved[: height * 3 // 8].mean()) > 5 * float(moved[height * 5 // 8 :].mean())
    told = json.loads(impasto("inspect", "out.glb", "--json").out)
    assert (told["places"], told["masks"]["upper"]["source"]) == (["upper"], "half.png")
    ran = impasto(*line, "half.png.glb", "--sheet", "half.png", "--force")
    assert (ran.code, "half.png is both read and written" in ran.err) == (report.USAGE, True)


def test_pictures_of_a_model_are_painted(impasto, tmp_path, monkeypatch, drawing, narrow):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box.obj").write_text(OBJ)
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    quick = ("--encoder", narrow, "--size", 32, "--steps", "32:2", "--init", "content", "--quiet")
    line = ("mesh", "box.obj", "--style", "roof=a.png", "--style", "a.png", "--render-style", *quick)
    line += ("--still", "front=f.png", "--turntable", "t.##.png", "--frames", 2)
    ran = impasto(*line)
    assert ran.code == report.DONE, ran.err
    assert ran.lines == ["f.png", "t.##.png"]
    assert not (tmp_path / "out.glb").exists()
    told = json.loads(impasto("inspect", "f.png", "--json").out)
    assert (told["verb"], told["render_style"], told["view"], told["places"]) == ("mesh", True, "front", ["roof", ""])
    (tmp_path / "t.01.png").unlink()
    before = (tmp_path / "t.00.png").read_bytes()
    ran = impasto(*line, "--resume", "--json")
    assert ran.code == report.DONE, ran.err
    assert json.loads(ran.out)["output"] == "t.##.png"
    assert (tmp_path / "t.01.png").exists()
    assert (tmp_path / "t.00.png").read_bytes() == before


def test_pictures_of_a_model_never_replace_its_texture(impasto, tmp_path, monkeypatch, drawing):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.obj").write_text(SQUARE)
    (tmp_path / "m.mtl").write_text("newmtl wall\nmap_Kd t.1.png\n")
    before = drawing(tmp_path / "t.1.png", seed=2, size=(64, 64)).read_bytes()
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    line = ("mesh", "m.obj", "--style", "a.png", "--render-style", "--size", 32, "--frames", 2, "--quiet", "--force")
    ran = impasto(*line, "--turntable", "t.#.png")
    assert (ran.code, "t.1.png is both read and written" in ran.err) == (report.USAGE, True)
    assert (tmp_path / "t.1.png").read_bytes() == before


def test_pictures_that_are_there_are_told_when_the_rest_fails(impasto, tmp_path, monkeypatch, drawing, narrow):
    from impasto.cli import renders
    from impasto.errors import OutputError

    def fails(*_arguments, **_more):
        raise OutputError("no space left")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(renders, "_film", fails)
    (tmp_path / "box.obj").write_text(OBJ)
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    quick = ("--encoder", narrow, "--size", 32, "--steps", "32:1", "--init", "content", "--quiet", "--json")
    shown = ("--still", "front=f.png", "--turntable", "t.#.png")
    ran = impasto("mesh", "box.obj", "--style", "a.png", "--render-style", *quick, *shown)
    assert ran.code == report.FAILED
    told = json.loads(ran.out)
    assert (told["output"], told["finished"], told["files"]) == ("f.png", False, [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-o", "out.glb", "--still", "front=f.png"), "leave --output out"),
        (("--still", "front=f.png", "--sheet", "s.png"), "leave --sheet out"),
        ((), "nothing to paint"),
        (("--turntable", "t.##.png"), "these are for stills"),
        (("--still", "front=a.png"), "exists already"),
        (("--still", "front=box.obj"), "written as .obj"),
    ],
)
def test_what_pictures_of_a_model_cannot_be_is_said(impasto, tmp_path, monkeypatch, drawing, narrow, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box.obj").write_text(OBJ)
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    quick = ("--encoder", narrow, "--steps", "32:2", "--init", "content", "--quiet")
    ran = impasto("mesh", "box.obj", "--style", "a.png", "--render-style", *quick, *arguments)
    assert ran.code in (report.USAGE, report.FAILED)
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1


def test_without_an_output_the_remedy_is_said(impasto, tmp_path):
    ran = impasto("mesh", "box.obj", "--style", "a.png")
    assert ran.code == report.USAGE
    assert "give -o FILE" in ran.err


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("wall*=a.jpg:0.5", ("a.jpg", 0.5, "wall*")),
        ("Roof tiles.001=b.jpg", ("b.jpg", 1.0, "Roof tiles.001")),
        ("roof=a.jpg", ("a.jpg", 1.0, "roof")),
        ("a.jpg:2", ("a.jpg", 2.0, "")),
    ],
)
def test_places_are_called_like_materials(text, word):
    assert tuple(mesh_files.parse_style(text)) == word
