"""An export that does not agree is not written."""

import math
from collections import Counter

import pytest
import torch
from torch import nn

from impasto.errors import OutputError, OutputExists, PaintingError, UsageError
from impasto.export import check, photos
from impasto.export.check import Exported
from impasto.export.parts import Part


def part():
    inputs = [{"content": torch.rand(1, 3, 8, 8), "strength": torch.tensor(1.0)} for _ in range(2)]
    return Part(nn.Identity(), lambda content, strength: content, "painted", inputs, inputs)


def exporter(error, folder=False):
    def export(_part, file, _precision):
        if folder:
            file.mkdir()
        (file / "data" if folder else file).write_bytes(b"12345")
        return Exported(lambda content, strength: content + error, Counter({"Conv": 2}))

    return export


@pytest.mark.parametrize(("precision", "error"), [("fp32", 0.9e-5), ("fp16", 4e-3), ("int8", 0.0177)])
def test_what_agrees_is_written(tmp_path, precision, error):
    found = check.write(part(), tmp_path / "net.onnx", exporter(error), precision)
    assert (tmp_path / "net.onnx").read_bytes() == b"12345"
    assert found.difference == pytest.approx(error, rel=0.01)
    assert found.psnr == pytest.approx(-20 * math.log10(error), abs=0.1)
    assert (found.bytes, found.operators, found.undelegated, found.size) == (5, {"Conv": 2}, {}, 8)
    assert found.facts()["milliseconds"] >= 0
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(("precision", "error"), [("fp32", 1.2e-5), ("fp16", 6e-3), ("int8", 0.0179), ("fp32", math.nan)])
def test_what_does_not_agree_is_not_written(tmp_path, precision, error):
    (tmp_path / "net.onnx").write_text("before")
    with pytest.raises(PaintingError, match="is not written"):
        check.write(part(), tmp_path / "net.onnx", exporter(error), precision, force=True)
    assert (tmp_path / "net.onnx").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_folder_takes_the_place_of_one(tmp_path):
    for _ in range(2):
        found = check.write(part(), tmp_path / "net.mlpackage", exporter(0.0, folder=True), force=True)
    assert found.bytes == 5
    assert [path.name for path in tmp_path.rglob("*")] == ["net.mlpackage", "data"]


def test_files_are_kept_and_folders_are_needed(tmp_path):
    (tmp_path / "net.onnx").write_text("before")
    with pytest.raises(OutputExists, match="--force"):
        check.write(part(), tmp_path / "net.onnx", exporter(0.0))
    with pytest.raises(OutputError, match="no folder"):
        check.write(part(), tmp_path / "gone" / "net.onnx", exporter(0.0))


def test_codes_are_compared_by_their_own_size():
    code = torch.full((1, 4), 10.0)
    assert check.psnr(code, code + 1) == pytest.approx(20)
    assert check.difference(code, code + 1) == pytest.approx(0.1)


def test_photographs_are_square_and_those_of_the_check_are_no_others(tmp_path):
    calibration, checks = photos.sorted_out()
    assert len(calibration) > 8
    assert checks
    assert not set(calibration) & set(checks)
    assert photos.square(checks[0], 96).shape == (1, 3, 96, 96)
    with pytest.raises(UsageError, match="two at least"):
        photos.sorted_out(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        photos.sorted_out(tmp_path / "gone")
