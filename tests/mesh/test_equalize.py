"""Seams equalized: against a direct solution, and what must not change does not."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve

from impasto.mesh import equalize
from impasto.mesh.atlas import build
from impasto.mesh.model import Instance, Material, Model, Surface
from impasto.mesh.sample import bilinear
from impasto.mesh.stage import Stage
from impasto.pixels.picture import Picture

LEFT, RIGHT = (0.8, 0.3, 0.2), (0.3, 0.4, 0.7)


def cut(size=96, second=(0.5, 0.5, 0.5)):
    """Two squares side by side that share an edge, far apart in their picture: the left one lies in its left half."""
    positions = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0], [2, 0, 0], [2, 1, 0], [1, 1, 0]], np.float64)
    uv = np.array([[0.1, 0.9], [0.4, 0.9], [0.4, 0.1], [0.1, 0.1], [0.6, 0.9], [0.9, 0.9], [0.9, 0.1], [0.6, 0.1]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    image = torch.full((1, 3, size, size), 0.5)
    image[..., size // 2 :] = torch.tensor(second).view(1, 3, 1, 1)
    surface = Surface("two", positions, faces, 0, uv)
    model = Model("two", [surface], [Instance(0, np.eye(4), "two")], [Material("paint", picture=0)], [Picture(image)])
    stage = Stage(model, build(model, size))
    painted = torch.zeros(1, 3, size, size)
    painted[..., : size // 2] = torch.tensor(LEFT).view(1, 3, 1, 1)
    painted[..., size // 2 :] = torch.tensor(RIGHT).view(1, 3, 1, 1)
    return stage, painted


def equalized(stage, painted, *, kept=None, region=None):
    kept = torch.zeros(1, 1, *painted.shape[-2:]) if kept is None else kept
    region = np.zeros(len(stage.page), int) if region is None else region
    return equalize.equalized(stage, [painted], [kept], region)[0]


def gap(image):
    """Mean difference of what both sides of the seam read."""
    heights = np.linspace(0.15, 0.85, 40)
    pixels = image[0].permute(1, 2, 0).numpy()
    sides = [bilinear(pixels, np.stack([np.full(40, u), heights], 1), (True, True)) for u in (0.4, 0.6)]
    return float(np.abs(sides[0] - sides[1]).mean())


def test_both_sides_of_a_seam_become_one_color():
    stage, painted = cut()
    assert gap(painted) > 0.2
    found = equalized(stage, painted)
    assert gap(found) < 0.02
    assert float((found - painted)[..., 48, 12].abs().max()) < 0.01, "far from the seam"
    middle = (torch.tensor(LEFT) + torch.tensor(RIGHT)) / 2
    torch.testing.assert_close(found[0, :, 48, 37], middle, atol=0.1, rtol=0)


def test_grain_is_kept_along_the_seam():
    stage, painted = cut()
    grain = 0.1 * torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(1))
    plain, grained = equalized(stage, painted), equalized(stage, (painted + grain).clamp(0, 1))
    rest = (grained - plain)[0, 0, 20:80, 30:36] - grain[0, 0, 20:80, 30:36]
    assert float(rest.abs().mean()) < 0.25 * float(grain.abs().mean())


def test_the_solution_is_that_of_a_direct_solver(monkeypatch):
    monkeypatch.setattr(equalize, "ENOUGH", 1e-6)
    stage, painted = cut(32)
    labels = [equalize._labels(stage, np.arange(4), torch.zeros(1, 1, 32, 32))]
    seams = equalize._seams(stage, [painted], equalize._shared(stage, np.ones(4, bool), np.zeros(4, int)))
    charts = equalize._charts(labels, seams, 40)
    flat, damping, count = painted[0].flatten(1).T, 0.05, len(charts.texel)
    rows = np.repeat(np.arange(count), 4)
    beside = charts.beside.numpy().reshape(-1)
    inside = beside < count
    near = sparse.csr_matrix((np.ones(inside.sum()), (rows[inside], beside[inside])), (count, count))
    laplacian = sparse.diags(np.asarray(near.sum(1)).reshape(-1) + damping) - near
    number = charts.number[seams.texel].numpy()
    assert (number >= 0).all()
    ties = sparse.csr_matrix((seams.weight.numpy().reshape(-1), (np.repeat(np.arange(len(number)), 8), number.reshape(-1))),
                             (len(number), count))  # fmt: skip
    apart = (flat[seams.texel] * seams.weight[..., None]).sum(1).numpy()
    wanted = spsolve((laplacian + equalize.TIE * ties.T @ ties).tocsc(), -equalize.TIE * ties.T @ apart)
    found = equalize._solve(charts, seams, flat, damping)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)


def test_two_things_stay_apart():
    """A seam at which the unpainted model changes color, or that lies between two regions."""
    stage, painted = cut(second=(0.9, 0.9, 0.9))
    assert torch.equal(equalized(stage, painted), painted)
    stage, painted = cut()
    region = np.array([0, 0, 1, 1])
    assert torch.equal(equalized(stage, painted, region=region), painted)


def test_what_is_kept_does_not_change():
    stage, painted = cut()
    kept = torch.zeros(1, 1, 96, 96)
    kept[..., :48] = 1
    found = equalized(stage, painted, kept=kept)
    assert torch.equal(found[..., :48], painted[..., :48])
    assert gap(found) < 0.03, "the other side alone goes along"


def test_colors_are_carried_on_beyond_charts():
    stage, painted = cut()
    found = equalized(stage, painted)
    assert float((found[..., 48, 43] - found[..., 48, 38]).abs().max()) < 0.5 * float((painted - found)[..., 48, 38].abs().max())


@pytest.mark.parametrize("uv", [True, False])
def test_charts_of_a_model_hang_together(cube, uv):
    """Noise on all sides of a cube: what two sides read at an edge is as alike as what one side reads beside it."""
    model = cube(uv=uv, picture=False)
    atlas = build(model, 128)
    stage = Stage(model, atlas)
    random = torch.Generator().manual_seed(3)
    noise = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16, generator=random), atlas.pages[0].shape, mode="bilinear")
    shared = equalize._shared(stage, np.ones(12, bool), np.zeros(12, int))
    seams = equalize._seams(stage, [noise], shared)

    def apart(image):
        flat = image[0].flatten(1).T
        return float((flat[seams.texel] * seams.weight[..., None]).sum(1).abs().mean())

    assert apart(equalized(stage, noise)) < 0.1 * apart(noise)


def test_charts_of_a_few_texels_stay_as_they_are(monkeypatch):
    stage, painted = cut()
    monkeypatch.setattr(equalize, "MANY", 0.5 / painted[0, 0].numel())
    assert torch.equal(equalized(stage, painted), painted)


def test_paint_beyond_a_border_is_kept(quad):
    """Faces that reach over the border of a picture that repeats: what both sides of the border read is one texel already."""
    model = quad()
    model.surfaces[0].uv = model.surfaces[0].uv + np.array([0.5, 0])
    stage = Stage(model, build(model, 64))
    painted = torch.rand(1, 3, *stage.atlas.pages[0].shape, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(equalized(stage, painted), painted, atol=0.02, rtol=0)
