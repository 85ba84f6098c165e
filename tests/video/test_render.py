"""Whole clips: what is painted is the same wherever, by how many and in how many goes it is painted."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import ImpastoError, OutputError, UnreadablePicture, UsageError
from impasto.fast import style as filters
from impasto.pixels import io
from impasto.video import flow, measure, render, spread, vectors, work
from impasto.video.curve import Curve
from impasto.video.io import open_sink, open_source
from impasto.video.look import Filters, Place, Plain, Timed
from impasto.video.work import Track, Work

SIZE = (48, 64)


def flickering(content: torch.Tensor, *, strength: float = 1.0) -> torch.Tensor:
    """A stylizer that no two frames come out alike from: noise that hangs on the frame's own pixels."""
    draw = torch.Generator().manual_seed(int(content.double().sum() * 1e3))
    noise = torch.randn((1, 3, *content.shape[-2:]), generator=draw)
    return torch.lerp(content, (1 - content + 0.1 * noise).clamp(0, 1), strength)


def drawn(seed: int, count: int, speed: int = 2) -> list[np.ndarray]:
    """A pan over colored blobs, height x width x 3, uint8."""
    random = np.random.default_rng(seed)
    blobs = random.random((8, 40, 3)) * random.uniform(0.3, 1, 3)
    whole = torch.nn.functional.interpolate(torch.from_numpy(blobs).permute(2, 0, 1)[None], (48, 240), mode="bicubic")
    pixels = (whole[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).round().astype(np.uint8)
    return [pixels[:, speed * t : speed * t + 64] for t in range(count)]


def sequence(folder: Path, frames: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(frames):
        io.save(io.load(pixels), folder / f"f.{number:04d}.png")
    return folder


@pytest.fixture
def clip(tmp_path):
    """Two shots, of 11 and 7 frames."""
    return open_source(sequence(tmp_path / "in", [*drawn(0, 11), *drawn(1, 7)]))


@pytest.fixture
def small(monkeypatch):
    """Chunks and pieces of a few frames."""
    monkeypatch.setattr(work, "PIECE", 3)
    monkeypatch.setattr(work, "BEFORE", 4)
    monkeypatch.setattr(work, "AFTER", 2)
    for name in work.TEMPORAL:
        monkeypatch.setitem(work.LENGTHS, name, 6)


def job(clip, folder, temporal="fast", look=None, **more) -> Work:
    folder.mkdir(exist_ok=True)
    return Work(clip, look or Plain(flickering), folder, None, temporal, **more)


def painted(todo: Work, executor=None) -> torch.Tensor:
    """All finished frames."""
    made = work.plan(todo)
    for _ in render.distribute(todo, made, executor) if executor else render.render(todo, made):
        pass
    return torch.cat(list(render.finished(todo, made)))


def contents(source) -> list[torch.Tensor]:
    return [frame.image for frame in source]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=6), st.sampled_from(work.TEMPORAL))
def test_chunks_cover_every_frame_once_and_stay_in_their_shots(lengths, temporal):
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    made = work.divided(starts, sum(lengths), temporal)
    assert made.chunks[0].start == 0
    assert all(one.stop == other.start for one, other in pairwise(made.chunks))
    assert made.chunks[-1].stop == sum(lengths)
    for chunk in made.chunks:
        assert chunk.shot[0] <= chunk.first <= chunk.start < chunk.stop <= chunk.last <= chunk.shot[1]
        assert (chunk.first - chunk.shot[0]) % work.REFRESH == 0
        assert [n for start, stop in chunk.pieces for n in range(start, stop)] == list(range(chunk.start, chunk.stop))


def test_a_plan_is_the_same_every_time_and_comes_back_from_its_file(clip, tmp_path):
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    assert made.shots == (0, 11)
    assert made == work.plan(todo)
    assert list(todo.folder.iterdir()) == []
    work.keep_plan(todo, made)
    assert work.kept_plan(todo) == made
    with pytest.raises(UsageError, match="other settings"):
        work.kept_plan(replace(todo, size=32))


def test_work_is_other_work_with_other_motion_masks_or_frames(clip, tmp_path):
    vectors.write(tmp_path / "backward.0001.flo", np.zeros((4, 4, 2), np.float32))
    track = Track(open_source(sequence(tmp_path / "mask", drawn(2, 1))))
    still = Track(None, torch.zeros(1, 1, 4, 4))
    plain = job(clip, tmp_path / "w")
    known = [
        plain,
        replace(plain, vectors=vectors.find(tmp_path)),
        replace(plain, masks={"a": track}),
        replace(plain, masks={"a": still}),
    ]
    before = [each.identity for each in known]
    assert len(set(before)) == len(known)
    assert before == [each.identity for each in known]
    for path in (tmp_path / "backward.0001.flo", next((tmp_path / "mask").iterdir())):
        os.utime(path, ns=(1, 1))
    known[3] = replace(plain, masks={"a": Track(None, torch.ones(1, 1, 4, 4))})
    assert [one == other.identity for one, other in zip(before, known, strict=True)] == [True, False, False, False]


def test_off_looks_for_no_motion(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "guide", None)
    assert len(painted(job(clip, tmp_path / "w", "off"))) == 18


def test_off_is_each_frame_by_itself(clip, tmp_path):
    todo = job(clip, tmp_path / "w", "off")
    made = work.plan(todo)
    for _ in render.render(todo, made):
        pass
    for _ in render.assemble(todo, made, open_sink(f"{tmp_path}/out.####.png", like=clip)):
        pass
    for frame in clip:
        io.save(frame.picture.with_image(flickering(frame.image)), tmp_path / "alone.png", force=True)
        assert (tmp_path / f"out.{frame.number:04d}.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


@pytest.mark.parametrize("temporal", ["fast", "smooth"])
def test_flicker_goes_and_nothing_crosses_a_cut(clip, tmp_path, temporal):
    result = painted(job(clip, tmp_path / "w", temporal))
    alone = torch.cat([flickering(image) for image in contents(clip)])
    motion = [np.full((*SIZE, 2), (2, 0), np.float32)] * 11
    inside = np.zeros(SIZE)
    inside[4:-4, 4:-12] = 1
    moving = [np.ascontiguousarray(clip.permute(1, 2, 0).numpy()) for clip in torch.cat(contents(clip))[:11]]
    steady, raw = ([np.ascontiguousarray(each.permute(1, 2, 0).numpy()) for each in images[:11]] for images in (result, alone))
    assert measure.flicker_share(steady, raw, moving, motion, [inside] * 11) < (0.45 if temporal == "fast" else 0.3)
    if temporal == "fast":
        for first in (0, 11):
            assert torch.equal(result[first], (alone[first] * 255).round() / 255)


def test_a_clip_that_stands_still_stays_as_it_is(tmp_path):
    still = open_source(sequence(tmp_path / "in", drawn(2, 1) * 40))
    for temporal in ("fast", "smooth"):
        result = painted(job(still, tmp_path / temporal, temporal))
        frames = [each.permute(1, 2, 0).numpy() for each in result]
        assert measure.drift(frames) < 1 / 255
        assert float((result - result[:1]).abs().max()) < 1.5 / 255


@pytest.mark.parametrize("temporal", work.TEMPORAL)
@pytest.mark.parametrize("count", [1, 2])
def test_a_frame_or_two_of_an_odd_size(tmp_path, temporal, count):
    source = open_source(sequence(tmp_path / "in", [pixels[:33, :47] for pixels in drawn(4, count)]))
    result = painted(job(source, tmp_path / "w", temporal, look=network()))
    assert result.shape == (count, 3, 33, 47)
    alone = network().painter().paint(contents(source)[0], 0.0, None, {})
    if temporal != "smooth" or count == 1:
        assert (result[:1] - alone).abs().max() < 1 / 255


def test_both_ways_a_clip_that_runs_backward_is_the_same_backward(tmp_path):
    frames = drawn(3, 6)
    ahead = painted(job(open_source(sequence(tmp_path / "a", frames)), tmp_path / "wa", "smooth"))
    back = painted(job(open_source(sequence(tmp_path / "b", frames[::-1])), tmp_path / "wb", "smooth"))
    assert float((ahead - back.flip(0)).abs().max()) < 1.5 / 255


@pytest.mark.parametrize("temporal", work.TEMPORAL)
def test_an_executor_gives_the_same_frames_in_any_order(clip, tmp_path, small, temporal):
    serial = painted(job(clip, tmp_path / "serial", temporal))
    with ThreadPoolExecutor(3) as executor:
        several = painted(job(clip, tmp_path / "several", temporal), executor)
    assert torch.equal(serial, several)


@pytest.mark.parametrize("temporal", ["fast", "off"])
def test_what_was_stopped_goes_on_as_if_it_had_not(clip, tmp_path, small, temporal):
    whole = painted(job(clip, tmp_path / "whole", temporal))
    todo = job(clip, tmp_path / "stopped", temporal)
    made = work.plan(todo)
    for stop in (4, 9, 13):
        steps = render.render(todo, made)
        for step in steps:
            if step.index >= stop:
                break
        steps.close()
    assert not list(todo.folder.glob(".impasto*"))
    kept = {path: path.stat().st_mtime_ns for path in todo.folder.glob("*.mkv")}
    assert len(kept) == 4
    assert torch.equal(painted(todo), whole)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(todo.folder.glob("state*"))


def test_a_finished_chunk_is_left_alone_and_a_lost_piece_made_again(clip, tmp_path, small):
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    chunk = made.chunks[1]
    assert render.render_chunk(todo, made, chunk) == chunk.stop - chunk.start
    assert render.render_chunk(todo, made, chunk) == 0
    lost = todo.piece(*chunk.pieces[0])
    before = lost.read_bytes()
    lost.unlink()
    render.render_chunk(todo, made, chunk)
    assert lost.read_bytes() == before
    with pytest.raises(OutputError, match="13 of 18 frames are not finished"):
        next(render.finished(todo, made))


def test_shards_share_the_work_without_a_rest(clip, tmp_path, small):
    made = work.plan(job(clip, tmp_path / "w"))
    parts = [spread.shard(made, f"{i}/3") for i in (1, 2, 3)]
    assert sorted(chunk.index for part in parts for chunk in part) == list(range(len(made.chunks)))
    for wrong in ("0/3", "4/3", "1", "a/b", "1/0"):
        with pytest.raises(UsageError, match="shard"):
            spread.shard(made, wrong)


def network(**more) -> Filters:
    """The any-style network with a style: it can be sent to another process."""
    return Filters((Timed(filters.named("starry-night")),), **more)


@pytest.mark.slow
def test_processes_give_the_same_frames_and_one_that_is_killed_loses_nothing(clip, tmp_path):
    serial = painted(job(clip, tmp_path / "serial", look=network()))
    todo = job(clip, tmp_path / "several", look=network())
    made = work.plan(todo)
    killed = False
    for _ in spread.pooled(todo, made, 2):
        if not killed and (workers := multiprocessing.active_children()):
            workers[0].kill()
            killed = True
    assert killed
    assert torch.equal(torch.cat(list(render.finished(todo, made))), serial)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_frames_and_a_worker_that_is_killed_loses_nothing(clip, tmp_path, small):
    pytest.importorskip("distributed", reason="Dask is not installed")
    serial = painted(job(clip, tmp_path / "serial", look=network()))
    todo = job(clip, tmp_path / "several", look=network())
    made = work.plan(todo)
    killed = False
    with spread.cluster("local") as executor:
        for _ in render.distribute(todo, made, executor, every=0.2):
            if not killed and (workers := multiprocessing.active_children()):
                workers[0].kill()
                killed = True
    assert killed
    assert torch.equal(torch.cat(list(render.finished(todo, made))), serial)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_a_cluster_that_does_not_answer_is_said_and_finished_frames_are_kept(clip, tmp_path, small, monkeypatch, address):
    pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr(spread, "PATIENCE", "0.3s")
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    render.render_chunk(todo, made, made.chunks[0])
    kept = {path.name: path.read_bytes() for path in todo.folder.iterdir()}
    with pytest.raises(UsageError, match=rf"no cluster answers at {address}, .*kept"), spread.cluster(address):
        pass
    assert {path.name: path.read_bytes() for path in todo.folder.iterdir()} == kept


def test_a_disk_that_is_full_while_painting_keeps_finished_frames(clip, tmp_path, small):
    """A limit on the size of files stands for the full disk."""
    resource = pytest.importorskip("resource", reason="limits are POSIX")
    whole = painted(job(clip, tmp_path / "whole"))
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    chunk, steps = made.chunks[0], render.render(todo, made)
    while todo.missing(chunk) == chunk.pieces:
        next(steps)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            list(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(todo.folder.glob(".impasto*"))
    assert todo.missing(chunk) == chunk.pieces[1:]
    assert torch.equal(painted(todo), whole)


@pytest.mark.parametrize("damage", ["changed", "gone", "damaged"])
def test_what_goes_wrong_in_the_middle_keeps_finished_frames(clip, tmp_path, small, damage):
    whole = painted(job(clip, tmp_path / "whole"))
    victim = tmp_path / "in" / "f.0008.png"
    before = victim.read_bytes()
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    victim.unlink()
    if damage == "changed":
        io.save(io.load(np.zeros((32, 32, 3), np.uint8)), victim)
    elif damage == "damaged":
        victim.write_bytes(before[:100])
    with pytest.raises(ImpastoError, match=r"f\.0008\.png|frames missing .* 8;"):
        list(render.render(todo, made))
    assert len(list(todo.folder.glob("*.mkv"))) == 2
    victim.write_bytes(before)
    assert torch.equal(painted(todo), whole)


def test_closing_asks_the_workers_to_stop(clip, tmp_path, small):
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    with ThreadPoolExecutor(1) as executor:
        steps = render.distribute(todo, made, executor, every=0.01)
        next(steps)
        steps.close()
    assert any(todo.missing(chunk) for chunk in made.chunks)
    assert not (todo.folder / render.STOP).exists()
    assert not list(todo.folder.glob(".impasto*"))


def test_an_error_in_one_chunk_does_not_stop_the_others(clip, tmp_path, small):
    todo = job(clip, tmp_path / "w")
    made = work.plan(todo)
    (tmp_path / "in" / "f.0001.png").write_bytes(b"damaged")
    with ThreadPoolExecutor(1) as executor, pytest.raises(UnreadablePicture):
        for _ in render.distribute(todo, made, executor):
            pass
    assert [bool(todo.missing(chunk)) for chunk in made.chunks] == [True, False, False, False]


def test_known_motion_is_taken_instead_of_estimated(clip, tmp_path, monkeypatch):
    folder = tmp_path / "motion"
    folder.mkdir()
    for number in range(1, 18):
        vectors.write(folder / f"{number:04d}.flo", np.full((*SIZE, 2), (2, 0), np.float32))
    monkeypatch.setattr(flow, "follow", None)
    assert len(painted(job(clip, tmp_path / "w", vectors=vectors.find(folder)))) == 18


def test_a_draft_paints_one_frame_in_four(clip, tmp_path):
    todo = job(clip, tmp_path / "w", "off", step=4)
    made = work.plan(todo)
    for _ in render.render(todo, made):
        pass
    for _ in render.assemble(todo, made, open_sink(tmp_path / "out.mkv", like=clip)):
        pass
    assert [frame.time for frame in open_source(tmp_path / "out.mkv")] == pytest.approx(
        [n / 24 for n in range(0, 18, 4)], abs=1e-3
    )


def halves() -> torch.Tensor:
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :32] = 1
    return mask


def test_what_is_kept_is_the_content_itself(clip, tmp_path):
    look = network(preserve_color="off")
    todo = job(clip, tmp_path / "w", look=look, masks={"keep": Track(None, halves())})
    made = work.plan(todo)
    for _ in render.render(todo, made):
        pass
    for _ in render.assemble(todo, made, open_sink(f"{tmp_path}/out.####.png", like=clip)):
        pass
    for frame in clip:
        result = io.load(tmp_path / f"out.{frame.number:04d}.png").image
        assert torch.equal(result[..., :32], frame.image[..., :32])
        assert not torch.equal(result[..., 32:], frame.image[..., 32:])


def test_a_place_alone_is_painted_and_the_rest_stays(clip, tmp_path):
    look = network()
    look = Filters((replace(look.styles[0], place="sky"),), places=("sky",))
    content = next(iter(clip)).image
    image = look.painter().paint(content, 0.0, None, {"sky": halves()})
    whole = look.composed(content, image, 0.0, {"sky": halves()})
    assert torch.equal(whole[..., 32:], content[..., 32:])
    assert not torch.equal(whole[..., :32], content[..., :32])


def test_a_place_that_is_half_covered_is_painted_half(clip):
    look = network()
    placed = Filters((replace(look.styles[0], place="sky"),), places=("sky",))
    content, half = next(iter(clip)).image, {"sky": torch.full((1, 1, *SIZE), 0.5)}
    found = placed.composed(content, placed.painter().paint(content, 0.0, None, half), 0.0, half)
    whole = look.painter().paint(content, 0.0, None, {})
    torch.testing.assert_close(found, (content + whole) / 2, atol=1e-5, rtol=0)


def test_at_strength_0_the_content_comes_back(clip, tmp_path):
    todo = job(clip, tmp_path / "w", look=network(strength=Curve(((0.0, 0.0), (0.2, 0.0), (0.3, 1.0)))))
    made = work.plan(todo)
    for _ in render.render(todo, made):
        pass
    for _ in render.assemble(todo, made, open_sink(f"{tmp_path}/out.####.png", like=clip)):
        pass
    for frame in clip:
        same = torch.equal(io.load(tmp_path / f"out.{frame.number:04d}.png").image, frame.image)
        assert same == (frame.time <= Fraction(1, 5))


def test_a_shot_begins_as_the_plain_filter_paints_and_goes_on_with_its_statistics(clip):
    look = network()
    first, second = contents(clip)[0], contents(clip)[12]
    brush, other = look.painter(), look.painter()
    alone = look.painter().paint(first, 0.0, None, {})
    assert torch.allclose(brush.paint(first, 0.0, Place(0), {}), alone, atol=1e-6)
    assert torch.allclose(brush.paint(first, 0.0, Place(1), {}), alone, atol=1e-5)
    assert not torch.allclose(brush.paint(second, 0.0, Place(2), {}), look.painter().paint(second, 0.0, None, {}), atol=1e-3)
    other.restore(brush.state())
    assert torch.equal(other.paint(second, 0.0, Place(5), {}), brush.paint(second, 0.0, Place(5), {}))


def test_places_and_masks_go_together():
    one = network().styles[0]
    with pytest.raises(UsageError, match="has no --mask"):
        Filters((replace(one, place="sky"),))
    with pytest.raises(UsageError, match="has no style"):
        Filters((one,), places=("sky",))
    with pytest.raises(UsageError, match="no style"):
        Filters(())


def test_a_mask_runs_along_with_its_clip(tmp_path):
    gray = [np.full((48, 64, 3), 10 * n, np.uint8) for n in range(8)]
    track = Track(open_source(sequence(tmp_path / "m", gray)))
    assert [round(float(mask.mean()) * 25.5) for mask in track.masks(2, 3, 2)] == [2, 4, 6]
