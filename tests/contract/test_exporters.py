"""What holds of every exporter."""

import importlib
import warnings

import pytest
import torch

from impasto import export as exports
from impasto.errors import MissingExtra, UsageError
from impasto.export import EXPORTERS, check, graph, parts
from impasto.fast import style as filters

SIZE = 64
EXTRAS = {".onnx": "onnx", ".pte": "executorch", ".tflite": "litert", ".mlpackage": "coreml"}
PACKAGES = {".onnx": "onnxscript", ".pte": "executorch.exir", ".tflite": "litert_torch", ".mlpackage": "coremltools"}


@pytest.fixture(scope="module")
def bound():
    return filters.bind(filters.network(), [(1.0, filters.load("starry-night"))])


def needed(suffix):
    """Skip where an exporter's packages are not installed: docs/export.md says how to run its tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(PACKAGES[suffix], reason=f"the extra [{EXTRAS[suffix]}] is not installed", exc_type=ImportError)


@pytest.mark.parametrize("suffix", EXPORTERS)
def test_a_missing_extra_is_named(monkeypatch, bound, tmp_path, suffix):
    def gone(name, *_):
        raise ImportError(name)

    part = parts.of_filter(bound, SIZE)
    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(MissingExtra, match=rf"impasto\[{EXTRAS[suffix]}\]"):
        EXPORTERS[suffix](part, tmp_path / f"net{suffix}", "fp32")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", EXPORTERS)
def test_fp32_is_the_filter(bound, tmp_path, suffix):
    needed(suffix)
    found = check.write(parts.of_filter(bound, SIZE), tmp_path / f"net{suffix}", EXPORTERS[suffix])
    assert found.undelegated == {}
    assert sum(found.operators.values()) > 20
    assert suffix == ".mlpackage" or found.difference <= 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [suffix for suffix in EXPORTERS if suffix != ".mlpackage"])
def test_int8_is_small_and_near(bound, tmp_path, suffix):
    needed(suffix)
    found = check.write(parts.of_filter(bound, 256), tmp_path / f"net{suffix}", EXPORTERS[suffix], "int8")
    assert found.psnr >= 35
    assert found.undelegated == {}
    assert found.bytes < 0.33 * 4 * sum(value.numel() for name, value in bound.net.named_parameters() if "predictor" not in name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", EXPORTERS)
def test_the_any_style_network_goes_everywhere(tmp_path, suffix):
    needed(suffix)
    precision = "fp16" if suffix == ".mlpackage" else "fp32"
    found = exports.write("any", tmp_path / f"any{suffix}", precision, size=SIZE)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [f"any-encoder{suffix}", f"any{suffix}"]
    assert all(suffix == ".mlpackage" or each.psnr > 100 for each in found)


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("net.tgz", {}, "no suffix that says a format"),
        ("net.onnx", {"precision": "fp8"}, "precision 'fp8' is none of"),
        ("net.onnx", {"size": 100}, "size 100"),
        ("net.onnx", {"photos": "gone"}, "gone is not a folder"),
        ("net.pte", {"precision": "fp16"}, "not fp16"),
        ("net.tflite", {"precision": "fp16"}, "not fp16"),
        ("net.mlpackage", {"precision": "int8"}, "not int8"),
    ],
)
def test_wrong_wishes_are_named(tmp_path, path, more, said):
    with pytest.raises(UsageError, match=said):
        exports.write("starry-night", tmp_path / path, **{"size": 64, **more})
    assert list(tmp_path.iterdir()) == []


def test_rewrites_are_of_operators_that_exist():
    assert all(isinstance(operator, torch._ops.OpOverload) for operator in graph.SPELLED)
