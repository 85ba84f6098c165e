"""Styles and results beside the painting itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.paint import pictures


@given(st.lists(st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=9))
def test_shares_add_up_to_one_and_give_themselves_again(weights):
    found = pictures.shares(weights)
    assert sum(found) == 1
    assert [share / sum(found) for share in found] == found == pictures.shares(found)
    assert found == pytest.approx([weight / sum(weights) for weight in weights], abs=1e-11)


def test_shares_of_plain_weights_are_plain():
    assert pictures.shares([0.7, 0.3]) == [0.7, 0.3]
    assert pictures.shares([3, 1]) == [0.75, 0.25]


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [float("inf"), 1], [float("nan")]])
def test_weights_that_are_not_positive(weights):
    with pytest.raises(UsageError, match="positive"):
        pictures.shares(weights)
