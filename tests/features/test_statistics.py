"""Statistics against plain formulas, in numpy and float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance

from impasto.features import statistics
from impasto.features.statistics import Moments

POOLED = (statistics.moments, statistics.gram, statistics.cloud)
"""Statistics that do not know where a position lies."""
EVERY = (*POOLED, statistics.patches, statistics.identity, statistics.similarity)


def features(seed=0, channels=5, height=6, width=7, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, height, width, generator=random, dtype=dtype).relu()


def parts(value):
    """A statistic's tensors."""
    return list(value) if isinstance(value, tuple) else [value]


def assert_same(found, expected, tolerance=1e-5):
    for one, other in zip(parts(found), parts(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_moments_are_those_of_numpy():
    f = features()
    points = f[0].flatten(1).double().numpy()
    found = statistics.moments(f)
    np.testing.assert_allclose(found.mean.numpy(), points.mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.covariance.numpy(), np.cov(points, bias=True), rtol=1e-4, atol=1e-6)


def test_weighted_moments_are_those_of_numpy():
    f = features()
    mask = torch.rand(1, 1, 6, 7, generator=torch.Generator().manual_seed(1))
    points, shares = f[0].flatten(1).double().numpy(), mask.flatten().double().numpy()
    found = statistics.moments(f, mask)
    np.testing.assert_allclose(found.mean.numpy(), np.average(points, axis=1, weights=shares), rtol=1e-5)
    covariance = np.cov(points, aweights=shares, bias=True)
    np.testing.assert_allclose(found.covariance.numpy(), covariance, rtol=1e-4, atol=1e-6)


def test_gram_is_an_einsum():
    f = features()
    expected = torch.einsum("bchw,bdhw->cd", f, f) / (6 * 7)
    torch.testing.assert_close(statistics.gram(f), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_of_moments_is_that_of_the_plain_formula(masked):
    f = features(dtype=torch.float64).requires_grad_()
    mask = torch.rand(1, 1, 6, 7, dtype=torch.float64) if masked else torch.ones(1, 1, 6, 7, dtype=torch.float64)
    random = torch.Generator().manual_seed(2)
    up, across = (torch.randn(shape, generator=random, dtype=torch.float64) for shape in ((5,), (5, 5)))
    shares = (mask / mask.sum()).flatten()
    points = f[0].flatten(1)
    plain = (up * (points @ shares)).sum() + (across * torch.einsum("cn,n,dn->cd", points, shares, points)).sum()
    (expected,) = torch.autograd.grad(plain, f)
    found = statistics.moments(f, mask if masked else None)
    (gradient,) = torch.autograd.grad((up * found.mean).sum() + (across * found.second).sum(), f)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("statistic", EVERY)
def test_gradients_are_finite_differences(statistic, masked):
    f = (features(channels=3, height=4, width=5, dtype=torch.float64) + 0.1).requires_grad_()
    mask = 0.1 + torch.rand(1, 1, 4, 5, dtype=torch.float64) if masked else None
    assert torch.autograd.gradcheck(lambda x: tuple(part for part in parts(statistic(x, mask)) if part.requires_grad), f)


@pytest.mark.parametrize("statistic", POOLED)
@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=15)
def test_where_a_position_lies_does_not_count(statistic, random):
    f = features(seed=random.randrange(100))
    order = list(range(42))
    random.shuffle(order)
    shuffled = f.flatten(2)[..., order].view_as(f)
    found, expected = statistic(shuffled), statistic(f)
    if statistic is statistics.cloud:
        assert torch.equal(found.points, expected.points[order])
        assert torch.equal(found.weight, expected.weight)
    else:
        assert_same(found, expected)


@pytest.mark.parametrize("statistic", EVERY)
def test_a_mask_of_ones_is_none(statistic):
    f = features()
    assert_same(statistic(f, torch.ones(1, 1, 48, 56)), statistic(f))


@pytest.mark.parametrize("statistic", POOLED)
@pytest.mark.parametrize("factor", [1, 8])
def test_a_mask_selects(statistic, factor):
    f = features(height=6, width=8)
    mask = torch.zeros(1, 1, 6 * factor, 8 * factor)
    mask[..., : 3 * factor] = 0.5
    found, expected = statistic(f, mask), statistic(f[..., :3].contiguous())
    if statistic is statistics.cloud:
        chosen = found.weight > 0
        found = statistics.Cloud(found.points[chosen], found.weight[chosen])
    assert_same(found, expected)


def test_only_patches_within_the_mask_count():
    mask = torch.zeros(1, 1, 6, 7)
    mask[..., 2:5, 3] = 1
    found = statistics.patches(features(), mask)
    assert found.weight.view(4, 5).nonzero().tolist() == [[1, 2], [2, 2], [3, 2]]
    assert float(found.weight.sum()) == pytest.approx(1)


def test_an_empty_mask_gives_finite_values():
    for statistic in (*POOLED, statistics.patches):
        assert all(torch.isfinite(part).all() for part in parts(statistic(features(), torch.zeros(1, 1, 6, 7))))


def test_moments_add_up_over_tiles():
    f = features(width=8)
    halves = [statistics.moments(half.contiguous()) for half in (f[..., :4], f[..., 4:])]
    together = Moments(*(sum(values) / 2 for values in zip(*halves, strict=True)))
    assert_same(together, statistics.moments(f))


def test_patches_are_numpys_windows():
    f = features()
    windows = np.lib.stride_tricks.sliding_window_view(f[0].numpy(), (3, 3), axis=(1, 2))  # channels, y, x, 3, 3
    expected = windows.transpose(1, 2, 0, 3, 4).reshape(4 * 5, 5 * 9)
    found = statistics.patches(f)
    np.testing.assert_array_equal(found.points.numpy(), expected)
    np.testing.assert_allclose(found.weight.numpy(), np.full(20, 1 / 20), rtol=1e-6)


def test_similarity_is_scipys_cosine_distance():
    f = features() + 0.1
    points = f[0].flatten(1).T.double().numpy()
    expected = distance.squareform(distance.pdist(points, "cosine"))
    found = statistics.similarity(f).numpy()
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), rtol=1e-4, atol=1e-7)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(2, 64))
@settings(deadline=None, max_examples=40)
def test_similarity_takes_no_more_points_than_it_says(height, width, points):
    found = statistics.similarity(torch.ones(1, 1, height, width), points=points)
    assert len(found) <= points
    assert len(found) >= min(points, height * width) / 5 or min(height, width) < 5


@pytest.mark.parametrize("statistic", POOLED)
def test_a_batch_is_refused(statistic):
    with pytest.raises(ValueError, match="batch of 2"):
        statistic(torch.ones(2, 3, 4, 4))


@pytest.mark.parametrize("statistic", EVERY)
def test_half_precision_features_are_summed_in_full(statistic):
    """Sums over 4096 positions in bfloat16 would be off by percents."""
    f = (features(height=64, width=64) * 8).to(torch.bfloat16)
    assert_same(statistic(f), statistic(f.float()), 1e-6)
