"""The tab for photographs: a filter's picture at once, the optimizer's as it comes, regions painted with a brush."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from impasto.errors import UsageError
from impasto.studio import fields, job, sources
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Chooser, Easel, Studio
from impasto.studio.job import News, Still, Wrong, at

if TYPE_CHECKING:
    from impasto.types import Step

TAB = "photo"
COLORS = {"red": "#e5484d", "yellow": "#ffc53d", "green": "#30a46c", "blue": "#0090ff"}
"""What regions are painted with."""
LEAVE = "leave the photograph as it is"
SIDE = 640
"""Long edge of the photograph in the region editor, px."""
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
        masks = sources.mask(asked.editor["layers"], COLORS) if asked.editor else {}
        if masks:
            more = _regions(desk, asked, content.size, styles, masks)
            told["regions"] = sources.GIVEN
    with at("settings"):
        work = still.painting(content, styles, settings, names=told, **more)

    def filtered() -> Any:
        return still.painting(content, styles, replace(settings, quality="draft", time=0.0), names=told, **more)

    caption = f"{Path(names['source']).stem} in the style of {', '.join(Path(style.name).stem for style in styles)}"
    return Painting(desk, work, f"{Path(names['source']).stem}-painted", caption, filtered)


def _regions(desk: Desk, asked: Asked, size: tuple[int, int], styles: list[Any], masks: dict[str, Any]) -> dict[str, Any]:
    """Regions and what is kept, as the engine takes them; styles of regions are added to `styles`.

    Raises:
        UsageError: a color was painted with and nothing chosen for it.
    """
    from impasto.paint import regions
    from impasto.paint.pictures import Style

    found = {name: regions.fit_mask(mask, size, f"the {name} region") for name, mask in masks.items()}
    more: dict[str, Any] = {}
    places: list[str | None] = [None] * len(styles)
    files = {Path(file).name: file for file in asked.paintings}
    for name in list(found):
        chosen = asked.places.get(name)
        if not chosen:
            raise UsageError(f"you painted with {name}: choose below what {name} stands for, or undo it")
        if chosen == LEAVE:
            more["keep"] = found.pop(name)
            continue
        if chosen in files:
            picture, told = sources.picture(desk, files[chosen], "regions", "")
            styles.append(Style(picture, 1.0, told["source"], told["sha256"]))
        else:
            styles.append(sources.style(desk, chosen, 1.0, "regions"))
        places.append(name)
    return {**more, "regions": regions.from_masks(size, found, places)} if found else more


@dataclass
class Form:
    """The parts of the tab."""

    photo: gr.Image
    chooser: Chooser
    filters: gr.Gallery
    settings: dict[str, Any]
    editor: gr.ImageEditor
    places: dict[str, gr.Dropdown]
    slider: gr.ImageSlider
    easel: Easel
    regions: gr.Accordion

    @property
    def inputs(self) -> list[Any]:
        """What the page's handlers are given."""
        return [self.photo, *self.chooser.inputs, *self.settings.values(), self.editor, *self.places.values()]

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
            dict(zip(self.places, rest[count + 1 :], strict=True)),
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
            styles = fields.chooser()
            settings = settings_fields()
            wrong_settings = fields.wrong()
        with gr.Column(scale=3, min_width=320):
            slider = gr.ImageSlider(
                label="Before and after", buttons=["fullscreen"], max_height=620, type="filepath", elem_id="photo-slider"
            )
            places = {"photo": wrong, "styles": styles.wrong, "settings": wrong_settings}
            board = fields.easel(TAB, "Paint", [slider], _show(slider), places)
            with gr.Accordion("Regions: another style in some places", open=False) as regions:
                editor, chosen, board.wrong["regions"] = _region_fields()
    form = Form(photo, styles, filters, settings, editor, chosen, slider, board, regions)
    _events(studio, form)
    return form


def _region_fields() -> tuple[gr.ImageEditor, dict[str, gr.Dropdown], gr.HTML]:
    gr.Markdown("Paint over the photograph; then say what each color stands for. What stays free has the styles above.")
    editor = gr.ImageEditor(
        label="Regions",
        type="numpy",
        sources=[],
        transforms=[],
        layers=False,
        buttons=[],
        brush=gr.Brush(default_size=40, colors=list(COLORS.values()), color_mode="fixed"),
        elem_id="photo-regions",
        height=460,
    )
    with gr.Row():
        chosen = {
            name: gr.Dropdown([LEAVE], value=None, label=f"Where it is {name}", min_width=150, allow_custom_value=True)
            for name in COLORS
        }
    return editor, chosen, fields.wrong()


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

    def received(path: str | None, request: gr.Request) -> Changes:
        return _received(studio.desk(request), form, path)

    def toggle(names: list[str] | None, event: gr.SelectData) -> list[str]:
        name = event.value["caption"]
        return [each for each in names or [] if each != name] if name in (names or []) else [*(names or []), name]

    def offered(names: list[str] | None, paintings: list[str] | None, request: gr.Request) -> list[Any]:
        own = [*(Path(file).name for file in paintings or []), *names_of(studio.desk(request))]
        return [gr.update(choices=[LEAVE, *own])] * len(COLORS)

    now: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "glimpse", "trigger_mode": "always_last", **fields.QUIET}
    board.start.click(paint, form.inputs, board.outputs, **fields.RUNS)
    studio.stopping(board)
    opened = [form.photo, *form.chooser.inputs, *form.settings.values(), form.editor, *board.outputs]
    form.photo.input(received, form.photo, opened, **fields.QUIET).then(look, form.inputs, board.outputs, **now)
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


def glimpse(desk: Desk, form: Form, asked: Asked) -> Changes:
    """The filter's picture, at once; nothing while there is nothing to paint, or while a painting is under way."""
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
        return {**cleared, **board.failed(error)}
    if desk.works(TAB):  # begun meanwhile
        return {board.status: gr.skip()}
    text = "This is the filter's. Paint refines it." if asked.settings["quality"] != "draft" else "This is the filter's."
    return {**cleared, board.status: fields.bar(text, 1.0), **board.changes(News(text, made=made, before=work.before))}


def _received(desk: Desk, form: Form, path: str | None) -> Changes:
    """A photograph was dropped, or a picture that was made here, whose settings come back."""
    board = form.easel
    changes: Changes = {place: fields.told("") for place in board.wrong.values()}
    if not path:
        return {**changes, form.editor: None, board.status: ""}
    try:
        picture, _ = sources.picture(desk, path, "photo", MISSING)
        found = sources.restored(desk, path)
    except Wrong as error:
        return {**changes, **board.failed(error)}
    if found:
        changes |= _restore(form, found)
    if not (found and found["photo"]):
        changes[form.editor] = _background(desk, picture)
    return changes


def _restore(form: Form, found: Mapping[str, Any]) -> Changes:
    changes: Changes = {part: found[name] for name, part in form.settings.items() if name in found}
    text = "The settings of this picture are back."
    if found["lost"]:
        text += f" Its style {', '.join(found['lost'])} is not at hand: drop it below."
    else:
        changes |= {form.chooser.named: found["named"], form.chooser.shares: found["shares"]}
        changes[form.chooser.paintings] = found["paintings"]
    if found["photo"]:
        changes[form.photo] = found["photo"]
    else:
        text += " Drop the photograph it was made from to paint it again."
    return {**changes, form.easel.status: fields.bar(text, 0.0)}


def _background(desk: Desk, picture: Any) -> Any:
    """A photograph to paint regions on."""
    return {"background": str(job.poster(desk, picture.image, "regions.jpg", SIDE)), "layers": [], "composite": None}


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
