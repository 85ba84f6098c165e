import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from impasto.errors import UsageError
from impasto.pixels import geometry

sides = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), (" 1024x768 ", (768, 1024)), ("10X20", (20, 10)), ("30×40", (40, 30)), ("Full", None)]
)
def test_sizes_that_users_write(text, size):
    assert geometry.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0x5", "-3", "5x", "x5", "1x2x3", "3.5", "512px", "big", "9999999", "٣"])
def test_sizes_that_are_refused(text):
    with pytest.raises(UsageError, match="size"):
        geometry.parse_size(text)


@given(sides, sides, sides)
def test_the_long_edge_is_met_and_the_shape_kept(height, width, edge):
    new = geometry.sizes(height, width, edge)
    assert max(new) == edge
    assert min(new) >= 1
    scale = edge / max(height, width)
    assert abs(new[0] - height * scale) <= max(0.5, 1 - height * scale)
    assert abs(new[1] - width * scale) <= max(0.5, 1 - width * scale)


@given(st.integers(1, 10000), st.integers(4, 500))
def test_the_pyramid_grows_by_root_two_up_to_its_end(end, start):
    levels = geometry.pyramid(end, start)
    assert levels[-1] == end
    assert levels == sorted(set(levels))
    assert levels[0] >= start or levels == [end]
    assert all(abs(level - end / 2 ** (k / 2)) <= 0.5 for k, level in enumerate(reversed(levels)))
    assert end < start or round(end / 2 ** (len(levels) / 2)) < start  # none is missing below


def test_pyramids_by_hand():
    assert geometry.pyramid(512) == [128, 181, 256, 362, 512]
    assert geometry.pyramid(100) == [100]
    assert geometry.pyramid(3, start=1) == [2, 3]  # 1.5 rounds to 2 again: it ends there


def test_resizing_agrees_with_pillow():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 40, 31)
    image = torch.nn.functional.avg_pool2d(image, 5, 1)  # smooth: the two treat borders and overshoot alike
    ours = geometry.resize(image, (17, 12))
    pillow = PILImage.fromarray(image[0, 0].numpy()).resize((12, 17), PILImage.Resampling.BICUBIC)
    theirs = torch.frombuffer(bytearray(pillow.tobytes()), dtype=torch.float32).view(17, 12)
    assert torch.allclose(ours[0, 0], theirs.clamp(0, 1), atol=1e-5)


def test_resizing_keeps_values_in_range_and_constants():
    edge = torch.zeros(1, 3, 20, 20)
    edge[..., 10:] = 1  # bicubic overshoots here
    for size in [(7, 9), (41, 33)]:
        resized = geometry.resize(edge, size)
        assert resized.min() >= 0
        assert resized.max() <= 1
    assert torch.allclose(geometry.resize(torch.full((1, 3, 9, 5), 0.3), (33, 2)), torch.tensor(0.3), atol=1e-6)


def test_fit():
    image = torch.rand(1, 3, 30, 20)
    assert geometry.fit(image, None) is image
    assert geometry.fit(image, 30) is image
    assert geometry.fit(image, 15).shape == (1, 3, 15, 10)
    assert geometry.fit(image, (7, 8)).shape == (1, 3, 7, 8)
    with pytest.raises(UsageError):
        geometry.fit(image, (0, 8))


@pytest.mark.parametrize("shape", [(40, 56), (33, 17), (1, 9)])
def test_colors_are_carried_on_under_transparency(shape):
    alpha = torch.zeros(1, 1, *shape)
    alpha[..., : shape[1] // 2] = 1
    color = torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1)
    image = color * alpha  # black where nothing shows
    torch.testing.assert_close(geometry.fill(image, alpha), color.expand(1, 3, *shape))


def test_what_shows_stays_and_nothing_bleeds_into_it():
    generator = torch.Generator().manual_seed(0)
    image, alpha = torch.rand(1, 3, 30, 40, generator=generator), torch.zeros(1, 1, 30, 40)
    alpha[..., 10:20, 10:30] = torch.rand(1, 1, 10, 20, generator=generator) + 0.01
    alpha = alpha.clamp(0, 1)
    found = geometry.fill(image, alpha)
    assert torch.equal(found[..., 10:20, 10:30], image[..., 10:20, 10:30])
    changed = torch.where(alpha > 0, image, 1 - image)
    torch.testing.assert_close(geometry.fill(changed, alpha), found)
