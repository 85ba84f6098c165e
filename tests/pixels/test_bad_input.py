"""What is damaged, wrong or in the way ends in one clear line, and nothing is lost by it."""

import builtins
import errno
import importlib
import os
import resource
import struct
import sys
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from impasto.errors import ImpastoError, MissingExtra, OutputError, OutputExists, UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels import deep, io, png, raster, recipe, writers

RANDOM = np.random.default_rng(0)
PICTURE = io.load(RANDOM.integers(0, 65536, (20, 21, 4), dtype=np.uint16))
KINDS = [
    (".png", 8),
    (".png", 16),
    (".tif", 8),
    (".tif", 16),
    (".tif", 32),
    (".jpg", 8),
    (".webp", 8),
    (".exr", 16),
    (".exr", 32),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of a good file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    return [
        (suffix, io.save(PICTURE, folder / f"{bits}{suffix}", bits=bits, recipe={"a": 1}).read_bytes()) for suffix, bits in KINDS
    ]


def survives(path: Path) -> bool:
    """Whether a file loads; all that may be raised is ours, in one line."""
    load = partial(io.load, max_pixels=10**6)  # a few bytes can claim to be a picture of hundreds of megapixels
    good = False
    for function in (load, io.probe, recipe.read):
        try:
            function(path)
            good = good or function is load
        except ImpastoError as error:
            if "\n" in str(error):
                pytest.fail(f"more than one line: {error}")
    return good


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.exr", "a"])
def test_missing_empty_text_and_folder(tmp_path, name):
    path = tmp_path / name
    for function in (io.load, io.probe, recipe.read):
        with pytest.raises(UnreadablePicture, match="no picture at"):
            function(path)
        path.mkdir()
        with pytest.raises(UnreadablePicture, match="is a folder"):
            function(path)
        path.rmdir()
        path.touch()
        with pytest.raises(UnreadablePicture, match="is empty"):
            function(path)
        path.write_text("Dear diary, today I painted a house.\n" * 20)
        with pytest.raises(UnreadablePicture, match="not a picture"):
            function(path)
        path.unlink()


def test_odd_paths():
    with pytest.raises(UnreadablePicture):
        io.load("a\0b.png")
    with pytest.raises(UnreadablePicture):
        io.load("x" * 5000)
    with pytest.raises(UsageError, match="int is not a picture"):
        io.load(3)


def test_empty_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", type("Stream", (), {"buffer": BytesIO()})())
    with pytest.raises(UnreadablePicture, match="stdin is empty"):
        io.load("-")


def test_every_file_cut_in_half_is_refused(files, tmp_path):
    for suffix, data in files:
        path = tmp_path / f"half{suffix}"
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(UnreadablePicture, match="damaged"):
            io.load(path)


def test_a_damaged_name_of_a_chunk_is_noticed(tmp_path):
    """Pillow notices this one only at the second attempt to load."""
    path = io.save(PICTURE, tmp_path / "a.png", bits=8)
    path.write_bytes(path.read_bytes().replace(b"IEND", b"I\0ND"))
    for _ in range(2):
        survives(path)


def test_a_damaged_exif_block_is_no_reason_to_refuse_a_picture(tmp_path):
    for block in (b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01", b"garbage", b""):
        with (tmp_path / "a.png").open("wb") as file:
            png.write(file, np.full((2, 2, 3), 255, np.uint8), [(b"eXIf", block)])
        picture = io.load(tmp_path / "a.png")
        assert picture.image.min() == 1
        io.save(picture, tmp_path / "b.jpg", force=True)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_picture_larger_than_memory(tmp_path, monkeypatch, bits):
    def exhausted(*_, **__):
        raise MemoryError

    path = io.save(PICTURE, tmp_path / "a.tif", bits=bits)
    monkeypatch.setattr(raster, "_eight_bits", exhausted)
    monkeypatch.setattr(deep, "read_pixels", exhausted)
    with pytest.raises(UnfitPicture, match="memory"):
        io.load(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_raise_only_ours(files, tmp_path, data):
    suffix, good = data.draw(st.sampled_from(files))
    cut = data.draw(st.integers(1, len(good)))
    damaged = bytearray(good[:cut])
    reach = data.draw(st.sampled_from([min(200, cut), cut]))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, reach - 1), st.integers(0, 255)), max_size=5)):
        damaged[place] = value
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(damaged)
    survives(path)


HEADS = [
    b"",
    png.SIGNATURE,
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"v/1\x01\x02\0\0\0",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"BM",
    b"P6\n",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(HEADS), st.binary(min_size=1, max_size=300), st.sampled_from([".png", ".tga", ".exr", ".jpg"]))
def test_random_bytes_raise_only_ours(tmp_path, head, body, suffix):
    path = tmp_path / f"random{suffix}"
    path.write_bytes(head + body)
    survives(path)


def test_a_picture_too_large_is_refused_before_it_is_decoded(tmp_path):
    """A header of 60000 x 60000 px, which would need 43 GB, and a few bytes of data."""
    for color_type, bits in [(2, 8), (2, 16), (0, 16)]:
        header = struct.pack(">IIBBBBB", 60000, 60000, bits, color_type, 0, 0, 0)
        file = BytesIO()
        file.write(png.SIGNATURE)
        for kind, data in [(b"IHDR", header), (b"IDAT", b"x\x9c\x03\0\0\0\0\x01"), (b"IEND", b"")]:
            png.write_chunk(file, kind, data)
        path = tmp_path / "bomb.png"
        path.write_bytes(file.getvalue())
        with pytest.raises(UnfitPicture, match=r"60000 x 60000 px, 400 megapixels"):
            io.load(path)


@pytest.mark.parametrize(("suffix", "bits"), KINDS)
def test_the_limit_of_pixels_holds_for_every_kind(tmp_path, suffix, bits):
    path = io.save(PICTURE, tmp_path / f"a{suffix}", bits=bits)
    with pytest.raises(UnfitPicture, match="21 x 20 px"):
        io.load(path, max_pixels=419)
    io.load(path, max_pixels=420)


def test_the_limit_of_pixels_holds_in_memory():
    for source in (np.zeros((20, 21, 3), np.uint8), torch.zeros(3, 20, 21), PILImage.new("L", (21, 20))):
        with pytest.raises(UnfitPicture, match="too large"):
            io.load(source, max_pixels=419)


def test_pillows_own_limit_is_ours_and_is_put_back(tmp_path, monkeypatch):
    path = io.save(PICTURE, tmp_path / "a.jpg")
    monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", 100)
    io.load(path)
    assert PILImage.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0), np.uint8),
        np.zeros((5, 5, 2), np.uint8),
        np.zeros((2, 5, 5, 3), np.uint8),
        np.zeros(5),
        np.zeros((5, 5, 3), np.int64),
        np.full((5, 5, 3), 255.0),
        np.full((5, 5, 3), -0.5),
        np.full((5, 5), np.nan),
        np.full((5, 5), np.inf),
        np.zeros((5, 5, 3), complex),
        torch.zeros(2, 3, 5, 5),
        torch.zeros(5, 5, 3),
        torch.zeros(5, 5),
        torch.zeros(3, 0, 5),
        torch.full((3, 5, 5), 128.0),
        PILImage.new("RGB", (0, 0)),
        PILImage.fromarray(np.array([[70000]], np.int32)),
    ],
)
def test_what_cannot_be_a_picture_is_unfit(source):
    with pytest.raises(UnfitPicture):
        io.load(source)


def test_rounding_beyond_the_range_is_forgiven():
    assert io.load(np.full((2, 2), 1.0005)).image.max() == 1


@pytest.fixture
def without_openimageio(monkeypatch):
    def missing(name, *rest):
        if name == "OpenImageIO":
            raise ImportError(name)
        return original(name, *rest)

    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", missing)


def test_depth_is_never_lost_in_silence(tmp_path, without_openimageio):
    for suffix in (".png", ".tif"):
        path = io.save(PICTURE, tmp_path / f"a{suffix}", recipe={"a": 1})  # writing needs nothing
        with pytest.raises(MissingExtra, match=r"impasto\[pro\]"):
            io.load(path)
        assert recipe.read(path) == {"a": 1}
    for check in (io.check_output, lambda path: io.save(PICTURE, path)):
        with pytest.raises(MissingExtra, match="writing EXR"):
            check(tmp_path / "a.exr")
    gray = np.array([[7, 60000]], np.uint16)
    PILImage.fromarray(gray).save(tmp_path / "gray.png")
    assert np.array_equal(io.load(tmp_path / "gray.png").numpy(16)[..., 0], gray)


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("precious")
    for attempt in (lambda: io.save(PICTURE, path), lambda: io.check_output(path)):
        with pytest.raises(OutputExists, match="--force"):
            attempt()
    assert path.read_text() == "precious"
    io.check_output(path, force=True)
    io.save(PICTURE, path, force=True)
    assert io.load(path).size == (20, 21)
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    monkeypatch.setattr(writers, "write", lambda *_: path.write_text("precious"))
    with pytest.raises(OutputExists):
        io.save(PICTURE, path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["a", "a.gif", "a.pngx", "a.JXL"])
def test_unknown_formats(tmp_path, name):
    for attempt in (io.check_output, lambda path: io.save(PICTURE, path)):
        with pytest.raises(UsageError, match=r"cannot be written as .*\.png"):
            attempt(tmp_path / name)


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    for attempt in (io.check_output, lambda path: io.save(PICTURE, path)):
        with pytest.raises(OutputError, match="is a folder"):
            attempt(tmp_path / "folder.png")
        with pytest.raises(OutputError, match="no folder"):
            attempt(tmp_path / "none" / "a.png")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"):
        io.check_output(tmp_path / "a.png")


def test_depths_and_qualities_that_do_not_exist(tmp_path):
    with pytest.raises(UsageError, match=r"16 bits cannot be written as \.jpg: it holds 8"):
        io.save(PICTURE, tmp_path / "a.jpg", bits=16)
    with pytest.raises(UsageError, match="10 bits"):
        io.check_output(tmp_path / "a.png", bits=10)
    for quality in (0, 101):
        with pytest.raises(UsageError, match="quality"):
            io.save(PICTURE, tmp_path / "a.jpg", quality=quality)
    assert os.listdir(tmp_path) == []


def test_no_picture_goes_to_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", type("Stream", (), {"buffer": BytesIO(), "isatty": lambda self: True})())
    with pytest.raises(UsageError, match="terminal"):
        io.save(PICTURE, "-")


def test_values_that_are_not_numbers_are_not_written(tmp_path):
    with pytest.raises(OutputError, match="not numbers"):
        io.save(PICTURE.with_image(torch.full((1, 3, 4, 4), torch.nan)), tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".exr"])
def test_a_full_disk_leaves_nothing_behind_and_the_old_file_as_it_was(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("precious")
    large = io.load(RANDOM.integers(0, 256, (400, 400, 3), dtype=np.uint8))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot write") as caught:
            io.save(large, path, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == [path.name]


def test_no_space_is_said_in_plain_words(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(png, "write", full)
    with pytest.raises(OutputError, match=r"cannot write .*a\.png: No space left on device"):
        io.save(PICTURE, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(file, *_, **__):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(png, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        io.save(PICTURE, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "b.dat", tmp_path / "a.png"
    target.write_text("old")
    link.symlink_to(target)
    io.save(PICTURE, link, force=True)
    assert link.is_symlink()
    assert io.load(target).size == (20, 21)


def test_nothing_here_prints(files, tmp_path, monkeypatch):
    monkeypatch.setattr(builtins, "print", lambda *_: pytest.fail("printed"))
    for suffix, data in files:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data)
        assert survives(path)
