"""The tab where a painting becomes a filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from impasto.studio import fields, job, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Studio
from impasto.studio.job import News, Wrong, at

if TYPE_CHECKING:
    from impasto.types import Step

TAB = "learn"
NAME = re.compile(r"[^a-z0-9]+")


class Lesson:
    """The learning of a filter as a job."""

    before: Path | None = None
    label = "Step"

    def __init__(self, desk: Desk, learner: Any, seconds: float, name: str, first: Any) -> None:
        self.desk, self.learner, self.seconds, self.name, self.shown = desk, learner, seconds, name, first
        self.path = desk.path(f"{name}.safetensors")

    def steps(self) -> Iterator[Step]:
        """Its steps; now and then with a photograph painted by it."""
        state = self.path.with_suffix(".state")
        try:
            for step in self.learner.steps(self.path, state, seconds=self.seconds):
                self.shown = step.preview if step.preview is not None else self.shown
                yield step
        finally:
            state.unlink(missing_ok=True)

    def finish(self, stopped: bool) -> Made | None:
        """The best filter so far; it may be chosen by its name from now on."""
        if not self.path.exists():
            return None
        self.desk.filters[self.name] = self.path
        told = {"verb": "learn", "name": self.name, **self.learner.first.passport}
        note = f"{self.name} can be chosen among the filters now."
        return Made(self.path, job.poster(self.desk, self.shown, "filter.jpg"), f"filter {self.name}", told, note)


def begin(desk: Desk, painting: str | None, name: str, minutes: float, title: str, artist: str, rights: str) -> Lesson:
    """The learning of a painting's filter.

    Raises:
        Wrong: something of the form cannot be.
    """
    from impasto.fast import style as filters
    from impasto.fast.learn import Learner
    from impasto.pixels import geometry

    picture, names = sources.picture(desk, painting, "painting", "There is no painting yet: drop one here.")
    name = plain(name or Path(names["source"]).stem)
    if name in filters.names():
        raise Wrong("settings", f"{name} is a filter that is built in: give yours another name.")
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    told = {key: value for key, value in {"title": title, "artist": artist, "rights": rights}.items() if value}
    with at("painting"):
        learner = Learner(image, name=name, passport=told)
    return Lesson(desk, learner, 60 * minutes, name, image)


def plain(text: str) -> str:
    """A name for a style: "My Painting (2)" -> "my-painting-2"."""
    return NAME.sub("-", text.lower()).strip("-") or "style"


def settings_fields() -> list[Any]:
    """Fields for the name, the time, and what is kept in the file."""
    return [
        gr.Textbox("", label="Name", placeholder="after the file", max_length=60, max_lines=1),
        gr.Slider(0.25, 30, 8, step=0.25, label="Time, minutes", info="A filter gets better for about ten minutes on a laptop."),
        gr.Textbox("", label="Title", info="Kept in the file.", max_length=200, max_lines=1),
        gr.Textbox("", label="Artist", max_length=200, max_lines=1),
        gr.Textbox("", label="Rights", placeholder="public domain, CC BY 4.0 …", max_length=200, max_lines=1),
    ]


def build(studio: Studio, named: list[gr.Dropdown], choices: Callable[[Desk], list[str]]) -> None:
    """The tab, and what its parts do; `named`: fields of other tabs that offer filters."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            painting = fields.photograph("Painting", elem_id="learn-painting")
            wrong = fields.wrong()
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            shown = gr.Image(label="A photograph, painted by it", buttons=["fullscreen"], interactive=False, height=480)

            def show(news: News) -> Changes:
                return {shown: str(news.made.poster if news.made else news.preview)}

            board = fields.easel(TAB, "Learn", [shown], show, {"painting": wrong, "settings": wrong_settings})
            taken = gr.UploadButton("Use a filter learned before (.safetensors)", type="filepath", elem_id="learn-taken")
            board.wrong["taken"] = fields.wrong()

    def run(request: gr.Request, *values: Any) -> Iterator[Changes]:
        yield from board.run(lambda: studio.follow(request, TAB, lambda desk: begin(desk, *values)))

    def take(file: str | None, request: gr.Request) -> Changes:
        try:
            name = take_in(studio.desk(request), file)
        except Wrong as error:
            return board.failed(error)
        return {
            board.wrong["taken"]: fields.told(""),
            board.status: fields.bar(f"{name} can be chosen among the filters now.", 0.0),
        }

    def offer(request: gr.Request) -> Changes:
        found = choices(studio.desk(request))
        return {each: gr.update(choices=found) for each in named}

    board.start.click(run, [painting, *settings], board.outputs, **fields.RUNS).then(offer, None, named, **fields.QUIET)
    taken.upload(take, taken, board.outputs, **fields.QUIET).then(offer, None, named, **fields.QUIET)
    studio.stopping(board)

    def learn(
        painting: str | None, name: str, minutes: float, title: str, artist: str, rights: str, request: gr.Request
    ) -> Iterator[Any]:
        yield from studio.answers(request, lambda desk: begin(desk, painting, name, minutes, title, artist, rights))

    with gr.Group(visible=False):
        hidden = [fields.photograph("painting"), *settings_fields()]
        fields.endpoint("learn", learn, hidden, "Learn a filter from a painting; it is the file that comes back.")


def take_in(desk: Desk, file: str | None) -> str:
    """A style file from elsewhere, for this desk alone; its name.

    Raises:
        Wrong: it is no style file, or its name is taken.
    """
    from impasto.fast import style as filters

    if not file:
        raise Wrong("taken", "There is no file.")
    with at("taken", file):
        found = filters.read(Path(file))
    name = plain(found.name)
    if name in filters.names():
        raise Wrong("taken", f"{name} is built in: there is no need for its file.")
    desk.filters[name] = Path(file)
    return name
