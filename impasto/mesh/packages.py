"""The packages of the extra `mesh`, loaded when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any

from impasto.errors import MissingExtra


def package(name: str, what: str = "painting models") -> Any:
    """The module of that name.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(what, "mesh") from error


def compiled(function: Any) -> Any:
    """The function as machine code, made at its first call and kept for the next process."""
    return package("numba").njit(cache=True, nogil=True)(function)
