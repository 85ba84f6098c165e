import json
import os
import shlex
import signal

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from impasto.cli import reproduce
from impasto.cli.texture import spelled
from impasto.paint import regions
from impasto.paint import texture as engine
from impasto.pixels import io, recipe

SIDE = 40


@pytest.fixture
def quick(narrow):
    """Options of a texture that takes no time."""
    return ("--encoder", narrow, "--precision", "fp32", "--device", "cpu", "--steps", "3", "--size", str(SIDE))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a.jpg --tile -o b.png", "a.jpg --tile=xy -o b.png"),
        ("--tile a.jpg", "--tile=xy a.jpg"),
        ("a.jpg --tile x -o b", "a.jpg --tile x -o b"),
        ("a.jpg -o b --tile", "a.jpg -o b --tile=xy"),
        ("-- --tile", "-- --tile"),
    ],
)
def test_tile_may_stand_alone(line, found):
    assert list(spelled(line.split())) == found.split()


def test_a_texture_is_written_with_its_recipe(impasto, place, quick):
    ran = impasto("texture", "photo.png", "--tile", "-o", "out.png", *quick)
    assert (ran.code, ran.lines) == (0, ["out.png"])
    assert io.load("out.png").size == (SIDE, SIDE)
    told = recipe.read("out.png")
    assert (told["verb"], told["tile"], told["exemplars"][0]["source"]) == ("texture", "xy", "photo.png")
    again = impasto("texture", "photo.png", "-o", "out.png", *quick)
    assert again.code == 1
    assert "exists already" in again.err
    assert impasto("texture", "photo.png", "-o", "out.png", "--force", *quick).code == 0


def test_json_tells_of_it(impasto, place, quick):
    ran = impasto("texture", "photo.png", "b.png:0.4", "-o", "out.png", "--json", "--quiet", *quick)
    told = json.loads(ran.out)
    assert told["exemplars"] == ["photo.png", "b.png"]
    assert told["finished"] is True
    assert ran.err == ""


def test_exemplars_have_places(impasto, place, quick):
    mask = PILImage.new("L", (20, 20))
    mask.paste(255, (0, 0, 10, 20))
    mask.save("mask.png")
    ran = impasto("texture", "left=photo.png", "b.png", "--mask", "left=mask.png", "-o", "out.png", *quick)
    assert ran.code == 0, ran.err
    assert recipe.read("out.png")["places"] == ["left", ""]


def test_maps_are_carried_along_with_their_depth(impasto, place, quick):
    values = np.linspace(0, 65535, 40 * 32).reshape(32, 40).astype(np.uint16)
    PILImage.fromarray(values).save("photo_height.png")
    PILImage.open("b.png").save("normal.tif")
    line = ("texture", "photo.png", "--with", "photo_height.png", "--with", "normal.tif", "-o", "out.png")
    ran = impasto(*line, *quick)
    assert ran.lines == ["out.png", "out-height.png", "out-normal.tif"]
    height = io.load("out-height.png")
    assert height.size == (SIDE, SIDE)
    assert height.bits == 16
    assert recipe.read("out-height.png")["map"]["source"] == "photo_height.png"
    # the second file is in the way before any work
    os.remove("out.png")
    ran = impasto(*line, *quick)
    assert ran.code == 1
    assert not os.path.exists("out.png")


def test_interrupted_it_goes_on(impasto, place, quick, monkeypatch):
    impasto("texture", "photo.png", "-o", "whole.png", *quick)
    steps = engine.Texture.steps

    def interrupted(self, **more):
        for step in steps(self, **more):
            if step.index == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    monkeypatch.setattr(engine.Texture, "steps", interrupted)
    assert impasto("texture", "photo.png", "-o", "out.png", *quick).code == 130
    monkeypatch.setattr(engine.Texture, "steps", steps)
    assert os.path.exists("out.png.state.safetensors")
    refused = impasto("texture", "photo.png", "-o", "out.png", *quick)
    assert refused.code == 1
    assert "--resume" in refused.err
    assert impasto("texture", "photo.png", "-o", "out.png", "--resume", *quick).code == 0
    assert not os.path.exists("out.png.state.safetensors")
    assert np.array_equal(io.load("out.png").numpy(8), io.load("whole.png").numpy(8))
    assert impasto("texture", "photo.png", "-o", "out.png", "--resume", *quick).code == 0


@pytest.mark.parametrize(
    "line",
    [
        ["photo.png", "--tile", "--seed", "3", "--style-scale", "0.8"],
        ["--tile", "x", "--size", "48x40", "--init", "noise", "--", "-photo.png:0.3", "b.png:2"],
        ["left=photo.png:0.2", "b.png", "--mask", "left=mask.png", "--bits", "16", "--steps", "40:2"],
        ["photo.png", "--with", "photo_height.png", "--with", "normal.tif"],
    ],
)
def test_the_command_makes_the_same_bytes(impasto, place, quick, line):
    mask = PILImage.new("L", (20, 20))
    mask.paste(255, (0, 0, 10, 20))
    mask.save("mask.png")
    for name in ("-photo.png", "photo_height.png"):
        (place / name).write_bytes((place / "photo.png").read_bytes())
    PILImage.open("photo.png").save("normal.tif")
    written = impasto("texture", *quick, "-o", "out.png", *line).lines
    assert written[0] == "out.png"
    command = impasto("inspect", "out.png", "--reproduce").out
    ran = impasto(*shlex.split(command)[1:])
    assert (ran.code, ran.lines) == (0, [name.replace("out", "out-again") for name in written]), ran.err
    for name in written:
        assert (place / name.replace("out", "out-again")).read_bytes() == (place / name).read_bytes()
        # of a map, its texture's
        told = impasto("inspect", name, "--reproduce").out
        assert told == command.replace("out-again.png", f"out-again{name[-4:]}")


def test_what_only_a_program_knows_cannot_be_made_again(impasto, place, narrow):
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., :20] = 1
    found = regions.from_masks((40, 40), {"left": mask}, ["left", None])
    made = engine.synthesize(
        ["photo.png", "b.png"], regions=found, size=40, steps=1, encoder=narrow, precision="fp32", strength=0.5
    )
    made.save("out.png")
    ran = impasto("inspect", "out.png", "--reproduce")
    assert (ran.code, ran.out) == (1, "")
    assert "a program gave what its recipe cannot name" in ran.err
    # settings of a photograph, which do not count, have no flags
    line = reproduce.command({**made.recipe, "regions": None}, "out.png")
    assert "--encoder" in line
    assert "--strength" not in line
    # a map that a program carried along
    line = reproduce.command({**made.recipe, "regions": None, "map": {"source": "photo_height.tif"}}, "out-height.tif")
    assert shlex.split(line)[2:4] == ["--with", "photo_height.tif"]
    assert "-o out-again.tif" in line


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["missing.png"], 1, "missing.png"),
        (["photo.png", "--strength", "0.5"], 2, "strength"),
        (["photo.png", "--tile=y"], 2, "'y'"),
        (["photo.png", "b.png", "--with", "other.png"], 2, "one exemplar"),
        (["photo.png", "--with", "small.png"], 1, "20 x 10 px"),
        (["photo.png", "--with", "missing.png"], 1, "missing.png"),
        (["photo.png", "--mask", "keep=b.png"], 2, "photograph"),
        (["sky=photo.png"], 2, "sky"),
        (["small.png"], 1, "16 px a side"),
        (["photo.png", "--size", "8"], 1, "8 x 8 px"),
        (["photo.png", "--resume", "--force"], 2, "one of them"),
        (["photo.png", "--resume"], 2, "nothing to go on with"),
    ],
)
def test_what_cannot_be_is_said(impasto, place, drawing, quick, line, code, words):
    drawing(place / "small.png", size=(20, 10))
    ran = impasto("texture", *quick, *line, "-o", "out.png")
    assert (ran.code, words in ran.err) == (code, True), ran.err
    assert not os.path.exists("out.png")


def test_a_map_is_not_overwritten_by_the_texture(impasto, place, quick):
    before = (place / "b.png").read_bytes()
    ran = impasto("texture", "photo.png", "--with", "b.png", "-o", "b.png", "--force", *quick)
    assert ran.code == 2
    assert "both read and written" in ran.err
    assert (place / "b.png").read_bytes() == before


@pytest.mark.parametrize("line", [("photo.png", "--tile", "stones"), ("starry-night",), ("photo.png", "starry.safetensors")])
def test_what_is_no_exemplar_is_said_to_be_none(impasto, place, line):
    ran = impasto("texture", *line, "-o", "e.png")
    assert (ran.code, ran.out) == (2, "")
    assert f"there is no exemplar '{line[-1]}'" in ran.err
    assert "styles list" not in ran.err


@pytest.mark.parametrize("line", [("photo.png", "--tile", "y"), ("--tile", "z", "photo.png"), ("photo.png", "--tile=yx")])
def test_a_way_of_repeating_that_there_is_not_is_named(impasto, place, line):
    ran = impasto("texture", *line, "-o", "e.png")
    assert (ran.code, ran.out) == (2, "")
    assert "a texture repeats in both directions (--tile) or sideways (--tile x)" in ran.err
