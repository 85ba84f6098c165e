"""Reading maps is linear, its gradient the transpose; the pyramid gives averages; light is multiplied."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from impasto.mesh import cameras, sample
from impasto.mesh.atlas import build
from impasto.mesh.cameras import Camera
from impasto.mesh.canvas import Canvas, bands, whole
from impasto.mesh.stage import Stage


def staged(model, size=64):
    atlas = build(model, size)
    return Stage(model, atlas), [page.image for page in atlas.pages]


def straight(distance=4.0, field=28.072487):  # tan(field / 2) = 1/4: a square of side 2 fills the picture
    return Camera(np.array([0, 0, distance]), np.zeros(3), field)


def test_a_square_seen_straight_is_its_picture(quad):
    stage, maps = staged(quad())
    view = stage.look(straight(), (64, 64), stage.layout(maps), samples=1, relief=0)
    shown = view.picture(sample.texels(maps), torch.zeros(3))
    torch.testing.assert_close(shown, maps[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(view.mask(), torch.ones(1, 1, 64, 64))


def test_from_afar_a_picture_is_averaged(quad):
    stage, maps = staged(quad())
    view = stage.look(
        straight(field=2 * np.degrees(np.arctan(1 / 4)) * 0.99999), (16, 16), stage.layout(maps), samples=1, relief=0
    )
    shown = view.picture(sample.texels(maps), torch.zeros(3))
    torch.testing.assert_close(shown, F.avg_pool2d(maps[0], 4), atol=2e-3, rtol=0)


def test_pixels_read_weights_that_add_up_to_one(cube):
    stage, maps = staged(cube())
    view = stage.look(cameras.named("corner", stage.center, stage.radius), (32, 32), stage.layout(maps))
    torch.testing.assert_close(view.taps.weight.sum(1), torch.ones(len(view.flat)))
    assert view.taps.weight.min() >= 0
    table = sample.texels(maps)
    assert 0 <= view.taps.texel.min() <= view.taps.texel.max() < len(table)


def test_the_gradient_is_the_transpose(cube):
    stage, maps = staged(cube())
    view = stage.look(cameras.named("corner", stage.center, stage.radius), (24, 24), stage.layout(maps))
    random = torch.Generator().manual_seed(0)
    table = torch.rand(sample.texels(maps).shape, generator=random, dtype=torch.float64).requires_grad_()
    given = torch.rand(len(view.flat), 3, generator=random, dtype=torch.float64)
    seen = sample.gather(table, view.taps)
    (back,) = torch.autograd.grad(seen, table, given)
    torch.testing.assert_close((seen * given).sum(), (table * back).sum())  # <A x, g> = <x, Aᵀ g>
    plain = torch.zeros_like(table).index_add_(
        0, view.taps.texel.flatten(), (given[:, None] * view.taps.weight[..., None]).reshape(-1, 3)
    )
    torch.testing.assert_close(back, plain)
    single = sample.gather(table.detach().float(), view.taps)
    torch.testing.assert_close(single, seen.detach().float(), atol=1e-5, rtol=1e-4)


def test_gradients_of_all_bands_are_those_of_differences(cube):
    stage, maps = staged(cube(), 32)
    maps = [each.double() for each in maps]
    camera = cameras.named("corner", stage.center, stage.radius)
    view = stage.look(camera, (12, 12), stage.layout(maps))
    parts = [band.requires_grad_() for band in bands(maps[0])]
    given = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def value(several):
        return (view.picture(sample.texels([whole(several)]), torch.zeros(3)) * given).sum()

    gradients = torch.autograd.grad(value(parts), parts)
    for k, gradient in enumerate(gradients):
        way = torch.rand(parts[k].shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        moved = [part + (way if j == k else 0) for j, part in enumerate(parts)]
        torch.testing.assert_close(value(moved) - value(parts), (gradient * way).sum(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(64, 32), (32, 96)])
def test_bands_give_the_picture_back(shape):
    image = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(whole(bands(image)), image)


def test_light_is_multiplied(cube):
    stage, maps = staged(cube())
    camera = cameras.named("corner", stage.center, stage.radius)
    table, layout = sample.texels(maps), stage.layout(maps)
    bare = stage.look(camera, (32, 32), layout, samples=1, relief=0)
    lamp = cameras.light(camera)
    lit = stage.look(camera, (32, 32), layout, samples=1, relief=0.4, lamp=lamp)
    dark, light = bare.picture(table, torch.zeros(3)), lit.picture(table, torch.zeros(3))
    normals = stage.triangles.normals[bare.face][:, 0]  # a cube's are flat
    expected = torch.from_numpy(1 - 0.4 * (0.5 - 0.5 * normals @ lamp)).float()
    ratio = (light / dark.clamp(min=1e-6)).mean(1).flatten()[bare.flat]
    torch.testing.assert_close(ratio, expected, atol=1e-4, rtol=0)


def test_masks_count_shares_of_pixels(quad):
    stage, maps = staged(quad(size=1.0))
    view = stage.look(straight(), (10, 10), stage.layout(maps), samples=2)
    mask = view.mask()
    assert float(mask.mean()) == pytest.approx(0.25)
    assert float(view.mask(torch.zeros(len(view.flat))).max()) == 0


def test_a_canvas_keeps_its_maps_through_sizes(cube):
    stage, maps = staged(cube(), 128)
    smooth = [F.interpolate(F.avg_pool2d(each, 16), each.shape[-2:], mode="bicubic").clamp(0, 1) for each in maps]

    def view(number, size, shapes):
        return stage.look(cameras.named("corner", stage.center, stage.radius), (size, size), stage.layout(shapes)), torch.zeros(3)

    canvas = Canvas(smooth, 16, 32, view)
    small = canvas.render().detach()
    assert small.shape == (1, 3, 16, 16)
    canvas.resize(32)
    assert [tuple(each.shape) for each in canvas.maps()] == [tuple(each.shape) for each in maps]
    assert float((F.avg_pool2d(canvas.render().detach(), 2) - small).abs().mean()) < 0.01
    assert all(each.requires_grad and each.is_contiguous() for each in canvas.parameters())
