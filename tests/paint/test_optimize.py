"""The optimizer on objectives whose minimum is known."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import PaintingError
from impasto.features import distances, encoders, statistics
from impasto.paint import optimize
from impasto.paint.objective import Objective, Term
from impasto.paint.optimize import Level, State
from impasto.paint.settings import Settings

BOTH = pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])


def smooth(seed, side):
    random = torch.Generator().manual_seed(seed)
    coarse = 0.2 + 0.6 * torch.rand(1, 3, 4, 4, generator=random)
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear", align_corners=True)


@pytest.fixture(scope="module")
def network(narrow):
    return encoders.load(narrow)


@pytest.fixture
def towards(network):
    """`towards(distance)`: an objective at every level, of the image itself and a smooth goal of the level's size."""

    def build(distance=distances.mse):
        def objective_at(level):
            return Objective(network, [Term("toy", "input", 1.0, statistics.identity, distance, smooth(1, level.size))])

        return objective_at

    return build


def canvas(side=16):
    return optimize.Picture(torch.full((1, 3, side, side), 0.5) + 0.1 * smooth(2, side))


def walk(objective_at, levels, settings=None, on=None, **options):
    """All steps, and the canvas they were made on."""
    on = on or canvas(levels[0].size)
    return list(optimize.steps(on, objective_at, levels, settings or Settings(), **options)), on


@torch.no_grad()
def far(on, side):
    """Mean squared difference of what is painted to the goal."""
    return float((on.render() - smooth(1, side)).square().mean())


def uneven(image, target):
    """A quadratic whose curvature differs a thousandfold between rows."""
    curvature = torch.logspace(0, 3, image.shape[-2]).view(1, 1, -1, 1)
    return (curvature * (image - target).square()).mean()


@BOTH
@pytest.mark.parametrize("distance", [distances.mse, uneven])
def test_a_quadratic_is_solved(optimizer, distance, towards):
    made, on = walk(towards(distance), [Level(16, 120)], Settings(optimizer=optimizer, steps="120"))
    assert len(made) == 120
    assert far(on, 16) < 1e-4
    assert made[-1].losses["total"] < 1e-2 * made[0].losses["total"]


@BOTH
def test_the_pyramid_leads_to_the_last_levels_goal(optimizer, towards):
    levels = [Level(16, 30), Level(23, 30), Level(32, 30)]
    made, on = walk(towards(), levels, Settings(optimizer=optimizer, steps="90"))
    assert [step.size for step in made] == [(16, 16)] * 30 + [(23, 23)] * 30 + [(32, 32)] * 30
    assert far(on, 32) < 1e-3
    assert on.render().min() >= 0
    assert on.render().max() <= 1


@BOTH
def test_what_was_reached_is_carried_to_the_next_level(optimizer, towards):
    made, _ = walk(towards(), [Level(16, 40), Level(32, 2)], Settings(optimizer=optimizer, steps="42"))
    assert made[40].losses["total"] < 0.05 * made[0].losses["total"]


def test_steps_say_where_they_are(towards):
    levels = [Level(16, 3), Level(24, 2)]
    made, _ = walk(towards(), levels, Settings(steps="5"))
    assert [step.index for step in made] == [1, 2, 3, 4, 5]
    assert {step.total for step in made} == {5}
    for step in made:
        assert step.preview is None
        assert step.losses["total"] == pytest.approx(sum(value for name, value in step.losses.items() if name != "total"))
        assert 0 <= step.eta < 60
    assert made[-1].eta == 0


def test_previews_are_pictures(towards):
    made, _ = walk(towards(), [Level(16, 2), Level(24, 2)], Settings(steps="4"), preview=True)
    for step in made:
        assert step.preview.shape == (1, 3, *step.size)
        assert not step.preview.requires_grad
        assert 0 <= float(step.preview.min()) <= float(step.preview.max()) <= 1


@BOTH
def test_terms_are_added_up_by_name(optimizer, network):
    def objective_at(level):
        goal = smooth(1, level.size)
        kinds = (("a", 1), ("a", 2), ("b", 4))
        terms = [Term(name, "input", weight, statistics.identity, distances.mse, goal) for name, weight in kinds]
        return Objective(network, terms)

    made, _ = walk(objective_at, [Level(16, 1)], Settings(optimizer=optimizer, steps="1"))
    losses = made[0].losses
    assert losses["a"] == pytest.approx(losses["b"] * 3 / 4)
    assert losses["total"] == pytest.approx(losses["a"] + losses["b"])


@BOTH
def test_the_same_work_gives_the_same_bytes(optimizer, towards):
    levels = [Level(16, 8), Level(24, 8)]
    _, one = walk(towards(uneven), levels, Settings(optimizer=optimizer))
    _, other = walk(towards(uneven), levels, Settings(optimizer=optimizer))
    assert torch.equal(one.render(), other.render())


# ending early


def falling(rate):
    """A loss that falls by the given share a step whatever the image is."""
    calls = iter(range(10**6))

    def distance(image, _):
        return (image * 0).sum() + (1 - rate) ** next(calls)

    return distance


def test_a_plateau_ends_a_level(towards):
    made, _ = walk(towards(falling(0)), [Level(16, 100), Level(24, 100)])
    assert len(made) < 40
    assert [step.size[0] for step in made] == sorted(step.size[0] for step in made)
    assert made[-1].size == (24, 24)
    assert made[-1].total < 200


def test_there_is_no_plateau_while_the_loss_falls(towards):
    made, _ = walk(towards(falling(0.01)), [Level(16, 60)])
    assert len(made) == 60


@pytest.mark.parametrize("asked", ["50", "16:50"])
def test_steps_asked_for_by_number_are_made(asked, towards):
    state = State()
    made, _ = walk(towards(falling(0)), [Level(16, 50)], Settings(steps=asked), state=state)
    assert len(made) == 50
    assert state.made == [[16, 50]]


@given(st.floats(0.5, 1e6), st.floats(0, 0.2), st.integers(1, 40))
@settings(deadline=None)
def test_a_plateau_is_a_fall_of_less_than_0_4_percent_in_ten_steps(start, rate, count):
    losses = [start * (1 - rate) ** step for step in range(count)]
    fallen = 1 - (1 - rate) ** 10
    if count <= 10:
        assert not optimize.plateau(losses)
    elif abs(fallen - 0.004) > 1e-4:
        assert optimize.plateau(losses) == (fallen < 0.004)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only what is asked of it moves: `clock.step(distance, seconds)` makes a distance take so long."""
    clock = SimpleNamespace(now=100.0)

    def step(seconds):
        def distance(image, target):
            clock.now += seconds
            return distances.mse(image, target)

        return distance

    clock.step = step
    monkeypatch.setattr(optimize, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_the_deadline_is_kept_and_the_coarse_level_has_its_steps(towards, clock):
    levels = [Level(16, 500), Level(23, 500), Level(32, 500)]
    made, on = walk(towards(clock.step(0.01)), levels, Settings(time=1, steps="1500"), deadline=100.9)
    assert 100.85 < clock.now <= 100.9
    assert {step.size for step in made} == {(16, 16)}  # what was planned there takes all the time
    assert on.render().shape[-1] == 16
    assert all(step.eta <= 0.9 for step in made)
    assert made[-1].index == len(made) < made[0].total


def test_a_deadline_gone_by_ends_at_once(towards, clock):
    made, on = walk(towards(clock.step(0.01)), [Level(16, 500), Level(32, 500)], deadline=99.0)
    assert clock.now < 100.05
    assert len(made) == 1
    assert on.render().shape[-1] == 16  # what is left out is enlarged by who asked


def test_a_deadline_leaves_out_levels_that_it_has_no_time_for(towards, clock):
    levels = [Level(16, 20), Level(23, 20), Level(32, 20), Level(64, 20)]
    made, _ = walk(towards(clock.step(0.01)), levels, Settings(steps="80"), deadline=100.5)
    assert clock.now <= 100.5
    assert [step.size[0] for step in made].count(16) == 20
    assert {step.size for step in made} == {(16, 16), (23, 23), (32, 32)}


def test_closing_ends_the_work_and_leaves_a_picture(towards):
    on, state = canvas(), State()
    work = optimize.steps(on, towards(), [Level(16, 20), Level(32, 20)], Settings(steps="40"), state=state)
    for _ in range(5):
        before = next(work)
    work.close()
    assert state.made == [[16, 5]]
    assert torch.isfinite(on.render()).all()
    assert far(on, 16) <= before.losses["total"]
    with pytest.raises(StopIteration):
        next(work)


@BOTH
@pytest.mark.parametrize("stop", [1, 6, 12, 13, 24])
def test_going_on_is_as_if_it_had_never_stopped(optimizer, stop, towards):
    levels, chosen = [Level(16, 12), Level(24, 12)], Settings(optimizer=optimizer, steps="24")
    _, whole = walk(towards(uneven), levels, chosen)
    on, state = canvas(), State()
    work = optimize.steps(on, towards(uneven), levels, chosen, state=state)
    for _ in range(stop):
        next(work)
    work.close()
    rest = list(optimize.steps(on, towards(uneven), levels, chosen, state=state))
    assert [step.index for step in rest] == list(range(stop + 1, 25))
    assert all(step.total == 24 for step in rest)
    assert state.made == [[16, 12], [24, 12]]
    assert torch.equal(on.render(), whole.render())


# going wrong


@BOTH
@pytest.mark.parametrize("count", [1, 2, 3, 30])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_an_error(optimizer, count, value, towards):
    chosen = Settings(optimizer=optimizer, steps=str(2 * count))
    with pytest.raises(PaintingError) as caught:
        walk(towards(lambda image, _: image.sum() * value), [Level(16, count), Level(24, count)], chosen)
    assert "\n" not in str(caught.value)
    assert "precision fp32" in str(caught.value)


@BOTH
def test_one_bad_step_is_forgiven(optimizer, towards):
    calls = iter(range(1000))

    def stumbling(image, target):
        return distances.mse(image, target) * (math.nan if next(calls) == 7 else 1)

    made, on = walk(towards(stumbling), [Level(16, 80)], Settings(optimizer=optimizer, steps="80"))
    assert math.isnan(made[7].losses["total"])
    assert far(on, 16) < 1e-3


@BOTH
def test_a_jump_is_taken_back(optimizer, towards):
    """A cliff beside the way: steps that fall down it are undone, and the goal is reached nonetheless."""

    def cliff(image, target):
        loss = distances.mse(image, target)
        return loss + 1e3 * (loss > 0.2)

    made, on = walk(towards(cliff), [Level(16, 80)], Settings(optimizer=optimizer, steps="80"))
    assert far(on, 16) < 1e-3
    assert made[-1].losses["total"] < 0.2
