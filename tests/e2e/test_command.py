"""The command as a process: exit codes, signals, bad files, pipes, full disks."""

import json
import os
import pty
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PILImage

import impasto
from impasto import cli
from impasto.pixels import io, recipe

IMPASTO = [sys.executable, "-m", "impasto"]
VERBS = [command.name for command in cli.app.registered_commands]


def draw(path, seed=0, size=(64, 48), mode="RGB", **options):
    random = np.random.default_rng(seed)
    coarse = PILImage.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize(size, PILImage.Resampling.BICUBIC).convert(mode).save(path, **options)
    return path


@pytest.fixture(autouse=True)
def reachable(monkeypatch):
    """Processes find this very package, installed or not, whatever their folder."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(impasto.__file__)))


@pytest.fixture
def place(tmp_path):
    """A folder with a photograph and two styles."""
    for seed, name in enumerate(("photo.png", "style.png", "other style.png")):
        draw(tmp_path / name, seed)
    return tmp_path


@pytest.fixture
def run(place, narrow):
    """`run("image", ...)`: the command in that folder, on a tiny network; `shell` runs it in bash instead."""

    def start(*arguments, real=False, **options):
        words = [str(argument) for argument in arguments]
        if words[0] == "image" and not real:
            words += ["--encoder", narrow, "--precision", "fp32"]
        options = {"capture_output": True, "text": True, "timeout": 100, "cwd": place, **options}
        return subprocess.run([*IMPASTO, *words], check=False, **options)

    return start


LINE = ("image", "photo.png", "--style", "style.png", "--size", "64")


@pytest.fixture
def odd(place):
    """A folder of what people may hand in: name -> whether it can be painted."""
    folder = place / "odd"
    folder.mkdir()
    draw(folder / "cmyk.jpg", mode="CMYK")
    draw(folder / "gray.png", mode="L")
    draw(folder / "palette.png", mode="P")
    draw(folder / "alpha.png", mode="RGBA")
    frames = [PILImage.new("RGB", (64, 48), (index * 60, 99, 9)) for index in range(3)]
    draw(folder / "animated.gif", mode="P", save_all=True, append_images=frames)
    io.save(io.load(np.random.default_rng(0).integers(0, 65536, (48, 64, 3), dtype=np.uint16)), folder / "deep.png")
    good = draw(folder / "good.png").read_bytes()
    (folder / "damaged.png").write_bytes(good[: len(good) // 2])
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("Dear diary\n" * 30)
    huge = bytearray(good)
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    (folder / "huge.png").write_bytes(huge)
    PILImage.new("RGB", (1, 1), (200, 10, 10)).save(folder / "pixel.png")
    bad = ("damaged.png", "empty.png", "text.jpg", "huge.png")
    return {path.name: path.name not in bad for path in folder.iterdir()}


def test_every_odd_picture_is_painted_or_refused_in_one_line(run, odd):
    ran = run(*LINE[:1], "odd", "missing.png", *LINE[2:], "--steps", 1, "-o", "out/", "--json", "--quiet")
    painted = {json.loads(line)["content"].removeprefix("odd/") for line in ran.stdout.splitlines()}
    assert painted == {name for name, good in odd.items() if good}
    assert ran.returncode == 1
    refused = [line for line in ran.stderr.splitlines() if not line.endswith("failed")]
    assert len(refused) == 5
    for line, name in zip(refused, ["damaged.png", "empty.png", "huge.png", "text.jpg", "missing.png"], strict=True):
        assert re.fullmatch(rf"impasto: .*{name}.*", line)


def test_depth_and_alpha_come_out_as_they_went_in(run, odd, place):
    contents = ("odd/deep.png", "odd/alpha.png", "odd/gray.png")
    assert run("image", *contents, *LINE[2:], "--steps", 1, "-o", "out/").returncode == 0
    assert io.load(place / "out/deep.png").bits == 16
    assert io.load(place / "out/alpha.png").alpha is not None
    assert io.load(place / "out/gray.png").bits == 8


def start_and_stop(place, narrow, number, *arguments):
    """Start painting, send a signal once it says what it does, and give the finished process."""
    words = [*IMPASTO, *LINE, "--encoder", narrow, "--precision", "fp32", *arguments]
    # pytest may have been started with signals ignored, which a process would inherit
    options = {"preexec_fn": lambda: signal.signal(number, signal.SIG_DFL), "cwd": place, "text": True}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    said = process.stderr.readline()
    assert "steps at" in said, said + process.stderr.read()
    process.send_signal(number)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_saves_and_resume_ends_where_an_uninterrupted_run_does(run, place, narrow, number):
    steps = ("--steps", "64:250")
    code, out, err = start_and_stop(place, narrow, number, *steps, "-o", "o.png", "--seed", "1")
    assert (code, out) == (130, "o.png\n")
    assert "Traceback" not in err
    _, _, made = recipe.read(place / "o.png")["settings"]["steps"].partition(":")
    assert 0 < int(made) < 250
    assert (place / "o.png.state.safetensors").exists()
    if number == signal.SIGTERM:
        return
    resumed = run(*LINE, *steps, "-o", "o.png", "--seed", 1, "--resume")
    assert (resumed.returncode, resumed.stdout) == (0, "o.png\n"), resumed.stderr
    assert not (place / "o.png.state.safetensors").exists()
    assert run(*LINE, *steps, "-o", "whole.png", "--seed", 1).returncode == 0
    assert (place / "o.png").read_bytes() == (place / "whole.png").read_bytes()


@pytest.mark.slow
def test_an_interrupted_picture_is_made_again_by_its_command(run, place, narrow):
    code, _, _ = start_and_stop(place, narrow, signal.SIGINT, "--steps", "64:250", "-o", "o.png")
    assert code == 130
    again(place, "o.png")


def again(place, name):
    """Run what --reproduce prints, in a shell, and compare the bytes."""
    shell = f'impasto() {{ {shlex.join(IMPASTO)} "$@"; }}; eval "$(impasto inspect {shlex.quote(name)} --reproduce)"'
    ran = subprocess.run(["bash", "-c", shell], cwd=place, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
    copy = (place / name).with_stem((place / name).stem + "-again")
    assert copy.read_bytes() == (place / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--style", "other style.png:3", "--strength", "0.7"),
        ("--mask", "keep=photo.png", "--preserve-color", "luminance", "--optimizer", "adam"),
    ],
)
def test_the_command_printed_makes_the_same_bytes(run, place, options):
    name = "my 'first' one.png"
    ran = run(*LINE, *options, "--steps", 4, "-o", name, real=True)
    assert (ran.returncode, ran.stdout) == (0, name + "\n"), ran.stderr
    again(place, name)


def test_pipes(run, place):
    data = (place / "photo.png").read_bytes()
    ran = run("image", "-", *LINE[2:], "--steps", 1, "-o", "-", input=data, text=False)
    assert ran.returncode == 0
    with PILImage.open(BytesIO(ran.stdout)) as picture:
        assert (picture.format, picture.size) == ("PNG", (64, 48))
    assert ran.stdout.endswith(b"IEND\xaeB`\x82")
    assert b"steps at" in ran.stderr


def test_a_full_disk_is_an_error_and_leaves_nothing_behind(run, place):
    before = sorted(path.name for path in place.iterdir())
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))}
    ran = run(*LINE, "--steps", 1, "-o", "o.png", "--quiet", **limit)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(r"impasto: cannot write o\.png: .*\n", ran.stderr)
    assert sorted(path.name for path in place.iterdir()) == before


@pytest.mark.parametrize("output", ["-", "o.png"])
def test_a_full_stdout_is_an_error(run, output):
    with open("/dev/full", "wb") as full:
        ran = run(*LINE, "--steps", 1, "-o", output, "--quiet", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert ran.returncode == 1
    assert re.fullmatch(r"impasto: cannot write (to stdout|-): No space left on device\n", ran.stderr)


def test_a_reader_that_goes_away_is_no_traceback(place):
    script = f"{shlex.join(IMPASTO)} inspect --help | true; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True, timeout=100, check=False)
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_existing_output_and_wrong_usage(run, place):
    before = (place / "style.png").read_bytes()
    (place / "there.png").write_bytes(before)
    kept = run(*LINE, "-o", "there.png")
    assert (kept.returncode, kept.stdout) == (1, "")
    assert kept.stderr == "impasto: there.png exists already: --force (force=True) replaces it\n"
    assert (place / "there.png").read_bytes() == before
    both = run(*LINE, "-o", "style.png", "--force")
    assert (both.returncode, both.stdout) == (2, "")
    assert (place / "style.png").read_bytes() == before
    wrong = run(*LINE, "-o", "o.png", "--strength", "2", "--debug")
    assert wrong.returncode == 2
    assert "Traceback" in wrong.stderr


LOADED = """
import sys
from impasto.cli import main
code = main({arguments!r})
heavy = [name for name in ("torch", "gradio", "av", "cv2", "trimesh", "numpy") if name in sys.modules]
sys.exit(f"loaded: {{heavy}}" if heavy or code else 0)
"""


@pytest.mark.parametrize(
    "arguments", [[verb, "--help"] for verb in VERBS] + [["image", "p", "-o", "o.png", "-s", "s", "--resume"]]
)
def test_help_and_resuming_what_is_finished_load_nothing_heavy(place, arguments):
    draw(place / "o.png")
    code = LOADED.format(arguments=arguments)
    ran = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("o.png\n") or "Usage: impasto" in ran.stdout


def on_a_terminal(**environment):
    """What `impasto --help` writes to a terminal."""
    master, slave = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    process = subprocess.Popen(
        [*IMPASTO, "--help"], stdout=slave, stderr=slave, stdin=slave, env={**clean, "TERM": "xterm-256color", **environment}
    )
    os.close(slave)
    found = b""
    try:
        while data := os.read(master, 65536):
            found += data
    except OSError:  # Linux says so that the other end is closed
        pass
    os.close(master)
    assert process.wait(timeout=100) == 0
    return found.decode()


def test_no_color():
    color = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|9\d)(?:;\d+)*m")
    assert color.search(on_a_terminal())
    assert not color.search(on_a_terminal(NO_COLOR="1"))


@pytest.mark.slow
def test_a_time_is_kept(run, place):
    draw(place / "large.png", 5, (400, 300))
    begun = time.monotonic()
    ran = run("image", "large.png", "--style", "style.png", "--size", "128", "--time", "8s", "-o", "o.png", real=True)
    seconds = time.monotonic() - begun
    assert ran.returncode == 0, ran.stderr
    assert seconds < 8 + 1.5  # starting Python and ending it under load
    assert max(io.load(place / "o.png").size) == 128
    assert recipe.read(place / "o.png")["settings"]["time"] == 0
