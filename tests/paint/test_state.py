"""Stopped and gone on with: the same picture as without stopping, to the bit."""

import pytest
import torch

from impasto.errors import UsageError, WeightsError
from impasto.features import weights
from impasto.paint.image import Painting
from impasto.paint.pictures import opened
from impasto.paint.settings import Settings
from impasto.still import open_styles

STEPS = "32:4,45:3,64:4"


@pytest.fixture
def begin(narrow, picture):
    def prepare(content=1, keep=None, **settings):
        chosen = Settings(**{"size": "64", "steps": STEPS, "encoder": narrow, "precision": "fp32"} | settings)
        return Painting(opened(picture(content, 48, 64))[0], open_styles(picture(2, 60, 52)), chosen, keep=keep)

    return prepare


def take(painting, count=None):
    for position, _ in enumerate(painting.steps(), 1):
        if position == count:
            break
    return painting


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"max_memory": "530MB"}, {"strength": 0.6, "seed": 3}])
def test_going_on_equals_never_having_stopped(begin, tmp_path, settings):
    whole = take(begin(**settings)).result()
    for count in (1, 3, 4, 6, 10):
        first = take(begin(**settings), count)
        first.save_state(tmp_path / "state.safetensors")
        second = begin(**settings)
        second.load_state(tmp_path / "state.safetensors")
        assert torch.equal(second.result().image, first.result().image)
        result = take(second).result()
        assert torch.equal(result.image, whole.image)
        assert result.recipe == whole.recipe


def test_stopping_twice_changes_nothing(begin, tmp_path):
    whole = take(begin()).result()
    painting = take(begin(), 2)
    for _ in range(2):
        painting.save_state(tmp_path / "s.safetensors")
        painting = begin()
        painting.load_state(tmp_path / "s.safetensors")
        take(painting, 3)
    painting.save_state(tmp_path / "s.safetensors")
    last = begin()
    last.load_state(tmp_path / "s.safetensors")
    assert torch.equal(take(last).result().image, whole.image)


@pytest.mark.parametrize("other", [{"content": 3}, {"strength": 0.5}, {"keep": torch.ones(1, 1, 48, 64) / 2}, {"steps": "32:9"}])
def test_the_state_of_other_work_is_refused(begin, tmp_path, other):
    take(begin(), 2).save_state(tmp_path / "s.safetensors")
    with pytest.raises(UsageError, match="other work"):
        begin(**other).load_state(tmp_path / "s.safetensors")


def test_what_is_not_a_state_is_refused(begin, tmp_path):
    weights.save(tmp_path / "w.safetensors", {"x": torch.zeros(3)}, {"kind": "encoder"})
    with pytest.raises(WeightsError, match="not the state"):
        begin().load_state(tmp_path / "w.safetensors")
    take(begin(), 2).save_state(tmp_path / "s.safetensors")
    data = bytearray((tmp_path / "s.safetensors").read_bytes())
    data[-5] ^= 1
    (tmp_path / "s.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        begin().load_state(tmp_path / "s.safetensors")


def test_going_on_keeps_the_levels_that_were_planned(begin, tmp_path):
    first = take(begin(steps="", time=2.0, size="96"), 2)
    first.save_state(tmp_path / "s.safetensors")
    second = begin(steps="", size="96")
    second.load_state(tmp_path / "s.safetensors")
    assert second.levels == first.levels
    assert take(second).result().image.shape == first.full.shape
