"""What a shot remembers: where the camera is, and what was painted."""

import numpy as np
import pytest
import torch

from impasto.fast import style as filters
from impasto.video import flow, temporal
from impasto.video.flow import Motion
from impasto.video.layers import Layers
from impasto.video.look import Filters, Place, Timed

SHAPE = (36, 64)


def moving(down: float, across: float) -> Motion:
    return Motion(np.full((*SHAPE, 2), (across, down), np.float32), np.ones(SHAPE, np.float32))


class Told:
    """A look whose painter keeps where it was told to paint."""

    identity = "told"

    def __init__(self, carries: bool = False) -> None:
        self.carries, self.places = carries, []

    def painter(self):
        return self

    def paint(self, content, seconds, place, masks):
        self.places.append(place)
        return content

    def state(self):
        return {}

    def restore(self, state):
        pass


def frames(layers: Layers, motions: list[Motion | None], scale: int = 1) -> list[Place]:
    random = torch.Generator().manual_seed(0)
    for number, motion in enumerate(motions):
        content = torch.rand(1, 3, SHAPE[0] * scale, SHAPE[1] * scale, generator=random)
        image = layers.paint(content, 0.0, number, motion, {})
        layers.lay(image, np.zeros((*SHAPE, 3), np.uint8), motion)
    return layers.look.places[-len(motions) :]


def test_where_the_camera_is_adds_up_in_px_of_the_frame():
    places = frames(Layers(Told()), [None, moving(0.3, 2.5), moving(0.3, 2.5), moving(0.3, -1)], scale=2)
    assert [place.origin for place in places] == [(0, 0), (1, 5), (1, 10), (2, 8)]
    assert [place.number for place in places] == [0, 1, 2, 3]
    assert all(place.before is None for place in places)


def test_a_camera_that_trembles_stands_still():
    """Noise in the flow must not add up."""
    assert frames(Layers(Told()), [None, *[moving(0.06, -0.09)] * 30])[-1].origin == (0, 0)


def test_most_of_the_picture_says_where_the_camera_goes():
    motion = moving(0, 3)
    motion.flow[:, :25] = (-7, 5)
    assert frames(Layers(Told()), [None, motion])[-1].origin == (0, 3)


def test_a_painter_that_carries_is_given_what_was_painted_before():
    layers = Layers(Told(carries=True))
    first = frames(layers, [None])[0]
    assert first.before is None
    before = layers.history.painted
    motion = Motion(moving(0, 4).flow, np.full(SHAPE, 0.5, np.float32))
    place = frames(layers, [motion])[0]
    moved = flow.warp(before, motion.flow, cubic=True).clip(0, 1)
    assert np.array_equal(place.before[0].permute(1, 2, 0).numpy(), moved)
    assert (place.trust == 0.5).all()
    assert np.allclose(layers.history.age, 1.5)


def test_what_it_knows_can_be_kept():
    one, other = Layers(Told()), Layers(Told())
    motions = [None, moving(1, 2), moving(0.4, 0.7)]
    frames(one, motions[:2])
    other.restore({name: value.clone() for name, value in one.state().items()})
    assert frames(one, motions[2:])[0].origin == frames(other, motions[2:])[0].origin == (1, 3)
    assert np.array_equal(one.history.painted, other.history.painted)


@pytest.mark.parametrize("step", [(0, 8), (3, -5), (-8, 1)])
def test_painting_goes_along_with_the_camera(step):
    """With statistics that hold still, a picture that moves by whole pixels is painted the same, only moved."""
    look = Filters((Timed(filters.named("starry-night")),))
    random = torch.Generator().manual_seed(1)
    whole = torch.nn.functional.interpolate(torch.rand(1, 3, 45, 55, generator=random), (360, 440), mode="bicubic").clamp(0, 1)
    whole[..., :180, :] = 0.6  # a flat sky, painted from noise alone
    brush = look.painter()
    reach = brush._bound((1.0, id(look.styles[0].style))).net.reach
    down, right = step
    height, width = 2 * reach + 64, 2 * reach + 80
    first, second = (whole[..., 20 + y : 20 + y + height, 20 + x : 20 + x + width] for y, x in ((0, 0), (-down, -right)))
    brush.paint(first, 0.0, Place(0), {})
    still, gone = brush.paint(first, 0.0, Place(1), {}), brush.paint(second, 0.0, Place(1, (-down, -right)), {})
    stuck = brush.paint(second, 0.0, Place(1), {})
    rows, columns = slice(reach + down, height - reach + down), slice(reach + right, width - reach + right)
    inner = still[..., reach : height - reach, reach : width - reach]
    assert torch.allclose(inner, gone[..., rows, columns], atol=1e-4)
    assert (stuck[..., rows, columns] - inner).abs().mean() > 1e-3


def test_shift_of_a_smaller_guide():
    assert temporal.shift(moving(1, -2), 72, 128).tolist() == [2, -4]
