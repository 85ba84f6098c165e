"""What people drop on the page: masks out of brush strokes, shares, styles by name, and what a recipe brings back."""

import numpy as np
import pytest
import torch

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto.fast import style as filters
from impasto.pixels import io
from impasto.studio import doodle, learn, photo, sources
from impasto.studio.desk import Desk
from impasto.studio.job import Wrong

NAME = filters.names()[0]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "desk")


@pytest.fixture
def files(tmp_path, picture):
    """Paths of a photograph and a painting."""
    found = []
    for seed, name in ((1, "photo.png"), (2, "painting.png")):
        io.save(io.load(picture(seed, 72, 96)), tmp_path / name)
        found.append(str(tmp_path / name))
    return found


def layer(*strokes, shape=(8, 10)):
    """A layer with strokes (rows, columns, color, alpha)."""
    found = np.zeros((*shape, 4), np.uint8)
    for rows, columns, color, alpha in strokes:
        value = photo.COLORS[color]
        found[rows, columns] = [*(int(value[k : k + 2], 16) for k in (1, 3, 5)), alpha]
    return found


def test_each_color_is_a_mask():
    left, right = slice(0, 4), slice(4, 8)
    found = sources.mask([layer((slice(0, 8), left, "red", 255), (slice(0, 4), right, "blue", 255))], photo.COLORS)
    assert found.keys() == {"red", "blue"}
    assert found["red"].shape == (1, 1, 8, 10)
    assert found["red"].sum() == 32
    assert found["blue"][0, 0, :4, 4:8].min() == 1
    assert found["blue"].sum() == 16


def test_soft_edges_stay_soft_and_colors_that_a_browser_rounds_are_known():
    soft = layer((slice(0, 8), slice(0, 4), "green", 128))
    soft[..., :3] = np.clip(soft[..., :3].astype(int) + 3, 0, 255)
    found = sources.mask([soft], photo.COLORS)
    assert list(found) == ["green"]
    assert float(found["green"].max()) == pytest.approx(128 / 255)


def test_the_upper_layer_hides_the_lower():
    whole = (slice(0, 8), slice(0, 10))
    found = sources.mask([layer((*whole, "red", 255)), layer((*whole, "blue", 255))], photo.COLORS)
    assert float(found["red"].max() if "red" in found else 0) == 0
    assert float(found["blue"].min()) == 1


def test_nothing_painted_is_no_region():
    assert sources.mask([layer()], photo.COLORS) == {}


@pytest.mark.parametrize(("text", "weights"), [("", [1, 1]), ("2, 1", [2, 1]), ("3;1", [3, 1]), ("0.5 1.5", [0.5, 1.5])])
def test_shares(desk, files, text, weights):
    found = sources.styles(desk, [NAME], files[1:], text, "styles")
    assert [each.weight for each in found] == weights
    assert [each.name for each in found] == [NAME, "painting.png"]


@pytest.mark.parametrize(
    ("named", "paintings", "shares", "message"),
    [
        ([], [], "", "no style yet"),
        ([NAME], [], "1, 2", "2 shares for 1 styles"),
        ([NAME], [], "much", "are not numbers"),
        ([NAME] * 9, [], "", "9 styles are too many"),
        (["nonsense"], [], "", "no filter named 'nonsense'"),
        (["/etc/passwd"], [], "", "no filter named"),
        (["../fast/any.safetensors"], [], "", "no filter named"),
        ([NAME[:-1] + "x"], [], "", f"did you mean {NAME}"),
    ],
)
def test_wrong_styles(desk, named, paintings, shares, message):
    with pytest.raises(Wrong, match=message) as error:
        sources.styles(desk, named, paintings, shares, "styles")
    assert error.value.field == "styles"


def test_a_filter_of_this_desk_is_not_one_of_another(desk, tmp_path):
    mine = tmp_path / "mine.safetensors"
    known = filters.named(NAME)
    filters.save(mine, filters.Style("mine", known.code, known.moments, known.net))
    assert learn.take_in(desk, str(mine)) == "mine"
    assert sources.styles(desk, ["mine"], [], "", "styles")[0].name == "mine"
    with pytest.raises(Wrong, match="no filter named 'mine'"):
        sources.styles(Desk(tmp_path / "other"), ["mine"], [], "", "styles")


def test_a_file_that_is_no_filter_is_said_to_be_none(desk, files):
    with pytest.raises(Wrong, match=r"photo\.png"):
        learn.take_in(desk, files[0])


def test_pictures_are_limited_and_called_by_name(desk, files, monkeypatch):
    monkeypatch.setattr(sources, "PIXELS", 1000)
    with pytest.raises(Wrong, match=r"photo\.png") as error:
        sources.picture(desk, files[0], "photo", "")
    assert str(desk.folder.parent) not in str(error.value)


def asked(files, **changed):
    settings = {"strength": 0.6, "size": 128, "quality": "draft", "style_scale": 1.5, "preserve_color": "luminance"}
    settings |= {"time": 0, "seed": 3}
    values = {"photo": files[0], "named": [NAME], "paintings": [], "shares": "", "settings": settings, **changed}
    return photo.Asked(**values)


def made(desk, files, **changed):
    work = photo.begin(desk, asked(files, **changed))
    list(work.steps())
    return work.finish(False)


def test_a_picture_made_here_brings_its_settings_back(desk, files):
    result = made(desk, files, named=[NAME], paintings=files[1:], shares="3, 1")
    found = sources.restored(desk, str(result.file))
    wanted = {"strength": 0.6, "size": 128, "quality": "draft", "style_scale": 1.5, "preserve_color": "luminance", "seed": 3}
    assert wanted.items() <= found.items()
    assert found["photo"] == files[0]
    assert (found["named"], found["paintings"], found["lost"]) == ([NAME], files[1:], [])
    assert found["shares"] == "0.75, 0.25"


def test_elsewhere_what_is_not_at_hand_is_named(desk, files, tmp_path):
    result = made(desk, files, named=[], paintings=files[1:])
    found = sources.restored(Desk(tmp_path / "other"), str(result.file))
    assert found["photo"] is None
    assert found["lost"] == ["painting.png"]
    assert "named" not in found


@pytest.mark.parametrize(
    "told",
    [
        {"verb": "image", "settings": {"size": "²"}, "content": ["no"], "styles": "no"},
        {"verb": "image", "settings": {"strength": "<b>"}},
        {"verb": "image", "settings": {"quality": "nonsense"}},
        {"verb": "image", "settings": []},
    ],
)
def test_a_recipe_that_anybody_wrote_does_no_harm(desk, tmp_path, picture, told):
    io.save(io.load(picture(1, 32, 32)), tmp_path / "a.png", recipe=told)
    found = sources.restored(desk, str(tmp_path / "a.png"))
    nothing = {"named": [], "paintings": [], "shares": "", "photo": None, "lost": []}
    assert found in (None, nothing)


def test_an_emptied_field_is_its_default():
    found = sources.settings("settings", size=None, seed=None, time=None, quality="draft")
    assert (found.size, found.seed, found.time, found.quality) == ("512", 0, 0, "draft")


def test_a_photograph_brings_nothing_back(desk, files):
    assert sources.restored(desk, files[0]) is None


def test_the_recipe_names_files_and_no_folder(desk, files):
    text = str(made(desk, files).recipe)
    assert "'photo.png'" in text
    assert str(desk.folder.parent) not in text


def strokes(*regions):
    return {"layers": [layer(*regions, shape=(72, 96))], "background": None, "composite": None}


def test_what_is_to_stay_stays_and_the_rest_is_painted(desk, files):
    editor = strokes((slice(0, 72), slice(0, 48), "red", 255))
    result = made(desk, files, editor=editor, places={"red": photo.LEAVE})
    image, content = io.load(result.file).image, io.load(files[0]).image
    content = torch.nn.functional.interpolate(content, image.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
    difference = (image - content).abs().mean(1)[0]
    assert float(difference[:, :56].max()) < 2 / 255
    assert float(difference[:, 72:].mean()) > 0.02


def test_a_region_has_its_own_style_and_is_said_to_be_painted_by_hand(desk, files):
    editor = strokes((slice(0, 72), slice(0, 48), "red", 255))
    result = made(desk, files, editor=editor, places={"red": filters.names()[1]})
    assert [each["source"] for each in result.recipe["styles"]] == [NAME, filters.names()[1]]
    assert result.recipe["regions"] == sources.GIVEN
    whole = made(desk, files)
    both = [io.load(each.file).image for each in (result, whole)]
    difference = (both[0] - both[1]).abs().mean(1)[0]
    assert float(difference[:, :56].mean()) > 0.02
    assert float(difference[:, 76:].max()) < 2 / 255


def test_a_color_that_stands_for_nothing_is_asked_about(desk, files):
    editor = strokes((slice(0, 72), slice(0, 48), "red", 255))
    with pytest.raises(Wrong, match="you painted with red") as error:
        photo.begin(desk, asked(files, editor=editor, places={"red": None}))
    assert error.value.field == "regions"


def test_a_painting_stopped_while_it_is_coarse_is_the_filters(desk, files):
    settings = {**asked(files).settings, "quality": "good", "size": 512}
    work = photo.begin(desk, asked(files, settings=settings))
    steps = work.steps()
    first = next(steps)
    steps.close()
    assert max(first.size) < photo.SHOWN * 512
    assert first.preview is None
    kept = work.finish(True)
    assert kept.recipe["settings"]["quality"] == "draft"
    assert "filter's picture" in kept.note
    whole = made(desk, files, settings={**settings, "quality": "draft"})
    assert kept.file.read_bytes() == whole.file.read_bytes()


def test_a_map_drawn_in_the_page(desk, files, tmp_path):
    colors = torch.tensor([[0.0, 0, 1], [1, 1, 0]])
    chart = colors[(torch.arange(96)[None] < 32).long().expand(72, 96)].permute(2, 0, 1)
    io.save(io.load(chart), tmp_path / "chart.png")
    found, size = doodle.palette(desk, str(tmp_path / "chart.png"))
    assert found == ["#0000ff", "#ffff00"]
    assert size == (480, 640)
    sheet = doodle.canvas(desk, found[0], size)
    assert np.asarray(io.load(sheet["background"]).numpy(8))[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("editor", [None, {"composite": None}, {"composite": np.zeros((4, 4, 4), np.uint8)}])
def test_an_empty_map_is_asked_for(editor):
    with pytest.raises(Wrong, match="map is empty") as error:
        doodle.drawn(editor)
    assert error.value.field == "drawing"


@pytest.mark.parametrize(("text", "name"), [("My Painting (2)", "my-painting-2"), ("***", "style"), ("Äpfel", "pfel")])
def test_names_of_filters(text, name):
    assert learn.plain(text) == name
