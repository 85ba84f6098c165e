"""`impasto doodle`: maps of flat colors painted like paintings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import batch, jobs, options, report, words
from impasto.cli.batch import Wishes
from impasto.cli.jobs import Job
from impasto.cli.places import Places
from impasto.cli.shelf import Shelf
from impasto.cli.words import StyleWord
from impasto.errors import UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.paint.doodle import Doodle

DOODLE, SUGGESTING = "Doodle", "Suggesting a map"
DEFAULTS: dict[str, Any] = {"way": "both", "semantic_weight": 1.0}
COLORS = 5
FLAGS = options.settings_of(
    size="Long edge in px, WIDTHxHEIGHT, or full: as large as the map, or as --content.",
    quality="How long to work: how many steps are taken once patches are laid, or at each size.",
    strength="With --content, how much style: 0 leaves the photograph, 1 is all of it.",
    preserve_color="With --content: keep the photograph's colors.",
    init="With --way statistics and --content, start from: content (filter is the same), noise, gray, style, or a picture.",
)

Drawing = Annotated[str, typer.Argument(help="The map: what is where, in flat colors. - is stdin.", metavar="MAP")]
Content = Annotated[
    str,
    options.option("A photograph of the map's shape that the result is to show.", "--content", metavar="FILE", default=False),
]
Way = Annotated[
    str,
    options.option(
        "Patches laid by the map, the regions' statistics, or both.", "--way", panel=DOODLE, metavar="both|patches|statistics"
    ),
]
SemanticWeight = Annotated[
    float,
    options.option(
        "How much the map counts where patches are laid: 0 nothing, inf: never a patch of another color.",
        "--semantic-weight",
        panel=DOODLE,
    ),
]
SuggestMap = Annotated[
    str,
    options.option(
        "Write a map of this painting to start from, and do nothing else.",
        "--suggest-map",
        panel=SUGGESTING,
        metavar="FILE",
        default=False,
    ),
]
Colors = Annotated[int, options.option("With --suggest-map: how many colors at most.", "--colors", panel=SUGGESTING)]


@options.takes(FLAGS)
def doodle(
    drawing: Drawing = "",
    *,
    chosen: dict[str, Any],
    style: options.Styles = [],  # noqa: B006  # Typer's way; nobody changes it
    style_map: options.StyleMaps = [],  # noqa: B006
    content: Content = "",
    way: Way = DEFAULTS["way"],
    semantic_weight: SemanticWeight = DEFAULTS["semantic_weight"],
    suggest_map: SuggestMap = "",
    colors: Colors = COLORS,
    output: options.OneOutput,
    force: options.Force = False,
    resume: options.Resume = False,
    preview: options.Preview = "",
    bits: options.Bits = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = "",
) -> int:
    """Paint a map of flat colors like the same colors in the map of a painting.

    impasto doodle my_map.png --style painting.jpg --style-map painting_map.png -o out.png
    """
    report.warnings = not quiet
    if suggest_map:
        if drawing or style or style_map or content:
            raise UsageError("--suggest-map makes a map of a painting and nothing else: leave the map and styles out")
        _check_suggesting(chosen, way, semantic_weight, resume=resume, preview=bool(preview), bits=bool(bits))
        return _suggest(suggest_map, colors, output, force, as_json)
    if colors != COLORS:
        raise UsageError("--colors says how many colors --suggest-map may use: a map that is painted has its own")
    job, maps = _job(drawing, [words.parse_style(text) for text in style], style_map, content, output)
    wishes = Wishes(force, resume, preview, bits or None, as_json, quiet, maps)
    return _run(job, Settings(**chosen), wishes, way, semantic_weight)


def _check_suggesting(chosen: Mapping[str, Any], way: str, semantic_weight: float, **more: bool) -> None:
    """Refuse options that say how to paint.

    Raises:
        UsageError: one of them was given.
    """
    changed = {name: value != DEFAULTS[name] for name, value in {"way": way, "semantic_weight": semantic_weight}.items()}
    given = [*chosen, *(name for name, is_given in {**changed, **more}.items() if is_given)]
    if given:
        flags = ", ".join(map(options.flag, given))
        raise UsageError(f"--suggest-map makes a map and paints nothing: leave {flags} out")


def _suggest(painting: str, colors: int, output: str, force: bool, as_json: bool) -> int:
    import impasto
    from impasto.paint import charts
    from impasto.pixels import io

    batch.check_apart([painting], [output])
    io.check_output(output, force)
    picture, name = Shelf().open(painting)
    recipe = {"version": impasto.__version__, "verb": "suggest-map", "content": name, "settings": {"colors": colors}}
    path = io.save(charts.suggest(picture, colors), output, recipe=recipe, force=force)
    report.result(path, {"painting": painting, "finished": True}, as_json=as_json)
    return report.DONE


def _job(drawing: str, styles: list[StyleWord], maps: list[str], content: str, output: str) -> tuple[Job, Places]:
    """What is to be made, and the maps as regions name them.

    Raises:
        UsageError: no map, not one map for each style, a style with a place, a folder.
    """
    if not drawing:
        raise UsageError("no map: impasto doodle MAP --style PAINTING --style-map ITS_MAP, or --suggest-map PAINTING to make one")
    for word in styles:
        if word.place:
            raise UsageError(f"style {word.source} has the place {word.place!r}: in a doodle the maps say what goes where")
    if Path(drawing).is_dir() or Path(content or drawing).is_dir():
        raise UsageError("one map at a time: it is a file, and so is the content")
    (job,) = jobs.plan([content or drawing], styles, output).jobs
    if len(maps) != len(job.styles):
        raise UsageError(f"{len(maps)} style maps for {len(job.styles)} styles: give one --style-map for each, in order")
    if [drawing, content, *maps, *(word.source for word in job.styles)].count(jobs.STDIN) > 1:
        raise UsageError("- stands for stdin, which can be read once only")
    if not content:
        job = replace(job, content=drawing)
    return job, Places(content_map=drawing, style_maps=tuple(maps))


def _run(job: Job, settings: Settings, wishes: Wishes, way: str, semantic_weight: float) -> int:
    """Make the picture; interrupted, keep what there is of it and the state.

    Raises:
        ImpastoError: whatever is wrong with pictures, maps, settings or the output.
        KeyboardInterrupt: it was interrupted.
    """
    begun, shelf, facts = time.monotonic(), Shelf(), _facts(job, wishes)
    if not batch.due(job, settings, wishes, facts, shelf):
        return report.DONE
    painting = prepare(job, settings, wishes, shelf, way, semantic_weight)
    for note in painting.notes:
        report.say(f"impasto: {note}", quiet=wishes.quiet)
    batch.make(job, painting, wishes, {**facts, "notes": painting.notes}, begun=begun)
    return report.DONE


def prepare(job: Job, settings: Settings, wishes: Wishes, shelf: Shelf, way: str, semantic_weight: float) -> Doodle:
    """The doodle of a job, with all that its recipe says of it."""
    from impasto.paint.doodle import Doodle

    where = wishes.places
    drawing, name = shelf.open(where.content_map)
    photo = shelf.open(job.content) if job.content != where.content_map else None
    maps = [shelf.open(file) for file in where.style_maps]
    names: dict[str, Any] = {"map": name, "style_maps": [each for _, each in maps]}
    if photo:
        names["content"] = photo[1]
    if wishes.bits is not None:
        names["bits"] = wishes.bits
    return Doodle(
        drawing,
        [shelf.style(word) for word in job.styles],
        [picture for picture, _ in maps],
        settings,
        content=photo[0] if photo else None,
        way=way,
        semantic_weight=semantic_weight,
        deadline=batch.deadline(settings.time),
        names=names,
    )


def _facts(job: Job, wishes: Wishes) -> dict[str, Any]:
    content = {} if job.content == wishes.places.content_map else {"content": job.content}
    maps = {"map": wishes.places.content_map, "style_maps": list(wishes.places.style_maps)}
    return {**maps, **content, "styles": [word.source for word in job.styles]}
