"""Pictures opened by a command: stdin once, and of files the last few, for a batch paints with the same ones again."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from impasto.cli.jobs import STDIN
from impasto.cli.words import StyleWord
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.paint.pictures import Style
    from impasto.pixels.io import Picture
    from impasto.types import Mask

KEPT = 8
"""Files that are kept open in memory: a photograph of 12 megapixels takes 150 MB."""


class Shelf:
    """Opens pictures by name, with what the recipe says of them."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Picture, dict[str, str]]] = {}
        self._filters: dict[str, Style] = {}

    def open(self, source: str) -> tuple[Picture, dict[str, str]]:
        """The picture, and its name and SHA-256.

        Raises:
            PictureError: it cannot be read.
            UsageError: it is to come from stdin, and that is a terminal.
        """
        from impasto.paint.pictures import opened

        if source in self._kept:
            self._kept[source] = self._kept.pop(source)  # the one used last goes last
            return self._kept[source]
        if source == STDIN and sys.stdin.isatty():
            raise UsageError("a picture is to come from stdin, which is a terminal: redirect it from a file")
        self._kept[source] = opened(source)
        for name in [name for name in self._kept if name != STDIN][:-KEPT]:
            del self._kept[name]
        return self._kept[source]

    def style(self, word: StyleWord) -> Style:
        """A style as the engine takes it: a picture, a filter by its name, or a style file.

        Raises:
            ImpastoError: it cannot be read, or there is none of that name.
        """
        from impasto import still
        from impasto.fast import style as filters
        from impasto.paint.pictures import Style

        if word.source != STDIN and filters.is_style(word.source):
            if word.source not in self._filters:
                self._filters[word.source] = still.open_style(word.source)
            return replace(self._filters[word.source], weight=word.weight)
        picture, names = self.open(word.source)
        return Style(picture, word.weight, names["source"], names["sha256"])

    def mask(self, source: str) -> Mask:
        """A picture as a mask: how light it is, times its alpha.

        Raises:
            PictureError: it cannot be read.
        """
        picture, _ = self.open(source)
        gray = picture.image.mean(1, keepdim=True)
        return gray if picture.alpha is None else gray * picture.alpha
