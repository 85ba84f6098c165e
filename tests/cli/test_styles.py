"""`impasto styles`, and styles by name on the command line."""

import json

import pytest
import torch
from PIL import Image as PILImage

from impasto import still
from impasto.fast import style
from impasto.pixels import geometry, io

REQUIRED = {"starry-night", "great-wave"}


def test_list_names_every_filter_and_where_it_comes_from(impasto):
    ran = impasto("styles", "list")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.lines] == style.names()
    assert len(style.names()) >= 16
    assert set(style.names()) >= REQUIRED
    assert any("The Starry Night, Vincent van Gogh, 1889" in line for line in ran.lines)


def test_list_as_json_is_one_line_a_filter_with_its_passport(impasto):
    found = [json.loads(line) for line in impasto("styles", "list", "--json").lines]
    assert [each["name"] for each in found] == style.names()
    for each in found:
        assert all(each[key] for key in ("title", "artist", "year", "rights", "training", "network", "sha256"))
        assert each["network"] == style.network().identity


def test_show_tells_of_one(impasto):
    ran = impasto("styles", "show", "great-wave")
    assert ran.code == 0
    assert "Hokusai" in ran.out
    assert "public domain" in ran.out


def test_an_unknown_name_suggests_the_nearest(impasto, place):
    for arguments in (["styles", "show", "starynight"], ["image", "photo.png", "--style", "stary-night", "-o", "out.png"]):
        ran = impasto(*arguments)
        assert ran.code == 2
        assert "did you mean 'starry-night'?" in ran.err
        assert not (place / "out.png").exists()


def test_a_sheet_shows_the_photograph_in_the_styles_asked_for(impasto, drawing, tmp_path):
    photo = drawing(tmp_path / "photo.png", size=(96, 72))
    ran = impasto("styles", "sheet", photo, "-s", "scream", "-s", "udnie", "--size", "96", "-o", tmp_path / "sheet.png", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["styles"] == ["scream", "udnie"]
    sheet = io.load(tmp_path / "sheet.png").image
    content = geometry.fit(io.load(photo).image, 96)
    for picture in (content, *(still.stylizer(name)(content) for name in ("scream", "udnie"))):
        assert shows(sheet, picture.clamp(0, 1)), "a picture is not on the sheet"
    again = impasto("styles", "sheet", photo, "-s", "scream", "-o", tmp_path / "sheet.png")
    assert again.code == 1
    assert "--force" in again.err


def test_a_sheet_does_not_replace_its_photograph(impasto, drawing, tmp_path):
    photo = drawing(tmp_path / "photo.png", size=(96, 72))
    before = photo.read_bytes()
    ran = impasto("styles", "sheet", photo, "-s", "scream", "-o", photo, "--force")
    assert ran.code == 2
    assert "both read and written" in ran.err
    assert photo.read_bytes() == before


def shows(sheet, picture):
    """Whether the picture stands somewhere on the sheet, to 8 bits."""
    height, width = picture.shape[-2:]
    windows = sheet.unfold(2, height, 1).unfold(3, width, 1)
    corner = (windows[..., 0, 0] - picture[..., 0, 0].view(1, 3, 1, 1)).abs().amax(1)[0] < 1.5 / 255
    places = [sheet[..., y : y + height, x : x + width] for y, x in corner.nonzero().tolist()]
    return any((place - picture).abs().max() < 1.5 / 255 for place in places)


def test_named_styles_and_pictures_mix_on_the_line(impasto, place, drawing):
    drawing(place / "large.png", 5, (96, 80))
    drawing(place / "scene.png", 6, (96, 80))
    line = ["image", "scene.png", "-s", "starry-night:0.6", "-s", "large.png:0.4", "--quality", "draft", "--size", "96"]
    assert impasto(*line, "-o", "out.png").code == 0
    mixed = still.stylizer([("starry-night", 0.6), ("large.png", 0.4)])(io.load("scene.png").image).clamp(0, 1)
    assert (io.load("out.png").image - mixed).abs().max() < 0.02  # looked at as 256 px there and 512 px here, and 8 bits
    recalled = impasto("image", "scene.png", "--recipe", "out.png", "-o", "again.png")
    assert recalled.code == 0
    assert torch.equal(io.load("again.png").image, io.load("out.png").image)


def test_a_file_wins_over_a_name(impasto, place):
    PILImage.open(place / "style.png").save(place / "scream", "PNG")
    ran = impasto("image", "photo.png", "-s", "scream", "--quality", "draft", "--size", "64", "-o", "out.png")
    assert ran.code == 1
    assert "too small" in ran.err, "the picture of 40 x 32 px was to be the style"


@pytest.mark.parametrize("extra", [["--regions", "auto:2"], ["--content-map", "photo.png", "--style-map", "photo.png"]])
def test_regions_of_a_named_style_need_the_painting(impasto, place, extra):
    ran = impasto("image", "photo.png", "-s", "scream", *extra, "--size", "64", "-o", "out.png")
    assert ran.code == 2
    assert "needs the painting itself" in ran.err
