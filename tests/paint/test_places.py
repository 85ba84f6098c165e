"""Painting by place: regions, what is kept, strength and color by mask, transparency."""

import pytest
import torch

from impasto.paint.image import Painting
from impasto.paint.objective import anchor_terms, pull
from impasto.paint.optimize import Level
from impasto.paint.pictures import opened
from impasto.paint.regions import Region
from impasto.paint.settings import Settings
from impasto.pixels import color
from impasto.still import open_styles

ONES = torch.ones(1, 1, 48, 64)


@pytest.fixture
def begin(narrow, picture):
    def prepare(styles=1, content=None, masks=None, **settings):
        chosen = Settings(**{"size": "64", "steps": "64:4", "encoder": narrow, "precision": "fp32"} | settings)
        content = picture(1, 48, 64) if content is None else content
        return Painting(opened(content)[0], open_styles([picture(2 + i, 60, 52) for i in range(styles)]), chosen, **(masks or {}))

    return prepare


def painted(painting):
    for _ in painting.steps():
        pass
    return painting.result().image


def halves():
    left = torch.zeros(1, 1, 48, 64)
    left[..., :32] = 1
    return left, 1 - left


@pytest.mark.parametrize("masks", [{"strength_mask": ONES}, {"keep": 0 * ONES}, {"color_mask": ONES}])
def test_masks_that_select_all_equal_none(begin, masks):
    torch.testing.assert_close(painted(begin(masks=masks)), painted(begin()), rtol=0, atol=2e-3)


def test_a_region_of_ones_equals_none(begin):
    regions = [Region("all", ONES, ((0, None),))]
    torch.testing.assert_close(painted(begin(masks={"regions": regions})), painted(begin()), rtol=0, atol=2e-3)


def test_two_regions_of_one_style_pull_like_one_at_each_pixel(begin, picture):
    """Where both halves already have the same statistics, dividing changes no gradient."""
    left, right = halves()
    half = picture(5, 48, 32)
    image = torch.cat([half, half.flip(2)], 2)[None]
    regions = [Region("left", left, ((0, None),)), Region("right", right, ((0, None),))]
    _, whole = begin(content_weight=0.0).objective_at(Level(64, 1)).gradient(image)
    _, parts = begin(content_weight=0.0, masks={"regions": regions}).objective_at(Level(64, 1)).gradient(image)
    assert float(parts.norm()) == pytest.approx(float(whole.norm()), rel=0.25)


def test_each_region_takes_its_own_style(begin):
    left, right = halves()
    both = {"regions": [Region("left", left, ((0, None),)), Region("right", right, ((1, None),))]}
    image = painted(begin(styles=2, masks=both, init="noise", content_weight=0.0, steps="64:12"))
    first, second = (
        painted(
            begin(styles=2, masks={"regions": [Region("", None, ((i, None),))]}, init="noise", content_weight=0.0, steps="64:12")
        )
        for i in (0, 1)
    )
    mean = lambda picture, part: (picture * part).sum((0, 2, 3)) / part.sum()  # noqa: E731
    for part, own, other in ((left, first, second), (right, second, first)):
        here = mean(image, part)
        assert (here - own.mean((0, 2, 3))).norm() < (here - other.mean((0, 2, 3))).norm()


def test_what_is_kept_is_the_content_itself(begin, picture):
    left, _ = halves()
    image = painted(begin(masks={"keep": left}))
    torch.testing.assert_close(image[..., :32], picture(1, 48, 64)[None, ..., :32], rtol=0, atol=1e-6)
    assert (image[..., 34:] - picture(1, 48, 64)[None, ..., 34:]).abs().max() > 0.02


def test_strength_by_place(begin, picture):
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 48, 64)
    moved = (painted(begin(masks={"strength_mask": ramp})) - picture(1, 48, 64)[None]).abs().mean((0, 1, 2))
    assert moved[0] < 1e-3
    assert moved[:16].mean() < moved[24:40].mean() < moved[48:].mean()


def test_strength_grows_from_nothing_to_all(begin, picture):
    content = picture(1, 48, 64)[None]
    moved = [float((painted(begin(strength=s, steps="64:12")) - content).abs().mean()) for s in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert moved[0] == 0
    assert moved == sorted(moved)


def test_the_anchor_is_zero_at_the_content_and_gone_at_full_strength(encoder, picture):
    content = picture(1, 48, 64)[None]
    terms = anchor_terms(content, encoder, Settings(), 0.5)
    features = encoder(content, [term.layer for term in terms])
    assert all(float(term(features[term.layer])) == 0 for term in terms)
    assert anchor_terms(content, encoder, Settings(), 0.0) == []
    assert [pull(strength) for strength in (0.0, 0.5, 1.0)] == [0, 0.75, 1]


@pytest.mark.parametrize("mode", ["luminance", "match", "histogram"])
def test_colors_are_preserved(begin, picture, mode):
    content = picture(1, 48, 64)[None]
    image = painted(begin(preserve_color=mode))
    plain = painted(begin())
    if mode == "luminance":
        found, wanted = color.rgb_to_lab(image), color.rgb_to_lab(content)
        # out-of-gamut colors are clipped
        assert (found - wanted)[:, 1:].abs().median() < 1
    else:
        far = lambda one: (one.mean((0, 2, 3)) - content.mean((0, 2, 3))).norm()  # noqa: E731
        assert far(image) < 0.5 * far(plain)


def test_transparent_pixels_count_in_nothing(begin, picture):
    """What lies under transparency changes no opaque pixel's statistics, and comes out as it went in."""
    first = torch.cat([picture(1, 48, 64), ONES[0]])
    first[3, :, :24] = 0
    second = first.clone()
    second[:3, :, :24] = picture(9, 48, 24)
    results = []
    for content in (first, second):
        painting = begin(content=content.permute(1, 2, 0).numpy(), content_weight=0.0)
        image = painted(painting)
        assert torch.equal(painting.result().picture.alpha, content[None, 3:])
        torch.testing.assert_close(image[..., :24], content[None, :3, :, :24], rtol=0, atol=1e-6)
        results.append(image[..., 40:])
    plain = painted(begin(content=picture(9, 48, 64)))[..., 40:]
    near, far = (results[0] - results[1]).abs().mean(), (results[0] - plain).abs().mean()
    assert near < 0.2 * far


def test_alpha_of_ones_equals_none(begin, picture):
    opaque = torch.cat([picture(1, 48, 64), ONES[0]]).permute(1, 2, 0).numpy()
    torch.testing.assert_close(painted(begin(content=opaque)), painted(begin()), rtol=0, atol=2e-3)


def test_an_opaque_part_pulls_style_and_content_like_the_whole(begin, picture):
    """Style's share of the gradient does not depend on how much of the picture is transparent."""
    ratios = []
    for opaque in (64, 32):
        content = torch.cat([picture(1, 48, 64), ONES[0]])
        content[3, :, opaque:] = 0
        objective = begin(content=content.permute(1, 2, 0).numpy(), strength=0.5).objective_at(Level(64, 1))
        weights = {name: sum(term.weight for term in objective.terms if term.name == name) for name in ("style", "anchor")}
        ratios.append(weights["style"] / weights["anchor"])
    assert ratios[1] == pytest.approx(ratios[0] / 2, rel=0.02)


def test_a_color_mask_leaves_the_painting_its_colors(begin):
    left, _ = halves()
    painting = begin(preserve_color="luminance", masks={"color_mask": left})
    assert torch.equal(painting.styles[0].picture.image, begin().styles[0].picture.image)
    image = painted(painting)
    chroma = (image - image.mean(1, keepdim=True)).abs().mean((0, 1, 2))
    assert chroma[40:].mean() > 0.02
