"""Many pictures, going on where it stopped, and keeping what is there; with an engine that takes no time."""

import json
import math
import os
import signal
import sys
import time
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from PIL import Image as PILImage

from impasto.cli import batch, report
from impasto.errors import OutputError
from impasto.pixels import io, recipe

LINE = ("image", "photo.png", "-s", "style.png")


def state(name="o.png"):
    return Path(f"{name}.state.safetensors")


def stop_at(step, number=signal.SIGINT, times=1):
    """An engine's `at_step` that interrupts at a step."""

    def at_step(_painting, index):
        if index == step:
            for _ in range(times):
                os.kill(os.getpid(), number)
                time.sleep(0.01)

    return at_step


@pytest.fixture(autouse=True)
def signals(monkeypatch):
    """SIGTERM as the command has it."""
    monkeypatch.setattr(report, "listen", lambda: signal.signal(signal.SIGTERM, signal.default_int_handler))
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_one_picture(place, engine, impasto):
    ran = impasto(*LINE, "-o", "o.png", "--seed", 7)
    assert (ran.code, ran.out) == (0, "o.png\n")
    assert "a plan" in ran.err
    found = recipe.read("o.png")
    assert found["settings"]["seed"] == 7
    assert found["content"]["source"] == "photo.png"
    assert not state().exists()


def test_a_tiny_photograph_is_said_to_be_enlarged(place, impasto, drawing, narrow, caplog):
    drawing(place / "tiny.png", size=(12, 9))
    quick = ("--encoder", narrow, "--size", 32, "--steps", 1, "--init", "content")
    ran = impasto("image", "tiny.png", "-s", "style.png", *quick, "-o", "o.png")
    assert (ran.code, ran.lines) == (0, ["o.png"]), ran.err
    assert caplog.messages == ["tiny.png has only 12 x 9 px and is enlarged to 32 x 24: a smaller --size keeps it sharp"]


def test_quiet_and_json(place, engine, impasto):
    ran = impasto(*LINE, "-o", "o.png", "--quiet", "--json")
    assert ran.err == ""
    facts = json.loads(ran.out)
    assert facts.pop("seconds") >= 0
    assert facts == {"output": "o.png", "content": "photo.png", "styles": ["style.png"], "finished": True, "steps": "64:3"}


def test_an_existing_output_is_kept(place, engine, impasto):
    (place / "o.png").write_text("precious")
    ran = impasto(*LINE, "-o", "o.png")
    assert (ran.code, ran.out) == (1, "")
    assert "o.png exists already" in ran.err
    assert (place / "o.png").read_text() == "precious"
    assert not engine.begun
    assert impasto(*LINE, "-o", "o.png", "--force").code == 0
    assert io.load("o.png").size == (32, 40)


def test_every_content_in_every_style(place, engine, impasto):
    ran = impasto("image", "photo.png", "b.png", "-s", "style.png", "-s", "other.png:4", "--each", "-o", "new/out/")
    assert ran.lines == [f"new/out/{stem}-{style}.png" for stem in ("photo", "b") for style in ("style", "other")]
    assert [[(style.name, style.weight) for style in painting.styles] for painting in engine.begun[:2]] == [
        [("style.png", 1.0)],
        [("other.png", 1.0)],
    ]


def test_one_bad_file_does_not_stop_the_rest_and_a_second_run_does_what_is_missing(place, engine, impasto):
    (place / "bad.jpg").write_text("no picture")
    line = ("image", "photo.png", "bad.jpg", "none.png", "b.png", "-s", "style.png", "-o", "out/", "--json")
    ran = impasto(*line)
    assert ran.code == 1
    assert [json.loads(each)["output"] for each in ran.lines] == ["out/photo.png", "out/b.png"]
    assert "bad.jpg" in ran.err
    assert "no picture at none.png" in ran.err
    assert "2 of 4 failed" in ran.err
    assert "Traceback" not in ran.err
    for name in ("bad.jpg", "none.png"):
        PILImage.new("RGB", (40, 40)).save(place / name)
    (place / "out" / "b.png").unlink()
    again = impasto(*line)
    assert again.code == 0
    assert [json.loads(each)["output"] for each in again.lines] == ["out/bad.png", "out/none.png", "out/b.png"]
    assert "out/photo.png is there already" in again.err
    assert impasto(*line).out == ""


def test_even_an_error_of_ours_does_not_stop_the_rest(place, engine, impasto):
    def at_step(painting, _index):
        if painting.names["content"]["source"] == "photo.png":
            raise RuntimeError("a bug")

    engine.at_step = at_step
    ran = impasto("image", "photo.png", "b.png", "-s", "style.png", "-o", "out/")
    assert (ran.code, ran.lines) == (1, ["out/b.png"])
    assert "photo.png: unexpected RuntimeError: a bug" in ran.err
    shown = impasto("image", "photo.png", "-s", "style.png", "-o", "out/", "--debug")
    assert "Traceback" in shown.err
    assert "in at_step" in shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-s", "none.png", "-o", "out/"), 1, "no picture at none.png"),
        (("-s", "style.png", "-s", "text.jpg", "-o", "out/"), 1, "text.jpg"),
        (("-s", "style.png", "-o", "out/{stem}.xyz"), 2, "cannot be written as .xyz"),
        (("-s", "style.png", "-o", "o.png"), 2, "would be written twice"),
        (("-s", "style.png", "-o", "out/", "--style-loss", "magic"), 2, "magic"),
        (("-s", "style.png", "-o", "out/", "--style-layers", "relu9_9", "--style-layer-weights", "1"), 2, "relu9_9"),
        (("-s", "style.png", "-o", "out/", "--device", "abacus"), 2, "abacus"),
        (("-s", "style.png", "-o", "out/", "--encoder", "none.safetensors"), 1, "none.safetensors"),
        (("-s", "style.png", "-o", "out/", "--mask", "keep=none.png"), 1, "none.png"),
        (("-s", "style.png", "-o", "out/", "--preview", "b.png"), 2, "both read and written"),
        (("-s", "style.png", "-o", "out/", "--preview", "out/b.png"), 2, "the result too"),
        (("-s", "style.png", "-o", "./", "--force"), 2, "both read and written"),
        (("-s", "style.png", "-o", "out/", "--preview", "text.jpg"), 1, "was not made by impasto"),
        (("-s", "style.png", "-o", "out/", "--resume", "--force"), 2, "give one of them"),
    ],
)
def test_what_is_wrong_for_all_is_said_before_any_work(place, engine, impasto, arguments, code, message):
    (place / "text.jpg").write_text("text")
    ran = impasto("image", "photo.png", "b.png", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not engine.begun
    assert (place / "text.jpg").read_text() == "text"


def test_time_is_shared(place, engine, impasto, monkeypatch):
    monkeypatch.setattr(report, "BEGUN", time.monotonic())
    begun = time.monotonic()
    assert impasto("image", "photo.png", "b.png", "-s", "style.png", "-o", "out/", "--time", "100s").code == 0
    first, second = (painting.deadline - begun for painting in engine.begun)
    assert first == pytest.approx(50, abs=2)
    assert second == pytest.approx(100, abs=2)
    impasto(*LINE, "-o", "o.png")
    assert engine.begun[-1].deadline == math.inf


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_and_resume_goes_on(place, engine, impasto, number):
    engine.at_step = stop_at(2, number)
    ran = impasto(*LINE, "-o", "o.png", "--json")
    assert ran.code == 130
    facts = json.loads(ran.out)
    assert (facts["finished"], facts["steps"]) == (False, "64:2")
    assert recipe.read("o.png")["settings"]["steps"] == "64:2"
    assert state().read_text() == "2"
    assert "stopping after this step" in ran.err
    assert "--resume goes on" in ran.err

    engine.at_step = None
    kept = impasto(*LINE, "-o", "o.png")
    assert (kept.code, kept.out) == (1, "")
    assert "o.png is unfinished: --resume goes on" in kept.err

    done = impasto(*LINE, "-o", "o.png", "--resume")
    assert (done.code, done.out) == (0, "o.png\n")
    assert engine.resumed == [2]
    assert recipe.read("o.png")["settings"]["steps"] == "64:3"
    assert not state().exists()

    begun = len(engine.begun)
    again = impasto(*LINE, "-o", "o.png", "--resume")
    assert (again.code, again.out) == (0, "o.png\n")
    assert len(engine.begun) == begun


def test_resume_without_anything_to_go_on_with(place, engine, impasto):
    ran = impasto(*LINE, "-o", "o.png", "--resume")
    assert (ran.code, ran.out) == (2, "")
    assert "nothing to go on with: neither o.png nor o.png.state.safetensors" in ran.err
    assert not engine.begun
    assert impasto(*LINE, "-o", "-", "--resume").code == 2


def test_a_state_alone_is_enough_and_force_begins_again(place, engine, impasto):
    state().write_text("1")
    assert impasto(*LINE, "-o", "o.png", "--resume").code == 0
    assert (engine.resumed, engine.steps) == ([1], 2)
    state().write_text("1")
    assert impasto(*LINE, "-o", "o.png", "--force").code == 0
    assert (engine.resumed, engine.steps) == ([1], 5)
    assert not state().exists()


def test_a_state_of_other_work(place, engine, impasto):
    state().write_text("other")
    ran = impasto(*LINE, "-o", "o.png", "--resume")
    assert ran.code == 2
    assert "is the state of other work" in ran.err
    assert state().read_text() == "other"


def test_a_second_signal_gives_up_at_once(place, engine, impasto):
    engine.at_step = stop_at(2, times=2)
    ran = impasto(*LINE, "-o", "o.png")
    assert (ran.code, ran.out) == (130, "")
    assert not Path("o.png").exists()
    assert not state().exists()


def test_signals_are_as_before_afterwards(place, engine, impasto):
    before = signal.getsignal(signal.SIGINT)
    engine.at_step = stop_at(1)
    impasto(*LINE, "-o", "o.png")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_while_opening_writes_nothing(place, engine, impasto, monkeypatch):
    def plan(_self):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "prepare", lambda *_: plan(None))
    assert impasto(*LINE, "-o", "o.png").code == 130
    assert sorted(path.name for path in place.iterdir()) == ["b.png", "other.png", "photo.png", "style.png"]


def test_a_batch_stops_and_goes_on_with_what_is_unfinished(place, engine, impasto):
    line = ("image", "photo.png", "b.png", "other.png", "-s", "style.png", "-o", "out/")

    def at_step(painting, index):
        if painting.names["content"]["source"] == "b.png" and index == 2:
            os.kill(os.getpid(), signal.SIGINT)

    engine.at_step = at_step
    ran = impasto(*line)
    assert (ran.code, ran.lines) == (130, ["out/photo.png", "out/b.png"])
    engine.at_step = None
    plain = impasto(*line)
    assert (plain.code, plain.lines) == (1, ["out/other.png"])
    assert "out/b.png is unfinished" in plain.err
    Path("out/other.png").unlink()
    resumed = impasto(*line, "--resume")
    assert (resumed.code, resumed.lines) == (0, ["out/photo.png", "out/b.png", "out/other.png"])
    assert engine.resumed == [2]


def test_a_picture_is_saved_even_where_its_state_cannot_be(place, engine, impasto, monkeypatch):
    def full(_self, path):
        raise OutputError(f"the state cannot be written to {path}: no space")

    def at_step(painting, _index):
        monkeypatch.setattr(type(painting), "save_state", full)
        os.kill(os.getpid(), signal.SIGINT)

    engine.at_step = at_step
    ran = impasto(*LINE, "-o", "o.png")
    assert (ran.code, ran.out) == (130, "o.png\n")
    assert "no space; the picture can be saved but not gone on with" in ran.err
    assert recipe.read("o.png") is not None


def test_a_state_of_other_work_in_a_batch_does_not_stop_the_rest(place, engine, impasto):
    (place / "out").mkdir()
    state("out/photo.png").write_text("other")
    ran = impasto("image", "photo.png", "b.png", "-s", "style.png", "-o", "out/", "--resume")
    assert (ran.code, ran.lines) == (1, ["out/b.png"])


def test_a_wrong_setting_of_one_job_does_not_stop_the_rest(place, engine, impasto):
    ran = impasto(*LINE, "-o", "o.png", "--sweep", "size=13,64")
    assert ran.code == 1
    assert ran.lines == ["o-64.png", "o-sheet.png"]
    assert "unlucky" in ran.err


def test_stdin_and_stdout(place, engine, impasto, monkeypatch):
    data = (place / "photo.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))
    monkeypatch.setattr(sys, "stdout", written := TextIOWrapper(BytesIO()))
    assert impasto("image", "-", "-s", "style.png", "-o", "-", "--json").code == 0
    picture = PILImage.open(BytesIO(written.buffer.getvalue()))
    assert (picture.format, picture.size) == ("PNG", (40, 32))
    assert engine.begun[0].names["content"]["source"] == "-"


def test_a_picture_never_goes_to_a_terminal_nor_comes_from_one(place, engine, impasto, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ran = impasto(*LINE, "-o", "-")
    assert ran.code == 2
    assert "terminal" in ran.err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ran = impasto("image", "-", "-s", "style.png", "-o", "o.png")
    assert ran.code == 2
    assert "stdin, which is a terminal" in ran.err
    assert not engine.begun


def test_previews(place, engine, impasto, monkeypatch):
    monkeypatch.setattr(report, "PREVIEW_SECONDS", 0)
    seen = []
    engine.at_step = lambda _painting, _index: seen.append(Path("p.png").exists())
    assert impasto(*LINE, "-o", "o.png", "--preview", "p.png").code == 0
    assert seen == [False, True, True]
    assert impasto(*LINE, "-o", "o2.png", "--preview", "p.png").code == 0


def test_a_preview_that_fails_does_not_cost_the_picture(place, engine, impasto, monkeypatch):
    monkeypatch.setattr(report, "PREVIEW_SECONDS", 0)
    (place / "sub").mkdir()
    engine.at_step = lambda _painting, index: index == 1 and (place / "sub").rmdir()
    ran = impasto(*LINE, "-o", "o.png", "--preview", "sub/p.png")
    assert (ran.code, ran.out) == (0, "o.png\n")
    assert ran.err.count("no more previews") == 1


def test_a_sweep_and_its_sheet(place, engine, impasto):
    line = (*LINE, "-o", "o.png", "--sweep", "strength=0.3,1", "--sweep", "seed=1,2", "--json")
    ran = impasto(*line)
    names = ["o-0.3-1.png", "o-0.3-2.png", "o-1-1.png", "o-1-2.png"]
    assert [json.loads(each)["output"] for each in ran.lines] == [*names, "o-sheet.png"]
    assert json.loads(ran.lines[1])["swept"] == {"strength": "0.3", "seed": "2"}
    assert [(each.settings.strength, each.settings.seed) for each in engine.begun] == [(0.3, 1), (0.3, 2), (1, 1), (1, 2)]
    assert recipe.read("o-sheet.png")["pictures"] == names
    before = Path("o-sheet.png").stat().st_mtime_ns
    assert impasto(*line).out == ""
    assert Path("o-sheet.png").stat().st_mtime_ns == before
    Path("o-1-1.png").unlink()
    assert [json.loads(each)["output"] for each in impasto(*line).lines] == ["o-1-1.png", "o-sheet.png"]


def test_a_sheet_does_not_replace_a_picture(place, engine, impasto):
    PILImage.new("RGB", (9, 9)).save(place / "o-sheet.png")
    ran = impasto(*LINE, "-o", "o.png", "--sweep", "seed=1,2")
    assert ran.code == 1
    assert "o-sheet.png exists already" in ran.err
    assert not engine.begun
