"""Figures about a result: against other libraries, closed forms, and as the command prints them."""

import json

import numpy as np
import pytest
import torch
from skimage import color

from impasto import metrics
from impasto.cli import compare
from impasto.errors import UsageError


def pixels(image):
    return image.permute(1, 2, 0).numpy().astype(np.float64)


def test_color_difference_is_skimages(picture):
    one, other = picture(1, 30, 40), picture(2, 30, 40)
    wanted = color.deltaE_cie76(color.rgb2lab(pixels(one)), color.rgb2lab(pixels(other))).mean()
    assert metrics.color_difference(one, other, None) == pytest.approx(wanted, rel=1e-3)
    assert metrics.color_difference(one, one) == 0


def test_self_similarity_is_numpys(encoder, picture):
    def cosines(image):
        points = encoder(image[None], ["relu4_2"])["relu4_2"][0].flatten(1).double().numpy().T
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        found = 1 - points @ points.T
        return found / found.sum(1, keepdims=True)

    one, other = picture(1, 48, 64), picture(2, 48, 64)
    wanted = np.abs(cosines(one) - cosines(other)).sum(1).mean()
    assert metrics.self_similarity_distance(one, other, None) == pytest.approx(wanted, rel=1e-3)
    assert metrics.self_similarity_distance(one, one) == 0


def test_seams_of_a_slope_with_steps():
    x = torch.arange(60.0)
    slope = (0.004 * x + 0.04 * (x // 10)).expand(3, 50, 60)
    # along x: 5 borders of 0.044 and 54 of 0.004, along y all 0
    borders, elsewhere = 50 * 5 * 0.044 / (50 * 5 + 60 * 4), 50 * 54 * 0.004 / (50 * 54 + 60 * 45)
    assert metrics.seam_energy(slope, 10) == pytest.approx(borders / elsewhere, rel=1e-4)
    assert metrics.seam_energy(slope.transpose(1, 2), 10) == pytest.approx(borders / elsewhere, rel=1e-4)
    assert metrics.seam_energy(slope, 7) < 1.5


def test_seams_of_noise_are_none():
    noise = torch.rand(3, 200, 300, generator=torch.Generator().manual_seed(0))
    assert metrics.seam_energy(noise, 25) == pytest.approx(1, abs=0.02)
    tiled = noise + 0.5 * ((torch.arange(300) // 25) % 2)
    assert metrics.seam_energy((tiled / 1.5), 25) > 1.2


@pytest.mark.parametrize("period", [0, 1, 64, 100])
def test_periods_without_a_border(picture, period):
    with pytest.raises(UsageError, match="no border"):
        metrics.seam_energy(picture(1, 48, 64), period)


def test_the_command_prints_them(place, impasto):
    line = ("inspect", "--compare", "photo.png", "style.png", "b.png", "--seam-period")
    ran = impasto(*line, 8, "--json")
    assert ran.code == 0
    facts = json.loads(ran.out)
    assert list(facts) == list(compare.MEANINGS)
    assert facts["seam_energy"] == metrics.seam_energy("b.png", 8)
    assert facts["style_distance"] == metrics.style_distance("b.png", "style.png")
    assert facts["self_similarity_distance"] == metrics.self_similarity_distance("b.png", "photo.png")
    table = impasto(*line, 512)
    assert len(table.lines) == len(facts)
    assert table.lines[-1].split()[:2] == ["seam_energy", "-"]


def test_what_cannot_be_compared(place, impasto):
    assert impasto("inspect", "--compare", "photo.png", "style.png").code == 2
    assert impasto("inspect", "--compare", "photo.png", "style.png", "b.png", "--seam-period", 1).code == 2
    assert impasto("inspect", "--compare", "photo.png", "style.png", "none.png").code == 1


def test_env(impasto):
    facts = json.loads(impasto("env", "--json").out)
    assert {"impasto", "python", "torch", "device", "precision", "encoder"} <= facts.keys()
    assert "torch" in impasto("env").out
