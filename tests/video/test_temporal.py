"""Blending over time against its closed form, and what changes over time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.video import curve, temporal
from impasto.video.flow import Motion

SHAPE = (12, 16)
STILL = Motion(np.zeros((*SHAPE, 2), np.float32), np.ones(SHAPE, np.float32))
GUIDE = np.zeros((*SHAPE, 3), np.uint8)


def paintings(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.random((*SHAPE, 3)).astype(np.float32) for _ in range(count)]


def test_what_stands_still_is_the_mean_of_all_its_paintings():
    drawn = paintings(15)
    history = temporal.begun(GUIDE, drawn[0])
    for index, painted in enumerate(drawn[1:], 2):
        history = temporal.continued(history, GUIDE, painted, STILL)
        assert np.allclose(history.painted, np.mean(drawn[:index], 0), atol=1e-6)
        assert np.allclose(history.age, index)


def test_old_paint_fades_by_a_twentieth_a_frame():
    history = temporal.begun(GUIDE, np.ones((*SHAPE, 3), np.float32))
    for _ in range(60):
        before, history = history, temporal.continued(history, GUIDE, np.zeros((*SHAPE, 3), np.float32), STILL)
    assert np.allclose(history.painted, temporal.MOST * before.painted, rtol=1e-4)
    assert np.allclose(history.age, temporal.OLDEST)


def test_nothing_is_kept_where_nothing_is_trusted():
    first, second = paintings(2)
    motion = Motion(STILL.flow, np.zeros(SHAPE, np.float32))
    history = temporal.continued(temporal.begun(GUIDE, first), GUIDE, second, motion)
    assert np.array_equal(history.painted, second)
    assert (history.age == 1).all()


def test_paint_moves_with_the_picture():
    first = np.zeros((*SHAPE, 3), np.float32)
    first[5, 5] = 1
    motion = Motion(np.full((*SHAPE, 2), (-2, 1), np.float32), STILL.trust)
    history = temporal.continued(temporal.begun(GUIDE, first), GUIDE, np.zeros_like(first), motion)
    assert np.argwhere(history.painted.sum(-1) > 0.1).tolist() == [[4, 7]]
    assert history.painted[4, 7] == pytest.approx(0.5)


def test_a_larger_painting_is_blended_by_the_small_guide():
    large = [np.kron(each, np.ones((3, 3, 1), np.float32)) for each in paintings(2)]
    history = temporal.continued(temporal.begun(GUIDE, large[0]), GUIDE, large[1], STILL)
    assert np.allclose(history.painted, (large[0] + large[1]) / 2, atol=1e-6)


def test_both_ways_are_weighed_by_age():
    ahead, back = paintings(2)
    one, two = np.ones(SHAPE, np.float32), np.full(SHAPE, 2, np.float32)
    assert np.allclose(temporal.joined(ahead, one, back, one), (ahead + back) / 2)
    assert np.allclose(temporal.joined(ahead, one, back, two), (ahead + 4 * back) / 5)


@given(st.floats(0, 10))
def test_strength_is_linear_between_its_points(now):
    points = curve.strength("0@1s, 1@5s,0.5@0.1m")
    assert points.at(now) == pytest.approx(np.interp(now, [1, 5, 6], [0, 1, 0.5]), abs=1e-9)


def test_one_strength_holds_all_the_time():
    assert curve.strength("0.4").at(99) == 0.4
    assert curve.strength(1).greatest == 1


@pytest.mark.parametrize("text", ["2", "a", "0@1s,1", "0@x", "0@1s,1@1s", "", "-1@0s"])
def test_what_is_no_strength_is_refused(text):
    with pytest.raises(UsageError):
        curve.strength(text)


@given(st.floats(0, 12))
def test_styles_follow_one_another_linearly(now):
    found = curve.shares([2.0, 7.0, 7.0, 9.0], [1.0, 1.0, 3.0, 2.0], now)
    near = [np.interp(now, [2, 7, 9], hat) for hat in np.eye(3)]
    assert found == pytest.approx([near[0], near[1], 3 * near[1], 2 * near[2]], abs=1e-9)


def test_moments_are_for_all_styles_or_none():
    assert curve.shares([None, None], [0.3, 0.7], 5) == [0.3, 0.7]
    with pytest.raises(UsageError, match="every style"):
        curve.shares([None, 1.0], [1, 1], 0)
