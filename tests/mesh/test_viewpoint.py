"""Cameras in words, paths and points: against SciPy's splines and OpenCV's projection."""

import json
import math

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from impasto.errors import UnreadablePicture, UsageError
from impasto.mesh import viewpoint
from impasto.mesh.cameras import Camera
from impasto.mesh.model import Model

STRAIGHT = [{"eye": [0, 1, z], "target": [0, 1, z - 5]} for z in (9, 6, 3)]


@pytest.fixture
def model():
    return Model("m", [], [], [], [])


def written(tmp_path, content, name="keys.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_words_say_a_camera(model):
    key = viewpoint.words("eye=1,2,3 target=0,0.5,-1 fov=50")
    assert key == viewpoint.Key((1, 2, 3), (0, 0.5, -1), 50)
    model.up = "z"
    camera = key.camera(model)
    np.testing.assert_allclose(camera.eye, [1, 3, -2])
    np.testing.assert_allclose(camera.target, [0, -1, -0.5])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("eye=1,2,3", "eye=X,Y,Z"),
        ("eye=1,2 target=0,0,0", "three numbers"),
        ("eye=1,2,x target=0,0,0", "x"),
        ("eye=1,2,3 target=0,0,0 zoom=3", "eye=X,Y,Z"),
        ("eye=1,2,3 target=1,2,3", "stands where it looks"),
        ("eye=1,2,3 target=0,0,0 fov=200", "fov=200"),
        ("eye=1,2,inf target=0,0,0", "three numbers"),
    ],
)
def test_words_that_say_none_are_refused(text, says):
    with pytest.raises(UsageError, match=says):
        viewpoint.words(text)


def test_a_path_goes_through_its_keyframes(model, tmp_path):
    keys = [{"eye": [0, 0, 9], "target": [0, 0, 0], "time": 1}, {"eye": [5, 3, 4], "target": [1, 0, 0], "fov": 50, "time": 2.5},
            {"eye": [9, 1, 0], "target": [0, 1, 0], "fov": 20, "time": 3}]  # fmt: skip
    found = viewpoint.read(written(tmp_path, keys))
    cameras = viewpoint.along(found, model, 7)
    assert len(cameras) == viewpoint.count(found, 7) == 49
    for key, number in zip(keys, (0, 36, 48), strict=True):
        np.testing.assert_allclose(cameras[number].eye, key["eye"], atol=1e-9)
        assert cameras[number].field == pytest.approx(key.get("fov", 35))
    eyes = np.array([camera.eye for camera in cameras])
    assert np.abs(np.diff(eyes, 2, axis=0)).max() < 0.05, "no corner"


def test_the_spline_is_scipys():
    random = np.random.default_rng(0)
    times, knots = np.array([0.0, 1, 1.5, 4]), random.normal(size=(4, 7))
    moments = np.linspace(0, 4, 50)
    found = viewpoint._spline(times, knots, moments)
    steps, slopes = np.diff(times)[:, None], np.diff(knots, axis=0) / np.diff(times)[:, None]
    inner = (steps[1:] * slopes[:-1] + steps[:-1] * slopes[1:]) / (steps[1:] + steps[:-1])
    tangents = np.concatenate([2 * slopes[:1] - inner[:1], inner, 2 * slopes[-1:] - inner[-1:]])
    np.testing.assert_allclose(found, CubicHermiteSpline(times, knots, tangents)(moments), atol=1e-12)
    parabola = np.stack([3 * times**2 - times + 1] * 7, 1)
    np.testing.assert_allclose(viewpoint._spline(times, parabola, moments)[:, 0], 3 * moments**2 - moments + 1, atol=1e-12)


def test_a_path_without_times_goes_at_an_even_pace(model, tmp_path):
    cameras = viewpoint.along(viewpoint.read(written(tmp_path, STRAIGHT)), model, 13)
    steps = np.diff([camera.eye[2] for camera in cameras])
    np.testing.assert_allclose(steps, -0.5, atol=0.01)


def test_a_table_says_what_json_says(tmp_path):
    table = "eye_x,eye_y,eye_z,target_x,target_y,target_z,fov\n0,1,9,0,1,4,40\n0,1,6,0,1,1,\n"
    keys = viewpoint.read(written(tmp_path, table, "keys.csv"))
    assert keys == [viewpoint.Key((0, 1, 9), (0, 1, 4), 40), viewpoint.Key((0, 1, 6), (0, 1, 1))]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (STRAIGHT[:1], "at least two"),
        ({"keys": STRAIGHT}, "at least two"),
        ([*STRAIGHT, 3], "keyframe 4"),
        ([{**STRAIGHT[0], "time": 1}, STRAIGHT[1]], "times"),
        ([{**STRAIGHT[0], "time": 2}, {**STRAIGHT[1], "time": 2}], "rise"),
        ([{**STRAIGHT[0], "time": 0}, {**STRAIGHT[1], "time": 1e9}], "more than 10000 frames"),
        ("{", "damaged"),
    ],
)
def test_what_is_no_path_is_refused(tmp_path, content, says):
    with pytest.raises((UsageError, UnreadablePicture), match=says):
        viewpoint.read(written(tmp_path, content))


def test_a_missing_path_is_said():
    with pytest.raises(UnreadablePicture, match=r"gone\.json"):
        viewpoint.read("gone.json")


def points(tmp_path, places, spots, **more):
    named = {f"p{k}": {"model": list(map(float, places[k])), "photo": list(map(float, spots[k]))} for k in range(len(places))}
    return written(tmp_path, {"points": named, **more})


@pytest.mark.parametrize(("count", "flat"), [(6, False), (5, False), (4, True)])
def test_the_camera_of_a_photograph_is_found(model, tmp_path, count, flat):
    """OpenCV takes the photograph, with a focal length and a roll that are not told."""
    cv2 = pytest.importorskip("cv2")
    random = np.random.default_rng(count)
    places = random.uniform(-3, 3, (count, 3))
    places[:, 2] *= not flat
    axes = Camera(np.array([6.0, 2.5, 9]), np.array([0.0, 1, 0]), roll=4.0).axes
    focal = 400 / math.tan(math.radians(43) / 2)
    inner = np.array([[focal, 0, 600], [0, focal, 400], [0, 0, 1]])
    spots = cv2.projectPoints(places, cv2.Rodrigues(axes)[0], -axes @ np.array([6, 2.5, 9]), inner, None)[0][:, 0]
    match = viewpoint.matched(points(tmp_path, places, spots), model, 800, 1200)
    np.testing.assert_allclose(match.camera.eye, [6, 2.5, 9], atol=0.02)
    assert (match.camera.field, match.camera.roll) == (pytest.approx(43, abs=0.1), pytest.approx(4, abs=0.05))
    assert match.error < 0.05
    assert f"{count} points" in match.told()


def test_points_of_a_model_that_stands_on_z(model, tmp_path):
    pytest.importorskip("cv2")
    camera = Camera(np.array([2.0, 5, 11]), np.array([0.0, 1, 0]), 30)
    places = np.random.default_rng(1).uniform(-3, 3, (7, 3))
    seen = camera.project(places, 300, 400)
    model.up = "z"
    own = np.stack([places[:, 0], -places[:, 2], places[:, 1]], 1)
    match = viewpoint.matched(points(tmp_path, own, seen[:, :2] / seen[:, 2:], fov=30), model, 300, 400)
    np.testing.assert_allclose(match.camera.eye, camera.eye, atol=1e-3)


def test_a_point_that_is_off_is_named(model, tmp_path):
    pytest.importorskip("cv2")
    camera = Camera(np.array([2.0, 5, 11]), np.array([0.0, 1, 0]), 30)
    places = np.random.default_rng(1).uniform(-3, 3, (9, 3))
    seen = camera.project(places, 300, 400)
    spots = seen[:, :2] / seen[:, 2:]
    spots[4] += 30
    match = viewpoint.matched(points(tmp_path, places, spots), model, 300, 400)
    assert match.error > 5
    assert "'p4'" in match.told()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "is not"),
        ({"points": {"a": {"model": [0, 0, 0], "photo": [1, 2]}}}, "at least 4"),
        ({"points": {"a": {"model": [0, 0], "photo": [1, 2]}}}, "is not"),
        ({"points": {name: {"model": [0, 0, 0] * 2, "photo": [1, 2]} for name in "abcd"}}, "three numbers"),
    ],
)
def test_what_is_no_list_of_points_is_refused(model, tmp_path, content, says):
    with pytest.raises(UsageError, match=says):
        viewpoint.matched(written(tmp_path, content), model, 300, 400)


def test_a_camera_rolls_clockwise():
    camera = Camera(np.array([0.0, 0, 5]), np.zeros(3), roll=90)
    seen = camera.project(np.array([[1.0, 0, 0]]), 100, 100)[0]
    assert seen[0] / seen[2] == pytest.approx(50)
    assert seen[1] / seen[2] < 49, "what was at the right is above"
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)


def test_an_angle_that_is_told_is_not_doubted(model, tmp_path):
    pytest.importorskip("cv2")
    camera = Camera(np.array([2.0, 50, 110]), np.array([0.0, 1, 0]), 6)
    places = np.random.default_rng(1).uniform(-3, 3, (7, 3))
    seen = camera.project(places, 300, 400)
    spots = seen[:, :2] / seen[:, 2:]
    told, sought = (viewpoint.matched(points(tmp_path, places, spots, **more), model, 300, 400) for more in ({"fov": 6}, {}))
    assert (told.sound, sought.sound) == (True, False)
