import pytest

from impasto import times
from impasto.errors import UsageError


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5m", 90), ("3h", 10800), ("7s", 7), (" 0.5 s ", 0.5)])
def test_times(text, seconds):
    assert times.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "-3", "1m30s", "5d", "5,5s"])
def test_times_that_are_none(text):
    with pytest.raises(UsageError, match="is not a moment"):
        times.seconds(text, "a moment")
