"""EXR: scene-linear light, its range, and what else such a file holds."""

import numpy as np
import OpenImageIO as oiio
import pytest
import skimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UnfitPicture
from impasto.pixels import exr, io

RANDOM = np.random.default_rng(0)


def write(path, parts):
    """Parts: (channel names, formats, pixels, attributes)."""
    specs = []
    for names, formats, pixels, attributes in parts:
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(names), formats[0])
        spec.channelnames = names
        spec.channelformats = tuple(oiio.TypeDesc(kind) for kind in formats)
        spec.x, spec.y, spec.full_width, spec.full_height = 3, 2, 40, 50
        for key, value in attributes.items():
            spec.attribute(key, value)
        specs.append(spec)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), tuple(specs) if len(specs) > 1 else specs[0]), output.geterror()
    for number, (spec, part) in enumerate(zip(specs, parts, strict=True)):
        assert number == 0 or output.open(str(path), spec, "AppendSubimage")
        assert output.write_image(np.ascontiguousarray(part[2], np.float64))
    assert output.close()


def read(path, part=0):
    source = oiio.ImageInput.open(str(path))
    spec = source.spec(part, 0).copy()
    pixels = source.read_image(part, 0, 0, spec.nchannels, "float")
    source.close()
    return spec, pixels


def simple(path, pixels, names="RGBA", kind="float", **attributes):
    write(path, [(tuple(names), (kind,) * len(names), pixels, attributes)])
    return path


@given(st.floats(1, 1e5), st.floats(0, 1))
def test_the_shoulder_is_undone(peak, share):
    x = np.array([share * peak, share, peak, 0.0])
    y = exr.shoulder(x, peak)
    assert (y >= 0).all()
    assert (y <= 1 + 1e-12).all()
    assert y[2] == pytest.approx(1)
    np.testing.assert_allclose(exr.unshoulder(y, peak), x, rtol=1e-6, atol=1e-9)


def test_the_shoulder_is_smooth_and_leaves_the_picture_below_it():
    x = np.linspace(0, 50, 100001)
    y = exr.shoulder(x, 50)
    assert np.array_equal(y[x <= exr.KNEE], x[x <= exr.KNEE])
    slope = np.diff(y) / np.diff(x)
    assert (slope > 0).all()
    assert (np.diff(slope) < 1e-9).all()  # it only ever gets flatter
    assert slope[x[1:] > exr.KNEE][0] > 0.99  # and not at once
    assert np.array_equal(exr.shoulder(x[x <= 1], 1), x[x <= 1])


def test_scene_linear_becomes_srgb(tmp_path):
    picture = io.load(simple(tmp_path / "a.exr", np.full((4, 5, 3), 0.18), "RGB"))
    assert picture.linear
    assert picture.bits == 32
    linear = skimage.img_as_float(picture.numpy())
    assert linear == pytest.approx(1.055 * 0.18 ** (1 / 2.4) - 0.055, abs=1e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [("half", 0), ("float", 1e-5)])
@pytest.mark.parametrize("top", [1, 12.5, 400])
def test_an_unchanged_scene_comes_back(tmp_path, kind, tolerance, top):
    """Half exactly; float up to the rounding of the float32 picture in between."""
    pixels = RANDOM.random((30, 31, 4)) * [top, top, top, 1]
    pixels[:3] *= 0.01
    pixels[..., 3] = pixels[..., 3] * 0.9 + 0.1
    pixels[5:8, :, 3], pixels[8:11, :, 3] = 0, 1
    peak = (pixels[..., :3].max(-1) / np.where(pixels[..., 3] > 0, pixels[..., 3], 1)).max()
    assert top == 1 or peak > 2 * top
    source = simple(tmp_path / "a.exr", pixels, kind=kind)
    target = io.save(io.load(source), tmp_path / "b.exr")
    spec, found = read(target)
    assert str(spec.format) == kind
    wanted = read(source)[1]
    error = np.abs(found - wanted) / np.maximum(wanted, 1e-3)
    assert error.max() <= tolerance


def test_all_channels_parts_and_metadata_are_kept(tmp_path):
    main = RANDOM.random((12, 13, 7))
    main[..., 5] = RANDOM.integers(0, 2**23, (12, 13)) / (2**32 - 1)
    main[..., 6] = RANDOM.random((12, 13)) * 1e6
    names, formats = ("R", "G", "B", "A", "Z", "id", "motion.X"), ("half",) * 4 + ("float", "uint", "float")
    normals = (("N.X", "N.Y", "N.Z"), ("float",) * 3, RANDOM.random((12, 13, 3)) - 0.5, {"oiio:subimagename": "normals"})
    described = {"oiio:subimagename": "beauty", "comments": "take 3", "compression": "piz", "shot": "a12", "impasto": "old"}
    write(tmp_path / "a.exr", [(names, formats, main, described), normals])
    picture = io.load(tmp_path / "a.exr")
    io.save(picture.with_image(1 - picture.image), tmp_path / "b.exr", recipe={"a": 1})
    for part in (0, 1):
        old, new = read(tmp_path / "a.exr", part), read(tmp_path / "b.exr", part)
        kept = slice(3, None) if part == 0 else slice(None)
        assert np.array_equal(old[1][..., kept], new[1][..., kept])
        assert old[0].channelnames == new[0].channelnames
        assert list(map(str, old[0].channelformats)) == list(map(str, new[0].channelformats))
        assert [getattr(new[0], key) for key in ("x", "y", "full_width", "full_height")] == [3, 2, 40, 50]
        attributes = {a.name: a.value for a in old[0].extra_attribs} | ({"impasto": '{"a": 1}'} if part == 0 else {})
        assert {a.name: a.value for a in new[0].extra_attribs} == attributes
    assert np.abs(read(tmp_path / "a.exr")[1][..., :3] - read(tmp_path / "b.exr")[1][..., :3]).max() > 0.1


def test_another_size_resamples_the_other_channels_without_mixing(tmp_path):
    pixels = np.zeros((10, 10, 4))
    pixels[..., 3] = np.arange(10)[:, None] * 7
    picture = io.load(simple(tmp_path / "a.exr", pixels, ("R", "G", "B", "Z")))
    for size in [(20, 25), (5, 4), (3, 30)]:
        spec, found = read(io.save(picture.with_image(torch.rand(1, 3, *size)), tmp_path / "b.exr", force=True))
        assert found.shape == (*size, 4)
        assert [spec.x, spec.y, spec.full_width, spec.full_height] == [0, 0, size[1], size[0]]
        assert set(np.unique(found[..., 3])) <= set(np.arange(10) * 7.0)
        assert (np.diff(found[:, 0, 3]) >= 0).all()
    assert np.array_equal(
        read(io.save(picture.with_image(torch.rand(1, 3, 20, 20)), tmp_path / "c.exr"))[1][::2, ::2, 3], pixels[..., 3]
    )


def test_light_without_cover_stays(tmp_path):
    """A glow: color where alpha is 0. It cannot be painted, and must not be lost."""
    pixels = np.full((4, 4, 4), 0.5)
    pixels[:2, :, 3] = 0
    picture = io.load(simple(tmp_path / "a.exr", pixels))
    black = picture.with_image(torch.zeros(1, 3, 4, 4))
    found = read(io.save(black, tmp_path / "b.exr"))[1]
    assert np.array_equal(found[:2], pixels[:2])
    assert found[2:, :, :3].max() == 0


def test_alpha_is_premultiplied_in_the_file_and_straight_in_memory(tmp_path):
    pixels = np.full((4, 4, 4), 0.25)
    picture = io.load(simple(tmp_path / "a.exr", pixels))
    assert picture.image.min() == pytest.approx(1)
    assert picture.alpha.min() == 0.25
    fresh = io.load(np.full((4, 4, 4), 128, np.uint8))
    found = read(io.save(fresh, tmp_path / "b.exr", bits=32))[1]
    linear = ((128 / 255 + 0.055) / 1.055) ** 2.4
    np.testing.assert_allclose(found[0, 0], [linear * 128 / 255] * 3 + [128 / 255], rtol=1e-6)


def test_values_below_zero_and_such_that_are_not_numbers(tmp_path, caplog):
    pixels = np.full((2, 2, 3), 0.5)
    pixels[0, 0], pixels[0, 1], pixels[1, 0] = -0.5, np.nan, np.inf
    picture = io.load(simple(tmp_path / "a.exr", pixels, "RGB"))
    assert "taken as 0" in caplog.text
    assert picture.image[0, 0].flatten().tolist() == pytest.approx([0, 0, 1, 0.735357], abs=1e-5)


def test_layers_and_luminance(tmp_path):
    pixels = RANDOM.random((5, 6, 4))
    picture = io.load(simple(tmp_path / "a.exr", pixels, ("Z", "beauty.R", "beauty.G", "beauty.B")))
    assert torch.equal(picture.image, io.load(simple(tmp_path / "b.exr", pixels[..., 1:], "RGB")).image)
    found = read(io.save(picture, tmp_path / "c.exr"))
    assert set(found[0].channelnames) == {"Z", "beauty.R", "beauty.G", "beauty.B"}
    gray = io.load(simple(tmp_path / "d.exr", pixels[..., :2], ("Y", "Z"), kind="half"))
    assert torch.equal(gray.image[:, 0], gray.image[:, 2])
    spec, found = read(io.save(gray.with_image(torch.zeros(1, 3, 5, 6)), tmp_path / "e.exr"))
    assert spec.channelnames == ("R", "G", "B", "Z")
    assert np.array_equal(found[..., 3], read(tmp_path / "d.exr")[1][..., 1])
    with pytest.raises(UnfitPicture, match="it has Z, N"):
        io.load(simple(tmp_path / "f.exr", pixels[..., :2], ("Z", "N")))


def test_alpha_can_be_added_to_a_scene(tmp_path):
    picture = io.load(simple(tmp_path / "a.exr", RANDOM.random((5, 6, 4)), ("R", "G", "B", "Z")))
    alpha = torch.full((1, 1, 5, 6), 0.5)
    again = io.load(io.save(picture.with_image(picture.image, alpha), tmp_path / "b.exr"))
    assert torch.equal(again.alpha, alpha)
    assert torch.allclose(again.image, picture.image, atol=1e-6)
    assert "Z" in again.scene.parts[0].spec.channelnames


@pytest.mark.parametrize(("bits", "wanted", "kind"), [(8, None, "half"), (16, None, "float"), (8, 32, "float"), (16, 16, "half")])
def test_depth_of_a_fresh_file(tmp_path, bits, wanted, kind):
    source = RANDOM.integers(0, 2**bits, (20, 21, 3), dtype=f"uint{bits}")
    picture = io.load(source)
    path = io.save(picture, tmp_path / "a.exr", bits=wanted)
    assert str(read(path)[0].format) == kind
    assert np.abs(io.load(path).numpy() - picture.numpy()).max() < (1e-6 if kind == "float" else 5e-4)
    assert kind == "half" or np.array_equal(io.load(path).numpy(bits), source)


def test_bits_overrule_the_scenes_format(tmp_path):
    picture = io.load(simple(tmp_path / "a.exr", RANDOM.random((5, 6, 3)), "RGB", kind="half"))
    assert str(read(io.save(picture, tmp_path / "b.exr", bits=32))[0].format) == "float"


def test_a_scene_as_png_has_16_bits(tmp_path):
    picture = io.load(simple(tmp_path / "a.exr", RANDOM.random((5, 6, 3)) * 9, "RGB"))
    again = io.load(io.save(picture, tmp_path / "a.png"))
    assert again.bits == 16
    assert (again.image - picture.image).abs().max() < 1 / 65535


def test_other_primaries_and_large_integers_are_logged(tmp_path, caplog):
    pixels = np.zeros((2, 2, 4))
    pixels[..., 3] = 0.9
    write(tmp_path / "a.exr", [(("R", "G", "B", "id"), ("half",) * 3 + ("uint",), pixels, {})])
    io.load(tmp_path / "a.exr")
    assert "in id are rounded" in caplog.text
    spec = oiio.ImageSpec(2, 2, 3, "half")
    spec.attribute("chromaticities", "float[8]", (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767))
    output = oiio.ImageOutput.create(str(tmp_path / "b.exr"))
    assert output.open(str(tmp_path / "b.exr"), spec)
    assert output.write_image(np.zeros((2, 2, 3), np.float32))
    assert output.close()
    picture = io.load(tmp_path / "b.exr")
    assert "primaries" in caplog.text
    assert read(io.save(picture, tmp_path / "c.exr"))[0].getattribute("chromaticities")[0] == pytest.approx(0.7347)
