"""Contact sheets."""

import numpy as np
import pytest
from PIL import Image as PILImage

from impasto.cli import sheet
from impasto.cli.sheet import CELL, GAP

RED, BLUE = (200, 0, 0), (0, 0, 200)


def solid(color, size=(200, 150), mode="RGB"):
    return PILImage.new(mode, size, color)


def test_pictures_stand_unchanged_in_rows_with_white_between():
    whole = sheet.sheet([(solid(RED), "strength 0.3"), (solid(BLUE), "strength 1"), (solid(RED), "")], 2)
    pixels = np.asarray(whole)
    rows = np.flatnonzero((pixels == RED).all(2).any(1))
    columns = np.flatnonzero((pixels == BLUE).all(2).any(0))
    assert rows[0] == GAP
    assert (pixels == RED).all(2).sum() == 2 * 200 * 150
    assert (pixels == BLUE).all(2).sum() == 200 * 150
    assert columns.tolist() == list(range(2 * GAP + 200, 2 * GAP + 400))
    assert (pixels[:, GAP + 200 : 2 * GAP + 200] == 255).all()
    assert (pixels[:GAP] == 255).all()
    assert whole.width == 2 * 200 + 3 * GAP


def test_labels_are_drawn_black_and_large_enough_and_within_their_cell():
    whole = np.asarray(sheet.sheet([(solid((255, 255, 255)), "style-scale 0.25, strength 1.0, style-loss nn, seed 12345")], 1))
    dark = (whole < 60).all(2)
    assert dark.sum() > 300
    ys, xs = np.nonzero(dark)
    assert ys.min() >= GAP + 150
    assert xs.min() >= GAP
    assert xs.max() < GAP + 200
    lines = np.flatnonzero(np.diff(np.concatenate([[0], dark.any(1).astype(int)])) == 1)
    assert len(lines) > 1  # too long for one line


@pytest.mark.parametrize("text", ["", "word", "x" * 300, "a " * 100, "süß – 絵"])
def test_any_label_fits(text):
    assert sheet.sheet([(solid(RED), text)]).width == 200 + 2 * GAP


def test_large_pictures_are_shown_smaller_and_small_ones_as_they_are():
    whole = sheet.sheet([(solid(RED, (4 * CELL, CELL)), "a"), (solid(BLUE, (10, 20)), "b")], 2)
    pixels = np.asarray(whole)
    assert whole.width == 2 * CELL + 3 * GAP
    assert (pixels == BLUE).all(2).sum() == 200
    assert np.flatnonzero((pixels == RED).all(2).any(0)).size == CELL


@pytest.mark.parametrize(("mode", "color"), [("L", 100), ("RGBA", (9, 9, 9, 0)), ("P", 0), ("I;16", 500), ("LA", (0, 0))])
def test_pictures_of_any_kind(mode, color):
    assert sheet.sheet([(solid(color, mode=mode), "a")]).mode == "RGB"


def test_what_is_transparent_is_white():
    assert sheet.sheet([(solid((9, 9, 9, 0), mode="RGBA"), "")]).getpixel((GAP + 5, GAP + 5)) == (255, 255, 255)


def test_about_as_many_columns_as_rows():
    widths = {count: sheet.sheet([(solid(RED), "")] * count).width for count in (1, 2, 4, 5, 9)}
    assert {count: (width - GAP) // (200 + GAP) for count, width in widths.items()} == {1: 1, 2: 2, 4: 2, 5: 3, 9: 3}


def test_nothing_to_show():
    with pytest.raises(ValueError, match="no pictures"):
        sheet.sheet([])
