"""Patches laid by a map: the search against trying all pairs, and what must hold whatever is found."""

import math

import numpy as np
import pytest
import torch
from scipy import spatial
from torch.nn import functional as F

from impasto.paint import collage
from impasto.paint.collage import Match, Piece


def halves(height, width, count=2):
    """Labels 0, 1 ... from left to right."""
    return (torch.arange(width) * count // width).expand(1, 1, height, -1).clone()


@pytest.fixture
def planes(picture):
    """A target and a source of two pictures, each with labels drawn at random in blocks."""

    def labels(seed, height, width):
        drawn = torch.randint(0, 3, (1, 1, 4, 4), generator=torch.Generator().manual_seed(seed)).float()
        return F.interpolate(drawn, (height, width)).long()

    target = collage.plane([picture(1, 10, 12)[None]], [labels(1, 10, 12)])
    source = collage.plane([picture(2, 9, 11)[None], picture(3, 12, 8)[None]], [labels(2, 9, 11), labels(3, 12, 8)])
    return target, source


def costs(target, source, weight, use):
    """Cost of every pair, by `cost` one source at a time."""
    columns = [collage.cost(Match(target, source, center.expand(len(target.centers))), weight, use) for center in source.centers]
    return torch.stack(columns, 1)


def patches(plane):
    """The patches about the centers as rows, cut out one by one."""
    grid = plane.colors.view(-1, plane.width, 3).numpy()
    places = [divmod(int(center), plane.width) for center in plane.centers]
    return np.stack([grid[y - 2 : y + 3, x - 2 : x + 3].ravel() for y, x in places])


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0, math.inf])
def test_the_search_finds_the_least_cost_of_all(planes, weight):
    target, source = planes
    use = 0.01 * torch.rand(len(source.labels), generator=torch.Generator().manual_seed(0))
    every = costs(target, source, weight, use)
    found = collage.cost(Match(target, source, collage.search(target, source, weight, use)), weight, use)
    assert torch.allclose(found, every.min(1).values, atol=1e-6)


def test_without_weight_it_is_the_plain_nearest_patch(planes):
    target, source = planes
    found = collage.search(target, source, 0.0, torch.zeros(len(source.labels)))
    _, nearest = spatial.cKDTree(patches(source)).query(patches(target))
    assert torch.equal(found, source.centers[torch.from_numpy(nearest)])


@pytest.mark.parametrize("shuffle", [None, 4])
def test_an_infinite_weight_never_leaves_the_region(planes, shuffle):
    target, source = planes
    use = torch.zeros(len(source.labels))
    found = collage.search(target, source, math.inf, use, shuffle=shuffle)
    assert torch.equal(source.labels[found], target.labels[target.centers])
    random = source.centers[torch.randint(len(source.centers), (len(target.centers),))]
    start = collage.homed(Match(target, source, random), math.inf, 0)
    better = collage.refined(start, math.inf, use, 0)
    assert torch.equal(source.labels[better.taken], target.labels[target.centers])


def test_refining_never_costs_more_and_mostly_less(planes):
    target, source = planes
    use = torch.zeros(len(source.labels))
    start = Match(target, source, source.centers[torch.arange(len(target.centers)) % len(source.centers)])
    before, after = (collage.cost(match, 1.0, use) for match in (start, collage.refined(start, 1.0, use, 3)))
    assert (after <= before).all()
    assert after.mean() < 0.5 * before.mean()
    assert torch.isin(collage.refined(start, 1.0, use, 3).taken, source.centers).all()


def test_planes_hold_their_pictures(planes, picture):
    target, source = planes
    assert torch.equal(target.colors[target.centers], picture(1, 10, 12).flatten(1).T)
    own = source.owners[source.centers]
    assert torch.equal(source.colors[source.centers[own == 1]], picture(3, 12, 8).flatten(1).T)
    assert source.sizes == ((9, 11), (12, 8))


def test_a_picture_matched_with_itself_stays_itself(picture):
    plane = collage.plane([picture(1, 12, 14)[None]], [halves(12, 14)])
    same = Match(plane, plane, plane.centers)
    for spread in (0.5, 2.0):
        assert torch.allclose(collage.vote(same, 1.0, spread), plane.colors[plane.centers], atol=1e-6)
    inner = collage.usage(same, [1.0])[plane.centers].view(12, 14)[1:-1, 1:-1]
    assert torch.allclose(inner, torch.full_like(inner, collage.EVEN))


def test_matches_of_the_same_size_are_brought_over_as_they_are(planes):
    target, source = planes
    found = Match(target, source, source.centers[torch.arange(len(target.centers)) % len(source.centers)])
    assert torch.equal(collage.enlarged(found, target, source).taken, found.taken)


def test_matches_of_twice_the_size_lie_in_the_same_place(picture):
    small, large = (collage.plane([picture(1, s, s)[None]], [halves(s, s)]) for s in (8, 16))
    found = collage.enlarged(Match(small, small, small.centers), large, large)
    assert torch.equal(found.taken, large.centers)


def test_labels_shrink_to_the_most_frequent():
    labels = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [2, 2, -1, -1], [2, 2, -1, -1]])[None, None]
    assert collage.labels_at(labels, (2, 2), 3)[0, 0].tolist() == [[0, 1], [2, -1]]
    assert torch.equal(collage.labels_at(labels, (4, 4), 3), labels)


def test_each_region_is_laid_of_its_own():
    """Dark on the left and light on the right of the piece; asked for the other way round, and thrice the width."""
    image = (0.1 + 0.8 * halves(40, 40).float()).expand(1, 3, -1, -1)
    wanted = 1 - halves(40, 120)
    *_, found = collage.collage(wanted, [Piece(image, halves(40, 40))], (40, 120), weight=math.inf)
    assert (found - (0.1 + 0.8 * wanted.float())).abs().max() < 0.05


def test_nothing_is_taken_where_there_is_no_label(picture):
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    pieces = [Piece(picture(1, 32, 32)[None] * 0.5, halves(32, 32)), Piece(red, torch.full((1, 1, 1, 1), -1))]
    *_, found = collage.collage(halves(32, 48), pieces, (32, 48))
    assert found.max() <= 0.5


def test_a_region_too_small_for_the_coarse_sizes_is_still_found():
    labels = torch.zeros(1, 1, 64, 64, dtype=torch.long)
    labels[..., 40:43, 40:43] = 1
    image = (labels == 1).float().expand(1, 3, -1, -1)
    wanted = torch.zeros(1, 1, 64, 64, dtype=torch.long)
    wanted[..., 10:20, 40:50] = 1
    *_, found = collage.collage(wanted, [Piece(image, labels)], (64, 64))
    assert found[..., 12:18, 42:48].mean() > 0.8
    assert found[..., 40:, :].mean() < 0.05


def test_the_seed_decides(picture):
    piece = Piece(picture(1, 40, 40)[None], halves(40, 40))

    def lay(seed):
        return list(collage.collage(halves(48, 64), [piece], (48, 64), seed=seed))

    first, again, other = lay(1), lay(1), lay(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert [image.shape[-1] for image in first] == collage.levels(64)
    assert not torch.equal(first[-1], other[-1])


def test_a_start_is_kept(picture):
    """A picture laid of its own patches is near itself; without it the patches are shuffled."""
    image, one = picture(1, 40, 64)[None], torch.zeros(1, 1, 40, 64, dtype=torch.long)
    *_, led = collage.collage(one, [Piece(image, one)], (40, 64), start=image)
    *_, free = collage.collage(one, [Piece(image, one)], (40, 64))
    assert (led - image).abs().mean() < 0.5 * (free - image).abs().mean()


@pytest.mark.parametrize(("end", "start"), [(16, 32), (64, 32), (512, 32), (900, 32), (90, 96)])
def test_levels_end_at_the_size_and_grow_evenly(end, start):
    found = collage.levels(end, start)
    assert found[-1] == end
    assert found == sorted(set(found))
    assert all(size <= collage.FINEST for size in found[:-1])
