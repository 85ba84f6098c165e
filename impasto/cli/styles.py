"""`impasto styles`: the filters that are built in, and style files: what there is, where it comes from, how it looks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import options, report, sheet
from impasto.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image as PILImage

    from impasto.fast.style import Style
    from impasto.types import Image, Step

VERB = "styles"
app = typer.Typer(help="Filters: list them, show where one comes from, see them all on your photograph.", no_args_is_help=True)

Photo = Annotated[str, typer.Argument(help="The photograph; - is stdin.", metavar="PHOTO")]
Names = Annotated[list[str], typer.Argument(help="Names, or style files.", metavar="NAME...")]
Only = Annotated[
    list[str],
    options.option(
        "These filters only: a name or a style file; repeat for more.", "--style", "-s", metavar="NAME", default=False
    ),
]
Size = Annotated[str, options.option("Long edge of each picture in px.", "--size", metavar="N")]
Strength = Annotated[float, options.option("How much style: 0 leaves the photograph, 1 is all of it.", "--strength")]


@app.command("list")
def listed(as_json: options.JsonReport = False) -> int:
    """List the filters that are built in."""
    from impasto.fast import style

    for name in style.names():
        found = style.named(name)
        origin = ", ".join(str(found.passport[key]) for key in ("title", "artist", "year") if found.passport.get(key))
        report.out(json.dumps(facts(found, name)) if as_json else f"{name:24} {origin}")
    return report.DONE


@app.command("show")
def show(names: Names, as_json: options.JsonReport = False) -> int:
    """Show the passports of filters: title, artist, year, rights, what they were trained on."""
    from impasto.fast import style

    for name in names:
        found = facts(style.load(name), name)
        report.out(json.dumps(found) if as_json else "\n".join(f"{key:12} {value}" for key, value in found.items()))
    return report.DONE


def facts(found: Style, source: str) -> dict[str, Any]:
    """What there is to say of a style."""
    return {"name": found.name, "source": source, **found.passport, "network": found.net, "sha256": found.sha256}


@app.command("sheet")
def sheets(
    photo: Photo,
    output: options.OneOutput,
    style: Only = [],  # noqa: B006  # Typer's way; nobody changes it
    size: Size = "320",
    strength: Strength = 1.0,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Paint a photograph with every filter, on one sheet.

    impasto styles sheet photo.jpg -o sheet.jpg
    """
    import impasto
    from impasto.fast import style as filters
    from impasto.pixels import geometry, io

    chosen = list(style) or filters.names()
    if not chosen:
        raise UsageError("there are no filters to show")
    io.check_output(output, force)
    for read in (photo, *chosen):
        if os.path.realpath(read) == os.path.realpath(output):
            raise UsageError(f"{output} is both read and written: give the result another name")
    picture = io.load(photo)
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    content = geometry.fit(image, geometry.parse_size(size))
    with report.deferred("" if quiet else "stopping") as stop:
        shown = [(_pil(content), "the photograph")]
        for step in report.progress(painted(content, chosen, strength), quiet=quiet):
            if stop.wanted:
                raise KeyboardInterrupt
            if step.preview is not None:
                shown.append((_pil(step.preview), chosen[step.index - 1]))
        whole = sheet.sheet(shown)
        recipe = {"version": impasto.__version__, "verb": VERB, "styles": chosen, "strength": strength, "content": photo}
        path = io.save(io.load(whole), output, recipe=recipe, force=force)
        report.result(path, {"content": photo, "styles": chosen}, as_json=as_json)
    return report.DONE


def painted(content: Image, names: Sequence[str], strength: float) -> Iterator[Step]:
    """The photograph in each style, as previews.

    Raises:
        ImpastoError: an unknown name, a file that cannot be read, a strength outside 0 ... 1.
    """
    from impasto import still
    from impasto.types import Step

    stylizers = [still.bind([still.open_style(name)], max(content.shape[-2:])) for name in names]
    for index, stylizer in enumerate(stylizers, 1):
        yield Step(index, len(names), preview=stylizer(content, strength=strength))


def _pil(image: Image) -> PILImage.Image:
    from impasto.pixels import io

    return io.load(image.clamp(0, 1)[0].cpu()).pil()
