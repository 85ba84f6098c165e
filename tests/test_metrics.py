"""Distances between pictures, against the same formulas in numpy and scipy."""

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from scipy import linalg
from scipy.spatial import distance
from skimage import color

from impasto import metrics
from impasto.errors import ImpastoError, UnfitPicture, UsageError
from impasto.pixels import geometry

SIZE = 48


def numpy_moments(encoder, image, layer):
    points = encoder(image[None], [layer])[layer][0].flatten(1).double().numpy()
    return points.mean(1), np.cov(points, bias=True)


@pytest.mark.parametrize("layer", ["relu1_1", "relu2_1"])
def test_style_distances_are_scipys(layer, encoder, picture):
    one, other = picture(1, SIZE, SIZE), picture(2, SIZE, SIZE)
    (m1, s1), (m2, s2) = (numpy_moments(encoder, image, layer) for image in (one, other))
    root = linalg.sqrtm(s1).real
    cross = np.trace(linalg.sqrtm(root @ s2 @ root).real)
    expected = (np.sum((m1 - m2) ** 2) + np.trace(s1) + np.trace(s2) - 2 * cross) / len(m1)
    found = metrics.style_distances(one, other, (layer,), SIZE)
    assert found[layer] == pytest.approx(expected, rel=0.01)


def test_style_distance_is_the_weighted_mean_of_its_layers(picture):
    one, other = picture(3, SIZE, 40), picture(4, 44, SIZE)
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    found = metrics.style_distances(one, other, layers, SIZE)
    expected = np.average([found[layer] for layer in layers], weights=[256, 64, 16, 4, 1])
    assert metrics.style_distance(one, other, SIZE) == pytest.approx(expected, rel=1e-6)


def test_content_distance_is_numpys(encoder, picture):
    one, other = picture(5, SIZE, 40), picture(6, SIZE, 40)
    features = [encoder(image[None], ["relu4_2"])["relu4_2"].numpy() for image in (one, other)]
    expected = np.mean((features[0] - features[1]) ** 2)
    assert metrics.content_distance(one, other, SIZE) == pytest.approx(expected, rel=1e-4)


def test_self_similarity_distance_is_scipys(encoder, picture):
    one, other = picture(5, SIZE, 40), picture(6, SIZE, 40)
    matrices = []
    for image in (one, other):
        points = encoder(image[None], ["relu4_2"])["relu4_2"][0].flatten(1).T.double().numpy()
        found = distance.cdist(points, points, "cosine")
        matrices.append(found / found.sum(1, keepdims=True))
    expected = np.abs(matrices[0] - matrices[1]).sum(1).mean()
    assert metrics.self_similarity_distance(one, other, SIZE) == pytest.approx(expected, rel=1e-3)


def test_color_difference_is_scikit_images(picture):
    one, other = picture(5, SIZE, SIZE), picture(6, SIZE, SIZE)
    labs = [color.rgb2lab(image.permute(1, 2, 0).double().numpy()) for image in (one, other)]
    expected = color.deltaE_cie76(*labs).mean()
    assert metrics.color_difference(one, other, SIZE) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("other", [metrics.self_similarity_distance, metrics.color_difference])
def test_the_others_too_are_nothing_at_the_same_picture(other, picture):
    image = picture(7, SIZE, 40)
    assert other(image, image, SIZE) == 0
    assert other(image, picture(8, SIZE, 40), SIZE) > 0


def test_a_seam_shows_in_its_energy():
    """Steps of 0.2 every 10 px on steps of 0.01 everywhere: 0.21 / 0.01 across columns, 0 in every row."""
    column = 0.01 * torch.arange(40) + 0.2 * (torch.arange(40) // 10)
    image = (column / column.max()).expand(3, 40, 40)
    assert metrics.seam_energy(image, 10) == pytest.approx(21, rel=1e-3)
    assert metrics.seam_energy(image.transpose(1, 2).contiguous(), 10) == pytest.approx(21, rel=1e-3)
    assert metrics.seam_energy(torch.rand(3, 60, 60, generator=torch.Generator().manual_seed(0)), 10) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("period", [0, 1, -4, 40, 1000])
def test_a_period_without_borders_is_refused(period, picture):
    with pytest.raises(UsageError, match="40 x 30"):
        metrics.seam_energy(picture(9, 30, 40), period)


@pytest.mark.parametrize("size", [SIZE, 32])
def test_a_picture_is_at_no_distance_from_itself(size, picture):
    image, other = picture(7, SIZE, 40), picture(8, 40, SIZE)
    assert metrics.content_distance(image, image, size) == 0
    assert metrics.content_distance(image, other, size) > 0
    elsewhere = metrics.style_distance(image, other, size)
    assert elsewhere > 0
    assert abs(metrics.style_distance(image, image, size)) < 1e-3 * elsewhere


def test_style_does_not_depend_on_place_but_content_does(picture):
    one, other = (0.6 * torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    third = picture(10, SIZE, SIZE)
    assert metrics.style_distance(one, other, SIZE) < 0.1 * metrics.style_distance(third, other, SIZE)
    assert metrics.content_distance(one, other, SIZE) > 0.05 * metrics.content_distance(third, other, SIZE)


@pytest.mark.parametrize("metric", [metrics.style_distance, metrics.content_distance])
def test_nearer_is_less(metric, picture):
    goal, other = picture(11, SIZE, SIZE), picture(12, SIZE, SIZE)
    values = [metric(torch.lerp(goal, other, share), goal, SIZE) for share in (0, 0.3, 0.6, 1)]
    assert values == sorted(values)


@pytest.mark.parametrize("metric", [metrics.style_distance, metrics.content_distance])
def test_a_picture_is_the_same_in_every_form(metric, picture, tmp_path):
    pixels = (picture(13, 32, 40) * 255).round().byte().permute(1, 2, 0).numpy()
    other = picture(14, 32, 40)
    PILImage.fromarray(pixels).save(tmp_path / "p.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    forms = [tmp_path / "p.png", str(tmp_path / "p.png"), PILImage.fromarray(pixels), pixels, tensor]
    values = [metric(form, other, SIZE) for form in forms]
    assert all(isinstance(value, float) for value in values)
    assert values == pytest.approx([values[0]] * 5, rel=1e-6)


@pytest.mark.parametrize("metric", [metrics.style_distance, metrics.content_distance])
def test_pictures_are_brought_to_one_size(metric, picture):
    small, other = picture(15, 24, 30), picture(16, 24, 30)
    large = geometry.resize(small[None], (240, 300))[0]
    assert metric(large, other, 30) < 1.1 * metric(small, other, 30)
    assert metric(large, small, 30) < 0.2 * metric(other, small, 30)


def test_256_px_is_the_default_and_none_the_pictures_own(picture):
    one, other = picture(17, 24, 32), picture(18, 24, 32)
    assert metrics.content_distance(one, other) == metrics.content_distance(one, other, 256)
    assert metrics.content_distance(one, other, None) == metrics.content_distance(one, other, 32)


def test_sides_rounded_otherwise_do_not_count(picture):
    content = picture(19, 33, 50)
    result = geometry.fit(content[None], 47)[0]
    assert metrics.content_distance(result, content, 40) < 0.2 * metrics.content_distance(picture(20, 33, 50), content, 40)


def test_what_cannot_be_compared_is_refused(picture, tmp_path):
    with pytest.raises(UnfitPicture):
        metrics.style_distance(picture(21, 4, 64), picture(22, 32, 32), 64)
    with pytest.raises(ImpastoError, match="gone"):
        metrics.content_distance(tmp_path / "gone.png", picture(22, 32, 32))
