"""Distances against scipy, brute force and closed forms."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from torch.nn import functional as F

from impasto.features import distances, statistics
from impasto.features.statistics import Cloud, Moments


def drawn_gaussian(seed, channels, rank=None, decay=1.0):
    """(mean, covariance) in numpy; eigenvalues fall from 1 by `decay` each."""
    random = np.random.default_rng(seed)
    mean = random.normal(size=channels)
    axes, _ = np.linalg.qr(random.normal(size=(channels, channels)))
    spectrum = decay ** np.arange(channels) * random.uniform(0.5, 1, channels)
    if rank is not None:
        spectrum[rank:] = 0
    return mean, axes * spectrum @ axes.T


def raw(mean, covariance, dtype=torch.float64):
    """The same as raw moments."""
    second = covariance + np.outer(mean, mean)
    return Moments(torch.as_tensor(mean, dtype=dtype), torch.as_tensor(second, dtype=dtype))


def frechet(one, other):
    """Dowson & Landau's distance with scipy's matrix square root, divided by the channels."""
    (m1, s1), (m2, s2) = one, other
    root = linalg.sqrtm(s1).real
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)  # of singular matrices only the trace is taken
        cross = linalg.sqrtm(root @ s2 @ root).real
    return (np.sum((m1 - m2) ** 2) + np.trace(s1 + s2 - 2 * cross)) / len(m1)


@pytest.mark.parametrize("channels", [1, 2, 7, 32])
@pytest.mark.parametrize("seed", [0, 1])
def test_w2_is_scipys(channels, seed):
    one, other = drawn_gaussian(seed, channels), drawn_gaussian(seed + 9, channels)
    found = distances.w2(raw(*one), distances.gaussian([(1.0, raw(*other))]))
    trace = (np.trace(one[1]) + np.trace(other[1])) / channels
    assert float(found) == pytest.approx(frechet(one, other), abs=1e-4 * trace)


@pytest.mark.parametrize("rank", [1, 3, 9])
def test_w2_of_a_target_of_less_than_full_rank_is_scipys(rank):
    """A style with fewer pixels than channels."""
    one, other = drawn_gaussian(3, 12), drawn_gaussian(4, 12, rank)
    target = distances.gaussian([(1.0, raw(*other))])
    trace = (np.trace(one[1]) + np.trace(other[1])) / 12
    assert float(distances.w2(raw(*one), target)) == pytest.approx(frechet(one, other), abs=1e-4 * trace)


@pytest.mark.parametrize("decay", [0.9, 0.7, 0.5])
def test_w2_in_float32_is_near_even_for_steep_spectra(decay):
    """Covariances of features are: the largest eigenvalue is many thousand times the median."""
    one, other = drawn_gaussian(5, 40, decay=decay), drawn_gaussian(6, 40, decay=decay)
    value, target = raw(*one, torch.float32), distances.gaussian([(1.0, raw(*other, torch.float32))])
    trace = (np.trace(one[1]) + np.trace(other[1])) / 40
    assert float(distances.w2(value, target)) == pytest.approx(frechet(one, other), abs=5e-3 * trace)
    assert abs(float(distances.w2(raw(*other, torch.float32), target))) < 5e-3 * trace


def test_w2_has_the_gradient_of_the_closed_form():
    """dW/dμ = 2 (μ − μₛ); dW/dΣ = I − T, T = S^½ (S^½ Σ S^½)^−½ S^½, the optimal transport map."""
    one, other = drawn_gaussian(7, 6), drawn_gaussian(8, 6)
    mean = torch.tensor(one[0], requires_grad=True)
    covariance = torch.tensor(one[1], requires_grad=True)
    value = Moments(mean, covariance + torch.outer(mean, mean))
    distances.w2(value, distances.gaussian([(1.0, raw(*other))])).backward()
    root = linalg.sqrtm(other[1])
    transport = root @ linalg.inv(linalg.sqrtm(root @ one[1] @ root)) @ root
    np.testing.assert_allclose(6 * mean.grad, 2 * (one[0] - other[0]), rtol=1e-9)
    np.testing.assert_allclose(6 * covariance.grad, np.eye(6) - transport.real, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [None, 2])
def test_w2s_gradient_is_a_finite_difference(rank):
    target = distances.gaussian([(1.0, raw(*drawn_gaussian(11, 4, rank)))])
    points = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: distances.w2(Moments(x.mean(0), x.T @ x / 9), target), points)


def test_w2s_gradient_is_finite_where_nothing_varies():
    """A plain picture has no covariance; the square root's slope there is infinite."""
    for source in (drawn_gaussian(12, 5), (np.ones(5), np.zeros((5, 5)))):
        features = torch.full((1, 5, 4, 4), 2.0, requires_grad=True)
        loss = distances.w2(statistics.moments(features), distances.gaussian([(1.0, raw(*source, torch.float32))]))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_w2_of_no_numbers_is_none(value):
    """So that the optimizer can take the step back; the eigenvalues' solver would raise an error of its own."""
    features = torch.rand(1, 4, 5, 5)
    features[0, 1, 2, 3] = value
    found = distances.w2(statistics.moments(features), distances.gaussian([(1.0, statistics.moments(torch.rand(1, 4, 5, 5)))]))
    assert not torch.isfinite(found)


@pytest.mark.parametrize("shift", [0.5, -3.0])
def test_w2_of_a_shift_is_its_square(shift):
    features = torch.rand(1, 4, 8, 8, dtype=torch.float64)
    target = distances.gaussian([(1.0, statistics.moments(features))])
    found = distances.w2(statistics.moments(features + shift), target)
    assert float(found) == pytest.approx(shift**2, rel=1e-3)


def styles(seed, height=16, width=16, channels=6):
    """Two styles' features that differ in mean and form."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(1, channels, height, width, generator=random).relu()
    mixed = torch.randn(channels, channels, generator=random) / channels**0.5
    second = torch.einsum("dc,bchw->bdhw", mixed, torch.randn(1, channels, height, width, generator=random)).abs() + 0.7
    return first, second


def concatenated(first, second, times=1):
    """The pixels of the first `times` over, with those of the second, as one picture."""
    return torch.cat([first] * times + [second], 3)


@pytest.mark.parametrize("times", [1, 3])
def test_styles_mix_as_their_pixels_do(times):
    first, second = styles(0)
    shares = times / (times + 1), 1 / (times + 1)
    found = distances.gaussian([(shares[0], statistics.moments(first)), (shares[1], statistics.moments(second))])
    points = concatenated(first, second, times)[0].flatten(1).double().numpy()
    np.testing.assert_allclose(found.mean, points.mean(1), rtol=1e-5)
    covariance = np.cov(points, bias=True)
    np.testing.assert_allclose(found.factor @ found.factor.T, covariance, atol=1e-5)
    assert float(found.trace) == pytest.approx(np.trace(covariance), rel=1e-5)


@pytest.mark.parametrize(
    ("statistic", "mix", "distance", "tolerance"),
    [
        (statistics.moments, distances.gaussian, distances.w2, 1e-4),
        (statistics.gram, distances.mixed_gram, distances.gram, 1e-5),
        (statistics.cloud, distances.sliced_target, distances.sliced, 2e-2),
        (statistics.cloud, distances.sampled, distances.nearest, 1e-4),
    ],
)
def test_half_and_half_is_the_two_pictures_side_by_side(statistic, mix, distance, tolerance):
    first, second = styles(1)
    value = statistic(styles(2)[0])
    both = mix([(0.5, statistic(first)), (0.5, statistic(second))])
    aside = mix([(1.0, statistic(concatenated(first, second)))])
    assert float(distance(value, both)) == pytest.approx(float(distance(value, aside)), rel=tolerance)


def test_gram_is_gatys_divided_by_the_targets_norm():
    value, target = (np.asarray(torch.rand(5, 5, generator=torch.Generator().manual_seed(seed))) for seed in (1, 2))
    expected = np.linalg.norm(value - target) ** 2 / (5 * np.linalg.norm(target))
    assert float(distances.gram(torch.tensor(value), torch.tensor(target))) == pytest.approx(expected, rel=1e-5)


# sliced


def even(points):
    return Cloud(points, torch.full((len(points),), 1 / len(points), dtype=points.dtype))


def random_points(seed, count, channels=3):
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))


def test_sliced_is_the_sorted_difference_of_equal_counts():
    value, style = random_points(1, distances.QUANTILES), 2 * random_points(2, distances.QUANTILES) + 1
    target = distances.sliced_target([(1.0, even(style))])
    directions = target.directions.double().numpy()
    assert directions.shape == (3, distances.DIRECTIONS)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, rtol=1e-6)
    projected = [np.sort(points.double().numpy() @ directions, axis=0) for points in (value, style)]
    expected = np.mean((projected[0] - projected[1]) ** 2)
    assert float(distances.sliced(even(value), target)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("counts", [(700, 5000), (5000, 700)])
def test_the_quantiles_give_scipys_wasserstein_distance(counts):
    value, style = (random_points(seed, count, 1) for seed, count in enumerate(counts))
    style = 0.5 * style - 1
    one = torch.ones(1, 1)
    found = distances.quantiles(even(value), one, 1024) - distances.quantiles(even(style), one, 1024)
    expected = stats.wasserstein_distance(value[:, 0], style[:, 0])
    assert float(found.abs().mean()) == pytest.approx(expected, rel=5e-3)


def test_weights_of_points_count_as_repeats():
    points = random_points(5, 400)
    repeats = torch.randint(1, 4, (400,), generator=torch.Generator().manual_seed(1))
    weighted = Cloud(points, repeats / repeats.sum())
    directions = F.normalize(random_points(6, 8).T, dim=0)
    found = distances.quantiles(weighted, directions, 64)
    expected = distances.quantiles(even(points.repeat_interleave(repeats, 0)), directions, 64)
    assert float((found - expected).abs().mean()) < 0.01


def test_points_of_no_weight_do_not_count():
    points, others = random_points(7, 100), random_points(8, 300)
    with_others = Cloud(torch.cat([points, others]), torch.cat([torch.full((100,), 0.01), torch.zeros(300)]))
    directions = F.normalize(random_points(8, 4).T, dim=0)
    found = distances.quantiles(with_others, directions, 32)
    torch.testing.assert_close(found, distances.quantiles(even(points), directions, 32), atol=1e-4, rtol=1e-4)


def test_one_point_has_itself_at_every_quantile():
    point = torch.tensor([[1.0, 2.0]])
    found = distances.quantiles(even(point), torch.eye(2), 5)
    torch.testing.assert_close(found, point.expand(5, 2))


def test_quantiles_are_kept_in_float64():
    points = random_points(9, 50).double()
    assert distances.quantiles(even(points), torch.eye(3, dtype=torch.float64), 16).dtype == torch.float64


# nearest and patch


def brute_nearest(own, weight, wanted):
    angle = sum(
        share * min(1 - one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) for other in wanted)
        for one, share in zip(own, weight, strict=True)
    )
    lengths, goal = np.linalg.norm(own, axis=1), np.linalg.norm(wanted, axis=1)
    mean = np.average(lengths, weights=weight)
    deviation = math.sqrt(np.average((lengths - mean) ** 2, weights=weight))
    size = (mean - goal.mean()) ** 2 + (deviation - goal.std()) ** 2
    return (2 * angle * np.mean(goal**2) + size) / own.shape[1]


def test_nearest_is_brute_force():
    own, wanted = (random_points(seed, count, 5).abs() for seed, count in ((10, 20), (11, 30)))
    weight = torch.rand(20, generator=torch.Generator().manual_seed(3))
    value = Cloud(own, weight / weight.sum())
    expected = brute_nearest(*(part.double().numpy() for part in value), wanted.double().numpy())
    assert float(distances.nearest(value, even(wanted))) == pytest.approx(expected, rel=1e-3)


def test_patch_is_brute_force():
    own, wanted = (random_points(seed, count, 18).double() for seed, count in ((12, 15), (13, 25)))
    weight = torch.rand(15, generator=torch.Generator().manual_seed(4)).double()
    weight /= weight.sum()
    expected = 0.0
    for one, share in zip(own.numpy(), weight.numpy(), strict=True):
        match = max(wanted.numpy(), key=lambda other: one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        expected += share * np.mean((one - match) ** 2)
    assert float(distances.patch(Cloud(own, weight), even(wanted))) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 60)), min_size=1, max_size=3), st.integers(8, 40))
@settings(deadline=None, max_examples=40)
def test_samples_are_shared_by_weight(kinds, count):
    total = sum(share for share, _ in kinds)
    clouds = [(share / total, even(torch.full((size, 2), float(index)))) for index, (share, size) in enumerate(kinds)]
    found = distances.sampled(clouds, points=count)
    assert float(found.weight.sum()) == pytest.approx(1)
    for index, (share, cloud) in enumerate(clouds):
        taken = int((found.points[:, 0] == index).sum())
        assert taken == min(len(cloud.points), max(1, round(count * share)))


def test_samples_are_of_points_that_count():
    points = torch.arange(6.0)[:, None]
    found = distances.sampled([(1.0, Cloud(points, torch.tensor([0, 0.5, 0, 0, 0.5, 0])))])
    assert found.points[:, 0].tolist() == [1, 4]


# content and smoothness


def test_mse_is_numpys():
    one, other = torch.rand(1, 3, 4, 5), torch.rand(1, 3, 4, 5)
    assert float(distances.mse(one, other)) == pytest.approx(np.mean((one.numpy() - other.numpy()) ** 2), rel=1e-5)


def test_absolute_is_strotss_equation_5():
    one, other = torch.rand(6, 6), torch.rand(6, 6)
    expected = np.abs(one.numpy() - other.numpy()).sum() / 6
    assert float(distances.absolute(one, other)) == pytest.approx(expected, rel=1e-5)


def test_a_plain_picture_has_no_variation():
    assert float(distances.total_variation(torch.full((1, 3, 8, 9), 0.3))) == 0


@pytest.mark.parametrize(
    "turned",
    [
        lambda x: x.rot90(1, (2, 3)),
        lambda x: x.rot90(2, (2, 3)),
        lambda x: x.flip(3),
        lambda x: x.flip(2),
        lambda x: x.transpose(2, 3),
        lambda x: x + 0.25,
        lambda x: -x,
    ],
)
def test_variation_is_the_same_turned_mirrored_lighter_and_negative(turned):
    image = torch.rand(1, 3, 9, 12, dtype=torch.float64)
    assert float(distances.total_variation(turned(image))) == pytest.approx(float(distances.total_variation(image)), rel=1e-9)


def plane_wave(angle, wavelength, side=128):
    y, x = torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij")
    return torch.sin(2 * math.pi / wavelength * (x * math.cos(angle) + y * math.sin(angle)))[None, None]


@pytest.mark.parametrize("degrees", [0, 15, 30, 45, 60, 90])
def test_variation_is_the_same_in_all_directions(degrees):
    found = distances.total_variation(plane_wave(math.radians(degrees), 8))
    assert float(found) == pytest.approx((2 * math.pi / 8) ** 2 / 2, rel=0.07)  # E|∇|² of a wave, less the edges and k⁴
    straight = distances.total_variation(plane_wave(0, 8))
    assert float(found) == pytest.approx(float(straight), rel=0.015)


def test_variation_of_a_ramp_is_its_slope_squared():
    y, x = torch.meshgrid(*[torch.arange(400, dtype=torch.float64)] * 2, indexing="ij")
    for slope in ((0.3, 0.0), (0.2, 0.1), (-0.1, 0.4)):
        found = distances.total_variation((slope[0] * x + slope[1] * y)[None, None])
        assert float(found) == pytest.approx(slope[0] ** 2 + slope[1] ** 2, rel=0.01)


@pytest.mark.parametrize("distance", [distances.total_variation, lambda x: distances.mse(x, torch.zeros_like(x))])
def test_their_gradients_are_finite_differences(distance):
    assert torch.autograd.gradcheck(distance, torch.rand(1, 2, 4, 5, dtype=torch.float64).requires_grad_())
