import inspect
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image as PILImage

from impasto.cli import learn as cli_learn
from impasto.cli import train as cli_train
from impasto.fast import course, learn, nets, style, train
from impasto.features import weights


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    train.save_net(path, nets.AnyStyle(), course.Settings(), {})
    return path


@pytest.fixture
def studio(tmp_path, monkeypatch, drawing, backbone):
    """A folder to work in with a painting, nine photographs and two paintings; tiny settings."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    tiny = {"crop": 32, "margin": 8, "photo_window": 4, "sample": 4, "exam": 1, "validate": 2, "warmup": 1}
    monkeypatch.setattr(learn, "SETTINGS", replace(learn.SETTINGS, **tiny))
    drawing(tmp_path / "painting.png", 1, (90, 72))
    for k in range(9):
        drawing(tmp_path / "photos" / f"{k}.png", k, (60, 50))
    for k in range(2):
        drawing(tmp_path / "styles" / f"{k}.png", 20 + k, (60, 50))
    return tmp_path


@pytest.fixture
def learned(impasto, backbone, studio):
    """`learned("--steps", 2, ...)`: the command with what it needs."""
    return lambda *more: impasto(
        "learn", "painting.png", "--photos", "photos", "-o", "mine.safetensors", "--backbone", backbone, "--device", "cpu", *more
    )


@pytest.mark.slow
def test_a_filter_is_learned_and_told_of(learned, studio, backbone, caplog):
    ran = learned("--steps", 2, "--json", "--title", "A test", "--year", "1889", "--preview", "look.png")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told.keys() == {"output", "name", "finished", "steps", "seconds", "loss"}
    assert (told["output"], told["name"], told["finished"], told["steps"]) == ("mine.safetensors", "mine", True, 2)
    assert any("only 9 photographs" in message for message in caplog.messages)
    found = style.load(studio / "mine.safetensors")
    assert (found.passport["title"], found.passport["year"]) == ("A test", 1889)
    assert found.net == nets.load(backbone).identity
    assert not (studio / "mine.safetensors.state.safetensors").exists()
    with PILImage.open(studio / "look.png") as look:
        assert look.size == (60, 50)
    good = (studio / "mine.safetensors").read_bytes()
    ran = learned("--steps", 2)
    assert (ran.code, ran.out) == (1, "")
    assert "exists already" in ran.err
    ran = learned("--steps", 2, "--resume", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "mine.safetensors\n", "")
    ran = learned("--steps", 1, "--force", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "mine.safetensors\n", "")
    assert (studio / "mine.safetensors").read_bytes() == good, "one step is worse than two"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits_with_130_and_resume_goes_on(learned, studio, monkeypatch, number):
    step = learn.Learner._step

    def interrupted(self, *arguments):
        os.kill(os.getpid(), number)
        return step(self, *arguments)

    monkeypatch.setattr(learn.Learner, "_step", interrupted)
    ran = learned("--steps", 3)
    assert (ran.code, ran.out) == (130, "mine.safetensors\n")
    assert "--resume goes on with it" in ran.err
    assert style.load(studio / "mine.safetensors").name == "mine"
    state = studio / "mine.safetensors.state.safetensors"
    assert weights.load(state)[1]["step"] == 1
    monkeypatch.setattr(learn.Learner, "_step", step)
    ran = learned("--steps", 3)
    assert ran.code == 1
    assert "is unfinished: --resume goes on with it" in ran.err
    ran = learned("--steps", 3, "--resume", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["steps"] == 3
    assert not state.exists()


def test_bad_input(impasto, learned, studio, drawing, backbone, monkeypatch):
    (studio / "foreign.safetensors").write_bytes(b"no safetensors")
    weights.save(studio / "style.safetensors", {"code": torch.zeros(2)}, {"kind": "style"})
    drawing(studio / "tiny.png", 0, (20, 20))
    few = [studio / "few" / f"{k}.png" for k in range(5)]
    for path in few:
        drawing(path, 0)
    drawing(studio / "mine.png")
    common = ["--photos", "photos", "--backbone", backbone, "--steps", 1, "--device", "cpu"]
    monkeypatch.setattr(style, "EMBEDDED_NET", studio / "absent.safetensors")
    for arguments, code, message in [
        (["painting.png", "-o", "mine.png", *common], 2, "-o FILE.safetensors"),
        (["painting.png", "-o", "no/mine.safetensors", *common], 1, "there is no folder no"),
        (["painting.png", "-o", "m.safetensors", *common, "--resume"], 2, "nothing to go on with"),
        (["painting.png", "-o", "m.safetensors", *common, "--resume", "--force"], 2, "give one of them"),
        (["painting.png", "-o", "m.safetensors", *common, "--preview", "mine.png"], 1, "was not made by impasto"),
        (["painting.png", "-o", "m.safetensors", *common, "--preview", "painting.png", "--force"], 2, "both read and written"),
        (["absent.png", "-o", "m.safetensors", *common], 1, "absent.png"),
        (["tiny.png", "-o", "m.safetensors", *common], 1, "20 x 20 px is too small"),
        (["painting.png", "-o", "m.safetensors", *common, "--photos", "absent"], 2, "no folder of pictures at absent"),
        (["painting.png", "-o", "m.safetensors", *common[2:], "--photos", "few"], 2, "5 readable photographs are too few"),
        (["painting.png", "-o", "m.safetensors", *common, "--name", "A B"], 2, "name"),
        (["painting.png", "-o", "m.safetensors", *common, "--time", "soon"], 2, "soon"),
        (["painting.png", "-o", "m.safetensors", *common, "--rate", "7"], 2, "rate"),
        (["painting.png", "-o", "m.safetensors", *common, "--parts", "tail"], 2, "head, all"),
        (["painting.png", "-o", "m.safetensors", "--backbone", "foreign.safetensors"], 1, "not a readable safetensors"),
        (["painting.png", "-o", "m.safetensors", "--backbone", "style.safetensors"], 1, "not a network"),
        (["painting.png", "-o", "m.safetensors"], 1, "--backbone FILE"),
    ]:
        ran = impasto("learn", *arguments)
        assert (ran.code, ran.out) == (code, ""), (arguments, ran.err)
        assert message in ran.err, (arguments, ran.err)
        assert ran.err.startswith("impasto: ")
        assert not (studio / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("painting", "said"),
    [
        ("starry-night", "starry-night is the name of a filter that is there already"),
        ("Starry Night", "--style starry-night paints with it"),
        ("mine.safetensors", "mine.safetensors is a file of weights"),
        ("no-such-name", "no picture at no-such-name"),
    ],
)
def test_a_filter_stands_where_a_painting_is_wanted(impasto, studio, backbone, painting, said):
    ran = impasto("learn", painting, "--backbone", backbone, "-o", "m.safetensors")
    assert (ran.code != 0, ran.out) == (True, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_the_time_is_that_of_the_whole_command(monkeypatch, studio):
    """What has passed since the process began, and what its end takes, is not learned in."""
    given = []
    stand_in = SimpleNamespace(steps=lambda out, state, **limits: given.append(limits) or (step for step in ()))
    monkeypatch.setattr(cli_learn.report, "BEGUN", time.monotonic() - 4)
    for resume in (False, True):
        limits = {"seconds": 20.0, "count": None, "resume": resume}
        assert cli_learn.follow(stand_in, "out", "state", limits, preview="", quiet=True, label="")
    assert given[0]["seconds"] == pytest.approx(16 - cli_learn.ENDING, abs=0.5)
    assert given[1]["seconds"] == 20.0


@pytest.mark.parametrize(
    ("text", "name"), [("mine", "mine"), ("My Painting (2)", "my-painting-2"), ("_a__b", "a-b"), ("???", "style")]
)
def test_names(text, name):
    assert cli_learn.plain(text) == name
    assert style.NAME.fullmatch(cli_learn.plain(text))


@pytest.mark.slow
def test_train_makes_a_network_and_goes_on(impasto, studio, monkeypatch):
    pytest.importorskip("accelerate")
    monkeypatch.setattr(course.Settings, "__init__", _tiny(course.Settings.__init__))
    common = ["train", "--photos", "photos", "--styles", "styles", "-o", "any.safetensors", "--device", "cpu"]
    ran = impasto(*common, "--steps", 2, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["finished"], told["steps"], told["output"]) == (True, 2, "any.safetensors")
    assert "step 2: best so far" in ran.err
    assert nets.load(studio / "any.safetensors").identity
    assert (studio / "any.csv").exists()
    ran = impasto(*common, "--steps", 3)
    assert ran.code == 1
    assert "unfinished" in ran.err
    ran = impasto(*common, "--steps", 3, "--resume", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "any.safetensors\n", "")
    assert weights.load(studio / "any.safetensors.state.safetensors")[1]["step"] == 3


@pytest.mark.slow
def test_torchrun_trains_on_two_processes_of_which_one_speaks(studio):
    """Both end after the same time: they agree on it, or one would wait for the other forever."""
    pytest.importorskip("accelerate")
    script = studio / "tiny.py"
    script.write_text(
        "import sys\n"
        "from impasto import cli\n"
        "from impasto.fast import course\n"
        "init, small = course.Settings.__init__, dict(\n"
        "    crop=32, margin=8, batch=2, photo_window=4, style_window=4, style_crop=48, sample=4, exam=1)\n"
        "course.Settings.__init__ = lambda self, **wanted: init(self, **{**wanted, **small})\n"
        "sys.exit(cli.main())\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    common = ["train", "--photos", "photos", "--styles", "styles", "-o", "any.safetensors", "--device", "cpu", "--time", "1s"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(train.__file__).parents[2])}
    done = subprocess.run([*launch, *common], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "any.safetensors\n"
    assert done.stderr.count("best so far") == 1
    assert weights.load(studio / "any.safetensors")[1]["step"] >= 1


def _tiny(init):
    small = {
        "crop": 32, "margin": 8, "batch": 2, "photo_window": 4, "style_window": 4, "style_crop": 48, "sample": 4, "exam": 1,
        "validate": 2,
    }  # fmt: skip
    return lambda self, **wanted: init(self, **{**wanted, **small})


def test_train_with_bad_input(impasto, studio):
    pytest.importorskip("accelerate")
    folders = ["--photos", "photos", "--styles", "styles"]
    for arguments, code, message in [
        ([*folders, "-o", "any.pth"], 2, "-o FILE.safetensors"),
        ([*folders, "-o", "any.safetensors", "--resume"], 2, "nothing to go on with"),
        ([*folders, "-o", "any.safetensors", "--net", "none"], 2, "any, any-wide"),
        ([*folders, "-o", "any.safetensors", "--crop", 40], 2, "multiple of 16"),
        ([*folders, "-o", "any.safetensors", "--device", "tpu"], 2, "auto, cpu"),
        (["--photos", "styles", "--styles", "styles", "-o", "any.safetensors"], 2, "2 readable photographs are too few"),
        (["--photos", "photos", "--styles", "absent", "-o", "any.safetensors"], 2, "no folder"),
        (["--photos", "photos", "-o", "any.safetensors"], 2, "styles"),
    ]:
        ran = impasto("train", *arguments)
        assert (ran.code, ran.out) == (code, ""), (arguments, ran.err)
        assert message in ran.err, (arguments, ran.err)
        assert not (studio / "any.safetensors").exists()


def test_default_rates_are_those_of_the_settings():
    chosen = {verb: inspect.signature(verb).parameters["rate"].default for verb in (cli_learn.learn, cli_train.train)}
    assert chosen == {cli_learn.learn: learn.SETTINGS.rate, cli_train.train: course.Settings().rate}
