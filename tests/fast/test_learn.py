import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from impasto.errors import OutputError, PaintingError, UnfitPicture, UsageError, WeightsError
from impasto.fast import data, learn, loop, nets, style, train
from impasto.fast.course import Settings, examination
from impasto.fast.loop import validate
from impasto.features import weights

TINY = replace(
    learn.SETTINGS, crop=32, margin=8, batch=2, photo_window=4, sample=4, exam=1, validate=2, warmup=1, rate=5e-3, average=0.5
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = nets.AnyStyle().eval().requires_grad_(False)
    net.identity = "here"
    return net


@pytest.fixture(scope="module")
def painting():
    draw = torch.Generator().manual_seed(3)
    return torch.nn.functional.interpolate(torch.rand((1, 3, 12, 15), generator=draw), (72, 90), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for k in range(12):
        coarse = PILImage.fromarray(rng.integers(0, 256, (8, 10, 3), np.uint8))
        coarse.resize((70, 60), PILImage.Resampling.BICUBIC).save(folder / f"{k}.png")
    return folder


@pytest.fixture
def make(net, painting, photos):
    """A learner of the painting on a few tiny photographs."""

    def make(**changes):
        settings = replace(TINY, **{key: changes.pop(key) for key in list(changes) if hasattr(TINY, key)})
        return learn.Learner(
            changes.pop("painting", painting), [photos], net=net, settings=settings, device="cpu", **{"name": "test", **changes}
        )

    return make


def run(learner, folder, count, resume=False):
    folder.mkdir(exist_ok=True)
    return list(learner.steps(folder / "mine.safetensors", folder / "state.safetensors", count=count, resume=resume))


def loss(learner, found):
    bound = style.bind(learner.net, [(1.0, found)])
    return validate(learn.Filter(bound.net, bound.code, "all"), learner.held, examination(learner.held))["total"]


@pytest.mark.slow
def test_resume_equals_uninterrupted_to_the_bit(make, tmp_path):
    steps = run(make(), tmp_path / "one", 4)
    stopped = make().steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", count=4)
    early = [next(stopped) for _ in range(3)]
    stopped.close()
    rest = list(make().steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", count=4, resume=True))
    assert [dict(step.losses) for step in steps] == [dict(step.losses) for step in early + rest]
    assert steps[0].losses["motion"] > 0
    whole, again = (weights.load(folder / "state.safetensors")[0] for folder in (tmp_path / "one", tmp_path))
    assert weights.digest(whole) == weights.digest(again)
    files = [weights.load(folder / "mine.safetensors")[0] for folder in (tmp_path / "one", tmp_path)]
    assert weights.digest(files[0]) == weights.digest(files[1])


@pytest.mark.slow
@pytest.mark.parametrize("parts", ["head", "all"])
def test_learning_lowers_the_loss_and_the_file_paints_so(make, tmp_path, parts):
    learner = make(parts=parts, average=0.0, passport={"title": "A test", "year": 1889})
    steps = run(learner, tmp_path, 6)
    found = style.load(tmp_path / "mine.safetensors")
    assert (found.name, found.net, found.passport["title"], found.passport["year"]) == ("test", "here", "A test", 1889)
    assert found.passport["learned"]["parts"] == parts
    assert any(name.startswith("body.") for name in found.changes) == (parts == "all")
    assert not any(name.startswith("predictor.") for name in found.changes)
    assert {name for name in found.changes if found.changes[name].abs().max() > 0} >= {"paint.weight", "stem.weight"}
    assert learner.state.best < 0.98 * learner.unlearned
    assert loss(learner, learner.first) == pytest.approx(learner.unlearned, rel=1e-4)
    assert loss(learner, found) == pytest.approx(learner.state.best, rel=0.02)  # halves in the file
    photo = data.tensor(learner.held.source.photos[0])
    before, after = (style.bind(learner.net, [(1.0, one)])(photo) for one in (learner.first, found))
    assert (after - before).abs().mean() > 0.003
    preview = [step.preview for step in steps if step.preview is not None][-1]
    assert preview.shape == photo.shape
    assert steps[-1].size == (32, 32)
    assert found.moments.keys() == learner.first.moments.keys()


@pytest.mark.slow
def test_learned_styles_mix(make, net, painting, tmp_path):
    run(make(), tmp_path / "a", 2)
    run(make(painting=painting.flip(1) ** 2, parts="head"), tmp_path / "b", 2)
    one, other = (style.load(tmp_path / name / "mine.safetensors") for name in "ab")
    mixed = style.bind(net, [(1.0, one), (3.0, other)])
    torch.testing.assert_close(mixed.code, (0.25 * one.code + 0.75 * other.code)[:, : net.plain_size])
    name = "paint.bias"
    wanted = net.state_dict()[name] + 0.25 * one.changes[name] + 0.75 * other.changes[name]
    torch.testing.assert_close(mixed.net.state_dict()[name], wanted)
    assert torch.isfinite(mixed(torch.rand(1, 3, 40, 48))).all()


@pytest.mark.slow
def test_a_half_trained_filter_never_replaces_a_better_one(make, painting, tmp_path):
    run(make(average=0.0), tmp_path, 6)
    good = (tmp_path / "mine.safetensors").read_bytes()
    half = make(average=0.0)
    list(half.steps(tmp_path / "mine.safetensors", tmp_path / "other.safetensors", count=1))
    reached = validate(half.state.averaged(), half.held, examination(half.held))["total"]
    assert half.state.best < reached < half.unlearned, "better than nothing, but not good enough"
    assert (tmp_path / "mine.safetensors").read_bytes() == good
    other = make(painting=painting.flip(1))
    next(other.steps(tmp_path / "mine.safetensors", tmp_path / "other.safetensors", count=1))
    assert (tmp_path / "mine.safetensors").read_bytes() != good, "a filter of another painting is no better one"


@pytest.mark.slow
def test_interrupted_saves_and_there_is_a_filter_from_the_start(make, tmp_path):
    learner = make()
    steps = learner.steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", count=50)
    next(steps)
    steps.close()
    assert weights.load(tmp_path / "state.safetensors")[1]["step"] == 1
    found = style.load(tmp_path / "mine.safetensors")
    assert torch.equal(found.code, learner.first.code)
    assert not found.changes
    with pytest.raises(WeightsError, match="another painting"):
        make(painting=torch.rand(1, 3, 64, 64)).state.load(tmp_path / "state.safetensors")
    with pytest.raises(WeightsError, match="another parts"):
        make(parts="head").state.load(tmp_path / "state.safetensors")


@pytest.mark.slow
def test_divergence_keeps_the_files(make, tmp_path):
    learner = make()
    steps = learner.steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", count=9)
    next(steps), next(steps)
    before = [(tmp_path / name).read_bytes() for name in ("mine.safetensors", "state.safetensors")]
    with torch.no_grad():
        learner.state.net.code.fill_(math.nan)
    with pytest.raises(PaintingError, match="lower the learning rate"):
        next(steps)
    assert before == [(tmp_path / name).read_bytes() for name in ("mine.safetensors", "state.safetensors")]


def test_time_ends_it_with_a_last_look(make, tmp_path):
    (step,) = make(validate=100).steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", seconds=1e-6)
    assert step.preview is not None
    assert step.eta == 0


@pytest.fixture
def clock(monkeypatch):
    """Nothing but the clock goes: a step takes one second, a look three."""

    def goes(seconds, gives=None):
        clock.now += seconds
        return gives

    def step(learner, *_):
        learner.state.step += 1
        return goes(1.0, {"total": 1.0})

    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now, goes=goes)
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(learn.Learner, "_step", step)
    monkeypatch.setattr(learn.Learner, "_examine", lambda *_: goes(3.0))
    return clock


@pytest.mark.parametrize(
    ("validate", "first", "there", "steps"), [(1000, 4.0, math.inf, 6), (3, 2.0, math.inf, 5), (1000, 1.0, None, 5)]
)
def test_the_time_holds_the_first_and_the_last_look(make, tmp_path, monkeypatch, clock, validate, first, there, steps):
    """What stands there takes 1 to 4 s; where it was not looked at, a look of 4 s tells how long one takes."""
    monkeypatch.setattr(learn.Learner, "standing", lambda *_: clock.goes(first, there))
    monkeypatch.setattr(learn.Learner, "measure", lambda *_: clock.goes(4.0))
    monkeypatch.setattr(learn.Learner, "_save", lambda *_: clock.goes(0.5))
    made = list(make(validate=validate).steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", seconds=15.0))
    assert len(made) == steps
    assert 13 <= clock.now - 100 <= 15
    assert made[-1].eta == 0


@pytest.mark.parametrize(("seconds", "steps"), [(15.0, 6), (9.0, 3)])
def test_what_ended_by_its_time_is_not_gone_on_with(make, tmp_path, monkeypatch, clock, seconds, steps):
    """Though less than the time asked for was worked; in 9 s the look after three steps turns out to be the last."""
    monkeypatch.setattr(learn.Learner, "standing", lambda *_: clock.goes(2.0, math.inf))
    files, state = (tmp_path / "mine.safetensors", tmp_path / "state.safetensors"), tmp_path / "state.safetensors"
    learner = make(validate=3)
    assert len(list(learner.steps(*files, seconds=seconds, asked=seconds + 4))) == steps
    assert learner.state.seconds < seconds
    before = state.read_bytes()
    assert not list(make(validate=3).steps(*files, seconds=seconds + 4, resume=True))
    assert state.read_bytes() == before
    assert next(make(validate=3).steps(*files, seconds=60.0, resume=True)).index == steps + 1


def test_a_time_that_is_over_before_the_first_step_is_said(make, tmp_path, caplog):
    list(make().steps(tmp_path / "mine.safetensors", tmp_path / "state.safetensors", seconds=1e-6))
    assert "the time was too short" in caplog.text


def test_a_folder_that_is_not_there_is_an_output_error(make, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        next(make().steps(tmp_path / "no" / "mine.safetensors", tmp_path / "state.safetensors", count=1))


def test_bad_input(make, painting, photos, net, tmp_path):
    for changes, error, message in [
        ({"painting": torch.rand(1, 3, 20, 20)}, UnfitPicture, "20 x 20"),
        ({"parts": "tail"}, UsageError, "head, all"),
        ({"name": "My Style"}, UsageError, "name"),
        ({"crop": 40}, UsageError, "multiple of 16"),
        ({"rate": 0.0}, UsageError, "rate"),
    ]:
        with pytest.raises(error, match=message):
            make(**changes)
    with pytest.raises(UsageError, match="no folder"):
        learn.Learner(painting, [tmp_path / "absent"], net=net, settings=TINY, device="cpu")
    with pytest.raises(UsageError, match="0 readable photographs are too few"):
        learn.Learner(painting, [tmp_path], net=net, settings=TINY, device="cpu")


def test_unreadable_photographs_are_skipped_and_counted(tmp_path, photos, caplog):
    for k, path in enumerate(sorted(photos.iterdir())[:9]):
        (tmp_path / f"{k}.png").write_bytes(path.read_bytes())
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    (tmp_path / "y.png").write_bytes(path.read_bytes()[:100])
    learned, held = learn.sources(TINY, [tmp_path])
    assert len(learned.photos) + len(held.photos) == 9
    assert any("cannot be read and are skipped" in message for message in caplog.messages)
    assert any("only" in message and "200 and more" in message for message in caplog.messages)


def test_embedded_photographs_are_enough_and_small(caplog):
    learned, held = learn.sources(learn.SETTINGS, [])
    assert len(learned.photos) >= data.FEWEST
    assert len(held.photos) == 2
    assert not caplog.messages
    assert sum(path.stat().st_size for path in learn.PHOTOS.iterdir()) < 600_000
    text = (learn.PHOTOS / "README.md").read_text()
    for path in learn.PHOTOS.glob("*.jpg"):
        assert path.name in text or f"{path.stem.split('-')[0]}-*.jpg" in text


def test_of_many_photographs_some_are_read(monkeypatch, photos):
    monkeypatch.setattr(learn, "MOST", 6)
    monkeypatch.setattr(data, "enough", lambda photos: None)
    learned, held = learn.sources(TINY, [photos])
    assert len(learned.photos) == 6
    assert held.photos is learned.photos, "of so few none is held out"


def test_backbones_that_cannot_be(tmp_path, monkeypatch, net):
    monkeypatch.setattr(style, "EMBEDDED_NET", tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match="--backbone"):
        learn.backbone()
    path = tmp_path / "net.safetensors"
    train.save_net(path, net, Settings(), {})
    good = path.read_bytes()
    assert torch.equal(learn.backbone(path).neutral, net.neutral)
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(WeightsError, match="not a readable"):
        learn.backbone(path)
    weights.save(path, {"code": torch.zeros(3)}, {"kind": "style"})
    with pytest.raises(WeightsError, match="not a network"):
        learn.backbone(path)
    weights.save(path, {"code": torch.zeros(3)}, {"kind": "net", "net": "future"})
    with pytest.raises(WeightsError, match="upgrade"):
        learn.backbone(path)


def test_first_weight_of_style_is_the_whole_and_motion_counts_at_once():
    from impasto.fast.course import term_weights

    assert term_weights(learn.SETTINGS, 1)["style"] == learn.SETTINGS.style
    assert term_weights(learn.SETTINGS, 0)["motion"] == learn.SETTINGS.motion
