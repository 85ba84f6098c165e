"""A picture painted: what is promised about every result. Most run on a narrow random network, some on the embedded one."""

import json
import os
import time

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

import impasto
from impasto import metrics
from impasto.errors import ImpastoError, PaintingError, UnfitPicture, UnreadablePicture, UsageError
from impasto.paint.image import Painting
from impasto.paint.pictures import opened
from impasto.paint.settings import Settings
from impasto.pixels import geometry, io, recipe
from impasto.still import open_styles, stylize

BOTH = pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])


@pytest.fixture
def quick(narrow):
    """`quick(content, style, **settings)`: painted at 32 px in three steps with the narrow network."""

    def paint(content, style, **settings):
        return stylize(content, style, **{"size": 32, "steps": 3, "encoder": narrow, "precision": "fp32"} | settings)

    return paint


@pytest.fixture
def begin(narrow):
    """`begin(content, style, **settings)`: a `Painting`, nothing done yet."""

    def prepare(content, style, *, start=None, **settings):
        chosen = Settings(**{"size": "32", "steps": "6", "encoder": narrow, "precision": "fp32"} | settings)
        return Painting(opened(content)[0], open_styles(style), chosen, start=start)

    return prepare


def again(result, content, styles, **others):
    """What its own recipe makes."""
    kept = json.loads(recipe.to_json(result.recipe))
    values = Settings.from_dict(kept["settings"]).as_dict() | others
    weighted = [(style, entry["weight"]) for style, entry in zip(styles, kept["styles"], strict=True)]
    return stylize(content, weighted, **{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def with_alpha(image):
    """The picture with a clear left third and a soft middle."""
    alpha = torch.ones(1, *image.shape[1:])
    third = image.shape[2] // 3
    alpha[..., :third], alpha[..., third : 2 * third] = 0, 0.5
    return torch.cat([image, alpha]).permute(1, 2, 0).numpy()


# with the embedded network


def test_a_photograph_takes_on_the_style_and_keeps_its_content(photo, painting):
    made = stylize(photo, painting, size=64, steps=10, precision="fp32").image[0]
    assert metrics.style_distance(made, painting, 64) < 0.5 * metrics.style_distance(photo, painting, 64)
    assert metrics.content_distance(made, photo, 64) < 0.7 * metrics.content_distance(painting, photo, 64)


def test_more_strength_is_more_style(photo, painting):
    made = [
        stylize(photo, painting, size=64, steps=8, strength=strength, precision="fp32").image[0] for strength in (0.2, 0.5, 1)
    ]
    style = [metrics.style_distance(image, painting, 64) for image in (photo, *made)]
    assert style == sorted(style, reverse=True)
    content = [metrics.content_distance(image, photo, 64) for image in (photo, *made)]
    assert content == sorted(content)


def test_two_styles_lie_between_them(photo, painting, picture):
    other = picture(3, 50, 60)
    made = [
        stylize(photo, [(painting, weight), (other, 1 - weight)], size=48, steps=8, precision="fp32").image[0]
        for weight in (1.0, 0.5, 0.0)
    ]
    to_first, to_second = ([metrics.style_distance(image, style, 48) for image in made] for style in (painting, other))
    assert to_first[0] < to_first[1] < to_first[2]
    assert to_second[0] > to_second[1] > to_second[2]


def test_bfloat16_paints_nearly_the_same_picture(photo, painting):
    one, other = (stylize(photo, painting, size=48, steps=4, precision=precision).image for precision in ("fp32", "bf16"))
    assert float((one - other).abs().mean()) < 0.03


# strength, size, alpha


@pytest.mark.parametrize("size", ["full", 24, 100, "40x30"])
def test_no_strength_is_the_content_itself(size, quick, photo, painting):
    made = quick(photo, painting, strength=0, size=size)
    assert torch.equal(made.image, geometry.fit(photo[None], geometry.parse_size(str(size))))


def test_no_strength_keeps_what_the_file_knew(quick, photo, painting, tmp_path):
    pixels = (with_alpha(photo) * 65535).round().astype(np.uint16)
    made = quick(pixels, painting, strength=0, size="full")
    assert np.array_equal((made.numpy() * 65535).round(), pixels)
    assert made.picture.bits == 16


@pytest.mark.parametrize("shape", [(48, 64), (33, 47), (64, 20), (16, 16), (17, 200)])
@pytest.mark.parametrize("size", ["full", 32, 45])
def test_the_result_has_the_size_asked_for(shape, size, quick, picture, painting):
    content = picture(4, *shape)
    height, width = geometry.fit(content[None], geometry.parse_size(str(size))).shape[-2:]
    if min(height, width) < 16:
        with pytest.raises(UnfitPicture, match=f"{width} x {height}"):
            quick(content, painting, size=size, steps=2)
        return
    made = quick(content, painting, size=size, steps=2)
    assert made.image.shape == (1, 3, height, width)
    assert made.image.dtype == torch.float32
    assert 0 <= float(made.image.min()) < float(made.image.max()) <= 1


@pytest.mark.parametrize(("size", "said"), [("24", False), ("32", True), ("48x32", True)])
def test_a_content_that_is_enlarged_much_is_said(size, said, begin, picture, painting, caplog):
    begin(picture(1, 9, 12), painting, size=size)
    assert ("the content has only 12 x 9 px and is enlarged to" in caplog.text) is said


@pytest.mark.parametrize("height", [39, 79, 81, 83, 95, 103, 127])
def test_rounded_sides_fit_at_every_level(height, quick, picture, painting):
    """Each level's height is rounded from the whole picture's, not from the first level's."""
    made = quick(picture(5, height, 128), painting, size=128, steps="64:1,91:1,128:1")
    assert made.image.shape[-2:] == (height, 128)


def test_alpha_survives_and_what_is_clear_stays(quick, photo, painting):
    content = with_alpha(photo)
    made = quick(content, painting, size="full")
    found = made.numpy()
    assert found.shape == content.shape
    assert np.array_equal(found[..., 3], content[..., 3])
    clear = content[..., 3] == 0
    assert np.array_equal(found[clear], content[clear])
    assert np.abs(found - content)[~clear].max() > 0.01
    assert made.pil().mode == "RGBA"


def test_what_is_clear_does_not_count(quick, photo, painting):
    """Other colors under full transparency change nothing of what is seen, but by what the network sees across the edge."""
    content = with_alpha(photo)
    other = content.copy()
    other[:, :4, :3] = 1 - other[:, :4, :3]
    one, two = (quick(each, painting, size="full", content_weight=0.0).numpy() for each in (content, other))
    seen = content[..., 3] == 1
    changed = np.abs(one - content)[seen].mean()
    assert np.abs(one - two)[seen].mean() < 0.3 * changed


def test_a_styles_alpha_says_what_counts(quick, photo, painting, picture):
    """The clear part of a style may hold anything."""
    other = picture(6, 60, 52)
    shown = torch.ones(1, 60, 52)
    shown[..., 26:] = 0
    mixed = torch.cat([painting[..., :26], other[..., 26:]], 2)
    results = [quick(photo, torch.cat([image, shown]).permute(1, 2, 0).numpy(), size=48).image for image in (painting, mixed)]
    whole = quick(photo, mixed, size=48).image
    assert float((results[0] - results[1]).abs().mean()) < 0.5 * float((results[1] - whole).abs().mean())


# seeds and recipes


@BOTH
@pytest.mark.parametrize("init", ["noise", "content"])
def test_the_same_seed_is_the_same_picture(optimizer, init, quick, photo, painting):
    one = quick(photo, painting, optimizer=optimizer, init=init, seed=5)
    torch.rand(3)
    other = quick(photo, painting, optimizer=optimizer, init=init, seed=5)
    assert torch.equal(one.image, other.image)
    assert one.recipe == other.recipe


def test_another_seed_is_another_picture(quick, photo, painting):
    one, other = (quick(photo, painting, init="noise", seed=seed).image for seed in (1, 2))
    assert float((one - other).abs().mean()) > 0.01


@BOTH
@pytest.mark.parametrize("settings", [{"steps": "32:4,45:3,64:2"}, {"steps": "5"}, {"quality": "draft", "steps": ""}])
def test_the_recipe_makes_the_picture_again(optimizer, settings, quick, photo, painting, picture):
    styles = [painting, picture(7, 40, 40)]
    weighted = [(styles[0], 3), (styles[1], 1)]
    made = quick(photo, weighted, size=64, optimizer=optimizer, strength=0.8, init="noise", seed=3, **settings)
    assert torch.equal(again(made, photo, styles).image, made.image)


def test_the_recipe_tells_the_steps_that_were_made(quick, photo, painting):
    made = quick(photo, painting, size=64, steps="32:4,64:2")
    assert made.recipe["settings"]["steps"] == "32:4,64:2"
    assert made.recipe["verb"] == "image"
    assert made.recipe["version"] == impasto.__version__
    # a loss that no step can lower is on a plateau after eleven
    flat = quick(photo, painting, size=32, steps="", style_weight=0.0, content_weight=0.0)
    assert flat.recipe["settings"]["steps"] == "32:11"


def test_the_recipe_names_what_the_picture_was_made_from(quick, photo, painting, tmp_path):
    pixels = (photo * 255).byte().permute(1, 2, 0).numpy()
    for name in ("one.png", "two.png"):
        PILImage.fromarray(pixels).save(tmp_path / name)
    made = quick(tmp_path / "one.png", [(str(tmp_path / "two.png"), 3), (painting, 1)])
    content, styles = made.recipe["content"], made.recipe["styles"]
    assert content["source"] == str(tmp_path / "one.png")
    assert [style["weight"] for style in styles] == [0.75, 0.25]
    assert styles[0]["source"] == str(tmp_path / "two.png")
    assert content["sha256"] == styles[0]["sha256"] != styles[1]["sha256"]


def test_the_recipe_lies_in_the_file(quick, photo, painting, tmp_path):
    made = quick(photo, painting)
    path = made.save(tmp_path / "made.png")
    assert recipe.read(path) == json.loads(json.dumps(made.recipe))
    assert float((io.load(path).image - made.image).abs().max()) <= 0.5 / 255 + 1e-6


@BOTH
def test_a_time_is_kept_and_its_picture_can_be_made_again(optimizer, quick, photo, painting):
    begun = time.monotonic()
    made = quick(photo, painting, size=64, steps="", time=1.6, optimizer=optimizer)
    assert time.monotonic() - begun < 1.6
    assert made.recipe["settings"]["time"] == 0
    assert torch.equal(again(made, photo, [painting]).image, made.image)


def test_no_time_at_all_still_gives_a_picture(quick, photo, painting):
    begun = time.monotonic()
    made = quick(photo, painting, size=64, steps="", time=0.01)
    assert time.monotonic() - begun < 1
    assert made.image.shape == (1, 3, 48, 64)


# stopping and going on


@BOTH
@pytest.mark.parametrize("made", [0, 1, 4, 8])
def test_a_picture_stopped_at_any_step_is_usable_and_can_be_made_again(optimizer, made, begin, photo, painting):
    work = begin(photo, painting, size="64", steps="45:6,64:6", optimizer=optimizer)
    steps = work.steps()
    for _ in range(made):
        next(steps)
    steps.close()
    result = work.result()
    assert result.image.shape == (1, 3, 48, 64)
    assert torch.isfinite(result.image).all()
    if made:
        asked = result.recipe["settings"]["steps"]
        assert sum(int(part.split(":")[1]) for part in asked.split(",")) == made
        assert torch.equal(again(result, photo, [painting]).image, result.image)
    else:
        assert torch.equal(result.image, geometry.fit(photo[None], 64))


@BOTH
@pytest.mark.parametrize("made", [1, 6, 9])
def test_a_saved_state_goes_on_as_if_it_had_never_stopped(optimizer, made, begin, photo, painting, tmp_path):
    settings = {"size": "64", "steps": "45:6,64:6", "optimizer": optimizer}
    whole, first, second = (begin(photo, painting, **settings) for _ in range(3))
    list(whole.steps())
    steps = first.steps()
    for _ in range(made):
        next(steps)
    steps.close()
    first.save_state(tmp_path / "s.safetensors")
    second.load_state(tmp_path / "s.safetensors")
    assert len(list(second.steps())) == 12 - made
    assert torch.equal(second.result().image, whole.result().image)
    assert second.result().recipe == whole.result().recipe


@pytest.mark.parametrize("other", [{"strength": 0.5}, {"seed": 1}, {"size": "48"}])
def test_the_state_of_other_work_is_refused(other, begin, photo, painting, tmp_path):
    work = begin(photo, painting)
    next(work.steps())
    work.save_state(tmp_path / "s.safetensors")
    with pytest.raises(UsageError, match="other work"):
        begin(photo, painting, **other).load_state(tmp_path / "s.safetensors")
    with pytest.raises(UsageError, match="other work"):
        begin(painting, painting).load_state(tmp_path / "s.safetensors")


@BOTH
def test_the_loss_falls(optimizer, begin, photo, painting):
    made = list(begin(photo, painting, steps="15", optimizer=optimizer).steps())
    assert made[-1].losses["total"] < 0.5 * made[0].losses["total"]
    assert set(made[0].losses) >= {"style", "content", "total"}


def test_the_plan_says_what_is_done(begin, photo, painting):
    work = begin(photo, painting, size="64", steps="32:2,64:1")
    plan = work.plan()
    assert "64 x 48" in plan
    assert "32 px x 2" in plan
    assert "64 px x 1" in plan
    made = list(work.steps(preview=True))
    assert [step.size for step in made] == [(24, 32), (24, 32), (48, 64)]
    assert [tuple(step.preview.shape[-2:]) for step in made] == [step.size for step in made]


# styles


def test_a_weight_of_0_is_as_if_it_were_not_there(quick, photo, painting, picture):
    other = picture(8, 40, 50)
    alone = quick(photo, painting)
    assert torch.equal(quick(photo, [(painting, 1), (other, 0)]).image, alone.image)
    assert torch.equal(quick(photo, [(other, 0), (painting, 0.3)]).image, alone.image)


def test_only_the_shares_of_weights_count(quick, photo, painting, picture):
    other = picture(8, 40, 50)
    one, two, equal = (
        quick(photo, weighted).image
        for weighted in ([(painting, 6), (other, 2)], [(painting, 0.75), (other, 0.25)], [painting, other])
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, equal)


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (float("nan"), 1), (float("inf"), 1)])
def test_weights_that_make_no_shares_are_refused(weights, quick, photo, painting):
    with pytest.raises(UsageError, match="weights must be positive"):
        quick(photo, [(painting, weights[0]), (photo, weights[1])])


def test_no_style_is_refused(quick, photo):
    with pytest.raises(UsageError, match="no style"):
        quick(photo, [])


@pytest.mark.parametrize("shape", [(16, 16), (20, 24), (300, 280), (16, 400), (500, 18)])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_a_style_may_be_larger_or_smaller_than_the_content(shape, scale, quick, photo, picture):
    made = quick(photo, picture(9, *shape), steps=2, style_scale=scale)
    assert made.image.shape == (1, 3, 24, 32)
    assert torch.isfinite(made.image).all()


def test_the_scale_of_a_style_counts(quick, photo, picture):
    style = picture(10, 128, 128)
    small, large = (quick(photo, style, size=64, style_scale=scale).image for scale in (0.5, 2.0))
    assert not torch.equal(small, large)


@pytest.mark.parametrize("shape", [(15, 64), (8, 8), (1, 1)])
def test_too_small_a_style_is_refused(shape, quick, photo, picture):
    with pytest.raises(UnfitPicture, match=f"style .*{shape[1]} x {shape[0]} px"):
        quick(photo, picture(11, *shape))


@pytest.mark.parametrize(("shape", "size"), [((8, 8), "full"), ((64, 64), 8), ((20, 200), 64), ((1, 1), "full")])
def test_too_small_a_result_is_refused(shape, size, quick, painting, picture):
    with pytest.raises(UnfitPicture, match=r"the result is \d+ x \d+ px: 16"):
        quick(picture(12, *shape), painting, size=size)


def test_a_small_photograph_may_be_enlarged(quick, painting, picture):
    assert quick(picture(13, 5, 8), painting, size=32).image.shape == (1, 3, 20, 32)


@pytest.mark.parametrize("flat", ["content", "style", "both"])
def test_plain_pictures_are_painted(flat, quick, photo, painting):
    """A wall, a sheet of paper: nothing varies, and nothing breaks."""
    plain = torch.full((3, 40, 40), 0.6)
    content = plain if flat != "style" else photo
    style = plain if flat != "content" else painting
    assert torch.isfinite(quick(content, style).image).all()


def test_a_style_of_which_nothing_shows_is_refused(quick, photo, painting):
    clear = torch.cat([painting, torch.zeros(1, 60, 52)]).permute(1, 2, 0).numpy()
    for loss in ("w2", "nn"):
        with pytest.raises(ImpastoError):
            quick(photo, clear, style_loss=loss)


# where it starts


@pytest.mark.parametrize("init", ["content", "noise", "gray", "style"])
def test_every_init_leads_somewhere(init, quick, photo, painting):
    made = quick(photo, painting, init=init, steps=12)
    assert float(made.image.std()) > 0.03


@BOTH
def test_a_start_that_is_nearly_the_end_is_no_trouble(optimizer, quick, photo, painting):
    """Little strength, much content, a finished picture gone on with: any step leads away at first."""
    quick(photo, painting, strength=0.01, optimizer=optimizer, steps=12)
    quick(photo, painting, content_weight=100.0, optimizer=optimizer, steps=12)
    done = quick(photo, painting, steps=60)
    quick(photo, painting, start=done.image[0], optimizer=optimizer, steps=12)


@pytest.mark.slow
@pytest.mark.parametrize("init", ["gray", "noise", "style"])
def test_every_init_paints_with_the_embedded_network(init, photo, painting):
    made = stylize(photo, painting, size=64, init=init, steps=40, precision="fp32").image[0]
    assert metrics.style_distance(made, painting, 64) < 0.5 * metrics.style_distance(photo, painting, 64)


def test_an_init_may_be_a_file(quick, photo, painting, picture, tmp_path):
    io.save(io.load(picture(14, 30, 40)), tmp_path / "start.png", bits=16)
    from_file = quick(photo, painting, init=str(tmp_path / "start.png"))
    given = quick(photo, painting, start=tmp_path / "start.png")
    assert torch.equal(from_file.image, given.image)
    with pytest.raises(UnreadablePicture):
        quick(photo, painting, init=str(tmp_path / "gone.png"))


def test_a_stylizer_may_begin(quick, begin, photo, painting):
    seen = {}

    def negative(content, *, strength=1.0):
        seen.update(shape=tuple(content.shape), strength=strength)
        return 1 - content

    made = quick(photo, painting, size=64, steps="32:2,64:2", start=negative, strength=0.7)
    assert seen == {"shape": (1, 3, 24, 32), "strength": 0.7}
    assert torch.isfinite(made.image).all()
    work = begin(photo, painting, start=negative)
    shown = next(work.steps(preview=True)).preview
    assert torch.nn.functional.mse_loss(shown, 1 - work.full) < torch.nn.functional.mse_loss(shown, work.full)


def test_a_picture_may_come_in_every_form(quick, painting, tmp_path):
    pixels = (painting * 255).byte().permute(1, 2, 0).numpy()
    PILImage.fromarray(pixels).save(tmp_path / "p.png")
    forms = [tmp_path / "p.png", str(tmp_path / "p.png"), PILImage.fromarray(pixels), pixels, pixels.astype(np.float32) / 255]
    forms.append(torch.from_numpy(forms[-1]).permute(2, 0, 1))
    made = [quick(form, form).image for form in forms]
    assert all(torch.equal(image, made[0]) for image in made[1:])


# guards


@pytest.mark.parametrize("kind", ["flat", "gray"])
def test_a_picture_that_shows_nothing_is_refused(kind, begin, photo, painting):
    start = (
        torch.full((1, 3, 24, 32), 0.5) if kind == "flat" else geometry.fit(photo[None], 32).mean(1, True).expand(1, 3, -1, -1)
    )
    work = begin(photo, painting, start=start.contiguous(), steps="1", style_weight=0.0, content_weight=0.0)
    with pytest.raises(PaintingError, match=f"the result is {kind}.*content weight"):
        list(work.steps())


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_a_network_that_overflows_is_an_error(steps, quick, photo, painting, vgg_state, tmp_path):
    state = {name: tensor * 1e9 for name, tensor in vgg_state("vgg16", 4).items()}
    torch.save(state, tmp_path / "huge.pth")
    with pytest.raises(ImpastoError):
        quick(photo, painting, encoder=str(tmp_path / "huge.pth"), steps=steps)


def test_a_start_that_holds_no_numbers_never_gets_into_the_result(begin, photo, painting):
    start = torch.rand(1, 3, 24, 32)
    start[0, 1, 5, 5] = float("nan")
    work = begin(photo, painting, start=start)
    try:
        list(work.steps())
    except ImpastoError:
        return
    assert torch.isfinite(work.result().image).all()


def test_nothing_is_written_while_painting(quick, photo, painting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick(photo, painting)
    assert os.listdir(tmp_path) == []


def test_the_pictures_handed_in_are_not_changed(quick, photo, painting):
    before = photo.clone(), painting.clone()
    quick(photo, painting)
    assert torch.equal(photo, before[0])
    assert torch.equal(painting, before[1])
