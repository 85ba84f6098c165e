"""Motion from the geometry: where a place was and whether it was seen there, against rays cut with every face."""

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("cv2")

from impasto.mesh import cameras, motion, raster, sample
from impasto.mesh.atlas import build
from impasto.mesh.model import Instance, Model
from impasto.mesh.stage import Stage
from impasto.video import flow

SIDE = 96


@pytest.fixture
def pair(cube):
    """Two cubes, one before the other, and two views of them 20 degrees apart."""
    model = cube()
    apart = np.eye(4)
    apart[:3, 3] = 0.6, 0.3, 3.2
    stage = Stage(Model("two", model.surfaces, [model.instances[0], Instance(0, apart, "near")], model.materials, model.pictures),
                  build(model, 64))  # fmt: skip
    views = [cameras.orbit(stage.center, stage.frame, azimuth, 15) for azimuth in (30, 10)]
    return stage, *(motion.glance(stage, camera, SIDE, SIDE) for camera in views)


def hidden(eye, places, corners):
    """Whether a face lies between the eye and each place (Möller & Trumbore, JGT 1997)."""
    found = np.zeros(len(places), bool)
    for a, b, c in corners:
        way = places - eye
        across = np.cross(way, c - a)
        volume = across @ (b - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = ((eye - a) * across).sum(1) / volume
            turned = np.cross(eye - a, b - a)
            v, t = way @ turned / volume, ((c - a) @ turned) / volume
        found |= (np.abs(volume) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6) & (t < 1 - 1e-6)
    return found


def test_what_was_seen_is_what_no_face_hides(pair):
    stage, now, before = pair
    found, sound = motion.exact(stage, now, before)
    rows, columns = np.nonzero(now.seen.face >= 0)
    weights = now.seen.weights[rows, columns][..., None]
    places = (stage.triangles.corners[now.seen.face[rows, columns]] * weights).sum(1)
    there = before.camera.project(places, SIDE, SIDE)
    x, y = there[:, 0] / there[:, 2], there[:, 1] / there[:, 2]
    inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
    expected = inside & ~hidden(before.camera.eye, places, stage.triangles.corners)
    differ = expected != sound[rows, columns]
    assert 0.05 < 1 - expected.mean() < 0.6
    assert differ.mean() < 0.05
    # pixels decide to within one pixel of where faces meet
    faces = before.seen.face
    edge = ndimage.maximum_filter(faces, 3) != ndimage.minimum_filter(faces, 3)
    near = ndimage.binary_dilation(edge, iterations=2)[y.astype(int).clip(0, SIDE - 1), x.astype(int).clip(0, SIDE - 1)]
    assert near[differ].all()
    ends = np.stack([columns, rows], 1) + 0.5 + found[rows, columns]
    np.testing.assert_allclose(ends[inside], np.stack([x, y], 1)[inside], atol=1e-3)


def test_the_other_view_moved_along_is_this_view(pair):
    stage, now, before = pair
    x, y = np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 64))
    maps = [torch.from_numpy(np.stack([x, y, 1 - x]).astype(np.float32))[None] for _ in stage.atlas.pages]
    views = [stage.look(each.camera, (SIDE, SIDE), stage.layout(maps), samples=4, relief=0) for each in (now, before)]
    own, other = (view.picture(sample.texels(maps), torch.full((3,), 0.5))[0].permute(1, 2, 0).numpy() for view in views)
    found, sound = motion.exact(stage, now, before)
    whole = ndimage.binary_erosion(sound, iterations=2)
    moved = flow.warp(np.ascontiguousarray(other), found, cubic=True)
    assert whole.mean() > 0.3
    assert np.abs(moved - own)[whole].mean() < 0.01
    assert np.abs(other - own)[whole].mean() > 0.04


def test_a_camera_that_stands_still_moves_nothing(pair):
    stage, now, _ = pair
    found = motion.between(stage, now, motion.glance(stage, now.camera, SIDE, SIDE))
    np.testing.assert_allclose(found.flow, 0, atol=1 / raster.GRID)
    np.testing.assert_allclose(found.trust, 1, atol=1e-3)


def test_what_turned_in_or_was_hidden_is_not_trusted(pair):
    stage, now, before = pair
    _, sound = motion.exact(stage, now, before)
    trust = motion.between(stage, now, before).trust
    assert (trust[~sound] < 0.5).all()
    assert trust[ndimage.binary_erosion(sound, iterations=6)].min() > 0.9
