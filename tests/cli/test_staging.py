"""What `impasto mesh` shows a model in: a page, a camera's path, a photograph; and the command that its recipe tells."""

import json
import shlex

import pytest
from PIL import Image as PILImage

pytest.importorskip("numba")
pytest.importorskip("xatlas")

from impasto.cli import report, reproduce

PYRAMID = """v -1 0 -1
v 1 0 -1
v 1 0 1
v -1 0 1
v 0 2 0
o pyramid
usemtl walls
f 1 4 3 2
f 1 5 4
f 4 5 3
f 3 5 2
f 2 5 1
"""
KEYS = [{"eye": [0, 1, 6], "target": [0, 1, 0]}, {"eye": [4, 2, 4], "target": [0, 1, 0]}]
CAMERA = "eye=2,2,6 target=0,0.8,0 fov=40"


@pytest.fixture
def paint(impasto, tmp_path, drawing, monkeypatch, narrow):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.obj").write_text(PYRAMID)
    (tmp_path / "walk.json").write_text(json.dumps(KEYS))
    drawing(tmp_path / "a.png", seed=1, size=(64, 64))
    drawing(tmp_path / "place.png", seed=2, size=(48, 36))
    quick = ("--style", "a.png", "--encoder", narrow, "--size", 32, "--steps", "32:1", "--init", "content", "--quiet")
    return lambda *arguments: impasto("mesh", "p.obj", *quick, "-o", "out.glb", *arguments)


def test_page_path_and_photograph_are_written(paint, tmp_path):
    ran = paint("--viewer", "v.html", "--path", "walk.json=walk.##.png", "--frames", 2, "--site", "place.png", "--camera", CAMERA,
                "--sun", "40,30", "--still", f"{CAMERA}=own.png", "--json")  # fmt: skip
    assert ran.code == report.DONE, ran.err
    assert json.loads(ran.out)["files"] == ["own.png", "v.html", "out-site.png", "walk.##.png"]
    assert sorted(path.name for path in tmp_path.glob("walk.*.png")) == ["walk.00.png", "walk.01.png"]
    with PILImage.open("out-site.png") as made, PILImage.open("place.png") as photo:
        assert made.size == photo.size
        assert made.getpixel((24, 18)) != photo.getpixel((24, 18))


def test_a_camera_is_matched_from_points_and_its_error_told(paint, impasto, tmp_path):
    pytest.importorskip("cv2")
    from impasto.mesh.model import Model
    from impasto.mesh.viewpoint import words

    camera = words(CAMERA).camera(Model("m", [], [], [], []))
    places = [[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1], [0, 2, 0]]
    points = {}
    for number, place in enumerate(places):
        x, y, w = camera.project(camera.eye * 0 + place, 36, 48)
        points[f"corner {number}"] = {"model": place, "photo": [x / w, y / w]}
    (tmp_path / "points.json").write_text(json.dumps({"points": points}))
    ran = paint("--site", "place.png=there.png", "--camera", "points.json")
    assert ran.code == report.DONE, ran.err
    assert ran.lines == ["out.glb", "there.png"]
    told = json.loads(impasto("inspect", "there.png", "--json").out)["site"]
    assert (told["source"], told["camera"]) == ("place.png", "points.json")
    assert len(told["sun"].split(",")) == 3
    points["corner 0"], points["corner 1"] = points["corner 1"], points["corner 0"]
    for name, other in (("corner 0", "corner 2"), ("corner 1", "corner 4")):
        points[name]["photo"], points[other]["photo"] = points[other]["photo"], points[name]["photo"]
    (tmp_path / "points.json").write_text(json.dumps({"points": points}))
    assert "doubtful" in paint("--site", "place.png=other.png", "--camera", "points.json", "--force").err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--viewer", "v.txt"), "viewer.html"),
        (("--viewer", "v.html", "--still", "front=v.html"), "written as .html"),
        (("--path", "gone.json"), "gone.json"),
        (("--path", "p.obj"), "damaged"),
        (("--path", "walk.json=walk.xyz"), "xyz"),
        (("--path", "walk.json=t.mp4", "--turntable", "t.mp4"), "two results"),
        (("--site", "place.png"), "--site and --camera"),
        (("--camera", CAMERA), "--site and --camera"),
        (("--site", "gone.png", "--camera", CAMERA), "gone.png"),
        (("--site", "place.png", "--camera", "eye=1,2,3"), "eye=X,Y,Z"),
        (("--site", "place.png", "--camera", CAMERA, "--sun", "40"), "--sun"),
        (("--site", "place.png", "--camera", "gone.json"), "gone.json"),
        (("--site", "place.png", "--camera", "walk.json"), "is not"),
        (("--site", "place.png", "--camera", "eye=0,0,9 target=0,0,20"), "does not see the model"),
        (("--sun", "40,30"), "--sun is the light"),
        (("--site", "place.png=place.png", "--camera", CAMERA, "--force"), "both read and written"),
        (("--still", "eye=1,2,3=a1.png"), "eye=X,Y,Z"),
        (("--render-style", "--viewer", "v.html"), "leave"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(paint, tmp_path, arguments, says):
    ran = paint(*arguments)
    assert ran.code in (report.USAGE, report.FAILED)
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "out.glb").exists()


def test_the_recipe_of_a_model_tells_its_command(paint, impasto, tmp_path):
    shown = ("--still", "front=front.png", "--turntable", "turn.##.png", "--frames", 2)
    assert paint("--up", "z", "--unlit", *shown).code == report.DONE
    files = ("out.glb", "front.png", "turn.01.png")
    model, still, frame = (shlex.split(line) for line in impasto("inspect", "--reproduce", *files).out.splitlines())
    assert model[:2] == ["impasto", "mesh"]
    assert model[-3:] == ["-o", "out-again.glb", "p.obj"]
    assert [word for word in still if word not in ("--still", "front=front-again.png")] == [
        word.replace("out-again", "front-again") for word in model
    ]
    assert frame[frame.index("--turntable") :][:4] == ["--turntable", "turn-again.##.png", "--frames", "2"]
    assert impasto(*still[1:], "--quiet").code == report.DONE
    assert (tmp_path / "front-again.glb").read_bytes() == (tmp_path / "out.glb").read_bytes()
    assert (tmp_path / "front-again.png").read_bytes() == (tmp_path / "front.png").read_bytes()


@pytest.mark.parametrize(
    ("told", "options"),
    [
        ({"shown": {"sheet": True}}, ["--sheet", "d/o-again.png"]),
        ({"shown": {"path": "walk.json", "frames": 9}}, ["--path", "walk.json=d/o-again.png", "--frames", "9"]),
        ({"shown": {"still": "eye=1,2,3 target=0,0,0"}}, ["--still", "eye=1,2,3 target=0,0,0=d/o-again.png"]),
        (
            {"site": {"source": "place.png", "camera": CAMERA, "sun": "40,30,0.5"}},
            ["--site", "place.png=d/o-again.png", "--camera", CAMERA, "--sun", "40,30,0.5"],
        ),
    ],
)
def test_what_shows_a_model_is_made_again_with_it(told, options, capsys):
    made = {"verb": "mesh", "settings": {}, "content": {"source": "p.obj"}, "styles": [{"source": "a.png", "weight": 1.0}]}
    line = shlex.split(reproduce.command({**made, **told}, "d/o.png"))
    assert line == ["impasto", "mesh", "--style", "a.png", *options, "-o", "d/o-again.glb", "p.obj"]
    assert capsys.readouterr().err == ""
    assert "--still" not in reproduce.command(made, "d/o.png")
    assert "d/o.png was made along with a model: the command makes the model again" in capsys.readouterr().err
