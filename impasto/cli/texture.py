"""`impasto texture`: pictures of any size that look everywhere like an exemplar, without seams, with their maps."""

from __future__ import annotations

import functools
import inspect
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from impasto.cli import batch, options, places, report, words
from impasto.cli.batch import Wishes
from impasto.cli.jobs import STDIN, Job, Plan
from impasto.cli.shelf import Shelf
from impasto.errors import ImpastoError, OutputExists, UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.paint.texture import Texture
    from impasto.pixels.io import Picture

CONTENT = ("strength", "preserve_color", "content_loss", "content_weight", "content_layers")
"""Settings that say something of a photograph, which a texture does not have."""
TRACING = 8e-6
"""Seconds a pixel that maps take."""
TILINGS = ("x", "xy")

Exemplars = Annotated[
    list[str],
    typer.Argument(help="A picture of the texture; several are mixed.", metavar="[PLACE=]EXEMPLAR[:WEIGHT]..."),
]
Tile = Annotated[
    str,
    options.option("Let it repeat without a seam: in both directions, or sideways.", "--tile", metavar="[x]", default=False),
]
Masks = Annotated[
    list[str],
    options.option(
        "Where an exemplar goes: white is there. NAME is an exemplar's PLACE.",
        "--mask",
        panel=options.REGIONS,
        metavar="NAME=FILE",
        default=False,
    ),
]
Maps = Annotated[
    list[str],
    options.option(
        "A map of the exemplar to carry along (normals, roughness); repeat for several. Written beside the texture.",
        "--with",
        panel=options.OUTPUT,
        metavar="FILE",
        default=False,
    ),
]


class Command(TyperCommand):
    """A command line on which --tile may stand alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(spelled(args)))


def spelled(arguments: Sequence[str]) -> Iterator[str]:
    """--tile x as it is, and --tile by itself as --tile=xy; nothing after -- is an option."""
    options_end = arguments.index("--") if "--" in arguments else len(arguments)
    for position, argument in enumerate(arguments):
        after = arguments[position + 1] if position + 1 < len(arguments) else ""
        alone = argument == "--tile" and position < options_end and after not in TILINGS
        yield "--tile=xy" if alone else argument


def without(names: Sequence[str]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Take options away from a verb; it gets their defaults."""

    def change(verb: Callable[..., int]) -> Callable[..., int]:
        signature = inspect.signature(verb)
        foreign = {name: signature.parameters[name].default for name in names}

        @functools.wraps(verb)
        def run(**values: Any) -> int:
            return verb(**foreign, **values)

        kept = [parameter for name, parameter in signature.parameters.items() if name not in names]
        run.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in kept}
        return run

    return change


@without(CONTENT)
@options.takes_settings
def texture(
    exemplars: Exemplars,
    *,
    chosen: dict[str, Any],
    tile: Tile = "",
    mask: Masks = [],  # noqa: B006  # Typer's way; nobody changes it
    maps: Maps = [],  # noqa: B006
    output: options.Output,
    force: options.Force = False,
    resume: options.Resume = False,
    preview: options.Preview = "",
    bits: options.Bits = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = "",
) -> int:
    """Make a texture of any size that looks everywhere like a picture of it.

    impasto texture pebbles.jpg --size 1024x768 -o out.png
    """
    report.warnings = not quiet
    if force and resume:
        raise UsageError("--resume goes on and --force begins again: give one of them")
    where = places.parse(mask, "", [], "", "")
    for name in places.SPECIAL.keys() & where.masks.keys():
        raise UsageError(f"--mask {name} says something of a photograph, which a texture does not have: name an exemplar's place")
    mixed = [words.parse_style(text) for text in exemplars]
    places.check(where, [mixed], False)
    job = Job(mixed[0].source, tuple(mixed), output, {})
    carried = names_of_maps(maps, job)
    wishes = Wishes(force, resume, preview, bits or None, as_json, quiet, where)
    tile = "xy" if tile.lower() == "true" else tile  # a switch in a file of options
    if resume and job.there and not job.unfinished:
        report.result(output, {"exemplars": [word.source for word in mixed], "finished": True}, as_json=as_json)
        return report.DONE
    return _make(job, Settings(**chosen), wishes, tile, carried)


def names_of_maps(maps: Sequence[str], job: Job) -> dict[str, str]:
    """Where each map goes: out.png, pebbles.jpg and pebbles_normal.tif make out-normal.tif.

    Raises:
        UsageError: maps beside several exemplars, or beside a texture that goes to stdout; two of one name.
    """
    if maps and len(job.styles) > 1:
        raise UsageError("--with carries the maps of one exemplar along, and there are several")
    if maps and STDIN in (job.output, *maps):
        raise UsageError("--with needs files: maps are neither read from stdin nor written to stdout")
    found: dict[str, str] = {}
    for file in maps:
        stem = Path(file).stem
        exemplar = Path(job.content).stem
        short = stem.removeprefix(exemplar).lstrip("-_. ") or stem
        target = str(Path(job.output).with_name(f"{Path(job.output).stem}-{short}{Path(file).suffix}"))
        if target in found.values():
            raise UsageError(f"two maps would be written to {target}: give them different names")
        if os.path.realpath(target) in {os.path.realpath(each) for each in (*maps, job.content)}:
            raise UsageError(f"{target} is both read and written: give the result another name")
        found[file] = target
    return found


def _make(job: Job, settings: Settings, wishes: Wishes, tile: str, carried: Mapping[str, str]) -> int:
    """Make the texture and its maps; interrupted, what there is of it and the state.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    from impasto.pixels import io

    begun, shelf = time.monotonic(), Shelf()
    if job.unfinished and not wishes.resume and not wishes.force:
        raise OutputExists(f"{job.output} is unfinished: --resume goes on with it, --force begins again")
    goes_on = wishes.force or job.unfinished
    batch.check(Plan((job,), False, {}), [settings], wishes, shelf)
    for target in carried.values():
        io.check_output(target, goes_on)
    found = _read_maps(job, carried, shelf)
    work = prepare(job, settings, wishes, tile, shelf, TRACING if carried else 0.0)
    if job.unfinished and wishes.resume and job.state:
        work.load_state(job.state)
    with report.deferred("" if wishes.quiet else batch.STOPPING) as stop:
        report.say(work.plan(), quiet=wishes.quiet)
        finished = _work(work, wishes, stop)
        if not finished and job.state:
            _keep_state(work, job.state)
        made = work.result()
        path = made.save(job.output, bits=wishes.bits, force=goes_on)
        if finished:
            _save_maps(made, job, found, carried, goes_on)
            if job.state:
                job.state.unlink(missing_ok=True)
        facts = {"finished": finished, "seconds": round(time.monotonic() - begun, 2), "steps": made.recipe["settings"]["steps"]}
        sources = [word.source for word in job.styles]
        written = list(carried.values()) if finished else []
        report.result(path, {"exemplars": sources, "maps": written, **facts}, as_json=wishes.as_json)
        for each in [] if wishes.as_json else written:
            report.out(each)
    if stop.wanted:
        if not finished:
            report.say(f"{path} is unfinished, --resume goes on with it", quiet=wishes.quiet)
        raise KeyboardInterrupt
    return report.DONE


def prepare(job: Job, settings: Settings, wishes: Wishes, tile: str, shelf: Shelf, tracing: float = 0.0) -> Texture:
    """The texture of a job, with all that its recipe says of it; `tracing`: seconds a pixel to keep for maps."""
    from impasto.paint import regions
    from impasto.paint.pictures import Style
    from impasto.paint.texture import Texture, shape_of

    opened = [(word, *shelf.open(word.source)) for word in job.styles]
    exemplars = [Style(picture, word.weight, names["source"], names["sha256"]) for word, picture, names in opened]
    shape = shape_of(settings.size, opened[0][1])
    names: dict[str, Any] = {} if wishes.bits is None else {"bits": wishes.bits}
    found: Sequence[regions.Region] = ()
    if wishes.places.masks:
        masks = {name: shelf.mask(file) for name, file in wishes.places.masks.items()}
        found = regions.from_masks(shape, masks, [word.place or None for word in job.styles])
        names["masks"] = {name: shelf.open(file)[1] for name, file in wishes.places.masks.items()}
        names["places"] = [word.place for word in job.styles]
    deadline = report.BEGUN + settings.time - tracing * shape[0] * shape[1] if settings.time else math.inf
    return Texture(exemplars, settings, tile=tile, regions=found, deadline=deadline, names=names)


def _read_maps(job: Job, carried: Mapping[str, str], shelf: Shelf) -> dict[str, Picture]:
    from impasto.paint import companions

    found = {file: shelf.open(file)[0] for file in carried}
    for file, picture in found.items():
        companions.check(shelf.open(job.content)[0], file, picture)
    return found


def _save_maps(made: Any, job: Job, maps: Mapping[str, Picture], carried: Mapping[str, str], force: bool) -> None:
    if not maps:
        return
    from impasto.paint import companions

    for file, result in companions.carry(made, job.content, {file: file for file in maps}).items():
        result.save(carried[file], force=force)


def _keep_state(work: Texture, state: Path) -> None:
    """The state goes first: a picture without one counts as finished."""
    try:
        work.save_state(state)
    except ImpastoError as error:
        report.say(f"impasto: {report.one_line(error)}; the texture can be saved but not gone on with")


def _work(work: Texture, wishes: Wishes, stop: report.Stop) -> bool:
    """Take the steps, with a bar and previews; whether they were all made."""
    preview, written, cost = wishes.preview, time.monotonic(), 0.0
    for _ in report.progress(work.steps(), quiet=wishes.quiet):
        if stop.wanted:
            return False
        begun = time.monotonic()
        if preview and begun - written > max(batch.PREVIEW_SECONDS, batch.PREVIEW_SHARE * cost):
            try:
                work.result().save(preview, force=True)
            except ImpastoError as error:
                report.say(f"impasto: no more previews: {report.one_line(error)}")
                preview = ""
            written = time.monotonic()
            cost = written - begun
    return True
