"""The tab for doodles: a map painted in the page with the colors of a painting's map, and made into a painting like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from impasto.studio import fields, sources
from impasto.studio.desk import Desk
from impasto.studio.fields import Changes, Studio
from impasto.studio.job import News, Still, Wrong, at

if TYPE_CHECKING:
    from impasto.pixels.io import Picture

TAB = "doodle"
SIDE = 640
"""Long edge of the map that is painted in the page, px."""
MOST = 12
"""Colors of a palette that a hand can tell apart."""
NO_PAINTING = "There is no painting yet: drop one here."
NO_MAP = "There is no map of the painting yet: drop one, or have one suggested."


def begin(
    desk: Desk, painting: str | None, chart: str | None, drawing: Picture, told: Mapping[str, Any],
    size: float, quality: str, seed: float,
) -> Still:  # fmt: skip
    """The doodle of a drawing; `told`: what the recipe says of it.

    Raises:
        Wrong: something of the form cannot be.
    """
    from impasto.paint.doodle import Doodle
    from impasto.paint.pictures import Style

    picture, names = sources.picture(desk, painting, "painting", NO_PAINTING)
    their_map, map_names = sources.picture(desk, chart, "chart", NO_MAP)
    settings = sources.settings("settings", size=size, quality=quality, seed=seed)
    style = Style(picture, 1.0, names["source"], names["sha256"])
    with at("drawing"):
        work = Doodle(drawing, [style], [their_map], settings, names={**told, "style_maps": [map_names]})
    return Still(desk, work, f"doodle-{Path(names['source']).stem}", f"doodle in the style of {Path(names['source']).stem}")


def suggested(desk: Desk, painting: str | None, colors: float) -> str:
    """A map of the painting to start from.

    Raises:
        Wrong: there is no painting, or it cannot be read.
    """
    from impasto.paint import charts
    from impasto.pixels import geometry, io

    picture, names = sources.picture(desk, painting, "painting", NO_PAINTING)
    small = picture.with_image(geometry.fit(picture.image, min(SIDE, max(picture.size))))
    with at("chart"):
        found = charts.suggest(small, int(colors))
    return str(io.save(found, desk.path(f"{Path(names['source']).stem}-map.png")))


def palette(desk: Desk, chart: str) -> tuple[list[str], tuple[int, int]]:
    """The colors of a map, the most frequent first, and its height and width in the page.

    Raises:
        Wrong: it is no map.
    """
    from impasto.paint import charts
    from impasto.pixels import geometry

    picture, _ = sources.picture(desk, chart, "chart", NO_MAP)
    with at("chart", chart):
        colors = charts.chart(picture, Path(chart).name).colors[:MOST]
    return [charts.named(color).split()[0] for color in colors], geometry.sizes(*picture.size, SIDE)


def canvas(desk: Desk, color: str, size: tuple[int, int]) -> Any:
    """A sheet of one color to paint on."""
    from PIL import Image

    path = desk.path("canvas.png")
    Image.new("RGB", size[::-1], color).save(path)
    return {"background": str(path), "layers": [], "composite": None}


def drawn(editor: Mapping[str, Any] | None) -> Picture:
    """What was painted in the page, as a map.

    Raises:
        Wrong: nothing was.
    """
    import numpy as np

    from impasto.pixels import io

    whole = None if editor is None else editor.get("composite")
    if whole is None or not (whole[..., 3] > 0).any():
        raise Wrong("drawing", "The map is empty: paint it with the colors of the painting's map.")
    return io.load(np.ascontiguousarray(whole))


def build(studio: Studio) -> None:
    """The tab, and what its parts do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            painting = fields.photograph("Painting", elem_id="doodle-painting")
            wrong = fields.wrong()
            chart = fields.photograph("Its map: what is where, in flat colors", elem_id="doodle-chart")
            wrong_chart = fields.wrong()
            with gr.Row():
                colors = gr.Slider(2, 8, 4, step=1, label="Colors", min_width=160)
                suggest = gr.Button("Suggest a map", elem_id="doodle-suggest", min_width=160)
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            gr.Markdown("Paint a map of your own with the colors of the painting's map: the same colors are painted alike.")
            editor = gr.ImageEditor(
                label="Your map", type="numpy", transforms=[], layers=False, buttons=[], height=460,
                sources=[], brush=gr.Brush(default_size=30, color_mode="fixed"), elem_id="doodle-editor",
            )  # fmt: skip
            wrong_drawing = fields.wrong()
            shown = gr.Image(label="Doodle", buttons=["fullscreen"], interactive=False, elem_id="doodle-shown")
            places = {"painting": wrong, "chart": wrong_chart, "settings": wrong_settings, "drawing": wrong_drawing}
            board = fields.easel(TAB, "Paint", [shown], _show(shown), places)

    def paint(request: gr.Request, painting: Any, chart: Any, editor: Any, *values: Any) -> Iterator[Changes]:
        told = {"map": {"source": "the map"}, "regions": sources.GIVEN}
        yield from board.run(
            lambda: studio.follow(request, TAB, lambda desk: begin(desk, painting, chart, drawn(editor), told, *values))
        )

    def proposed(painting: str | None, colors: float, request: gr.Request) -> Changes:
        desk = studio.desk(request)
        cleared = {place: fields.told("") for place in board.wrong.values()}
        try:
            return {**cleared, chart: suggested(desk, painting, colors)}
        except Wrong as error:
            return {**cleared, **board.failed(error)}

    def prepared(chart: str | None, request: gr.Request) -> Changes:
        if not chart:
            return {editor: None}
        desk = studio.desk(request)
        try:
            found, size = palette(desk, chart)
        except Wrong as error:
            return board.failed(error)
        brush = gr.Brush(default_size=30, colors=list(found), default_color=found[-1], color_mode="fixed")
        return {editor: gr.ImageEditor(value=canvas(desk, found[0], size), brush=brush), board.wrong["chart"]: fields.told("")}

    board.start.click(paint, [painting, chart, editor, *settings], board.outputs, **fields.RUNS)
    studio.stopping(board)
    suggest.click(proposed, [painting, colors], [chart, *board.outputs], **fields.QUIET)
    chart.change(prepared, chart, [editor, *board.outputs], **fields.QUIET)
    _endpoint(studio)


def settings_fields() -> list[Any]:
    """Fields for size, quality and seed."""
    return [
        gr.Slider(128, 1536, 512, step=32, label="Size", info="Long edge, px."),
        gr.Radio(["draft", "good", "best"], value="good", label="Quality", elem_id="doodle-quality"),
        gr.Number(0, precision=0, label="Seed", info="Start of the random numbers."),
    ]


def _show(shown: Any) -> Any:
    def show(news: News) -> Changes:
        return {shown: str(news.made.file if news.made else news.preview)}

    return show


def _endpoint(studio: Studio) -> None:
    def doodle(
        drawing: str | None, painting: str | None, chart: str | None, size: float, quality: str, seed: float, request: gr.Request
    ) -> Iterator[Any]:
        def start(desk: Desk) -> Still:
            found, names = sources.picture(desk, drawing, "drawing", "There is no map to paint: give one.")
            return begin(desk, painting, chart, found, {"map": names}, size, quality, seed)

        yield from studio.answers(request, start)

    with gr.Group(visible=False):
        files = [fields.photograph(name) for name in ("drawing", "painting", "chart")]
        about = "Paint a map of flat colors like the same colors in the map (chart) of a painting."
        fields.endpoint("doodle", doodle, [*files, *settings_fields()], about)
