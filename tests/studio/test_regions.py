"""Regions of a photograph: out of brush strokes, masks and maps, and what is painted in them."""

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto.fast import style as filters
from impasto.pixels import io
from impasto.studio import photo, regions, sources
from impasto.studio.job import Wrong

NAME = filters.names()[0]
SETTINGS = {"strength": 0.6, "size": 128, "quality": "draft", "preserve_color": "luminance", "seed": 3}


def asked(files, **changed):
    values = {"photo": files[0], "named": [NAME], "paintings": [], "shares": "", "settings": SETTINGS, **changed}
    return photo.Asked(**values)


def made(desk, files, **changed):
    work = photo.begin(desk, asked(files, **changed))
    list(work.steps())
    return work.finish(False)


def layer(*strokes, shape=(8, 10)):
    """A layer with strokes (rows, columns, color, alpha)."""
    found = np.zeros((*shape, 4), np.uint8)
    for rows, columns, color, alpha in strokes:
        value = regions.COLORS[color]
        found[rows, columns] = [*(int(value[k : k + 2], 16) for k in (1, 3, 5)), alpha]
    return found


def test_each_color_is_a_mask():
    left, right = slice(0, 4), slice(4, 8)
    found = regions.painted([layer((slice(0, 8), left, "red", 255), (slice(0, 4), right, "blue", 255))])
    assert found.keys() == {"red", "blue"}
    assert found["red"].shape == (1, 1, 8, 10)
    assert found["red"].sum() == 32
    assert found["blue"][0, 0, :4, 4:8].min() == 1
    assert found["blue"].sum() == 16


def test_soft_edges_stay_soft_and_colors_that_a_browser_rounds_are_known():
    soft = layer((slice(0, 8), slice(0, 4), "green", 128))
    soft[..., :3] = np.clip(soft[..., :3].astype(int) + 3, 0, 255)
    found = regions.painted([soft])
    assert list(found) == ["green"]
    assert float(found["green"].max()) == pytest.approx(128 / 255)


def test_the_upper_layer_hides_the_lower():
    whole = (slice(0, 8), slice(0, 10))
    found = regions.painted([layer((*whole, "red", 255)), layer((*whole, "blue", 255))])
    assert float(found["red"].max() if "red" in found else 0) == 0
    assert float(found["blue"].min()) == 1


def test_nothing_painted_is_no_region():
    assert regions.painted([layer()]) == {}


def strokes(*places):
    return {"layers": [layer(*places, shape=(72, 96))], "background": None, "composite": None}


def test_what_is_to_stay_stays_and_the_rest_is_painted(desk, files):
    editor = strokes((slice(0, 72), slice(0, 48), "red", 255))
    result = made(desk, files, editor=editor, places={"red": regions.LEAVE})
    image, content = io.load(result.file).image, io.load(files[0]).image
    content = torch.nn.functional.interpolate(content, image.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
    difference = (image - content).abs().mean(1)[0]
    assert float(difference[:, :56].max()) < 2 / 255
    assert float(difference[:, 72:].mean()) > 0.02


def test_several_colors_may_stay(desk, files):
    left, right = (slice(0, 72), slice(0, 32)), (slice(0, 72), slice(64, 96))
    editor = strokes((*left, "red", 255), (*right, "blue", 255))
    work = photo.begin(desk, asked(files, editor=editor, places=dict.fromkeys(("red", "blue"), regions.LEAVE)))
    kept = work.work.keep
    ends = [round(place * kept.shape[-1] / 96) for place in (28, 38, 58, 68)]
    assert float(kept[..., : ends[0]].min()) > 0.99
    assert float(kept[..., ends[1] : ends[2]].max()) < 0.01
    assert float(kept[..., ends[3] :].min()) > 0.99


def test_colors_that_stand_for_the_styles_above_are_no_regions_of_the_recipe(desk, files):
    editor = strokes((slice(0, 72), slice(0, 48), "red", 255))
    result = made(desk, files, editor=editor, places={"red": regions.ABOVE})
    assert "regions" not in result.recipe


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
    with pytest.raises(Wrong, match="there is red in the regions") as error:
        photo.begin(desk, asked(files, editor=editor, places={"red": None}))
    assert error.value.field == "regions"


def test_the_styles_above_may_be_those_of_a_color(desk, files):
    left, right = (slice(0, 72), slice(0, 48)), (slice(0, 72), slice(48, 96))
    editor = strokes((*left, "red", 255), (*right, "blue", 255))
    other = filters.names()[1]
    with pytest.raises(Wrong, match="leave nothing for the styles above: choose 'the styles above'"):
        photo.begin(desk, asked(files, editor=editor, places={"red": other, "blue": other}))
    result = made(desk, files, editor=editor, places={"red": other, "blue": regions.ABOVE})
    same = made(desk, files, editor=strokes((*left, "red", 255)), places={"red": other})
    assert np.array_equal(io.load(result.file).numpy(8), io.load(same.file).numpy(8))


def test_a_region_is_painted_like_the_file_that_was_chosen_of_two_of_one_name(desk, files, tmp_path, picture):
    twins = []
    for seed in (3, 4):
        (tmp_path / str(seed)).mkdir()
        twins.append(str(tmp_path / str(seed) / "style.png"))
        io.save(io.load(picture(seed, 72, 96)), twins[-1])
    editor = strokes((slice(0, 72), slice(0, 48), "red", 255))
    found = []
    for label in sources.labels(twins):
        result = made(desk, files, paintings=twins, editor=editor, places={"red": label})
        found.append(result.recipe["styles"][-1]["sha256"])
    assert found == [each["sha256"] for each in result.recipe["styles"][1:3]]
    assert len(set(found)) == 2


# --- masks and maps that are dropped ---------------------------------------------------------------------------------------


def drop(tmp_path, pixels, name="map.png", **options):
    """A file of these pixels, and its path."""
    PILImage.fromarray(np.asarray(pixels, np.uint8)).save(tmp_path / name, **options)
    return str(tmp_path / name)


def flat(*stripes, shape=(72, 96)):
    """Stripes of flat colors, side by side."""
    found = np.zeros((*shape, len(stripes[0])), np.uint8)
    edges = np.linspace(0, shape[1], len(stripes) + 1).astype(int)
    for color, left, right in zip(stripes, edges, edges[1:], strict=False):
        found[:, left:right] = color
    return found


def of(desk, files, path):
    """The masks that come of a file which is dropped, and what is said of it."""
    shown, note = regions.laid(desk, files[0], path)
    assert io.load(shown["background"]).size == (72, 96)
    return regions.asked_for(desk, (72, 96), path, None), note


def test_a_gray_mask_is_red_and_soft(desk, files, tmp_path):
    levels = np.repeat(np.linspace(0, 255, 96).round()[None], 72, 0)
    masks, note = of(desk, files, drop(tmp_path, levels))
    assert list(masks) == ["red"]
    wanted = torch.from_numpy(levels / 255).float()
    torch.testing.assert_close(masks["red"][0, 0], wanted)
    assert note == "Red is where the mask is white."


def test_a_mask_counts_where_it_is_opaque(desk, files, tmp_path):
    masks, _ = of(desk, files, drop(tmp_path, flat((255, 255, 255, 255), (255, 0, 0, 0))))
    assert list(masks) == ["red"]
    assert float(masks["red"].mean()) == pytest.approx(0.5, abs=0.01)


def test_near_colors_of_a_map_are_one_and_get_the_brush_most_like_them(desk, files, tmp_path):
    stripes = flat((30, 60, 230), (38, 66, 222), (20, 160, 40), (0, 0, 0))
    masks, note = of(desk, files, drop(tmp_path, stripes, "map.jpg", quality=95))
    assert masks.keys() == {"blue", "green"}
    assert float(masks["blue"].mean()) == pytest.approx(0.5, abs=0.03)
    assert float(masks["green"].mean()) == pytest.approx(0.25, abs=0.03)
    assert note.startswith("Of the map, blue stands for #")
    assert "are taken for the nearest" in note


def test_white_and_transparent_places_of_a_map_stay_free(desk, files, tmp_path):
    stripes = flat((255, 0, 0, 255), (255, 255, 255, 255), (0, 0, 255, 0), (255, 255, 0, 255))
    masks, _ = of(desk, files, drop(tmp_path, stripes))
    assert masks.keys() == {"red", "yellow"}
    assert float(sum(masks.values()).mean()) == pytest.approx(0.5, abs=0.02)


def test_what_is_dropped_is_painted_like_what_is_painted_in_the_page(desk, files, tmp_path):
    chart = drop(tmp_path, flat((255,), (0,))[..., 0])
    result = made(desk, files, chart=chart, places={"red": filters.names()[1]})
    drawn = made(desk, files, editor=strokes((slice(0, 72), slice(0, 48), "red", 255)), places={"red": filters.names()[1]})
    assert np.array_equal(io.load(result.file).numpy(8), io.load(drawn.file).numpy(8))


def test_what_is_painted_lies_over_what_was_dropped(desk, files, tmp_path):
    chart = drop(tmp_path, flat((255,), (0,))[..., 0])
    editor = strokes((slice(0, 36), slice(0, 96), "green", 255))
    masks = regions.asked_for(desk, (72, 96), chart, editor)
    assert masks.keys() == {"red", "green"}
    assert float(masks["green"][..., :36, :].min()) == 1
    assert float(masks["red"][..., :36, :].max()) == 0
    assert float(masks["red"][..., 36:, :48].min()) == 1
    over = strokes((slice(0, 72), slice(0, 96), "green", 255))
    assert list(regions.asked_for(desk, (72, 96), chart, over)) == ["green"]


def test_the_photograph_is_tinted_where_a_mask_is(desk, files, tmp_path):
    shown, _ = regions.laid(desk, files[0], drop(tmp_path, flat((255,), (0,))[..., 0]))
    tinted, photo_itself = (io.load(each).image for each in (shown["background"], files[0]))
    assert float((tinted - photo_itself)[..., 56:].abs().mean()) < 0.05  # it is a JPEG file
    red = torch.tensor([0xE5, 0x48, 0x4D]).view(1, 3, 1, 1) / 255
    wanted = torch.lerp(photo_itself, red.expand_as(photo_itself), regions.TINT)
    assert float((tinted - wanted)[..., :40].abs().mean()) < 0.05 < float((tinted - photo_itself)[..., :40].abs().mean())


def test_what_was_painted_stays_when_a_mask_is_dropped(desk, files, tmp_path):
    over = strokes((slice(0, 72), slice(0, 20), "green", 255))
    shown, _ = regions.laid(desk, files[0], drop(tmp_path, flat((255,), (0,))[..., 0]), over["layers"])
    assert np.array_equal(shown["layers"][0], over["layers"][0])


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((72, 96)), "map.png is black everywhere"),
        (np.random.default_rng(0).integers(0, 256, (72, 96, 3)), "map.png is neither a mask in black and white nor a map"),
        (flat(*((c * 40, 255 - c * 30, c % 2 * 255) for c in range(6))), "map.png has 6 colors besides black and white"),
        (np.full((72, 30), 255), "map.png is 30 x 72 px, its picture"),
    ],
)
def test_what_cannot_be_regions_is_said(desk, files, tmp_path, pixels, message):
    with pytest.raises(Wrong, match=message) as error:
        regions.laid(desk, files[0], drop(tmp_path, pixels))
    assert error.value.field == "regions"
    assert str(tmp_path) not in str(error.value)


def test_a_mask_needs_its_photograph(desk, files):
    with pytest.raises(Wrong, match="no photograph yet"):
        regions.laid(desk, None, files[1])
