"""The tab for photographs: a filter's picture at once, the optimizer's as it comes, regions painted with a brush."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from impasto.studio import fields, job, regions, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Chooser, Easel, Studio
from impasto.studio.job import News, Still, Wrong, at

if TYPE_CHECKING:
    from impasto.types import Step

TAB = "photo"
SHOWN = 0.5
"""Share of its size from which on a painting shows more than the filter's picture."""
QUICK = 512
"""Long edge of the filter's picture that is shown at once, px."""
MISSING = "There is no photograph yet: drop one here."


@dataclass(frozen=True)
class Asked:
    """A filled-in form."""

    photo: str | None
    named: Sequence[str]
    paintings: Sequence[str]
    shares: str
    settings: Mapping[str, Any]
    editor: Mapping[str, Any] | None = None
    chart: str | None = None
    """A mask or a map that was dropped."""
    places: Mapping[str, str | None] = field(default_factory=dict)
    """What is painted where a color of the brush is: a filter's or a painting's name."""


class Painting(Still):
    """A photograph's painting as a job. Sizes at which it shows less than the filter's picture are not shown, nor kept."""

    def __init__(self, desk: Desk, work: Any, name: str, caption: str, filtered: Callable[[], Any]) -> None:
        super().__init__(desk, work, name, caption)
        self.filtered = filtered
        self.before = job.poster(desk, work.visible, "before.jpg", max(work.shape))
        self._size = max(work.shape) if work.drafted else 0

    def steps(self) -> Iterator[Step]:
        """Its steps; previews once they are worth it."""
        for step in self.work.steps(preview=True):
            self._size = max(step.size)
            yield step if self._shows() else replace(step, preview=None)

    def _shows(self) -> bool:
        return bool(self._size >= SHOWN * max(self.work.shape))

    def finish(self, stopped: bool) -> Made | None:
        """The picture as it stands; the filter's where that is still the better one."""
        if not stopped or self._shows():
            return super().finish(stopped)
        work = self.filtered()
        for _ in work.steps():
            pass
        made = job.keep(self.desk, work.result(), self.name, self.caption)
        return replace(made, note="It was still coarse: this is the filter's picture.")


def begin(desk: Desk, asked: Asked) -> Painting:
    """The painting of a photograph.

    Raises:
        Wrong: something of the form cannot be.
    """
    from impasto import still

    content, names = sources.picture(desk, asked.photo, "photo", MISSING)
    styles = sources.styles(desk, asked.named, asked.paintings, asked.shares, "styles")
    settings = sources.settings("settings", **asked.settings)
    told: dict[str, Any] = {"content": names}
    more: dict[str, Any] = {}
    with at("regions"):
        if masks := regions.asked_for(desk, content.size, asked.chart, asked.editor):
            more = regions.arranged(desk, content.size, styles, masks, asked.places, asked.paintings)
            told |= {"regions": sources.GIVEN} if more else {}
    with at("settings"):
        work = still.painting(content, styles, settings, names=told, **more)

    def filtered() -> Any:
        return still.painting(content, styles, replace(settings, quality="draft", time=0.0), names=told, **more)

    caption = f"{Path(names['source']).stem} in the style of {sources.titles(styles)}"
    return Painting(desk, work, f"{Path(names['source']).stem}-painted", caption, filtered)


@dataclass
class Form:
    """The parts of the tab."""

    photo: gr.Image
    chooser: Chooser
    filters: gr.Gallery
    settings: dict[str, Any]
    editor: gr.ImageEditor
    chart: gr.Image
    """Where a mask or a map is dropped."""
    note: gr.HTML
    """What there is to say of it."""
    places: dict[str, gr.Dropdown]
    slider: gr.ImageSlider
    easel: Easel
    regions: gr.Accordion

    @property
    def inputs(self) -> list[Any]:
        """What the page's handlers are given."""
        return [self.photo, *self.chooser.inputs, *self.settings.values(), self.editor, self.chart, *self.places.values()]

    def asked(self, values: Sequence[Any]) -> Asked:
        """What those handlers were given."""
        photo, named, paintings, shares, *rest = values
        count = len(self.settings)
        return Asked(
            photo,
            named or [],
            paintings or [],
            shares or "",
            dict(zip(self.settings, rest[:count], strict=True)),
            rest[count],
            rest[count + 1],
            dict(zip(self.places, rest[count + 2 :], strict=True)),
        )


def settings_fields() -> dict[str, Any]:
    """Fields for settings, by their names."""
    found: dict[str, Any] = {}
    found["strength"] = gr.Slider(0, 1, 1, step=0.05, label="Strength", info="0 leaves the photograph, 1 is all of the style.")
    found["size"] = gr.Slider(128, 2048, 512, step=32, label="Size", info="Long edge, px.")
    found["quality"] = gr.Radio(
        [("draft: the filter alone", "draft"), "good", "best"], value="good", label="Quality", elem_id="photo-quality"
    )
    with gr.Accordion("More settings", open=False):
        found["style_scale"] = gr.Slider(0.25, 4, 1, step=0.05, label="Style scale", info="Size of the strokes.")
        found["preserve_color"] = gr.Radio(
            [("the painting's", "off"), ("the photograph's", "luminance"), ("matched", "match"), ("histogram", "histogram")],
            value="off",
            label="Colors",
        )
        found["time"] = gr.Number(0, minimum=0, maximum=3600, label="Time, s", info="Be done in this time; 0: by quality.")
        found["seed"] = gr.Number(0, precision=0, label="Seed", info="Start of the random numbers.")
    return found


def build(studio: Studio) -> Form:
    """The tab, and what its parts do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            photo = fields.photograph("Photograph, or a picture made here", elem_id="photo-photo")
            wrong = fields.wrong()
            filters = gr.Gallery(
                label="Filters", columns=4, height=236, allow_preview=False, object_fit="cover", buttons=[], elem_id="filters"
            )
            styles = fields.chooser("photo-paintings")
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            slider = gr.ImageSlider(
                label="Before and after", buttons=["fullscreen"], max_height=620, type="filepath", elem_id="photo-slider"
            )
            places = {"photo": wrong, "styles": styles.wrong, "settings": wrong_settings}
            board = fields.easel(TAB, "Paint", [slider], _show(slider), places)
            with gr.Accordion("Regions: another style in some places", open=False) as accordion:
                editor, chart, note, chosen, board.wrong["regions"] = _region_fields()
    form = Form(photo, styles, filters, settings, editor, chart, note, chosen, slider, board, accordion)
    _events(studio, form)
    return form


def _region_fields() -> tuple[gr.ImageEditor, gr.Image, gr.HTML, dict[str, gr.Dropdown], gr.HTML]:
    gr.Markdown(
        "Paint over the photograph, or drop a mask or a map; then say what each color stands for. "
        "What stays free has the styles above."
    )
    editor = gr.ImageEditor(
        label="Regions",
        type="numpy",
        sources=[],
        transforms=[],
        layers=False,
        buttons=[],
        brush=gr.Brush(default_size=40, colors=list(regions.COLORS.values()), color_mode="fixed"),
        elem_id="photo-regions",
        height=460,
    )
    chart = fields.photograph("A mask (white where it counts), or a map of flat colors", height=150, elem_id="photo-chart")
    note, problem = gr.HTML("", padding=False, elem_id="photo-chart-note"), fields.wrong()
    with gr.Row():
        chosen = {
            name: gr.Dropdown(
                list(regions.CHOICES), value=None, label=f"Where it is {name}", min_width=150, allow_custom_value=True
            )
            for name in regions.COLORS
        }
    return editor, chart, note, chosen, problem


def _show(slider: Any) -> Any:
    def show(news: News) -> Changes:
        after = news.made.file if news.made else news.preview
        return {slider: (str(news.before), str(after))}

    return show


def _events(studio: Studio, form: Form) -> None:
    board = form.easel

    def paint(request: gr.Request, *values: Any) -> Iterator[Changes]:
        asked = form.asked(values)
        yield from board.run(lambda: studio.follow(request, TAB, lambda desk: begin(desk, asked)))

    def look(request: gr.Request, *values: Any) -> Changes:
        return glimpse(studio.desk(request), form, form.asked(values))

    def look_at_dropped(request: gr.Request, *values: Any) -> Changes:
        desk = studio.desk(request)
        return glimpse(desk, form, form.asked(values), desk.told)

    def received(path: str | None, request: gr.Request) -> Changes:
        return _received(studio.desk(request), form, path)

    def laid(chart: str | None, photo: str | None, editor: dict[str, Any] | None, request: gr.Request) -> Changes:
        return _laid(studio.desk(request), form, photo, chart, editor)

    def toggle(names: list[str] | None, event: gr.SelectData) -> list[str]:
        name = event.value["caption"]
        return [each for each in names or [] if each != name] if name in (names or []) else [*(names or []), name]

    def offered(names: list[str] | None, paintings: list[str] | None, request: gr.Request) -> list[Any]:
        own = [*sources.labels(paintings or []), *names_of(studio.desk(request))]
        return [gr.update(choices=[*regions.CHOICES, *own])] * len(regions.COLORS)

    now: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "glimpse", "trigger_mode": "always_last", **fields.QUIET}
    board.start.click(paint, form.inputs, board.outputs, **fields.RUNS)
    studio.stopping(board)
    opened = [form.photo, *form.chooser.inputs, *form.settings.values(), form.editor, form.chart, form.note, *board.outputs]
    form.photo.input(received, form.photo, opened, **fields.QUIET).then(look_at_dropped, form.inputs, board.outputs, **now)
    form.chart.input(laid, [form.chart, form.photo, form.editor], [form.editor, form.note, *board.outputs], **now)
    form.filters.select(toggle, form.chooser.named, form.chooser.named, **fields.QUIET).then(
        look, form.inputs, board.outputs, **now
    )
    quick = [form.settings[name] for name in ("strength", "style_scale")]
    changed = [form.chooser.named.input, form.chooser.shares.submit, form.settings["preserve_color"].input]
    gr.on([*changed, *(each.release for each in quick)], look, form.inputs, board.outputs, **now)
    chosen = [form.chooser.named, form.chooser.paintings]
    form.chooser.paintings.change(offered, chosen, list(form.places.values()), **fields.QUIET).then(
        look, form.inputs, board.outputs, **now
    )
    form.regions.expand(offered, chosen, list(form.places.values()), **fields.QUIET)
    _endpoint(studio)


def names_of(desk: Desk) -> list[str]:
    """The filters that may be named at a desk: its own first."""
    from impasto.fast import style as filters

    return [*desk.filters, *filters.names()]


def glimpse(desk: Desk, form: Form, asked: Asked, told: str = "") -> Changes:
    """The filter's picture, at once; nothing while there is nothing to paint, or while a painting is under way.

    `told`: what stands there already, and is to stay.
    """
    board = form.easel
    if not asked.photo or not (asked.named or asked.paintings) or desk.works(TAB):
        return {board.status: gr.skip()}
    edge = min(QUICK, int(asked.settings["size"]))
    quick = Asked(**{**vars(asked), "settings": {**asked.settings, "quality": "draft", "time": 0, "size": edge}})
    cleared = {place: fields.told("") for place in board.wrong.values()}
    try:
        work = begin(desk, quick)
        for _ in work.steps():
            pass
        made = work.finish(False)
    except Exception as error:
        return {**cleared, **board.failed(error), board.status: fields.bar(told, 0.0) if told else ""}
    if desk.works(TAB):  # begun meanwhile
        return {board.status: gr.skip()}
    text = "This is the filter's. Paint refines it." if asked.settings["quality"] != "draft" else "This is the filter's."
    shown = board.changes(News(text, made=made, before=work.before))
    return {**cleared, board.status: fields.bar(f"{told} {text}".strip(), 1.0), **shown}


def _received(desk: Desk, form: Form, path: str | None) -> Changes:
    """A photograph was dropped, or a picture that was made here, whose settings come back."""
    board, desk.told = form.easel, ""
    changes: Changes = {place: fields.told("") for place in board.wrong.values()}
    if not path:
        desk.edited = ""
        return {**changes, form.editor: None, form.chart: None, form.note: "", board.status: ""}
    try:
        picture, names = sources.picture(desk, path, "photo", MISSING)
        found = sources.restored(desk, path)
        if found and found["photo"]:
            picture, names = sources.picture(desk, found["photo"], "photo", MISSING)
    except Wrong as error:
        return {**changes, **board.failed(error)}
    if found:
        changes |= _restore(desk, form, found)
    if names["sha256"] != desk.edited:
        desk.edited = names["sha256"]
        changes |= {form.editor: regions.shown(desk, picture), form.chart: None, form.note: ""}
    return changes


def _restore(desk: Desk, form: Form, found: Mapping[str, Any]) -> Changes:
    held, notes = fitting(form.settings, found)
    changes: Changes = {form.settings[name]: value for name, value in held.items()}
    text = " ".join(["The settings of this picture are back.", *notes])
    if found["lost"]:
        text += f" Its style {', '.join(found['lost'])} is not at hand: drop it below."
    else:
        changes |= {form.chooser.named: found["named"], form.chooser.shares: found["shares"]}
        changes[form.chooser.paintings] = found["paintings"]
    if found["photo"]:
        changes[form.photo] = found["photo"]
    else:
        text += " Drop the photograph it was made from to paint it again."
    desk.told = text
    return {**changes, form.easel.status: fields.bar(text, 0.0)}


def fitting(parts: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A recipe's values as far as fields can hold them, and a sentence for each that one cannot."""
    held, notes = {}, []
    for name in parts.keys() & found.keys():
        value, label = found[name], parts[name].label
        if name == "size" and isinstance(value, str):
            notes.append(f"{label} was {value}, which is not one number: it stays as it was here.")
            continue
        low, high = getattr(parts[name], "minimum", None), getattr(parts[name], "maximum", None)
        held[name] = value
        if isinstance(value, int | float) and low is not None and high is not None and not low <= value <= high:
            held[name] = min(max(value, low), high)
            notes.append(f"{label} was {value:g}, and {low:g} to {high:g} are possible here: it is {held[name]:g} now.")
    return held, sorted(notes)


def _laid(desk: Desk, form: Form, photo: str | None, chart: str | None, editor: Mapping[str, Any] | None) -> Changes:
    """A mask or a map was dropped, or taken away: the photograph in the region editor is tinted by it, below the brush's."""
    board, layers = form.easel, editor["layers"] if editor else []
    changes: Changes = {board.wrong["regions"]: fields.told(""), form.note: ""}
    try:
        if chart:
            shown, note = regions.laid(desk, photo, chart, layers)
            said = fields.bar(f"{note} Choose below what each color stands for.", 0.0)
            return {**changes, form.editor: shown, form.note: said}
        bare = regions.shown(desk, sources.picture(desk, photo, "photo", "")[0], layers=layers) if photo else None
        return {**changes, form.editor: bare}
    except Exception as error:
        return {**changes, **board.failed(error)}


def _endpoint(studio: Studio) -> None:
    def stylize(
        photo: str | None, named: list[str] | None, paintings: list[str] | None, shares: str | None,
        strength: float, size: float, quality: str, style_scale: float, preserve_color: str, time: float, seed: float,
        request: gr.Request,
    ) -> Iterator[Any]:  # fmt: skip
        settings = {"strength": strength, "size": size, "quality": quality, "style_scale": style_scale}
        settings |= {"preserve_color": preserve_color, "time": time, "seed": seed}
        asked = Asked(photo, named or [], paintings or [], shares or "", settings)
        yield from studio.answers(request, lambda desk: begin(desk, asked))

    with gr.Group(visible=False):
        photo, styles, settings = fields.photograph("photo"), fields.chooser(), settings_fields()
        about = "Paint a photograph in the style of filters, by their names, and of paintings."
        fields.endpoint("photo", stylize, [photo, *styles.inputs, *settings.values()], about)
