import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import UsageError, WeightsError
from impasto.fast import layers, nets
from impasto.features import weights
from impasto.features.weights import digest


def picture(height, width, seed=0, batch=1):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand((batch, 3, height, width), generator=draw)


@pytest.fixture(scope="module", params=sorted(nets.NETS))
def net(request):
    torch.manual_seed(0)
    return nets.NETS[request.param]().eval().requires_grad_(False)


def some_code(net, seed=1):
    """A code as a painting gives it, with norms that differ from neutral."""
    draw = torch.Generator().manual_seed(seed)
    row = torch.rand((1, len(net.signature_mean)), generator=draw) + 0.5
    return net.predict(row) + 0.1 * torch.randn((1, net.code_size), generator=draw)


def test_strength_0_returns_the_content_itself(net):
    content = picture(40, 56)
    assert torch.equal(net.bind(some_code(net))(content, strength=0.0), content)


def test_a_small_strength_changes_little_and_the_change_grows(net):
    content, bound = picture(64, 64), net.bind(some_code(net))
    far = [(bound(content, strength=s) - content).square().mean().sqrt().item() for s in (0.01, 0.1, 0.5, 1.0)]
    assert far[0] < 0.02
    assert far == sorted(far)


def test_strength_outside_0_to_1_is_refused(net):
    with pytest.raises(UsageError, match=r"1\.5"):
        net.bind(some_code(net))(picture(32, 32), strength=1.5)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70))
def test_any_size_comes_back_as_it_was(height, width):
    net = nets.AnyStyle(stem=8, width=8, blocks=1, fine=4, hidden=8).eval()
    with torch.no_grad():
        painted = net(picture(height, width), torch.zeros(1, net.code_size))
    assert painted.shape == (1, 3, height, width)
    assert painted.isfinite().all()
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_norm_is_instance_norm(net):
    x = torch.randn(2, 6, 9, 7)
    gamma, beta = torch.randn(2, 6), torch.randn(2, 6)
    norm = layers.Conditioning(torch.cat([gamma, beta], 1), torch.empty(2, 0), None)
    oracle = torch.nn.functional.instance_norm(x, eps=layers.EPSILON) * gamma[..., None, None] + beta[..., None, None]
    torch.testing.assert_close(norm(x), oracle, atol=1e-5, rtol=1e-5)


def test_a_turned_convolution_has_the_weights_of_its_style():
    """Folding says what W + L M R means: each picture of a batch is convolved with its own."""
    x, turned = torch.randn(2, 80, 9, 7), layers.Turned(80, 4).requires_grad_(False)
    cores = torch.randn(2, 16)
    found = turned(x, layers.Conditioning(torch.empty(2, 0), cores, None))
    for k in range(2):
        left, right = turned.left.weight.flatten(1), turned.right.weight.flatten(1)
        weight = turned.plain.weight + (left @ cores[k].view(4, 4) @ right).view(80, 80, 3, 3)
        padded = torch.nn.functional.pad(x[k : k + 1], (1, 1, 1, 1), mode="replicate")
        torch.testing.assert_close(found[k : k + 1], torch.nn.functional.conv2d(padded, weight), atol=1e-4, rtol=1e-4)


def test_folded_for_a_style_it_paints_the_same_and_is_untouched(net):
    content, code = picture(48, 64), some_code(net)
    before = digest(net.state_dict())
    bound = net.bind(code)
    for strength in (0.4, 1.0):
        torch.testing.assert_close(bound(content, strength=strength), net(content, code, strength=strength), atol=1e-5, rtol=1e-4)
    assert digest(net.state_dict()) == before
    assert not any("left" in name or "predictor" in name for name in bound.net.state_dict())


def test_averaged_is_convolution_shuffle_and_mean():
    functional = torch.nn.functional
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn((12, 5, 3, 3), generator=draw, dtype=torch.float64)
    x = torch.randn((1, 5, 9, 11), generator=draw, dtype=torch.float64)
    shuffled = functional.pixel_shuffle(functional.conv2d(x, weight, padding=1), 2)
    oracle = functional.avg_pool2d(functional.pad(shuffled, (1, 0, 1, 0)), 2, 1)
    found = functional.pixel_shuffle(functional.conv2d(functional.pad(x, (2, 1, 2, 1)), layers.averaged(weight)), 2)
    torch.testing.assert_close(found[..., 3:-3, 3:-3], oracle[..., 3:-3, 3:-3])


def test_pictures_of_a_batch_do_not_see_each_other(net):
    contents = picture(48, 48, batch=2)
    codes = torch.cat([some_code(net, 1), some_code(net, 2)])
    strength = torch.tensor([1.0, 0.4])
    together = net(contents, codes, strength=strength)
    for k in range(2):
        alone = net(contents[k : k + 1], codes[k : k + 1], strength=float(strength[k]))
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-5, rtol=1e-4)


def test_own_statistics_frozen_change_nothing(net):
    content, code = picture(56, 72), some_code(net)
    frozen = net.measure(content, code, strength=0.7)
    found = net(content, code, strength=0.7, statistics=frozen)
    torch.testing.assert_close(found, net(content, code, strength=0.7), atol=1e-5, rtol=1e-4)


def test_color_starts_from_matching_mean_and_deviation(net):
    row = torch.zeros(1, len(net.signature_mean))
    row[0, :6] = torch.tensor([0.5, -0.3, 0.1, 0.8, 0.6, 0.4])
    logits = nets.logit(net(0.2 + 0.6 * picture(64, 64), net.predict(row)))
    torch.testing.assert_close(logits.mean((2, 3))[0], row[0, :3], atol=0.15, rtol=0)
    ratio = logits.std((2, 3))[0] / row[0, 3:6]
    assert ((ratio > 0.75) & (ratio < 1.25)).all()


def test_the_predictor_looks_along_the_axes_in_which_styles_differ():
    """Rows that differ along three directions: those are what is seen, alike in size; along others nothing is."""
    draw = torch.Generator().manual_seed(4)
    net = nets.AnyStyle(stem=8, width=8, blocks=1, fine=4, hidden=8)
    size = len(net.signature_mean)
    directions = torch.linalg.qr(torch.randn((size, 3), generator=draw)).Q.T
    rows = 3 + torch.randn((40, 3), generator=draw) @ (directions * torch.tensor([[30.0], [20.0], [10.0]]))
    net.calibrate(rows)

    def seen(row):
        return (row - net.signature_mean) / net.signature_scale @ net.predictor.axes.mT

    assert net.predictor.axes.shape == (nets.AXES, size)
    torch.testing.assert_close(seen(rows).mean(0), torch.zeros(nets.AXES), atol=1e-3, rtol=0)
    spread = seen(rows).var(0)
    assert spread[:3].min() > 0.7
    assert spread[:3].max() < 1.01
    assert spread[3:].max() < 1e-3
    net.calibrate(rows[:9])  # fewer styles than axes
    assert seen(rows[:9]).isfinite().all()
    assert not net.predictor.axes[9:].any()


def test_a_flat_picture_shows_no_grid_whatever_the_weights():
    """Without the grain a flat picture stays flat: no layer has phases. With it the picture is textured."""
    torch.manual_seed(0)
    net = nets.AnyStyle().eval().requires_grad_(False)
    torch.nn.init.normal_(net.paint.weight, std=0.3)
    content, code = torch.full((1, 3, 128, 128), 0.4), some_code(net)
    assert net(content, code).std((2, 3)).min() > 0.02
    net.grain.zero_()
    assert net(content, code)[..., 8:-8, 8:-8].std((2, 3)).max() < 1e-3


def test_grain_is_periodic_smooth_and_of_unit_variance():
    noise = layers.grain()
    torch.testing.assert_close(noise.std((2, 3)), torch.ones(1, layers.GRAIN))
    inside = (noise[..., 1:] - noise[..., :-1]).square().mean((2, 3))
    across = (noise[..., :1] - noise[..., -1:]).square().mean((2, 3))
    assert (across < 2.5 * inside).all()
    assert torch.equal(noise, layers.grain())


def test_mixing_is_linear_and_checked():
    a, b = torch.ones(1, 4), torch.zeros(1, 4)
    torch.testing.assert_close(nets.mix([a, b], [3, 1]), torch.full((1, 4), 0.75))
    for wrong in ([1.0], [0.0, 0.0], [1.0, -1.0]):
        with pytest.raises(UsageError, match="weights"):
            nets.mix([a, b], wrong)


def test_any_style_weights_stay_under_3_mb():
    assert 2 * sum(tensor.numel() for tensor in nets.AnyStyle().state_dict().values()) <= 3_000_000


def test_load_gives_back_what_was_saved(tmp_path):
    net = nets.AnyStyle()
    weights.save(tmp_path / "net.safetensors", net.state_dict(), {"kind": "net", "net": "any"})
    found = nets.load(tmp_path / "net.safetensors")
    assert digest(found.state_dict()) == digest(net.state_dict()) == found.identity


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "style"}, "not a network"), ({"net": "later"}, "does not know"), ({"net": "any-wide"}, "does not fit")],
)
def test_load_refuses_what_is_not_its_network(tmp_path, change, message):
    weights.save(tmp_path / "net.safetensors", nets.AnyStyle().state_dict(), {"kind": "net", "net": "any", **change})
    with pytest.raises(WeightsError, match=message):
        nets.load(tmp_path / "net.safetensors")


def test_load_refuses_values_that_are_not_numbers(tmp_path):
    state = nets.AnyStyle().state_dict()
    state["neutral"][3] = torch.nan
    weights.save(tmp_path / "net.safetensors", state, {"kind": "net", "net": "any"})
    with pytest.raises(WeightsError, match="not numbers"):
        nets.load(tmp_path / "net.safetensors")
