"""Files and memory in and out: what is saved comes back, in every format and depth, and what is foreign is read right."""

import io as bytes_io
import os
import sys
from fractions import Fraction

import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PILImage
from PIL import ImageCms, ImageOps

from impasto.errors import UnfitPicture
from impasto.pixels import io

EXACT = [(".png", 8), (".png", 16), (".tif", 8), (".tif", 16), (".tiff", 8), (".webp", 8)]


def noise(bits=8, channels=3, height=70, width=13, seed=0):
    """Random integers; more rows than the encoders take at a time."""
    dtype = {8: np.uint8, 16: np.uint16}[bits]
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels), dtype=dtype)


def smooth(channels=3):
    y, x = np.mgrid[0:40, 0:50] / 50
    return np.stack([x, y, (x + y) / 2, 1 - x][:channels], -1).astype(np.float32)


def same(one, other):
    """Bit for bit."""
    assert torch.equal(one.image, other.image)
    assert (one.alpha is None) == (other.alpha is None)
    assert one.alpha is None or torch.equal(one.alpha, other.alpha)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("suffix", "bits"), EXACT)
def test_what_is_saved_comes_back_exactly(tmp_path, suffix, bits, channels):
    picture = io.load(noise(bits, channels))
    path = io.save(picture, tmp_path / f"a{suffix}", quality=100)
    again = io.load(path)
    same(again, picture)
    assert again.bits == bits
    assert again.icc is None  # the embedded sRGB was known as such
    assert np.array_equal(again.numpy(bits), noise(bits, channels))


@pytest.mark.parametrize("channels", [3, 4])
def test_float_tiff_comes_back_exactly(tmp_path, channels):
    picture = io.load(np.random.default_rng(0).random((70, 13, channels), dtype=np.float32))
    again = io.load(io.save(picture, tmp_path / "a.tif", bits=32))
    same(again, picture)
    assert again.bits == 32


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_lossy_formats_come_near(tmp_path, suffix):
    picture = io.load(smooth())
    assert (io.load(io.save(picture, tmp_path / f"a{suffix}")).image - picture.image).abs().max() < 0.04


@pytest.mark.parametrize(("suffix", "bits"), EXACT)
def test_other_programs_read_what_is_saved(tmp_path, suffix, bits):
    pixels = noise(bits, 4)
    path = io.save(io.load(pixels), tmp_path / f"a{suffix}", quality=100)
    hints = oiio.ImageSpec()
    hints.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), hints)
    assert np.array_equal(source.read_image(0, 0, 0, 4, "uint8" if bits == 8 else "uint16"), pixels)
    source.close()
    if bits == 8:
        with PILImage.open(path) as image:
            assert np.array_equal(np.asarray(image.convert("RGBA")), pixels)
            assert ImageCms.getProfileName(ImageCms.ImageCmsProfile(bytes_io.BytesIO(image.info["icc_profile"]))).startswith(
                "sRGB"
            )
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(path), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".exr"])
def test_same_picture_same_bytes(tmp_path, suffix, monkeypatch):
    picture = io.load(noise(channels=3))
    first = io.save(picture, tmp_path / f"a{suffix}", recipe={"seed": 1})
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # what stamps the time stamps another
    second = io.save(picture, tmp_path / f"b{suffix}", recipe={"seed": 1})
    assert first.read_bytes() == second.read_bytes()
    assert b"20%02d:" % (np.datetime64("now").astype(object).year % 100) not in first.read_bytes()


def test_the_sources_depth_is_kept_where_the_format_has_it(tmp_path):
    deep = io.load(noise(16))
    assert io.load(io.save(deep, tmp_path / "a.png")).bits == 16
    assert io.load(io.save(deep, tmp_path / "a.jpg")).bits == 8
    assert io.load(io.save(deep, tmp_path / "b.png", bits=8)).bits == 8
    assert io.load(io.save(io.load(noise(8)), tmp_path / "c.png", bits=16)).bits == 16


def test_jpeg_lays_transparency_on_white(tmp_path, caplog):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 8:, 3] = 255
    image = io.load(io.save(io.load(pixels), tmp_path / "a.jpg")).image
    assert image[..., :7].min() > 0.98
    assert image[..., 9:].max() < 0.02
    assert "laid on white" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path, orientation):
    exif = PILImage.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "camera"
    source = PILImage.fromarray((smooth() * 255).astype(np.uint8))
    upright = np.asarray(ImageOps.exif_transpose(_with_exif(source, exif)))
    for name, options in [("a.png", {}), ("a.webp", {"lossless": True}), ("a.tif", {})]:
        source.save(tmp_path / name, exif=exif, **options)
        picture = io.load(tmp_path / name)
        assert np.array_equal(picture.numpy(8), upright)
        written = io.save(picture, tmp_path / f"out-{name}", quality=100)
        same(io.load(written), picture)
        with PILImage.open(written) as image:
            assert image.getexif().get(0x0112, 1) == 1
            assert name == "a.tif" or image.getexif()[0x010F] == "camera"


def _with_exif(image, exif):
    buffer = bytes_io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return PILImage.open(buffer)


def test_orientation_of_a_deep_tiff(tmp_path):
    pixels = noise(16, 3)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    assert np.array_equal(io.load(tmp_path / "a.tif").numpy(16), np.rot90(pixels, -1))


def test_a_loaded_pillow_picture_keeps_its_exif():
    exif = PILImage.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    image = _with_exif(PILImage.fromarray(noise()), exif)
    assert io.load(image).size == (13, 70)
    assert image.getexif()[0x0112] == 6


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "La", "RGBa", "I;16", "I", "F"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_pillow_becomes_srgb(mode):
    gray = PILImage.fromarray(noise(8, 1)[..., 0])
    rgba = PILImage.fromarray(noise(8, 4))
    if mode in ("P", "PA"):
        image = rgba.convert("RGB").convert("P").convert(mode)
    elif mode == "LAB":
        image = ImageCms.profileToProfile(
            rgba.convert("RGB"), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode in ("I", "F"):
        image = gray.convert("F").point(lambda v: v / 255) if mode == "F" else gray.convert("I")
    else:
        image = {"I;16": gray, "La": rgba.convert("LA")}.get(mode, rgba).convert(mode)
    picture = io.load(image)
    assert picture.size == (70, 13)
    assert (picture.alpha is not None) == (mode in ("LA", "PA", "RGBA", "La", "RGBa"))
    assert picture.bits == {"I;16": 16, "I": 16, "F": 32}.get(mode, 8)
    expected = {
        "F": np.repeat(noise(8, 1) / 255, 3, 2),
        "I": np.repeat(noise(8, 1) / 65535, 3, 2),
        "I;16": np.repeat(noise(8, 1) / 65535, 3, 2),
        "LAB": noise(8, 4)[..., :3] / 255,
    }.get(mode)
    if expected is None:
        expected = np.asarray((image.convert("LA") if mode == "La" else image).convert("RGB")) / 255
    tolerance = 0.06 if mode == "LAB" else 1e-6  # 8-bit Lab is coarse
    assert np.abs(picture.numpy()[..., :3] - expected).mean() < tolerance


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_one_transparent_color(tmp_path, mode):
    image = PILImage.new("RGB", (4, 4), "black")
    image.paste("white", (0, 0, 2, 4))
    image = image.convert(mode)
    white = image.getpixel((0, 0))
    image.save(tmp_path / "a.png", transparency=white)
    picture = io.load(tmp_path / "a.png")
    assert picture.alpha[0, 0].tolist() == [[0, 0, 1, 1]] * 4
    assert picture.image[0, 0].tolist() == [[1, 1, 0, 0]] * 4


def test_one_transparent_level_of_16_bit_gray(tmp_path):
    PILImage.fromarray(np.array([[7, 40000]], np.uint16)).save(tmp_path / "a.png", transparency=40000)
    picture = io.load(tmp_path / "a.png")
    assert picture.alpha.flatten().tolist() == [1, 0]
    assert picture.image[0, 0].flatten().tolist() == pytest.approx([7 / 65535, 40000 / 65535])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2])
def test_deep_gray(tmp_path, suffix, channels):
    pixels = noise(16, channels)
    path = str(tmp_path / f"a{suffix}")
    spec = oiio.ImageSpec(13, 70, channels, "uint16")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if channels == 2:
        spec.channelnames, spec.alpha_channel = ("Y", "A"), 1
    output = oiio.ImageOutput.create(path)
    assert output.open(path, spec)
    assert output.write_image(pixels)
    assert output.close()
    picture = io.load(path)
    assert picture.bits == 16
    assert np.array_equal(picture.numpy(16)[..., :3], pixels[..., [0, 0, 0]])
    assert channels == 1 or np.array_equal(picture.numpy(16)[..., 3], pixels[..., 1])


def test_tiffs_of_other_programs(tmp_path):
    path = tmp_path / "a.tif"
    pixels = noise(16, 4)
    tifffile.imwrite(path, pixels.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", extrasamples=["unassalpha"])
    assert np.array_equal(io.load(path).numpy(16), pixels)
    tifffile.imwrite(path, pixels[..., 0], photometric="miniswhite")
    assert np.array_equal(io.load(path).numpy(16)[..., 0], 65535 - pixels[..., 0])
    tifffile.imwrite(path, pixels[..., :3], photometric="rgb", bigtiff=True)
    assert np.array_equal(io.load(path).numpy(16), pixels[..., :3])
    tifffile.imwrite(path, smooth().astype(np.float16), photometric="rgb")
    assert np.array_equal(io.load(path).numpy(), smooth().astype(np.float16).astype(np.float32))
    tifffile.imwrite(path, smooth() * 3 - 1, photometric="rgb")
    assert np.array_equal(io.load(path).numpy(), (smooth() * 3 - 1).clip(0, 1))


def test_premultiplied_tiff_is_made_straight(tmp_path):
    alpha = noise(16, 1) // 2 + 32768
    color = noise(16, 3, seed=1)
    premultiplied = np.concatenate(((color.astype(np.uint64) * alpha // 65535).astype(np.uint16), alpha), -1)
    tifffile.imwrite(tmp_path / "a.tif", premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    picture = io.load(tmp_path / "a.tif").numpy(16)
    assert np.abs(picture[..., :3].astype(int) - color).max() <= 2
    assert np.array_equal(picture[..., 3:], alpha)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read_and_said_so(tmp_path, form, caplog):
    frames = [PILImage.new("RGB", (8, 8), name) for name in ("red", "lime", "blue")]
    frames[0].save(
        tmp_path / "a", form, save_all=True, append_images=frames[1:], **({"lossless": True} if form == "WEBP" else {})
    )
    picture = io.load(tmp_path / "a")
    assert picture.image[0, :, 0, 0].tolist() == [1, 0, 0]
    assert "the first is used" in caplog.text


sides = st.integers(1, 9)


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]))
        | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    )
)
def test_arrays_and_tensors(array):
    picture = io.load(array)
    top = 255 if array.dtype == np.uint8 else 65535
    planes = array[..., None] if array.ndim == 2 else array
    color = np.repeat(planes, 3, 2) if planes.shape[2] == 1 else planes[..., :3]
    assert np.array_equal(picture.numpy(8 if top == 255 else 16)[..., :3], color)
    assert (picture.alpha is not None) == (planes.shape[2] == 4)
    for value in [Fraction(int(v), top) for v in planes.flatten()[:3]]:
        assert 0 <= value <= 1
    tensor = torch.from_numpy(planes.astype(np.float32) / top).permute(2, 0, 1)
    same(io.load(tensor), picture)
    same(io.load(tensor[None].double()), picture)


def test_what_is_loaded_shares_no_memory():
    tensor, array = torch.rand(1, 3, 4, 4), np.random.default_rng(0).random((4, 4, 3), dtype=np.float32)
    for source in (tensor, array):
        before = float(source.sum())
        io.load(source).image.zero_()
        assert float(source.sum()) == before


def test_gradients_are_left_behind():
    assert not io.load(torch.rand(3, 4, 4, requires_grad=True)).image.requires_grad


@pytest.mark.parametrize("bits", [8, 16])
def test_stdin_and_stdout(monkeypatch, bits):
    pixels = noise(bits, 4)
    out = bytes_io.BytesIO()
    monkeypatch.setattr(sys, "stdout", type("Stream", (), {"buffer": out, "isatty": lambda self: False})())
    io.save(io.load(pixels), "-")
    monkeypatch.setattr(sys, "stdin", type("Stream", (), {"buffer": bytes_io.BytesIO(out.getvalue())})())
    assert np.array_equal(io.load("-").numpy(bits), pixels)


def test_a_pipe_can_be_read(tmp_path):
    io.save(io.load(noise()), tmp_path / "a.png")
    read, write = os.pipe()
    os.write(write, (tmp_path / "a.png").read_bytes())
    os.close(write)
    try:
        assert np.array_equal(io.load(f"/dev/fd/{read}").numpy(8), noise())
    finally:
        os.close(read)


def test_a_wrong_suffix_does_not_matter(tmp_path):
    for bits in (8, 16):
        io.save(io.load(noise(bits)), tmp_path / "a.png", force=True)
        os.replace(tmp_path / "a.png", tmp_path / "a.jpg")
        assert np.array_equal(io.load(tmp_path / "a.jpg").numpy(bits), noise(bits))


def test_one_pixel(tmp_path):
    for suffix in (".png", ".tif", ".webp", ".exr"):
        path = io.save(io.load(np.full((1, 1, 3), 255, np.uint8)), tmp_path / f"a{suffix}", quality=100)
        assert io.load(path).image.tolist() == [[[[1.0]], [[1.0]], [[1.0]]]]


def test_with_image():
    picture = io.load(noise(8, 4))
    bigger = picture.with_image(torch.rand(1, 3, 140, 26))
    assert bigger.alpha.shape == (1, 1, 140, 26)
    assert abs(bigger.alpha.mean() - picture.alpha.mean()) < 0.02
    assert torch.equal(picture.with_image(torch.rand(1, 3, 70, 13)).alpha, picture.alpha)
    assert picture.with_image(torch.rand(1, 3, 5, 5), torch.ones(1, 1, 5, 5)).alpha.min() == 1
    assert np.array_equal(np.asarray(picture.pil()), noise(8, 4))
    for image, alpha in [
        (torch.rand(3, 5, 5), None),
        (torch.rand(1, 4, 5, 5), None),
        (torch.rand(1, 3, 5, 5), torch.ones(1, 1, 4, 5)),
    ]:
        with pytest.raises(UnfitPicture):
            picture.with_image(image, alpha)


@pytest.mark.parametrize(
    ("name", "bits", "form", "stored"),
    [
        ("a.png", 8, "PNG", 8),
        ("a.png", 16, "PNG", 16),
        ("a.tif", 16, "TIFF", 16),
        ("a.jpg", 8, "JPEG", 8),
        ("a.exr", 16, "EXR", 32),
    ],
)
def test_probe(tmp_path, name, bits, form, stored):
    io.save(io.load(noise()), tmp_path / name, bits=bits)
    assert io.probe(tmp_path / name) == {"format": form, "height": 70, "width": 13, "bits": stored}
