import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PILImage
from scipy import ndimage, optimize
from torch.nn import functional as F

from impasto.errors import UnfitPicture, UsageError
from impasto.features import statistics
from impasto.paint import pairing, regions, segment

RED, BLUE, VIOLET, GREEN = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0.5, 0, 0.5], [0, 0.6, 0.2]])


def half(height=12, width=16, side="left"):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask if side == "left" else 1 - mask


def painted(labels, colors):
    return torch.stack(list(colors))[labels].permute(2, 0, 1)[None]


def quarters(height=96, width=128):
    """Red, blue, green quarters; the last violet with a red disk in it."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    labels = 2 * (y >= height // 2).long() + (x >= width // 2).long()
    return torch.where((y - 3 * height / 4) ** 2 + (x - 3 * width / 4) ** 2 < (height / 8) ** 2, 0, labels)


def softened(image, quality=75):
    """Antialiased and through JPEG with halved color planes."""
    large = F.interpolate(image, scale_factor=1.5, mode="bilinear", antialias=True, align_corners=False)
    pixels = (255 * large[0].permute(1, 2, 0)).round().byte().numpy()
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2)
    return torch.from_numpy(np.array(PILImage.open(file))).permute(2, 0, 1)[None].float() / 255


def total(found):
    return sum(region.mask for region in found)


# --- masks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("masks", "places"), [({}, [None, None]), ({"all": torch.ones(1, 1, 3, 4)}, ["all", "all"])])
def test_a_mask_of_ones_is_no_mask(masks, places):
    (only,) = regions.from_masks((12, 16), masks, places)
    assert torch.equal(only.mask, torch.ones(1, 1, 12, 16))
    assert only.sources == ((0, None), (1, None))


planes = arrays.arrays(np.float32, (6, 8), elements=st.floats(0, 1, width=32))


@settings(max_examples=40, deadline=None)
@given(st.lists(planes, min_size=1, max_size=4), st.booleans())
def test_the_masks_of_all_regions_add_up_to_one(drawn, with_rest):
    masks = {f"m{k}": torch.from_numpy(plane.copy())[None, None] for k, plane in enumerate(drawn)}
    for mask in masks.values():
        mask[..., 2, 3] = 1
        mask[..., 5, 7] = 0 if with_rest else 1
    if not with_rest:
        masks["m0"].clamp_(min=0.995)
    found = regions.from_masks((9, 12), masks, [*masks, *([None] if with_rest else [])])
    assert len(found) == len(masks) + with_rest
    assert torch.allclose(total(found), torch.ones(1, 1, 9, 12), atol=1e-5)
    assert min(float(region.mask.min()) for region in found) >= 0
    assert sum(regions.shares(found)) == pytest.approx(1, abs=1e-5)


def test_overlaps_are_divided_in_proportion_and_the_rest_stays_free():
    one, other = torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4)
    one[..., :] = torch.tensor([1.0, 1.0, 0.25, 0.0])
    other[..., :] = torch.tensor([1.0, 0.5, 0.5, 0.0])
    a, b, rest = regions.from_masks((1, 4), {"a": one, "b": other}, ["b", "a", None])
    assert a.mask.flatten().tolist() == pytest.approx([0.5, 2 / 3, 0.25, 0])
    assert b.mask.flatten().tolist() == pytest.approx([0.5, 1 / 3, 0.5, 0])
    assert rest.mask.flatten().tolist() == pytest.approx([0, 0, 0.25, 1])
    assert (a.sources, b.sources, rest.sources) == (((1, None),), ((0, None),), ((2, None),))


def test_slits_between_masks_belong_to_the_masks():
    left, right = half(100, 300), half(100, 300, "right")
    right[..., 150:152] = 0
    a, b = regions.from_masks((100, 300), {"a": left, "b": right}, ["a", "b"])
    assert torch.allclose(a.mask + b.mask, torch.ones(()), atol=1e-6)
    assert float(a.mask[..., 152:].max()) == float(b.mask[..., :150].max()) == 0


def test_styles_keep_their_own_masks():
    own = half(5, 9)
    found = regions.from_masks((12, 16), {"a": half()}, ["a", None, "a"], [None, own, own])
    assert [index for index, _ in found[0].sources] == [0, 2]
    assert found[0].sources[0][1] is None
    assert found[0].sources[1][1] is found[1].sources[0][1] is own


@pytest.mark.parametrize(
    ("masks", "places", "match"),
    [
        ({"sky": half()}, ["sly", None], "style 1 is for 'sly'.*sky; did you mean sky"),
        ({"sky": half()}, ["sky", "ground", None], "'ground'.*the masks are sky$"),
        ({}, ["sky"], "there is no mask; give --mask sky=FILE"),
        ({"sky": half()}, [None], "mask 'sky' has no style"),
        ({"sky": half()}, ["sky"], "leave 50% of the picture free: add a style without a name"),
        ({"sky": half() / 300}, ["sky", None], "mask 'sky' is empty"),
        ({"a": half(), "b": half(side="right")}, ["a", "b", None], "style 3 is for the rest.*a, b leave nothing"),
        ({}, [], "no style"),
    ],
)
def test_masks_and_styles_that_do_not_fit_each_other(masks, places, match):
    with pytest.raises(UsageError, match=match):
        regions.from_masks((12, 16), masks, places)


def test_masks_may_have_any_size_and_must_have_the_shape():
    soft = torch.linspace(0, 1, 40).view(1, 1, 1, 40).expand(1, 1, 30, 40)
    (a, rest) = regions.from_masks((12, 16), {"a": soft}, ["a", None])
    assert torch.allclose(a.mask[0, 0, 5], torch.linspace(0.0192, 0.981, 16), atol=0.02)  # still a ramp
    assert torch.equal(rest.mask, 1 - a.mask)
    regions.fit_mask(torch.ones(1, 1, 2000, 2999), (341, 512))  # sizes are rounded
    with pytest.raises(UnfitPicture, match=r"mask 'a' is 31 x 30 px, its picture 160 x 120"):
        regions.from_masks((120, 160), {"a": torch.ones(1, 1, 30, 31)}, ["a"])


@given(planes, st.integers(1, 30))
def test_resized_masks_still_add_up(plane, width):
    mask = torch.from_numpy(plane)[None, None]
    size = (max(1, round(width * 6 / 8)), width)
    assert torch.allclose(regions.fit_mask(mask, size) + regions.fit_mask(1 - mask, size), torch.ones(()), atol=1e-5)


def test_fitted_brings_each_mask_to_its_picture():
    found = [regions.Region("a", half(), ((0, half(6, 8)), (1, None))), regions.Region("b", None, ())]
    a, b = regions.fitted(found, (24, 32), [(9, 12), (7, 7)])
    assert a.mask.shape == (1, 1, 24, 32)
    assert a.sources[0][1].shape == (1, 1, 9, 12)
    assert a.sources[1] == (1, None)
    assert b.mask is None
    with pytest.raises(UnfitPicture, match="'a' of style 1 is 8 x 6"):
        regions.fitted(found, (24, 32), [(50, 50), (7, 7)])


def test_weighted_by_their_shares_regions_pull_every_pixel_alike():
    """Σ share · ⟨g, mean over the region⟩ has the gradient g / N at each pixel, however small its region."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, 3, 12, 16, generator=generator, requires_grad=True)
    small = torch.zeros(1, 1, 12, 16)
    small[..., :2, :3] = 0.7
    direction = torch.tensor([1.0, -2.0, 0.5])
    found = regions.from_masks((12, 16), {"a": small, "b": half()}, ["a", "b", None])
    means = [statistics.moments(features, region.mask).mean for region in found]
    loss = sum(share * (mean @ direction) for share, mean in zip(regions.shares(found), means, strict=True))
    (gradient,) = torch.autograd.grad(loss, features)
    assert torch.allclose(gradient, direction.view(1, 3, 1, 1).expand_as(gradient) / (12 * 16), atol=1e-7)


# --- maps ---------------------------------------------------------------------------------------------------------------

FOUR = (RED, BLUE, GREEN, VIOLET)


@pytest.mark.parametrize(
    "change", [lambda image: image, softened, lambda image: softened(image, 40)], ids=["exact", "q75", "q40"]
)
def test_the_palette_of_a_map_is_what_it_was_painted_with(change):
    found = segment.palette(change(painted(quarters(), FOUR)))
    assert len(found) == 4
    gap = torch.cdist(torch.stack(FOUR), found)
    assert sorted(gap.argmin(1).tolist()) == [0, 1, 2, 3]
    assert float(gap.min(1).values.max()) < 6 / 255


def test_labels_of_a_soft_map_are_those_of_the_hard_one():
    hard = quarters()
    soft = softened(painted(hard, FOUR))
    found = segment.labels(soft, torch.stack(FOUR))
    expected = F.interpolate(hard[None, None].float(), soft.shape[-2:], mode="nearest-exact").long()
    wrong = found != expected
    assert float(wrong.float().mean()) < 0.01  # along the edges
    assert torch.equal(segment.labels(painted(hard, FOUR), torch.stack(FOUR))[0, 0], hard)


def test_the_blend_of_red_and_blue_is_not_violet():
    hard = quarters()
    border = softened(painted(hard, FOUR))[..., :60, :]  # red | blue; violet is elsewhere
    assert set(segment.labels(border, torch.stack(FOUR)).unique().tolist()) == {0, 1}


def test_close_colors_are_told_apart_at_a_tolerance_of_zero():
    indices = torch.tensor([[0] * 8 + [1] * 8 + [2] * 8] * 9)
    image = painted(indices, [torch.full((3,), level / 255) for level in range(3)])
    assert len(segment.palette(image)) == 1
    colors = segment.palette(image, tolerance=0)
    assert sorted((255 * colors[:, 0]).round().tolist()) == [0, 1, 2]
    assert torch.equal(colors[segment.labels(image, colors)[0, 0]], image[0].permute(1, 2, 0))


def test_maps_are_matched_by_color():
    content = softened(painted(quarters(), FOUR))
    first = painted(torch.tensor([[0] * 20 + [1] * 20] * 30), [BLUE, GREEN + 0.02])
    second = painted(torch.tensor([[0] * 9 + [1] * 9 + [2] * 9 + [3] * 9] * 30), [VIOLET, BLUE, RED, torch.ones(3)])
    found = regions.from_maps(content, [first, second, None])
    assert torch.allclose(total(found), torch.ones(()), atol=1e-5)
    by_color = {
        min(range(4), key=lambda k: (value - FOUR[k]).norm()): region for region, value in zip(found, parsed(found), strict=True)
    }
    assert [tuple(index for index, _ in by_color[k].sources) for k in range(4)] == [(1,), (0, 1), (0,), (1,)]
    assert torch.equal(by_color[1].sources[0][1], half(30, 40))
    assert torch.equal(by_color[2].sources[0][1], half(30, 40, "right"))
    hard = quarters()[..., 0:1, 0:1]  # the red corner is all red
    assert hard.item() == 0
    assert float(by_color[0].mask[..., :40, :40].min()) > 0.999


def parsed(found):
    return [torch.tensor([int(region.name[k : k + 2], 16) for k in (1, 3, 5)]) / 255 for region in found]


def test_styles_without_a_map_take_the_colors_that_no_map_has():
    content = painted(torch.tensor([[0] * 20 + [1] * 20] * 30), [RED, BLUE])
    found = {
        region.name: region.sources for region in regions.from_maps(content, [None, painted(torch.zeros(9, 9).long(), [RED])])
    }
    assert [index for index, _ in found["#ff0000"]] == [1]
    assert found["#0000ff"] == ((0, None),)


def test_colors_without_a_partner_are_named():
    content = painted(quarters(), FOUR)
    style = painted(torch.tensor([[0] * 9 + [1] * 9] * 9), [RED, torch.tensor([0, 0.2, 1.0])])
    with pytest.raises(
        UsageError, match=r"#009933 \(nearest #0033ff\).*#800080 \(nearest #.{6}\) of the content's map are in no"
    ):
        regions.from_maps(content, [style], tolerance=0.25)
    with pytest.raises(UsageError, match="no style does"):
        regions.from_maps(content, [None])


# --- found without painting ---------------------------------------------------------------------------------------------


def landscape(sky, ground, sun, horizon, at, seed, size=(72, 96)):
    """Sky, rough ground and a sun: the picture and its labels."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    labels = (y >= horizon * size[0]).long()
    labels = torch.where((y - at[0]) ** 2 + (x - at[1]) ** 2 < 12**2, 2, labels)
    noise = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed)) - 0.5
    rough = torch.where(labels == 1, 0.3, 0.03)
    return (painted(labels, map(torch.tensor, (sky, ground, sun))) + rough * noise).clamp(0, 1), labels


DAY = landscape((0.6, 0.75, 0.95), (0.25, 0.45, 0.15), (1.0, 0.9, 0.3), 0.6, (20, 70), 0)
NIGHT = landscape((0.1, 0.15, 0.4), (0.2, 0.15, 0.05), (0.95, 0.9, 0.7), 0.7, (22, 20), 1)


@pytest.fixture(scope="module")
def found():
    return regions.automatic(DAY[0], [NIGHT[0], DAY[0]], 3)


def overlap(mask, truth):
    chosen = mask[0, 0] > 0.5
    return float((chosen & truth).sum() / (chosen | truth).sum())


def test_areas_are_found_and_like_is_paired_with_like(found):
    assert len(found) == 3
    for truth in range(3):
        best = max(found, key=lambda region: overlap(region.mask, DAY[1] == truth))
        assert overlap(best.mask, DAY[1] == truth) > 0.9
        (_, night), (_, day) = best.sources
        assert overlap(night, NIGHT[1] == truth) > 0.9
        assert torch.equal(day, best.mask)  # a picture is paired with itself


def test_found_regions_are_a_partition(found):
    assert torch.allclose(total(found), torch.ones(()), atol=1e-5)
    assert min(float(region.mask.min()) for region in found) >= 0
    for style in range(2):
        assert torch.allclose(sum(region.sources[style][1] for region in found), torch.ones(()), atol=1e-5)


def test_the_same_pictures_give_the_same_regions(found):
    torch.manual_seed(5)
    again = regions.automatic(DAY[0], [NIGHT[0], DAY[0]], 3)
    for one, other in zip(found, again, strict=True):
        assert torch.equal(one.mask, other.mask)
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(one.sources, other.sources, strict=True))


def test_there_are_no_more_regions_than_there_is_to_see():
    plain = torch.full((1, 3, 20, 30), 0.4)
    (only,) = regions.automatic(plain, [NIGHT[0]], 4)
    assert torch.allclose(only.mask, torch.ones(1, 1, 20, 30))
    assert only.sources[0][1].shape[-2:] == NIGHT[0].shape[-2:]
    several = regions.automatic(DAY[0], [plain], 3)
    assert [float(region.sources[0][1].min()) for region in several] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("size", [(16, 16), (5, 90), (60, 8)])
def test_pictures_of_any_shape_are_divided(size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    masks = segment.divide(image, 4).masks
    assert 1 <= masks.shape[1] <= 4
    assert float(masks.mean((0, 2, 3)).min()) > 0.003


@pytest.mark.parametrize(
    ("styles", "count", "match"), [([DAY[0]], 0, "0 regions.*1 to 16"), ([DAY[0]], 17, "17"), ([], 3, "no style")]
)
def test_counts_that_are_refused(styles, count, match):
    with pytest.raises(UsageError, match=match):
        regions.automatic(DAY[0], styles, count)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (4, 6), (6, 6), (8, 8), (7, 12)])
def test_pairings_are_the_best(rows, columns):
    for seed in range(5):
        costs = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
        chosen = regions.pair(costs)
        assert len(set(chosen)) == rows
        least = costs.numpy()[optimize.linear_sum_assignment(costs.numpy())].sum()
        reached = sum(float(costs[row, column]) for row, column in enumerate(chosen))
        assert reached == pytest.approx(least, rel=1e-6 if columns <= 6 else 0.35)


def test_with_too_few_partners_some_are_shared():
    assert regions.pair(torch.tensor([[0.0, 1.0], [0.2, 0.1], [0.3, 0.4]])) == [0, 1, 0]


def test_the_blur_is_scipys():
    planes = torch.rand(2, 3, 20, 17, generator=torch.Generator().manual_seed(2))
    theirs = ndimage.gaussian_filter(planes.double().numpy(), (0, 0, 1.5, 1.5), mode="nearest", radius=(0, 0, 5, 5))
    assert np.allclose(segment.blur(planes, 1.5).numpy(), theirs, atol=1e-6)


# --- shown --------------------------------------------------------------------------------------------------------------


def test_pairs_are_shown_in_one_color():
    gray = torch.full((1, 3, 32, 40), 0.6)
    found = [
        regions.Region("sky", half(32, 40), ((0, half(32, 40, "right")),)),
        regions.Region("the rest", half(32, 40, "right"), ((0, torch.zeros(1, 1, 32, 40)), (1, None))),
    ]
    sheet = pairing.show(gray, [gray, gray, gray], found)
    assert sheet.shape[:2] == (1, 3)
    assert 0 <= float(sheet.min()) <= float(sheet.max()) <= 1
    step = 400 + pairing.MARGIN  # 32 x 40 shown 320 high
    middle = pairing.MARGIN + pairing.HEIGHT // 2
    (left, right), (unused, sky), (rest, _), (none, _) = (
        tuple(sheet[0, :, middle, pairing.MARGIN + step * k + x] for x in (60, 340)) for k in range(4)
    )
    assert torch.equal(left, sky)
    assert torch.allclose(right, rest, atol=1e-6)
    assert float((left - right).abs().max()) > 0.2
    for plain in (unused, none):
        assert float(plain.std()) < 1e-3
    swatches = [sheet[0, :, pairing.HEIGHT + 2 * pairing.MARGIN + 5 + row * pairing.LINE, pairing.MARGIN + 5] for row in range(2)]
    for (one, other), tint in itertools.product([swatches], [left]):
        assert torch.cosine_similarity(one - one.mean(), tint - tint.mean(), 0) > 0.95
        assert torch.cosine_similarity(other - other.mean(), tint - tint.mean(), 0) < 0.5
