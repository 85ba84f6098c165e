"""The tab for 3D models, turning before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from impasto.studio import fields, job, limits, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Chooser, Studio
from impasto.studio.job import News, Still, Wrong, at

TAB = "model"
TURN, SIDE = 48, 320
"""Frames of the clip in which the model turns before and after, and their height, px."""


class Sculpture(Still):
    """A model's painting as a job."""

    def finish(self, stopped: bool) -> Made | None:
        """The model as it stands, with a clip beside it in which it turns."""
        from impasto.mesh import cameras, export
        from impasto.mesh.turntable import Show

        painted = self.work.result()
        path = self.desk.path(f"{self.name}-painted.glb")
        export.save(painted, path)
        before, after = Show(self.work.stage, self.work.sources), Show(self.work.stage, painted.maps)
        corner = cameras.named("corner", self.work.stage.center, self.work.stage.frame)
        still = after.still(corner, job.POSTER, job.POSTER)
        turn(self.work, before, after, path.with_suffix(".mp4"))
        return Made(path, job.poster(self.desk, still.image, f"{self.name}.jpg"), self.caption, painted.recipe)


def turn(work: Any, before: Any, after: Any, path: Path) -> None:
    """A clip of the model turning, before beside after."""
    from fractions import Fraction

    import torch

    from impasto.mesh import cameras
    from impasto.mesh.turntable import RATE
    from impasto.pixels.picture import Picture
    from impasto.video import io
    from impasto.video.frame import Frame

    with io.open_sink(path) as sink:
        for number, camera in enumerate(cameras.turntable(work.stage.center, work.stage.frame, TURN)):
            both = torch.cat([show.still(camera, SIDE, SIDE).image for show in (before, after)], 3)
            sink.write(Frame(number, Picture(both), number, Fraction(2, RATE), 1))


def begin(
    desk: Desk, model: str | None, named: Sequence[str], paintings: Sequence[str], shares: str,
    size: float, strength: float, quality: str, preserve_color: str, time: float,
) -> Sculpture:  # fmt: skip
    """The painting of a model.

    Raises:
        Wrong: something of the form cannot be.
    """
    from impasto import still
    from impasto.mesh import load
    from impasto.mesh.paint import Painting

    if not model:
        raise Wrong("model", "There is no model yet: drop one here (.glb, .obj, .ply or .stl).")
    with at("model", model):
        limits.check_model(model)
        found = load.load(model)
    styles = sources.styles(desk, named, paintings, shares, "styles")
    chosen = {"size": size, "strength": strength, "quality": quality, "preserve_color": preserve_color, "time": time}
    settings = replace(sources.settings("settings", **chosen), max_memory="")
    with at("settings"):
        work = Painting(found, styles, settings, bind=still.bind, names={"content": {"source": Path(model).name}})
    stem = Path(model).stem
    return Sculpture(desk, work, stem, f"{stem} in the style of {sources.titles(styles)}")


def settings_fields() -> list[Any]:
    """Fields for size, strength, quality, colors and time."""
    return [
        gr.Slider(128, 1024, 512, step=32, label="Size", info="Of the views that it is painted from, px; maps are larger."),
        gr.Slider(0, 1, 1, step=0.05, label="Strength", info="0 leaves the model, 1 is all of the style."),
        gr.Radio(["draft", "good", "best"], value="draft", label="Quality", elem_id="model-quality"),
        gr.Radio([("the painting's", "off"), ("the model's", "luminance")], value="off", label="Colors"),
        gr.Number(0, minimum=0, maximum=3600, label="Time, s", info="Be done in this time; 0: by quality."),
    ]


def build(studio: Studio) -> Chooser:
    """The tab, and what its parts do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            model = gr.Model3D(label="Model: before", height=300, elem_id="model-model")
            wrong = fields.wrong()
            styles = fields.chooser()
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            view = gr.Image(label="As it is painted", buttons=[], interactive=False, height=360, elem_id="model-view")
            after = gr.Model3D(label="After", interactive=False, height=420, elem_id="model-after")
            turning = gr.Video(
                label="Turning, before and after",
                interactive=False,
                loop=True,
                autoplay=True,
                buttons=["download"],
            )

            def show(news: News) -> Changes:
                if not news.made:
                    return {view: str(news.preview)}
                return {turning: str(news.made.file.with_suffix(".mp4"))}

            places = {"model": wrong, "styles": styles.wrong, "settings": wrong_settings}
            board = fields.easel(TAB, "Paint", [view, turning], show, places)

    def paint(request: gr.Request, *values: Any) -> Iterator[Changes]:
        yield from board.run(lambda: studio.follow(request, TAB, lambda desk: begin(desk, *values)))

    def last(request: gr.Request) -> str | None:
        made = studio.desk(request).made
        return str(made[-1].file) if made and made[-1].file.suffix == ".glb" else None

    # the viewer does not load what a generator gives it
    ran = board.start.click(paint, [model, *styles.inputs, *settings], board.outputs, **fields.RUNS)
    ran.then(last, None, after, **fields.QUIET)
    studio.stopping(board)

    def mesh(
        model: str | None, named: list[str] | None, paintings: list[str] | None, shares: str | None,
        size: float, strength: float, quality: str, preserve_color: str, time: float, request: gr.Request,
    ) -> Iterator[Any]:  # fmt: skip
        def start(desk: Desk) -> Sculpture:
            asked = (model, named or [], paintings or [], shares or "")
            return begin(desk, *asked, size, strength, quality, preserve_color, time)

        yield from studio.answers(request, start)

    with gr.Group(visible=False):
        hidden = [gr.Model3D(label="model"), *fields.chooser().inputs, *settings_fields()]
        fields.endpoint("model", mesh, hidden, "Paint a 3D model in the style of filters, by their names, and of paintings.")
    return styles
