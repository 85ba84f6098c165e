"""Tiles: the gradient and the loss of the whole picture, whatever the grid."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.features import distances, statistics
from impasto.paint import tiled
from impasto.paint.image import Painting
from impasto.paint.objective import Objective, Term
from impasto.paint.optimize import Level
from impasto.paint.pictures import opened
from impasto.paint.settings import Settings
from impasto.still import open_styles


@given(st.integers(16, 400), st.integers(16, 400), st.sampled_from([64, 128, 256]), st.integers(0, 15), st.integers(0, 15))
def test_tiles_cover_every_pixel_once(height, width, size, down, right):
    counted = torch.zeros(height, width)
    for tile in tiled.tiles(height, width, size, 80, (16 * down % size, 16 * right % size)):
        counted[tile.top : tile.bottom, tile.left : tile.right] += 1
        rows, columns = tile.outer
        assert rows.start % tiled.STRIDE == columns.start % tiled.STRIDE == 0
        assert min(rows.stop - rows.start, columns.stop - columns.start) >= 16
    assert (counted == 1).all()


@pytest.fixture
def begin(narrow, picture):
    """`begin(mask=None, **settings)`: a painting of 150 x 118 px whose first look is not the content itself."""

    def prepare(strength_mask=None, **settings):
        chosen = Settings(**{"size": "150x118", "encoder": narrow, "precision": "fp32"} | settings)
        return Painting(opened(picture(1, 118, 150))[0], open_styles(picture(2, 90, 70)), chosen, strength_mask=strength_mask)

    return prepare


def both(painting, picture, step):
    image = picture(5, 118, 150)[None]
    whole = painting.objective_at(Level(150, 1)).gradient(image)
    parts = painting.objective_at(Level(150, 1, tile=64)).gradient(image, step)
    return whole, parts


@pytest.mark.parametrize("settings", [{}, {"style_loss": "gram"}, {"strength": 0.5}, {"tv_weight": 3.0}])
def test_tiled_gradient_is_the_whole_one(begin, picture, settings):
    for step in (0, 7):
        (losses, whole), (tiled_losses, parts) = both(begin(**settings), picture, step)
        assert losses.keys() == tiled_losses.keys()
        for name, value in losses.items():
            assert float(tiled_losses[name]) == pytest.approx(float(value), rel=1e-3)
        assert float((parts - whole).norm()) <= 1e-3 * float(whole.norm())


def test_tiled_gradient_is_the_whole_one_with_masks(begin, picture):
    mask = picture(6, 118, 150)[None, :1]
    (_, whole), (_, parts) = both(begin(strength_mask=mask), picture, 3)
    assert float((parts - whole).norm()) <= 1e-3 * float(whole.norm())


def test_the_grid_moves_with_the_step_and_the_seed(begin, picture):
    image = picture(5, 118, 150)[None]
    painting, other = begin(), begin(seed=1)
    gradients = [
        p.objective_at(Level(150, 1, tile=64)).gradient(image, step)[1] for p, step in [(painting, 0), (painting, 1), (other, 0)]
    ]
    assert torch.equal(gradients[0], painting.objective_at(Level(150, 1, tile=64)).gradient(image, 0)[1])
    assert not torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


def test_moments_over_tiles_are_the_whole_ones(encoder, picture):
    image = picture(3, 130, 100)[None]
    found = tiled.moments(encoder, image, ["relu2_1", "relu5_1"], None, 64)
    for layer, features in encoder(image, ["relu2_1", "relu5_1"]).items():
        whole = statistics.moments(features)
        torch.testing.assert_close(found[layer].mean, whole.mean, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(found[layer].second, whole.second, rtol=1e-3, atol=whole.second.abs().max() * 1e-5)


def test_losses_that_do_not_add_up_are_refused(begin):
    with pytest.raises(UsageError, match="w2 or gram"):
        begin(style_loss="swd", size="600x472", max_memory="1.2GB")


def test_a_broken_overlap_would_be_seen(begin, picture, monkeypatch):
    monkeypatch.setattr(tiled, "margin", lambda encoder, layers: 0)
    (_, whole), (_, parts) = both(begin(), picture, 7)
    assert float((parts - whole).norm()) > 1e-2 * float(whole.norm())


def test_one_tile_is_the_objective_itself(encoder, picture):
    image = picture(4, 64, 64)[None]
    target = distances.gaussian([(1.0, statistics.moments(encoder(picture(7, 48, 48)[None], ["relu3_1"])["relu3_1"]))])
    terms = [Term("style", "relu3_1", 1.0, statistics.moments, distances.w2, target)]
    losses, gradient = tiled.TiledObjective(encoder, terms, 1024).gradient(image)
    expected, whole = Objective(encoder, terms).gradient(image)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(gradient, whole, rtol=1e-2, atol=float(whole.abs().max()) * 1e-3)


def test_the_margin_is_what_the_network_sees(encoder, picture):
    """A pixel just within reach moves the deepest response, one beyond does not."""
    layer = "relu5_1"
    border = tiled.margin(encoder, [layer])
    image = picture(3, 64 + border, 16)[None].repeat(1, 1, 1, 4)
    near, far = image.clone(), image.clone()
    near[..., 47 + 50 :, :] += 0.5
    far[..., 48 + border :, :] += 0.5
    before, close, beyond = (encoder(each, [layer])[layer][..., :3, :] for each in (image, near, far))
    assert (before - close).abs().max() > 0
    assert torch.equal(before, beyond)


def test_deeper_layers_look_further(encoder):
    assert tiled.margin(encoder, ["relu5_3"]) > tiled.margin(encoder, ["relu5_1"]) > tiled.margin(encoder, ["relu3_1"])
    assert tiled.margin(encoder, ["input"]) == 0
