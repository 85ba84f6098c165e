"""`impasto texture`: pictures of any size that look everywhere like an exemplar, without seams, with their maps."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from impasto.cli import batch, options, places, report, words
from impasto.cli.batch import Wishes
from impasto.cli.jobs import STDIN, Job
from impasto.cli.shelf import Shelf
from impasto.cli.words import StyleWord
from impasto.errors import UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.paint.pictures import Stylized
    from impasto.paint.texture import Texture
    from impasto.pixels.io import Picture

CONTENT = ("strength", "preserve_color", "content_loss", "content_weight", "content_layers")
"""Settings that say something of a photograph, which a texture does not have."""
FLAGS = options.settings_of(
    without=CONTENT,
    size="Side of a square in px, WIDTHxHEIGHT, or full: as large as the exemplar.",
    quality="How long to work: how many steps are taken at each size.",
    style_scale="Size of what the texture shows, against the exemplar.",
    init="Start from: filter or content (either is the exemplar's patches laid anew), noise, gray, style, or a picture.",
)
TRACING = 8e-6
"""Seconds a pixel that maps take."""
TILINGS = ("x", "xy")
SHORT = re.compile(r"[A-Za-z]{1,2}")
"""What looks like a way of repeating after --tile, where no file is called so."""

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
    """--tile x as it is, also where another letter is meant as a way; --tile by itself as --tile=xy.

    Nothing after -- is an option.
    """
    options_end = arguments.index("--") if "--" in arguments else len(arguments)
    for position, argument in enumerate(arguments):
        after = arguments[position + 1] if position + 1 < len(arguments) else ""
        alone = argument == "--tile" and position < options_end and not _is_way(after)
        yield "--tile=xy" if alone else argument


def _is_way(word: str) -> bool:
    return word in TILINGS or (SHORT.fullmatch(word) is not None and not Path(word).exists())


@options.takes(FLAGS)
def texture(
    exemplars: Exemplars,
    *,
    chosen: dict[str, Any],
    tile: Tile = "",
    mask: Masks = [],  # noqa: B006  # Typer's way; nobody changes it
    maps: Maps = [],  # noqa: B006
    output: options.OneOutput,
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
    tile = "xy" if tile.lower() == "true" else tile  # a switch in a file of options
    if tile and tile not in TILINGS:
        raise UsageError(f"--tile {tile!r}: a texture repeats in both directions (--tile) or sideways (--tile x)")
    where = places.parse(mask, "", [], "", "")
    for name in places.SPECIAL.keys() & where.masks.keys():
        raise UsageError(f"--mask {name} says something of a photograph, which a texture does not have: name an exemplar's place")
    mixed = [words.parse_style(text) for text in exemplars]
    check_exemplars(mixed)
    places.check(where, [mixed], False)
    job = Job(mixed[0].source, tuple(mixed), output, {})
    carried = names_of_maps(maps, job)
    wishes = Wishes(force, resume, preview, bits or None, as_json, quiet, where)
    return _run(job, Settings(**chosen), wishes, tile, carried)


def check_exemplars(mixed: Sequence[StyleWord]) -> None:
    """A texture is made from pictures: filters and words that name no file are none.

    Raises:
        UsageError: one of these.
    """
    from impasto.fast import style as filters

    for word in mixed:
        if word.source != STDIN and filters.is_style(word.source):
            raise UsageError(f"there is no exemplar {word.source!r}: a texture is made from pictures, each by its file's name")


def names_of_maps(maps: Sequence[str], job: Job) -> dict[str, str]:
    """Where each map goes: out.png, pebbles.jpg and pebbles_normal.tif make out-normal.tif.

    Raises:
        UsageError: maps beside several exemplars, or beside a texture that goes to stdout; two of one name.
    """
    if maps and len(job.styles) > 1:
        raise UsageError("--with carries the maps of one exemplar along, and there are several")
    if maps and STDIN in (job.output, *maps):
        raise UsageError("--with needs files: maps are neither read from stdin nor written to stdout")
    batch.check_apart(maps, [job.output])
    found: dict[str, str] = {}
    for file in maps:
        target = str(Path(job.output).with_name(f"{Path(job.output).stem}-{short(file, job.content)}{Path(file).suffix}"))
        if target in found.values():
            raise UsageError(f"two maps would be written to {target}: give them different names")
        batch.check_apart([*maps, job.content], [target])
        found[file] = target
    return found


def short(file: str, exemplar: str) -> str:
    """What a map is called beside its exemplar: pebbles_normal.tif beside pebbles.jpg is "normal"."""
    stem = Path(file).stem
    return stem.removeprefix(Path(exemplar).stem).lstrip("-_. ") or stem


def _run(job: Job, settings: Settings, wishes: Wishes, tile: str, carried: Mapping[str, str]) -> int:
    """Make the texture and its maps; interrupted, what there is of it and the state.

    Raises:
        ImpastoError: whatever is wrong with exemplars, masks, maps, settings or the output.
        KeyboardInterrupt: it was interrupted.
    """
    from impasto.pixels import io

    begun, shelf, facts = time.monotonic(), Shelf(), {"exemplars": [word.source for word in job.styles]}
    if not batch.due(job, settings, wishes, facts, shelf):
        return report.DONE
    for target in carried.values():
        io.check_output(target, wishes.force or job.unfinished)
    maps = _read_maps(job, carried, shelf)
    work = prepare(job, settings, wishes, tile, shelf, carried)

    def beside(made: Stylized) -> dict[str, list[str]]:
        _save_maps(made, job, maps, carried, wishes.force or job.unfinished)
        return {"maps": list(carried.values())}

    batch.make(job, work, wishes, {**facts, "maps": []}, begun=begun, beside=beside)
    return report.DONE


def prepare(job: Job, settings: Settings, wishes: Wishes, tile: str, shelf: Shelf, maps: Collection[str] = ()) -> Texture:
    """The texture of a job, with all that its recipe says of it; `maps`: what is carried along, for which time is kept."""
    from impasto.paint import regions
    from impasto.paint.pictures import Style
    from impasto.paint.texture import Texture, shape_of

    opened = [(word, *shelf.open(word.source)) for word in job.styles]
    exemplars = [Style(picture, word.weight, names["source"], names["sha256"]) for word, picture, names in opened]
    shape = shape_of(settings.size, opened[0][1])
    names: dict[str, Any] = {} if wishes.bits is None else {"bits": wishes.bits}
    if maps:
        names["maps"] = [shelf.open(file)[1] for file in maps]
    found: Sequence[regions.Region] = ()
    if wishes.places.masks:
        masks = {name: shelf.mask(file) for name, file in wishes.places.masks.items()}
        found = regions.from_masks(shape, masks, [word.place or None for word in job.styles])
        names["masks"] = {name: shelf.open(file)[1] for name, file in wishes.places.masks.items()}
        names["places"] = [word.place for word in job.styles]
    tracing = TRACING * shape[0] * shape[1] if maps else 0.0
    deadline = batch.deadline(settings.time) - tracing
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
