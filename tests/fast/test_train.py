import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image as PILImage

from impasto.errors import PaintingError, UsageError, WeightsError
from impasto.fast import losses, nets
from impasto.fast.course import Settings, rate, term_weights
from impasto.features import encoders, statistics, weights

pytest.importorskip("accelerate")
from impasto.fast import train

TINY = Settings(
    crop=32, margin=8, batch=2, photo_uses=2, style_uses=2, photo_window=4, style_window=4, style_crop=48,
    sample=4, exam=1, validate=3, warmup=2, ramp=4, motion=1.0, motion_from=2, seed=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = []
    for name, count in (("photos", 12), ("styles", 11)):
        folder, rng = tmp_path_factory.mktemp(name), np.random.default_rng(len(name) + count)
        for k in range(count):
            coarse = PILImage.fromarray(rng.integers(0, 256, (8, 10, 3), np.uint8))
            coarse.resize((100, 80), PILImage.Resampling.BICUBIC).save(folder / f"{k}.png")
        made.append(folder)
    return made


def run(folders, out, count, resume=False, settings=TINY, state="state.safetensors"):
    torch.set_num_threads(1)
    teacher = train.Teacher(settings, [folders[0]], [folders[1]], "cpu")
    steps = list(teacher.steps(out / "net.safetensors", out / state, count=count, resume=resume))
    return teacher, steps


@pytest.mark.slow
def test_resume_equals_uninterrupted_to_the_bit(folders, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    whole, steps = run(folders, one, 6)
    run(folders, other, 3)
    again, rest = run(folders, other, 6, resume=True)
    assert [step.index for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [dict(step.losses) for step in steps[3:]] == [dict(step.losses) for step in rest]
    for name, tensor in whole.state.net.state_dict().items():
        assert torch.equal(tensor, again.state.net.state_dict()[name]), name
        assert torch.equal(whole.state.average[name], again.state.average[name]), name
    saved = [weights.load(folder / "state.safetensors")[0] for folder in (one, other)]
    assert weights.digest(saved[0]) == weights.digest(saved[1])
    assert any(key.startswith("adam.") for key in saved[0])
    rows = (one / "net.csv").read_text().splitlines()
    assert rows[0].startswith("step,seconds,content,style")
    assert [row.split(",")[0] for row in rows[1:]] == ["3", "6"]
    assert [step.index for step in steps if step.preview is not None] == [3, 6]
    assert "motion" in steps[5].losses


@pytest.mark.slow
def test_closing_saves_and_a_good_network_is_not_replaced_by_a_worse_one(folders, tmp_path):
    out, state = tmp_path / "net.safetensors", tmp_path / "state.safetensors"
    teacher = train.Teacher(TINY, [folders[0]], [folders[1]], "cpu")
    steps = teacher.steps(out, state, count=50)
    next(steps)
    steps.close()
    tensors, passport = weights.load(state)
    assert passport["step"] == 1
    assert torch.equal(tensors["average.predictor.axes"], tensors["net.predictor.axes"])
    assert not out.exists()
    run(folders, tmp_path, 3, state="a.safetensors")
    good = out.read_bytes()
    run(folders, tmp_path, 3, settings=replace(TINY, rate=0.05, warmup=0, average=0.0), state="b.safetensors")
    assert out.read_bytes() == good


@pytest.mark.slow
def test_a_network_can_be_trained_on(folders, tmp_path):
    """From its weights as they are: with hardly a learning rate nothing changes, with one it goes on from there."""
    torch.manual_seed(3)
    net = nets.AnyStyle()
    net.signature_mean.fill_(0.5)
    train.save_net(tmp_path / "start.safetensors", net, TINY, {})
    begun = nets.load(tmp_path / "start.safetensors").state_dict()
    for speed, same in ((1e-12, True), (1e-3, False)):
        teacher = train.Teacher(replace(TINY, rate=speed, decay=0.0), [folders[0]], [folders[1]], "cpu")
        teacher.start(tmp_path / "start.safetensors")
        list(teacher.steps(tmp_path / f"{speed}.safetensors", tmp_path / "state.safetensors", count=1))
        found = teacher.state.net.state_dict()
        assert torch.equal(found["signature_mean"], begun["signature_mean"])
        assert torch.allclose(found["paint.weight"], begun["paint.weight"], atol=1e-8) is same
    with pytest.raises(WeightsError, match="no weight file"):
        teacher.start(tmp_path / "missing.safetensors")


def test_divergence_is_an_error_and_keeps_the_files(folders, tmp_path):
    teacher, _ = run(folders, tmp_path, 3)
    before = (tmp_path / "state.safetensors").read_bytes()
    steps = teacher.steps(tmp_path / "net.safetensors", tmp_path / "state.safetensors", count=9, resume=True)
    next(steps)
    with torch.no_grad():
        teacher.state.net.neutral.fill_(torch.nan)
    with pytest.raises(PaintingError, match="lower the learning rate"):
        next(steps)
    assert (tmp_path / "state.safetensors").read_bytes() == before


@pytest.mark.slow
def test_two_gloo_ranks_against_one_process(folders, tmp_path):
    """The batch is split over the ranks and gradients are averaged: the same network but for rounding."""
    options = [
        part for key, value in asdict(TINY).items() if key != "layers" for part in (f"--{key.replace('_', '-')}", str(value))
    ]
    common = ["--photos", folders[0], "--styles", folders[1], "--steps", "3", "--device", "cpu", *options]
    found = []
    for ranks in (1, 2):
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        start = launch if ranks == 2 else [sys.executable]
        files = ["--out", tmp_path / f"net{ranks}.safetensors", "--state", tmp_path / f"state{ranks}.safetensors"]
        root = Path(train.__file__).parents[2]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
        done = subprocess.run(
            [*start, "-m", "impasto.fast.train", *common, *files], env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(weights.load(tmp_path / f"state{ranks}.safetensors"))
    (one, passport), (two, other) = found
    assert passport["step"] == other["step"] == 3
    moved = 0.0
    start_net = {f"net.{name}": tensor for name, tensor in _fresh().items()}
    for name, tensor in one.items():
        if name.startswith("net.") and "signature" not in name and "axes" not in name:
            # Adam moves a weight that has hardly any gradient by a whole step either way: 2e-3, three times
            torch.testing.assert_close(two[name], tensor, atol=6e-3, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
            moved += (tensor - start_net[name]).abs().sum().item()
            apart = (two[name] - tensor).abs().mean() / (tensor - start_net[name]).abs().mean().clamp(min=1e-8)
            assert apart < 0.1, name
    assert moved > 1


def _fresh():
    torch.manual_seed(TINY.seed)
    return nets.AnyStyle().state_dict()


def test_wrong_settings_and_folders(folders, tmp_path):
    for settings in (replace(TINY, net="none"), replace(TINY, crop=40), replace(TINY, batch=0), replace(TINY, margin=-8)):
        with pytest.raises(UsageError):
            train.Teacher(settings, [folders[0]], [folders[1]], "cpu")
    with pytest.raises(UsageError, match="no readable painting"):
        train.Teacher(TINY, [folders[0]], [tmp_path], "cpu")
    with pytest.raises(UsageError, match="too few"):
        train.Teacher(TINY, [tmp_path], [folders[1]], "cpu")


def test_state_of_another_network_is_refused(tmp_path):
    state = train.State(nets.AnyStyle(), Settings())
    state.save(tmp_path / "s.safetensors")
    with pytest.raises(WeightsError, match="any-wide"):
        train.State(nets.NETS["any-wide"](), Settings(net="any-wide")).load(tmp_path / "s.safetensors")


def test_schedules():
    settings = Settings(ramp=100, motion=5.0, motion_from=200, warmup=10, settle=1000, rate=1.0, style=10.0)
    assert [term_weights(settings, step)["style"] for step in (0, 100, 900)] == [1.0, 10.0, 10.0]
    assert [term_weights(settings, step)["motion"] for step in (0, 200, 250, 900)] == [0.0, 0.0, 2.5, 5.0]
    assert rate(settings, 0) == pytest.approx(0.1)
    assert rate(settings, 500) == 1.0
    assert rate(settings, 4000) == pytest.approx(0.5)


def test_distance_is_0_for_the_style_itself_and_at_most_w2():
    """Pinching never increases the Bures distance: ours is a floor under the exact one, in float64 by scipy."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(5):
        mixes = [torch.randn(12, 12, generator=draw) for _ in range(2)]
        both = [torch.relu(torch.einsum("dc,bchw->bdhw", m, torch.randn(1, 12, 30, 30, generator=draw))) * 40 for m in mixes]
        wanted = losses.target(*losses.raw_moments(both[1]))
        found, style = (losses.points(features)[0].double().numpy() for features in both)
        covariance, root = np.cov(found.T, bias=True), scipy.linalg.sqrtm(np.cov(style.T, bias=True)).real
        spread = covariance + root @ root - 2 * scipy.linalg.sqrtm(root @ covariance @ root).real
        exact = ((found.mean(0) - style.mean(0)) ** 2).sum() + np.trace(spread)
        ours = losses.distance(both[0], wanted)[0] * losses.size(wanted)[0]
        assert losses.distance(both[1], wanted)[0] < 1e-4
        assert 0.3 * exact < ours <= exact * 1.001


def test_tones_are_explained_by_other_colors_and_not_by_patches():
    """Recolored by any affine map a photograph has no blotches; a light patch is one, of its own mean square beyond its mean."""
    draw = torch.Generator().manual_seed(0)
    photo = torch.nn.functional.interpolate(torch.rand((1, 3, 6, 6), generator=draw), (192, 192), mode="bicubic")
    recolored = torch.einsum("rc,bchw->brhw", torch.rand((3, 3), generator=draw), photo) + 0.1
    assert losses.blotches(recolored, photo)[0] < 1e-5
    flat = torch.full((1, 3, 192, 192), 0.4)
    patched = flat.clone()
    patched[..., :96] = 0.8
    half = torch.nn.functional.avg_pool2d(patched, losses.TONE, losses.TONE // 2)
    torch.testing.assert_close(losses.blotches(patched, flat)[0], 3 * half[0, 0].var(correction=0), rtol=1e-2, atol=0)
    strokes = flat + 0.3 * (torch.arange(192) % 8 < 4).float() - 0.15
    assert losses.blotches(strokes, flat)[0] < 1e-6


def test_unsteadiness_vanishes_where_it_should():
    theta = torch.tensor([[[1.0, 0, 4 / 32], [0, 1, 0]]])
    grid = torch.nn.functional.affine_grid(theta, [1, 3, 32, 32], align_corners=False)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert losses.unsteadiness(picture, picture.roll(-2, 3), grid)[0] < 1e-9
    assert losses.unsteadiness(picture, picture, grid)[0] > 0.05


def test_mixed_styles_have_mixed_raw_moments():
    encoder = encoders.load("vgg16")
    crops = [torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(k)) * (k + 1) / 2 for k in range(2)]
    mixed = losses.encode_style(encoder, [(0.3, crops[0]), (0.7, crops[1])])
    alone = [statistics.moments(encoder(crop, ["relu2_1"])["relu2_1"]) for crop in crops]
    mean = 0.3 * alone[0].mean + 0.7 * alone[1].mean
    second = 0.3 * alone[0].second + 0.7 * alone[1].second
    torch.testing.assert_close(mixed.targets["relu2_1"].mean[0], mean, rtol=1e-4, atol=1e-2)
    variance = (second.diagonal() - mean.square() + losses.FLOOR).sqrt()
    torch.testing.assert_close(mixed.targets["relu2_1"].deviation[0], variance, rtol=1e-3, atol=1e-1)
