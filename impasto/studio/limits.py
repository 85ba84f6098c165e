"""How large models and clips may be: looked up in their files before anything in them is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import MissingExtra, UnfitPicture, UnreadablePicture
from impasto.studio.sources import PIXELS

if TYPE_CHECKING:
    from impasto.mesh.gltf import Gltf

FACES = 1_000_000
"""Faces of the largest model that is opened."""
TEXTURES = 200_000_000
"""Pixels of all its texture maps together."""
MINUTES = 20
"""Duration of the longest clip."""
FRAMES = MINUTES * 60 * 60
"""Its frames, at 60 a second."""


def check_clip(path: str) -> None:
    """Look at the header and the packets of a clip, not at its frames.

    Raises:
        UnfitPicture: larger or longer than the studio takes.
        UnreadablePicture: not a clip.
        MissingExtra: PyAV is not installed.
    """
    from impasto.pixels import raster
    from impasto.video.ffmpeg import opened, picture_stream

    with opened(Path(path)) as container:
        stream = picture_stream(container, path)
        if stream.codec_context.height and stream.codec_context.width:
            raster.check_size(stream.codec_context.height, stream.codec_context.width, PIXELS, path)
        count, first, last = 0, None, 0
        for packet in container.demux(stream):
            when = packet.dts if packet.pts is None else packet.pts  # some tell only when it is decoded
            if packet.size and when is not None:
                first, last = (when, when) if first is None else (min(first, when), max(last, when))
            count += packet.size > 0
            if count > FRAMES:
                raise UnfitPicture(f"{path} has more than {FRAMES:,} frames, which are the limit: cut a part out of it first")
        rate = stream.average_rate or stream.guessed_rate or 25
        seconds = float(count / rate if first is None else (last - first) * stream.time_base)  # raw streams tell no times
    if seconds > 60 * MINUTES:
        raise UnfitPicture(f"{path} is too long: {seconds / 60:.0f} minutes, {MINUTES} are the limit: cut a part out of it first")


def check_model(path: str) -> None:
    """Look at what the file of a model says of its faces, and at the headers of its texture maps.

    Raises:
        UnfitPicture: more faces or pixels than the studio takes.
        UnreadablePicture: a damaged file.
    """
    from impasto.mesh import files

    count = COUNTED.get(Path(path).suffix.lower())
    with files.damaged(path):
        faces = count(Path(path)) if count else 0
    if faces > FACES:
        raise UnfitPicture(f"{path} has {faces:,} faces, {FACES:,} are the limit: make it simpler first")


def _gltf(path: Path) -> int:
    from impasto.mesh import gltf

    source = gltf.read(path)
    _check_maps(source)
    own: list[int] = [sum(_rows(source, each) for each in mesh.get("primitives") or ()) for mesh in source.all("meshes")]
    placed: list[int] = [own[int(node["mesh"])] for node in source.all("nodes") if "mesh" in node]
    return max(sum(own), sum(placed))


def _rows(source: Gltf, primitive: dict[str, Any]) -> int:
    """Faces of a primitive, none where the loader leaves it out: three corners each, unless it is a strip or a fan."""
    from impasto.mesh.read_gltf import FAN, STRIP, TRIANGLES

    mode = primitive.get("mode", TRIANGLES)
    if mode not in (TRIANGLES, STRIP, FAN) or "POSITION" not in primitive["attributes"]:
        return 0
    index = primitive["indices"] if "indices" in primitive else primitive["attributes"]["POSITION"]
    corners = int(source.all("accessors")[index]["count"])
    return max(0, corners // 3 if mode == TRIANGLES else corners - 2)


def _check_maps(source: Gltf) -> None:
    from impasto.pixels import raster

    total = 0
    for index in range(len(source.all("images"))):
        about = f"{source.name}, picture {index}"
        with suppress(UnreadablePicture, MissingExtra):  # of what cannot be read the plain color is taken
            height, width = _sides(source, index, about)
            raster.check_size(height, width, PIXELS, about)
            total += height * width
    if total > TEXTURES:
        limit = f"{TEXTURES / 1e6:g} megapixels are the limit"
        raise UnfitPicture(f"{source.name} has texture maps of {total / 1e6:.0f} megapixels together: {limit}")


def _sides(source: Gltf, index: int, about: str) -> tuple[int, int]:
    """Height and width of a picture, in or beside the file, of any format that the loader reads there."""
    from impasto.mesh import files, read_gltf
    from impasto.pixels import io, raster

    entry = source.all("images")[index]
    if "uri" in entry and (path := files.linked(entry["uri"], source.folder, source.name)):
        found = io.probe(path)
        return found["height"], found["width"]
    with raster.lenient():
        image = raster.identify(BytesIO(read_gltf.image_bytes(source, index)), about)
    return image.height, image.width


def _obj(path: Path) -> int:
    """Triangles of its polygons, on the lines that the loader sees: a backslash at the end joins two."""
    faces, held = 0, list[str]()
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in chain(file, [""]):
            if line.endswith(("\\\n", "\\\r\n")):
                held.append(line.rstrip("\r\n")[:-1] + " ")
                continue
            faces += sum(map(_polygon, "".join([*held, line]).splitlines()))
            held.clear()
    return faces


def _polygon(line: str) -> int:
    words = line.split("#", 1)[0].split()
    return max(0, len(words) - 3) if words[:1] == ["f"] else 0


def _ply(path: Path) -> int:
    """What its header says, which is read as trimesh does: after two lines, to its end, however long the comments are."""
    faces = 0
    with path.open("rb") as file:
        for line in islice(file, 2, None):
            words = line.decode().split()
            if "end_header" in words:
                return faces
            if "element" in words[0] and words[1] == "face":
                faces = int(words[2])
    raise UnreadablePicture(f"{path} is damaged or not PLY: its header has no end")


def _stl(path: Path) -> int:
    """Binary where the size is that of the faces it tells of, as trimesh decides; else text, of three vertices a face."""
    with path.open("rb") as file:
        head = file.read(84)
        told = struct.unpack_from("<I", head, 80)[0] if len(head) == 84 else -1
        if path.stat().st_size == 84 + 50 * told:
            return int(told)
        file.seek(0)
        return sum(len(line.lower().partition(b"vertex")[2].replace(b"vertex", b" ").split()) for line in file) // 9


COUNTED: dict[str, Callable[[Path], int]] = {".glb": _gltf, ".gltf": _gltf, ".obj": _obj, ".ply": _ply, ".stl": _stl}
"""How the faces of a model are counted, by its suffix."""
