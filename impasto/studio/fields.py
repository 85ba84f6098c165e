"""Parts of forms that several tabs share: fields for files and styles, what is wrong with a field, and how work is shown."""

from __future__ import annotations

import html
import secrets
from abc import ABCMeta
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeVar

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.components import Component

from impasto.studio.desk import Desk, Desks
from impasto.studio.job import Job, News, Wrong, follow, sentence
from impasto.studio.queue import Queue

P = TypeVar("P", bound=Component)
Changes = dict[Any, Any]
"""New values of components."""
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Of events that belong to the page alone."""
RUNS: dict[str, Any] = {"concurrency_limit": None, **QUIET}
"""Of those that begin a job: our own queue says whose turn it is."""
FORM = "form"
"""The field that is the whole form."""


def installed(*packages: str) -> bool:
    """Whether an extra is there; what is not is left out of the page."""
    return all(find_spec(package) for package in packages)


def derived(kind: type[P], **methods: Callable[..., Any]) -> type[P]:
    """A part of Gradio's with other methods.

    Gradio makes its parts anew from their classes whenever they change, so methods of an instance would be lost. A plain
    subclass would not do either: Gradio's metaclass writes a .pyi file beside the source of each.
    """
    found: Any = ABCMeta.__new__(ComponentMeta, kind.__name__, (kind,), {"__module__": kind.__module__, **methods})
    return found  # type: ignore[no-any-return]


def unread(kind: type[P]) -> type[P]:
    """A field that hands over what was uploaded as it is: it is our own loaders that read it, and say what is wrong with it.

    Gradio's own reading raises its errors elsewhere, and loses what pictures carry.
    """
    return derived(kind, preprocess=lambda _, payload: uploaded(payload))


def uploaded(payload: Any) -> Any:
    """The path of what was uploaded, the paths of several, or nothing."""
    if payload is None or not hasattr(payload, "root"):
        return None if payload is None else payload.path
    return [each.image.path for each in payload.root if hasattr(each, "image")]


Photograph, Paintings = unread(gr.Image), unread(gr.Gallery)


def photograph(label: str, **more: Any) -> gr.Image:
    """A field for one picture."""
    more = {"height": 260, "sources": ["upload", "clipboard"], "buttons": [], "interactive": True, **more}
    return Photograph(label=label, type="filepath", **more)


def wrong() -> gr.HTML:
    """A place for what is wrong with the field above it."""
    return gr.HTML("", elem_classes="wrong", padding=False)


def told(text: str) -> str:
    """What is wrong, for people and for those who listen; nothing where all is well."""
    return f'<p role="alert">{html.escape(text)}</p>' if text else ""


@dataclass
class Chooser:
    """Which styles."""

    named: gr.Dropdown
    paintings: gr.Gallery
    shares: gr.Textbox
    wrong: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """What a handler is given: names, files, shares."""
        return [self.named, self.paintings, self.shares]


def chooser(elem_id: str | None = None) -> Chooser:
    """Fields for styles: filters by name, paintings as files, shares."""
    # names are checked when they are used: which there are is known once torch is loaded
    named = gr.Dropdown([], multiselect=True, allow_custom_value=True, label="Chosen filters", info="One, or several to mix.")
    paintings = Paintings(
        label="Paintings to paint like",
        interactive=True,
        sources=["upload"],
        height=170,
        columns=3,
        object_fit="contain",
        buttons=[],
        elem_id=elem_id,
    )
    shares = gr.Textbox(
        label="Shares",
        value="",
        placeholder="equal",
        info="Of several styles, filters first, like 2, 1.",
        max_lines=1,
        max_length=100,
    )
    return Chooser(named, paintings, shares, wrong())


@dataclass
class Easel:
    """What shows the work: the picture, where it stands, and buttons to begin, stop and take home."""

    tab: str
    shown: list[Any]
    """Where the picture is shown."""
    show: Callable[[News], Changes]
    """What it is given: a preview, or a result."""
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    file: gr.DownloadButton
    wrong: dict[str, gr.HTML] = field(default_factory=dict)

    @property
    def outputs(self) -> list[Any]:
        """All that a run changes."""
        return [*self.shown, self.status, self.file, *self.wrong.values()]

    def run(self, news: Callable[[], Generator[News, None, None]]) -> Iterator[Changes]:
        """Show news as they come; what is wrong is told at its field."""
        # values alone change: where answers come at once, a browser may miss what was hidden and is shown again
        yield {**{place: told("") for place in self.wrong.values()}, self.status: bar("Beginning …", 0.0)}
        try:
            with closing(news()) as all_news:
                for each in all_news:
                    yield {self.status: bar(each.text, each.share), **self.changes(each)}
        except Exception as error:
            yield self.failed(error)

    def changes(self, news: News) -> Changes:
        """What there is to see and to take home."""
        if news.made:
            return {**self.show(news), self.file: gr.update(value=str(news.made.file), interactive=True)}
        return self.show(news) if news.preview else {}

    def failed(self, error: Exception) -> Changes:
        """What is wrong, at the field that it is wrong with."""
        place = error.field if isinstance(error, Wrong) and error.field in self.wrong else FORM
        return {self.wrong[place]: told(sentence(error)), self.status: ""}


def easel(tab: str, start: str, shown: list[Any], show: Callable[[News], Changes], places: dict[str, gr.HTML]) -> Easel:
    """The part of a tab that shows its work, below where the picture is `shown`."""
    status = gr.HTML(elem_classes="status", padding=False)
    problem = wrong()
    with gr.Row(elem_classes="doing"):
        button = gr.Button(start, variant="primary", elem_id=f"{tab}-start")
        stop = gr.Button("Stop", variant="stop", elem_id=f"{tab}-stop")
        file = gr.DownloadButton("Download", interactive=False, elem_id=f"{tab}-file")
    return Easel(tab, shown, show, button, stop, status, file, {**places, FORM: problem})


def bar(text: str, share: float) -> str:
    """Where the work stands, and while it is under way a bar."""
    done = f'<progress max="1" value="{share:.3f}" aria-label="progress"></progress>' if 0 < share < 1 else ""
    return f'<div role="status">{done}<p>{html.escape(text)}</p></div>'


@dataclass(frozen=True)
class Studio:
    """What all tabs share."""

    desks: Desks
    queue: Queue

    def desk(self, request: gr.Request) -> Desk:
        """The desk of whoever asks."""
        return self.desks.of(request.session_hash)

    def follow(self, request: gr.Request, tab: str, begin: Callable[[Desk], Job]) -> Generator[News, None, None]:
        """A job of whoever asks: see `impasto.studio.job.follow`."""
        desk = self.desk(request)
        return follow(self.queue, desk, tab, lambda: begin(desk))

    def answers(self, request: gr.Request, begin: Callable[[Desk], Job]) -> Iterator[Any]:
        """A job for programs: where it stands and at last its file; what is wrong is their error.

        Each is work by itself: unlike in the page, another call does not stop it.
        """
        try:
            with closing(self.follow(request, f"call {secrets.token_hex(8)}", begin)) as news:
                for each in news:
                    yield {"text": each.text, "done": round(each.share, 4)}, str(each.made.file) if each.made else None
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    def stopping(self, easel: Easel) -> None:
        """Let the button stop the work of its tab."""

        def stop(request: gr.Request) -> Changes:
            works = self.desk(request).works(easel.tab)
            self.desk(request).stop(easel.tab)
            return {easel.status: bar("Stopping after this step …" if works else "There is nothing to stop.", 0.0)}

        easel.stop.click(stop, None, [easel.status], queue=False, **QUIET)


def endpoint(name: str, run: Callable[..., Any], inputs: Sequence[Any], about: str) -> None:
    """A named endpoint for programs, see docs/studio.md; it has no part of the page."""
    outputs = [gr.JSON(label="stands", visible=False), gr.File(label="file", visible=False)]
    gr.Button(visible=False).click(
        run, list(inputs), outputs, api_name=name, api_description=about, concurrency_limit=None, show_progress="hidden"
    )
