"""ONNX files in ONNX Runtime, beside the originals."""

import pytest
import torch

from impasto import export as exports
from impasto.export import check, onnx, parts
from impasto.fast import style as filters
from impasto.features import encoders

pytest.importorskip("onnxscript")
SIZE = 64


@pytest.fixture(scope="module")
def bound():
    return filters.bind(filters.network(), [(1.0, filters.load("starry-night"))])


@pytest.mark.slow
def test_a_filter_paints_any_size_at_any_strength(bound, tmp_path):
    found = check.write(parts.of_filter(bound, SIZE), tmp_path / "net.onnx", onnx.export)
    assert found.difference <= 1e-5
    run = onnx.runner(tmp_path / "net.onnx")
    for height, width, strength in ((64, 64, 1.0), (97, 131, 0.4), (41, 203, 0.05)):
        content = torch.rand(1, 3, height, width)
        painted = run(content=content, strength=torch.tensor(strength))
        assert painted.shape == content.shape
        assert (painted - bound(content, strength=strength)).abs().max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "share"), [("fp16", 0.55), ("int8", 0.33)])
def test_small_files_agree_on_photographs(bound, tmp_path, precision, share):
    whole = sum(value.numel() for name, value in bound.net.state_dict().items() if "predictor" not in name) * 4
    found = onnx.write(bound, tmp_path / "net.onnx", precision)
    assert found.bytes < share * whole
    assert found.psnr >= (35 if precision == "int8" else 60)


@pytest.mark.slow
def test_the_any_style_network_is_two_files_and_vectors(tmp_path):
    transformer, encoder = exports.write("any", tmp_path / "any.onnx", size=SIZE)
    assert (transformer.output, encoder.output) == (str(tmp_path / "any.onnx"), str(tmp_path / "any-encoder.onnx"))
    painting, content = torch.rand(1, 3, 120, 88), torch.rand(1, 3, 50, 70)
    code = onnx.runner(tmp_path / "any-encoder.onnx")(painting=painting)
    painted = onnx.runner(tmp_path / "any.onnx")(content=content, code=code, strength=torch.tensor(1.0))
    net = filters.network()
    with torch.no_grad():
        expected = net(content, net.predict(filters.row(encoders.load("vgg16"), painting, 120)))
    assert (painted - expected).abs().max() <= 1e-4
