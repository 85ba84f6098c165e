"""A model being painted: deterministic, resumable, by material, and its views come near the style."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.mesh import cameras, finish, sample
from impasto.mesh.atlas import build
from impasto.mesh.model import Instance, Material, Model
from impasto.mesh.paint import Painting
from impasto.mesh.stage import Stage
from impasto.mesh.turntable import Show, on_paper, write
from impasto.paint.pictures import Style
from impasto.paint.settings import Settings
from impasto.pixels import io
from impasto.pixels.picture import Picture
from impasto.video import io as video


@pytest.fixture
def settings(narrow):
    return Settings(size="32", steps="32:3", encoder=narrow, init="content", precision="fp32", device="cpu")


@pytest.fixture
def style(painting):
    return Style(Picture(painting[None]), name="painting")


def two_rooms(cube):
    """Two cubes of two materials."""
    model, other = cube(), cube()
    other.surfaces[0].material = 1
    materials = [Material("Roof_A", picture=0), Material("Wall", picture=1)]
    instances = [Instance(0, np.eye(4), "upper"), Instance(1, np.eye(4) + np.eye(4, k=3) * -3, "lower")]
    return Model("two", [model.surfaces[0], other.surfaces[0]], instances, materials, [model.pictures[0], other.pictures[0]])


def made(model, styles, settings, **more):
    work = Painting(model, styles, settings, **more)
    losses = [step.losses["total"] for step in work.steps()]
    return work, work.result(), losses


def test_steps_bring_views_nearer_to_the_style(cube, style, settings):
    work, result, losses = made(cube(), [style], replace(settings, steps="32:12"))
    assert len(losses) == 12
    layout = work.stage.layout(result.maps)
    distance = []
    for maps in (work.sources, result.maps):
        table, total = sample.texels(maps), 0.0
        sight = work.objective_at(work.levels[0])
        for number in range(900, 906):  # cameras that it was not painted by
            work.canvas.number = number
            view, background = work._view(number, 32, maps)
            assert view.taps.texel.max() < len(table)
            image = view.picture(table, background)
            terms = [term for term in sight._terms(view, image) if term.name == "style"]
            features = work.encoder(image, [term.layer for term in terms])
            total += sum(float(term(features[term.layer])) for term in terms)
        distance.append(total)
    assert distance[1] < 0.8 * distance[0]
    assert len(layout.shapes) == 1


def test_the_same_seed_makes_the_same_maps(cube, style, settings):
    one, other = (made(cube(), [style], settings)[1] for _ in range(2))
    assert torch.equal(one.maps[0], other.maps[0])
    third = made(cube(), [style], replace(settings, seed=1))[1]
    assert not torch.equal(one.maps[0], third.maps[0])


def test_work_goes_on_where_it_stopped(cube, style, settings, tmp_path):
    settings = replace(settings, steps="24:2,32:3")
    whole = made(cube(), [style], settings)[1]
    work = Painting(cube(), [style], settings)
    for step in work.steps():
        if step.index == 3:
            break
    work.save_state(tmp_path / "s.safetensors")
    again = Painting(cube(), [style], settings)
    again.load_state(tmp_path / "s.safetensors")
    assert torch.equal(again.result().maps[0], work.result().maps[0])
    for _ in again.steps():
        pass
    torch.testing.assert_close(again.result().maps[0], whole.maps[0], atol=1e-4, rtol=0)
    with pytest.raises(UsageError, match="other work"):
        Painting(cube(), [style], replace(settings, seed=5)).load_state(tmp_path / "s.safetensors")


def test_work_does_not_go_on_with_another_mask_or_shape(cube, style, settings, tmp_path):
    """Masks that differ by where they are light alone, and a model that was bent: their means are the same."""
    left = torch.zeros(1, 1, 64, 64)
    left[..., :32] = 1
    work = Painting(cube(), [style], settings, masks={"keep": left})
    next(work.steps())
    work.save_state(tmp_path / "s.safetensors")
    Painting(cube(), [style], settings, masks={"keep": left}).load_state(tmp_path / "s.safetensors")
    bent = cube()
    bent.surfaces[0].positions = bent.surfaces[0].positions * [1, 1, 2]
    for model, mask in ((cube(), left.flip(-1)), (bent, left)):
        with pytest.raises(UsageError, match="other work"):
            Painting(model, [style], settings, masks={"keep": mask}).load_state(tmp_path / "s.safetensors")


def test_strength_0_is_the_model_as_it_was(cube, style, settings):
    _, result, losses = made(cube(), [style], replace(settings, strength=0.0))
    assert losses == []
    assert torch.equal(result.maps[0], result.atlas.pages[0].image)


def test_styles_go_to_their_materials_and_the_rest_stays(cube, style, settings):
    work, result, _ = made(two_rooms(cube), [style], settings, places=["roof*"])
    assert sorted(set(work.regions.face.tolist())) == [-1, 0]
    (roof, wall) = (result.maps[result.atlas.page[k]] for k in (0, 1))
    before = [result.atlas.pages[result.atlas.page[k]] for k in (0, 1)]
    inside = before[1].covered.bool().expand_as(wall)
    assert torch.equal(wall[inside], before[1].image[inside])
    assert float((roof - before[0].image).abs().mean()) > 0.01


def test_styles_without_a_place_take_what_is_left(cube, style, settings):
    work = Painting(two_rooms(cube), [style, style], settings, places=["lower", ""])
    assert work.regions.face[:12].tolist() == [1] * 12
    assert work.regions.face[12:].tolist() == [0] * 12
    with pytest.raises(UsageError, match=r"'window'.*Roof_A"):
        Painting(two_rooms(cube), [style], settings, places=["window"])


@pytest.mark.parametrize(("change", "says"), [({"size": "full"}, "one number"), ({"init": "noise"}, "filter or content")])
def test_what_models_cannot_be_painted_by_is_said(cube, style, settings, change, says):
    with pytest.raises(UsageError, match=says):
        Painting(cube(), [style], replace(settings, **change))


def test_painting_starts_from_views_by_a_filter(cube, style, settings):
    def bind(styles, size):
        return lambda content, *, strength=1.0: 1 - content

    work = Painting(cube(), [style], replace(settings, quality="draft", steps="", init="filter"), bind=bind)
    assert [tuple(level[:2]) for level in work.levels] == [(32, 50)]
    steps = []
    for step in work.steps(preview=True):
        steps.append(step)
        if step.index == 14:  # the last of the filter's views
            break
    assert [step.index for step in steps] == list(range(1, 15))
    assert steps[0].preview.shape == (1, 3, 32, 32)


def test_maps_of_a_filter_are_what_it_made_of_the_views(cube, style, settings):
    work = Painting(cube(), [style], replace(settings, init="filter"), bind=lambda styles, size: lambda x, *, strength=1.0: 1 - x)
    list(work._begin(False))
    page, image = work.atlas.pages[0], work._iterate()[0]

    def off(target):
        return float(((image - target).abs() * page.covered).sum() / page.covered.sum() / 3)

    # views are lit, and the filter turns their light round: dark and light fields change places all the same
    assert off(1 - page.image) < off(page.image)


def test_strokes_are_as_large_from_near_as_from_far(cube, style, settings):
    work = Painting(cube(), [style], settings)
    sight = work.objective_at(work.levels[0])
    sizes = []
    for closer in (1.0, 2.0):
        camera = cameras.orbit(work.stage.center, work.stage.frame, 30, 10, closer=closer)
        view = work.stage.look(camera, (32, 32), work.stage.layout(work.sources))
        sizes.append(sight._look(view))
    assert sizes == [32, 64]


def test_what_no_view_shows_takes_colors_from_nearby():
    image, seen = torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    image[..., :16], seen[..., :16] = 0.7, 1
    source = torch.full((1, 3, 32, 32), 0.4)
    source[..., 24] = 0.2
    found = finish.filled(image, seen, source)
    assert torch.equal(found[..., :16], image[..., :16])
    assert float(found[..., 20].mean()) == pytest.approx(0.7, abs=0.01)
    assert float(found[..., 24].mean()) == pytest.approx(0.6, abs=0.01)
    assert torch.equal(finish.filled(image, torch.zeros_like(seen), source), source)


def test_glass_is_seen_through_and_stays(cube, style, settings):
    model = two_rooms(cube)
    model.materials[1] = replace(model.materials[1], color=(1, 1, 1, 0.3), alpha_mode="BLEND")
    work, result, _ = made(model, [style], settings)
    seen = work.stage.see(cameras.named("corner", work.stage.center, work.stage.radius), 48, 48)
    assert seen.face.max() < 12
    page = result.atlas.pages[result.atlas.page[1]]
    inside = page.covered.bool().expand_as(page.image)
    assert torch.equal(result.maps[result.atlas.page[1]][inside], page.image[inside])


def test_a_turntable_turns_and_keeps_its_outline(cube, tmp_path):
    model = cube()
    atlas = build(model, 64)
    show = Show(Stage(model, atlas), [page.image for page in atlas.pages])
    steps = list(write(show, tmp_path / "turn.####.png", (48, 48), 4, recipe={"verb": "mesh"}))
    assert [step.index for step in steps] == [1, 2, 3, 4]
    frames = [io.load(tmp_path / f"turn.000{k}.png") for k in range(4)]
    assert all(0.2 < float(frame.alpha.mean()) < 0.9 for frame in frames)
    # a cube looks the same from four sides but for its paint and light
    torch.testing.assert_close(frames[0].alpha, frames[2].alpha, atol=0.02, rtol=0)
    assert float((frames[0].image - frames[1].image).abs().mean()) > 0.01
    still = show.still(cameras.turntable(show.stage.center, show.stage.frame, 4)[0], 48, 48)
    torch.testing.assert_close(on_paper(frames[0]), still.image, atol=0.01, rtol=0)


def test_a_turntable_is_a_clip(cube, tmp_path):
    pytest.importorskip("av")
    model = cube()
    atlas = build(model, 64)
    show = Show(Stage(model, atlas), [page.image for page in atlas.pages], unlit=True)
    list(write(show, tmp_path / "turn.mp4", (48, 48), 3))
    assert len(video.open_source(tmp_path / "turn.mp4")) == 3


def test_orbits_frame_all_of_the_model(cube):
    stage = Stage(two_rooms(cube), build(two_rooms(cube), 64))
    for camera in cameras.turntable(stage.center, stage.frame, 12):
        seen = stage.see(camera, 64, 64).face >= 0
        border = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
        assert not border.any()
