import pytest
import torch

from impasto.errors import UsageError
from impasto.fast import nets, tiles


def picture(height, width):
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, 3, height // 16 + 1, width // 16 + 1), generator=draw)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module")
def bound():
    torch.manual_seed(0)
    net = nets.AnyStyle(stem=8, width=16, blocks=2, fine=8, hidden=8).eval().requires_grad_(False)
    net.paint.weight *= 20
    draw = torch.Generator().manual_seed(1)
    code = 0.3 * torch.randn((1, net.code_size), generator=draw)
    code[:, : net.plain_size] += net.neutral
    return net.bind(code)


@pytest.mark.parametrize(("height", "width", "tile"), [(200, 304, 96), (203, 309, 104), (90, 60, 256)])
def test_tiles_equal_the_whole(bound, height, width, tile):
    content = picture(height, width)
    whole = bound(content, strength=0.8)
    assert (whole - content).abs().max() > 0.1
    torch.testing.assert_close(tiles.stylize_tiled(bound, content, tile=tile, strength=0.8), whole, atol=2e-5, rtol=0)


def test_reach_is_far_enough_and_not_much_farther(bound):
    """A change of one pixel is seen within the network's reach only (statistics frozen), and nearly as far as that."""
    content = picture(256, 256)
    frozen = bound.net.measure(content, bound.code)
    other = content.clone()
    other[..., 128, 128] = 1 - other[..., 128, 128]
    changed = [bound.net(x, bound.code, statistics=frozen) for x in (content, other)]
    rows = (changed[0] - changed[1]).abs().amax((0, 1, 3)).nonzero().flatten()
    farthest = max(128 - rows.min().item(), rows.max().item() - 128)
    assert bound.net.reach - 32 <= farthest <= bound.net.reach


def test_a_great_picture_is_measured_on_patches_together(bound, monkeypatch):
    """Patches of a picture that is the same everywhere have the statistics of the whole."""
    content = picture(64, 64).repeat(1, 1, 12, 12)
    whole = bound.net.measure(content, bound.code)
    monkeypatch.setattr(tiles, "WHOLE", 1000)
    read_sizes = []

    def read(top, left, height, width):
        read_sizes.append(height * width)
        return content[..., top : top + height, left : left + width]

    patches = tiles.measure(bound, read, *content.shape[-2:])
    assert patches.shape == whole.shape
    assert max(read_sizes) == tiles.PATCH**2
    assert ((patches - whole).abs() / (whole.abs() + 0.1)).mean() < 0.05


def test_no_more_than_a_tile_with_its_reach_is_read(bound):
    content, most = picture(512, 512), []

    def read(top, left, height, width):
        most.append(max(height, width))
        return content[..., top : top + height, left : left + width]

    frozen = bound.net.measure(content, bound.code)
    covered = torch.zeros(512, 512)
    for top, left, image in tiles.steps(bound, read, 512, 512, tile=128, statistics=frozen):
        covered[top : top + image.shape[-2], left : left + image.shape[-1]] += 1
    assert torch.equal(covered, torch.ones(512, 512))
    assert max(most) <= 128 + 2 * bound.net.reach


def test_strength_0_and_wrong_tiles(bound):
    content = picture(64, 64)
    assert tiles.stylize_tiled(bound, content, strength=0.0) is content
    with pytest.raises(UsageError, match="multiple of 8"):
        tiles.stylize_tiled(bound, content, tile=100)
