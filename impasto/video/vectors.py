"""Motion that is known instead of estimated: motion vectors of a renderer, as .flo files or as channels of EXR files.

A folder holds a file a frame, its number the last one in the name: `backward.0007.flo` says where each pixel of frame 7 was
in frame 6, `forward.0006.flo` where each pixel of frame 6 will be in frame 7. Without one of these words it is backward. In
EXR files the channels are called backward.u, backward.v, forward.u, forward.v, after any layer; there v points up. Either
direction will do; of a forward one alone, what it leads nowhere to is newly seen.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from impasto.errors import UnfitPicture, UnreadablePicture, UsageError
from impasto.pixels import io
from impasto.video import flow
from impasto.video.flow import Bytes, Floats, Motion
from impasto.video.frame import spelled

MAGIC = 202021.25
"""What .flo files begin with (Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011)."""
UNKNOWN = 1e9
"""Motion that is not known is noted as more than this."""
NAME = re.compile(r"(.*?)(\d+)\.(flo|exr)", re.IGNORECASE)
WAYS = ("backward", "forward")


@dataclass(frozen=True)
class Vectors:
    """Files of motion by frame."""

    folder: Path
    backward: Mapping[int, Path]
    forward: Mapping[int, Path]

    @property
    def files(self) -> list[tuple[str, int, Path]]:
        """Each file with its way and frame."""
        both = zip(WAYS, (self.backward, self.forward), strict=True)
        return [(way, number, path) for way, found in both for number, path in sorted(found.items())]

    def need(self, numbers: list[int]) -> None:
        """Check that there is motion from each of these frames to the one before it.

        Raises:
            UnreadablePicture: the frames without.
        """
        lost = [number for number in numbers if number not in self.backward and number - 1 not in self.forward]
        if lost:
            raise UnreadablePicture(f"{self.folder} holds no motion to the frame before for frames {spelled(lost)}")

    def follow(self, number: int, step: int, now: Bytes, other: Bytes) -> Motion:
        """How frame `number` follows from `number - step`: a negative step looks ahead.

        Raises:
            UnreadablePicture: no motion for a frame, or a damaged file.
            UnfitPicture: motion of another shape than the frame.
        """
        height, width = now.shape[:2]
        way = 1 if step > 0 else -1
        total = self._one(number, way, height, width)
        for passed in range(1, abs(step)):
            total = total + flow.warp(self._one(number - way * passed, way, height, width), total)
        known = np.isfinite(total[..., 0])
        total = np.where(known[..., None], total, 0).astype(np.float32)
        off = np.where(known, flow.residual(total, now, other), 255).astype(np.float32)
        return Motion(total, flow.trust(total, off))

    def _one(self, number: int, way: int, height: int, width: int) -> Floats:
        """From a frame to the one before it, or after it; not a number where it is not known."""
        straight, turned = (self.backward, self.forward) if way > 0 else (self.forward, self.backward)
        names = WAYS if way > 0 else WAYS[::-1]
        if number in straight:
            return _fitted(read(straight[number], names[0]), height, width, straight[number])
        if number - way in turned:
            return inverted(_fitted(read(turned[number - way], names[1]), height, width, turned[number - way]))
        raise UnreadablePicture(f"{self.folder} holds no motion between frames {number} and {number - way}")


def find(folder: str | os.PathLike[str]) -> Vectors:
    """The motion in a folder.

    Raises:
        UsageError: no such folder, or nothing in it that is named like motion.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"--flow {folder} is not a folder: give one of .flo or .exr files, numbered like the frames")
    backward: dict[int, Path] = {}
    forward: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if not (match := NAME.fullmatch(path.name)):
            continue
        number = int(match[2])
        ways = _channels(path) if match[3].lower() == "exr" else [WAYS["forward" in match[1].lower()]]
        for way in ways:
            (forward if way == "forward" else backward)[number] = path
    if not backward and not forward:
        raise UsageError(f"--flow {folder} holds no motion: .flo files, or .exr files with channels backward.u and backward.v")
    return Vectors(folder, backward, forward)


def _channels(path: Path) -> list[str]:
    scene = io.load(path).scene
    names = [name for part in scene.parts for name in part.spec.channelnames] if scene else []
    return [way for way in WAYS if all(any(_is(name, f"{way}.{axis}") for name in names) for axis in "uv")]


def _is(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f".{wanted}")


def read(path: Path, way: str = "backward") -> Floats:
    """Motion, height x width x 2 in px of the file, x to the right and y down; not a number where it is not known.

    Raises:
        UnreadablePicture: missing or damaged.
    """
    if path.suffix.lower() == ".exr":
        return _from_exr(path, way)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadablePicture(f"{path} cannot be read: {error.strerror}") from error
    if len(data) < 12 or struct.unpack("<f", data[:4])[0] != MAGIC:
        raise UnreadablePicture(f"{path} is not a .flo file")
    width, height = struct.unpack("<ii", data[4:12])
    if width < 1 or height < 1 or len(data) != 12 + 8 * width * height:
        raise UnreadablePicture(f"{path} is damaged: {len(data)} bytes do not hold motion of {width} x {height} px")
    found = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)
    return np.where(np.abs(found).max(-1, keepdims=True) > UNKNOWN, np.float32(np.nan), found)


def write(path: Path, motion: Floats) -> None:
    """Write a .flo file."""
    height, width = motion.shape[:2]
    path.write_bytes(struct.pack("<fii", MAGIC, width, height) + motion.astype("<f4").tobytes())


def _from_exr(path: Path, way: str) -> Floats:
    scene = io.load(path).scene
    for part in scene.parts if scene else ():
        places = {axis: i for axis in "uv" for i, name in enumerate(part.spec.channelnames) if _is(name, f"{way}.{axis}")}
        if len(places) == 2:
            across, up = part.pixels[..., places["u"]], part.pixels[..., places["v"]]
            return np.stack([across, -up], -1).astype(np.float32)
    raise UnreadablePicture(f"{path} has no channels {way}.u and {way}.v")


def _fitted(motion: Floats, height: int, width: int, path: Path) -> Floats:
    own_height, own_width = motion.shape[:2]
    if abs(own_width * height / own_height - width) > max(0.02 * width, 1):
        raise UnfitPicture(f"{path} is {own_width} x {own_height} px, and its frame is of another shape ({width} x {height})")
    if own_height < height:
        return flow.scaled(motion, height, width)
    cv2 = flow.library()
    smaller: Floats = cv2.resize(motion, (width, height), interpolation=cv2.INTER_AREA)
    return smaller * np.array([width / own_width, height / own_height], np.float32)


def inverted(motion: Floats) -> Floats:
    """The motion the other way: at y = x + f(x) it is -f(x); of several that meet, the fastest. Not a number where none does."""
    height, width = motion.shape[:2]
    known = np.isfinite(motion).all(-1)
    vectors, starts = motion[known], flow.grid(height, width)[known]
    slowest_first = np.argsort(np.abs(vectors).sum(1), kind="stable")
    vectors, starts = vectors[slowest_first], starts[slowest_first]
    ends = np.rint(starts + vectors).astype(int)
    inside = (ends >= 0).all(1) & (ends[:, 0] < width) & (ends[:, 1] < height)
    found = np.full((height, width, 2), np.nan, np.float32)
    found[ends[inside, 1], ends[inside, 0]] = -vectors[inside]
    return _closed(found)


def _closed(motion: Floats) -> Floats:
    """Single pixels that rounding left open, from those around them."""
    cv2 = flow.library()
    open_ = np.isnan(motion[..., 0])
    count = cv2.boxFilter((~open_).astype(np.float32), -1, (3, 3), normalize=False)
    total = cv2.boxFilter(np.nan_to_num(motion), -1, (3, 3), normalize=False)
    fill = open_ & (count >= 5)
    motion[fill] = total[fill] / count[fill][:, None]
    return motion
