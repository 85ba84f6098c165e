"""How large models and clips may be: looked up in their files before anything in them is decoded."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import UnfitPicture, UnreadablePicture
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
HEAD = 1 << 16
"""Bytes in which the header of a PLY file ends."""


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
            if packet.size and packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = max(last, packet.pts)
            count += packet.size > 0
            if count > FRAMES:
                raise UnfitPicture(f"{path} has more than {FRAMES:,} frames, which are the limit: cut a part out of it first")
        seconds = float((last - (first or 0)) * stream.time_base)
    if seconds > 60 * MINUTES:
        raise UnfitPicture(f"{path} is too long: {seconds / 60:.0f} minutes, {MINUTES} are the limit: cut a part out of it first")


def check_model(path: str) -> None:
    """Look at what the file of a model says of its faces, and at the headers of its texture maps.

    Raises:
        UnfitPicture: more faces or pixels than the studio takes.
        UnreadablePicture: a damaged file.
    """
    count = COUNTED.get(Path(path).suffix.lower())
    faces = count(Path(path)) if count else 0
    if faces > FACES:
        raise UnfitPicture(f"{path} has {faces:,} faces, {FACES:,} are the limit: make it simpler first")


def _gltf(path: Path) -> int:
    from impasto.mesh import files, gltf

    source = gltf.read(path)
    with files.damaged(source.name):
        _check_maps(source)
        own: list[int] = [sum(_rows(source, each) for each in mesh.get("primitives") or ()) for mesh in source.all("meshes")]
        placed: list[int] = [own[int(node["mesh"])] for node in source.all("nodes") if "mesh" in node]
    return max(sum(own), sum(placed))


def _rows(source: Gltf, primitive: dict[str, Any]) -> int:
    """Faces of a primitive: three corners each, unless it is a strip or a fan."""
    index = primitive.get("indices", primitive["attributes"]["POSITION"])
    corners = int(source.all("accessors")[index]["count"])
    return corners // 3 if primitive.get("mode", 4) == 4 else corners


def _check_maps(source: Gltf) -> None:
    from impasto.mesh import read_gltf
    from impasto.pixels import raster

    total = 0
    for index in range(len(source.all("images"))):
        about = f"{source.name}, picture {index}"
        with suppress(UnreadablePicture), raster.lenient():  # of what cannot be read the plain color is taken
            width, height = raster.identify(BytesIO(read_gltf.image_bytes(source, index)), about).size
            raster.check_size(height, width, PIXELS, about)
            total += height * width
    if total > TEXTURES:
        limit = f"{TEXTURES / 1e6:g} megapixels are the limit"
        raise UnfitPicture(f"{source.name} has texture maps of {total / 1e6:.0f} megapixels together: {limit}")


def _obj(path: Path) -> int:
    with path.open("rb") as file:
        return sum(max(1, len(line.split()) - 3) for line in file if line.startswith((b"f ", b"f\t")))


def _ply(path: Path) -> int:
    with path.open("rb") as file:
        found = re.search(rb"element\s+face\s+(\d{1,18})\s", file.read(HEAD))
    return int(found[1]) if found else 0


def _stl(path: Path) -> int:
    """Faces of 50 bytes each, or in words."""
    with path.open("rb") as file:
        head = file.read(512)
        if not (head.startswith(b"solid") and b"facet" in head):
            return path.stat().st_size // 50
        file.seek(0)
        return sum(line.lstrip().startswith(b"facet") for line in file)


COUNTED: dict[str, Callable[[Path], int]] = {".glb": _gltf, ".gltf": _gltf, ".obj": _obj, ".ply": _ply, ".stl": _stl}
"""How the faces of a model are counted, by its suffix."""
