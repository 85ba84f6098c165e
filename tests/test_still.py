"""Still pictures by filters, and by the optimizer that starts from them; styles by name, by file and by picture."""

import json

import pytest
import torch

import impasto
from impasto import metrics, still
from impasto.errors import PictureError, UnfitPicture, UsageError, WeightsError
from impasto.fast import nets, style, tiles
from impasto.features import encoders
from impasto.paint.pictures import opened
from impasto.paint.regions import Region
from impasto.paint.settings import Settings
from impasto.pixels import recipe


@pytest.fixture(scope="module")
def content(picture):
    return picture(1, 64, 88)


@pytest.fixture(scope="module")
def first(picture):
    return picture(5, 72, 80)


@pytest.fixture(scope="module")
def second(picture):
    return 1 - 0.5 * picture(6, 80, 72)


@pytest.fixture(scope="module")
def file(tmp_path_factory, first):
    """The first painting as a style file of the embedded network."""
    path = tmp_path_factory.mktemp("styles") / "mine.safetensors"
    style.save(path, style.of(style.network(), encoders.load("vgg16"), first[None], "mine", {"title": "Mine"}))
    return path


def test_a_draft_is_the_filter(content, first):
    drafted = impasto.stylize(content, first, quality="draft", size=88)
    painted = still.bind(still.open_styles(first), 88)(content[None])
    torch.testing.assert_close(drafted.image, painted.clamp(0, 1))
    assert drafted.recipe["network"] == style.network().identity
    assert drafted.recipe["settings"]["steps"] == ""


def test_a_draft_is_made_again_from_its_recipe(content, first):
    drafted = impasto.stylize(content, first, quality="draft", size=88, strength=0.7)
    kept = json.loads(recipe.to_json(drafted.recipe))["settings"]
    values = Settings.from_dict(kept).as_dict()
    again = impasto.stylize(content, first, **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    assert torch.equal(again.image, drafted.image)


def test_steps_said_or_a_time_are_kept_to_in_a_draft(content, first):
    result = impasto.stylize(content, first, quality="draft", size=64, steps=2)
    assert result.recipe["settings"]["steps"] == "64:2"


def test_strength_0_returns_the_content(content, first):
    result = impasto.stylize(content, first, quality="draft", size="full", strength=0)
    assert torch.equal(result.image[0], content)


def test_the_optimizer_starts_from_the_filter(content, first, narrow):
    """With a step that does not move, what is left is the start."""
    settings = {"size": 64, "steps": 1, "optimizer": "adam", "step_size": 1e-6, "encoder": narrow, "precision": "fp32"}
    begun = impasto.stylize(content, first, **settings)
    drafted = impasto.stylize(content, first, quality="draft", size=64)
    torch.testing.assert_close(begun.image, drafted.image, atol=1e-4, rtol=0)
    from_content = impasto.stylize(content, first, init="content", **settings)
    assert (from_content.image - begun.image).abs().mean() > 0.01


def test_a_painting_too_small_for_a_filter_is_painted_without(picture, content, narrow):
    settings = {"size": 64, "encoder": narrow, "precision": "fp32"}
    small = picture(7, 40, 44)
    with_filter, without = (impasto.stylize(content, small, steps=2, init=init, **settings) for init in ("filter", "content"))
    assert torch.equal(with_filter.image, without.image)
    with pytest.raises(UnfitPicture, match="44 x 40 px is too small"):
        impasto.stylize(content, small, quality="draft", **settings)


def test_regions_are_painted_by_their_own_filters(content, first, second):
    left = torch.zeros(1, 1, 64, 88)
    left[..., :44] = 1
    styles = still.open_styles([first, second])
    regions = [Region("left", left, ((0, None),)), Region("right", 1 - left, ((1, None),))]
    settings = Settings(size="88", quality="draft")
    work = still.painting(opened(content)[0], styles, settings, regions=regions)
    assert len(list(work.steps())) == 1
    painted = [still.bind([each], 88)(content[None]) for each in styles]
    both = torch.cat([painted[0][..., :44], painted[1][..., 44:]], -1).clamp(0, 1)
    torch.testing.assert_close(work.result().image, both)


def test_weights_mix_in_the_network(content, first, second):
    one, other = (still.bind(still.open_styles([each]), 88) for each in (first, second))
    mixed = still.bind(still.open_styles([(first, 0.3), (second, 0.7)]), 88)(content[None])
    faded = 0.3 * one(content[None]) + 0.7 * other(content[None])
    assert (mixed - faded).abs().max() > 1e-3
    whole = still.bind(still.open_styles([(first, 1.0), (second, 0.0)]), 88)(content[None])
    torch.testing.assert_close(whole, one(content[None]))


def test_a_style_file_serves_filter_and_optimizer(content, first, file):
    drafted = impasto.stylize(content, file, quality="draft", size=88)
    torch.testing.assert_close(drafted.image, still.stylizer(str(file))(content[None]).clamp(0, 1))
    painted = impasto.stylize(content, file, size=88, steps=10, init="content")
    assert metrics.style_distance(painted.image[0], first) < 0.7 * metrics.style_distance(content, first)
    assert painted.recipe["styles"][0]["sha256"] == style.read(file).sha256


def test_distances_to_a_style_file_are_those_to_its_painting(content, file, picture, tmp_path):
    painting, path = picture(9, 200, 256), tmp_path / "large.safetensors"
    style.save(path, style.of(style.network(), encoders.load("vgg16"), painting[None], "large"))
    near = metrics.style_distance(content, painting)
    assert metrics.style_distance(content, path) == pytest.approx(near, rel=0.02)
    with pytest.raises(UsageError, match="keeps no statistics of relu2_2"):
        metrics.style_distances(content, file, ("relu2_2",))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"style_loss": "nn"}, "style-loss nn"),
        ({"pooling": "average"}, "pooling average"),
        ({"style_layers": ("relu3_2",), "style_layer_weights": (1.0,)}, "layer relu3_2"),
        ({"init": "style"}, "init style"),
    ],
)
def test_what_needs_the_painting_itself_is_refused(content, file, settings, named):
    with pytest.raises(UsageError, match=f"only statistics are kept: .*{named}.* needs the painting itself"):
        impasto.stylize(content, file, size=64, **settings)


def test_another_encoder_needs_the_painting_itself(content, file, narrow):
    with pytest.raises(UsageError, match="needs the painting itself"):
        impasto.stylize(content, file, size=64, encoder=narrow)


def test_unknown_names_and_missing_files_are_told_apart(content):
    with pytest.raises(UsageError, match="no style named 'nothing-like-it', and no such file"):
        impasto.stylize(content, "nothing-like-it")
    with pytest.raises(PictureError, match=r"missing\.jpg"):
        impasto.stylize(content, "missing.jpg")
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        impasto.stylize(content, "missing.safetensors")


def test_a_style_of_another_network_is_refused(content, file, tmp_path):
    other = style.read(file)
    path = tmp_path / "other.safetensors"
    style.save(path, style.Style("other", other.code, other.moments, "0" * 64))
    with pytest.raises(WeightsError, match="another network"):
        impasto.stylize(content, path, quality="draft", size=64)


def test_large_pictures_go_over_tiles(content, first, monkeypatch):
    bound = nets.Bound(style.network(), still.open_styles(first)[0].weight * style.network().neutral[None])
    whole = tiles.paint(bound, content[None])
    monkeypatch.setattr(tiles, "WHOLE", 32 * 32)
    asked = []
    monkeypatch.setattr(tiles, "stylize_tiled", lambda bound, image, **more: asked.append(more) or image)
    assert torch.equal(tiles.paint(bound, content[None], strength=0.5), content[None])
    assert asked == [{"strength": 0.5}]
    assert not torch.equal(whole, content[None])
