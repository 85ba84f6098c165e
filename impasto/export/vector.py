"""A style as a small file for the any-style network: its code as float32, little-endian, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from impasto import still
from impasto.errors import OutputError, UsageError
from impasto.export import check
from impasto.fast.style import StyleLike

SUFFIX = ".f32"
PAINTING = 512
"""Long edge at which a painting is looked at, px."""


def write(source: StyleLike, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write what goes into the any-style network as `code` (1 x its length), atomically.

    Raises:
        UsageError: no such style, or a filter that changes more of the network than its code.
        OutputExists: there is such a file, and `force` is not given.
        OutputError: it cannot be written.
    """
    path = Path(path)
    style = still.learned(still.open_style(source), PAINTING)
    if any(change.any() for change in style.changes.values()):
        raise UsageError(f"{style.name} changes the network itself, not only its code: export it as a filter of its own")
    check.unused(path, force)
    made = path.with_name(f".{path.name}-{os.getpid()}.partial")
    try:
        made.write_bytes(style.code.numpy().astype("<f4").tobytes())
        os.replace(made, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        made.unlink(missing_ok=True)
    return path
