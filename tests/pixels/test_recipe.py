import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from impasto.errors import OutputError, UnreadablePicture, UsageError
from impasto.pixels import io, png, recipe

PICTURE = io.load(np.random.default_rng(0).integers(0, 65536, (20, 21, 4), dtype=np.uint16))
KINDS = [
    (".png", 8),
    (".png", 16),
    (".tif", 8),
    (".tif", 16),
    (".tif", 32),
    (".jpg", 8),
    (".webp", 8),
    (".exr", 16),
    (".exr", 32),
]
RECIPE = {
    "verb": "image",
    "style": [["Jürgen's 星.jpg", 0.7]],
    "seed": 0,
    "strength": 0.5,
    "mask": None,
    "tile": True,
    "nested": {"a": []},
}


@pytest.mark.parametrize(("suffix", "bits"), KINDS)
def test_a_recipe_comes_back(tmp_path, suffix, bits):
    path = io.save(PICTURE, tmp_path / f"a{suffix}", bits=bits, recipe=RECIPE)
    assert recipe.read(path) == RECIPE
    assert recipe.read(str(path)) == RECIPE
    assert recipe.read(io.save(PICTURE, tmp_path / f"b{suffix}", bits=bits)) is None
    assert recipe.read(io.save(PICTURE, tmp_path / f"c{suffix}", bits=bits, recipe={})) == {}


@pytest.mark.parametrize(("suffix", "bits"), KINDS)
def test_a_recipe_does_not_change_the_pixels(tmp_path, suffix, bits):
    paths = [io.save(PICTURE, tmp_path / f"{bool(text)}{suffix}", bits=bits, recipe=text) for text in (None, RECIPE)]
    first, second = (io.load(path) for path in paths)
    assert np.array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize(("suffix", "bits"), KINDS)
def test_the_sources_recipe_is_not_passed_on(tmp_path, suffix, bits):
    """A painting of a painting carries its own recipe or none, not the one of its source."""
    painted = io.load(io.save(PICTURE, tmp_path / f"a{suffix}", bits=bits, recipe=RECIPE))
    assert recipe.read(io.save(painted, tmp_path / f"b{suffix}")) is None
    assert recipe.read(io.save(painted, tmp_path / f"c{suffix}", recipe={"new": 1})) == {"new": 1}
    assert recipe.read(io.save(painted, tmp_path / "d.jpg")) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=9), json_values, max_size=4))
def test_any_recipe_comes_back(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("any")
    small = io.load(np.zeros((2, 2, 3), np.uint8))
    for suffix in (".png", ".jpg", ".tif"):
        assert recipe.read(io.save(small, folder / f"a{suffix}", recipe=made)) == made
    assert "\n" not in recipe.human(made)


def test_other_programs_see_it(tmp_path):
    io.save(PICTURE, tmp_path / "a.png", recipe=RECIPE)
    with PILImage.open(tmp_path / "a.png") as image:
        assert json.loads(image.info["impasto"]) == RECIPE
        assert image.info["parameters"] == "verb: image, seed: 0, strength: 0.5, tile: True"
    io.save(PICTURE, tmp_path / "a.jpg", recipe=RECIPE)
    with PILImage.open(tmp_path / "a.jpg") as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment[:8] == b"ASCII\0\0\0"
    assert json.loads(comment[8:]) == {"impasto": RECIPE}


def test_paths_become_text_and_what_json_lacks_is_refused(tmp_path):
    assert recipe.to_json({"a": Path("b") / "c"}) == json.dumps({"a": str(Path("b") / "c")})
    for value in (float("nan"), object(), {1, 2}):
        with pytest.raises(UsageError, match="recipe"):
            io.save(PICTURE, tmp_path / "a.png", recipe={"a": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "null", "3", "[" * 100000, '{"impasto"'])
def test_foreign_and_malformed_recipes_are_none(tmp_path, text):
    for keyword in (recipe.KEY, "workflow"):
        with (tmp_path / "a.png").open("wb") as file:
            png.write(file, np.zeros((2, 2, 3), np.uint8), [png.text_chunk(keyword, text)])
        assert recipe.read(tmp_path / "a.png") is None
    exif = PILImage.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + text[:1000].encode()
    PILImage.new("RGB", (2, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert recipe.read(tmp_path / "a.jpg") is None
    PILImage.new("RGB", (2, 2)).save(tmp_path / "a.tif", tiffinfo={270: text[:1000]})
    assert recipe.read(tmp_path / "a.tif") is None


def test_a_comment_of_another_program_is_none(tmp_path):
    exif = PILImage.Exif()
    for comment in (b"UNICODE\0" + '{"impasto": 3}'.encode("utf-16"), b"\xff\xfe\x80", b'ASCII\0\0\0{"impasto": [3]}'):
        exif.get_ifd(0x8769)[0x9286] = comment
        PILImage.new("RGB", (2, 2)).save(tmp_path / "a.jpg", exif=exif)
        assert recipe.read(tmp_path / "a.jpg") is None


def test_no_picture_no_recipe(tmp_path):
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(UnreadablePicture):
        recipe.read(tmp_path / "a.png")
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    with pytest.raises(UnreadablePicture):
        recipe.read(tmp_path / "a.tif")


def test_large_recipes(tmp_path):
    large = {"masks": "m" * 70000}
    for suffix in (".png", ".tif", ".exr"):
        assert recipe.read(io.save(PICTURE, tmp_path / f"a{suffix}", recipe=large)) == large
    with pytest.raises(OutputError, match="write PNG, TIFF or EXR"):
        io.save(PICTURE, tmp_path / "a.jpg", recipe=large)
    assert not (tmp_path / "a.jpg").exists()
