"""A model in a photograph: where its light and its shadow fall, and what of the photograph stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.mesh import site
from impasto.mesh.atlas import build
from impasto.mesh.cameras import Camera
from impasto.mesh.site import Light, Shadow
from impasto.mesh.stage import Stage
from impasto.pixels.color import luminance, rgb_to_lab, srgb_to_linear
from impasto.pixels.picture import Picture

EYE = Camera(np.array([0.0, 2.0, 9.0]), np.array([0.0, -0.5, 0.0]), 40.0)


@pytest.fixture
def stage(cube):
    model = cube(uv=False, picture=False)
    return Stage(model, build(model, 64))


@pytest.fixture
def gray(stage):
    return [torch.full_like(page.image, 0.7) for page in stage.atlas.pages]


def lit(stage, maps, azimuth, *, elevation=35.0, sky=0.3):
    photo = Picture(torch.full((1, 3, 120, 160), 0.5))
    return site.composite(stage, maps, photo, EYE, Light(azimuth, elevation, sky)).image


def at(image, place):
    """How light a picture is at a place of the world."""
    x, y, w = EYE.project(np.array(place, float), 120, 160)
    return float(luminance(image)[0, 0, int(y / w), int(x / w)])


def test_places_behind_the_model_are_in_its_shadow(stage):
    light = Light(90, 45, 0.3)  # from +x, as high as it is far: the shadow of the cube's 2 m is 2 m long
    shadow = Shadow(stage, light.direction)
    places = np.array([[-1.5, -1, 0], [-2.9, -1, 0], [-3.2, -1, 0], [1.5, -1, 0], [0, -1, 1.2], [0, 1.02, 0]])
    np.testing.assert_allclose(shadow.lit(places), [0, 0, 1, 1, 1, 1])


def test_the_shadow_falls_away_from_the_sun(stage, gray):
    left, right = lit(stage, gray, 270), lit(stage, gray, 90)
    assert at(left, (2.2, -1, 0.5)) < at(left, (-2.2, -1, 0.5)) - 0.05
    torch.testing.assert_close(left, right.flip(-1), atol=0.03, rtol=0)


def test_faces_turned_from_the_sun_are_darker(stage, gray):
    front, back = lit(stage, gray, 0), lit(stage, gray, 180)
    assert at(front, (0, 0, 1)) > at(front, (0, 1, 0))
    assert at(back, (0, 0, 1)) < at(back, (0, 1, 0))


def test_the_more_the_sky_lights_the_softer_the_shadow(stage, gray):
    dark = [at(lit(stage, gray, 270, sky=sky), (2.2, -1, 0.5)) for sky in (0.1, 0.5, 0.9)]
    assert dark[0] < dark[1] < dark[2] < 0.215


def test_the_photograph_stays_where_neither_model_nor_shadow_is(stage, gray):
    random = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(0))
    photo = Picture(random)
    found = site.composite(stage, gray, photo, EYE, Light(270, 35, 0.3))
    torch.testing.assert_close(found.image[..., :20, :], random[..., :20, :], atol=1e-5, rtol=0)
    assert found.size == photo.size


def test_edges_are_mixed_as_light_is(stage, gray):
    view = stage.look(EYE, (120, 160), stage.layout(gray), relief=0)
    partial = ((view.mask() > 0.1) & (view.mask() < 0.9))[..., :60, :]
    assert partial.any()
    bright = site.composite(stage, [torch.ones_like(gray[0])], Picture(torch.zeros(1, 3, 120, 160)), EYE, Light(0, 35, 0.3))
    light = srgb_to_linear(bright.image[..., :60, :]).amax(1, keepdim=True)
    share = view.mask()[..., :60, :]
    # mixed in sRGB, a quarter of the model would give a fifth of that
    assert float((light / share)[partial].min()) > 0.6 * float(light[share == 1].min())


def test_paint_comes_half_way_to_the_light_of_the_photograph():
    random = torch.Generator().manual_seed(2)
    paint, photo = torch.rand(1, 3, 40, 40, generator=random), 0.1 + 0.15 * torch.rand(1, 3, 40, 40, generator=random)
    alpha = torch.ones(1, 1, 40, 40)
    before, after = rgb_to_lab(paint), rgb_to_lab(site._toned(paint, alpha, photo))
    target = rgb_to_lab(photo)[:, :1, 13:]
    assert float(after[:, :1].mean()) == pytest.approx((float(before[:, :1].mean()) + float(target.mean())) / 2, abs=2.5)
    assert float(after[:, :1].std()) < float(before[:, :1].std())
    # colors are the painting's still
    assert float(after[:, 1:].std()) > 0.7 * float(before[:, 1:].std())


def test_light_is_estimated_from_its_side_its_contrast_and_a_glare():
    ramp = torch.linspace(0.2, 0.9, 96).expand(1, 3, 64, 96)
    camera = Camera(np.array([0.0, 1, 5]), np.array([0.0, 1, 0]))
    right, left = site.estimated(ramp, camera), site.estimated(ramp.flip(-1), camera)
    assert 30 < right.azimuth < 80
    assert left.azimuth == pytest.approx(360 - right.azimuth, abs=0.5)
    even = site.estimated(0.5 + 0.02 * ramp, camera)
    assert even.sky == site.SKY[1] > right.sky
    sunset = torch.full((1, 3, 64, 96), 0.3)
    sunset[..., 10:14, 60:64] = 1
    glare = site.estimated(sunset, camera)
    assert 100 < glare.azimuth < 180, "before the camera, to its right"
    assert site.LOWEST <= glare.elevation < 30
    for color in right.colors:
        assert float(color @ torch.tensor([0.2126, 0.7152, 0.0722])) == pytest.approx(1, abs=1e-4)


def test_light_that_is_given():
    light = Light(10, 40, 0.5)
    assert light.given("60,30").told() == "60,30,0.50"
    assert light.given("60,30,0.2").told() == "60,30,0.20"
    assert replace(light, azimuth=90.0, elevation=0.0).direction == pytest.approx([1, 0, 0], abs=1e-9)


@pytest.mark.parametrize("text", ["60", "60,-3", "60,30,2", "a,b", "60,nan", "1,2,0.3,4"])
def test_light_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--sun"):
        site.sun(text)


def test_a_camera_that_looks_elsewhere_is_said(stage, gray):
    away = Camera(np.array([0.0, 0, 9]), np.array([0.0, 0, 20]))
    with pytest.raises(UsageError, match="does not see"):
        site.composite(stage, gray, Picture(torch.zeros(1, 3, 20, 30)), away, Light(0, 40, 0.3))


def test_what_is_transparent_in_the_photograph_stays_so(stage, gray):
    clear = torch.ones(1, 1, 120, 160)
    clear[..., :80] = 0
    photo = Picture(torch.full((1, 3, 120, 160), 0.5), clear)
    light = Light(90, 35, 0.3)
    found, opaque = (site.composite(stage, gray, each, EYE, light) for each in (photo, replace(photo, alpha=None)))
    cover = stage.look(EYE, (120, 160), stage.layout(gray), relief=0).mask()
    assert opaque.alpha is None
    torch.testing.assert_close(found.alpha, torch.maximum(clear, cover))
    left = cover[..., :80].expand(1, 3, -1, -1)
    torch.testing.assert_close(found.image[..., :80][left == 1], opaque.image[..., :80][left == 1])
    # an edge over nothing has the model's color in full, which here is not that of the photograph
    edge = (left > 0.1) & (left < 0.9)
    assert edge.any()
    assert float((found.image[..., :80] - opaque.image[..., :80])[edge].abs().mean()) > 0.01
