"""Display matrices against the equations, pixel by pixel, and timecode against counting."""

from fractions import Fraction

import pytest
import torch

from impasto.video import turn
from impasto.video.timecode import advanced

ONE, W = 1 << 16, 1 << 30
SIGNS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize("signs", SIGNS, ids=str)
def test_each_pixel_goes_where_the_matrix_says(signs):
    a, b, c, d = signs
    matrix = (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, W)
    planes = torch.arange(12.0).view(1, 1, 3, 4)
    seen = turn.upright(planes, matrix)
    places = {(a * x + c * y, b * x + d * y): planes[0, 0, y, x] for x in range(4) for y in range(3)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    assert all(seen[0, 0, y - top, x - left] == value for (x, y), value in places.items())
    assert turn.swaps(matrix) == (seen.shape[-2:] == (4, 3))
    assert torch.equal(turn.stored(seen, matrix), planes)


def test_a_slant_is_left_alone(caplog):
    matrix = (46341, 46341, 0, -46341, 46341, 0, 0, 0, W)
    planes = torch.rand(1, 3, 2, 3)
    assert torch.equal(turn.upright(planes, matrix), planes)
    assert "slant" in caplog.text


def test_what_a_matrix_moves_by_goes_with_the_size():
    phone = (0, ONE, 0, -ONE, 0, 0, 48 * ONE, 0, W)
    assert turn.moved(phone, 96, 128) == (0, ONE, 0, -ONE, 0, 0, 96 * ONE, 0, W)
    plain = (0, ONE, 0, -ONE, 0, 0, 0, 0, W)
    assert turn.moved(plain, 96, 128) == plain


def counted(drop, whole, frames):
    """Timecode by counting frames one at a time from midnight."""
    h = m = s = f = 0
    for _ in range(frames):
        f += 1
        if f == whole:
            s, f = s + 1, 0
        if s == 60:
            m, s = m + 1, 0
            f = drop if drop and m % 10 else 0
        if m == 60:
            h, m = h + 1, 0
    return f"{h:02}:{m:02}:{s:02}{';' if drop else ':'}{f:02}"


@pytest.mark.parametrize(("drop", "rate"), [(0, 24), (0, 25), (2, Fraction(30000, 1001)), (4, Fraction(60000, 1001))], ids=str)
@pytest.mark.parametrize("frames", [1, 1439, 1500, 1798, 1799, 1800, 1801, 3600, 17981, 17982, 17983, 20000, 40000])
def test_timecode_counts_as_film_people_do(drop, rate, frames):
    mark = ";" if drop else ":"
    rate = Fraction(rate)
    assert advanced(f"00:00:00{mark}00", frames, rate) == counted(drop, round(rate), frames)
    middle = counted(drop, round(rate), 1234)
    assert advanced(middle, frames, rate) == counted(drop, round(rate), 1234 + frames)


def test_timecode_at_midnight_and_what_is_none():
    assert advanced("23:59:59:23", 1, Fraction(24)) == "00:00:00:00"
    assert advanced("23:59:59;29", 1, Fraction(30000, 1001)) == "00:00:00;00"
    assert advanced("reel 7", 10, Fraction(24)) == "reel 7"
