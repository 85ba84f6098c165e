"""A doodle painted: what each region becomes, what is refused, and that work can be repeated and gone on with."""

import json
import math

import pytest
import torch

from impasto.errors import ImpastoError, UnfitPicture, UnreadablePicture, UsageError
from impasto.features import distances, statistics
from impasto.paint import objective
from impasto.paint.doodle import WAYS, Doodle, doodle, narrowed
from impasto.paint.objective import STYLE_LOSSES, Term
from impasto.paint.pictures import Style, opened
from impasto.paint.settings import Settings
from impasto.pixels import geometry, io, recipe

RED, BLUE, GREEN = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0.75, 0]])


def halves(left, right, height=40, width=56):
    """A map: one color left, another right."""
    image = torch.empty(3, height, width)
    image[..., : width // 2], image[..., width // 2 :] = left.view(3, 1, 1), right.view(3, 1, 1)
    return image


@pytest.fixture
def painting():
    """Warm and smooth where its map is red, dark with bright stripes where it is blue."""
    random = torch.Generator().manual_seed(0)
    image = halves(torch.tensor([0.85, 0.65, 0.3]), torch.tensor([0.15, 0.2, 0.4]), 48, 64)
    image += 0.02 * torch.randn(image.shape, generator=random)
    image[:, torch.arange(48) // 4 % 2 == 0, 32:] += 0.3
    return image.clamp(0, 1)


@pytest.fixture
def painting_map():
    return halves(RED, BLUE, 48, 64)


@pytest.fixture
def quick(narrow, painting, painting_map):
    """`quick(map, **more)`: painted at 48 px in two steps with the narrow network."""

    def paint(drawing, styles=painting, maps=painting_map, content=None, **settings):
        chosen = {"size": 48, "steps": 2, "encoder": narrow, "precision": "fp32"} | settings
        return doodle(drawing, styles, maps, content, **chosen)

    return paint


@pytest.fixture
def begin(narrow, painting, painting_map):
    """`begin(**settings)`: a `Doodle`, nothing done yet."""

    def prepare(drawing=None, content=None, way="both", semantic_weight=1.0, **settings):
        chosen = Settings(**{"size": "48", "steps": "3", "encoder": narrow, "precision": "fp32"} | settings)
        pictures = [opened(each)[0] for each in (halves(BLUE, RED) if drawing is None else drawing, painting, painting_map)]
        photo = None if content is None else opened(content)[0]
        more = {"content": photo, "way": way, "semantic_weight": semantic_weight}
        return Doodle(pictures[0], [Style(pictures[1])], [pictures[2]], chosen, **more)

    return prepare


def sides(image):
    """Left and right of a picture, away from border and middle."""
    width = image.shape[-1]
    return image[..., 2 : width // 2 - 3], image[..., width // 2 + 3 : width - 2]


def grain(image):
    return float((image - image.mean((-2, -1), keepdim=True)).square().mean().sqrt())


# --- what it becomes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_each_region_becomes_like_its_own_in_the_painting_and_swapped_colors_swap_them(quick, painting, way):
    steps = {"steps": "32:6,48:4"} if way == "statistics" else {}
    warm, dark = sides(painting)
    for drawing, (first, second) in ((halves(RED, BLUE), (warm, dark)), (halves(BLUE, RED), (dark, warm))):
        image = quick(drawing, way=way, **steps).image[0]
        for found, own, other in zip(sides(image), (first, second), (second, first), strict=True):
            color, wanted, wrong = (part.mean((-2, -1)) for part in (found, own, other))
            assert (color - wanted).norm() < 0.15 * (color - wrong).norm()
            assert abs(grain(found) - grain(own)) < abs(grain(found) - grain(other))


def test_borders_are_sharp(quick):
    image = quick(halves(RED, BLUE)).image.mean((0, 1, 2))
    middle = len(image) // 2
    jumps = image.diff().abs()
    assert jumps[middle - 2 : middle + 1].sum() > 0.8 * abs(image[: middle - 3].mean() - image[middle + 3 :].mean())


def test_every_style_gives_the_colors_of_its_own_map(quick, painting):
    warm, dark = painting[..., :32], painting[..., 32:]
    image = quick(halves(BLUE, RED), [warm, (dark, 0.5)], [halves(RED, RED, 48, 32), halves(BLUE, BLUE, 48, 32)]).image[0]
    left, right = (side.mean((-2, -1)) for side in sides(image))
    assert (left - dark.mean((-2, -1))).norm() < 0.1
    assert (right - warm.mean((-2, -1))).norm() < 0.1


def test_a_style_without_weight_gives_nothing(quick, painting, painting_map):
    alone = quick(halves(BLUE, RED), way="patches").image
    beside = quick(halves(BLUE, RED), [painting, (1 - painting, 0.0)], [painting_map, painting_map], way="patches").image
    assert (alone - beside).abs().mean() < 0.02


def test_the_result_has_the_maps_shape_at_the_size(quick):
    assert quick(halves(RED, BLUE, 60, 40), size=36, way="patches").image.shape == (1, 3, 36, 24)
    assert quick(halves(RED, BLUE, 60, 40), size="full", way="patches").image.shape == (1, 3, 60, 40)
    assert quick(halves(RED, BLUE, 60, 40), size="32x24", steps=1).image.shape == (1, 3, 24, 32)


def test_a_photograph_shows_through(quick, picture):
    photo = picture(5, 40, 56)

    def inner(image):
        """Light and dark within each half."""
        light = geometry.resize(image[None].mean(1, keepdim=True), (20, 28))
        return torch.cat([(part - part.mean()).flatten() for part in light.chunk(2, -1)])

    def likeness(image):
        return float(torch.cosine_similarity(inner(image), inner(photo), dim=0))

    assert likeness(quick(halves(RED, BLUE), content=photo).image[0]) > 0.3 + likeness(quick(halves(RED, BLUE)).image[0])
    assert torch.equal(quick(halves(RED, BLUE), content=photo, strength=0.0, size="full").image[0], photo)


def test_alpha_of_the_photograph_stays(quick, picture):
    alpha = torch.ones(1, 40, 56)
    alpha[..., :8] = 0
    photo = torch.cat((picture(5, 40, 56), alpha)).permute(1, 2, 0).numpy()
    made = quick(halves(RED, BLUE), content=photo, size="full")
    assert torch.equal(made.picture.alpha[0], alpha)


def test_maps_may_be_anti_aliased_jpeg_or_transparent(quick):
    drawing = halves(RED, BLUE)
    soft = geometry.resize(drawing[None], (61, 85))[0]
    paper = torch.cat((torch.where(drawing == BLUE.view(3, 1, 1), 0.0, drawing), (drawing[:1] > 0.5).float()))
    hard = quick(drawing, way="patches").image
    assert (quick(soft, way="patches").image - hard).abs().mean() < 0.1
    with pytest.raises(UsageError, match=r"has #ffffff \(white\)"):
        quick(paper.permute(1, 2, 0).numpy())


# --- the same again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_the_seed_decides(quick, way):
    first, again, other = (quick(halves(BLUE, RED), way=way, seed=seed).image for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("photographed", [False, True])
@pytest.mark.parametrize("at", [1, 3])
def test_interrupted_and_gone_on_with_it_is_the_same(begin, tmp_path, picture, photographed, at):
    """Stopped while patches are laid, and in the middle of the steps."""
    content = picture(5, 40, 56) if photographed else None
    whole = begin(content=content)
    seen = [step.index for step in whole.steps()]
    assert seen == list(range(1, len(seen) + 1))
    stopped = begin(content=content)
    for _, step in zip(range(at), stopped.steps(), strict=False):
        assert step.total == len(seen)
    stopped.save_state(tmp_path / "state.safetensors")
    later = begin(content=content)
    later.load_state(tmp_path / "state.safetensors")
    assert [step.index for step in later.steps()][-1] == len(seen)
    assert torch.equal(later.result().image, whole.result().image)


@pytest.mark.parametrize("others", [{"way": "patches"}, {"semantic_weight": 2.0}, {"seed": 4}])
def test_other_work_is_not_gone_on_with(begin, tmp_path, others):
    begin().save_state(tmp_path / "state.safetensors")
    with pytest.raises(UsageError, match="state of other work"):
        begin(**others).load_state(tmp_path / "state.safetensors")


@pytest.mark.parametrize("weight", [1.0, math.inf])
def test_a_recipe_makes_the_same_picture(begin, weight):
    painting = begin(semantic_weight=weight)
    for _ in painting.steps():
        pass
    made = painting.result()
    kept = json.loads(recipe.to_json(made.recipe))
    assert (kept["verb"], kept["way"], kept["settings"]["steps"]) == ("doodle", "both", "48:3")
    again = begin(semantic_weight=float(kept["semantic_weight"]), steps=kept["settings"]["steps"])
    assert Settings.from_dict(kept["settings"]) == again.asked
    for _ in again.steps():
        pass
    assert torch.equal(again.result().image, made.image)


def test_a_result_can_be_had_at_any_time(begin):
    assert torch.isfinite(begin().result().image).all()
    early = begin()
    next(early.steps())
    assert early.result().image.shape == (1, 3, 34, 48)


def test_a_short_time_ends_with_what_was_laid(begin):
    painting = begin(time=0.001, steps="")
    assert [step.losses for step in painting.steps()] == [{}] * 2
    assert torch.isfinite(painting.result().image).all()


def test_the_plan_says_what_will_be_done(begin):
    assert begin().plan().startswith("patches laid at 34 ... 48 px; 48 x 34 px: steps at 48 px x 3")
    assert begin(way="patches").plan() == "48 x 34 px: patches laid at 34 ... 48 px"
    assert begin(way="statistics", steps="32:2,48:1").plan().startswith("48 x 34 px: steps at 32 px x 2, 48 px x 1")


# --- the terms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["w2", "gram"])
def test_a_term_over_its_region_alone_is_the_same_term(picture, loss):
    statistic, mix, distance = STYLE_LOSSES[loss]
    features = picture(1, 12, 16)[None].double().requires_grad_()
    mask = torch.zeros(1, 1, 24, 32)
    mask[..., 4:20, 6:18] = 1
    target = mix([(1.0, statistic(picture(2, 9, 9)[None].double()))])
    term = Term("style", "input", 1.0, statistic, distance, target, mask)
    values = [each(features) for each in (term, narrowed(term))]
    assert torch.allclose(*values, rtol=1e-9)
    assert torch.allclose(*(torch.autograd.grad(value, features)[0] for value in values), atol=1e-9)


def test_other_terms_are_left_alone():
    mask = torch.ones(1, 1, 4, 4)
    cloud = Term("style", "input", 1.0, statistics.cloud, distances.nearest, None, mask)
    whole = Term("style", "input", 1.0, statistics.moments, distances.w2, None)
    assert narrowed(cloud) is cloud
    assert narrowed(whole) is whole


def test_the_picture_is_held_at_what_was_laid(begin, picture):
    for content, name in ((None, "content"), (picture(5, 40, 56), "held")):
        painting = begin(content=content)
        painting.result()
        found = painting.objective_at(painting.levels[0])
        assert isinstance(found, objective.Objective)
        _, losses = found(painting.laid)
        assert float(losses[name]) == 0
        assert float(losses["style"]) > 0


# --- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawing", "match"),
    [
        (halves(GREEN, BLUE), r"the map has #00bf00 \(green\), which no style map has \(there are "),
        (halves(RED, RED), r"the map has one color, #ff0000 \(red\)"),
        (torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(1)), "the map is no map of flat colors"),
    ],
)
def test_maps_that_cannot_be_painted(quick, drawing, match):
    with pytest.raises(UsageError, match=match):
        quick(drawing)


def test_a_map_of_another_shape_than_its_picture(quick, picture):
    with pytest.raises(UnfitPicture, match="the style map is 48 x 48 px, its picture 64 x 48"):
        quick(halves(RED, BLUE), maps=halves(RED, BLUE, 48, 48))
    with pytest.raises(UnfitPicture, match="the map is 56 x 40 px, its picture 40 x 40"):
        quick(halves(RED, BLUE), content=picture(1, 40, 40))


def test_missing_files_are_named(quick, tmp_path):
    with pytest.raises(UnreadablePicture, match=r"gone\.png"):
        quick(tmp_path / "gone.png")
    io.save(io.load(halves(GREEN, BLUE)), tmp_path / "mine.png")
    with pytest.raises(UsageError, match=r"mine\.png has #00bf00"):
        quick(tmp_path / "mine.png")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"way": "magic"}, "way 'magic' is not one of both, patches, statistics"),
        ({"semantic_weight": -1.0}, "semantic_weight -1 is not 0 or more"),
        ({"semantic_weight": math.nan}, "semantic_weight nan is not 0 or more"),
        ({"strength": 0.5}, "strength 0.5 leaves some of a photograph, and there is none: give --content"),
        ({"preserve_color": "match"}, "preserve_color match keeps a photograph's colors"),
        ({"init": "noise"}, "init noise goes with way statistics"),
        ({"maps": []}, "0 style maps for 1 styles"),
        ({"size": 8}, "8 x 6 px: 16 px a side at least"),
        ({"brush": 1}, "not a setting: 'brush'"),
        ({"style_loss": "l7"}, "style_loss 'l7' is not one of"),
    ],
)
def test_settings_that_make_no_sense(quick, settings, match):
    with pytest.raises(ImpastoError, match=match):
        quick(halves(RED, BLUE), **settings)


@pytest.mark.parametrize("way", WAYS)
def test_tiny_regions_are_painted(quick, way):
    drawing, theirs = halves(RED, RED, 64, 64), halves(RED, BLUE, 48, 64)
    drawing[:, 29:35, 29:35] = BLUE.view(3, 1, 1)
    assert torch.isfinite(quick(drawing, maps=theirs, way=way).image).all()


def test_the_embedded_network_brings_the_regions_nearer_to_the_style(begin):
    painting = begin(encoder="vgg16", size="64", steps="6")
    losses = [step.losses["style"] for step in painting.steps() if step.losses]
    assert losses[-1] < 0.8 * losses[0]
