"""Which pictures are kept, and that new maps lose no face and look like the old ones."""

import numpy as np
import pytest
import torch

from impasto.mesh import cameras, pack, project, sample
from impasto.mesh.atlas import build, lying
from impasto.mesh.model import Instance, Material, Model, Surface
from impasto.mesh.stage import Stage
from impasto.pixels.picture import Picture


def test_a_picture_that_can_be_painted_on_is_kept(cube):
    atlas = build(cube(), 64)
    assert [page.picture for page in atlas.pages] == [0]
    assert atlas.packed == {}
    assert 0.7 < float(atlas.pages[0].covered.mean()) < 0.95


def tiled(model):
    model.surfaces[0].uv = model.surfaces[0].uv * 3


def stacked(model):
    model.surfaces[0].uv = np.tile(model.surfaces[0].uv[:4], (6, 1))


def palette(model):
    model.surfaces[0].uv = model.surfaces[0].uv * 0.05


def pointed(model):
    model.surfaces[0].uv[:8] = 0.5


def tinted(model):
    model.materials[0] = Material("paint", (0.5, 1, 1, 1), 0)


def colored(model):
    model.surfaces[0].colors = np.ones((24, 4)) * 0.5


def bare(model):
    model.surfaces[0].uv = None


def lost(model):
    model.pictures[0] = None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (tiled, "tiled"),
        (stacked, "overlap"),
        (palette, "palette"),
        (pointed, "no room"),
        (tinted, "color multiplies"),
        (colored, "vertices"),
        (bare, "no texture coordinates"),
        (lost, "missing"),
    ],
)
def test_other_pictures_are_laid_out_anew_with_every_face(cube, change, reason):
    model = cube()
    change(model)
    atlas = build(model, 128)
    assert reason in atlas.reasons[0]
    packed = atlas.packed[0]
    assert packed.faces.shape == model.surfaces[0].faces.shape
    np.testing.assert_array_equal(packed.vertices[packed.faces], model.surfaces[0].faces)
    assert packed.uv.min() >= 0
    assert packed.uv.max() <= 1
    edges = packed.uv[:, 1:] - packed.uv[:, :1]
    areas = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
    np.testing.assert_allclose(areas, areas.mean(), rtol=0.05)  # a cube's faces are alike
    assert (lying(packed.uv, 512, 512).face >= 0).mean() == pytest.approx(areas.sum(), rel=0.02)  # nothing lies over anything


def test_coordinates_of_another_tile_are_the_same_place(cube):
    model, moved = cube(), cube()
    moved.surfaces[0].uv = moved.surfaces[0].uv + np.array([3, -2])
    one, other = build(model, 64), build(moved, 64)
    np.testing.assert_allclose(one.uv[0], other.uv[0], atol=1e-9)


@pytest.mark.parametrize("change", [tiled, stacked, tinted, lambda model: None])
def test_a_new_map_shows_what_the_old_one_did(cube, board, change):
    model = cube()
    if change is tiled:
        model.pictures[0] = Picture(board(4, 96))
    change(model)
    kept = build(model, 512, keep=False)
    stage = Stage(model, kept)
    maps = [page.image for page in kept.pages]
    seen = stage.see(cameras.named("corner", stage.center, stage.radius), 96, 96)
    camera = cameras.named("corner", stage.center, stage.radius)
    shown = stage.look(camera, (96, 96), stage.layout(maps), samples=1, relief=0).picture(sample.texels(maps), torch.zeros(3))
    rows, columns = np.nonzero(seen.face >= 0)
    face, weights = seen.face[rows, columns], seen.weights[rows, columns]
    surface = model.surfaces[0]
    uv = (surface.uv[surface.faces[face]] * weights[..., None]).sum(1)
    picture = model.pictures[0].image[0].permute(1, 2, 0).numpy()
    cell = (uv % 1 * picture.shape[0]).astype(int) % picture.shape[0]
    exact = picture[cell[:, 1], cell[:, 0]]
    if change is tinted:
        light = np.where(exact[:, 0] <= 0.04045, exact[:, 0] / 12.92, ((exact[:, 0] + 0.055) / 1.055) ** 2.4) / 2
        exact = exact.copy()
        exact[:, 0] = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    off = np.abs(shown[0].permute(1, 2, 0).numpy()[rows, columns] - exact).max(1)
    assert np.median(off) < 0.02
    assert (off < 0.1).mean() > 0.65  # but at the edges of the board's fields


def test_flat_colors_are_baked(cube):
    atlas = build(cube(uv=False, picture=False), 64)
    page = atlas.pages[0]
    expected = torch.tensor([0.4845, 0.6652, 0.7977]).view(1, 3, 1, 1).expand_as(page.image)  # sRGB of 0.2, 0.4, 0.6
    torch.testing.assert_close(page.image, expected, atol=1e-3, rtol=0)


def test_very_large_meshes_get_cells(monkeypatch):
    monkeypatch.setattr(pack, "MANY", 10)
    random = np.random.default_rng(0)
    points, faces = random.normal(size=(60, 3)), random.integers(0, 60, (101, 3))
    one, other = pack.pack([(points, faces[:40]), (points, faces[40:])], 256)
    uv = np.concatenate([one.uv, other.uv])
    np.testing.assert_array_equal(one.vertices[one.faces], faces[:40])
    np.testing.assert_array_equal(other.vertices[other.faces], faces[40:])
    edges = uv[:, 1:] - uv[:, :1]
    areas = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
    assert areas.min() > 0.3 / 2 / 121
    assert (lying(uv, 1024, 1024).face >= 0).mean() == pytest.approx(areas.sum(), rel=0.02)


def test_views_brought_back_to_the_map_are_the_map(cube):
    model = cube()
    atlas = build(model, 96)
    stage, maps = Stage(model, atlas), [page.image for page in atlas.pages]
    found = project.Collected(stage, [page.shape for page in atlas.pages])
    for name in ("front", "right", "back", "left", "top"):
        camera = cameras.named(name, stage.center, stage.radius)
        view = stage.look(camera, (256, 256), stage.layout(maps), relief=0)
        found.add(camera, view.picture(sample.texels(maps), torch.zeros(3)))
    image, seen = found.maps()[0]
    share = float(seen.sum() / atlas.pages[0].covered.sum())
    assert share == pytest.approx(5 / 6, abs=0.02)  # all sides but the one that it stands on
    assert float(((image - maps[0]).abs() * seen).sum() / seen.sum() / 3) < 0.06


def test_what_hides_keeps_views_from_what_is_hidden(quad):
    near, far = quad(size=2.0), quad(size=1.0)
    surface = far.surfaces[0]
    model = Model(
        "two",
        [near.surfaces[0], Surface("far", surface.positions - [0, 0, 1], surface.faces, 1, surface.uv)],
        [Instance(0, np.eye(4)), Instance(1, np.eye(4))],
        [near.materials[0], Material("far", picture=1)],
        [near.pictures[0], Picture(torch.zeros(1, 3, 32, 32))],
    )
    stage = Stage(model, build(model, 64))
    places = project.Places(stage, 1, (32, 32))
    front, _ = project.weights(stage, places, cameras.named("front", stage.center, stage.radius), 128, 128)
    back, _ = project.weights(stage, places, cameras.named("back", stage.center, stage.radius), 128, 128)
    assert float(front.max()) == 0
    assert float(back.min()) > 0.5


def shifted(model, across):
    model.surfaces[0].uv = model.surfaces[0].uv + np.array([across, 0])
    return model


def test_faces_beyond_a_border_lie_at_the_other(quad):
    """A picture that repeats is kept; each of its texels knows its place in the world."""
    stage = Stage(model := shifted(quad(), 0.5), build(model, 64))
    assert stage.atlas.pages[0].picture == 0
    height, width = stage.atlas.pages[0].shape
    places = project.Places(stage, 0, (height, width))
    assert len(places.flat) == height * width
    u = (places.points[:, 0] + 1) / 2 + 0.5
    column = (places.flat % width + 0.5) / width
    np.testing.assert_allclose(u % 1, column, atol=1e-3)


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [("repeat", lambda u: u % 1), ("mirror", lambda u: 1 - abs(1 - u % 2)), ("clamp", lambda u: u.clip(0, 1))],
)
@pytest.mark.parametrize("across", [1, 1.25])
def test_beyond_its_borders_a_picture_goes_on_as_it_says(quad, wrap, expected, across):
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64)
    model = shifted(quad(picture=Picture(ramp), wrap=(wrap, "repeat")), across)
    atlas = build(model, 64, keep=False)
    places = project.Places(Stage(model, atlas), 0, atlas.pages[0].shape)
    u = ((places.points[:, 0] + 1) / 2 + across).numpy()
    found = atlas.pages[0].image[0, 0].flatten()[places.flat].numpy()
    off = np.abs(found - (0.2 + 0.6 * expected(u)))
    assert np.median(off) < 0.01
    assert (off < 0.03).mean() > 0.9  # but where it begins anew
