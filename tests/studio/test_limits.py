"""How large models and clips may be, found out before anything in them is decoded."""

import json
import struct
from contextlib import nullcontext
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageFile

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto.errors import UnfitPicture, UnreadablePicture
from impasto.mesh import files, gltf, load, read_gltf
from impasto.pixels import io
from impasto.studio import limits, model, video
from impasto.studio.job import Wrong
from impasto.video import ffmpeg

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


def drawn(width, height, kind="PNG"):
    file = BytesIO()
    PILImage.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def undecoded(monkeypatch):
    """No picture may be decoded, neither by our loader nor by Pillow's."""
    for place in (io, ImageFile.ImageFile):
        monkeypatch.setattr(place, "load", lambda *_, **__: pytest.fail("it was decoded"))


def test_a_model_within_the_limits(tmp_path, undecoded):
    limits.check_model(glb(tmp_path / "a.glb", [drawn(8, 8)]))


@pytest.mark.parametrize("limit", ["PIXELS", "TEXTURES"])
def test_texture_maps_are_limited(tmp_path, undecoded, monkeypatch, limit):
    monkeypatch.setattr(limits, limit, 700)
    limits.check_model(glb(tmp_path / "a.glb", [drawn(20, 30)]))
    pictures = {"PIXELS": [drawn(30, 30)], "TEXTURES": [drawn(20, 30), drawn(11, 11)]}[limit]
    with pytest.raises(UnfitPicture, match="megapixels are the limit"):
        limits.check_model(glb(tmp_path / "b.glb", pictures))


def test_a_picture_that_cannot_be_read_is_none(tmp_path):
    limits.check_model(glb(tmp_path / "a.glb", [b"words"]))


@pytest.mark.parametrize("kind", ["TGA", "DDS"])
def test_a_map_that_is_not_counted_is_not_loaded_either(tmp_path, undecoded, monkeypatch, kind):
    monkeypatch.setattr(limits, "PIXELS", 700)
    path = glb(tmp_path / "a.glb", [drawn(30, 30, kind)])
    limits.check_model(path)
    assert files.picture(read_gltf.image_bytes(gltf.read(tmp_path / "a.glb"), 0), path) is None


@pytest.mark.parametrize("name", ["map.tga", "map.png"])
def test_maps_beside_a_model_are_limited(tmp_path, undecoded, monkeypatch, name):
    (tmp_path / name).write_bytes(drawn(30, 30, name[-3:]))
    path = glb(tmp_path / "a.glb", images=[{"uri": name}, {"uri": "gone.png"}])
    limits.check_model(path)
    monkeypatch.setattr(limits, "PIXELS", 700)
    with pytest.raises(UnfitPicture, match="picture 0 is too large"):
        limits.check_model(path)


def test_faces_are_counted_wherever_they_are_placed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FACES", 2)
    limits.check_model(glb(tmp_path / "a.glb", nodes=2))
    with pytest.raises(UnfitPicture, match="3 faces, 2 are the limit"):
        limits.check_model(glb(tmp_path / "b.glb", nodes=3))
    bomb = [{"componentType": 5126, "type": "VEC3", "count": 9_000_000}]
    with pytest.raises(UnfitPicture, match="3,000,000 faces"):
        limits.check_model(glb(tmp_path / "c.glb", accessors=bomb))


@pytest.mark.parametrize(
    ("primitive", "faces"),
    [
        ({"attributes": {}}, 0),
        ({"attributes": {}, "indices": 1}, 0),
        ({"attributes": {"POSITION": 1}, "mode": 0}, 0),
        ({"attributes": {"POSITION": 1}, "mode": 3}, 0),
        ({"attributes": {"POSITION": 0}, "mode": 4}, 1),
        ({"attributes": {"POSITION": 1}, "mode": 5}, 7),
        ({"attributes": {"POSITION": 1}, "mode": 6}, 7),
    ],
)
def test_what_the_loader_leaves_out_beside_a_mesh_is_not_counted(tmp_path, primitive, faces):
    accessors = [
        {"bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 3},
        {"componentType": 5126, "type": "VEC3", "count": 9},
    ]
    path = glb(tmp_path / "a.glb", accessors=accessors, meshes=[{"primitives": [{"attributes": {"POSITION": 0}}, primitive]}])
    assert limits._gltf(tmp_path / "a.glb") == load.load(path).count == 1 + faces


OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
PLY = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
PLY += "element face 5\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n" + "3 0 1 2\n" * 5
STL = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n" * 5 + "endsolid a\n"
BINARY = struct.pack("<I", 5) + struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0) * 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.obj", OBJ + "f 1 2 3\nf 1 2 3 4 1 2\n"),
        ("indented.obj", OBJ + "  f 1 2 3\n\t f\t1 2 3 4 1 2 # a note\n"),
        ("other breaks.obj", OBJ + "f 1 2 3\rf 1 2 3\x0bf 1 2 3\u2028f 1 2 3\x85f 1 2 3"),
        ("joined.obj", OBJ + "f 1 2 \\\n3 4 \\\r\n1 2\n f 1 2 \\\n 3\\\n"),
        ("no faces but these.obj", OBJ + "#f 1 2 3\ng f 1 2 3\n" + "f 1 2 3\n" * 5),
        ("plain.ply", "ply\nformat ascii 1.0\n" + PLY),
        ("long comments.ply", "ply\nformat ascii 1.0\n" + f"comment {'x' * 70}\n" * 1000 + PLY),
        ("deceiving.ply", "ply\nformat ascii 1.0\ncomment element face 1\n" + PLY),
        ("plain.stl", "solid a\n" + STL),
        ("upper.stl", ("solid a\n" + STL).upper()),
        ("binary.stl", bytes(80) + BINARY),
        ("binary in words.stl", b"solid a facet".ljust(80) + BINARY),
    ],
)
def test_faces_of_other_formats_are_those_that_are_loaded(tmp_path, monkeypatch, name, text):
    pytest.importorskip("trimesh")
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    limits.check_model(str(tmp_path / name))
    assert load.load(tmp_path / name).count == 5
    monkeypatch.setattr(limits, "FACES", 4)
    with pytest.raises(UnfitPicture, match="5 faces, 4 are the limit"):
        limits.check_model(str(tmp_path / name))


@pytest.mark.parametrize(
    "text", ["words", "ply\nformat ascii 1.0\nelement face 5\n", "ply\nformat ascii 1.0\nelement face x\nend_header\n"]
)
def test_a_header_that_does_not_tell_is_refused(tmp_path, text):
    (tmp_path / "a.ply").write_text(text)
    with pytest.raises(UnreadablePicture, match="damaged"):
        limits.check_model(str(tmp_path / "a.ply"))


def test_a_damaged_model_is_said_to_be_one(tmp_path):
    with pytest.raises(UnreadablePicture, match="damaged"):
        limits.check_model(glb(tmp_path / "a.glb", meshes=[{"primitives": [{}]}]))


def test_the_tab_says_it_beside_the_field(desk, tmp_path, monkeypatch):
    pytest.importorskip("trimesh")
    monkeypatch.setattr(limits, "FACES", 2)
    with pytest.raises(Wrong, match=r"^b\.glb has 3 faces, 2 are the limit: make it simpler first$") as error:
        model.begin(desk, glb(tmp_path / "b.glb", nodes=3), [], [], "", 128, 1, "draft", "off", 0)
    assert error.value.field == "model"


def film(path):
    """Four seconds of 64 x 48 px, two frames each."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode())
    return str(path)


@pytest.fixture
def clip(tmp_path):
    return film(tmp_path / "clip.mp4")


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


def test_packets_that_tell_only_when_they_are_decoded_have_a_duration(monkeypatch):
    context, rate = SimpleNamespace(height=48, width=64), Fraction(2)
    stream = SimpleNamespace(codec_context=context, time_base=1 / rate, average_rate=rate, guessed_rate=rate)
    packets = [SimpleNamespace(size=9, pts=None, dts=number) for number in range(-2, 6)]
    monkeypatch.setattr(ffmpeg, "opened", lambda _: nullcontext(SimpleNamespace(demux=lambda _: packets)))
    monkeypatch.setattr(ffmpeg, "picture_stream", lambda *_: stream)
    monkeypatch.setattr(limits, "MINUTES", 3.5 / 60)
    limits.check_clip("clip.avi")
    monkeypatch.setattr(limits, "MINUTES", 3.4 / 60)
    with pytest.raises(UnfitPicture, match="is too long"):
        limits.check_clip("clip.avi")


def test_a_stream_without_times_has_a_duration(tmp_path, monkeypatch):
    path = film(tmp_path / "clip.h264")
    limits.check_clip(path)
    monkeypatch.setattr(limits, "MINUTES", 0.1 / 60)
    with pytest.raises(UnfitPicture, match="is too long"):
        limits.check_clip(path)


def decode(path):
    with ffmpeg.opened(path) as container:
        return [packet.decode() for packet in container.demux(video=0)]


def test_no_frame_is_decoded_for_it(clip):
    """Of a clip with a sound header over frames that cannot be decoded."""
    with open(clip, "r+b") as file:
        data = file.read()
        place = data.index(b"mdat")
        file.seek(place + 4)
        file.write(b"\xff" * (int.from_bytes(data[place - 4 : place], "big") - 8))
    limits.check_clip(clip)
    with pytest.raises(UnreadablePicture, match="damaged"):
        decode(Path(clip))


def test_what_is_no_clip_is_said_to_be_none(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_text("words")
    with pytest.raises(UnreadablePicture, match="not a clip"):
        limits.check_clip(str(tmp_path / "a.mp4"))
