"""Which sizes get how many steps: sums, orders and estimates that hold for every picture."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.features import encoders
from impasto.paint import schedule
from impasto.paint.settings import QUALITIES, Settings
from impasto.pixels import geometry

SIDES = st.tuples(st.integers(16, 3000), st.integers(16, 3000))
BUDGETS = st.floats(0, 1e4)
RATES = st.floats(1e-8, 1e-4)


@given(SIDES)
def test_sizes_grow_by_the_square_root_of_two_to_the_pictures_own(shape):
    found = schedule.sizes(*shape)
    assert found[-1] == max(shape)
    assert found == sorted(set(found))
    assert all(after / before == pytest.approx(math.sqrt(2), rel=0.02) for before, after in pairwise(found))
    assert all(min(geometry.sizes(*shape, size)) >= 32 for size in found[:-1])


@given(SIDES, st.integers(1, 5000), st.sampled_from(QUALITIES))
def test_a_number_of_steps_is_divided_without_rest(shape, count, quality):
    found = schedule.levels(*shape, Settings(steps=str(count), quality=quality))
    assert sum(level.steps for level in found) == count
    assert all(level.steps > 0 for level in found)
    sizes = schedule.sizes(*shape)
    assert found[0].size == sizes[0]
    assert [level.size for level in found] == [size for size in sizes if size in {level.size for level in found}]


@given(SIDES)
def test_better_quality_is_more_steps(shape):
    draft, good, best = ([level.steps for level in schedule.levels(*shape, Settings(quality=quality))] for quality in QUALITIES)
    assert all(a < b < c for a, b, c in zip(draft, good, best, strict=True))
    assert len(good) == len(schedule.sizes(*shape))


@given(st.dictionaries(st.integers(1, 4000), st.integers(1, 999), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_steps_given_by_size_are_taken_as_they_are(asked, random):
    pairs = list(asked.items())
    random.shuffle(pairs)
    text = ",".join(f"{size}:{count}" for size, count in pairs)
    found = schedule.levels(100, 100, Settings(steps=text))
    assert [(level.size, level.steps) for level in found] == sorted(pairs)


def plain_cost(shape, levels, rate):
    """Seconds: pixels of each level times its steps and its preparation."""
    pixels = [level.size**2 * min(shape) / max(shape) for level in levels]
    return sum(rate * count * (level.steps + schedule.PREPARATION) for count, level in zip(pixels, levels, strict=True))


@given(SIDES, BUDGETS, RATES)
def test_what_fits_stays_within_its_own_estimate(shape, seconds, rate):
    found = schedule.fitting(*shape, seconds, rate)
    assert [level.size for level in found] == schedule.sizes(*shape)[: len(found)]
    assert all(level.steps >= 1 for level in found)
    counts = [level.steps for level in found]
    estimate = schedule.cost([level.size for level in found], *shape, counts, rate)
    assert estimate == pytest.approx(plain_cost(shape, found, rate))
    if len(found) > 1:
        assert estimate <= seconds * (1 + 1e-9)


@given(SIDES, RATES)
def test_more_time_is_more_work(shape, rate):
    whole = plain_cost(shape, schedule.levels(*shape, Settings(quality="best")), rate)
    plans = [schedule.fitting(*shape, whole * share, rate) for share in (0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)]
    for less, more in pairwise(plans):
        assert len(less) <= len(more)
        if len(less) == len(more):
            assert all(a.steps <= b.steps for a, b in zip(less, more, strict=True))


@given(SIDES, RATES)
def test_time_without_end_makes_all_sizes_and_no_more_than_thrice_the_best(shape, rate):
    found = schedule.fitting(*shape, 1e12, rate)
    best = schedule.levels(*shape, Settings(quality="best"))
    assert [level.size for level in found] == [level.size for level in best]
    for level, most in zip(found, best, strict=True):
        assert most.steps < level.steps <= schedule.MOST * most.steps


@given(SIDES, st.floats(0.2, 0.95), RATES)
def test_most_of_the_time_is_used(shape, share, rate):
    """Of what all sizes take at the most; but for parts of steps."""
    seconds = share * plain_cost(shape, schedule.fitting(*shape, 1e12, rate), rate)
    assert plain_cost(shape, schedule.fitting(*shape, seconds, rate), rate) > 0.95 * seconds


def test_the_rate_is_a_time(narrow, encoder):
    narrow_rate = schedule.seconds_per_pixel(encoders.load(narrow), Settings())
    assert 0 < narrow_rate < schedule.seconds_per_pixel(encoder, Settings()) < 1e-2
