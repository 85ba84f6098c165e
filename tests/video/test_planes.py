"""YUV to RGB and back against the equations in float64 and against FFmpeg's own scaler."""

import av
import numpy as np
import pytest
import torch

from impasto.video import planes
from impasto.video.frame import Colors
from impasto.video.planes import Layout

LAYOUTS = ["yuv420p", "yuv422p10le", "yuv444p12le", "yuv440p", "gbrp", "gbrp16le", "gray", "gray10le", "yuva444p10le", "gbrap"]


def test_the_matrix_is_the_one_of_h273_in_float64():
    random = np.random.default_rng(0)
    for matrix, (kr, kb) in planes.WEIGHTS.items():
        for full in (False, True):
            code = [random.integers(64, 900, (4, 6)) for _ in range(3)]
            found = planes.to_rgb([torch.from_numpy(c.astype(np.float32)) for c in code], Layout("yuv444p10le", 10), matrix, full)
            y, cb, cr = (code[0] - 64) / 876, (code[1] - 512) / 896, (code[2] - 512) / 896
            if full:
                y, cb, cr = code[0] / 1023, (code[1] - 512) / 1023, (code[2] - 512) / 1023
            equations = np.array([[kr, 1 - kr - kb, kb], *([[-kr, kr + kb - 1, 1 - kb]]), [1 - kr, kr + kb - 1, -kb]])
            equations[1] /= 2 - 2 * kb
            equations[2] /= 2 - 2 * kr
            rgb = np.linalg.inv(equations) @ np.stack([y, cb, cr]).reshape(3, -1)
            assert np.abs(found[0].numpy().reshape(3, -1) - rgb.clip(0, 1)).max() < 1e-5


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", planes.WEIGHTS)
def test_gray_scale_is_gray_and_black_and_white_are_at_their_codes(matrix, full):
    layout = Layout("yuv444p", 8)
    gray = torch.linspace(0, 1, 256).expand(1, 3, 2, 256)
    luma, cb, cr = planes.from_rgb(gray, layout, matrix, full)
    assert (luma.min(), luma.max()) == ((0, 255) if full else (16, 235))
    assert cb.unique().tolist() == cr.unique().tolist() == [128]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("size", [(16, 24), (15, 23)], ids=["even", "odd"])
def test_what_is_encoded_is_decoded(name, size):
    layout = planes.layout_of(av.VideoFormat(name, *size[::-1]))
    assert layout.name == name
    random = torch.Generator().manual_seed(2)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 2, 2, generator=random), size, mode="bilinear", align_corners=True)
    if layout.gray:
        image = image[:, :1].expand(1, 3, *size)
        frame = av.VideoFrame(size[1], size[0], name)
        values = (image[0, 0] * layout.top).round().numpy()
        planes._view(frame.planes[0], layout.bits > 8)[:, : size[1]] = values
        colors = Colors(2, 1)
    else:
        colors = Colors(2, 0) if layout.rgb else Colors(1, 1)
        alpha = torch.rand(1, 1, *size, generator=random) if layout.alpha else None
        frame = planes.encoded(image, alpha, layout, colors)
    found, mask, again = planes.decoded(frame, colors)
    assert again == layout
    assert found.shape == (1, 3, *size)
    error, coarse = (found - image).abs(), (layout.across, layout.down) != (1, 1)
    assert float(error[..., 2:-2, 2:-2].max()) < (0.016 if coarse else 2.6 / layout.top)
    assert float(error.max()) < (0.05 if coarse else 2.6 / layout.top)  # chroma goes on evenly beyond the border
    assert (mask is not None) == layout.alpha
    if mask is not None:
        assert float((mask - alpha).abs().max()) <= 0.51 / layout.top


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "nv12", "p010le", "yuyv422", "uyvy422", "rgb24", "bgra", "pal8", "yuv411p"]
)
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_ffmpeg_sees_the_same(name, matrix):
    y, x = np.mgrid[:32, :64]
    picture = np.stack([128 + 80 * np.sin(x / 11), 128 + 80 * np.cos(y / 9), 90 + x + y / 2], -1).round().astype(np.uint8)
    if name == "pal8":
        picture = picture // 64 * 85
    source = av.VideoFrame.from_ndarray(picture, "rgb24")
    yuv = {"dst_colorspace": matrix, "dst_color_range": 1}
    frame = paletted(picture) if name == "pal8" else source.reformat(format=name, **yuv)
    rgb = frame.format.is_rgb or name == "pal8"
    found, _, _ = planes.decoded(frame, Colors(2, 0) if rgb else Colors(1, matrix))
    error = np.abs(found[0].permute(1, 2, 0).numpy() - picture / 255.0)
    assert error.mean() < (1e-6 if rgb else 0.008)
    assert error.max() < (1e-6 if rgb else 0.05)


def paletted(picture):
    colors, places = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    frame = av.VideoFrame(64, 32, "pal8")
    table = np.zeros((256, 4), np.uint8)
    table[: len(colors), :3], table[:, 3] = colors[:, ::-1], 255
    frame.planes[0].update(places.reshape(32, 64).astype(np.uint8).tobytes())
    frame.planes[1].update(table.tobytes())
    return frame


def test_chroma_is_sited_at_the_left():
    """A step of color between two columns stays between them, where centered chroma would move it by half a pixel."""
    layout = Layout("yuv420p", 8, across=2, down=2)
    blue = torch.linspace(0, 1, 32).expand(16, 32)
    image = torch.stack([torch.full((16, 32), 0.5), torch.full((16, 32), 0.5), blue])[None]
    _, cb, _ = planes.from_rgb(image, layout, 1, False)
    exact = (blue[0] - (0.5 * (1 - 0.0722) + 0.0722 * blue[0])) / (2 - 2 * 0.0722) * 224 + 128
    assert float((cb[3, 1:-1] - exact[2:-2:2]).abs().max()) <= 0.51


def test_a_matrix_that_is_not_named_goes_by_size():
    sizes = {(480, 720): planes.BT601, (576, 720): planes.BT601, (720, 1280): planes.BT709, (534, 1280): planes.BT709}
    assert {size: planes.matrix_of(Colors(), *size) for size in sizes} == sizes
    assert planes.matrix_of(Colors(matrix=9), 480, 720) == 9
