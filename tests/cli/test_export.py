"""`impasto export` as people call it."""

import json
from collections import Counter

import pytest
import torch

from impasto import export as exports
from impasto.cli import export
from impasto.errors import UsageError
from impasto.export.check import Exported, Report


@pytest.fixture
def quick(monkeypatch):
    """An exporter that takes no time, and is off by as much as it is told."""
    wrong = {"by": 0.0}

    def write(part, file, precision):
        file.write_text(precision)
        return Exported(
            lambda **inputs: part.original(**inputs) + wrong["by"], Counter({"Conv": 2, "Add": 1}), Counter({"Mul": 1})
        )

    monkeypatch.setitem(exports.EXPORTERS, ".onnx", write)
    torch.manual_seed(0)
    return wrong


LINE = ("export", "starry-night", "--size", 64, "-o")


def test_the_path_is_the_result(impasto, tmp_path, quick):
    ran = impasto(*LINE, tmp_path / "net.onnx", "--precision", "int8", "-q")
    assert (ran.code, ran.lines, ran.err) == (0, [str(tmp_path / "net.onnx")], "")
    assert (tmp_path / "net.onnx").read_text() == "int8"


def test_verify_says_how_the_file_does(impasto, tmp_path, quick):
    ran = impasto(*LINE, tmp_path / "net.onnx", "--verify")
    assert ran.code == 0
    for said in (
        "0 kB, fp32",
        "largest difference 0, PSNR inf dB, at 64 px",
        " ms in torch, ",
        "2 Conv, 1 Add",
        "undelegated: 1 Mul",
    ):
        assert said in ran.out
    told = json.loads(impasto(*LINE, tmp_path / "net.onnx", "--verify", "--json", "--force").out)
    assert (told["style"], told["difference"], told["operators"]) == ("starry-night", 0.0, {"Conv": 2, "Add": 1})


def test_what_was_not_run_says_so():
    told = Report("a.mlpackage", "fp16", 1000, None, None, None, 2.0, 64, 2, {"conv": 1}, {}).described()
    assert told == [
        "1 kB, fp16",
        "not run: there is nothing on this machine that runs it",
        "operators: 1 conv",
        "undelegated: none",
    ]


def test_threads_are_counted():
    one, two = (Report("a.onnx", "fp32", 1, 0.0, 99.0, 1.0, 2.0, 64, count, {}, {}).described()[2] for count in (1, 2))
    assert (one, two) == ("1.0 ms, 2.0 ms in torch, 1 thread", "1.0 ms, 2.0 ms in torch, 2 threads")


def test_what_fails_its_check_is_not_written(impasto, tmp_path, quick):
    quick["by"] = 0.1
    ran = impasto(*LINE, tmp_path / "net.onnx", "-q")
    assert ran.code == 1
    assert ran.err.startswith(f"impasto: {tmp_path}/net.onnx is not written: it differs from the original by 0.1")
    assert list(tmp_path.iterdir()) == []


def test_several_filters_have_a_file_each(impasto, tmp_path, quick):
    ran = impasto("export", "mosaic", "scream", "--size", 64, "-o", tmp_path / "{style}.onnx", "-q")
    assert ran.lines == [str(tmp_path / "mosaic.onnx"), str(tmp_path / "scream.onnx")]
    with pytest.raises(UsageError, match="2 filters cannot go to one file"):
        export.named(["mosaic", "scream"], "net.onnx")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such-style", "-o", "net.onnx"), "there is no style named 'no-such-style'"),
        (("mosaic", "-o", "net.txt"), "no suffix that says a format"),
        (("mosaic", "-o", "net.onnx", "--size", 100), "size 100: a multiple of 8"),
        (("mosaic",), "missing option"),
        (("mosaic", "-o", "app", "--serve"), "--web"),
    ],
)
def test_wrong_lines_are_named(impasto, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    ran = impasto("export", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert list(tmp_path.iterdir()) == []
