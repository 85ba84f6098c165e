"""Color profiles, against Little CMS (an independent engine, of 8 bits)."""

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image as PILImage
from PIL import ImageCms

from impasto.pixels import icc, io

D50 = (0.9642, 1.0, 0.8249)
# Columns of device RGB -> XYZ relative to D50, as the profiles of these names have them.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def xyz(values):
    return b"XYZ \0\0\0\0" + fixed(*values)


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def table(values):
    numbers = [round(value * 65535) for value in values]
    return b"curv\0\0\0\0" + struct.pack(f">I{len(numbers)}H", len(numbers), *numbers)


def parametric(kind, *numbers):
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*numbers)


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(space, tags, kind=b"mntr", pcs=b"XYZ "):
    """A profile of the given tags, ICC.1:2022 section 7."""
    tags = {b"wtpt": xyz(D50), **tags}
    place, entries, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        entries += struct.pack(">4sII", name, place + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", place + len(body), b"lcms", 0x04000000, kind, space, pcs) + b"\0" * 12 + b"acsp"
    return head.ljust(68, b"\0") + fixed(*D50).ljust(60, b"\0") + struct.pack(">I", len(tags)) + entries + body


def rgb_profile(columns, curve):
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return profile(b"RGB ", dict(zip(names, map(xyz, columns), strict=True)) | curves)


PROFILES = {
    "adobe": rgb_profile(ADOBE, gamma(2.19921875)),
    "p3": rgb_profile(P3, SRGB_CURVE),
    "prophoto": rgb_profile(PROPHOTO, parametric(0, 1.8)),
    "linear": rgb_profile(PROPHOTO, b"curv" + b"\0" * 8),
    "table": rgb_profile(P3, table(np.linspace(0, 1, 50) ** 2)),
}
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def by_lcms(image, data):
    relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
    source, goal = ImageCms.ImageCmsProfile(BytesIO(data)), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, source, goal, renderingIntent=relative, outputMode="RGB"))


@pytest.mark.parametrize("name", PROFILES)
def test_matrix_profiles_agree_with_little_cms(tmp_path, name):
    image = PILImage.fromarray(PIXELS)
    image.save(tmp_path / "a.png", icc_profile=PROFILES[name])
    ours, theirs = io.load(tmp_path / "a.png").numpy() * 255, by_lcms(image, PROFILES[name])
    assert np.abs(ours - theirs).max() < 1.6  # lcms rounds to 8 bits, and works on tables there
    assert np.abs(ours - theirs).mean() < 0.5
    assert np.abs(PIXELS - theirs.astype(float)).max() > 10  # so that doing nothing would be seen


@pytest.mark.parametrize("name", PROFILES)
def test_depth_is_kept_through_a_profile(tmp_path, name):
    """A ramp of 2000 levels within a few 8-bit steps keeps them apart."""
    ramp = np.repeat(np.linspace(30000, 34000, 2000).astype(np.uint16)[None, :, None], 3, 2)
    tifffile.imwrite(
        tmp_path / "a.tif", ramp, photometric="rgb", extratags=[(34675, 7, len(PROFILES[name]), PROFILES[name], True)]
    )
    picture = io.load(tmp_path / "a.tif")
    assert picture.bits == 16
    assert picture.icc is None
    levels = picture.image[0, 1, 0]
    assert (levels[1:] > levels[:-1]).all()
    low, high = by_lcms(PILImage.fromarray((ramp[:, [0, -1]] / 257).round().astype(np.uint8)), PROFILES[name])[0, :, 1]
    assert levels[0].item() * 255 == pytest.approx(low, abs=1.5)
    assert levels[-1].item() * 255 == pytest.approx(high, abs=1.5)


def test_gray_profiles(tmp_path):
    data = profile(b"GRAY", {b"kTRC": gamma(1.5)})
    image = PILImage.fromarray(PIXELS[..., 0])
    image.save(tmp_path / "a.png", icc_profile=data)
    ours, theirs = io.load(tmp_path / "a.png").numpy() * 255, by_lcms(image, data)
    assert np.abs(ours - theirs).max() < 2.1  # steep near black
    assert np.abs(ours - theirs).mean() < 0.5
    assert np.ptp(ours, 2).max() == 0
    deep = PIXELS[..., 0].astype(np.uint16) * 257
    PILImage.fromarray(deep).save(tmp_path / "b.png", icc_profile=data)
    assert np.allclose(io.load(tmp_path / "b.png").numpy() * 255, ours, atol=1e-3)


@pytest.mark.parametrize(
    "data",
    [icc.srgb(), rgb_profile(((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)), SRGB_CURVE)],
)
def test_srgb_by_any_maker_changes_nothing(tmp_path, data):
    PILImage.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=data)
    assert np.array_equal(io.load(tmp_path / "a.png").numpy(8), PIXELS)


def test_our_profile_is_srgb_with_a_fixed_date():
    data = icc.srgb()
    assert ImageCms.getProfileName(ImageCms.ImageCmsProfile(BytesIO(data))).startswith("sRGB")
    assert int.from_bytes(data[24:26]) == 2000  # ICC.1, 7.2.1: bytes 24 to 35 of the header


def cmyk_profile():
    """A printer's profile of tables (mft1): white paper, each ink takes away light, black all of it."""
    identity = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + identity * 4
    for ink in np.ndindex(2, 2, 2, 2):
        lightness = 0 if ink[3] else 255 - 60 * sum(ink[:3])
        lut += bytes((lightness, 128, 128))
    return profile(b"CMYK", {b"A2B0": lut + identity * 3}, b"prtr", b"Lab ")


def test_cmyk_goes_through_its_profile(tmp_path):
    image = PILImage.new("CMYK", (4, 1))
    for x, ink in enumerate([(0, 0, 0, 0), (255, 0, 0, 0), (255, 255, 255, 0), (0, 0, 0, 255)]):
        image.putpixel((x, 0), ink)
    for name in ("a.tif", "a.jpg"):
        image.resize((64, 16), PILImage.Resampling.NEAREST).save(tmp_path / name, icc_profile=cmyk_profile(), quality=100)
        picture = io.load(tmp_path / name)
        means = picture.image[0, :, 4:12, 8::16]
        assert means.mean(1).std(0).max() < 0.02  # gray, as the profile says: not cyan
        assert means.mean((0, 1)).tolist() == pytest.approx([1, 0.74, 0.23, 0], abs=0.05)
        assert picture.icc is None


def with_tables():
    """A matrix profile that has a (damaged) table too: its matrix must not be used."""
    names = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, ADOBE), strict=True))
    return profile(b"RGB ", {**names, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(2.2)), b"A2B0": b"mft9" + b"\0" * 40})


@pytest.mark.parametrize("data", [b"no profile", with_tables(), profile(b"CMYK", {}), icc.srgb()[:200], b"\0" * 200])
def test_profiles_that_cannot_be_used_are_logged_and_passed_over(tmp_path, data, caplog):
    PILImage.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=data)
    assert np.array_equal(io.load(tmp_path / "a.png").numpy(8), PIXELS)
    assert "profile" in caplog.text


def test_deep_pictures_keep_a_profile_of_tables(tmp_path, caplog):
    deep, data = PIXELS.astype(np.uint16) * 257, with_tables()
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extratags=[(34675, 7, len(data), data, True)])
    picture = io.load(tmp_path / "a.tif")
    assert "kept" in caplog.text
    assert picture.icc == data
    for name in ("b.tif", "b.png"):
        again = io.load(io.save(picture, tmp_path / name))
        assert again.icc == data
        assert np.array_equal(again.numpy(16), deep)
