"""What clips are written as: a name, an encoder of FFmpeg, and what it can hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from impasto.errors import UsageError
from impasto.video.ffmpeg import library
from impasto.video.frame import FULL, LIMITED, Clip, Colors
from impasto.video.planes import BT709, RGB, Layout, layout_of, matrix_of


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a clip."""

    encoder: str
    suffixes: tuple[str, ...]
    layouts: Mapping[tuple[int, bool], str]
    """FFmpeg's pixel format by bits a channel, and whether there is alpha."""
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    even: bool = False
    """Whether the encoder takes even sides only."""
    full: bool = True
    """Whether a decoder is told if code values span 0..255; else it takes them for 16..235."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Bits a channel that it can hold."""
        return tuple(sorted({bits for bits, _ in self.layouts}))

    @property
    def alpha(self) -> bool:
        """Whether it can hold alpha."""
        return any(alpha for _, alpha in self.layouts)


FORMATS: dict[str, Format] = {
    "h264": Format(
        "libx264",
        (".mp4", ".m4v", ".mov", ".mkv"),
        {(8, False): "yuv420p"},
        {"crf": "16", "preset": "fast"},  # of painted frames the same size and quality as medium, in two thirds of the time
        even=True,
    ),
    "h265-10": Format(
        "libx265",
        (".mp4", ".m4v", ".mov", ".mkv"),
        {(10, False): "yuv420p10le"},
        {"crf": "18", "preset": "medium", "x265-params": "log-level=none"},
        tag="hvc1",  # the name under which Apple's players know it
        even=True,
    ),
    "prores": Format(
        "prores_ks", (".mov", ".mkv"), {(10, False): "yuv422p10le"}, {"profile": "hq", "vendor": "apl0"}, full=False
    ),
    "prores4444": Format(
        "prores_ks",
        (".mov", ".mkv"),
        {(10, False): "yuv444p10le", (10, True): "yuva444p10le"},
        {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
        full=False,
    ),
    "ffv1": Format(
        "ffv1",
        (".mkv", ".mp4"),
        {(8, False): "bgr0", (8, True): "bgra", (16, False): "gbrp16le", (16, True): "gbrap16le"},
        {"level": "3", "slicecrc": "1"},
    ),
    "vp9": Format(
        "libvpx-vp9",
        (".webm", ".mkv", ".mp4"),
        {(8, False): "yuv420p", (8, True): "yuva420p"},
        {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"},
    ),
}
"""By name. A new one is a line here: the tests run over all of them."""
MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's containers by suffix."""


def is_clip(path: str | os.PathLike[str]) -> bool:
    """Whether a path to write is that of a clip, by its suffix."""
    return Path(path).suffix.lower() in MUXERS


def choose(path: str | os.PathLike[str], codec: str | None, like: Clip | None) -> str:
    """The format's name: the one wanted, else what the suffix stands for and the source's bits and alpha need.

    .mp4: h264, of more than 8 bits h265-10. .mov: prores, with alpha prores4444. .mkv: ffv1. .webm: vp9.

    Raises:
        UsageError: an unknown suffix or codec, or two that do not go together.
        MissingExtra: PyAV is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MUXERS:
        raise UsageError(f"clips cannot be written as {suffix or 'a file without a suffix'}: use {', '.join(MUXERS)}")
    deep, alpha = like is not None and like.bits > 8, like is not None and like.alpha
    mp4, mov = "h265-10" if deep else "h264", "prores4444" if alpha else "prores"
    name = codec or {".mov": mov, ".mkv": "ffv1", ".webm": "vp9"}.get(suffix, mp4)
    if name not in FORMATS:
        raise UsageError(f"unknown codec '{name}': use {', '.join(FORMATS)}")
    if suffix not in FORMATS[name].suffixes:
        raise UsageError(f"{name} cannot be written as {suffix}: use {', '.join(FORMATS[name].suffixes)}, or another codec")
    _check_encoder(name)
    return name


def _check_encoder(name: str) -> None:
    av = library("writing video")
    try:
        av.Codec(FORMATS[name].encoder, "w")
    except av.FFmpegError as error:
        raise UsageError(f"this build of PyAV cannot write {name} (no {FORMATS[name].encoder}): use another codec") from error


def layout(name: str, bits: int | None, source_bits: int, alpha: bool, suffix: str) -> Layout:
    """How frames are laid out: the bits wanted, else the fewest that hold the source's, else the format's most.

    Raises:
        UsageError: bits that the format lacks.
    """
    depths = FORMATS[name].depths
    if bits is not None and bits not in depths:
        raise UsageError(f"{name} cannot hold {bits} bits: it holds {' or '.join(map(str, depths))}")
    depth = bits or next((depth for depth in depths if depth >= source_bits), depths[-1])
    clear = alpha and (depth, True) in FORMATS[name].layouts and not (name == "vp9" and suffix == ".mp4")
    pixels = FORMATS[name].layouts[depth, clear]
    if pixels in ("bgr0", "bgra"):
        return Layout(pixels, 8, rgb=True, alpha=clear)
    return layout_of(library().VideoFormat(pixels, 16, 16))


def colors(name: str, found: Layout, like: Colors, size: tuple[int, int]) -> Colors:
    """The colors to write: the source's, with matrix and range said, and as the layout has them.

    A source that does not say its matrix gets the one said by which its frames were read, for a player guesses by size,
    and the size may have changed. `size` is the stored height and width of the source.
    """
    if found.rgb:
        return Colors(FULL, RGB, like.primaries, like.transfer)
    matrix = matrix_of(like, *size)
    if matrix == RGB:
        return Colors(LIMITED, BT709, like.primaries, like.transfer)
    full = like.range == FULL and FORMATS[name].full
    return Colors(FULL if full else LIMITED, matrix, like.primaries, like.transfer)
