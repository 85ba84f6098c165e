"""The browser app: a folder of static files that paints a camera and pictures in chosen filters, offline; and a server for it."""

from __future__ import annotations

import html
import io
import json
import lzma
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from impasto import __version__, still
from impasto.errors import OutputError, OutputExists, PaintingError, UsageError
from impasto.export import onnx, photos
from impasto.export.check import FP16, INT8
from impasto.fast import style as filters
from impasto.fast.style import StyleLike
from impasto.pixels import io as pictures
from impasto.types import Step

if TYPE_CHECKING:
    from impasto.fast.nets import Bound

SOURCES = Path(__file__).parent / "web"
SAMPLE = photos.EMBEDDED / "astronaut-1.jpg"
"""What the thumbnails show, painted: a face, cloth and a flag."""
THUMBNAIL = 216
"""Side of a thumbnail, px: three pixels of a good screen for each of its 72."""
RUNTIMES = {
    "wasm": ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": ("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"),
}
"""Files of ONNX Runtime Web that a way of painting needs."""
SEEN = 512
"""Size at which a painting that is handed in as a picture is looked at, px."""
COLORS = {"background_color": "#f4f0e8", "theme_color": "#f4f0e8"}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""The first two let a page share memory between threads; without them painting has one thread."""


@dataclass(frozen=True)
class Filter:
    """A filter of the app, as people are told of it."""

    name: str
    title: str
    by: str
    rights: str


def write(folder: str | os.PathLike[str], styles: Sequence[StyleLike], *, force: bool = False) -> Path:
    """Write the app with these filters to a folder that any web server can hand out as it is. Returns the folder.

    An app that is there already is replaced with `force`; a folder of anything else never is.

    Raises:
        UsageError: no styles, or two of one name; the folder is the one that we are in.
        MissingExtra: `onnx`, `onnxscript` or `onnxruntime` is not installed.
        OutputExists: the folder is there, and is no app or not to be replaced.
        OutputError: it cannot be written.
        ImpastoError: a style that cannot be read, or whose network cannot be exported.
    """
    for _ in steps(folder, styles, force=force):
        pass
    return Path(folder)


def steps(folder: str | os.PathLike[str], styles: Sequence[StyleLike], *, force: bool = False) -> Iterator[Step]:
    """What `write` does, with a step for each filter. The folder is there when all is done, and not before."""
    folder = Path(folder)
    if not styles:
        raise UsageError("an app without filters paints nothing: name one at least (impasto styles list)")
    _check_folder(folder, force)
    made = folder.with_name(f".{folder.name}-{os.getpid()}.partial")
    try:
        (made / "filters" / "live").mkdir(parents=True)
        yield from _fill(made, styles)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write the app to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check_folder(folder: Path, force: bool) -> None:
    if folder.resolve() == Path.cwd():
        raise UsageError(f"{folder} is where this command runs, and an app's folder is put there whole: give another folder")
    if not folder.parent.is_dir():
        raise OutputError(f"there is no folder {folder.parent} to write {folder.name} into: make it first")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "app.json").is_file():
        raise OutputExists(f"{folder} exists and is not an app of ours: give another folder")
    if not force:
        raise OutputExists(f"{folder} exists already: --force (force=True) replaces it")


def _fill(folder: Path, styles: Sequence[StyleLike]) -> Iterator[Step]:
    chosen: list[Filter] = []
    entries: list[dict[str, str]] = []
    begun = time.monotonic()
    for index, source in enumerate(styles, 1):
        known = still.learned(still.open_style(source), SEEN)
        found = _described(known)
        if found.name in {each.name for each in chosen}:
            raise UsageError(f"two filters are named {found.name!r}: give each once, or its file another name")
        bound = filters.bind(filters.network(), [(1.0, known)])
        entries.append({"name": found.name, "title": found.title, "by": found.by, **_files(bound, folder, found.name)})
        chosen.append(found)
        yield Step(index, len(styles), eta=(time.monotonic() - begun) / index * (len(styles) - index))
    _copy_sources(folder)
    _write_text(folder / "licences.html", _licences(chosen))
    _write_text(folder / "manifest.webmanifest", json.dumps(_manifest(), indent=1))
    runtime = {way: [f"runtime/{name}" for name in names] for way, names in RUNTIMES.items()}
    _write_text(folder / "app.json", json.dumps({"impasto": __version__, "filters": entries, "runtime": runtime}, indent=1))
    _stamp(folder)


def _files(bound: Bound, folder: Path, name: str) -> dict[str, str]:
    """Write a filter's network and thumbnail, and say where.

    WebAssembly paints the camera in 8 bits, faster the fewer threads there are; still pictures, and everything on a graphics
    processor, are painted in float. A filter that loses too much in 8 bits is painted in float everywhere.
    """
    files = {"file": f"filters/{name}.onnx", "live": f"filters/live/{name}.onnx", "thumb": f"filters/{name}.jpg"}
    onnx.write(bound, folder / files["file"], FP16)
    try:
        onnx.write(bound, folder / files["live"], INT8)
    except PaintingError:
        files["live"] = files["file"]
    (folder / files["thumb"]).write_bytes(thumbnail(bound))
    return files


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


@torch.no_grad()
def thumbnail(bound: Bound) -> bytes:
    """The sample photograph in a filter, as JPEG."""
    painted = bound(pictures.load(SAMPLE).image)
    small = pictures.load(painted.clamp(0, 1)).pil().resize((THUMBNAIL, THUMBNAIL))
    small.save(file := io.BytesIO(), "JPEG", quality=85)
    return file.getvalue()


def _described(style: filters.Style) -> Filter:
    """What a style's passport tells people; a painting that was handed in as a picture has its name only."""
    facts = style.passport
    name = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in Path(style.name).stem.lower()).split()) or "filter"
    by = ", ".join(str(facts[key]) for key in ("artist", "year") if facts.get(key))
    title = str(facts.get("title") or name.replace("-", " "))
    return Filter(name, title[:1].upper() + title[1:], by, str(facts.get("rights", "")))


def _copy_sources(folder: Path) -> None:
    """Our pages and the runtime, which the package holds compressed."""
    for source in sorted(SOURCES.rglob("*")):
        target = folder / source.relative_to(SOURCES)
        if source.is_dir():
            target.mkdir(exist_ok=True)
        elif source.suffix == ".md":
            continue  # for those who read the package
        elif source.suffix == ".xz":
            target.with_suffix("").write_bytes(lzma.decompress(source.read_bytes()))
        else:
            target.write_bytes(source.read_bytes())


def _manifest() -> dict[str, Any]:
    """What makes the app installable: W3C Web Application Manifest."""
    icons = [("icons/icon-192.png", "192x192", "any"), ("icons/icon-512.png", "512x512", "any")]
    icons += [("icons/icon-maskable-512.png", "512x512", "maskable")]
    return {
        "id": "./",
        "name": "impasto",
        "short_name": "impasto",
        "description": "Your camera and your pictures, painted, on this device.",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "orientation": "any",
        "categories": ["photo", "entertainment"],
        **COLORS,
        "icons": [{"src": file, "sizes": sizes, "type": "image/png", "purpose": purpose} for file, sizes, purpose in icons],
    }


def _licences(chosen: Sequence[Filter]) -> str:
    """The page of licences, with the paintings that the filters were learned from."""
    paintings = "".join(
        f"<li>{html.escape(', '.join(part for part in (each.title, each.by, each.rights) if part))}</li>" for each in chosen
    )
    return (SOURCES / "licences.html").read_text("utf-8").replace("@PAINTINGS@", paintings)


def _stamp(folder: Path) -> None:
    """Tell the service worker what belongs to the app, and its version, which changes with any byte of it.

    Runtime and networks are in a list of their own: the page keeps those it needs, when it needs them, and the others after;
    a new version takes over those that the one before it had.
    """
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    version = sha256(b"".join(name.encode() + sha256((folder / name).read_bytes()).digest() for name in files)).hexdigest()[:12]
    later = [name for name in files if name.startswith("runtime/") or name.endswith(".onnx")]
    shell = ["./", *(name for name in files if name not in {*later, "sw.js"})]
    lists = {'["@SHELL@"]': json.dumps(shell), '["@LATER@"]': json.dumps(later), "@VERSION@": version}
    for name in ("sw.js", "keep.js"):
        text = (folder / name).read_text("utf-8")
        for place, value in lists.items():
            text = text.replace(place, value)
        _write_text(folder / name, text)


class Handler(SimpleHTTPRequestHandler):
    """Hands out the files of one folder, with the headers that threads in a page need; nothing outside it, and no listings."""

    extensions_map = {  # noqa: RUF012  # the library's own way
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def translate_path(self, path: str) -> str:
        """The file that a path means; links that lead out of the folder mean nothing."""
        found = super().translate_path(path)
        named = found + "index.html" if found.endswith(os.sep) else found
        if "\0" in found or not Path(named).resolve().is_relative_to(Path(self.directory).resolve()):
            return os.path.join(self.directory, "outside of the app")
        return found

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """No listings."""
        self.send_error(404)

    def end_headers(self) -> None:
        """Add the headers of every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


def server(folder: str | os.PathLike[str], port: int = 0) -> ThreadingHTTPServer:
    """A server of an app's folder on 127.0.0.1, which `serve_forever` starts; port 0 takes a free one (`server_port`).

    Raises:
        UsageError: the port is taken, or not one.
    """
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=os.fspath(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"port {port} of 127.0.0.1 cannot be listened on ({reason}): give another") from error
