"""How large models and clips may be, found out before anything in them is decoded."""

import json
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PILImage

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto.errors import UnfitPicture, UnreadablePicture
from impasto.pixels import io
from impasto.studio import limits, model, video
from impasto.studio.job import Wrong

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4")


def glb(path, pictures=(), nodes=1, **changed):
    """A triangle as GLB with pictures in it; `changed`: entries of its JSON."""
    data, views = b"", []
    for each in (TRIANGLE.tobytes(), *pictures):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(each)})
        data += each + bytes(-len(each) % 4)
    told = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(data)}],
        "bufferViews": views,
        "accessors": [{"bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 3}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [{"mesh": 0}] * nodes,
        "scenes": [{"nodes": list(range(nodes))}],
        "images": [{"bufferView": 1 + k, "mimeType": "image/png"} for k in range(len(pictures))],
        **changed,
    }
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return str(path)


def png(width, height):
    file = BytesIO()
    PILImage.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def undecoded(monkeypatch):
    """Nothing may be decoded."""
    monkeypatch.setattr(io, "load", lambda *_, **__: pytest.fail("it was decoded"))


def test_a_model_within_the_limits(tmp_path, undecoded):
    limits.check_model(glb(tmp_path / "a.glb", [png(8, 8)]))


@pytest.mark.parametrize("limit", ["PIXELS", "TEXTURES"])
def test_texture_maps_are_limited(tmp_path, undecoded, monkeypatch, limit):
    monkeypatch.setattr(limits, limit, 700)
    limits.check_model(glb(tmp_path / "a.glb", [png(20, 30)]))
    pictures = {"PIXELS": [png(30, 30)], "TEXTURES": [png(20, 30), png(11, 11)]}[limit]
    with pytest.raises(UnfitPicture, match="megapixels are the limit"):
        limits.check_model(glb(tmp_path / "b.glb", pictures))


def test_a_picture_that_cannot_be_read_is_none(tmp_path):
    limits.check_model(glb(tmp_path / "a.glb", [b"words"]))


def test_faces_are_counted_wherever_they_are_placed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FACES", 2)
    limits.check_model(glb(tmp_path / "a.glb", nodes=2))
    with pytest.raises(UnfitPicture, match="3 faces, 2 are the limit"):
        limits.check_model(glb(tmp_path / "b.glb", nodes=3))
    bomb = [{"componentType": 5126, "type": "VEC3", "count": 9_000_000}]
    with pytest.raises(UnfitPicture, match="3,000,000 faces"):
        limits.check_model(glb(tmp_path / "c.glb", accessors=bomb))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.obj", "v 0 0 0\n" * 6 + "f 1 2 3\n" + "f 1 2 3 4 5 6\n"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 9\nproperty float x\nelement face 5\nend_header\n"),
        ("a.stl", "solid a\n" + " facet normal 0 0 1\n endfacet\n" * 5),
    ],
)
def test_faces_of_other_formats(tmp_path, monkeypatch, name, text):
    (tmp_path / name).write_text(text)
    limits.check_model(str(tmp_path / name))
    monkeypatch.setattr(limits, "FACES", 4)
    with pytest.raises(UnfitPicture, match="5 faces, 4 are the limit"):
        limits.check_model(str(tmp_path / name))


def test_faces_of_a_binary_stl(tmp_path):
    (tmp_path / "a.stl").write_bytes(bytes(80) + struct.pack("<I", 7) + bytes(7 * 50))
    assert limits._stl(tmp_path / "a.stl") == 8  # the header counts as one


def test_a_damaged_model_is_said_to_be_one(tmp_path):
    with pytest.raises(UnreadablePicture, match="damaged"):
        limits.check_model(glb(tmp_path / "a.glb", meshes=[{"primitives": [{}]}]))


def test_the_tab_says_it_beside_the_field(desk, tmp_path, monkeypatch):
    pytest.importorskip("trimesh")
    monkeypatch.setattr(limits, "FACES", 2)
    with pytest.raises(Wrong, match=r"^b\.glb has 3 faces, 2 are the limit: make it simpler first$") as error:
        model.begin(desk, glb(tmp_path / "b.glb", nodes=3), [], [], "", 128, 1, "draft", "off", 0)
    assert error.value.field == "model"


@pytest.fixture
def clip(tmp_path):
    """Four seconds of 64 x 48 px, two frames each."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode())
    return str(tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("PIXELS", 64 * 48 - 1, "is too large: 64 x 48 px"),
        ("MINUTES", 3 / 60, "is too long"),
        ("FRAMES", 7, "has more than 7 frames"),
    ],
)
def test_clips_are_limited(clip, desk, monkeypatch, limit, value, message):
    limits.check_clip(clip)
    monkeypatch.setattr(limits, limit, value)
    with pytest.raises(Wrong, match=f"^clip.mp4 {message}") as error:
        video.begin(desk, clip, [], [], "", 128, 1, "good", "fast", "off")
    assert error.value.field == "clip"


def test_no_frame_is_decoded_for_it(clip, monkeypatch):
    from impasto.video import read

    monkeypatch.setattr(read, "_decode", lambda *_: pytest.fail("it was decoded"))
    limits.check_clip(clip)


def test_what_is_no_clip_is_said_to_be_none(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_text("words")
    with pytest.raises(UnreadablePicture, match="not a clip"):
        limits.check_clip(str(tmp_path / "a.mp4"))
