"""Recipes: taken over with --recipe, and turned back into a command."""

import json
import shlex
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from safetensors.torch import save_file

from impasto.cli import options, presets, reproduce, words
from impasto.errors import PictureError
from impasto.features import weights
from impasto.paint.settings import Settings
from impasto.pixels import io, recipe

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/:="), min_size=1).filter(lambda name: name not in "-..")
SETTINGS = st.builds(
    Settings,
    size=st.sampled_from(["64", "100x50", "full"]),
    quality=st.sampled_from(["draft", "best"]),
    strength=st.floats(0, 1),
    steps=st.sampled_from(["", "12", "64:3,90:2"]),
    style_weight=st.floats(0, 1e9),
    content_weight=st.floats(0, 1e9),
    style_scale=st.floats(0.05, 20),
    style_layers=st.just(("relu1_1", "input")),
    style_layer_weights=st.tuples(st.floats(0.1, 1e3), st.floats(0, 1e3)),
    init=NAMES,
    seed=st.integers(0, 2**40),
    encoder=NAMES,
)


def made(settings, styles, content="photo.png", **more):
    entries = [{"source": source, "weight": weight, "sha256": ""} for source, weight in styles]
    return {
        "version": "0",
        "verb": "image",
        "settings": settings.as_dict(),
        "content": {"source": content},
        **more,
        "styles": entries,
    }


def save(place, name, found):
    io.save(io.load("photo.png"), place / name, recipe=found, force=True)
    return name


@given(SETTINGS, st.lists(st.tuples(NAMES, st.floats(1e-6, 1e6)), min_size=2, max_size=3), NAMES)
@hypothesis(max_examples=60, deadline=None)
def test_the_command_says_all_that_the_recipe_says(settings, styles, content):
    line = shlex.split(reproduce.command(made(settings, styles, content), "o.png"))
    assert line[:2] == ["impasto", "image"]
    assert line[-1] == content
    said = list(zip(line[2:-1:2], line[3:-1:2], strict=False))  # a value may look like an option, and -- may come before the end
    assert [words.parse_style(value)[:2] for name, value in said if name == "--style"] == styles
    found = {name.removeprefix("--").replace("-", "_"): value for name, value in said}
    chosen = {name: options.setting(name, value) for name, value in found.items() if name in options.SETTINGS}
    assert Settings(**chosen) == settings


def test_the_command_makes_the_same_recipe(place, engine, impasto):
    line = ("image", "photo.png", "-s", "style.png:0.3", "-s", "other.png:0.5", "--bits", 16, "--strength", 0.1, "--size", 80)
    masks = ("--mask", "keep=photo.png", "--mask", "color=b.png")
    assert impasto(*line, *masks, "-o", "my out.png").code == 0
    command = impasto("inspect", "my out.png", "--reproduce")
    assert command.code == 0
    words = shlex.split(command.out)
    assert words[0] == "impasto"
    assert "my out-again.png" in words
    assert impasto(*words[1:]).code == 0
    assert (place / "my out-again.png").read_bytes() == (place / "my out.png").read_bytes()
    assert json.loads(impasto("inspect", "my out.png", "--reproduce", "--json").out) == {
        "file": "my out.png",
        "command": command.out.strip(),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("-s", "top=style.png", "-s", "other.png", "--mask", "top=half.png"),
        ("-s", "style.png", "--content-map", "map.png", "--style-map", "map2.png"),
        ("-s", "style.png", "-s", "other.png", "--regions", "auto:2"),
    ],
)
def test_the_command_repeats_regions(place, engine, impasto, arguments, drawing):
    for name in ("half.png", "map.png", "map2.png"):
        image = io.load("photo.png")
        pixels = image.image.clone()
        pixels[..., :16, :], pixels[..., 16:, :] = 1.0, 0.0
        io.save(image.with_image(pixels), place / name)
    ran = impasto("image", "photo.png", *arguments, "-o", "o.png")
    assert ran.code == 0, ran.err
    assert len(engine.begun[0].regions["regions"]) == 2
    again = shlex.split(impasto("inspect", "o.png", "--reproduce").out)
    assert impasto(*again[1:]).code == 0
    assert (place / "o-again.png").read_bytes() == (place / "o.png").read_bytes()


def test_settings_and_styles_are_taken_over_and_what_is_said_wins(place, engine, impasto):
    settings = Settings(strength=0.3, steps="64:3", style_loss="gram", size="64")
    save(place, "old.png", made(settings, [("style.png", 0.25), ("other.png", 0.75)]))
    assert impasto("image", "b.png", "--recipe", "old.png", "-o", "o.png", "--strength", 0.5).code == 0
    painting = engine.begun[0]
    assert painting.settings == replace(settings, strength=0.5)
    assert [(style.name, style.weight) for style in painting.styles] == [("style.png", 0.25), ("other.png", 0.75)]
    assert painting.names["content"]["source"] == "b.png"
    assert impasto("image", "b.png", "--recipe", "old.png", "-s", "b.png", "-o", "o2.png").code == 0
    assert [style.name for style in engine.begun[1].styles] == ["b.png"]
    # even a value that is the default
    assert impasto("image", "b.png", "--recipe", "old.png", "-o", "o3.png", "--strength", 1, "--style-loss", "w2").code == 0
    assert engine.begun[2].settings == Settings(steps="64:3", size="64")


@pytest.mark.parametrize("option", [("--size", "128"), ("--quality", "best"), ("--time", "9s"), ("--steps", "5")])
def test_steps_that_were_counted_do_not_fit_other_sizes(place, option):
    save(place, "old.png", made(Settings(steps="64:3", size="64"), [("style.png", 1.0)]))
    name = option[0][2:]
    found, _ = presets.settings("old.png", {name: options.setting(name, option[1])})
    assert found.steps == ("5" if name == "steps" else "")
    save(place, "old.png", made(Settings(steps="64:3", size="full"), [("style.png", 1.0)]))
    assert presets.settings("old.png", {})[0].steps == ""


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"verb": "sheet"}, 2, "made by impasto 0 as 'sheet': "),
        ({"verb": None}, 2, "as None"),
        ({"settings": None}, 1, "damaged: it has no settings"),
        ({"settings": {"strength": 7}}, 1, "damaged: strength 7"),
        ({"settings": {"strength": "much"}}, 1, "damaged"),
        ({"styles": []}, 1, "does not name its styles"),
        ({"styles": [{"source": "", "weight": 1}]}, 1, "does not name its styles"),
        ({"styles": [{"source": "-", "weight": 1}]}, 1, "does not name its styles"),
        ({"styles": [{"name": "a"}]}, 1, "damaged: its styles"),
        ({"styles": 3}, 1, "damaged: its styles"),
        ({"places": ["sky", "sea"]}, 1, "damaged: its styles"),
    ],
)
def test_recipes_that_cannot_be_repeated(place, impasto, change, code, message):
    save(place, "old.png", {**made(Settings(), [("style.png", 1.0)]), **change})
    for arguments in (("inspect", "old.png", "--reproduce"), ("image", "b.png", "--recipe", "old.png", "-o", "o.png")):
        ran = impasto(*arguments)
        assert (ran.code, ran.out) == (code, "")
        assert message in ran.err
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["texture", "doodle"])
def test_settings_are_taken_over_from_pictures_only(place, impasto, verb):
    save(place, "old.png", {**made(Settings(), [("style.png", 1.0)]), "verb": verb})
    ran = impasto("image", "b.png", "--recipe", "old.png", "-o", "o.png")
    assert (ran.code, ran.out) == (2, "")
    assert f"old.png was made by impasto 0 as '{verb}': --recipe takes over what `impasto image` made" in ran.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verb": "texture"}, "does not name its exemplars"),
        ({"verb": "texture", "exemplars": [{"source": "-", "weight": 1}]}, "does not name its exemplars"),
        ({"verb": "texture", "exemplars": [{"source": "a.png", "weight": 1}], "maps": [{}]}, "not made from files alone"),
        ({"verb": "doodle"}, "not made from files alone"),
        ({"verb": "doodle", "map": {"source": "m.png"}, "style_maps": [{}]}, "not made from files alone"),
        ({"start": "given by the program"}, "not made from files alone"),
    ],
)
def test_what_was_no_file_cannot_be_named(change, message):
    with pytest.raises(PictureError, match=message):
        reproduce.command({**made(Settings(), [("style.png", 1.0)]), **change}, "o.png")


@pytest.mark.parametrize("content", [{}, None, {"source": ""}, {"source": "-"}])
def test_a_content_that_was_no_file_cannot_be_named(content):
    found = {**made(Settings(), [("style.png", 1.0)]), "content": content}
    with pytest.raises(PictureError, match="not made from files alone"):
        reproduce.command(found, "o.png")


def test_a_recipe_of_a_newer_version_is_used_with_a_warning(place, impasto):
    found = made(Settings(seed=3), [("style.png", 1.0)])
    found["settings"]["sparkle"] = 1
    save(place, "old.png", found)
    ran = impasto("inspect", "old.png", "--reproduce")
    assert ran.code == 0
    assert "--seed 3" in ran.out
    assert "does not know sparkle" in ran.err


def test_pictures_without_a_recipe(place, impasto):
    for arguments in (
        ("inspect", "b.png"),
        ("inspect", "b.png", "--reproduce"),
        ("image", "b.png", "--recipe", "b.png", "-o", "o"),
    ):
        ran = impasto(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert "carries no recipe" in ran.err


def test_inspect_shows_recipes_and_one_bad_file_does_not_stop_the_rest(place, impasto):
    found = made(Settings(), [("style.png", 1.0)])
    save(place, "old.png", found)
    assert json.loads(impasto("inspect", "old.png").out) == found
    ran = impasto("inspect", "none.png", "old.png", "b.png", "old.png", "--json")
    assert ran.code == 1
    assert [json.loads(line) for line in ran.lines] == [{"file": "old.png", **found}] * 2
    assert "none.png" in ran.err
    assert recipe.read("old.png") == found


def test_inspect_shows_the_passport_of_a_style(place, impasto):
    weights.save(place / "mine.safetensors", {"code": torch.zeros(1, 2)}, {"kind": "style", "title": "A test"})
    told = json.loads(impasto("inspect", "mine.safetensors", "--json").out)
    assert (told["file"], told["kind"], told["title"]) == ("mine.safetensors", "style", "A test")
    assert told["sha256"]
    for line in (
        ("inspect", "mine.safetensors", "--reproduce"),
        ("image", "b.png", "--recipe", "mine.safetensors", "-o", "o.png"),
    ):
        ran = impasto(*line)
        assert (ran.code, ran.out) == (1, "")
        assert "mine.safetensors holds weights, with a passport" in ran.err
    (place / "cut.safetensors").write_bytes((place / "mine.safetensors").read_bytes()[:-1])
    assert "not a readable safetensors file" in impasto("inspect", "cut.safetensors").err
    save_file({"weight": torch.zeros(2)}, place / "foreign.safetensors")
    assert "carries no passport" in impasto("inspect", "foreign.safetensors").err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.onnx", "is an exported filter"),
        ("box.obj", "has no place for a recipe"),
        ("notes.txt", "nothing that impasto makes"),
        ("net.mlpackage/", "is an exported filter"),
    ],
)
def test_inspect_says_what_it_reads(place, impasto, name, said):
    if name.endswith("/"):
        (place / name).mkdir()
    else:
        (place / name).write_text("something")
    ran = impasto("inspect", name)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err
    assert "passports from style and weight files (.safetensors)" in ran.err
    (place / "broken.png").write_text("no picture")
    assert "damaged or not a picture" in impasto("inspect", "broken.png").err


def filmed(**more):
    """The recipe of a clip."""
    styles = [
        {"source": "a b.jpg", "weight": 0.25, "sha256": "", "place": "sky", "time": 0.0},
        {"source": "scream", "weight": 1.0, "sha256": "", "place": "sky", "time": 1.5},
    ]
    settings = {"size": "full", "quality": "good", "strength": "0@0s,1@4s", "temporal": "smooth", "rate": "25", "seed": 0}
    found = {"version": "0", "verb": "video", "settings": settings, "content": {"source": "s/a.####.png"}, "bits": 16}
    return {**found, "masks": {"sky": "sky.mkv"}, "styles": styles, **more}


def test_the_command_of_a_clip_says_all_that_its_recipe_says():
    assert shlex.split(reproduce.command(filmed(), "out.mp4")) == [
        "impasto", "video", "--style", "sky=a b.jpg:0.25@0.0s", "--style", "sky=scream:1.0@1.5s", "--mask", "sky=sky.mkv",
        "--size", "full", "--strength", "0@0s,1@4s", "--temporal", "smooth", "--rate", "25", "--bits", "16",
        "-o", "out-again.mp4", "s/a.####.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "again"),
    [("d/f.0012.png", "d/f-again.####.png"), ("shot2.001.exr", "shot2-again.###.exr"), ("2.mp4", "2-again.mp4")],
)
def test_a_frame_stands_for_its_sequence(file, again):
    assert again in shlex.split(reproduce.command(filmed(), file))


@pytest.mark.parametrize("styles", [[{"source": "a"}], 3, [{"source": "a", "weight": 1, "time": "x"}], ["a"]])
def test_damaged_styles_of_a_clip_are_told(styles):
    with pytest.raises(PictureError, match="damaged: its styles"):
        reproduce.command(filmed(styles=styles), "o.mp4")


def test_what_cannot_be_repeated_is_said_and_what_can(place, impasto, monkeypatch):
    from impasto.mesh import gltf

    monkeypatch.setattr(gltf, "recipe", lambda path: {"version": "0", "verb": "carve"})
    ran = impasto("inspect", "c2.glb", "--reproduce")
    assert (ran.code, ran.out) == (2, "")
    assert "c2.glb was made by impasto 0 as 'carve'" in ran.err
    verbs = " or ".join(f"`impasto {verb}`" for verb in ("image", "texture", "doodle", "video", "mesh"))
    assert f"can repeat what {verbs} made" in ran.err
