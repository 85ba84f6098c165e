import numpy as np
import pytest
import skimage.color
import skimage.exposure
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UnfitPicture, UsageError
from impasto.pixels import color


def picture(seed, height=12, width=10, dtype=torch.float64, low=0.2, high=0.8):
    """Correlated colors well inside of the gamut."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.rand(3, 3, generator=generator, dtype=dtype)
    noise = torch.rand(1, 3, height, width, generator=generator, dtype=dtype)
    mixed = torch.einsum("ij,bjhw->bihw", mix / mix.sum(1, keepdim=True), noise)
    return low + (high - low) * mixed


def moments(image, weight=None):
    weight = None if weight is None else weight.flatten().numpy()
    values = image[0].flatten(1).numpy()
    return np.average(values, 1, weight), np.cov(values, bias=True, aweights=weight)


def test_lab_agrees_with_skimage():
    image = torch.rand(1, 3, 50, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = color.rgb_to_lab(image)[0].permute(1, 2, 0).numpy(), skimage.color.rgb2lab(image[0].permute(1, 2, 0).numpy())
    assert np.abs(ours - theirs).max() < 0.03  # its matrix has six digits
    back = skimage.color.lab2rgb(ours)
    assert np.abs(back - image[0].permute(1, 2, 0).numpy()).max() < 3e-3


def test_lab_of_grays_and_primaries():
    gray = torch.linspace(0, 1, 256, dtype=torch.float64).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    lab = color.rgb_to_lab(gray)
    assert lab[:, 1:].abs().max() < 1e-10
    assert lab[0, 0].min() == pytest.approx(0, abs=1e-10)
    assert lab[0, 0].max() == pytest.approx(100)
    red = color.rgb_to_lab(torch.tensor([1.0, 0, 0], dtype=torch.float64).view(1, 3, 1, 1)).flatten()
    assert red.tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # Lindbloom's calculator


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_lab_and_back(values):
    image = torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)
    assert torch.allclose(color.lab_to_rgb(color.rgb_to_lab(image)), image, atol=1e-9)
    assert torch.allclose(color.lab_to_rgb(color.rgb_to_lab(image.float())), image.float(), atol=1e-5)


@given(st.floats(-0.5, 4))
def test_transfer_curves_are_inverse(value):
    x = torch.tensor(value, dtype=torch.float64)
    assert color.linear_to_srgb(color.srgb_to_linear(x)).item() == pytest.approx(value, abs=2e-7)


def test_transfer_curve_at_known_points():
    assert color.srgb_to_linear(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx([0, 0.21404114, 1])


def test_luminance():
    primaries = torch.eye(3, dtype=torch.float64).view(1, 3, 1, 3)
    assert color.luminance(primaries).flatten().tolist() == pytest.approx([0.2126, 0.7152, 0.0722], abs=1e-4)
    assert color.luminance(torch.ones(2, 3, 4, 5)).shape == (2, 1, 4, 5)


@pytest.mark.parametrize("function", [color.srgb_to_linear, color.linear_to_srgb, color.rgb_to_lab, color.luminance])
def test_gradients_are_right_and_finite_at_black(function):
    image = picture(1, 2, 2, low=0.1).requires_grad_()
    assert torch.autograd.gradcheck(function, image)
    black = torch.zeros(1, 3, 2, 2, requires_grad=True)
    function(black).sum().backward()
    assert torch.isfinite(black.grad).all()


def test_match_gives_mean_and_covariance_of_the_target():
    source, target = picture(1), picture(2, 9, 14, low=0.4, high=0.6)
    result = color.rgb_to_lab(color.match_color(source, target, "match"))
    for ours, theirs in zip(moments(result), moments(color.rgb_to_lab(target)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_match_under_weights():
    generator = torch.Generator().manual_seed(3)
    source, target = picture(1), picture(2, 9, 14, low=0.4, high=0.6)
    ours = torch.rand(1, 1, 12, 10, dtype=torch.float64, generator=generator)
    theirs = torch.rand(1, 1, 9, 14, dtype=torch.float64, generator=generator)
    result = color.rgb_to_lab(color.match_color(source, target, "match", ours, theirs))
    for one, other in zip(moments(result, ours), moments(color.rgb_to_lab(target), theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_transport_is_the_optimal_map():
    """It is symmetric, positive, and A S A = T: which determines it (Brenier)."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 3, 9, dtype=torch.float64, generator=generator)
    source, target = a @ a.T, b @ b.T
    matrix = color.transport(source, target)
    assert torch.allclose(matrix, matrix.T)
    assert (torch.linalg.eigvalsh(matrix) > 0).all()
    assert torch.allclose(matrix @ source @ matrix, target)
    assert torch.allclose(color.transport(source, source), torch.eye(3, dtype=torch.float64))


def test_a_gray_source_can_be_matched():
    """Its flat axes take the target's mean: nothing is blown up."""
    gray = torch.linspace(0.2, 0.8, 100, dtype=torch.float64).view(1, 1, 10, 10).expand(1, 3, 10, 10)
    result = color.match_color(gray, picture(2), "match")
    goal = moments(color.rgb_to_lab(picture(2)))[0]
    np.testing.assert_allclose(moments(color.rgb_to_lab(result))[0], goal, atol=1e-2)
    flat = color.match_color(torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64), picture(2), "match")
    np.testing.assert_allclose(color.rgb_to_lab(flat)[0, :, 0, 0].numpy(), goal, atol=1e-4)


def test_quantiles_of_equally_many_values_become_the_targets_values():
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randn(2, 200, dtype=torch.float64, generator=generator)
    weight = torch.full((200,), 1 / 200, dtype=torch.float64)
    result = color.match_quantiles(source, target, weight, weight)
    assert torch.allclose(result.sort().values, target.sort().values)
    assert (result.argsort() == source.argsort()).all()


def test_quantiles_agree_with_numpy_and_skimage():
    generator = torch.Generator().manual_seed(0)
    source = torch.rand(5000, dtype=torch.float64, generator=generator)
    target = torch.rand(7000, dtype=torch.float64, generator=generator) ** 3
    ours, theirs = (torch.full_like(values, 1 / len(values)) for values in (source, target))
    result = color.match_quantiles(source, target, ours, theirs).numpy()
    levels = np.linspace(0.01, 0.99, 50)
    assert np.abs(np.quantile(result, levels) - np.quantile(target.numpy(), levels)).max() < 2e-3
    assert np.abs(result - skimage.exposure.match_histograms(source.numpy(), target.numpy())).max() < 2e-3


def test_weighted_quantiles_equal_repeated_values():
    source, target = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64), torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    weight = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    repeated = color.match_quantiles(source, target[[0, 0, 1, 2]], third, torch.full((4,), 0.25, dtype=torch.float64))
    assert torch.allclose(color.match_quantiles(source, target, third, weight), repeated)


def test_equal_values_stay_equal_and_one_value_can_be_a_target():
    source = torch.tensor([0.5, 0.5, 0.5, 0.7], dtype=torch.float64)
    weight = torch.full((4,), 0.25, dtype=torch.float64)
    result = color.match_quantiles(source, torch.arange(4, dtype=torch.float64), weight, weight)
    assert result[:3].unique().numel() == 1
    one = torch.ones(1, dtype=torch.float64)
    assert color.match_quantiles(source, one * 7, weight, one).tolist() == [7] * 4


def test_histogram_gives_the_targets_quantiles_in_lab():
    source, target = picture(1, 30, 30), picture(2, 40, 40, low=0.4, high=0.6)
    ours = color.rgb_to_lab(color.match_color(source, target, "histogram"))[0].flatten(1).numpy()
    theirs = color.rgb_to_lab(target)[0].flatten(1).numpy()
    levels = np.linspace(0.05, 0.95, 19)
    spread = theirs.std(1, keepdims=True).T
    assert (np.abs(np.quantile(ours, levels, 1) - np.quantile(theirs, levels, 1)) / spread).max() < 0.05


def test_luminance_of_a_style_becomes_gray_with_the_targets_mean_and_spread():
    result = color.rgb_to_lab(color.match_color(picture(1), picture(2, low=0.4, high=0.6), "luminance"))
    goal = color.rgb_to_lab(picture(2, low=0.4, high=0.6))[:, 0]
    assert result[:, 1:].abs().max() < 1e-6
    assert result[:, 0].mean().item() == pytest.approx(goal.mean().item())
    assert result[:, 0].std().item() == pytest.approx(goal.std().item())


def test_preserving_luminance_takes_lightness_here_and_color_there():
    painted, content = picture(1, low=0.45, high=0.55), picture(2, low=0.45, high=0.55)
    lab = color.rgb_to_lab(color.preserve_color(painted, content, "luminance"))
    assert torch.allclose(lab[:, :1], color.rgb_to_lab(painted)[:, :1])
    assert torch.allclose(lab[:, 1:], color.rgb_to_lab(content)[:, 1:])


@pytest.mark.parametrize("mode", color.MODES)
def test_properties_of_every_mode(mode):
    painted, content = picture(1, low=0.0, high=1.0, dtype=torch.float32), picture(2, low=0.0, high=1.0, dtype=torch.float32)
    result = color.preserve_color(painted, content, mode)
    assert result.shape == painted.shape
    assert result.dtype == torch.float32
    assert result.min() >= 0
    assert result.max() <= 1
    ones = torch.ones(1, 1, 12, 10)
    assert torch.allclose(color.preserve_color(painted, content, mode, ones), result, atol=1e-6)
    half = ones.clone()
    half[..., :5] = 0
    masked = color.preserve_color(painted, content, mode, half)
    assert torch.equal(masked[..., :5], painted[..., :5])
    alone = color.preserve_color(painted[..., 5:], content[..., 5:], mode)
    assert torch.allclose(masked[..., 5:], alone, atol=1e-5)
    batch = color.preserve_color(torch.cat((painted, content)), torch.cat((content, painted)), mode)
    assert torch.allclose(batch[:1], result, atol=1e-6)
    assert torch.allclose(color.preserve_color(content, content, mode), content, atol=1e-4)


def test_what_does_not_fit_is_refused():
    image = torch.rand(1, 3, 4, 4)
    with pytest.raises(UsageError, match="'sepia'"):
        color.preserve_color(image, image, "sepia")
    with pytest.raises(UsageError, match="'sepia'"):
        color.match_color(image, image, "sepia")
    with pytest.raises(UnfitPicture, match="5 x 4"):
        color.preserve_color(image, torch.rand(1, 3, 4, 5), "luminance")
    with pytest.raises(UnfitPicture, match="selects nothing"):
        color.preserve_color(image, image, "match", torch.zeros(1, 1, 4, 4))
    with pytest.raises(UnfitPicture, match="mask"):
        color.match_color(image, image, "match", torch.ones(1, 1, 5, 4))
