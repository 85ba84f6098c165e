"""Masks and regions as the command line names them."""

import pytest
import torch

from impasto.cli import places
from impasto.cli.places import Places
from impasto.cli.shelf import KEPT, Shelf
from impasto.cli.words import StyleWord
from impasto.errors import UsageError
from impasto.pixels import io


def parse(masks=(), content_map="", style_maps=(), regions="", show=""):
    return places.parse(masks, content_map, style_maps, regions, show)


def test_what_the_options_say():
    assert parse() == Places()
    assert parse(["sky=a.png", "keep=b.png"]).named == {"sky": "a.png"}
    assert parse(regions="auto:4").count == 4


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"masks": ["sky"]}, "NAME=FILE"),
        ({"masks": ["a=1", "a=2"]}, "twice"),
        ({"regions": "4"}, "is not auto:N"),
        ({"regions": "auto:"}, "is not auto:N"),
        ({"masks": ["sky=a"], "regions": "auto:2"}, "--mask and --regions both"),
        ({"content_map": "a", "style_maps": ["b"], "regions": "auto:2"}, "--content-map and --regions both"),
        ({"content_map": "a"}, "go together"),
        ({"style_maps": ["a"]}, "go together"),
        ({"show": "a.png"}, "nothing to show"),
        ({"show": "a.png", "masks": ["keep=a"]}, "nothing to show"),
    ],
)
def test_options_that_contradict(said, message):
    with pytest.raises(UsageError, match=message):
        parse(**said)


@pytest.mark.parametrize(
    ("found", "mix", "each", "message"),
    [
        (Places(), [StyleWord("a", 1, "sky")], False, "there are: none"),
        (Places({"sea": "x"}), [StyleWord("a", 1, "sky")], False, "there are: sea"),
        (Places({"keep": "x"}), [StyleWord("a", 1, "keep")], False, "no --mask"),
        (Places({"sky": "x"}), [StyleWord("a", 1, "sky")], True, "by itself"),
        (Places(content_map="m", style_maps=("x",)), [StyleWord("a"), StyleWord("b")], False, "1 style maps for 2 styles"),
    ],
)
def test_places_and_styles_that_do_not_fit(found, mix, each, message):
    with pytest.raises(UsageError, match=message):
        places.check(found, [mix], each)


def test_masks_reach_the_engine(place, engine, impasto):
    image = io.load("photo.png")
    half = image.image.clone()
    half[..., :20], half[..., 20:] = 1.0, 0.0
    io.save(image.with_image(half), place / "half.png")
    masks = ("--mask", "left=half.png", "--mask", "strength=half.png", "--mask", "keep=photo.png")
    ran = impasto("image", "photo.png", "-s", "left=style.png", "-s", "other.png", *masks, "-o", "o.png")
    assert ran.code == 0, ran.err
    given = engine.begun[0].regions
    assert {region.sources for region in given["regions"]} == {((0, None),), ((1, None),)}
    torch.testing.assert_close(given["strength_mask"], half[:, :1])
    torch.testing.assert_close(given["keep"], image.image.mean(1, keepdim=True))
    assert "color_mask" not in given
    assert engine.begun[0].names["places"] == ["left", ""]
    assert list(engine.begun[0].names["masks"]) == ["left", "strength", "keep"]


def test_regions_are_drawn(place, engine, impasto):
    line = ("image", "photo.png", "-s", "style.png", "--regions", "auto:2", "--show-regions", "r.png")
    assert impasto(*line, "-o", "o.png").code == 0
    assert io.load("r.png").size[1] > 40
    assert impasto(*line, "-o", "o2.png").code == 0
    assert impasto("inspect", "r.png", "--reproduce").code == 2
    many = impasto("image", "photo.png", "b.png", *line[2:], "-o", "out/")
    assert many.code == 2
    assert "one picture" in many.err


def test_a_mask_of_another_shape_fails(place, engine, impasto, drawing):
    drawing(place / "wide.png", size=(200, 20))
    ran = impasto("image", "photo.png", "-s", "style.png", "--mask", "keep=wide.png", "-o", "o.png")
    assert (ran.code, ran.out) == (1, "")
    assert "200 x 20" in ran.err


def test_the_shelf_keeps_the_last_few(place, monkeypatch, drawing):
    opened = []
    monkeypatch.setattr("impasto.paint.pictures.opened", lambda source: opened.append(source) or (source, {}))
    shelf = Shelf()
    names = [f"{index}.png" for index in range(KEPT)]
    for name in [*names, names[0], "new.png", names[0], names[1]]:
        shelf.open(name)
    assert opened == [*names, "new.png", names[1]]


def test_alpha_counts_in_masks(tmp_path):
    pixels = torch.ones(1, 4, 20, 30)
    pixels[:, 3, :, 10:] = 0.0
    io.save(io.load(pixels), tmp_path / "m.png")
    mask = Shelf().mask(str(tmp_path / "m.png"))
    torch.testing.assert_close(mask, pixels[:, 3:])
