"""Painted models into files: GLB, glTF with its files beside it, OBJ with MTL and PNG.

Where a model's own layout was kept, a glTF is edited in place: nothing but the painted pictures changes. Where a surface was
laid out anew its vertices are split along the new seams, every attribute going along, and the new coordinates are added.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import impasto
from impasto.errors import ImpastoError, OutputError, OutputExists, UsageError
from impasto.mesh import files, prune, rebuild
from impasto.mesh.atlas import Atlas, Page
from impasto.mesh.gltf import Gltf, Writer
from impasto.mesh.model import Model
from impasto.mesh.obj import names_of, write_obj
from impasto.mesh.paint import Painted
from impasto.mesh.read_gltf import image_of
from impasto.pixels import io, recipe
from impasto.pixels.picture import Picture
from impasto.types import Image

log = logging.getLogger(__name__)
FORMATS = (".glb", ".gltf", ".obj")
SIGNATURE = b"\x89PNG"
UNLIT = "KHR_materials_unlit"


def check(path: str | os.PathLike[str], force: bool = False) -> None:
    """Check that a model can be written: to be called before long work.

    Raises:
        UsageError: an unknown format, or "-".
        OutputExists: it, or a file that goes with it, is there, and `force` is not set; see `names`.
        OutputError: no such folder, a folder in the file's place, or no permission.
    """
    if os.fspath(path) == "-":
        raise UsageError("a model cannot go to stdout: give a file name, like painted.glb")
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"models cannot be written as {path.suffix or 'a file without a suffix'}: use {', '.join(FORMATS)}")
    check_place([path, *_companions(path)], force)


def check_place(paths: Sequence[Path], force: bool = False) -> None:
    """Check that files can be written into a folder, that of the first.

    Raises:
        OutputExists: one is there, and `force` is not set.
        OutputError: no such folder, a folder in a file's place, or no permission.
    """
    folder = paths[0].parent
    if not folder.is_dir():
        raise OutputError(f"there is no folder {folder} to write {paths[0].name} into: make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into {folder}")
    check_free(paths, force)


def check_free(paths: Iterable[Path], force: bool = False) -> None:
    """Check that files are not there yet, or may be replaced.

    Raises:
        OutputExists: one is there, and `force` is not set.
        OutputError: a folder is in one's place.
    """
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path} is a folder: give a file name")
        if path.exists() and not force:
            raise OutputExists(f"{path} exists already: --force (force=True) replaces it")


def names(model: Model, atlas: Atlas, path: str | os.PathLike[str]) -> list[Path]:
    """All files that `save` will write, the model first: to be checked before long work.

    A glTF is put together for it once, without its paint: what cannot be kept of a model shows here too.

    Raises:
        UnreadablePicture: something in the model is damaged that need not be read for painting it.
        OutputError: a picture in it cannot be kept.
    """
    path = Path(path)
    if path.suffix.lower() == ".obj":
        found = names_of(path.stem, len(atlas.pages))
    else:
        bare = Painted(model, atlas, [page.image for page in atlas.pages], {})
        with files.damaged(model.name):
            writer = _painted_gltf(bare, [SIGNATURE] * len(atlas.pages), logging.DEBUG)
            found = list(_parted(writer, path.stem))
    return [path, *map(path.with_name, found[1:] if path.suffix.lower() != ".glb" else [])]


def _companions(path: Path) -> list[Path]:
    """Files beside a model, as far as their names are known beforehand."""
    suffix = {".gltf": [".bin"], ".obj": [".mtl"]}.get(path.suffix.lower(), [])
    return [path.with_suffix(each) for each in suffix]


def save(painted: Painted, path: str | os.PathLike[str], *, unlit: bool = False, force: bool = False) -> list[Path]:
    """Write a painted model in the format of the path's suffix; returns all files written, the model first.

    `unlit`: viewers show the paint exactly as made, without lighting it (KHR_materials_unlit).

    Raises:
        UsageError: an unknown format.
        OutputExists: a file is there, and `force` is not set.
        OutputError: it cannot be written.
    """
    path = Path(path)
    check(path, force)
    if path.suffix.lower() == ".obj":
        contents = write_obj(painted, path.stem, [png(painted, number) for number in range(len(painted.maps))])
    else:
        writer = gltf(painted, unlit=unlit)
        contents = {path.name: writer.binary()} if path.suffix.lower() == ".glb" else _parted(writer, path.stem)
    _, *others = contents
    contents = {path.name: next(iter(contents.values())), **{name: contents[name] for name in others}}  # also out.OBJ
    write(path, contents, force)
    return [path.with_name(name) for name in contents]


def png(painted: Painted, number: int) -> bytes:
    """A painted map as a PNG file, with its recipe."""
    page = painted.atlas.pages[number]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "map.png")
        io.save(Picture(_quantized(painted.maps[number]), page.alpha), file, recipe=painted.recipe, bits=8)
        return _unprofiled(file.read_bytes())


def _unprofiled(data: bytes) -> bytes:
    """A PNG file without its color profile: glTF's pictures are sRGB by definition and may carry none."""
    parts, start = [data[:8]], 8
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] != b"iCCP":
            parts.append(data[start:end])
        start = end
    return b"".join(parts)


def _quantized(image: Image) -> Image:
    return image.clamp(0, 1).detach().cpu().to(torch.float32)


def gltf(painted: Painted, *, unlit: bool = False) -> Writer:
    """The painted model as glTF."""
    writer = _painted_gltf(painted, [png(painted, number) for number in range(len(painted.maps))], logging.WARNING)
    if unlit:
        _unlight(writer, painted)
    # texts alone: what programs show of `extras` is for people
    extras = writer.json["asset"].setdefault("extras", {})
    if isinstance(extras, dict):
        extras[recipe.KEY] = json.loads(recipe.to_json(painted.recipe))
    writer.json["asset"].setdefault("generator", f"impasto {impasto.__version__}")
    return writer


def _painted_gltf(painted: Painted, pictures: Sequence[bytes], level: int) -> Writer:
    """The model with a picture's file for each page; `level`: how loudly it is told of pictures that are missing."""
    source = painted.model.source
    if not isinstance(source, Gltf):
        writer = rebuild.from_scratch(painted, list(pictures))
    else:
        writer = Writer(source)
        _embed(writer, source, level)
        for number, page in enumerate(painted.atlas.pages):
            if page.picture >= 0:
                _replace(writer, page, pictures[number])
            else:
                rebuild.split(writer, source, painted, pictures[number])
        if painted.atlas.packed:
            prune.prune(writer)
    return writer


def _embed(writer: Writer, source: Gltf, level: int) -> None:
    """Bring pictures that lie in files of their own into the file."""
    from impasto.mesh.read_gltf import image_bytes

    for index, image in enumerate(writer.json.get("images", [])):
        if "uri" in image:
            try:
                data = image_bytes(source, index)
            except (ImpastoError, OSError) as error:
                if str(image["uri"]).startswith("data:"):
                    raise OutputError(f"picture {index} of {source.name} cannot be kept: {error}") from error
                log.log(level, "picture %d (%s) of %s stays missing: %s", index, image["uri"], source.name, error)
                continue
            del image["uri"]
            image["mimeType"] = (
                "image/png" if data[:4] == SIGNATURE else "image/jpeg" if data[:2] == b"\xff\xd8" else "image/webp"
            )
            image["bufferView"] = writer.add_view(data)


def _replace(writer: Writer, page: Page, data: bytes) -> None:
    """A painted picture in the place of its source; beside it where another map uses the source as well."""
    textures = [index for index, each in enumerate(writer.of("textures")) if image_of(each) == page.picture]
    colors = {index for index in textures if _is_color(writer.json, index)}
    if set(textures) == colors and "bufferView" in writer.of("images")[page.picture] and _alone(writer.json, page.picture):
        image = writer.json["images"][page.picture]
        image["mimeType"] = "image/png"
        view = image["bufferView"]
        writer.data[view] = data
        for texture in textures:
            _plain(writer.json["textures"][texture], page.picture)
        return
    added = writer.add("images", {"mimeType": "image/png", "bufferView": writer.add_view(data), "name": "painted"})
    for texture in textures:
        entry = {key: value for key, value in writer.json["textures"][texture].items() if key == "sampler"}
        number = writer.add("textures", {**entry, "source": added})
        for material in writer.of("materials"):
            for reference in _color_references(material):
                if reference["index"] == texture:
                    reference["index"] = number


def _plain(texture: dict[str, Any], picture: int) -> None:
    """A texture that is a PNG now, whatever it was."""
    texture["source"] = picture
    if (texture.get("extensions") or {}).pop("EXT_texture_webp", None) is not None and not texture["extensions"]:
        del texture["extensions"]


def _alone(found: Mapping[str, Any], picture: int) -> bool:
    """Whether a picture's bytes serve nothing else."""
    view = found["images"][picture].get("bufferView")
    return [image.get("bufferView") for image in found["images"]].count(view) == 1


def _color_references(material: dict[str, Any]) -> list[dict[str, Any]]:
    glossy = (material.get("extensions") or {}).get("KHR_materials_pbrSpecularGlossiness") or {}
    plain = (material.get("pbrMetallicRoughness") or {}).get("baseColorTexture")
    return [each for each in (plain, glossy.get("diffuseTexture")) if each]


def _is_color(found: Mapping[str, Any], texture: int) -> bool:
    """Whether a texture is used as nothing but the color of surfaces."""

    def uses(value: Any) -> int:
        if isinstance(value, list):
            return sum(map(uses, value))
        if isinstance(value, dict):
            here = sum(1 for key, each in value.items() if key.endswith("Texture") and _index(each) == texture)
            return here + sum(map(uses, value.values()))
        return 0

    materials = found.get("materials", [])
    colors = sum(reference["index"] == texture for material in materials for reference in _color_references(material))
    return bool(uses(materials) == colors)


def _index(value: Any) -> Any:
    return value.get("index") if isinstance(value, dict) else None


def _unlight(writer: Writer, painted: Painted) -> None:
    """Say of each painted material that it is not to be lit."""
    pages = painted.atlas.page
    shown = {surface.material for index, surface in enumerate(painted.model.surfaces) if pages[index] >= 0}
    for number, material in enumerate(writer.of("materials")):
        if number in shown or not isinstance(painted.model.source, Gltf):
            material.setdefault("extensions", {})[UNLIT] = {}
    writer.use(UNLIT)


def _parted(writer: Writer, stem: str) -> dict[str, bytes]:
    """A .gltf with its data and pictures as files of their own."""
    contents: dict[str, bytes] = {}
    freed = set()
    for number, image in enumerate(writer.json.get("images", [])):
        if "bufferView" in image:
            suffix = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}.get(image.get("mimeType", ""), ".png")
            name = f"{stem}-{number}{suffix}"
            contents[name] = writer.data[image["bufferView"]]
            freed.add(image.pop("bufferView"))
            image.pop("mimeType", None)
            image["uri"] = name
    prune.forget(writer, freed)
    body = writer.packed()
    if body:
        writer.json["buffers"][0]["uri"] = f"{stem}.bin"
    text = json.dumps(writer.json, indent=1, ensure_ascii=False).encode()
    return {f"{stem}.gltf": text, **({f"{stem}.bin": body} if body else {}), **contents}


def write(path: Path, contents: Mapping[str, bytes], force: bool = False) -> None:
    """Write files into the folder of `path`, by name: all beside their places first, then each into its place, the first last.

    Raises:
        OutputExists: a file is there, and `force` is not set.
        OutputError: it cannot be written.
    """
    partial = {path.with_name(name): path.with_name(f".impasto-{os.getpid()}-{name}") for name in contents}
    try:
        for (target, place), data in zip(partial.items(), contents.values(), strict=True):
            if target.exists() and not force:
                raise OutputExists(f"{target} exists already: --force (force=True) replaces it")
            place.write_bytes(data)
        for target, place in reversed(partial.items()):
            place.replace(target)
    except OutputExists:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        for place in partial.values():
            place.unlink(missing_ok=True)
