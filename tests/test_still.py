"""Still pictures by filters, and by the optimizer that starts from them; styles by name, by file and by picture."""

import json

import pytest
import torch

import impasto
from impasto import metrics, still
from impasto.errors import PictureError, UnfitPicture, UsageError, WeightsError
from impasto.fast import style, tiles
from impasto.features import encoders, weights
from impasto.paint import memory
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


def test_steps_said_are_kept_to_in_a_draft(content, first):
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
    """Measured whole, the tiles are the whole picture's; above the limit it goes that way by itself."""
    filtered = still.bind(still.open_styles(first), 88)(content[None], strength=0.5)
    in_tiles = still.bind(still.open_styles(first), 88, 32)(content[None], strength=0.5)
    torch.testing.assert_close(in_tiles, filtered, atol=2e-5, rtol=0)
    asked = []
    monkeypatch.setattr(tiles, "WHOLE", 32 * 32)
    monkeypatch.setattr(tiles, "stylize_tiled", lambda bound, image, **more: asked.append(more) or image)
    still.bind(still.open_styles(first), 88)(content[None])
    assert asked == [{"tile": 1024, "strength": 1.0}]


def test_a_draft_keeps_to_a_cap_of_memory(content, first):
    small = still.painting(opened(content)[0], still.open_styles(first), Settings(size="88", quality="draft", max_memory="2GB"))
    assert "about 0.5 GB" in small.plan()
    assert memory.filter_tile(64, 88, 2e9) == 0
    assert memory.filter_tile(2000, 3000, 1.3e9) == 768
    assert memory.filter_estimate(2000, 3000, 768) <= 1.3e9 < memory.filter_estimate(2000, 3000, 1024)
    for wrong, told in (("banana", "not an amount"), ("100MB", "it takes 0.5. GB at least")):
        with pytest.raises(UsageError, match=told):
            impasto.stylize(content, first, size=88, quality="draft", max_memory=wrong)


def test_the_estimate_of_memory_knows_how_a_filter_paints():
    """`paint` knows no filters, so it keeps these numbers of theirs itself."""
    assert memory.FILTER_WHOLE == tiles.WHOLE
    assert 2 * style.network().reach == memory.FILTER_OVERLAP


def test_the_shared_network_stays_where_it_is(first):
    """A filter that paints on another device moves there by itself; "meta" stands for a GPU."""
    paint = still.bind(still.open_styles(first))
    assert paint(torch.empty(1, 3, 64, 64, device="meta")).device.type == "meta"
    assert style.network().neutral.device.type == "cpu"
    still.bind(still.open_styles(first))(torch.rand(1, 3, 64, 64))


def test_names_are_met_halfway():
    assert still.open_style("Starry_Night").known.name == "starry-night"
    with pytest.raises(UsageError, match="did you mean 'great-wave'"):
        still.open_style("grate wave")
    with pytest.raises(UsageError, match=r"no style named 'nope'.*: there are"):
        still.open_style("nope")


def test_a_style_of_another_network_still_serves_the_optimizer(content, file, tmp_path, caplog, narrow):
    other = style.read(file)
    path = tmp_path / "other.safetensors"
    style.save(path, style.Style("other", other.code, other.moments, "0" * 64))
    painted = impasto.stylize(content, path, size=64, steps=2)
    without = impasto.stylize(content, path, size=64, steps=2, init="content")
    assert torch.equal(painted.image, without.image)
    assert "belongs to another network" in caplog.text


@pytest.mark.parametrize("broken", ["code", "root", "layer"])
def test_malformed_style_files_are_damaged(file, tmp_path, broken):
    tensors, passport = weights.load(file)
    if broken == "code":
        tensors["code"] = tensors["code"][:, :50]
    elif broken == "root":
        tensors["256.relu2_1.root"] = tensors["256.relu2_1.root"][:100]
    else:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("512.relu3_1")}
    path = tmp_path / "broken.safetensors"
    weights.save(path, tensors, passport)
    with pytest.raises(WeightsError, match="damaged"):
        still.bind([still.open_style(str(path))])
