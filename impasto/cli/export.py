"""`impasto export`: filters for phones, browsers and servers, each checked beside the original before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import jobs, options, report, web
from impasto.errors import UsageError

Names = Annotated[
    list[str],
    typer.Argument(
        help="A filter's name or file, a painting, or any: the any-style network.", metavar="NAME...", show_default=False
    ),
]
Output = Annotated[
    str,
    options.option(
        "Where to: net.onnx, .pte, .tflite, .mlpackage; .f32: a style for the any-style network. In a name {style} stands for "
        "the filter's.",
        "--output",
        "-o",
        panel=options.OUTPUT,
        metavar="FILE",
    ),
]
Precision = Annotated[str, options.option("Numbers in the file.", "--precision", panel=options.OUTPUT, metavar="fp32|fp16|int8")]
Size = Annotated[
    int,
    options.option(
        "Side of the pictures, px, a multiple of 8; ONNX takes any, and is checked at this.",
        "--size",
        panel=options.OUTPUT,
        metavar="N",
    ),
]
Photos = Annotated[
    str,
    options.option(
        "Photographs to calibrate and to check on, instead of the embedded ones.",
        "--photos",
        panel=options.OUTPUT,
        metavar="DIR",
        default=False,
    ),
]
Verify = Annotated[bool, options.option("Print how the file does beside the original.", "--verify", panel=options.OUTPUT)]


def export(
    context: typer.Context,
    names: Names,
    output: Output,
    precision: Precision = "fp32",
    size: Size = 512,
    photos: Photos = "",
    verify: Verify = False,
    as_web: web.Web = False,
    serve: web.Serve = False,
    port: web.Port = web.PORT,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Export filters for phones, browsers and servers.

    impasto export starry-night -o net.onnx --precision int8 --verify
    """
    web.check(context, output, web=as_web, serve=serve)
    if as_web:
        return web.write(names, output, port=port if serve else None, force=force, as_json=as_json, quiet=quiet)
    targets = named(names, output)
    from impasto import export as exports
    from impasto.export import vector

    for name, target in targets.items():
        if Path(target).suffix == vector.SUFFIX:
            report.result(vector.write(name, target, force=force), {"style": name}, as_json=as_json)
            continue
        for found in exports.write(name, target, precision, size=size, photos=photos or None, force=force):
            report.result(found.output, {"style": name, **found.facts()} if verify else {"style": name}, as_json=as_json)
            if verify and not as_json:
                report.out("\n".join(f"  {line}" for line in found.described()))
    return report.DONE


def named(names: Sequence[str], output: str) -> Mapping[str, str]:
    """Where each filter goes: {style} in the output is its name.

    Raises:
        UsageError: several filters, and one file.
    """
    found = {name: output.replace("{style}", jobs.stem(name)) for name in names}
    if len(set(found.values())) < len(names):
        raise UsageError(f"{len(names)} filters cannot go to one file {output}: put {{style}} into its name")
    return found
