"""What users write in options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.cli import words
from impasto.cli.words import StyleWord
from impasto.errors import UsageError


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a.jpg", StyleWord("a.jpg", 1, "")),
        ("a.jpg:0.7", StyleWord("a.jpg", 0.7, "")),
        ("a.jpg:.5", StyleWord("a.jpg", 0.5, "")),
        ("a.jpg:1e-05", StyleWord("a.jpg", 1e-5, "")),
        ("sky=a.jpg:2", StyleWord("a.jpg", 2, "sky")),
        ("sky=a.jpg", StyleWord("a.jpg", 1, "sky")),
        ("-", StyleWord("-", 1, "")),
        ("C:/a.jpg", StyleWord("C:/a.jpg", 1, "")),
        ("dir/x=y.jpg", StyleWord("dir/x=y.jpg", 1, "")),
        ("a.jpg:heavy", StyleWord("a.jpg:heavy", 1, "")),
    ],
)
def test_styles(text, word):
    assert words.parse_style(text) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a:0.5", StyleWord("a:0.5")),
        ("a:0.5:2", StyleWord("a:0.5", 2)),
        ("x=y", StyleWord("x=y")),
        ("p=x=y:3", StyleWord("x=y", 3, "p")),
    ],
)
def test_files_with_strange_names_are_files(tmp_path, monkeypatch, text, word):
    monkeypatch.chdir(tmp_path)
    for name in ("a:0.5", "x=y"):
        (tmp_path / name).touch()
    assert words.parse_style(text) == word


@pytest.mark.parametrize("text", ["", "sky="])
def test_a_style_without_a_source(text):
    with pytest.raises(UsageError, match="names no picture"):
        words.parse_style(text)


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_every_weight_is_read_as_it_is_printed(weight):
    assert words.parse_style(f"nowhere/a.jpg:{weight!r}") == StyleWord("nowhere/a.jpg", weight)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_lists_of_numbers_are_read_as_they_are_printed(values):
    assert words.parse_numbers(words.listed(values), "it") == tuple(values)


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("60", 60), ("60s", 60), ("1.5m", 90), ("2h", 7200)])
def test_times(text, seconds):
    assert words.parse_time(text) == seconds


@pytest.mark.parametrize("text", ["soon", "0", "0.5s", "5d", "-3", "1m30s"])
def test_times_that_are_none(text):
    with pytest.raises(UsageError, match="is not a time"):
        words.parse_time(text)


def test_sweeps():
    assert words.parse_sweep("strength=0.3, 0.6") == ("strength", ["0.3", "0.6"])
    assert words.parse_sweep("--style-scale=1") == ("style_scale", ["1"])
    assert words.parse_sweep("steps=64:1,90:2;64:3") == ("steps", ["64:1,90:2", "64:3"])
    for text in ("strength", "strength=", "=1", "strength=,"):
        with pytest.raises(UsageError, match="SETTING=VALUE"):
            words.parse_sweep(text)


def test_named_files():
    assert words.parse_named("sky=a=b.png", "--mask") == ("sky", "a=b.png")
    for text in ("sky", "=a.png", "sky=", "the sky=a.png"):
        with pytest.raises(UsageError, match="NAME=FILE"):
            words.parse_named(text, "--mask")


def test_numbers():
    assert words.parse_number("3", int, "--seed") == 3
    with pytest.raises(UsageError, match=r"--seed '3\.5' is not a whole number"):
        words.parse_number("3.5", int, "--seed")
    with pytest.raises(UsageError, match="--strength 'x' is not a number"):
        words.parse_number("x", float, "--strength")
