"""The tab for clips: painted by filters, steady while they move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from impasto.studio import fields, job, limits, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Chooser, Studio
from impasto.studio.job import News, Wrong, at

if TYPE_CHECKING:
    from impasto.types import Image, Step
    from impasto.video.work import Plan, Work

TAB = "video"
DRAFT = 4
"""A draft paints one frame of so many, at half the size."""

Clip = fields.unread(gr.Video)


def clip_field(label: str) -> gr.Video:
    """A field for a clip."""
    return Clip(label=label, sources=["upload"], height=260, buttons=[], elem_id="video-clip")


class Film:
    """A clip's painting as a job; of one that was stopped what is finished is kept, from the first frame on."""

    before: Path | None = None
    label = "Looking for shots: frame"

    def __init__(self, desk: Desk, work: Work, recipe: dict[str, Any], name: str, caption: str) -> None:
        self.desk, self.work, self.recipe, self.caption = desk, work, recipe, caption
        self.path = desk.path(f"{name}-painted.mp4")
        self.plan: Plan | None = None
        self.image: Image | None = None
        """The last that was painted."""

    def steps(self) -> Iterator[Step]:
        """Looking for shots, painting, writing."""
        from impasto.types import Step
        from impasto.video import io, render
        from impasto.video.work import keep_plan, looked_through

        looking, count = looked_through(self.work), max(1, len(self.work.source) // self.work.step)
        while True:
            try:
                yield Step(next(looking), count)
            except StopIteration as end:
                plan = self.plan = end.value
                break
        keep_plan(self.work, plan)
        self.label = "Painting: frame"
        for step in render.render(self.work, plan):
            self.image = step.preview if step.preview is not None else self.image
            yield step
        self.label = "Writing: frame"
        yield from render.assemble(self.work, plan, io.open_sink(self.path, like=self.work.source, recipe=self.recipe))

    def finish(self, stopped: bool) -> Made | None:
        """The clip, or its finished frames; None where there are none yet."""
        from impasto.video.work import clear

        note, recipe = "", self.recipe
        if self.plan and not self.path.exists() and (part := finished(self.work, self.plan)):
            recipe = self._keep(part)
            note = f"Its first {part.frames} of {self.plan.frames} frames are kept."
        clear(self.work.folder)
        if self.image is None or not self.path.exists():
            return None
        return Made(self.path, job.poster(self.desk, self.image, "frame.jpg"), self.caption, recipe, note)

    def _keep(self, part: Plan) -> dict[str, Any]:
        """Write some of the frames; their recipe."""
        from impasto.video import io, render

        whole = self.work.source
        first, last = whole.first, min(self.work.number(part.frames) - 1, whole.first + len(whole) - 1)
        recipe = {**self.recipe, "settings": {**self.recipe["settings"], "frames": f"{first}-{last}"}}
        for _ in render.assemble(self.work, part, io.open_sink(self.path, like=whole.between(first, last), recipe=recipe)):
            if self.desk.closed:
                break
        return recipe


def finished(work: Work, plan: Plan) -> Plan | None:
    """The part of a plan, from its first frame on, that is painted; None where nothing is."""
    gone = [missing[0][0] for chunk in plan.chunks if (missing := work.missing(chunk))]
    count = min(gone, default=plan.frames)
    chunks = tuple(replace(chunk, stop=min(chunk.stop, count)) for chunk in plan.chunks if chunk.start < count)
    return replace(plan, frames=count, chunks=chunks) if chunks else None


def begin(
    desk: Desk, clip: str | None, named: Sequence[str], paintings: Sequence[str], shares: str,
    size: float, strength: float, quality: str, temporal: str, preserve_color: str,
) -> Film:  # fmt: skip
    """The painting of a clip.

    Raises:
        Wrong: something of the form cannot be.
    """
    from impasto import device
    from impasto.video import curve, io
    from impasto.video.look import Filters, Timed, learned
    from impasto.video.work import Work

    if not clip:
        raise Wrong("clip", "There is no clip yet: drop one here.")
    with at("clip", clip):
        limits.check_clip(clip)
        source = io.open_source(clip)
    styles = sources.styles(desk, named, paintings, shares, "styles")
    draft = quality == "draft"
    edge = int(size) // (2 if draft else 1)
    with at("styles"):
        timed = tuple(Timed(each, style.weight) for each, style in zip(learned(styles, edge), styles, strict=True))
    chosen: dict[str, Any] = {"size": str(int(size)), "quality": quality, "strength": f"{strength:g}", "temporal": temporal}
    chosen |= {"preserve_color": preserve_color, "seed": 0}
    with at("settings"):
        look = Filters(timed, curve.strength(strength), (), preserve_color, str(device.choose()[0]))
        work = Work(
            source, look, desk.path("frames"), edge, temporal, DRAFT if draft else 1, names={"network": timed[0].style.net}
        )
    stem = Path(clip).stem
    caption = f"{stem} in the style of {sources.titles(styles)}"
    return Film(desk, work, _recipe(clip, chosen, work, styles), stem, caption)


def _recipe(clip: str, settings: dict[str, Any], work: Work, styles: list[Any]) -> dict[str, Any]:
    import torch

    import impasto

    told = [{"source": style.name, "weight": style.weight, "sha256": style.sha256} for style in styles]
    found = {"version": impasto.__version__, "torch": torch.__version__, "verb": "video", "settings": settings}
    return {**found, "content": {"source": Path(clip).name}, **work.names, "styles": told}


def settings_fields() -> list[Any]:
    """Fields for size, strength, quality, steadiness and colors."""
    return [
        gr.Slider(128, 1920, 512, step=32, label="Size", info="Long edge, px."),
        gr.Slider(0, 1, 1, step=0.05, label="Strength", info="0 leaves the clip, 1 is all of the style."),
        gr.Radio([("draft: one frame in four, half the size", "draft"), "good"], value="good", label="Quality"),
        gr.Radio(["off", "fast", "smooth"], value="fast", label="Steadiness", info="How paint is kept steady; smooth is slower."),
        gr.Radio([("the painting's", "off"), ("the clip's", "luminance")], value="off", label="Colors"),
    ]


def build(studio: Studio) -> Chooser:
    """The tab, and what its parts do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            clip = clip_field("Clip")
            wrong = fields.wrong()
            styles = fields.chooser()
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            frame = gr.Image(label="Frame", buttons=[], interactive=False, height=320, elem_id="video-frame")
            film = gr.Video(label="Painted clip", interactive=False, height=420, elem_id="video-film")

            def show(news: News) -> Changes:
                return {film: str(news.made.file)} if news.made else {frame: str(news.preview), film: None}

            places = {"clip": wrong, "styles": styles.wrong, "settings": wrong_settings}
            board = fields.easel(TAB, "Paint", [frame, film], show, places)

    def paint(request: gr.Request, *values: Any) -> Iterator[Changes]:
        yield from board.run(lambda: studio.follow(request, TAB, lambda desk: begin(desk, *values)))

    board.start.click(paint, [clip, *styles.inputs, *settings], board.outputs, **fields.RUNS)
    studio.stopping(board)

    def video(
        clip: str | None, named: list[str] | None, paintings: list[str] | None, shares: str | None,
        size: float, strength: float, quality: str, temporal: str, preserve_color: str, request: gr.Request,
    ) -> Iterator[Any]:  # fmt: skip
        def start(desk: Desk) -> Film:
            asked = (clip, named or [], paintings or [], shares or "")
            return begin(desk, *asked, size, strength, quality, temporal, preserve_color)

        yield from studio.answers(request, start)

    with gr.Group(visible=False):
        hidden = [clip_field("clip"), *fields.chooser().inputs, *settings_fields()]
        fields.endpoint("video", video, hidden, "Paint a clip in the style of filters, by their names, and of paintings.")
    return styles
