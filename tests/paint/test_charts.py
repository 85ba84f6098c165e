"""Maps as people draw them: snapped, compared by color, refused, and suggested."""

import io

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from impasto.errors import UsageError
from impasto.paint import charts
from impasto.pixels.picture import Picture

RED, BLUE, GREEN, WHITE = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0.75, 0], [1, 1, 1]])


def stripes(*colors, height=48, width=72):
    """Stripes of these colors from left to right."""
    index = torch.arange(width) * len(colors) // width
    return torch.stack(colors)[index].T[None, :, None].expand(-1, -1, height, -1).contiguous()


def through_jpeg(image):
    pixels = (255 * image[0].permute(1, 2, 0)).round().byte().numpy()
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "JPEG", quality=80)
    return torch.from_numpy(np.array(PILImage.open(file))).permute(2, 0, 1)[None].float() / 255


def read(image, name="map.png", alpha=None):
    return charts.chart(Picture(image, alpha), name)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((0, 1, 0), "#00ff00 (green)"),
        ((0.75, 0, 0), "#bf0000 (dark red)"),
        ((0.98, 0.99, 1), "#fafcff (white)"),
        ((0.1, 0.1, 0.95), "#1a1af2 (blue)"),
        ((0.55, 0.27, 0.05), "#8c450d (brown)"),
    ],
)
def test_colors_are_said_in_plain_words(value, said):
    assert charts.named(torch.tensor(value)) == said


def test_words_are_far_enough_apart_to_be_told_apart_in_a_map():
    codes = [[int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for code in charts.WORDS.values()]
    assert torch.pdist(torch.tensor(codes)).min() > 1.5 * charts.TOLERANCE


def test_a_clean_map_needs_no_note():
    found = read(stripes(RED, BLUE, GREEN))
    assert found.note == ""
    assert {charts.named(value) for value in found.colors} == {"#ff0000 (red)", "#0000ff (blue)", "#00bf00 (green)"}


def test_what_is_snapped_is_said():
    found = read(through_jpeg(stripes(RED, BLUE)))
    assert len(found.colors) == 2
    assert found.note.startswith("map.png: blends and near shades (")
    assert "(red)" in found.note
    assert "(blue)" in found.note


def test_what_is_too_small_to_be_a_region_is_said():
    image = stripes(RED, BLUE, height=100, width=150)
    image[..., 20:24, 20:24] = GREEN.view(3, 1, 1)
    found = read(image)
    assert len(found.colors) == 2
    assert "#00bf00 (green) covers too little to be a region and is left out" in found.note


def test_transparent_is_white_as_on_paper():
    alpha = torch.ones(1, 1, 48, 72)
    alpha[..., :36] = 0
    found = read(stripes(GREEN, BLUE), alpha=alpha)
    assert torch.equal(found.image[..., :36], torch.ones(1, 3, 48, 36))
    assert "transparent pixels are taken as white" in found.note


@pytest.mark.parametrize("kind", ["photo", "noise", "ramp"])
def test_a_photograph_is_no_map(picture, kind):
    random = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ramp = torch.stack(torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij"))
    image = {"photo": picture(1, 64, 96)[None], "noise": random, "ramp": torch.cat((ramp, ramp[:1]))[None]}[kind]
    with pytest.raises(UsageError, match=r"map\.png is no map of flat colors.*--suggest-map"):
        read(image)


def test_large_maps_are_brought_down_without_blends():
    large = stripes(RED, BLUE, height=300, width=1200)
    found = read(large)
    assert found.image.shape[-1] == charts.LARGEST
    assert found.note == ""


def test_colors_without_a_partner_are_named_with_those_that_there_are():
    ours, theirs = read(stripes(RED, GREEN, BLUE), "mine.png"), [read(stripes(RED, WHITE), "theirs.png")]
    with pytest.raises(UsageError) as error:
        charts.matched(ours, theirs)
    assert str(error.value).startswith("mine.png has #")
    assert all(said in str(error.value).partition("which no style map has")[0] for said in ("#00bf00 (green)", "#0000ff (blue)"))
    assert "there are #ff0000 (red), #ffffff (white)" in str(error.value)


def test_near_colors_are_the_same_and_it_is_said():
    near = torch.tensor([0.97, 0.03, 0])
    notes = charts.matched(read(stripes(near, BLUE), "mine.png"), [read(stripes(RED, BLUE, GREEN))])
    assert notes == ["mine.png: #f70800 (red) is taken for #ff0000 (red) of the style maps"]


# --- suggested ----------------------------------------------------------------------------------------------------------


def scene():
    """Grainy sky over grainy ground with a dark block."""
    random = torch.Generator().manual_seed(0)
    image = torch.empty(3, 96, 128)
    image[:] = torch.tensor([0.5, 0.7, 0.95]).view(3, 1, 1)
    image[:, 60:] = torch.tensor([0.35, 0.5, 0.15]).view(3, 1, 1)
    image[:, 30:70, 80:110] = torch.tensor([0.15, 0.1, 0.1]).view(3, 1, 1)
    return (image + 0.05 * torch.randn(image.shape, generator=random)).clamp(0, 1)


@pytest.mark.parametrize("colors", [2, 3, 6])
def test_a_suggested_map_has_at_most_so_many_flat_colors(colors):
    found = charts.suggest(scene(), colors)
    assert found.size == (96, 128)
    shades = torch.unique(found.image[0].flatten(1).T, dim=0)
    assert 2 <= len(shades) <= colors
    assert read(found.image).note == ""
    again = charts.suggest(found, colors)
    assert torch.equal(again.image, found.image)


def test_a_suggested_map_follows_the_picture():
    image = charts.suggest(scene(), 3).image[0]
    sky, ground, block = image[:, 5, 5], image[:, 90, 5], image[:, 50, 95]
    assert len({tuple(value.tolist()) for value in (sky, ground, block)}) == 3
    assert (image[:, :50, :70] == sky.view(3, 1, 1)).all(0).float().mean() > 0.95
    assert (image[:, 75:, :70] == ground.view(3, 1, 1)).all(0).float().mean() > 0.95


def test_a_map_that_is_one_already_is_cleaned():
    found = charts.suggest(Picture(through_jpeg(stripes(RED, BLUE))), 4)
    assert len(torch.unique(found.image[0].flatten(1).T, dim=0)) == 2


@pytest.mark.parametrize("colors", [-1, 0, 1, 17])
def test_numbers_of_colors_that_are_refused(colors):
    with pytest.raises(UsageError, match=f"a map of {colors} colors cannot be suggested: 2 to 16 can"):
        charts.suggest(scene(), colors)
