import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from safetensors.torch import save_file

from impasto.errors import UnfitPicture, UsageError, WeightsError
from impasto.fast import nets, style
from impasto.features import encoders, statistics, weights


@pytest.fixture(scope="module")
def encoder():
    return encoders.load("vgg16")


@pytest.fixture(scope="module")
def painting():
    draw = torch.Generator().manual_seed(3)
    coarse = torch.rand((1, 3, 24, 30), generator=draw)
    return torch.nn.functional.interpolate(coarse, (144, 180), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = nets.AnyStyle().eval().requires_grad_(False)
    net.identity = "here"
    return net


@pytest.fixture(scope="module")
def learned(net, encoder, painting):
    return style.of(net, encoder, painting, "test-style", {"title": "A test", "rights": "CC0", "year": 1889})


@pytest.mark.parametrize("rank", [None, 32])
def test_compressed_moments_keep_mean_and_variances(encoder, painting, rank):
    moments = statistics.moments(encoder(painting, ["relu3_1"])["relu3_1"])
    found = style.expand(style.compress(moments, rank))
    torch.testing.assert_close(found.mean, moments.mean)
    torch.testing.assert_close(found.covariance.diagonal(), moments.covariance.diagonal(), rtol=1e-3, atol=1.0)


def bures(a, b):
    """Squared Wasserstein-2 distance of two normal distributions, a channel, in float64 by scipy."""
    one, other = a.covariance.double().numpy(), b.covariance.double().numpy()
    root = scipy.linalg.sqrtm(other).real
    values = scipy.linalg.eigvalsh(root @ one @ root).clip(0)
    apart = (a.mean - b.mean).double().square().sum().item()
    return (apart + one.trace() + other.trace() - 2 * np.sqrt(values).sum()) / len(one)


def test_compressed_moments_are_near_in_w2(encoder, painting):
    moments = statistics.moments(encoder(painting, ["relu3_1"])["relu3_1"])
    far = [bures(style.expand(style.compress(moments, rank)), moments) for rank in (8, 64, None)]
    size = moments.second.diagonal().mean().item()
    assert far[0] > far[1] > far[2]
    assert far[1] < 0.02 * size
    assert far[2] < 1e-5 * size


def test_file_gives_back_the_style_and_is_small(tmp_path, learned):
    path = tmp_path / "test-style.safetensors"
    style.save(path, learned)
    assert path.stat().st_size < 400_000
    found = style.load(path)
    assert (found.name, found.net, found.passport["title"], found.passport["year"]) == ("test-style", "here", "A test", 1889)
    assert torch.equal(found.code, learned.code)
    for size in style.SIZES:
        for layer in style.LAYERS:
            old, new = learned.moments[size][layer], found.moments[size][layer]
            assert old.keys() == new.keys()
            for part in old:
                torch.testing.assert_close(new[part].float(), old[part], rtol=1e-3, atol=1e-2)
    style.save(tmp_path / "again.safetensors", found)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_statistics_by_nearest_size(learned):
    one, other = learned.at(200), learned.at(2000)
    assert torch.equal(one["relu1_1"].mean, learned.moments[256]["relu1_1"]["mean"])
    assert torch.equal(other["relu1_1"].mean, learned.moments[512]["relu1_1"]["mean"])


def test_the_row_is_what_training_saw(encoder, painting):
    losses = pytest.importorskip("impasto.fast.losses")
    trained = losses.encode_style(encoder, [(1.0, painting)]).row
    torch.testing.assert_close(style.row(encoder, painting), trained, rtol=2e-3, atol=2e-2)


def test_names_are_never_paths(tmp_path, learned):
    style.save(tmp_path / "starry-night.safetensors", learned)
    style.save(tmp_path / "great-wave.safetensors", learned)
    assert style.names(tmp_path) == ["great-wave", "starry-night"]
    assert style.load("starry-night", tmp_path).name == "test-style"
    with pytest.raises(UsageError, match="did you mean 'starry-night'"):
        style.load("stary-nigth", tmp_path)
    with pytest.raises(UsageError, match="great-wave, starry-night"):
        style.load("xyz", tmp_path)
    (tmp_path / "inside").mkdir()
    for path in ("../starry-night", str(tmp_path / "starry-night")):
        with pytest.raises(UsageError, match="no style named"):
            style.named(path, tmp_path / "inside")


def test_a_name_must_be_plain(tmp_path, learned):
    for name in ("../evil", "Starry Night", ""):
        with pytest.raises(UsageError, match="name"):
            style.save(tmp_path / "x.safetensors", replace(learned, name=name))
    assert not list(tmp_path.iterdir())


def test_wrong_files_are_refused(tmp_path, learned):
    path = tmp_path / "s.safetensors"
    style.save(path, learned)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(WeightsError, match="not a readable"):
        style.load(path)
    path.write_bytes(good[:-40] + bytes(40))
    with pytest.raises(WeightsError, match="damaged"):
        style.load(path)
    save_file({"code": learned.code}, path)
    with pytest.raises(WeightsError, match="not a style"):
        style.load(path)
    save_file({"code": learned.code}, path, metadata={"impasto": json.dumps({"kind": "style", "format": 99})})
    with pytest.raises(WeightsError, match="newer impasto"):
        style.load(path)
    for tensors, message in [
        ({"code": learned.code}, "a style has"),
        ({"256.relu1_1.mean": torch.zeros(64)}, "lacks"),
        ({"code": learned.code, "256.relu1_1.mean": torch.zeros(64)}, "damaged"),
        ({"code": learned.code, "strange": torch.zeros(1)}, "damaged"),
        ({"code": learned.code * torch.nan}, "not numbers"),
    ]:
        weights.save(path, tensors, {"kind": "style"})
        with pytest.raises(WeightsError, match=message):
            style.load(path)
    with pytest.raises(WeightsError, match="no weight file"):
        style.load(tmp_path / "absent.safetensors")


def test_a_painting_of_20_px_is_refused(encoder):
    with pytest.raises(UnfitPicture, match="20 x 300"):
        style.row(encoder, torch.rand(1, 3, 300, 20))


def test_bound_styles_mix_codes_and_changes(net, learned):
    content = torch.rand((1, 3, 48, 64), generator=torch.Generator().manual_seed(0))
    other = replace(learned, code=learned.code + 0.2)
    mixed = style.bind(net, [(1.0, learned), (3.0, other)])
    torch.testing.assert_close(mixed.code, (learned.code + 0.15)[:, : net.plain_size])
    torch.testing.assert_close(mixed(content), net(content, learned.code + 0.15), atol=1e-5, rtol=1e-4)
    change = {"paint.bias": torch.full((12,), 0.8)}
    tuned = style.bind(net, [(1.0, replace(learned, changes=change)), (1.0, learned)])
    torch.testing.assert_close(tuned.net.paint.bias, net.paint.bias + 0.4)
    assert (tuned(content) - style.bind(net, [(1.0, learned)])(content)).abs().max() > 0.01
    assert net.paint.bias.abs().max() == 0


def test_styles_of_another_network_are_refused(net, learned):
    with pytest.raises(WeightsError, match="another network"):
        style.bind(net, [(1.0, replace(learned, net="elsewhere"))])
    with pytest.raises(WeightsError, match="does not have"):
        style.bind(net, [(1.0, replace(learned, changes={"paint.bias": torch.zeros(5)}))])


def test_large_changes_are_kept_by_their_leading_part(learned, tmp_path):
    draw = torch.Generator().manual_seed(1)
    low = (torch.randn(80, 5, generator=draw) @ torch.randn(5, 720, generator=draw)).view(80, 80, 3, 3)
    any_rank, small = torch.randn(80, 80, 3, 3, generator=draw), torch.randn(16, 28, 3, 3, generator=draw)
    changes = {"body.0.first.plain.weight": low, "body.1.first.plain.weight": any_rank, "fine.weight": small}
    style.save(tmp_path / "changed.safetensors", replace(learned, changes=changes))
    found = style.read(tmp_path / "changed.safetensors").changes
    torch.testing.assert_close(found["fine.weight"], small, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found["body.0.first.plain.weight"], low, rtol=1e-2, atol=0.02)
    left, values, right = np.linalg.svd(any_rank.flatten(1).numpy())
    best = torch.from_numpy(left[:, :12] * values[:12] @ right[:12]).view(80, 80, 3, 3)
    torch.testing.assert_close(found["body.1.first.plain.weight"], best.float(), rtol=1e-2, atol=0.02)


def test_a_change_that_lacks_a_factor_is_damaged(learned, tmp_path):
    path = tmp_path / "half.safetensors"
    style.save(path, replace(learned, changes={"body.0.first.plain.weight": torch.randn(80, 80, 3, 3)}))
    tensors, passport = weights.load(path)
    del tensors["net.body.0.first.plain.weight:right"]
    weights.save(path, tensors, passport)
    with pytest.raises(WeightsError, match="damaged"):
        style.read(path)
