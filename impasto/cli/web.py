"""`impasto export --web`: the browser app, and looking at it on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import report
from impasto.cli.options import OUTPUT, option, said
from impasto.errors import UsageError

PORT = 8000
OTHERS = ("precision", "size", "photos", "verify")
"""Options of the verb that the app decides for itself: it holds each filter as its pages need it."""

Web = Annotated[bool, option("Write a browser app that paints in these filters to the folder of -o.", "--web", panel=OUTPUT)]
Serve = Annotated[bool, option("With --web: hand the app out on 127.0.0.1, until Ctrl-C.", "--serve", panel=OUTPUT)]
Port = Annotated[int, option("Where --serve is: http://127.0.0.1:PORT.", "--port", panel=OUTPUT, metavar="N")]


def check(context: typer.Context, output: str, *, web: bool, serve: bool) -> None:
    """Raise UsageError for options that do not go together."""
    if serve and not web:
        raise UsageError("--serve hands out a browser app: give --web too")
    if said(context, "port") and not serve:
        raise UsageError("--port is where --serve listens: give --serve too")
    if web and Path(output).suffix in exported():
        raise UsageError(f"{output} is a file's name, and --web writes a folder: give -o app/, or leave --web out")
    for name in OTHERS:
        if web and said(context, name):
            raise UsageError(f"--{name} is not for --web, which writes each filter as its pages need it: leave it out")


def exported() -> set[str]:
    """Suffixes of the files that `impasto export` writes."""
    from impasto.export import EXPORTERS, vector

    return {*EXPORTERS, vector.SUFFIX}


def write(styles: Sequence[str], output: str, *, port: int | None, force: bool, as_json: bool, quiet: bool) -> int:
    """Write the app, and hand it out at `port` (None: not)."""
    from impasto.export import web

    with ExitStack() as stack:
        # before minutes of work: the port may be taken
        server = None if port is None else stack.enter_context(web.server(output, port))
        for step in web.steps(output, styles, force=force):
            report.say(f"filter {step.index} of {step.total}, {report.clock(step.eta)} left", quiet=quiet)
        size = sum(path.stat().st_size for path in Path(output).rglob("*") if path.is_file())
        names = [each["name"] for each in json.loads((Path(output) / "app.json").read_text("utf-8"))["filters"]]
        report.result(output, {"filters": names, "bytes": size}, as_json=as_json)
        if server is not None:
            report.say(f"open http://127.0.0.1:{server.server_port} in a browser; Ctrl-C ends it", quiet=quiet)
            server.serve_forever()
    return report.DONE
