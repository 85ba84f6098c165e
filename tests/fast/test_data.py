import logging

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from impasto.errors import UsageError
from impasto.fast import data


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(30):
        pixels = np.kron(rng.integers(0, 256, (6, 8, 3), np.uint8), np.ones((12, 12, 1), np.uint8))
        PILImage.fromarray(pixels).save(tmp_path / f"p{k:02}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_every_tenth_is_held_out_by_its_name(folder):
    found = data.files([folder])
    learned, held = data.split(found)
    assert (len(found), len(learned), len(held)) == (30, 27, 3)
    assert not set(learned) & set(held)
    assert data.split(list(reversed(found)))[1] == list(reversed(held))


def test_unreadable_files_are_counted_and_skipped(folder, caplog):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    (folder / "empty.png").touch()
    with caplog.at_level(logging.WARNING):
        pictures = data.read(data.files([folder]), 64)
    assert len(pictures) == 30
    assert max(pictures[0].shape) == 64
    assert "2 pictures cannot be read" in caplog.text
    assert "broken.jpg" in caplog.text


def test_too_few_photographs(folder, caplog):
    pictures = data.read(data.files([folder]), 64)
    with pytest.raises(UsageError, match="7 readable photographs"):
        data.enough(pictures[:7])
    with caplog.at_level(logging.WARNING):
        data.enough(pictures[:8])
    assert "only 8 photographs" in caplog.text
    caplog.clear()
    data.enough(pictures * 7)
    assert not caplog.text


def test_no_such_folder(tmp_path):
    with pytest.raises(UsageError, match="no folder of pictures"):
        data.files([tmp_path / "absent"])


def test_a_window_is_where_it_should_be():
    """Of a picture whose red is x and whose green is y, a window shows a square of the right side, mirrored or not."""
    y, x = np.mgrid[0:200, 0:250]
    pixels = np.stack([x, y, np.zeros_like(x)], 2).astype(np.uint8)
    mirrored = 0
    for k in range(20):
        square = data.window(pixels, 64, 128.0, np.random.default_rng(k))[0] * 255
        assert square.shape == (3, 64, 64)
        across, down = square[0, 32, 50] - square[0, 32, 10], square[1, 50, 32] - square[1, 10, 32]
        mirrored += across < 0
        assert abs(across) == pytest.approx(80, abs=3)
        assert down == pytest.approx(80, abs=3)
    assert 3 < mirrored < 17
    whole = data.window(pixels, 64, 1000.0, np.random.default_rng(0))[0] * 255
    assert whole[1].min() < 3
    assert whole[1].max() > 196


def test_recolored_gray_stays_gray_and_in_range():
    gray = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    for k in range(20):
        found = data.recolor(gray, np.random.default_rng(k))
        torch.testing.assert_close(found[:, 0], found[:, 1], atol=1e-5, rtol=0)
        assert found.min() >= 0
        assert found.max() <= 1


def test_the_stream_follows_from_seed_and_place(folder):
    pictures = data.read(data.files([folder]), 64)
    one, same, other = (data.Source(pictures, pictures, 32, 32, seed) for seed in (1, 1, 2))
    assert torch.equal(one.photo(5), same.photo(5))
    assert not torch.equal(one.photo(5), other.photo(5))
    assert not torch.equal(one.photo(5), one.photo(6))
    for (w, a), (v, b) in zip(one.style(3), same.style(3), strict=True):
        assert w == v
        assert torch.equal(a, b)
    assert all(sum(w for w, _ in one.style(k)) == pytest.approx(1) for k in range(20))
    assert {len(one.style(k)) for k in range(40)} == {1, 2}


def test_reused_crops_are_all_met_equally_often_in_changing_order():
    made = []
    stream = data.Reused(lambda number: made.append(number) or number, window=6, times=3, seed=0)
    seen = [stream[place] for place in range(36)]
    assert sorted(seen[:18]) == sorted(list(range(6)) * 3)
    assert sorted(seen[18:]) == sorted(list(range(6, 12)) * 3)
    assert seen[:6] != seen[6:12]
    assert sorted(made) == list(range(12))
    assert [data.Reused(lambda n: n, 6, 3, 0)[place] for place in (30, 4, 17)] == [seen[30], seen[4], seen[17]]


def test_motion_is_small_and_exact():
    """The grid moves a ramp by what its affine map says; nothing moves by more than 20 px."""
    grid = data.shift(4, 96, np.random.default_rng(0))
    still = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 3, 96, 96], align_corners=False)
    flow = (grid - still) * 48
    assert 1 < flow.abs().max() < 20
    ramp = still[..., 0][:, None].expand(4, 1, -1, -1)
    moved = torch.nn.functional.grid_sample(ramp, grid, align_corners=False)
    inside = grid.abs().amax(-1) < 0.95
    torch.testing.assert_close(moved[:, 0][inside], grid[..., 0][inside], atol=1e-5, rtol=0)
