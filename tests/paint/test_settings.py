"""Every setting: what is accepted, what is refused, and how a recipe keeps it."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import ImpastoError, UsageError
from impasto.paint import settings
from impasto.paint.settings import Settings, parse_steps, settings_from
from impasto.still import stylize

WRONG = {
    "size": ["0", "-5", "big", "", "12x", 0, (64, 64)],
    "quality": ["ugly", "", "Good", None],
    "strength": [-0.1, 1.01, math.nan, math.inf, "much", None],
    "steps": ["0", "-1", "1.5", "many", "64:", "64:3,", ":3", "64:3;32:3", "0:5", "64:0", 0],
    "time": [-1, math.nan, math.inf, "60s", 1e8],
    "preserve_color": ["some", "", None],
    "max_memory": ["lots", "2", "-2GB", "1 kB", "0GB"],
    "style_loss": ["w3", "", None],
    "content_loss": ["shape", "", None],
    "style_weight": [-1, math.nan, math.inf, "1"],
    "content_weight": [-1e-9, math.nan, math.inf, None],
    "tv_weight": [-1, math.nan, math.inf],
    "style_scale": [0, -1, 21, math.nan],
    "style_layers": [(), ("relu1_1",) * 4, ("relu9_9",) * 5, "relu1", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv5_1")],
    "style_layer_weights": [(), (1.0,), (0.0,) * 5, (-1.0, 1.0, 1.0, 1.0, 1.0), (math.nan,) * 5, (math.inf, 1.0, 1.0, 1.0, 1.0)],
    "content_layers": [(), ("relu9_9",), ("conv4_2",), "relu4_2"],
    "init": ["blank", "gone.png", ""],
    "optimizer": ["sgd", "", "Adam", None],
    "step_size": [0, 1.1, math.nan],
    "pooling": ["median", "", None],
    "encoder": ["vgg99", "", "gone.safetensors"],
    "seed": [1.5, "1", None, 2**64, -(2**64)],
    "device": ["toaster", ""],
    "precision": ["fp16", "", None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_values_are_refused_before_any_work(name, value, photo, painting, narrow):
    """In one line that says what was wrong."""
    chosen = {"size": 32, "encoder": narrow, "precision": "fp32", "steps": 1, "init": "noise"} | {name: value}
    # files that are not there have errors of their own
    with pytest.raises(ImpastoError if name in ("init", "encoder") else UsageError) as caught:
        stylize(photo, painting, **chosen)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) > 10


def test_every_setting_is_tried():
    assert list(WRONG) == [field.name for field in dataclasses.fields(Settings)]


@pytest.mark.parametrize(("name", "value"), [("strength", 2), ("quality", "ugly"), ("content_loss", "x"), ("step_size", 0)])
def test_the_name_and_the_value_are_said(name, value):
    with pytest.raises(UsageError, match=rf"{name}.*{value}"):
        Settings(**{name: value})


@pytest.mark.parametrize(
    "chosen",
    [
        {"strength": 0},
        {"strength": 1},
        {"style_weight": 0},
        {"content_weight": 0, "tv_weight": 1e9},
        {"time": 0.001},
        {"steps": "9999999"},
        {"style_layers": ("relu3_3",), "style_layer_weights": (1e-3,)},
        {"style_layer_weights": (0.0, 0.0, 1.0, 0.0, 0.0)},
        {"size": "full"},
        {"seed": -1},
    ],
)
def test_the_bounds_themselves_are_allowed(chosen):
    assert dataclasses.asdict(Settings(**chosen)) == dataclasses.asdict(Settings()) | chosen


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().strength = 0.5


SOME = st.builds(
    Settings,
    size=st.sampled_from(["512", "full", "40x30"]),
    quality=st.sampled_from(settings.QUALITIES),
    strength=st.floats(0, 1),
    steps=st.sampled_from(["", "12", "64:3,128:4"]),
    time=st.floats(0, 1e7),
    style_weight=st.floats(0, 1e9),
    style_layers=st.sampled_from([("relu1_1", "relu2_1")]),
    style_layer_weights=st.tuples(st.floats(0.1, 10), st.floats(0, 10)),
    content_layers=st.lists(st.sampled_from(["relu4_2", "relu3_3"]), min_size=1, unique=True).map(tuple),
    init=st.text(max_size=5),
    optimizer=st.sampled_from(settings.OPTIMIZERS),
    seed=st.integers(-(2**63), 2**63 - 1),
)


@given(SOME)
def test_a_recipe_gives_the_settings_back(some):
    assert Settings.from_dict(json.loads(json.dumps(some.as_dict()))) == some


@given(SOME)
def test_what_a_newer_version_wrote_is_read_as_far_as_it_is_known(some):
    assert Settings.from_dict({**some.as_dict(), "sparkle": 3, "glitter": [1]}) == some


def test_what_is_missing_is_the_default():
    assert Settings.from_dict({}) == Settings()
    assert Settings.from_dict({"strength": 0.5}) == Settings(strength=0.5)


@pytest.mark.parametrize("values", [{"strength": 2}, {"strength": "x"}, {"steps": 5}, {"style_layers": 3}, {"quality": None}])
def test_a_recipe_that_was_tampered_with_is_refused(values):
    with pytest.raises(UsageError):
        Settings.from_dict(values)


def test_size_and_steps_may_be_numbers():
    assert settings_from({"size": 64, "steps": 5}) == Settings(size="64", steps="5")


def test_a_name_that_is_no_setting_is_said():
    with pytest.raises(UsageError, match="stile_weight"):
        settings_from({"stile_weight": 1})


# steps


@given(st.dictionaries(st.integers(1, 10**5), st.integers(1, 10**5), min_size=1, max_size=8))
def test_steps_by_size_are_read_as_written(asked):
    assert parse_steps(",".join(f"{size}:{count}" for size, count in asked.items())) == asked


@given(st.integers(1, 10**7 - 1))
def test_a_number_of_steps_is_read_as_written(count):
    assert parse_steps(str(count)) == count


@given(st.text("0123456789:, x-", max_size=12) | st.text(max_size=6))
def test_other_text_is_refused(text):
    try:
        found = parse_steps(text)
    except UsageError as error:
        if "\n" in str(error):
            pytest.fail(f"more than one line: {error}")
        return
    if found is None:
        assert text == ""
    elif isinstance(found, int):
        assert found > 0
        assert text == str(found)
    else:
        assert all(size > 0 for size in found)
        assert sum(found.values()) > 0


def test_a_size_named_twice_is_refused():
    with pytest.raises(UsageError):
        parse_steps("64:3,64:5")
