"""Weight files: what is written comes back bit for bit, and what is damaged does not."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from impasto.errors import ImpastoError, WeightsError
from impasto.features import weights

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool)
TENSORS = {
    "b.weight": torch.arange(24, dtype=torch.float32).view(2, 3, 4),
    "a.bias": torch.tensor([1.5, float("nan"), -0.0], dtype=torch.float16),
    "scalar": torch.tensor(7),
    "none": torch.zeros(0, 3),
}


def same(one, other):
    """Bit for bit: NaN is NaN, and -0 is not 0."""
    return weights.digest(one) == weights.digest(other)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    weights.save(path, TENSORS, {"kind": "style", "name": "x"})
    return path


@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)), max_size=4), st.text(max_size=5))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_comes_back(tmp_path, kinds, name):
    tensors = {f"t{index}": (torch.rand(shape) * 9).to(dtype) for index, (dtype, shape) in enumerate(kinds)}
    path = tmp_path / "w.safetensors"
    weights.save(path, tensors, {"name": name})
    found, passport = weights.load(path)
    assert {key: (value.dtype, value.shape) for key, value in found.items()} == {
        key: (value.dtype, value.shape) for key, value in tensors.items()
    }
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)
    assert passport == {"name": name, "format": weights.FORMAT, "sha256": weights.digest(tensors)}
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_the_digest_is_sha256_of_names_shapes_types_and_bytes():
    tensors = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor([3], dtype=torch.uint8)}
    text = b"a (1,) torch.uint8\n\x03" + b"b (1, 2) torch.float32\n" + b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    assert weights.digest(tensors) == hashlib.sha256(text).hexdigest()


def test_layout_does_not_count():
    tensor = torch.rand(3, 4)
    assert weights.digest({"a": tensor}) == weights.digest({"a": tensor.T.contiguous().T})


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(1)},
        {"a": torch.full((2, 3), -0.0), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3)},
    ],
)
def test_every_difference_changes_the_digest(other):
    assert weights.digest(other) != weights.digest({"a": torch.zeros(2, 3), "b": torch.ones(1)})


def test_a_failed_write_leaves_the_old_file(good, tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    path.write_bytes(good.read_bytes())

    write = Path.write_bytes

    def full_disk(self, data):
        write(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        weights.save(path, {"a": torch.ones(1)}, {})
    assert os.listdir(tmp_path) == ["w.safetensors"]
    assert same(weights.load(path)[0], TENSORS)


def test_every_bit_counts(good, tmp_path):
    """A flipped bit anywhere is refused, or lies where it does not touch the weights (the passport's words)."""
    data = good.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    path = tmp_path / "flipped.safetensors"
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        if position >= begin:
            with pytest.raises(WeightsError, match="SHA-256"):
                weights.load(path)
            continue
        try:
            found, _ = weights.load(path)
        except WeightsError:
            continue
        assert same(found, TENSORS)


def test_a_truncated_file_is_refused(good, tmp_path):
    data = good.read_bytes()
    path = tmp_path / "short.safetensors"
    for length in [*range(0, len(data), 7), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError):
            weights.load(path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("pth") / "w.pth"
    torch.save({"features.0.weight": torch.rand(2, 3, 3, 3), "features.0.bias": torch.rand(2)}, path)
    return path.read_bytes()


@given(st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_checkpoint_ends_in_one_clear_error(checkpoint, tmp_path, data):
    damaged = bytearray(checkpoint)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "damaged.pth"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        weights.load(path)
    except ImpastoError as error:
        if "\n" in str(error):
            pytest.fail(f"more than one line: {error}")


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_bytes_are_refused(tmp_path, suffix, data):
    path = tmp_path / f"any{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        weights.load(path)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".txt", ""])
@pytest.mark.parametrize("text", ["", "not weights at all\n", "<html>404</html>"])
def test_text_is_refused(tmp_path, suffix, text):
    path = tmp_path / f"text{suffix}"
    path.write_text(text)
    with pytest.raises(WeightsError, match="text"):
        weights.load(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_missing_file_and_a_folder_are_refused(tmp_path, suffix):
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("gone", "folder"):
        with pytest.raises(WeightsError, match=f"{name}{suffix}"):
            weights.load(tmp_path / f"{name}{suffix}")


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what, 2))])
def test_code_in_a_checkpoint_does_not_run(tmp_path, write):
    path, sprung = tmp_path / "trap.pth", tmp_path / "sprung"
    write({"features.0.weight": Trap(sprung)}, path)
    with pytest.raises(WeightsError):
        weights.load(path)
    assert not sprung.exists()


@pytest.mark.parametrize("what", [[torch.ones(1)], torch.ones(1), {"state_dict": {"a": torch.ones(1)}}, {"epoch": 3}])
def test_a_checkpoint_that_is_not_a_state_dict_is_refused(tmp_path, what):
    path = tmp_path / "w.pth"
    torch.save(what, path)
    with pytest.raises(WeightsError, match="state dict"):
        weights.load(path)


def test_a_foreign_file_has_no_passport(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.ones(2)}, path, metadata={"format": "pt"})
    tensors, passport = weights.load(path)
    assert passport == {}
    assert torch.equal(tensors["a"], torch.ones(2))


def passported(path, passport):
    save_file({"a": torch.ones(2)}, path, metadata={"impasto": passport})
    return path


def test_a_newer_format_says_so(tmp_path):
    with pytest.raises(WeightsError, match=r"newer impasto .*upgrade"):
        weights.load(passported(tmp_path / "w.safetensors", json.dumps({"format": weights.FORMAT + 1})))


@pytest.mark.parametrize(
    "passport", ["", "[]", "3", "{", '{"format": "two"}', '{"format": null}', '{"sha256": 5}', '{"sha256": "0"}']
)
def test_a_passport_that_makes_no_sense_is_refused(tmp_path, passport):
    with pytest.raises(WeightsError):
        weights.load(passported(tmp_path / "w.safetensors", passport))


def test_files_are_as_readable_as_others(tmp_path):
    weights.save(tmp_path / "a.safetensors", {"x": torch.zeros(2)}, {})
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode
