import json

import pytest
import torch

from impasto.cli import train_encoder
from impasto.features import encoders, weights

pytest.importorskip("accelerate")
from impasto.fast import encoder

TINY = ("--crop", 32, "--batch", 2, "--width", 0.0625, "--device", "cpu")


@pytest.fixture
def school(impasto, tmp_path, monkeypatch, drawing):
    """`school("--steps", 2, ...)`: the command with two sets of ten pictures, in a folder to work in."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    for k in range(10):
        drawing(tmp_path / "photos" / f"{k}.png", k, (80, 70))
        drawing(tmp_path / "paintings" / f"{k}.png", 50 + k, (70, 80))
    line = ("train-encoder", "--content", "photos", "--style", "paintings", "-o", "mine.safetensors", *TINY)
    return lambda *more: impasto(*line, *more)


def test_an_encoder_is_trained_told_of_gone_on_with_and_painted_with(school, impasto, tmp_path, drawing):
    ran = school("--steps", 2, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["output"], told["finished"], told["steps"]) == ("mine.safetensors", True, 2)
    assert told["recognition"].keys() == {"chance", "random", "vgg16", "mine"}
    assert "mine: content" in ran.err
    assert all((tmp_path / f"mine.{kind}").exists() for kind in ("safetensors", "curves.csv", "layers.png"))
    ran = school("--steps", 2)
    assert ran.code == 1
    assert "unfinished: --resume goes on with it" in ran.err
    ran = school("--steps", 3, "--resume", "--json", "--quiet")
    assert (ran.code, json.loads(ran.out)["steps"], ran.err) == (0, 3, "")
    ran = school("--steps", 1, "--force", "--start", "mine.safetensors", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "mine.safetensors\n", "")
    for verb in ("image", "texture"):
        source = (drawing(tmp_path / "a.png", 1), "--style", drawing(tmp_path / "b.png", 2))
        line = (verb, *(source if verb == "image" else source[:1]), "--encoder", "mine.safetensors", "--size", 32, "--steps", 1)
        more = ("--init", "content") if verb == "image" else ()
        ran = impasto(*line, *more, "--device", "cpu", "-o", f"{verb}.png", "--quiet")
        assert (ran.code, ran.err) == (0, ""), ran.err


@pytest.mark.parametrize(
    ("more", "code", "complaint"),
    [
        (("--resume", "--steps", 2), 2, "nothing to go on with"),
        (("--width", 3), 2, "width of 3"),
        (("--device", "tpu"), 2, "device 'tpu'"),
        (("--teacher", "resnet"), 2, "encoder 'resnet'"),
        (("--start", "none.safetensors"), 1, "no weight file at none.safetensors"),
        (("--time", "soon"), 2, "soon"),
        (("--content", "nowhere"), 2, "no folder of pictures at nowhere"),
    ],
)
def test_wrong_lines(school, tmp_path, more, code, complaint):
    ran = school(*more)
    assert (ran.code, ran.out) == (code, "")
    assert complaint in ran.err
    assert not list(tmp_path.glob("mine*"))


def test_two_beginnings_and_curves_of_something_else(school, tmp_path):
    (tmp_path / "mine.curves.csv").write_text("mine")
    ran = school("--steps", 1)
    assert (ran.code, (tmp_path / "mine.curves.csv").read_text()) == (1, "mine")
    assert "mine.curves.csv, where the curves go, exists already" in ran.err
    (tmp_path / "mine.safetensors.state.safetensors").touch()
    ran = school("--steps", 1, "--resume", "--start", "mine.safetensors")
    assert ran.code == 2
    assert "give one of them" in ran.err


def test_defaults_are_those_of_the_library():
    defaults = train_encoder.train_encoder.__kwdefaults__
    known = encoder.Settings()
    assert all(defaults[name] == getattr(known, name) for name in ("width", "crop", "batch", "rate", "seed", "teacher"))


def test_a_filter_is_learned_with_an_encoder_of_one_s_own(school, impasto, tmp_path, drawing):
    assert school("--steps", 1, "--quiet").code == 0
    drawing(tmp_path / "painting.png", 3, (90, 72))
    line = ("learn", "painting.png", "--photos", "photos", "-o", "filter.safetensors", "--steps", 1, "--device", "cpu", "--quiet")
    ran = impasto(*line, "--encoder", "mine.safetensors")
    assert (ran.code, ran.err) == (0, "")
    assert encoders.load("mine.safetensors").name == "mine"
    assert weights.load(tmp_path / "filter.safetensors")[1]["learned"]["steps"] in (0, 1)
