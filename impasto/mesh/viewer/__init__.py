"""A painted model as one page that opens offline: the model, and Google's <model-viewer> that shows it, within it.

`model-viewer.js` is @google/model-viewer 4.4.0 of npm as it is (`dist/model-viewer-umd.min.js`), under the Apache License 2.0
(`LICENSE`; what it is made of is in `NOTICE`). The page forbids every request by its Content-Security-Policy: decoders for
compressed models, which the library would fetch, are never needed, for our models are not compressed.
"""

from __future__ import annotations

import base64
import html
import os
import string
from importlib import resources
from pathlib import Path

from impasto.errors import UsageError
from impasto.mesh import export
from impasto.mesh.gltf import Gltf
from impasto.mesh.paint import Painted

SUFFIXES = (".html", ".htm")
MARK = b'<meta name="generator" content="impasto">'
"""In the head of each page."""


def check(path: str | os.PathLike[str], force: bool = False) -> None:
    """Check that a page can be written: to be called before long work.

    Raises:
        UsageError: another suffix.
        OutputExists: it is there, and `force` is not set.
        OutputError: no such folder, a folder in its place, or no permission.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{os.fspath(path)}: the viewer is a page, name it like viewer.html")
    export.check_place([Path(path)], force)


def ours(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a page of ours, or there is none."""
    try:
        with open(path, "rb") as file:
            return MARK in file.read(2000)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def page(painted: Painted, before: Painted | None = None, *, unlit: bool = False) -> str:
    """The page. With the model as it was, `before`, a button shows that; double-clicks tell the model's coordinates."""
    files = resources.files(__name__)
    models = [base64.b64encode(export.gltf(each, unlit=unlit).binary()).decode() if each else "" for each in (painted, before)]
    # what is rebuilt was turned upright; a glTF stays as it is
    turned = painted.model.up == "z" and not isinstance(painted.model.source, Gltf)
    return string.Template(files.joinpath("page.html").read_text("utf-8")).substitute(
        title=html.escape(painted.model.name),
        library=files.joinpath("model-viewer.js").read_text("utf-8").rpartition("\n//# sourceMappingURL")[0],
        painted=models[0],
        before=models[1],
        axes="[x, -z, y]" if turned else "[x, y, z]",
    )


def save(
    painted: Painted, path: str | os.PathLike[str], before: Painted | None = None, *, unlit: bool = False, force: bool = False
) -> Path:
    """Write the page; see `page`.

    Raises:
        UsageError: another suffix.
        OutputExists: it is there, and `force` is not set.
        OutputError: it cannot be written.
    """
    path = Path(path)
    check(path, force)
    export.write(path, {path.name: page(painted, before, unlit=unlit).encode()}, force)
    return path
