import csv
import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image as PILImage
from torch.nn import functional as F

from impasto.errors import UsageError, WeightsError
from impasto.fast import learn, nets, pupil, recognition, views
from impasto.features import encoders, weights
from impasto.paint.settings import Settings as Painting

pytest.importorskip("accelerate")
from impasto.fast import encoder

TINY = encoder.Settings(
    crop=32, batch=2, warmup=1, width=1 / 16, points=6, uses=2, window=4, exam=1, judged=3, validate=2, seed=3, teacher="vgg16"
)


def draw(path, seed, size=(90, 72)):
    coarse = PILImage.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize(size, PILImage.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for k in range(12):
        draw(folder / "content" / f"{k}.png", k)
        draw(folder / "style" / f"{k}.png", 100 + k)
    return [folder / "content"], [folder / "style"]


def run(sets, out, count, *, resume=False, settings=TINY):
    torch.set_num_threads(1)
    schooling = encoder.Schooling(settings, *sets, "cpu")
    steps = list(schooling.steps(out / "mine.safetensors", out / "state.safetensors", count=count, resume=resume))
    return schooling, steps


def narrow(seed=0, width=1 / 16):
    torch.manual_seed(seed)
    return pupil.Narrow(width, torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3]))


def test_what_is_kept_sees_what_was_learned_times_its_scale():
    """Against the encoder that painting uses, which reads the keys and lays out the layers by itself."""
    net, image = narrow(), torch.rand(2, 3, 48, 40, generator=torch.Generator().manual_seed(1))
    for convolution in net.layers.values():
        torch.nn.init.normal_(convolution.bias, 0, 0.3)
    scales = {layer: 0.5 + k for k, layer in enumerate(net.layers)}
    kept, found = pupil.to_paint(net, scales), net(image)
    assert kept.layers == encoders.load("vgg16").layers == tuple(found)
    for layer, features in kept(image, kept.layers).items():
        assert features.abs().max() > 0
        torch.testing.assert_close(features, found[layer] * scales[layer], rtol=1e-4, atol=1e-4)


def test_a_whole_width_is_vgg16_s():
    shapes = {layer: convolution.weight.shape for layer, convolution in narrow(width=1).layers.items()}
    vgg = encoders.load("vgg16")
    assert shapes == {layer: vgg.get_buffer(f"{layer}_weight").shape for layer in vgg.layers}


def test_contrast_of_pairs_is_cross_entropy_and_of_nothing_told_apart_is_chance():
    vectors = F.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(4).repeat(2)
    near = (vectors @ vectors.T / pupil.TEMPERATURE).fill_diagonal_(-1e9)
    expected = F.cross_entropy(near, torch.tensor([4, 5, 6, 7, 0, 1, 2, 3]))
    torch.testing.assert_close(pupil.contrast(vectors, labels), expected)
    same = F.normalize(torch.ones(8, 5), dim=1)
    assert pupil.contrast(same, torch.tensor([0, 0, 1, 1, 1, 2, 2, 0])).item() == pytest.approx(math.log(7), rel=1e-5)


def test_cka_against_kernels_and_its_invariances():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 6, generator=draw).double(), torch.randn(40, 9, generator=draw).double()
    center = torch.eye(40).double() - 1 / 40
    k, m = center @ x @ x.T @ center, center @ y @ y.T @ center
    expected = (k * m).sum() / (k.norm() * m.norm())
    torch.testing.assert_close(pupil.cka(x, y), expected)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=draw).double())[0]
    assert pupil.cka(x, 3 * x @ turn + 7).item() == pytest.approx(1)


def test_blur_against_scipy():
    image = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    wanted = scipy.ndimage.gaussian_filter(image.numpy(), (0, 0, 2, 2), mode="nearest", truncate=2.5)
    torch.testing.assert_close(views.blur(image, 2.0), torch.from_numpy(wanted), atol=1e-5, rtol=0)


def test_restyling_keeps_the_forms_and_takes_colors_and_grain():
    draw = torch.Generator().manual_seed(0)
    photo = 0.4 + 0.2 * torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    painting = (torch.tensor([0.7, 0.5, 0.3]).view(1, 3, 1, 1) + 0.1 * torch.randn(1, 3, 64, 64, generator=draw)).clamp(0, 1)
    found = views.restyle(photo, painting, 2.0, 1.0)
    assert (found.mean((0, 2, 3)) - painting.mean((0, 2, 3))).abs().max() < 0.04
    grain = (found - views.blur(found, 2.0)).std() / (painting - views.blur(painting, 2.0)).std()
    assert 0.8 < grain < 1.2
    assert torch.corrcoef(torch.stack([found.mean((0, 1, 2)), photo.mean((0, 1, 2))]))[0, 1] > 0.9


def test_responses_at_places():
    features = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).float()
    places = torch.tensor([[[0.0, 0.0], [0.999, 0.999]], [[0.5, 0.2], [0.3, 0.8]]])
    found = views.at(features, places)
    assert found.shape == (2, 2, 3)
    assert found[0, 1].tolist() == features[0, :, 3, 4].tolist()
    assert found[1].tolist() == [features[1, :, 2, 1].tolist(), features[1, :, 1, 4].tolist()]


def test_sets_are_read_counted_and_divided(tmp_path, caplog):
    for k in range(40):
        draw(tmp_path / "set" / f"{k}.png", k)
    draw(tmp_path / "set" / "small.png", 99, (90, 63))
    (tmp_path / "set" / "broken.jpg").write_bytes(b"no picture")
    learned, held = views.gather([tmp_path / "set"], "style")
    assert (len(learned.pixels), len(held.pixels)) == (36, 4)
    assert sorted(learned.labels + held.labels) == list(range(40)), "each is its own without folders"
    text = caplog.text
    assert "1 pictures cannot be read and are skipped: broken.jpg" in text
    assert "1 style pictures have a side under 64 px: small.png" in text
    assert "only 40 style pictures" in text


def test_folders_tell_painters_but_one_folder_tells_nothing(tmp_path):
    for k in range(12):
        draw(tmp_path / "set" / ("monet" if k % 3 else "hokusai") / f"{k}.png", k)
    learned, _ = views.gather([tmp_path / "set"], "style")
    assert sorted(set(learned.labels)) == [0, 1]
    learned, _ = views.gather([tmp_path / "set" / "monet"], "style")
    assert len(set(learned.labels)) == len(learned.labels) == 8


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (lambda folder: None, "0 readable content pictures of 64 px a side or more"),
        (lambda folder: [draw(folder / f"{k}.png", k) for k in range(7)], "7 readable content pictures"),
        (lambda folder: [draw(folder / f"{k}.png", 1) for k in range(30)], "30 content pictures in .* are alike, only 1 differ"),
        (lambda folder: [draw(folder / f"{k}.png", k, (60, 50)) for k in range(30)], "0 readable content pictures"),
        (lambda folder: [(folder / f"{k}.png").write_bytes(b"x") for k in range(30)], "0 readable content pictures"),
    ],
    ids=["empty", "few", "alike", "small", "unreadable"],
)
def test_sets_that_nothing_can_be_learned_from(sets, tmp_path, made, complaint):
    made(tmp_path)
    with pytest.raises(UsageError, match=complaint):
        encoder.Schooling(TINY, [tmp_path], sets[1], "cpu")
    with pytest.raises(UsageError, match=complaint.replace("content", "style")):
        encoder.Schooling(TINY, sets[0], [tmp_path], "cpu")


def test_of_very_many_pictures_some_are_read(tmp_path, monkeypatch, caplog):
    for k in range(24):
        draw(tmp_path / f"{k}.png", k)
    monkeypatch.setattr(views, "MOST", 10)
    learned, held = views.gather([tmp_path], "style")
    assert len(learned.pixels) == 8
    assert held is learned
    assert "of 24 style pictures 8 are read, evenly spread" in caplog.text


def test_few_pictures_are_measured_on_themselves(tmp_path, caplog):
    for k in range(9):
        draw(tmp_path / f"{k}.png", k)
    learned, held = views.gather([tmp_path], "content")
    assert held is learned
    assert "too few content pictures to keep some apart" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"width": 0.01}, "width of 0.01"),
        ({"crop": 40}, "crops of 40 px"),
        ({"batch": 1}, "batch of 1 pictures"),
        ({"rate": 1.5}, "learning rate of 1.5"),
        ({"seed": -1}, "seed -1"),
        ({"teacher": "alexnet"}, "encoder 'alexnet'"),
    ],
)
def test_settings_that_do_not_fit(sets, wrong, complaint):
    with pytest.raises(UsageError, match=complaint):
        encoder.Schooling(replace(TINY, **wrong), *sets, "cpu")


def test_what_is_recognized_of_known_answers():
    rows = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    own = torch.eye(6, dtype=torch.bool)
    assert recognition.top1(rows, 3 * rows - 2 * rows.mean(0), own) == 1.0
    assert recognition.top1(rows, rows.roll(1, 0), own) == 0.0
    assert recognition.top1(rows, rows, own, ~own) == 0.0, "the own picture may not be answered"
    known = torch.randn(400, 10, generator=torch.Generator().manual_seed(1)).double()
    linear = torch.randn(10, 3, generator=torch.Generator().manual_seed(2)).double()
    assert recognition.unread(known[:300], known[:300] @ linear + 5, known[300:], known[300:] @ linear + 5) < 1e-3
    noise = torch.randn(400, 3, generator=torch.Generator().manual_seed(3)).double()
    assert 0.9 < recognition.unread(known[:300], noise[:300], known[300:], noise[300:]) < 1.3


def test_chance_counts_a_painter_s_other_paintings():
    image = torch.zeros(4, 3, 32, 32)
    trial = recognition.Trial(image, image, image, torch.tensor([0, 0, 0, 1]), torch.cat([image, image]), image)
    found = recognition.chance(trial)
    # of the three by painter 0 two of the three others are right; painter 1's only painting is one of four
    assert found["style_top1"] == pytest.approx((3 * 2 / 3 + 1 / 4) / 4)
    assert found["content_top1"] == 0.25


def test_pixels_lie_under_their_positions():
    """An encoder that knows the mean of each cell leaves what differs within the cells."""
    image = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    means = F.avg_pool2d(image, 8)
    rows = recognition._positions([means])
    per_block = recognition.blocks(image).view(-1, 3, 64).mean(2)
    torch.testing.assert_close(rows, per_block)


def test_a_portrait_has_a_tile_for_each_layer():
    kept = pupil.to_paint(narrow(), dict.fromkeys(narrow().layers, 1.0))
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    sheet = recognition.portrait(kept, image)
    assert sheet.shape == (1, 3, 2 * 32, 7 * 48)
    assert torch.equal(sheet[..., :32, :48], image)
    assert ((sheet >= 0) & (sheet <= 1)).all()
    assert all(tile.std() > 0.05 for row in sheet.split(32, 2) for tile in row.split(48, 3)), "all layers show something"


def test_resumed_equals_uninterrupted_to_the_bit_and_what_is_kept_can_paint(sets, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    whole, steps = run(sets, one, 4)
    run(sets, other, 2)
    again, rest = run(sets, other, 4, resume=True)
    assert [dict(step.losses) for step in steps[2:]] == [dict(step.losses) for step in rest]
    for name, tensor in whole.state.net.state_dict().items():
        assert torch.equal(tensor, again.state.net.state_dict()[name]), name
    saved = [weights.load(folder / "state.safetensors")[0] for folder in (one, other)]
    assert weights.digest(saved[0]) == weights.digest(saved[1])
    assert set(steps[0].losses) == {"content", "style", "picture", "answers", "likeness", "total"}
    with (one / "mine.curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["encoder"] for row in rows] == ["chance", "random", "vgg16", "mine", "mine"]
    assert [row["step"] for row in rows] == ["", "", "", "2", "4"]
    assert encoder.table(one / "mine.safetensors").keys() == {"chance", "random", "vgg16", "mine"}
    kept = encoders.load(str(one / "mine.safetensors"))
    kept.check([*Painting().style_layers, *Painting().content_layers])
    best = min(rows[3:], key=lambda row: float(row["total"]))["step"]
    assert weights.load(one / "mine.safetensors")[1]["learned"]["steps"] == int(best)


def test_responses_vary_as_much_as_vgg16_s(sets, tmp_path):
    schooling, _ = run(sets, tmp_path, 2)
    kept = encoders.load(str(tmp_path / "mine.safetensors"))
    for layer, features in kept(schooling.trial.read, kept.layers).items():
        assert features.var((0, 2, 3)).mean().item() == pytest.approx(pupil.SPREAD[layer], rel=0.03), layer


def test_a_filter_s_losses_are_in_units_of_the_encoder_s_width():
    kept = pupil.to_paint(narrow(), pupil.SPREAD)
    for layer in learn.USUAL:
        assert learn._share(encoders.load("vgg16"), layer) == 1
        assert learn._share(kept, layer) == kept.get_buffer(f"{layer}_weight").shape[0] / nets.SIGNATURE[layer] < 0.2


def test_weights_can_be_begun_with_and_stay_what_they_see(sets, tmp_path):
    run(sets, tmp_path, 2)
    path = tmp_path / "mine.safetensors"
    begun = encoder.Schooling(replace(TINY, seed=8), *sets, "cpu")
    begun.start(path)
    kept, image = encoders.load(str(path)), begun.trial.plain
    for layer, features in begun.encoder(begun.state.net)(image, kept.layers).items():
        wanted = kept(image, [layer])[layer]
        torch.testing.assert_close(features, wanted, rtol=0.02, atol=0.02 * wanted.max().item())
    wide = encoder.Schooling(replace(TINY, width=1 / 8), *sets, "cpu")
    with pytest.raises(WeightsError, match=r"at 0\.125 of its width"):
        wide.start(path)


def test_states_of_other_work_are_refused(sets, tmp_path):
    run(sets, tmp_path, 2)
    for other in ({"width": 1 / 8}, {"teacher": ""}):
        with pytest.raises(WeightsError, match="another"):
            run(sets, tmp_path, 3, resume=True, settings=replace(TINY, **other))


def test_without_a_teacher_none_is_asked_and_the_losses_fall(sets, tmp_path, monkeypatch, caplog):
    asked = []
    load = encoders.load
    monkeypatch.setattr(encoders, "load", lambda name, **options: asked.append(name) or load(name, **options))
    caplog.set_level(logging.ERROR)
    settings = replace(TINY, teacher="", rate=3e-3, validate=60)
    _, steps = run(sets, tmp_path, 60, settings=settings)
    assert asked == ["vgg16"], "VGG-16 is only measured beside"
    first, last = (np.mean([step.losses["total"] for step in part]) for part in (steps[:10], steps[-10:]))
    assert last < 0.9 * first
    assert steps[0].losses.keys() == {"content", "style", "picture", "total"}
