"""Where styles go on a model: by material, and by masks over its own texture coordinates, kept or laid out anew."""

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.mesh import cameras, regions, sample
from impasto.mesh.atlas import build
from impasto.mesh.model import Instance, Material, Model, Surface
from impasto.mesh.project import Places
from impasto.mesh.stage import Stage


def stage_of(model, size=96, **more):
    return Stage(model, build(model, size, **more))


def halves():
    """Light over the upper half of the picture, where three of the cube's sides lie."""
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32, :] = 1
    return mask


def seen(stage, found, azimuth=35, elevation=20):
    """Shares of a view's samples, and where in the model's own picture each of them lies."""
    camera = cameras.orbit(stage.center, stage.frame, azimuth, elevation)
    shapes = tuple(page.shape for page in stage.atlas.pages)
    view = stage.look(camera, (48, 48), sample.Layout(shapes))
    own = stage.see(camera, 96, 96)
    surface = stage.model.surfaces[0]
    corners = surface.uv[surface.faces][own.face.reshape(-1)[view.flat.numpy()]]
    uv = (corners * own.weights.reshape(-1, 3)[view.flat.numpy()][..., None]).sum(1)
    return found.shares(view, shapes), uv


@pytest.mark.parametrize("keep", [None, False], ids=["kept", "laid out anew"])
def test_a_mask_lies_over_the_models_own_coordinates(cube, keep):
    stage = stage_of(cube(), 128, keep=keep)
    found = regions.find(stage, ["", "upper"], {"upper": halves()})
    assert stage.atlas.pages[0].picture == (-1 if keep is False else 0)
    for azimuth, elevation in ((35, 20), (215, -20)):
        (rest, upper), uv = seen(stage, found, azimuth, elevation)
        assert 0.1 < float(upper.mean()) < 0.9
        assert ((upper > 0.5).numpy() == (uv[:, 1] < 0.5)).all()
        assert float(((upper > 0.02) & (upper < 0.98)).float().mean()) < 0.01
        np.testing.assert_allclose(rest, 1 - upper, atol=1e-6)


def test_masks_that_lie_over_each_other_share(cube):
    found = regions.find(stage_of(cube()), ["a", "b", ""], {"a": halves(), "b": torch.full((1, 1, 8, 8), 0.5)})
    (one, other, rest), uv = seen(stage_of(cube()), found)
    upper, lower = uv[:, 1] < 0.45, uv[:, 1] > 0.55
    np.testing.assert_allclose(one[upper], 2 / 3, atol=1e-5)
    np.testing.assert_allclose(other[upper], 1 / 3, atol=1e-5)
    np.testing.assert_allclose(torch.stack([one, other, rest])[:, lower].T - torch.tensor([0, 0.5, 0.5]), 0, atol=1e-5)


def test_a_mask_goes_before_a_material(cube):
    model, other = cube(), cube()
    other.surfaces[0].material = 1
    materials = [Material("Roof", picture=0), Material("Wall", picture=1)]
    instances = [Instance(0, np.eye(4)), Instance(1, np.eye(4) + np.eye(4, k=3) * -3)]
    pictures = [model.pictures[0], other.pictures[0]]
    stage = stage_of(Model("two", [model.surfaces[0], other.surfaces[0]], instances, materials, pictures))
    found = regions.find(stage, ["roof", "upper"], {"upper": halves()})
    kept = [found.unpainted(stage, number, page.shape) for number, page in enumerate(stage.atlas.pages)]
    for number, expected in ((0, 0.0), (1, 1.0)):
        covered = stage.atlas.pages[number].covered > 0
        low = torch.zeros_like(covered)
        low[..., 52:, :] = True
        np.testing.assert_allclose(kept[number][covered & low], expected, atol=1e-6)
        high = torch.zeros_like(covered)
        high[..., :44, :] = True
        np.testing.assert_allclose(kept[number][covered & high], 0, atol=1e-6)


def test_keep_and_strength_are_no_places(cube):
    stage = stage_of(cube())
    page = stage.atlas.pages[0]
    found = regions.find(stage, [""], {"keep": halves(), "strength": torch.full((1, 1, 4, 4), 0.25)})
    kept = found.unpainted(stage, 0, page.shape)
    covered = page.covered > 0
    assert float(kept[..., :44, :][covered[..., :44, :]].min()) == 1
    np.testing.assert_allclose(kept[..., 52:, :][covered[..., 52:, :]], 0.75, atol=1e-6)
    (whole,), _ = seen(stage, found)
    assert float(whole.min()) == 1


@pytest.mark.parametrize(
    ("places", "masks", "uv", "says"),
    [
        (["roof"], {}, True, "there is no mask of that name"),
        ([""], {"roof": "light"}, True, "has no style: give --style roof="),
        (["roof"], {"roof": "dark"}, True, "selects nothing"),
        (["roof"], {"roof": "light"}, False, "no texture coordinates"),
    ],
)
def test_what_is_wrong_with_masks_is_said(cube, places, masks, uv, says):
    masks = {name: torch.full((1, 1, 8, 8), float(which == "light")) for name, which in masks.items()}
    with pytest.raises(UsageError, match=says):
        regions.find(stage_of(cube(uv=uv)), places, masks)


def test_a_mask_does_not_reach_what_has_no_coordinates(cube):
    model, bare = cube(), cube(uv=False).surfaces[0]
    surfaces = [model.surfaces[0], Surface("bare", bare.positions, bare.faces, 0)]
    instances = [*model.instances, Instance(1, np.eye(4) + np.eye(4, k=3) * -3)]
    stage = stage_of(Model("two", surfaces, instances, model.materials, model.pictures), 96)
    assert len(stage.atlas.pages) == 1
    found = regions.find(stage, ["all"], {"all": torch.ones(1, 1, 8, 8)})
    places = Places(stage, 0, stage.atlas.pages[0].shape)
    kept = found.unpainted(stage, 0, places.shape).flatten()[places.flat].numpy()
    np.testing.assert_allclose(kept, stage.triangles.surface[places.face], atol=1e-6)


def test_a_mask_that_keeps_nothing_is_none(cube):
    stage = stage_of(cube())
    found = regions.find(stage, [""], {"keep": torch.zeros(1, 1, 8, 8)})
    assert float(found.unpainted(stage, 0, stage.atlas.pages[0].shape)[stage.atlas.pages[0].covered > 0].max()) == 0


def test_a_name_with_brackets_is_itself(cube):
    model = cube()
    model.materials[0] = Material("Roof [tiles]", picture=0)
    assert (regions.find(stage_of(model), ["roof [tiles]"]).face == 0).all()
