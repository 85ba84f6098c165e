"""`impasto studio`: the page where people paint."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Annotated

from impasto.cli import options, report
from impasto.errors import MissingExtra, UsageError

PORT, ADDRESS = 7860, "127.0.0.1"

Port = Annotated[int, options.option("Where the page is: http://127.0.0.1:PORT.", "--port", panel=options.MACHINE, metavar="N")]


def studio(port: Port = PORT, quiet: options.Quiet = False) -> None:
    """Serve a page for the browser that does what the command does. Ctrl-C closes it.

    impasto studio
    """
    report.warnings = not quiet
    check_port(port)
    with tempfile.TemporaryDirectory(prefix="impasto-studio-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        environment(root)
        try:
            from impasto.studio import app
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("impasto"):
                raise
            raise MissingExtra("the studio", "studio") from error
        server = app.Server(port, root)
        try:
            report.out(server.url)
            report.say("open this address in a browser; Ctrl-C closes the studio", quiet=quiet)
            while True:
                time.sleep(3600)
        finally:
            server.close()


def environment(root: Path) -> None:
    """What Gradio reads when it is loaded and started: its folder, and that it is to ask nobody."""
    os.environ["GRADIO_TEMP_DIR"] = str(root)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    there = [name for name in os.environ.get("NO_PROXY", "").split(",") if name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join([*there, ADDRESS])


def check_port(port: int) -> None:
    """Find out before anything is loaded whether the page can be there.

    Raises:
        UsageError: a port that is none, or that another program has.
    """
    if not 1 <= port <= 65535:
        raise UsageError(f"--port {port}: between 1 and 65535 are possible")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((ADDRESS, port))
        except OSError as error:
            raise UsageError(f"--port {port} cannot be used ({error.strerror}): give another") from error
