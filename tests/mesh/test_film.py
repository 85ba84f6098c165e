"""Renders painted as pictures: steady along the model's motion, in their regions, and gone on with."""

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("cv2")
pytest.importorskip("av")

from impasto.mesh import cameras, film, motion, regions
from impasto.mesh.atlas import build
from impasto.mesh.stage import Stage
from impasto.mesh.turntable import Show
from impasto.pixels import io
from impasto.video import flow

SHAPE = 64, 64


class Flicker:
    """A brush that paints each frame in noise of its own, around its content."""

    def __init__(self):
        self.ground = torch.full((3,), 0.5)
        self.random = torch.Generator().manual_seed(0)

    def paint(self, made):
        return (made.image + 0.2 * torch.randn(made.image.shape, generator=self.random)).clamp(0, 1)

    def composed(self, made, image):
        return image


@pytest.fixture
def scene(cube):
    model = cube()
    stage = Stage(model, build(model, 64))
    return Show(stage, [page.image for page in stage.atlas.pages]), regions.find(stage, [""])


def unsteadiness(show, views, pictures, lag=1):
    """Root mean square difference of each picture from one before it, moved to its place."""
    found = []
    for k in range(lag, len(views)):
        now, before = (motion.glance(show.stage, views[i], *SHAPE) for i in (k, k - lag))
        way, sound = motion.exact(show.stage, now, before)
        moved = flow.warp(np.ascontiguousarray(pictures[k - lag][0].permute(1, 2, 0).numpy()), way)
        off = pictures[k][0].permute(1, 2, 0).numpy() - moved
        found.append(np.square(off[ndimage.binary_erosion(sound, iterations=2)]).mean())
    return np.sqrt(np.mean(found))


def test_what_flickers_is_steadied_and_light_goes_on(scene):
    show, found = scene
    views = cameras.turntable(show.stage.center, show.stage.frame, 72)[:12]
    steady = list(film.frames(show, found, Flicker(), views, SHAPE))
    brush = Flicker()
    alone = [brush.paint(film.render(show, found, view, SHAPE, brush.ground)) for view in views]
    own = [film.render(show, found, view, SHAPE, brush.ground).image for view in views]
    each, less = unsteadiness(show, views[4:], alone[4:]), unsteadiness(show, views[4:], steady[4:])
    assert less < 0.5 * each
    # light moves with the camera, and what is carried along must not lag behind it
    face = film.render(show, found, views[-1], SHAPE, brush.ground)
    inside = ndimage.binary_erosion((face.light < 0.999)[0, 0].numpy(), iterations=4)
    for channel in range(3):
        assert abs(float((steady[-1] - own[-1])[0, channel][inside].mean())) < 0.02


def test_the_end_of_a_turntable_leads_into_its_beginning(scene):
    show, found = scene
    views = cameras.turntable(show.stage.center, show.stage.frame, 24)
    open_, closed = (list(film.frames(show, found, Flicker(), views, SHAPE, closed=way)) for way in (False, True))
    assert len(open_) == len(closed) == 24
    begins = [float((pictures[0] - film.render(show, found, views[0], SHAPE, torch.full((3,), 0.5)).image).std())
              for pictures in (open_, closed)]  # fmt: skip
    assert begins[1] < 0.7 * begins[0]


def test_frames_that_are_there_are_kept_and_the_rest_made(scene, tmp_path):
    show, found = scene
    views = cameras.turntable(show.stage.center, show.stage.frame, 4)
    path = tmp_path / "f.##.png"
    making = film.write(show, found, Flicker(), views, SHAPE, path)
    next(making)
    making.close()
    first = (tmp_path / "f.00.png").read_bytes()
    steps = list(film.write(show, found, Flicker(), views, SHAPE, path, resume=True))
    assert [step.index for step in steps] == [2, 3, 4]
    assert (tmp_path / "f.00.png").read_bytes() == first
    assert io.load(tmp_path / "f.03.png").size == SHAPE


def test_places_reach_over_the_outline_and_what_has_no_style_is_kept(scene):
    show, _ = scene
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32, :] = 1
    found = regions.find(show.stage, ["upper"], {"upper": mask})
    made = film.render(show, found, cameras.named("corner", show.stage.center, show.stage.frame), SHAPE, torch.zeros(3))
    cover = made.image.sum(1, keepdim=True) > 0
    assert bool((made.places["upper"][~cover] > 0.99).all())
    assert bool((made.special["keep"][~cover] == 0).all())
    inside = torch.from_numpy(ndimage.binary_erosion(cover[0, 0].numpy(), iterations=2))[None, None]
    assert 0.1 < float(made.special["keep"][inside].mean()) < 0.9


def test_a_view_that_shows_no_place_still_has_a_ground(scene):
    """A style for one side alone, and a camera before the other: strokes go on over the ground, which must not turn black."""
    show, _ = scene
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 12:36, 8:24] = 1  # within the side towards -x
    found = regions.find(show.stage, ["far"], {"far": mask})
    camera = cameras.named("right", show.stage.center, show.stage.frame)
    made = film.render(show, found, camera, SHAPE, torch.zeros(3))
    assert float(made.rest.max()) == 0
    cover = made.image.sum(1, keepdim=True) > 0
    assert bool((made.special["keep"][~cover] == 0).all())
    inside = torch.from_numpy(ndimage.binary_erosion(cover[0, 0].numpy(), iterations=2))[None, None]
    assert bool((made.special["keep"][inside] == 1).all())
