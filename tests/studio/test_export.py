"""Filters as files for elsewhere: checked, in words, one or several; what is not installed is not offered."""

import json
import zipfile
from collections import Counter
from importlib.util import find_spec

import pytest

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto import export as exports
from impasto.export import web
from impasto.export.check import Exported
from impasto.fast import style as filters
from impasto.features import weights
from impasto.studio import export, fields, learn
from impasto.studio.desk import Desk
from impasto.studio.job import Wrong, follow
from impasto.studio.queue import Queue

NAME, OTHER = filters.names()[:2]


@pytest.fixture
def quick(monkeypatch):
    """An exporter that takes no time, and is off by as much as it is told."""
    wrong = {"by": 0.0}

    def write(part, file, precision):
        file.write_text(precision)
        return Exported(lambda **inputs: part.original(**inputs) + wrong["by"], Counter({"Conv": 2}))

    monkeypatch.setitem(exports.EXPORTERS, ".onnx", write)
    return wrong


def run(desk, *asked):
    """All news of an export."""
    return list(follow(Queue(), desk, "export", lambda: export.begin(desk, *asked)))


def test_a_filter_as_a_file(desk, quick):
    last = run(desk, [NAME], ".onnx", "fp16", 64)[-1]
    assert last.made.file.name == f"{NAME}.onnx"
    assert last.made.file.read_text() == "fp16"
    assert "0 kB, fp16; largest difference 0, PSNR inf dB, at 64 px." in last.text
    words = export.listed(last.made)
    assert f"**{NAME}.onnx**" in words
    assert "- largest difference 0, PSNR inf dB, at 64 px" in words
    assert "- operators: 2 Conv" in words
    assert last.made.poster.is_file()
    assert str(desk.folder) not in json.dumps(last.made.recipe)
    assert desk.made == [last.made]


def test_a_file_that_does_not_agree_is_not_given_out(desk, quick):
    quick["by"] = 0.1
    with pytest.raises(Wrong, match=rf"^{NAME}\.onnx is not written: it differs from the original by 0\.1") as error:
        run(desk, [NAME], ".onnx", "fp32", 64)
    assert error.value.field == "settings"
    assert desk.made == []


@pytest.mark.parametrize(
    ("named", "kind", "message"),
    [
        ([], ".onnx", "There is no filter yet"),
        (None, "app", "There is no filter yet"),
        ([NAME, OTHER], ".onnx", r"A file \.onnx holds one filter, and 2 are chosen"),
        (["nonsense"], "app", "no filter named 'nonsense'"),
        (["any"], ".onnx", "no filter named 'any'"),
        (["/etc/passwd"], ".onnx", "no filter named"),
    ],
)
def test_wrong_filters(desk, named, kind, message):
    with pytest.raises(Wrong, match=message) as error:
        export.begin(desk, named, kind, "fp32", 512)
    assert error.value.field == "named"


def test_a_size_that_cannot_be(desk, quick):
    with pytest.raises(Wrong, match="a multiple of 8"):
        run(desk, [NAME], ".onnx", "fp32", 100)


def test_a_filter_learned_here_and_nobody_elses(desk, quick, tmp_path):
    known = filters.named(NAME)
    filters.save(tmp_path / "mine.safetensors", filters.Style("mine", known.code, known.moments, known.net))
    learn.take_in(desk, str(tmp_path / "mine.safetensors"))
    assert run(desk, ["mine"], ".onnx", "fp32", 64)[-1].made.file.name == "mine.onnx"
    with pytest.raises(Wrong, match="no filter named 'mine'"):
        export.begin(Desk(tmp_path / "other"), ["mine"], ".onnx", "fp32", 64)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/x", "AC/DC x", 7])
def test_a_name_in_a_file_from_elsewhere_is_no_path(desk, tmp_path, name):
    known = filters.named(NAME)
    filters.save(tmp_path / "mine.safetensors", filters.Style("mine", known.code, known.moments, known.net))
    tensors, passport = weights.load(tmp_path / "mine.safetensors")
    weights.save(tmp_path / "mine.safetensors", tensors, {**passport, "name": name})
    with pytest.raises(Wrong, match=r"mine\.safetensors is damaged: a style's name"):
        learn.take_in(desk, str(tmp_path / "mine.safetensors"))
    assert desk.path(f"{name}.png").parent.parent == desk.folder


@pytest.fixture
def quick_app(monkeypatch):
    """An app whose networks take no time."""
    monkeypatch.setattr(web.onnx, "write", lambda bound, path, precision: path.write_text(precision))


def test_several_filters_as_an_app(desk, quick_app):
    news = run(desk, [NAME, OTHER, NAME], "app", "fp32", 512)
    made = news[-1].made
    assert made.file.name == "impasto-app.zip"
    with zipfile.ZipFile(made.file) as archive:
        names = archive.namelist()
        told = json.loads(archive.read("impasto-app/app.json"))
    assert [each["name"] for each in told["filters"]] == [NAME, OTHER]
    assert {"impasto-app/index.html", "impasto-app/sw.js", f"impasto-app/filters/{OTHER}.onnx"} <= set(names)
    assert f"2 filters: {NAME}, {OTHER}" in export.listed(made)
    assert any("filter 0 of 2" in each.text for each in news)


def test_an_app_that_was_stopped_is_none(desk, quick_app):
    news = follow(Queue(), desk, "export", lambda: export.begin(desk, [NAME, OTHER], "app", "fp32", 512))
    for each in news:
        if "of 2" in each.text:
            desk.stop("export")
    assert each.text.endswith("nothing can be kept of it.")
    assert [path for path in desk.folder.rglob("*") if path.is_file()] == []


def test_only_what_is_installed_is_offered(monkeypatch):
    there = {"onnx", "onnxscript", "onnxruntime", "coremltools"}
    monkeypatch.setattr(fields, "find_spec", lambda name: name in there or None)
    assert [name for _, name in export.offered()] == [".onnx", ".mlpackage", "app"]
    there.remove("coremltools")
    assert [name for _, name in export.offered()] == [".onnx", "app"]


def test_every_exporter_is_offered():
    assert export.FORMATS.keys() == exports.EXPORTERS.keys()


def test_a_folder_goes_home_as_one_file(desk, monkeypatch):
    def write(part, file, precision):
        file.mkdir()
        (file / "Manifest.json").write_text("{}")
        return Exported(None, Counter({"conv": 1}))

    monkeypatch.setitem(exports.EXPORTERS, ".mlpackage", write)
    last = run(desk, [NAME], ".mlpackage", "fp16", 64)[-1]
    assert last.made.file.name == f"{NAME}.mlpackage.zip"
    with zipfile.ZipFile(last.made.file) as archive:
        assert f"{NAME}.mlpackage/Manifest.json" in archive.namelist()
    assert "nothing on this machine that runs it" in last.text


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("onnxruntime"), reason="the extra onnx is not installed")
def test_a_real_file_agrees_with_its_filter(desk):
    last = run(desk, [NAME], ".onnx", "int8", 128)[-1]
    assert last.made.file.stat().st_size > 100_000
    report = last.made.recipe["report"][0]
    assert report["psnr"] >= 35
    assert f"PSNR {report['psnr']:.1f} dB" in last.text
