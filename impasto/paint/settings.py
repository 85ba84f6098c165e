"""Every tunable of painting, once. Command-line flags, presets and recipes are views of `Settings`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from impasto.errors import UsageError

QUALITIES = ("draft", "good", "best")
INITS = ("filter", "content", "noise", "gray", "style")
OPTIMIZERS = ("lbfgs", "adam")
CONTENT_LOSSES = ("features", "similarity")
COLORS = ("off", "luminance", "match", "histogram")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a picture is painted. Frozen: make another with `dataclasses.replace`.

    Raises:
        UsageError: a value out of range or not among the choices, naming it.
    """

    size: str = "512"
    """Long edge of the result in px, or "full" for the content's own size."""
    quality: str = "good"
    """draft (one pass of a filter), good or best: how many steps at each size."""
    strength: float = 1.0
    """0 ... 1: 0 is the content itself, 1 the style's statistics in full."""
    steps: str = ""
    """Steps altogether ("120"), or at each size ("128:45,181:35,256:30"). Empty: by quality."""
    time: float = 0.0
    """Seconds that the whole command may take; 0 for no limit. Replaces quality by what fits; cuts steps short that do not."""
    preserve_color: str = "off"
    """off, luminance (the content's colors, the style's light and dark), match or histogram (the style recolored)."""
    max_memory: str = ""
    """Memory that may be taken ("2GB"); empty for no cap. Larger pictures are then worked on in tiles."""
    style_loss: str = "w2"
    """w2, gram, swd, nn or patch: how style is compared."""
    content_loss: str = "features"
    """features (mean squared difference) or similarity (self-similarity, lets colors and forms go further)."""
    style_weight: float = 1.0
    content_weight: float = 0.015
    tv_weight: float = 0.0
    """Weights of the terms. With the defaults style and content pull about as hard at the end; total variation is off."""
    style_scale: float = 1.0
    """Size of the style's strokes: the style is looked at this many times the size of the picture."""
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    style_layer_weights: tuple[float, ...] = (256.0, 64.0, 16.0, 4.0, 1.0)
    """Share of each style layer, divided by their sum."""
    content_layers: tuple[str, ...] = ("relu4_2",)
    init: str = "filter"
    """filter (what the any-style network makes of it), content, noise, gray, style (noise with the style's color statistics),
    or a picture's path."""
    optimizer: str = "lbfgs"
    step_size: float = 0.08
    """Adam's step; L-BFGS finds its own."""
    pooling: str = "max"
    encoder: str = "vgg16"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        self._check_types()
        for name, value, low, high in (
            ("strength", self.strength, 0, 1),
            ("time", self.time, 0, 1e7),
            ("style_weight", self.style_weight, 0, 1e9),
            ("content_weight", self.content_weight, 0, 1e9),
            ("tv_weight", self.tv_weight, 0, 1e9),
            ("style_scale", self.style_scale, 0.05, 20),
            ("step_size", self.step_size, 1e-6, 1),
        ):
            if not low <= value <= high:
                raise UsageError(f"{name} {value:g} is not between {low:g} and {high:g}")
        for name, choice, choices in (
            ("quality", self.quality, QUALITIES),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("content_loss", self.content_loss, CONTENT_LOSSES),
            ("preserve_color", self.preserve_color, COLORS),
        ):
            if choice not in choices:
                raise UsageError(f"{name} {choice!r} is not one of {', '.join(choices)}")
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError(f"seed {self.seed} is not a whole number of 64 bits")
        self._check_layers()
        parse_steps(self.steps)

    def _check_types(self) -> None:
        """Each value is of its default's type: a text, a number, a tuple of texts or of numbers."""
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            values, like = (value, default[0]) if isinstance(default, tuple) and isinstance(value, tuple) else ((value,), default)
            kinds = (int, float) if isinstance(like, float) else (type(like),)
            if any(not isinstance(each, kinds) or isinstance(each, bool) for each in values):
                raise UsageError(f"{field.name} {value!r} is not of the kind of {default!r}")

    def _check_layers(self) -> None:
        if not self.style_layers or not self.content_layers:
            raise UsageError("style_layers and content_layers must name at least one layer each")
        if len(self.style_layer_weights) != len(self.style_layers):
            raise UsageError(f"{len(self.style_layer_weights)} style layer weights for {len(self.style_layers)} style layers")
        if min(self.style_layer_weights) < 0 or not 0 < sum(self.style_layer_weights) < math.inf:
            raise UsageError(f"style_layer_weights {self.style_layer_weights} are not positive numbers")

    def as_dict(self) -> dict[str, Any]:
        """The settings as a recipe keeps them: tuples as lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from a recipe; keys that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        chosen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in known
        }
        return cls(**chosen)


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings from keywords; `size` and `steps` may be numbers.

    Raises:
        UsageError: a name that is not a setting, or a wrong value.
    """
    values = {name: str(value) if name in ("size", "steps") else value for name, value in values.items()}
    try:
        return Settings(**values)
    except TypeError as error:
        raise UsageError(f"not a setting: {str(error).rpartition('argument ')[2]}; see impasto.Settings") from error


def parse_steps(text: str) -> int | dict[int, int] | None:
    """What users write for steps: "120" -> 120, "128:45,181:35" -> {128: 45, 181: 35}, "" -> None.

    Raises:
        UsageError: anything else.
    """
    if not text:
        return None
    if re.fullmatch(r"[1-9]\d{0,6}", text):
        return int(text)
    if re.fullmatch(r"[1-9]\d*:[1-9]\d*(,[1-9]\d*:[1-9]\d*)*", text):
        pairs = [pair.split(":") for pair in text.split(",")]
        if len({size for size, _ in pairs}) == len(pairs):
            return {int(size): int(count) for size, count in pairs}
    raise UsageError(f"steps {text!r} is neither a number nor SIZE:STEPS,SIZE:STEPS, each size once")
