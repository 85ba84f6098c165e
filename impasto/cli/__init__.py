"""The command: `impasto VERB ...`. Heavy libraries are imported by the verbs that need them, when they run."""

from __future__ import annotations

import sys
from typing import Annotated

import click
import typer

import impasto
from impasto.cli import env, image, inspect, report

app = typer.Typer(
    name="impasto",
    help="Neural style transfer: paint pictures like other pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("image")(image.image)
app.command("inspect")(inspect.inspect)
app.command("env")(env.env)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"impasto {impasto.__version__}")
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
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    report.listen()
    try:
        code = app(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return report.USAGE
    except (KeyboardInterrupt, click.Abort):
        report.say("impasto: interrupted")
        return report.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return report.FAILED
    except Exception as error:
        return report.failure(error, debug=debug)
    return code if isinstance(code, int) else report.DONE


def run() -> None:
    """The entry point of the `impasto` script."""
    sys.exit(main())
