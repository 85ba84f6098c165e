import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from impasto import metrics
from impasto.errors import UnfitPicture, UsageError
from impasto.features import statistics
from impasto.paint import companions, patchwork, periodic, regions, texture
from impasto.paint.optimize import Level
from impasto.paint.settings import Settings, settings_from
from impasto.paint.texture import Texture, opened_exemplars, synthesize


def seam(image):
    """The jump across the borders of a picture laid beside itself, over the mean jump inside."""
    return metrics.seam_energy(image.repeat(1, 1, 2, 2), image.shape[-1])


def identity(height, width):
    return torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))


@pytest.fixture
def grain():
    """An exemplar of soft spots, 48 x 56, that does not repeat."""
    random = torch.Generator().manual_seed(4)
    coarse = torch.rand(1, 3, 12, 14, generator=random)
    return F.interpolate(coarse, (48, 56), mode="bicubic", align_corners=False).clamp(0, 1)


@pytest.fixture
def fast(narrow):
    """Settings that take no time."""
    return {"encoder": narrow, "steps": 3, "precision": "fp32", "device": "cpu"}


@pytest.mark.parametrize(
    ("size", "tile", "shape"),
    [("40x24", "", (24, 40)), (64, "", (64, 64)), (90, "xy", (90, 90)), ("96x70", "x", (70, 96)), ("full", "xy", (48, 56))],
)
def test_the_result_has_the_size_asked_for(grain, fast, size, tile, shape):
    found = synthesize(grain, size=size, tile=tile, **fast)
    assert found.image.shape == (1, 3, *shape)
    assert 0 <= float(found.image.min()) < float(found.image.max()) <= 1
    assert found.recipe["verb"] == "texture"
    assert found.recipe["tile"] == tile


def test_the_seed_decides(grain, fast):
    first, again, other = (synthesize(grain, size=64, seed=seed, tile="xy", **fast).image for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.05)


def test_a_recipe_makes_it_again(grain, fast):
    found = synthesize(grain, size=64, tile="x", **fast)
    again = Texture(opened_exemplars(grain), Settings.from_dict(found.recipe["settings"]), tile=found.recipe["tile"])
    for _ in again.steps():
        pass
    assert torch.equal(found.image, again.result().image)


def test_what_repeats_has_no_seam(grain, fast):
    tiled, plain = (synthesize(grain, size=64, tile=tile, **fast).image for tile in ("xy", ""))
    assert 0.6 < seam(tiled) < 1.4
    assert seam(plain) > 2


def test_sideways_it_repeats_only_sideways(grain, fast):
    image = synthesize(grain, size=64, tile="x", **fast).image
    mean = image.diff(dim=-1).abs().mean()
    assert (image[..., 0] - image[..., -1]).abs().mean() < 1.6 * mean
    assert (image[..., 0, :] - image[..., -1, :]).abs().mean() > 2 * mean


def test_the_loss_does_not_see_where_a_tile_begins(grain, fast):
    work = Texture(opened_exemplars(grain), settings_from({"size": 64, **fast}), tile="xy")
    objective = work.objective_at(work.levels[-1])
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    losses = [float(objective.gradient(torch.roll(image, shift, (2, 3)))[0]["style"]) for shift in ((0, 0), (16, 0), (48, 32))]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-4)
    plain = Texture(opened_exemplars(grain), settings_from({"size": 64, **fast}))
    edged = [float(plain.objective_at(plain.levels[-1]).gradient(each)[0]["style"]) for each in (image, image.roll(16, 2))]
    assert edged[0] != pytest.approx(edged[1], rel=1e-4)


def test_a_texture_continued_at_its_borders_is_what_a_periodic_network_sees(grain, fast):
    work = Texture(opened_exemplars(grain), settings_from({"size": "64x48", **fast}), tile="xy")
    seen = periodic.frame((48, 64), (True, True), 80, 0)
    image = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    layers = work.settings.style_layers
    around, within = work.periodic(image, layers), work.encoder(seen.show(image), layers)
    rolled = periodic.frame((48, 64), (True, True), 0, 0).show(image)
    for layer in layers[:1]:  # deeper ones see another grid of poolings where it is rolled
        wanted, found = statistics.moments(around[layer]), statistics.moments(within[layer], seen.inside)
        torch.testing.assert_close(found.second, wanted.second, rtol=1e-4, atol=1e-4)
    around = work.periodic(rolled, layers)
    for layer in layers:
        wanted, found = statistics.moments(around[layer]), statistics.moments(within[layer], seen.inside)
        torch.testing.assert_close(found.second, wanted.second, rtol=1e-3, atol=1e-3)


def test_tiles_pull_like_the_whole(grain, fast, monkeypatch):
    def pull(tile):
        if tile:
            monkeypatch.setattr(texture.memory, "limited", lambda level, *_, **__: level._replace(tile=tile))
        work = Texture(opened_exemplars(grain), settings_from({"size": 64, "max_memory": "1GB", **fast}), tile="xy")
        level = Level(64, 1, tile)
        work.canvas.resize(64)
        image = work.canvas.render()
        losses, gradient = work.objective_at(level).gradient(image)
        (found,) = torch.autograd.grad(image, work.canvas.parameters(), gradient)
        return float(losses["style"]), found

    (whole, wanted), (tiled, found) = pull(0), pull(32)
    assert tiled == pytest.approx(whole, rel=1e-3)
    assert float((found - wanted).norm() / wanted.norm()) < 0.05


def test_steps_bring_it_nearer_to_the_exemplar(grain, fast):
    begun = {**fast, "init": "noise", "steps": "64:25"}
    work = Texture(opened_exemplars(grain), settings_from({"size": 64, **begun}))
    losses = [step.losses["style"] for step in work.steps()]
    assert losses[-1] < losses[0] / 2


def test_a_mask_places_exemplars(fast):
    random = torch.Generator().manual_seed(0)
    dark, light = (0.2 * torch.rand(1, 3, 40, 40, generator=random) + level for level in (0.1, 0.7))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    placed = regions.from_masks((64, 64), {"left": mask}, ["left", None])
    found = synthesize([dark, light], size=64, regions=placed, **fast)
    assert float(found.image[..., :28].mean()) < 0.35 < 0.65 < float(found.image[..., 36:].mean())


def test_a_mixture_lies_between(fast):
    random = torch.Generator().manual_seed(0)
    dark, light = (0.2 * torch.rand(1, 3, 40, 40, generator=random) + level for level in (0.1, 0.7))
    found = [float(synthesize([(dark, 1 - share), (light, share)], size=48, **fast).image.mean()) for share in (0.2, 0.8)]
    assert 0.2 < found[0] < found[1] - 0.2 < 0.6


def test_work_stopped_goes_on_bit_for_bit(grain, fast, tmp_path):
    def begun():
        return Texture(opened_exemplars(grain), settings_from({"size": 70, **fast, "steps": 6}), tile="xy")

    whole, stopped, resumed = begun(), begun(), begun()
    for _ in whole.steps():
        pass
    for step in stopped.steps():
        if step.index == 4:
            break
    stopped.save_state(tmp_path / "state.safetensors")
    resumed.load_state(tmp_path / "state.safetensors")
    for _ in resumed.steps():
        pass
    assert torch.equal(resumed.result().image, whole.result().image)
    other = Texture(opened_exemplars(grain), settings_from({"size": 70, **fast, "steps": 6}))
    with pytest.raises(UsageError, match="tile differs"):
        other.load_state(tmp_path / "state.safetensors")


def test_what_lies_under_transparency_does_not_count(grain, fast):
    alpha = torch.ones(1, 1, 48, 56)
    alpha[..., :12, :] = 0
    pictures = [torch.cat([torch.where(alpha > 0, grain, under), alpha], 1) for under in (torch.zeros(()), torch.ones(()))]
    first, other = (synthesize(each, size=64, **fast) for each in pictures)
    assert torch.equal(first.image, other.image)
    assert first.picture.alpha is None


@pytest.mark.parametrize(
    ("exemplar", "more", "words"),
    [
        (torch.rand(3, 12, 60), {}, "60 x 12 px: 16 px a side"),
        (torch.full((3, 40, 40), 0.3), {}, "one color"),
        (torch.cat([torch.rand(3, 40, 40), torch.zeros(1, 40, 40)]), {}, "transparent"),
        (torch.rand(3, 40, 40), {"size": "64x8"}, "64 x 8 px"),
        (torch.rand(3, 40, 40), {"tile": "y"}, "'y'"),
        (torch.rand(3, 40, 40), {"sise": 3}, "not a setting"),
    ],
)
def test_what_cannot_be_is_said(exemplar, more, words, fast):
    with pytest.raises((UnfitPicture, UsageError), match=words):
        synthesize(exemplar, **{"size": 64, **fast, **more})


def test_a_far_larger_exemplar_is_cut_and_a_scale_is_kept():
    picture = opened_exemplars(torch.rand(3, 900, 1000))[0].open()
    assert companions.looked_at(picture, 1.0, (64, 64)).size == (128, 128)
    assert torch.equal(companions.looked_at(picture, 1.0, (600, 600)).image, picture.image)
    assert companions.looked_at(picture, 0.5, (600, 600)).size == (450, 500)


def test_an_arrangement_is_made_of_the_exemplar_and_goes_around(grain):
    image = patchwork.arrange(grain, (70, 64), (True, True), seed=3)
    assert image.shape == (1, 3, 70, 64)
    assert (image[..., 0] - image[..., -1]).abs().mean() < 1.6 * image.diff(dim=-1).abs().mean()
    places = patchwork.trace(image, grain, (True, True))
    assert float((patchwork.carry(grain, places, (True, True)) - image).abs().mean()) < 0.03


def test_patches_are_arranged_where_they_are_few(grain, fast, monkeypatch):
    """At 192 px the exemplar's squares would take gigabytes of a larger exemplar; they are laid at the coarsest size."""
    laid, arrange = [], patchwork.arrange
    monkeypatch.setattr(patchwork, "arrange", lambda image, size, *more: laid.append(size) or arrange(image, size, *more))
    large = F.interpolate(grain, scale_factor=4, mode="bicubic", align_corners=False).clamp(0, 1)
    found = synthesize(large, size=192, tile="xy", **fast | {"steps": "192:1"})
    assert found.image.shape == (1, 3, 192, 192)
    assert len(laid) == 1
    assert max(laid[0]) <= 96


def test_an_arrangement_leaves_out_what_the_mask_leaves_out(grain):
    mask = torch.ones(1, 1, 48, 56)
    mask[..., 40:] = 0
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    image = patchwork.arrange(torch.where(mask > 0, 0.5 * grain, red), (64, 64), mask=mask)
    assert float(image.max()) < 0.6


def test_an_exemplar_is_found_in_itself(grain):
    field = patchwork.trace(grain, grain)
    inner = (slice(None), slice(3, -3), slice(3, -3))
    assert torch.equal(field[inner], identity(48, 56)[inner])
    larger = F.interpolate(grain, (192, 224), mode="bicubic").clamp(0, 1)  # over two halvings
    off = (patchwork.trace(larger, larger) - identity(192, 224))[inner].abs()
    assert float((off.amax(0) == 0).float().mean()) > 0.95


def test_the_identity_carries_maps_as_they_are(grain):
    deep = (grain * 65535).round() / 65535
    for wrap in ((False, False), (True, True)):
        found = patchwork.carry(deep, identity(48, 56), wrap)
        rows = slice(2, -2) if wrap[0] else slice(None)
        assert torch.equal((found * 65535).round()[..., rows, rows], (deep * 65535).round()[..., rows, rows])


def normals(height, width):
    """A map of normals of waves."""
    y, x = torch.meshgrid(torch.linspace(0, 9, height), torch.linspace(0, 11, width), indexing="ij")
    vectors = torch.stack([0.6 * x.sin(), 0.5 * y.cos(), torch.ones_like(x)])
    return (vectors / vectors.norm(dim=0) + 1)[None] / 2


def test_maps_follow_the_texture(grain, fast):
    found = synthesize(grain, size=64, tile="xy", **fast)
    deep = np.asarray((grain[0, :1].permute(1, 2, 0).numpy() * 65535).round(), np.uint16).repeat(3, 2)
    made = companions.carry(found, grain, {"normal": normals(48, 56), "height": deep})
    normal, height = made["normal"].image, made["height"]
    assert torch.allclose((2 * normal - 1).norm(dim=1), torch.ones(1, 64, 64), atol=1e-5)
    assert height.picture.bits == 16
    assert height.picture.size == (64, 64)
    # the map is the exemplar's red: what is carried along resembles the texture's own
    away = (height.image[:, 0] - found.image[:, 0]).abs().mean()
    assert away < 0.5 * (height.image[:, 0] - found.image[:, 0].roll(32, 2)).abs().mean()
    with pytest.raises(UnfitPicture, match="30 x 20"):
        companions.carry(found, grain, {"normal": torch.rand(3, 20, 30)})
    with pytest.raises(UsageError, match="one exemplar"):
        companions.carry(synthesize([grain, grain], size=64, **fast), grain, {"normal": normals(48, 56)})


def test_only_normals_are_normalized():
    assert companions.is_normals(normals(20, 30))
    assert not companions.is_normals(torch.rand(1, 1, 20, 30).expand(1, 3, 20, 30))
    assert not companions.is_normals(torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0)))


def test_enlarging_goes_around():
    plane = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(plane, (31, 40), mode="bicubic", align_corners=False)
    torch.testing.assert_close(periodic.resampled(plane, (31, 40), (False, False)), wanted, atol=1e-5, rtol=0)
    around = periodic.resampled(plane.roll((10, 12), (2, 3)), (40, 48), (True, True))
    torch.testing.assert_close(
        around, periodic.resampled(plane, (40, 48), (True, True)).roll((20, 24), (2, 3)), atol=1e-5, rtol=0
    )


def test_colors_are_brought_back_to_those_of_the_exemplar():
    random = torch.Generator().manual_seed(0)
    gray = torch.rand(1, 1, 64, 64, generator=random).expand(1, 3, 64, 64)
    gamut = periodic.Gamut.of([(gray, None)])
    colored = torch.rand(1, 3, 64, 64, generator=random)
    near = gamut.nearest(colored)
    assert float((near - near.mean(1, keepdim=True)).abs().max()) < 1e-3
    assert float(gamut.excess(colored)) > 100
    assert float(gamut.excess(gray)) < 1


def test_gradients_of_colors_are_smoothed_and_of_the_main_axis_not():
    gradient = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    axis = torch.tensor([1.0, 1, 1]) / math.sqrt(3)
    (found,) = torch.autograd.grad(periodic.SoftColors.apply(image, axis), image, gradient)
    assert float(((found - gradient).mean(1).abs() < 1e-5).float().mean()) > 0.9  # the rest is cut off
    assert float(found.abs().max()) < 4 * float(found.square().mean().sqrt())
    assert float((found - found.mean(1, keepdim=True)).std()) < 0.25 * float((gradient - gradient.mean(1, keepdim=True)).std())


def test_steps_and_previews_are_of_the_texture_itself(grain, fast):
    work = Texture(opened_exemplars(grain), settings_from({"size": 70, **fast}), tile="xy")
    for step in work.steps(preview=True):
        assert step.size == tuple(step.preview.shape[-2:]) == tuple(work.canvas.pixels.shape[-2:])
    assert "70 x 70 px" in work.plan()
