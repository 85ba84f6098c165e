"""The tab for textures: a picture of any size that looks everywhere like an exemplar, and repeats without a seam."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from impasto.studio import fields, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Studio
from impasto.studio.job import News, Still, at

TAB = "texture"
WAYS = [("no", ""), ("sideways", "x"), ("in both directions", "xy")]
TILES = 2
"""How often a texture that repeats is shown beside and below itself."""


def begin(desk: Desk, exemplar: str | None, size: float, tile: str, quality: str, scale: float, time: float) -> Still:
    """The texture of an exemplar.

    Raises:
        Wrong: something of the form cannot be.
    """
    from impasto.paint.pictures import Style
    from impasto.paint.texture import Texture

    picture, names = sources.picture(desk, exemplar, "exemplar", "There is no exemplar yet: drop a picture of a texture here.")
    settings = sources.settings("settings", size=size, quality=quality, style_scale=scale, time=time)
    with at("settings"):
        work = Texture([Style(picture, 1.0, names["source"], names["sha256"])], settings, tile=tile or "")
    stem = Path(names["source"]).stem
    return Still(desk, work, f"{stem}-texture", f"texture of {stem}")


def beside(made: Made) -> str | None:
    """A texture that repeats, laid beside itself; None for others."""
    from PIL import Image

    tile = made.recipe.get("tile")
    if not tile:
        return None
    with Image.open(made.poster) as one:
        whole = Image.new("RGB", (one.width * TILES, one.height * (TILES if tile == "xy" else 1)))
        for x in range(0, whole.width, one.width):
            for y in range(0, whole.height, one.height):
                whole.paste(one, (x, y))
    path = made.poster.with_name("laid.jpg")
    whole.save(path, quality=90)
    return str(path)


def settings_fields() -> list[Any]:
    """Fields for size, repetition, quality, scale and time."""
    return [
        gr.Slider(64, 2048, 512, step=32, label="Size", info="Side of the square, px."),
        gr.Radio(WAYS, value="xy", label="Repeats", elem_id="texture-repeats"),
        gr.Radio(["draft", "good", "best"], value="good", label="Quality", elem_id="texture-quality"),
        gr.Slider(0.25, 4, 1, step=0.05, label="Scale", info="Size of what it shows, against the exemplar."),
        gr.Number(0, minimum=0, maximum=3600, label="Time, s", info="Be done in this time; 0: by quality."),
    ]


def build(studio: Studio) -> None:
    """The tab, and what its parts do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            exemplar = fields.photograph("Exemplar", elem_id="texture-exemplar")
            wrong = fields.wrong()
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            shown = gr.Image(label="Texture", buttons=["fullscreen"], interactive=False, height=520, elem_id="texture-shown")
            laid = gr.Image(label="Laid beside itself", buttons=["fullscreen"], interactive=False, height=320)

            def show(news: News) -> Changes:
                if not news.made:
                    return {shown: str(news.preview), laid: None}
                return {shown: str(news.made.file), laid: beside(news.made)}

            board = fields.easel(TAB, "Make", [shown, laid], show, {"exemplar": wrong, "settings": wrong_settings})

    def make(request: gr.Request, *values: Any) -> Iterator[Changes]:
        yield from board.run(lambda: studio.follow(request, TAB, lambda desk: begin(desk, *values)))

    board.start.click(make, [exemplar, *settings], board.outputs, **fields.RUNS)
    studio.stopping(board)

    def texture(
        exemplar: str | None, size: float, tile: str, quality: str, scale: float, time: float, request: gr.Request
    ) -> Iterator[Any]:
        yield from studio.answers(request, lambda desk: begin(desk, exemplar, size, tile, quality, scale, time))

    with gr.Group(visible=False):
        fields.endpoint("texture", texture, [fields.photograph("exemplar"), *settings_fields()], "Make a texture of any size.")
