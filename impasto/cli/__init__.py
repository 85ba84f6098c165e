"""The command: `impasto VERB ...`. Heavy libraries are imported by the verbs that need them, when they run."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import impasto
from impasto.cli import (
    doodle,
    env,
    export,
    image,
    inspect,
    learn,
    live,
    mesh,
    report,
    studio,
    styles,
    texture,
    train,
    train_encoder,
    verbs,
    video,
)

app = typer.Typer(
    name="impasto",
    cls=verbs.Verbs,
    help="Neural style transfer: paint pictures like other pictures.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("image")(image.image)
app.command("texture", cls=texture.Command)(texture.texture)
app.command("learn")(learn.learn)
app.command("train")(train.train)
app.command("train-encoder")(train_encoder.train_encoder)
app.command("doodle")(doodle.doodle)
app.command("video")(video.video)
app.command("live")(live.live)
app.command("mesh")(mesh.mesh)
app.command("export")(export.export)
app.command("studio")(studio.studio)
app.command("inspect")(inspect.inspect)
app.command("env")(env.env)
app.add_typer(styles.app, name="styles")

WrongLine: type[Exception] = typer.BadParameter.__mro__[2]
"""What all errors of a command line descend from: Click's own, or that of the copy of Click inside newer Typer."""


def _version(wanted: bool) -> None:
    if wanted:
        report.out(f"impasto {impasto.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # --debug counts wherever it stands: people add it at the end of a line that failed
    report.tracebacks = "--debug" in arguments
    report.warnings = True
    arguments = [argument for argument in arguments if argument != "--debug"] or ["--help"]
    report.listen()
    try:
        code = app(arguments, prog_name="impasto", standalone_mode=False)
    except WrongLine as error:
        return report.wrong_line(error)
    except (KeyboardInterrupt, typer.Abort):
        report.say("impasto: interrupted")
        return report.INTERRUPTED
    except BrokenPipeError:
        # who read the results has gone; nothing may be written at exit, where it would fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return report.FAILED
    except Exception as error:
        return report.failure(error)
    return code if isinstance(code, int) else report.DONE


def run() -> None:
    """The entry point of the `impasto` script."""
    sys.exit(main())
