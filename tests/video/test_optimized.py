"""Frames painted by the optimizer: what holds them, that they hold still, and that they go on where they were left."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from impasto import still
from impasto.errors import UsageError
from impasto.fast import style as filters
from impasto.pixels import io
from impasto.video import optimized, render, work
from impasto.video.io import open_source
from impasto.video.look import Filters, Place, Timed
from impasto.video.optimized import Optimized
from impasto.video.work import Work

SIZE = (48, 64)


def pan(count: int, seed: int = 0) -> list[np.ndarray]:
    """Height x width x 3, uint8, two px a frame."""
    random = np.random.default_rng(seed)
    blobs = torch.from_numpy(random.random((8, 24, 3))).permute(2, 0, 1)[None]
    whole = torch.nn.functional.interpolate(blobs, (SIZE[0], 144), mode="bicubic")[0].permute(1, 2, 0).clamp(0, 1).numpy()
    pixels = (whole * 255).round().astype(np.uint8)
    return [pixels[:, 2 * t : 2 * t + SIZE[1]] for t in range(count)]


def sequence(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(frames):
        io.save(io.load(pixels), folder / f"f.{number:04d}.png")
    return open_source(folder)


@pytest.fixture(scope="module")
def look(tmp_path_factory) -> Optimized:
    random = np.random.default_rng(3)
    painting = io.load((random.random((80, 96, 3)) * 255).astype(np.uint8))
    path = tmp_path_factory.mktemp("style") / "painting.png"
    io.save(painting, path)
    opened = tuple(still.open_styles([str(path)]))
    return Optimized(Filters((Timed(still.learned(opened[0], 64)),)), opened, steps=2, first="64:3")


def job(source, folder, look, temporal="fast") -> Work:
    folder.mkdir(exist_ok=True)
    return Work(source, look, folder, None, temporal)


def painted(todo: Work) -> torch.Tensor:
    made = work.plan(todo)
    for _ in render.render(todo, made):
        pass
    return torch.cat(list(render.finished(todo, made)))


def content(frames: list[np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)[None] for pixels in frames]


def test_the_hold_is_the_mean_square_by_trust(look):
    random = torch.Generator().manual_seed(0)
    image, before = (torch.rand(1, 3, *SIZE, generator=random) for _ in range(2))
    trust = torch.rand(1, 1, *SIZE, generator=random)
    losses, pull = look.painter()._hold(before, trust).gradient(image)
    weight = optimized.HOLD * 255**2
    off = image.double() - before.double()
    assert float(losses["total"]) == pytest.approx(float(weight * (trust * off**2).mean()), rel=1e-4)
    assert torch.allclose(pull, (2 * weight * trust * off / off.numel()).float(), rtol=1e-3, atol=1e-5)


def test_the_encoder_is_read_once(look, monkeypatch):
    from impasto.paint import image

    read = []
    real = image.loaded
    monkeypatch.setattr(image, "loaded", lambda settings: read.append(settings) or real(settings))
    monkeypatch.setattr(optimized, "loaded", image.loaded)
    optimized._encoder.cache_clear()
    for frame in content(pan(2)):
        look.painter().paint(frame, 0.0, Place(0), {})
    assert len(read) == 1


def test_trusted_paint_stays_and_the_rest_is_painted_anew(look):
    now = content(pan(2))[1]
    random = torch.Generator().manual_seed(1)
    before = torch.rand(1, 3, *SIZE, generator=random)
    trust = torch.zeros(1, 1, *SIZE)
    trust[..., 32:] = 1
    brush = look.painter()
    brush.paint(now, 0.0, Place(0), {})
    alone = replace(look, steps=3).painter().paint(now, 0.0, Place(0), {})
    result = brush.paint(now, 0.0, Place(1, (0, 0), before, trust), {})
    near, far = (result - before).abs()[..., 40:].mean(), (alone - before).abs()[..., 40:].mean()
    assert near < 0.5 * far
    assert (result - before).abs()[..., :24].mean() > 0.8 * (alone - before).abs()[..., :24].mean()


def test_a_clip_that_stands_still_stays_as_it_is(look, tmp_path):
    frames = painted(job(sequence(tmp_path / "in", pan(1) * 4), tmp_path / "w", replace(look, first="64:25")))
    alone = painted(job(sequence(tmp_path / "moving", pan(4)), tmp_path / "a", look, "off"))
    still_change, other = ((clip[1:] - clip[:-1]).abs().mean() for clip in (frames, alone))
    assert still_change < 0.3 * other


def test_what_was_stopped_goes_on_as_if_it_had_not_and_shots_are_shares(look, tmp_path):
    source = sequence(tmp_path / "in", [*pan(5), *pan(2, seed=9)])
    whole = painted(job(source, tmp_path / "whole", look))
    todo = job(source, tmp_path / "w", look)
    made = work.plan(todo)
    assert [(chunk.start, chunk.stop, chunk.first) for chunk in made.chunks] == [(0, 5, 0), (5, 7, 5)]
    assert made.chunks[0].pieces == [(0, 4), (4, 5)]
    render.render_chunk(todo, made, made.chunks[1])
    steps = render.render(todo, made)
    for step in steps:
        if step.index >= 7:
            break
    steps.close()
    assert len(list(todo.folder.glob("*.mkv"))) == 2
    kept = work.divided(made.shots, made.frames, "fast", made.peak, todo.look.carries)
    assert kept == made
    assert torch.equal(painted(todo), whole)


def test_styles_change_with_time_and_stay_in_their_places(look):
    first, other = look.filters.styles[0], Timed(filters.named("starry-night"))
    named = still.open_styles(["starry-night"])[0]
    both = Filters((replace(first, moment=0.0), replace(other, moment=1.0)))
    now = content(pan(1))[0]

    def made(filters_, styles, seconds, masks=None):
        return Optimized(filters_, styles, 2, "64:2").painter().paint(now, seconds, Place(0), masks or {})

    pair = (look.styles[0], named)
    assert torch.allclose(made(both, pair, 0.0), made(Filters((first,)), pair[:1], 0.0), atol=1e-5)
    assert torch.allclose(made(both, pair, 1.0), made(Filters((other,)), pair[1:], 0.0), atol=1e-5)
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :32] = 1
    placed = Filters((first, replace(other, place="left")), places=("left",))
    result = made(placed, pair, 0.0, {"left": mask})
    one, two = made(Filters((other,)), pair[1:], 0.0), made(Filters((first,)), pair[:1], 0.0)
    assert (result - one)[..., :24].abs().mean() < (result - two)[..., :24].abs().mean()
    assert (result - two)[..., 40:].abs().mean() < (result - one)[..., 40:].abs().mean()


def test_a_work_and_its_look_tell_themselves_apart(look, tmp_path):
    source = sequence(tmp_path / "in", pan(2))
    known = [look, replace(look, steps=3), replace(look, first="64:4"), look.filters]
    assert len({job(source, tmp_path / "w", each).identity for each in known}) == len(known)
    with pytest.raises(UsageError, match="give temporal fast, or off"):
        job(source, tmp_path / "w", look, "smooth")


def test_at_strength_0_the_content_comes_back(look):
    from impasto.video.curve import Curve

    none = replace(look, filters=replace(look.filters, strength=Curve(((0.0, 0.0),))))
    now = content(pan(1))[0]
    assert torch.equal(none.composed(now, none.painter().paint(now, 0.0, Place(0), {}), 0.0, {}), now)
