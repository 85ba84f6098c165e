"""Where the work is done, and seeds that mean the same everywhere."""

import pytest
import torch
from scipy import stats

from impasto import device
from impasto.errors import UsageError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_what_is_asked_for_is_chosen(name, dtype):
    assert device.choose("cpu", name) == (CPU, dtype)


def test_auto_takes_what_there_is():
    chosen, dtype = device.choose()
    assert chosen.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert dtype == (torch.bfloat16 if device.multiplies_bfloat16(chosen) else torch.float32)


@pytest.mark.parametrize("fast", [True, False])
def test_auto_precision_follows_the_hardware(fast, monkeypatch):
    monkeypatch.setattr(device, "multiplies_bfloat16", lambda _: fast)
    assert device.choose("cpu")[1] == (torch.bfloat16 if fast else torch.float32)
    assert device.choose("cpu", "fp32")[1] == torch.float32


@pytest.mark.parametrize("name", ["toaster", "", "cpu:", "cuda:99", "hpu", "privateuseone", "meta"])
def test_a_device_that_is_not_here_is_refused(name):
    with pytest.raises(UsageError, match=f"device '{name}'") as caught:
        device.choose(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["fp16", "", "float32"])
def test_an_unknown_precision_is_refused(name):
    with pytest.raises(UsageError, match="auto, fp32, bf16"):
        device.choose("cpu", name)


def test_noise_is_drawn_by_its_seed_alone():
    before = torch.random.get_rng_state()
    one = device.noise((2, 3, 4), 5, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    assert torch.equal(device.noise((2, 3, 4), 5, CPU), one)
    assert not torch.equal(device.noise((2, 3, 4), 6, CPU), one)


def test_noise_is_standard_normal():
    drawn = device.noise((10000,), 0, CPU)
    assert stats.kstest(drawn.numpy(), "norm").pvalue > 1e-3
