"""Optical flow against motion that is known exactly, and what is trusted of it."""

import struct

import cv2
import numpy as np
import pytest
import torch

from impasto.errors import MissingExtra, UnfitPicture, UnreadablePicture, UsageError
from impasto.video import flow, vectors

HEIGHT, WIDTH = 96, 128


def scene(seed: int = 0, height: int = 160, width: int = 200) -> np.ndarray:
    """Colored blobs of several sizes, uint8: enough to see how they move."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((height // s, width // s, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        for s in (4, 8, 16)
    ]
    return (np.clip(sum(layers) / 3, 0, 1) * 255).round().astype(np.uint8)


def cut(picture: np.ndarray, x: int, y: int) -> np.ndarray:
    return np.ascontiguousarray(picture[y : y + HEIGHT, x : x + WIDTH])


INSIDE = (slice(16, -16), slice(16, -16))


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-5, 4)])
def test_the_flow_of_a_shifted_picture_is_the_shift(x, y):
    whole = scene()
    now, before = cut(whole, 30, 30), cut(whole, 30 - x, 30 - y)
    found = flow.follow(now, before)
    assert np.abs(found.flow - [x, y])[INSIDE].max() < 0.1
    assert found.trust[INSIDE].min() > 0.95
    assert np.array_equal(flow.warp(before, np.full((HEIGHT, WIDTH, 2), (x, y), np.float32))[INSIDE], now[INSIDE])


def test_forward_and_backward_flow_agree():
    whole = scene(1)
    now, before = cut(whole, 30, 30), cut(whole, 27, 32)
    back, ahead = flow.estimate(now, before), flow.estimate(before, now)
    assert np.abs(back + flow.warp(ahead, back))[INSIDE].max() < 0.2


def test_equal_frames_do_not_move():
    now = cut(scene(), 30, 30)
    found = flow.follow(now, now.copy())
    assert not found.flow.any()
    assert (found.trust == 1).all()


def turned(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture as a camera saw it before, and the exact motion there."""
    middle = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 1.5, 1.02)
    matrix = np.vstack([middle, [0, 0, 1]])
    before = cv2.warpPerspective(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return before, flow.homography_flow(matrix, HEIGHT, WIDTH)


def test_the_camera_is_followed_where_there_is_nothing_to_see():
    now = cut(scene(2), 30, 30)
    now[:40] = 200  # a sky without a cloud
    before, truth = turned(now)
    random = np.random.default_rng(0)
    now, before = ((each + random.normal(0, 2, each.shape)).clip(0, 255).astype(np.uint8) for each in (now, before))
    alone = np.abs(flow.estimate(now, before) - truth)[10:30, 10:-10].mean()
    joined = np.abs(flow.follow(now, before).flow - truth)[10:30, 10:-10].mean()
    assert joined < 0.15
    assert joined < alone / 2


def test_what_comes_into_sight_is_not_trusted():
    ground, thing = scene(3), scene(4)
    now, before = cut(ground, 30, 30), cut(ground, 30, 30)
    before[30:66, 40:76] = thing[:36, :36]
    now[30:66, 50:86] = thing[:36, :36]
    found = flow.follow(now, before)
    assert found.trust[34:62, 41:49].mean() < 0.2  # the ten columns that the thing has left
    assert found.trust[5:20, 5:-5].min() > 0.9
    assert np.abs(found.flow[40:56, 60:76] - [-10, 0]).max() < 0.5


def test_what_comes_in_over_the_border_is_not_trusted():
    whole = scene(5)
    found = flow.follow(cut(whole, 30, 30), cut(whole, 20, 30))
    assert found.trust[20:-20, -9:].max() < 0.05


def test_a_change_of_exposure_does_not_cost_trust():
    whole = scene(6) // 2 + 40
    now, before = cut(whole, 30, 30), cut(whole, 28, 30)
    found = flow.trust(np.full((HEIGHT, WIDTH, 2), (2, 0), np.float32), flow.residual(*dimmed(now, before)))
    assert found[INSIDE].min() > 0.99


@pytest.mark.parametrize("light", [0.85, 1.0, 1.2])
def test_a_lamp_that_flickers_is_no_motion(light):
    whole = scene(8) // 2 + 30
    now, before = cut(whole, 30, 30), (cut(whole, 28, 33) * light).round().astype(np.uint8)
    found = flow.follow(now, before)
    assert np.abs(found.flow - [2, -3])[INSIDE].max() < 0.15
    assert found.trust[INSIDE].mean() > 0.95


def test_a_thing_before_fog_does_not_take_the_fog_along():
    """All that can be seen well is on the thing."""
    fog = cv2.GaussianBlur(scene(9), (0, 0), 8) // 12 + 120
    thing = scene(10)
    now, before = cut(fog, 30, 30), cut(fog, 30, 30)
    before[30:70, 40:80] = thing[:40, :40]
    now[30:70, 48:88] = thing[:40, :40]
    found = flow.follow(now, before).flow
    assert np.abs(found[36:64, 56:80] - [-8, 0]).max() < 0.5
    assert np.abs(found[4:16, 10:-10]).mean() < 1


def dimmed(now: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.full((HEIGHT, WIDTH, 2), (2, 0), np.float32), now + 25, before


def test_as_many_threads_as_may_be_give_the_same_flow():
    whole, used = scene(7), cv2.getNumThreads()
    found = []
    try:
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            found.append(flow.follow(cut(whole, 30, 30), cut(whole, 33, 31)))
    finally:
        cv2.setNumThreads(used)
    assert np.array_equal(found[0].flow, found[1].flow)
    assert np.array_equal(found[0].trust, found[1].trust)


def test_a_flow_grows_with_the_picture():
    grown = flow.scaled(np.full((10, 20, 2), (1, 2), np.float32), 30, 80)
    assert grown.shape == (30, 80, 2)
    assert np.allclose(grown, (4, 6))


def test_a_guide_is_as_large_as_it_may_be():
    image = torch.rand(1, 3, 50, 1000, generator=torch.Generator().manual_seed(0))
    assert flow.guide(image).shape == (26, 512, 3)
    assert np.array_equal(flow.guide(image, 2000), (image[0].permute(1, 2, 0) * 255).round().numpy())


def test_without_opencv_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(flow.importlib, "import_module", absent)
    with pytest.raises(MissingExtra, match=r"impasto\[video\]"):
        flow.library()


def test_flo_files_come_back_as_they_were(tmp_path):
    motion = np.random.default_rng(0).normal(0, 5, (7, 9, 2)).astype(np.float32)
    vectors.write(tmp_path / "a.flo", motion)
    assert np.array_equal(vectors.read(tmp_path / "a.flo"), motion)
    motion[2, 3] = 2e9
    vectors.write(tmp_path / "a.flo", motion)
    assert np.isnan(vectors.read(tmp_path / "a.flo")[2, 3]).all()


@pytest.mark.parametrize("data", [b"", b"PIEH", struct.pack("<fii", 1.0, 2, 2), struct.pack("<fii", 202021.25, 2, 2) + b"0" * 31])
def test_damaged_flo_files_are_refused(tmp_path, data):
    (tmp_path / "a.flo").write_bytes(data)
    with pytest.raises(UnreadablePicture, match=r"a\.flo"):
        vectors.read(tmp_path / "a.flo")


@pytest.mark.parametrize("way", ["backward", "forward"])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_known_motion_either_way_leads_to_the_other_frame(tmp_path, way, step):
    whole = scene(8)
    for number in range(4):
        shift = (3, -2) if way == "backward" else (-3, 2)
        vectors.write(tmp_path / f"{way}.{number:04d}.flo", np.full((HEIGHT, WIDTH, 2), shift, np.float32))
    known = vectors.find(tmp_path)
    known.need([1, 2, 3])
    now, other = cut(whole, 50, 50), cut(whole, 50 - 3 * step, 50 + 2 * step)
    found = known.follow(2, step, now, other)
    assert np.abs(found.flow - np.multiply(step, (3, -2)))[INSIDE].max() < 1e-5
    assert found.trust[INSIDE].min() > 0.99


def test_where_forward_motion_leads_nowhere_nothing_is_trusted(tmp_path):
    motion = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    motion[:, 64:] = (20, 0)  # the right half goes right, and uncovers a strip
    assert np.isnan(vectors.inverted(motion)[:, 65:83]).all()
    assert np.array_equal(vectors.inverted(motion)[:, 90], np.full((HEIGHT, 2), (-20, 0), np.float32))
    vectors.write(tmp_path / "forward.0001.flo", motion)
    now = cut(scene(9), 30, 30)
    assert vectors.find(tmp_path).follow(2, 1, now, now).trust[20:-20, 66:82].max() < 0.05


def test_channels_of_exr_files_point_up(tmp_path):
    oiio = pytest.importorskip("OpenImageIO")
    names = ("R", "G", "B", "beauty.backward.u", "beauty.backward.v")
    spec = oiio.ImageSpec(12, 8, 5, "float")
    spec.channelnames = names
    pixels = np.full((8, 12, 5), 0.5, np.float32)
    pixels[..., 3], pixels[..., 4] = 3, -2
    out = oiio.ImageOutput.create(str(tmp_path / "v.0005.exr"))
    out.open(str(tmp_path / "v.0005.exr"), spec)
    out.write_image(pixels)
    out.close()
    known = vectors.find(tmp_path)
    assert list(known.backward) == [5]
    assert not known.forward
    assert np.array_equal(vectors.read(known.backward[5]), np.full((8, 12, 2), (3, 2), np.float32))


def test_motion_that_cannot_serve_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not a folder"):
        vectors.find(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no motion"):
        vectors.find(tmp_path)
    vectors.write(tmp_path / "0002.flo", np.zeros((10, 30, 2), np.float32))
    known = vectors.find(tmp_path)
    with pytest.raises(UnreadablePicture, match="frames 1, 3"):
        known.need([1, 2, 3])
    now = cut(scene(), 0, 0)
    with pytest.raises(UnfitPicture, match="another shape"):
        known.follow(2, 1, now, now)
