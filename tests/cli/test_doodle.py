"""`impasto doodle` as it is typed: what it says, writes and refuses."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image as PILImage

from impasto.cli import report
from impasto.errors import OutputError
from impasto.paint.doodle import Doodle
from impasto.pixels import io, recipe

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 190, 0)


def draw_map(path, left, right, size=(48, 36)):
    image = PILImage.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    image.save(path, quality=80)
    return path


@pytest.fixture
def doodle(impasto, place, narrow):
    """`doodle("mine.png", ...)`: run with style.png and its map at 32 px in two steps, into out.png."""
    draw_map(place / "mine.png", RED, BLUE)
    draw_map(place / "style_map.png", BLUE, RED, (40, 32))
    quick = ("--size", 32, "--steps", 2, "--encoder", narrow, "--precision", "fp32")
    styles = ("--style", "style.png", "--style-map", "style_map.png")

    def run(*arguments, style=styles, output="out.png"):
        return impasto("doodle", *style, *quick, "-o", output, *arguments)

    return run


def test_a_map_is_painted_with_its_recipe(doodle):
    ran = doodle("mine.png")
    assert (ran.code, ran.out) == (0, "out.png\n")
    found = recipe.read("out.png")
    assert found["verb"] == "doodle"
    assert found["map"]["source"] == "mine.png"
    assert [each["source"] for each in found["style_maps"]] == ["style_map.png"]
    assert io.load("out.png").size == (24, 32)


def test_json_tells_what_it_was_made_from(doodle):
    draw_map("mine.jpg", RED, BLUE)
    ran = doodle("mine.jpg", "--json", "--quiet")
    assert ran.err == ""
    told = json.loads(ran.out)
    assert (told["output"], told["map"], told["finished"], told["steps"]) == ("out.png", "mine.jpg", True, "32:2")
    assert "mine.jpg: blends and near shades" in told["notes"][0]


def test_what_was_snapped_is_said(doodle):
    draw_map("mine.jpg", (250, 8, 0), BLUE)
    err = doodle("mine.jpg").err
    assert "impasto: mine.jpg: blends and near shades" in err
    assert "(red) is taken for #ff0000 (red) of the style maps" in err


def test_a_photograph_and_several_styles(doodle):
    more = (
        "--style",
        "style.png:0.7",
        "--style",
        "other.png:0.3",
        "--style-map",
        "style_map.png",
        "--style-map",
        "style_map.png",
    )
    PILImage.fromarray(np.full((36, 48, 3), 90, np.uint8)).save("photo.png")
    assert doodle("mine.png", "--content", "photo.png", "--way", "patches", style=more).code == 0
    found = recipe.read("out.png")
    assert found["content"]["source"] == "photo.png"
    assert [style["weight"] for style in found["styles"]] == [0.7, 0.3]
    assert found["way"] == "patches"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("green.png",), "green.png has #00be00 (green), which no style map has (there are "),
        (("photo.png",), "photo.png is no map of flat colors"),
        (("gone.png",), "gone.png"),
        ((), "no map: impasto doodle MAP"),
        (("mine.png", "--style-map", "mine.png"), "2 style maps for 1 styles"),
        (("mine.png", "--strength", "0.5"), "give --content"),
        (("mine.png", "--way", "fast"), "way 'fast' is not one of both, patches, statistics"),
        (("mine.png", "--suggest-map", "style.png"), "--suggest-map makes a map of a painting and nothing else"),
        (("mine.png", "--resume", "--force"), "give one of them"),
        (("mine.png", "--preview", "mine.png"), "mine.png is both read and written"),
        (("mine.png", "--content", "style_map.png"), "mine.png is 48 x 36 px, its picture 40 x 32"),
        (("-", "--content", "-"), "- stands for stdin, which can be read once only"),
        ((".",), "one map at a time"),
    ],
)
def test_what_is_refused(doodle, place, arguments, said):
    draw_map(place / "green.png", GREEN, BLUE)
    noisy = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    PILImage.fromarray(noisy).save(place / "photo.png")
    ran = doodle(*arguments)
    assert ran.code in (report.USAGE, report.FAILED)
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (place / "out.png").exists()


def test_what_is_there_is_kept(doodle, place):
    doodle("mine.png")
    before = (place / "out.png").read_bytes()
    assert doodle("mine.png", "--seed", 3).code == report.FAILED
    assert (place / "out.png").read_bytes() == before
    again = doodle("mine.png", "--seed", 3, "--resume", "--json")
    assert (again.code, json.loads(again.out)["finished"]) == (0, True)
    assert doodle("mine.png", "--seed", 3, "--force").code == 0
    assert (place / "out.png").read_bytes() != before


def test_stopped_and_gone_on_with_it_is_the_same_picture(doodle, place, monkeypatch):
    doodle("mine.png", output="whole.png")
    steps = Doodle.steps

    def stopping(self, **more):
        for step in steps(self, **more):
            if step.losses:
                signal = next(iter(report.SIGNALS))
                report.signal.raise_signal(signal)
            yield step

    with monkeypatch.context() as patched:
        patched.setattr(Doodle, "steps", stopping)
        ran = doodle("mine.png")
    assert ran.code == report.INTERRUPTED
    assert (place / "out.png.state.safetensors").exists()
    assert "is unfinished: --resume goes on with it" in doodle("mine.png").err
    assert doodle("mine.png", "--resume").code == 0
    assert not (place / "out.png.state.safetensors").exists()
    assert np.array_equal(io.load("out.png").numpy(8), io.load("whole.png").numpy(8))


@pytest.mark.parametrize(
    "arguments",
    [
        ("mine.png", "--seed", 3, "--bits", 16),
        ("mine.png", "--content", "photo.png", "--strength", 0.6, "--semantic-weight", "inf"),
        ("--way", "statistics", "--init", "content", "--", "-mine.png"),
        ("mine.png", "--way", "patches", "--semantic-weight", 0.5, "--quality", "draft"),
    ],
)
def test_the_command_makes_the_same_bytes(doodle, impasto, place, arguments):
    PILImage.fromarray(np.full((36, 48, 3), 90, np.uint8)).save("photo.png")
    (place / "-mine.png").write_bytes((place / "mine.png").read_bytes())
    styles = (
        "--style",
        "style.png:0.7",
        "--style-map",
        "style_map.png",
        "--style",
        "other.png:2",
        "--style-map",
        "style_map.png",
    )
    assert doodle(*arguments, style=styles).code == 0
    command = shlex.split(impasto("inspect", "out.png", "--reproduce").out)
    assert command[:2] == ["impasto", "doodle"]
    ran = impasto(*command[1:])
    assert (ran.code, ran.out) == (0, "out-again.png\n"), ran.err
    assert (place / "out-again.png").read_bytes() == (place / "out.png").read_bytes()


def test_the_command_of_what_was_stopped_makes_the_same_bytes(doodle, impasto, place, monkeypatch):
    """Stopped while patches were laid, they are all that there is."""
    steps = Doodle.steps

    def stopping(self, **more):
        for step in steps(self, **more):
            report.signal.raise_signal(report.SIGNALS[0])
            yield step

    with monkeypatch.context() as patched:
        patched.setattr(Doodle, "steps", stopping)
        assert doodle("mine.png").code == report.INTERRUPTED
    command = shlex.split(impasto("inspect", "out.png", "--reproduce").out)
    assert impasto(*command[1:]).code == 0
    assert (place / "out-again.png").read_bytes() == (place / "out.png").read_bytes()
    whole = doodle("mine.png", output="whole.png")
    assert (whole.code, doodle("mine.png", "--resume").code) == (0, 0)
    assert recipe.read("out.png")["way"] == "both"
    assert (place / "out.png").read_bytes() == (place / "whole.png").read_bytes()


def test_a_picture_is_saved_even_where_its_state_cannot_be(doodle, place, monkeypatch):
    steps = Doodle.steps

    def stopping(self, **more):
        for step in steps(self, **more):
            report.signal.raise_signal(report.SIGNALS[0])
            yield step

    def full(_self, path):
        raise OutputError(f"the state cannot be written to {path}: no space")

    monkeypatch.setattr(Doodle, "steps", stopping)
    monkeypatch.setattr(Doodle, "save_state", full)
    ran = doodle("mine.png")
    assert (ran.code, ran.out) == (report.INTERRUPTED, "out.png\n")
    assert "no space; the picture can be saved but not gone on with" in ran.err
    assert "--resume" not in ran.err


def test_a_preview_is_written(doodle, place, monkeypatch):
    monkeypatch.setattr("impasto.cli.report.PREVIEW_SECONDS", 0.0)
    assert doodle("mine.png", "--preview", "now.png").code == 0
    assert io.load("now.png").size == (24, 32)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--resume", "--bits", 16, "--preview", "p.png"), "leave --resume, --preview, --bits out"),
        (("--size", 64, "--way", "patches", "--semantic-weight", 2), "leave --size, --way, --semantic-weight out"),
    ],
)
def test_what_says_how_to_paint_is_refused_where_a_map_is_suggested(impasto, place, more, said):
    ran = impasto("doodle", "--suggest-map", "style.png", "-o", "map.png", *more)
    assert (ran.code, ran.out) == (report.USAGE, "")
    assert said in ran.err
    assert not (place / "map.png").exists()


def test_a_map_is_not_suggested_over_its_painting(impasto, place):
    before = (place / "style.png").read_bytes()
    ran = impasto("doodle", "--suggest-map", "style.png", "-o", "style.png", "--force")
    assert (ran.code, ran.out) == (report.USAGE, "")
    assert "both read and written" in ran.err
    assert (place / "style.png").read_bytes() == before


def test_a_map_is_suggested(impasto, place):
    painting = PILImage.new("RGB", (64, 48), (120, 170, 240))
    painting.paste((90, 120, 40), (0, 28, 64, 48))
    painting.save("scene.png")
    ran = impasto("doodle", "--suggest-map", "scene.png", "--colors", 3, "-o", "map.png")
    assert (ran.code, ran.out) == (0, "map.png\n")
    assert 2 <= len(PILImage.open("map.png").getcolors()) <= 3
    told = recipe.read("map.png")
    assert (told["verb"], told["content"]["source"], told["settings"]) == ("suggest-map", "scene.png", {"colors": 3})
    assert impasto("doodle", "--suggest-map", "scene.png", "-o", "map.png").code == report.FAILED
    assert "2 to 16 can" in impasto("doodle", "--suggest-map", "scene.png", "--colors", 1, "-o", "new.png").err
    assert "gone.png" in impasto("doodle", "--suggest-map", "gone.png", "-o", "new.png").err
