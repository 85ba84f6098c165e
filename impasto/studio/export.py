"""The tab where filters become files for phones, browsers and servers, each checked beside the original."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from impasto.studio import fields, job, learn, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Studio
from impasto.studio.job import News, Wrong, at

if TYPE_CHECKING:
    from impasto.export import Report
    from impasto.paint.pictures import Style
    from impasto.types import Step

TAB = "export"
ONNX = ("onnx", "onnxscript", "onnxruntime")
APP, APP_NAME = "app", "impasto-app"
FORMATS = {
    ".onnx": ("ONNX: servers, desktops, browsers, phones (.onnx)", ONNX),
    ".pte": ("ExecuTorch: Android, iOS (.pte)", ("executorch", "torchao")),
    ".tflite": ("LiteRT: Android (.tflite)", ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")),
    ".mlpackage": ("Core ML: iOS, macOS (.mlpackage)", ("coremltools",)),
}
"""What there is to write: in words, and the packages that each needs."""
LOOK = 480
"""Long edge of the picture that shows what is exported, px."""


class Parcel:
    """Filters on their way into a file, as a job. A step is a filter."""

    before: Path | None = None
    label = "Written and checked: filter"

    def __init__(self, desk: Desk, styles: Sequence[Style], kind: str, precision: str, size: int) -> None:
        self.desk, self.styles, self.kind, self.precision, self.size = desk, styles, kind, precision, size
        self.path = desk.path(APP_NAME if kind == APP else f"{learn.plain(styles[0].name)}{kind}")
        self.reports: list[Report] = []

    def steps(self) -> Iterator[Step]:
        """Write, and check what was written.

        Raises:
            Wrong: a filter that cannot be written so, or does not agree with what was written.
        """
        from impasto import export
        from impasto.export import web
        from impasto.types import Step

        known: list[Any] = [style.known for style in self.styles]
        yield Step(0, len(known))
        with at("settings", str(self.path)):
            if self.kind == APP:
                yield from web.steps(self.path, known)
            else:
                self.reports = export.write(known[0], self.path, self.precision, size=self.size)
                yield Step(1, 1)

    def finish(self, stopped: bool) -> Made | None:
        """The file; None where it was not written whole."""
        if not self.path.exists():
            return None
        names = [style.name for style in self.styles]
        found = self._app(names) if self.kind == APP else self.reports[0].described()
        file = self.path if self.path.is_file() else packed(self.path)
        facts = [{**each.facts(), "output": self.path.name} for each in self.reports]
        recipe = {"verb": "export", "filters": names, "file": file.name, "check": found, "report": facts}
        short = "; ".join(found[: 1 if self.kind == APP else 2])
        return Made(file, self._poster(), f"{', '.join(names)} as {file.name}", recipe, f"{short[:1].upper()}{short[1:]}.")

    def _app(self, names: Sequence[str]) -> list[str]:
        size = sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())
        return [
            f"{size / 1e6:.1f} MB, {len(names)} {'filter' if len(names) == 1 else 'filters'}: {', '.join(names)}",
            "each network agrees with its filter; one that does not is not written",
            "unpack it, and any web server hands it out as it is",
        ]

    def _poster(self) -> Path:
        """A photograph in the first of the filters."""
        from impasto import still
        from impasto.export import web
        from impasto.pixels import io

        image = still.bind(self.styles[:1], LOOK)(io.load(web.SAMPLE).image)
        return job.poster(self.desk, image, "filter.jpg", LOOK)


def packed(folder: Path) -> Path:
    """A folder as a .zip file beside it."""
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def offered() -> list[tuple[str, str]]:
    """Kinds of files whose packages are installed, in words and by name."""
    formats = [(words, suffix) for suffix, (words, packages) in FORMATS.items() if fields.installed(*packages)]
    return [*formats, ("Browser app of one or several filters (.zip)", APP)]


def begin(desk: Desk, named: Sequence[str] | None, kind: str, precision: str, size: float) -> Parcel:
    """The export of filters.

    Raises:
        Wrong: no filter, several where a file holds one, or one that there is not.
    """
    names = list(dict.fromkeys(named or ()))
    if not names:
        raise Wrong("named", "There is no filter yet: choose one.")
    if kind != APP and len(names) > 1:
        raise Wrong("named", f"A file {kind} holds one filter, and {len(names)} are chosen: choose one, or the browser app.")
    styles = [sources.style(desk, name, 1.0, "named") for name in names]
    return Parcel(desk, styles, kind, precision, int(size or 0))


def settings_fields() -> list[Any]:
    """Fields for the kind, the precision and the size."""
    kinds = offered()
    return [
        gr.Radio(kinds, value=kinds[0][1], label="Format", elem_id="export-kind"),
        gr.Radio(
            ["fp32", "fp16", "int8"],
            value="fp32",
            label="Precision",
            info="Numbers in the file: fp16 and int8 are smaller. The browser app has those that it needs.",
            elem_id="export-precision",
        ),
        gr.Slider(64, 1024, 512, step=8, label="Size", info="Of the pictures it is checked on, px; only ONNX takes others too."),
    ]


def build(studio: Studio, named: gr.Dropdown) -> None:
    """The tab, and what its parts do; `named`: the field for filters, which is made before, for Learn offers its own there."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            named.render()  # type: ignore[no-untyped-call]
            wrong = fields.wrong()
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            shown = gr.Image(label="What it paints", buttons=[], interactive=False, height=320, elem_id="export-shown")
            check = gr.Markdown(elem_id="export-check")
            places = {"named": wrong, "settings": wrong_settings}

            def show(news: News) -> Changes:
                return {shown: str(news.made.poster), check: listed(news.made)} if news.made else {}

            board = fields.easel(TAB, "Export", [shown, check], show, places)

    def run(request: gr.Request, *values: Any) -> Iterator[Changes]:
        yield from board.run(lambda: studio.follow(request, TAB, lambda desk: begin(desk, *values)))

    board.start.click(run, [named, *settings], board.outputs, **fields.RUNS)
    studio.stopping(board)

    def export(named: list[str] | None, kind: str, precision: str, size: float, request: gr.Request) -> Iterator[Any]:
        yield from studio.answers(request, lambda desk: begin(desk, named, kind, precision, size))

    with gr.Group(visible=False):
        about = "Write a filter, by its name, for other runtimes, or a browser app of several; what was written is checked first."
        fields.endpoint("export", export, [names_field(), *settings_fields()], about)


def names_field(render: bool = True) -> gr.Dropdown:
    """A field for filters."""
    return gr.Dropdown(
        [], multiselect=True, allow_custom_value=True, label="Filters", info="One; several for the browser app.", render=render
    )


def listed(made: Made) -> str:
    """How a file does beside the original, a line each."""
    return "\n".join([f"**{made.file.name}**\n", *(f"- {line}" for line in made.recipe["check"])])
