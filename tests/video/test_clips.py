"""Clips through impasto and out again, judged by PyAV."""

import gc
import importlib.util
import logging
import pickle
import weakref
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from impasto.video import formats
from impasto.video.io import open_sink, open_source, probe, recipe
from impasto.video.read import ClipSource

spec = importlib.util.spec_from_file_location("video_clips", Path(__file__).with_name("conftest.py"))
clips = importlib.util.module_from_spec(spec)
spec.loader.exec_module(clips)

VFR = (0, 33, 66, 200, 210, 400, 433, 900)
QUICK = {"libx264": {"preset": "ultrafast"}, "libx265": {"preset": "ultrafast"}}


def through(source, path, change=lambda frame: frame, **settings):
    name = settings.get("codec") or formats.choose(path, None, source.clip)
    options = {**QUICK.get(formats.FORMATS[name].encoder, {}), **settings.pop("options", {})}
    with open_sink(path, like=source, options=options, **settings) as sink:
        for frame in source:
            sink.write(change(frame))
    return path


def stack(source):
    return torch.cat([frame.image for frame in source])


def test_frames_are_what_was_encoded(clip):
    source = open_source(clip("a.mp4", options={"qp": "0"}, layout="yuv444p", sound=False))
    wanted = np.stack(clips.colored(6)).astype(np.float32) / 255
    found = stack(source).permute(0, 2, 3, 1).numpy()
    assert source.clip.size == (48, 64)
    assert [frame.number for frame in source] == list(range(6))
    assert np.abs(found - wanted).max() < 3 / 255  # YUV in 8 bits holds RGB to about one step


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000)], ids=str)
def test_times_of_uneven_frames_sound_and_counts_are_exact(clip, tmp_path, base):
    path = clip("vfr.mp4", pts=VFR, base=base)
    out = through(open_source(path), tmp_path / "out.mp4")
    assert clips.times(out) == clips.times(path) == [pts * base for pts in VFR]
    assert clips.packets(out, "audio") == clips.packets(path, "audio")
    assert len(clips.packets(out, "audio")) >= 2
    last = [frame.duration for frame in open_source(path)][-1]
    assert [frame.duration for frame in open_source(out)][-1] == last


def test_a_clip_is_copied_into_every_container_with_its_sound(clip, tmp_path):
    path = clip("a.mp4")
    for name in ("out.mov", "out.mp4", "out.mkv"):
        out = through(open_source(path), tmp_path / name)
        shown = [b - a for a, b in pairwise(clips.times(out))]
        assert all(abs(step - Fraction(1, 24)) <= Fraction(1, 1000) * (name[-3:] == "mkv") for step in shown)
        assert [md5 for _, md5 in clips.packets(out, "audio")] == [md5 for _, md5 in clips.packets(path, "audio")]


def test_sound_that_the_container_cannot_hold_is_left_out_and_said(clip, tmp_path, caplog):
    source = open_source(clip("a.mp4"))
    with open_sink(tmp_path / "out.webm", like=source) as sink:
        for frame in source:
            sink.write(frame)
    assert sink.left_out == ("audio aac",)
    assert "audio aac" in caplog.text
    assert len(clips.times(tmp_path / "out.webm")) == 6


def test_a_range_is_cut_at_packets(clip, tmp_path):
    path = clip("a.mp4", pts=tuple(range(40)), options={"g": "12", "bf": "2", "crf": "20", "preset": "ultrafast"})
    part = open_source(path, frames="15-29")
    assert len(part) == 15
    assert [frame.number for frame in part] == list(range(15, 30))
    assert torch.equal(stack(part), stack(open_source(path))[15:30])
    out = through(part, tmp_path / "part.mp4")
    assert clips.times(out) == [Fraction(i, 24) for i in range(15)]
    begin, end = Fraction(15, 24), Fraction(30, 24)
    wanted = [(time, md5) for time, md5 in clips.packets(path, "audio") if begin <= time < end]
    found = clips.packets(out, "audio")
    assert [md5 for _, md5 in found] == [md5 for _, md5 in wanted]
    assert max(abs(a - (b - begin)) for (a, _), (b, _) in zip(found, wanted, strict=True)) <= Fraction(1, 48000)


def test_every_range_begins_at_its_frame(clip):
    path = clip("a.mp4", pts=VFR, base=Fraction(1, 1000), sound=False, options={"g": "3", "bf": "2"})
    whole = open_source(path)
    everything = stack(whole)
    for first in range(8):
        part = whole.between(first, None)
        assert torch.equal(stack(part), everything[first:])
        assert [frame.pts for frame in part] == [frame.pts for frame in whole][first:]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_frames_come_upright_and_the_way_up_is_kept(clip, tmp_path, name, rotation):
    path = clip(name, rotation=rotation, sound=False)
    source = open_source(path)
    plain = stack(open_source(clip("plain.mp4", sound=False)))
    assert torch.allclose(stack(source), torch.rot90(plain, rotation // 90, (-2, -1)), atol=0.02)
    out = through(source, tmp_path / "out.mp4", options={"crf": "0"})
    with av.open(str(path)) as before, av.open(str(out)) as after:
        a, b = next(before.decode(video=0)), next(after.decode(video=0))
        assert (b.width, b.height) == (a.width, a.height) == (64, 48)
        assert abs(b.rotation) % 360 == abs(rotation)
        assert b.rotation == a.rotation
    assert float((stack(open_source(out)) - stack(source)).abs().mean()) < 0.01


@pytest.mark.parametrize("codec", formats.FORMATS)
@pytest.mark.parametrize("colors", [(1, 1, 1, 1), (1, 9, 9, 16), (1, 6, 6, 6)], ids=str)
def test_colors_are_marked_as_they_were(clip, tmp_path, codec, colors):
    source = open_source(clip("a.mp4", colors=colors, sound=False, pts=(0, 1)))
    assert (source.clip.colors.range, source.clip.colors.matrix) == colors[:2]
    out = through(source, tmp_path / f"out{formats.FORMATS[codec].suffixes[0]}", codec=codec)
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
    matrix = (2, 0) if codec == "ffv1" else colors[:2]
    found = (frame.color_range or 2, frame.colorspace, frame.color_primaries, frame.color_trc)
    assert found == (*matrix, *colors[2:])
    assert float((stack(open_source(out)) - stack(source)).abs().mean()) < 0.02


def test_full_range_stays_full(clip, tmp_path):
    source = open_source(clip("a.mp4", colors=(2, 1, 1, 1), sound=False))
    assert torch.allclose(stack(source)[0, :, 20, 30], torch.from_numpy(clips.colored(1)[0][20, 30] / 255).float(), atol=0.03)
    assert probe(through(source, tmp_path / "out.mp4")).colors.range == 2
    assert probe(through(source, tmp_path / "deep.mp4", codec="h265-10")).colors.range == 2
    with av.open(str(tmp_path / "deep.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"  # or Apple's players show nothing
    assert probe(through(source, tmp_path / "out.mov")).colors.range == 1
    assert float((stack(open_source(tmp_path / "out.mov")) - stack(source)).abs().mean()) < 0.01


def test_a_clip_that_does_not_say_its_matrix_gets_the_one_it_was_read_with(clip, tmp_path):
    out = through(open_source(clip("a.mp4", colors=(0, 2, 2, 2), sound=False)), tmp_path / "out.mp4")
    assert probe(out).colors.matrix == 6
    assert probe(out).colors.primaries == 2


@pytest.mark.parametrize("deep", [False, True])
def test_ffv1_is_exact(tmp_path, deep):
    random = torch.Generator().manual_seed(1)
    top = 65535 if deep else 255
    values = torch.randint(0, top + 1, (3, 4, 31, 33), generator=random).float() / top
    frames = clips_of(values, 16 if deep else 8, alpha=True)
    with open_sink(tmp_path / "a.mkv") as sink:
        for frame in frames:
            sink.write(frame)
    source = open_source(tmp_path / "a.mkv")
    assert source.clip.layout == ("gbrap16le" if deep else "bgra")
    for frame, value in zip(source, values, strict=True):
        assert torch.equal((frame.image * top).round(), (value[None, :3] * top).round())
        assert torch.equal((frame.alpha * top).round(), (value[None, 3:] * top).round())


def clips_of(values, bits, alpha=False):
    from impasto.pixels.picture import Picture
    from impasto.video.frame import Frame

    for number, value in enumerate(values):
        mask = value[None, 3:] if alpha else None
        yield Frame(number, Picture(value[None, :3].contiguous(), mask, bits), number, Fraction(1, 24), 1)


@pytest.mark.parametrize(
    ("codec", "suffix", "levels"), [("h265-10", ".mp4", 300), ("prores", ".mov", 300), ("ffv1", ".mkv", 512)]
)
def test_a_ramp_of_10_bits_survives(clip, tmp_path, codec, suffix, levels):
    def ramp(number, frame):
        luma = (64 + np.arange(512) * 876 / 511).round().astype("<u2")
        for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
            np.frombuffer(plane, "<u2").reshape(plane.height, -1)[:, : plane.width] = value

    path = clip("a.mov", codec="prores_ks", layout="yuv422p10le", size=(32, 512), fill=ramp, sound=False, pts=(0, 1), options={})
    source = open_source(path)
    assert source.clip.bits == 10
    assert next(iter(source)).picture.bits == 16
    rows = [next(iter(source)).image[0, 1, 8]]
    out = open_source(through(source, tmp_path / f"out{suffix}", codec=codec, options={}))
    rows.append(next(iter(out)).image[0, 1, 8])
    for row in rows:
        assert len(row.unique()) > 350  # 8 bits have 219
        assert float((row - torch.linspace(0, 1, 512)).abs().max()) < 0.01


@pytest.mark.parametrize("name", ["out.mov", "out.mkv", "out.webm"])
def test_alpha_survives(clip, tmp_path, name):
    def shape(number, frame):
        for index, plane in enumerate(frame.planes):
            value = np.linspace(0, 1023, 64).round() if index == 3 else 500
            np.frombuffer(plane, "<u2").reshape(plane.height, -1)[:, : plane.width] = value

    path = clip("a.mov", codec="prores_ks", layout="yuva444p10le", fill=shape, sound=False, options={"profile": "4444"})
    source = open_source(path)
    assert source.clip.alpha
    ramp = torch.linspace(0, 1, 64).expand(48, 64)
    assert float((next(iter(source)).alpha[0, 0] - ramp).abs().max()) < 0.002
    out = open_source(through(source, tmp_path / name))
    for frame in out:
        assert float((frame.alpha[0, 0] - ramp).abs().max()) < (0.05 if name == "out.webm" else 0.002)


def test_alpha_that_a_codec_cannot_hold_is_laid_on_black(clip, tmp_path, caplog):
    values = torch.ones(2, 4, 16, 16)
    values[:, 3, :, :8] = 0
    with open_sink(tmp_path / "a.mp4") as sink:
        for frame in clips_of(values, 8, alpha=True):
            sink.write(frame)
    image = stack(open_source(tmp_path / "a.mp4"))
    assert caplog.text.count("laid on black") == 1
    assert float(image[..., :7].max()) < 0.05
    assert float(image[..., 9:].min()) > 0.95


@pytest.mark.parametrize(
    ("codec", "exact"), [("h264", False), ("h265-10", False), ("prores", True), ("prores4444", True), ("ffv1", True)]
)
def test_odd_sizes(tmp_path, caplog, codec, exact):
    values = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    values = torch.nn.functional.interpolate(values, (47, 63), mode="bicubic").clamp(0, 1)
    path = tmp_path / f"a{formats.FORMATS[codec].suffixes[0]}"
    with open_sink(path, codec=codec) as sink:
        for frame in clips_of(values, 8):
            sink.write(frame)
    found = stack(open_source(path))
    assert found.shape[-2:] == ((47, 63) if exact else (48, 64))
    assert ("even sides only" in caplog.text) is not exact
    assert float((found[..., :47, :63] - values).abs().mean()) < 0.02


@pytest.mark.parametrize("codec", formats.FORMATS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_clips(tmp_path, codec, count):
    path = tmp_path / f"a{formats.FORMATS[codec].suffixes[0]}"
    with open_sink(path, codec=codec) as sink:
        for frame in clips_of(torch.rand(count, 3, 32, 32), 8):
            sink.write(frame)
    assert [round(time * 24, 1) for time in clips.times(path)] == list(range(count))


def test_one_frame(clip, tmp_path):
    source = open_source(clip("one.mp4", pts=(0,)))
    assert len(source) == 1
    assert len(clips.times(through(source, tmp_path / "out.mp4"))) == 1


def test_another_size_keeps_all_the_rest(clip, tmp_path):
    source = open_source(clip("a.mp4", rotation=-90, aspect=Fraction(4, 3)))
    assert source.clip.size == (64, 48)
    out = through(source, tmp_path / "out.mp4", lambda frame: frame.with_image(torch.full((1, 3, 128, 96), 0.5)))
    found = probe(out)
    assert (found.size, found.pixel_aspect) == ((128, 96), Fraction(4, 3))
    assert clips.packets(out, "audio") == clips.packets(tmp_path / "a.mp4", "audio")


def test_tags_chapters_timecode_and_recipe(clip, tmp_path):
    path = clip("a.mov", timecode="01:00:00:00", tags={"title": "A walk", "comment": "mine"}, chapters=True)
    source = open_source(path)
    made = {"style": "waves.jpg", "seed": 7, "note": "ü"}
    for name in ("out.mov", "out.mp4", "out.mkv"):
        out = through(source, tmp_path / name, recipe=made)
        assert recipe(out) == made
        with av.open(str(out)) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
            assert tags["title"] == "A walk"
            assert '"mine"' in tags["comment"]
            assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]
            assert probe(out).timecode == "01:00:00:00"
    assert probe(through(source.between(2, 5), tmp_path / "part.mov")).timecode == "01:00:00:02"
    assert recipe(path) is None
    assert clips.packets(tmp_path / "out.mov", "data") == clips.packets(path, "data") != []


@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.mkv", "a.webm"])
def test_a_long_recipe_is_whole(tmp_path, name):
    made = {"mask": "x" * 100_000}
    with open_sink(tmp_path / name, recipe=made) as sink:
        for frame in clips_of(torch.rand(1, 3, 32, 32), 8):
            sink.write(frame)
    assert recipe(tmp_path / name) == made


def test_subtitles_are_copied(clip, tmp_path):
    path = with_subtitles(clip("a.mkv", options={"bf": "0"}), tmp_path / "sub.mkv")
    out = through(open_source(path), tmp_path / "out.mkv")
    assert clips.packets(out, "subtitle") == clips.packets(path, "subtitle") != []
    with av.open(str(out)) as container:
        words = container.streams.subtitles[0]
        assert (words.language, words.disposition) == ("deu", av.stream.Disposition.forced)


def with_subtitles(path, target):
    with av.open(str(path)) as source, av.open(str(target), "w") as output:
        made = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        words = output.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        words.metadata["language"], words.disposition = "deu", av.stream.Disposition.forced
        output.start_encoding()
        packet = av.Packet(b"Hello")
        packet.pts = packet.dts = 20
        packet.duration, packet.time_base, packet.stream = 100, Fraction(1, 1000), words
        output.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = made[packet.stream_index]
                output.mux(packet)
    return target


def test_the_same_frames_give_the_same_bytes(clip, tmp_path):
    source = open_source(clip("a.mp4"))
    for suffix in (".mp4", ".mov", ".mkv"):
        pair = [through(source, tmp_path / f"{name}{suffix}").read_bytes() for name in "xy"]
        assert pair[0] == pair[1]


def test_memory_does_not_grow_with_length(clip):
    source = open_source(clip("a.mp4", pts=tuple(range(60)), sound=False, options={"preset": "ultrafast"}))
    alive, most = weakref.WeakSet(), 0
    for frame in source:
        alive.add(frame.image)
        del frame
        gc.collect(0)
        most = max(most, len(alive))
    assert most <= 1


def test_a_source_can_be_sent_to_another_process_and_read_again(clip):
    source = open_source(clip("a.mp4"), frames="2-4")
    copy = pickle.loads(pickle.dumps(source))
    assert isinstance(copy, ClipSource)
    assert torch.equal(stack(copy), stack(source))
    assert torch.equal(stack(source), stack(source))


def test_probe(clip):
    found = probe(clip("a.mp4", pts=VFR, base=Fraction(1, 1000), aspect=Fraction(4, 3)))
    assert (found.codec, found.layout, found.bits, found.alpha, found.frames) == ("h264", "yuv420p", 8, False, 8)
    assert (found.size, found.pixel_aspect, found.others) == ((48, 64), Fraction(4, 3), ("audio aac",))


@pytest.mark.parametrize(
    ("name", "bits", "alpha", "wanted"),
    [
        ("a.mp4", 8, False, "h264"),
        ("a.mp4", 10, False, "h265-10"),
        ("a.mov", 8, False, "prores"),
        ("a.mov", 12, True, "prores4444"),
        ("a.mkv", 8, False, "ffv1"),
        ("a.webm", 8, False, "vp9"),
    ],
)
def test_the_suffix_chooses_what_holds_the_source(clip, name, bits, alpha, wanted):
    from dataclasses import replace

    like = replace(probe(clip("a.mp4", sound=False)), bits=bits, alpha=alpha)
    assert formats.choose(name, None, like) == wanted


def test_levels_of_the_log(clip, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        through(open_source(clip("a.mp4")), tmp_path / "out.mp4")
    assert caplog.text == ""
