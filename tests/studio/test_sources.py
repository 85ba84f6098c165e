"""What people drop on the page: shares, styles by name, and what a recipe brings back."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("gradio", reason="the extra studio is not installed")

import gradio
from gradio.components.gallery import GalleryData, GalleryImage
from gradio.data_classes import ImageData

from impasto.fast import style as filters
from impasto.pixels import io
from impasto.studio import doodle, fields, learn, photo, sources
from impasto.studio.desk import Desk, Desks
from impasto.studio.fields import Studio
from impasto.studio.job import Wrong
from impasto.studio.queue import Queue

NAME = filters.names()[0]


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


@pytest.mark.parametrize("kind", [fields.Photograph, fields.Paintings])
def test_fields_hand_over_what_was_uploaded_also_when_gradio_makes_them_anew(kind, files):
    part = kind(label="a")
    anew = part.__class__(**{**part.constructor_args, "label": "b", "render": False})
    file = gradio.FileData(path=files[0])
    payload = GalleryData([GalleryImage(image=ImageData(path=files[0]))]) if kind is fields.Paintings else file
    wanted = files[:1] if kind is fields.Paintings else files[0]
    assert anew.preprocess(payload) == wanted
    assert anew.get_block_name() == kind.__base__(label="c").get_block_name()
    assert isinstance(anew, kind.__base__)


def test_no_files_are_written_beside_the_package():
    assert list(Path(fields.__file__).parent.glob("*.pyi")) == []


@pytest.fixture
def form(tmp_path):
    async def built():  # within a loop: without one Gradio makes its own, and does not close them
        with gradio.Blocks():
            return photo.build(Studio(Desks(tmp_path / "desks"), Queue()))

    return asyncio.run(built())


def dropped(form, desk, tmp_path, picture, **settings):
    """What the fields show of a picture with these settings, and what is said of it."""
    recipe = {"verb": "image", "settings": settings, "styles": [{"source": NAME, "weight": 1}]}
    io.save(io.load(picture(1, 32, 32)), tmp_path / "a.png", recipe=recipe)
    changes = photo._received(desk, form, str(tmp_path / "a.png"))
    values = {name: changes[part] for name, part in form.settings.items() if part in changes}
    return values, changes[form.easel.status]


def test_what_a_field_cannot_hold_is_said(form, desk, tmp_path, picture):
    values, said = dropped(form, desk, tmp_path, picture, size="4096", style_scale=0.1, strength=0.5)
    assert values == {"size": 2048, "style_scale": 0.25, "strength": 0.5}
    assert "Size was 4096, and 128 to 2048 are possible here: it is 2048 now." in said
    assert "Style scale was 0.1, and 0.25 to 4 are possible here: it is 0.25 now." in said
    assert "Strength" not in said
    assert desk.told in said


@pytest.mark.parametrize("size", ["full", "640x480"])
def test_sizes_that_are_not_one_number_are_said(form, desk, tmp_path, picture, size):
    values, said = dropped(form, desk, tmp_path, picture, size=size)
    assert values == {}
    assert f"Size was {size}, which is not one number: it stays as it was here." in said


def test_what_fits_needs_no_words(form, desk, tmp_path, picture):
    values, said = dropped(form, desk, tmp_path, picture, size="640", time=30.0)
    assert values == {"size": 640, "time": 30.0}
    assert "possible" not in said


def test_what_was_said_stays_beside_the_filters_picture(form, desk, files):
    changes = photo.glimpse(desk, form, asked(files), "Size was 4096.")
    assert "Size was 4096. This is the filter&#x27;s." in changes[form.easel.status]
    changes = photo.glimpse(desk, form, asked(files, shares="1, 2"), "Size was 4096.")
    assert "Size was 4096." in changes[form.easel.status]
    assert "2 shares for 1 styles" in changes[form.easel.wrong["styles"]]


@pytest.fixture
def twins(tmp_path, picture):
    """Two paintings of one name."""
    found = []
    for seed in (3, 4):
        (tmp_path / str(seed)).mkdir()
        found.append(str(tmp_path / str(seed) / "style.png"))
        io.save(io.load(picture(seed, 72, 96)), found[-1])
    return found


def test_files_of_one_name_are_told_apart(desk, files, twins):
    labels = sources.labels([*twins, files[1], twins[0]])
    assert labels == {"style.png": twins[0], "style.png (2)": twins[1], "painting.png": files[1]}
    result = made(desk, files, named=[], paintings=twins)
    assert result.caption == "photo in the style of style, style (2)"
    assert len({each["sha256"] for each in result.recipe["styles"]}) == 2


def test_a_style_that_is_there_twice_is_named_once(desk, files):
    found = sources.styles(desk, [NAME, NAME], files[1:], "", "styles")
    assert sources.titles(found) == f"{NAME}, painting"


def test_a_number_that_is_taken_is_not_given_again():
    assert list(sources.labels(["a/x.png", "b/x.png (2)", "c/x.png"])) == ["x.png", "x.png (2)", "x.png (3)"]


def test_an_emptied_field_is_its_default():
    found = sources.settings("settings", size=None, seed=None, time=None, quality="draft")
    assert (found.size, found.seed, found.time, found.quality) == ("512", 0, 0, "draft")


def test_a_photograph_brings_nothing_back(desk, files):
    assert sources.restored(desk, files[0]) is None


def test_the_recipe_names_files_and_no_folder(desk, files):
    text = str(made(desk, files).recipe)
    assert "'photo.png'" in text
    assert str(desk.folder.parent) not in text


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
