"""The rasterizer against rays, by its own rules, and across the near plane."""

import numpy as np
import pytest

from impasto.mesh import cameras
from impasto.mesh.model import flatten
from impasto.mesh.raster import Cutouts, rasterize


def soup(seed, count):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 1, 3)) + random.normal(size=(count, 3, 3)) * 0.4


def first_hits(corners, camera, size):
    """Face and distance along the view at each pixel's center, by Möller & Trumbore's test of every ray with every face."""
    y, x = np.mgrid[:size, :size] + 0.5
    focal = camera.focal(size, size)
    rays = (np.stack([(x - size / 2) / focal, (y - size / 2) / focal, np.ones_like(x)], -1) @ camera.axes).reshape(-1, 3)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = np.cross(rays[:, None], b[None])
    det = (p * a).sum(-1)
    t = camera.eye - corners[:, 0]
    u = (p * t).sum(-1) / det
    q = np.cross(t, a)
    v = (rays[:, None] * q).sum(-1) / det
    distance = (q * b).sum(-1) / det
    distance[(u < 0) | (v < 0) | (u + v > 1) | (distance < 1e-3)] = np.inf
    nearest = distance.argmin(1)
    depth = distance.min(1)
    return np.where(np.isfinite(depth), nearest, -1).reshape(size, size), depth.reshape(size, size)


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_faces_and_depths_are_those_of_rays(where):
    corners = soup(1, 60)
    eye = [0, 0.5, 5] if where == "outside" else [0.1, 0.0, 0.2]
    camera = cameras.Camera(np.array(eye, float), np.array([0.1, 0, -0.3]), 70.0)
    seen = rasterize(camera.project(corners, 48, 48), 48, 48, 1e-3)
    face, depth = first_hits(corners, camera, 48)
    agree = seen.face == face
    assert agree.mean() > 0.99  # but for edges, which lie on a grid of 1/256 px here
    assert (seen.face >= 0).mean() > 0.1
    shown = agree & (face >= 0)
    np.testing.assert_allclose(seen.depth[shown], depth[shown], rtol=2e-2)
    np.testing.assert_allclose(np.median(seen.depth[shown] / depth[shown]), 1, rtol=1e-4)


def test_weights_give_back_the_place_that_is_seen():
    corners = soup(2, 30)
    camera = cameras.Camera(np.array([0, 0.5, 5.0]), np.zeros(3), 60.0)
    seen = rasterize(camera.project(corners, 40, 40), 40, 40, 1e-3)
    rows, columns = np.nonzero(seen.face >= 0)
    places = (corners[seen.face[rows, columns]] * seen.weights[rows, columns][..., None]).sum(1)
    back = camera.project(places, 40, 40)
    np.testing.assert_allclose(back[:, 2], seen.depth[rows, columns], rtol=1e-4)
    # corners lie on a grid of 1/256 px; slim faces make most of that
    assert np.median(np.abs(back[:, 0] / back[:, 2] - columns - 0.5)) < 0.01


def fan(count, size):
    """Triangles around the middle of a picture that cover all of it, their outer corners beyond it."""
    angle = np.linspace(0, 2 * np.pi, count + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * size * 2 + size / 2
    middle = np.broadcast_to([size / 2, size / 2], (count, 2))
    flat = np.stack([middle, ring[:-1], ring[1:]], 1)
    return np.concatenate([flat, np.ones((count, 3, 1))], -1)


@pytest.mark.parametrize("count", [3, 4, 7, 8, 60])
def test_neighbors_share_their_edges_without_gap_or_overlap(count):
    size = 33  # the middle is the center of a pixel: a corner of all faces
    corners = fan(count, size)
    assert (rasterize(corners, size, size, 0.5).face >= 0).all()
    drawn = sum((rasterize(corners[k : k + 1], size, size, 0.5).face >= 0).astype(int) for k in range(count))
    assert (drawn == 1).all()


def test_neighbors_share_their_edges_behind_the_camera_too(cube):
    triangles = flatten(cube())
    camera = cameras.Camera(np.array([0.2, 0.1, -0.3]), np.array([1.0, 0.3, 0.9]), 100.0)
    seen = rasterize(camera.project(triangles.corners, 64, 64), 64, 64, 0.05)
    assert (seen.face >= 0).all()


def test_what_is_seen_from_the_front_covers_what_is_seen_from_behind():
    front = np.array([[[8.0, 8, 1], [8, 40, 1], [40, 8, 1]]])
    both = np.concatenate([front[:, ::-1], front])
    seen = rasterize(both, 48, 48, 0.5)
    assert set(np.unique(seen.face)) == {-1, 1}
    assert set(np.unique(rasterize(both[::-1], 48, 48, 0.5).face)) == {-1, 0}


def test_faces_without_area_or_in_the_near_plane_do_nothing():
    line = np.array([[[1.0, 1, 1], [9, 9, 1], [5, 5, 1]], [[1, 1, -1], [9, 9, -2], [5, 0, -1]], [[0, 0, 0]] * 3])
    assert (rasterize(line, 16, 16, 1e-3).face == -1).all()


def test_holes_are_seen_through():
    square = np.array([[[0.0, 0, 1], [0, 32, 1], [32, 32, 1]], [[0, 0, 1], [32, 32, 1], [32, 0, 1]]])
    uv = square[..., :2] / 32
    wall = square * 2  # farther: w = 2, the same place in the picture
    alpha = np.ones((32, 32), np.float32)
    alpha[8:16, 4:20] = 0.2
    holes = Cutouts(
        np.concatenate([uv, uv]), np.array([0, 0, -1, -1], np.int32), alpha.ravel(), np.array([[0, 32, 32]]), np.array([0.5])
    )
    seen = rasterize(np.concatenate([square, wall]), 32, 32, 0.5, holes)
    np.testing.assert_array_equal(seen.face >= 2, alpha < 0.5)


@pytest.mark.parametrize("seed", [0, 1])
def test_faces_are_those_that_embree_finds(seed):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("embreex")
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    ball = trimesh.creation.icosphere(3, 1.3)
    ball.vertices += np.random.default_rng(seed).normal(0, 0.05, ball.vertices.shape)
    camera = cameras.Camera(np.array([1.0, 2.0, 4.0]), np.zeros(3), 50.0)
    size = 64
    seen = rasterize(camera.project(ball.triangles, size, size), size, size, 1e-3)
    y, x = np.mgrid[:size, :size] + 0.5
    focal = camera.focal(size, size)
    rays = np.stack([(x - size / 2) / focal, (y - size / 2) / focal, np.ones_like(x)], -1) @ camera.axes
    hits = RayMeshIntersector(ball).intersects_first(np.broadcast_to(camera.eye, (size * size, 3)), rays.reshape(-1, 3))
    assert (hits.reshape(size, size) == seen.face).mean() > 0.995
