"""`impasto image`: photographs painted like paintings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from impasto.cli import batch, jobs, options, places, presets, words
from impasto.cli.batch import Wishes

Contents = Annotated[
    list[str], typer.Argument(help="The photograph; several, or folders, for a batch; - is stdin.", metavar="CONTENT...")
]


@options.takes(options.SETTINGS)
def image(
    contents: Contents,
    *,
    chosen: dict[str, Any],
    style: options.Styles = [],  # noqa: B006  # Typer's way; nobody changes it
    each: options.Each = False,
    recipe: options.Recipe = "",
    sweep: options.Sweep = [],  # noqa: B006
    mask: options.Masks = [],  # noqa: B006
    content_map: options.ContentMap = "",
    style_map: options.StyleMaps = [],  # noqa: B006
    regions: options.Regions = "",
    show_regions: options.ShowRegions = "",
    output: options.Output,
    force: options.Force = False,
    resume: options.Resume = False,
    preview: options.Preview = "",
    bits: options.Bits = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = "",
) -> int:
    """Paint a photograph in the style of one or several pictures.

    impasto image photo.jpg --style painting.jpg -o painted.png
    """
    settings, recalled = presets.settings(recipe, chosen, [words.parse_sweep(text)[0] for text in sweep])
    mixed = [words.parse_style(text) for text in style] or recalled
    where = places.parse(mask, content_map, style_map, regions, show_regions)
    plan = jobs.plan(contents, mixed, output, each=each, sweeps=sweep)
    places.check(where, [job.styles for job in plan.jobs], each)
    return batch.run(plan, settings, Wishes(force, resume, preview, bits or None, as_json, quiet, where))
