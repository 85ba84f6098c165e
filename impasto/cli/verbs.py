"""The verbs of the command, and which one is meant by a word that is none."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from impasto.errors import UsageError

MEANT = {
    "image": ("paint", "stylize", "style-transfer", "transfer", "photo", "picture", "still"),
    "texture": ("synthesize", "tile", "material"),
    "video": ("movie", "film", "clip", "animate"),
    "live": ("camera", "webcam"),
    "mesh": ("model", "3d", "object", "render"),
    "learn": ("teach", "filter", "finetune", "fine-tune"),
    "export": ("convert", "save"),
    "styles": ("filters", "list"),
    "inspect": ("info", "show", "recipe", "metadata", "compare"),
    "studio": ("ui", "gui", "app", "web", "serve", "server"),
    "env": ("version", "doctor", "environment"),
}
"""Words that people try, by the verb that does it."""


class Verbs(TyperGroup):
    """All verbs; a word that is none of them is answered with the one that is meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0] if args else ""
        if word and not word.startswith("-") and self.get_command(ctx, word) is None and not ctx.resilient_parsing:
            raise UsageError(f"{answer(word, self.list_commands(ctx))} (see impasto --help)")
        return super().resolve_command(ctx, args)


def answer(word: str, verbs: Collection[str]) -> str:
    """What to say to a word that is no verb."""
    meant = [verb for verb, words in MEANT.items() if word.lower() in words]
    if not meant and (Path(word).suffix or Path(word).exists()):
        return f"{word!r} stands where a verb is expected: is `impasto image {word}` meant?"
    near = meant or difflib.get_close_matches(word.lower(), verbs, 1)
    return f"there is no verb {word!r}: " + (f"is `impasto {near[0]}` meant?" if near else f"there are {', '.join(verbs)}")
