"""The flags of the command, and --config."""

from dataclasses import fields

import pytest
import typer.main

from impasto import cli
from impasto.cli import doodle, image, options, texture, verbs
from impasto.cli.options import DEFAULTS
from impasto.paint.settings import Settings

COMMAND = typer.main.get_command(cli.app).commands["image"]
FLAGS = {parameter.name: parameter for parameter in COMMAND.params}


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_each_setting_has_its_flag_with_its_default(name):
    flag = FLAGS[name]
    assert flag.opts == ["--" + name.replace("_", "-")]
    assert options.setting(name, flag.default) == getattr(DEFAULTS, name)
    assert flag.help
    assert flag.help == options.SETTINGS[name].help


@pytest.mark.parametrize("verb", [doodle, texture])
def test_verbs_that_are_not_about_photographs_have_help_of_their_own(verb):
    name = verb.__name__.rpartition(".")[2]
    flags = {each.name: each.help for each in typer.main.get_command(cli.app).commands[name].params}
    for setting, info in verb.FLAGS.items():
        assert flags[setting] == info.help
    assert flags.keys() & options.SETTINGS.keys() == verb.FLAGS.keys()
    for setting in ("size", "quality", "init"):
        assert flags[setting] != options.SETTINGS[setting].help
    about = [flags[setting] for setting in verb.FLAGS if "photograph" in flags[setting]]
    assert all(text.startswith("With --content") for text in about)
    assert bool(about) == (verb is doodle)


def test_there_is_no_flag_without_a_setting():
    assert list(options.SETTINGS) == [name for name in FLAGS if name in {field.name for field in fields(Settings)}]


def test_options_are_defined_once():
    assert set(FLAGS) >= {"contents", "output", "style", "force", "resume", "as_json", "quiet", "preview", "bits", "config"}
    spelled = [name for parameter in COMMAND.params for name in parameter.opts if name.startswith("-")]
    assert len(spelled) == len(set(spelled))


@pytest.fixture
def chosen(monkeypatch, impasto):
    """Run the verb up to its settings: `chosen("--seed", 3)` gives what was chosen and what else the verb got."""
    found = {}

    def settings(recipe, said, swept):
        found.update(recipe=recipe, chosen=said, settings=Settings(**said))
        raise KeyboardInterrupt

    monkeypatch.setattr(image.presets, "settings", settings)

    def run(*arguments):
        assert impasto("image", *arguments).code == 130
        return found["chosen"]

    return run


def test_only_what_was_said_is_chosen(chosen):
    assert chosen("x", "-o", "y") == {}
    assert chosen("x", "-o", "y", "--seed", 0, "--time", "2m", "--content-layers", "relu3_1,relu4_1") == {
        "seed": 0,
        "time": 120.0,
        "content_layers": ("relu3_1", "relu4_1"),
    }


def test_config_counts_like_flags_and_flags_win(chosen, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'size = 256\nstyle-scale = 2\nstrength = 0.25\ntime = "90s"\noutput = "z.png"\n'
        'style_layers = ["relu1_1", "relu2_1"]\nstyle-layer-weights = [1, 0.5]\nstyle = ["a.jpg:2", "b.jpg"]\njson = true\n'
    )
    assert chosen("x", "--config", file, "--strength", 0.5) == {
        "size": "256",
        "style_scale": 2.0,
        "strength": 0.5,
        "time": 90.0,
        "style_layers": ("relu1_1", "relu2_1"),
        "style_layer_weights": (1.0, 0.5),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strenght = 1", "strenght is not an option; is strength meant?"),
        ("= 3", "cannot be read"),
        ("config = 'x.toml'", "config is not an option"),
        ("strength = 'much'", "--strength"),
        ("\x00", "cannot be read"),
    ],
)
def test_config_that_is_wrong(impasto, tmp_path, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    ran = impasto("image", "x", "-o", "y", "--config", file)
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_config_that_is_missing(impasto, tmp_path):
    ran = impasto("image", "x", "-o", "y", "--config", tmp_path / "no.toml")
    assert (ran.code, ran.out) == (2, "")
    assert "No such file" in ran.err


def test_styles_in_config(impasto, place, engine):
    (place / "c.toml").write_text('style = "style.png:3"\n')
    assert impasto("image", "photo.png", "-o", "o.png", "--config", "c.toml").code == 0
    assert [(style.name, style.weight) for style in engine.begun[0].styles] == [("style.png", 3.0)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("image",),
        ("image", "x"),
        ("image", "x", "-o", "y"),
        ("image", "x", "-o", "y", "--strength", "much"),
        ("image", "x", "-o", "y", "-s", "z", "--strength", "2"),
        ("image", "x", "-o", "y", "-s", "z", "--time", "soon"),
        ("image", "x", "-o", "y", "-s", "z", "--quality", "super"),
        ("image", "x", "-o", "y", "-s", "z", "--sweep", "strenth=1"),
        ("image", "x", "-o", "y", "-s", "z", "--sweep", "strength=a"),
        ("image", "x", "-o", "y", "-s", "z", "--stlye", "z"),
        ("inspect",),
        ("inspect", "a", "b", "--compare"),
        ("inspect", "a", "--compare", "--reproduce"),
        ("paint", "x"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(impasto, arguments):
    ran = impasto(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("impasto: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("paint", "photo.jpg"), "there is no verb 'paint': is `impasto image` meant?"),
        (("textrue",), "is `impasto texture` meant?"),
        (("Webcam",), "is `impasto live` meant?"),
        (("xyzzy",), "there are image, texture, learn"),
        (("photo.jpg", "--style", "a.jpg"), "is `impasto image photo.jpg` meant?"),
    ],
)
def test_a_word_that_is_no_verb_is_answered(impasto, words, said):
    ran = impasto(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_words_that_are_tried_are_no_verbs():
    known = typer.main.get_command(cli.app).commands
    assert verbs.MEANT.keys() <= known.keys()
    tried = [word for words in verbs.MEANT.values() for word in words]
    assert known.keys().isdisjoint(tried)
    assert len(set(tried)) == len(tried)


def test_version_and_help(impasto):
    assert impasto("--version").lines[0].startswith("impasto ")
    bare = impasto()
    assert bare.code == 0
    assert "Usage" in bare.out
    assert impasto("image", "--help").code == 0
