"""`python -m impasto`: the command, where its script is not on the path."""

from __future__ import annotations

from impasto.cli import run

if __name__ == "__main__":
    run()
