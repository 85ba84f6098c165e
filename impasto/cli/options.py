"""Each option of the command, defined once, and what users write in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from impasto.errors import UsageError
from impasto.paint.settings import Settings

DEFAULTS = Settings()
DEFAULT_STYLE_LAYERS = ",".join(DEFAULTS.style_layers)
DEFAULT_STYLE_LAYER_WEIGHTS = ",".join(f"{value:g}" for value in DEFAULTS.style_layer_weights)
DEFAULT_CONTENT_LAYERS = ",".join(DEFAULTS.content_layers)
STYLE, OUTPUT, PAINTING, MACHINE = "Style", "Output", "Painting (expert)", "Machine"


def option(text: str, *names: str, panel: str = STYLE, metavar: str | None = None) -> typer.models.OptionInfo:
    """An option of the command in its panel of the help."""
    found: typer.models.OptionInfo = typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)
    return found


Styles = Annotated[list[str], option("A picture to paint like; repeat to mix.", "--style", "-s", metavar="FILE[:WEIGHT]")]
Output = Annotated[str, option("Where to: a file, a folder, a template with {stem}, or -.", "--output", "-o", panel=OUTPUT)]
Force = Annotated[bool, option("Replace files that exist.", "--force", "-f", panel=OUTPUT)]
Json = Annotated[bool, option("Print one JSON object a result instead of its path.", "--json", panel=OUTPUT)]
Quiet = Annotated[bool, option("No progress, no messages but errors.", "--quiet", "-q", panel=OUTPUT)]
Preview = Annotated[
    str, option("Write the picture so far to this file while working.", "--preview", panel=OUTPUT, metavar="FILE")
]
Bits = Annotated[int, option("Bits a channel of the result: 8, 16 or 32; 0 keeps the content's.", "--bits", panel=OUTPUT)]

Size = Annotated[str, option("Long edge in px, WIDTHxHEIGHT, or full.", "--size", metavar="N|WxH|full")]
Quality = Annotated[str, option("How long to work.", "--quality", metavar="draft|good|best")]
Strength = Annotated[float, option("How much style: 0 leaves the photograph, 1 is all of it.", "--strength")]
StyleScale = Annotated[float, option("Size of the strokes, against the style picture as a whole.", "--style-scale")]
Time = Annotated[str, option("Be done in this time, start included: 60s, 5m.", "--time", metavar="TIME")]
Seed = Annotated[int, option("Start of the random numbers.", "--seed")]

Steps = Annotated[str, option("Steps altogether, or SIZE:STEPS,SIZE:STEPS.", "--steps", panel=PAINTING)]
StyleLoss = Annotated[str, option("How style is compared: w2, gram, swd, nn, patch.", "--style-loss", panel=PAINTING)]
ContentLoss = Annotated[str, option("How content is compared: features, similarity.", "--content-loss", panel=PAINTING)]
StyleWeight = Annotated[float, option("Weight of style.", "--style-weight", panel=PAINTING)]
ContentWeight = Annotated[float, option("Weight of content.", "--content-weight", panel=PAINTING)]
TvWeight = Annotated[float, option("Weight of smoothness (total variation).", "--tv-weight", panel=PAINTING)]
StyleLayers = Annotated[str, option("Layers that style is compared at.", "--style-layers", panel=PAINTING)]
StyleLayerWeights = Annotated[str, option("Their shares.", "--style-layer-weights", panel=PAINTING)]
ContentLayers = Annotated[str, option("Layers that content is compared at.", "--content-layers", panel=PAINTING)]
Init = Annotated[str, option("Start from: content, noise, gray, style, or a picture.", "--init", panel=PAINTING)]
Optimizer = Annotated[str, option("lbfgs or adam.", "--optimizer", panel=PAINTING)]
StepSize = Annotated[float, option("Adam's step.", "--step-size", panel=PAINTING)]
Pooling = Annotated[str, option("max, average or l2.", "--pooling", panel=PAINTING)]
Encoder = Annotated[str, option("vgg16, or a VGG's .safetensors or .pth.", "--encoder", panel=PAINTING)]

Device = Annotated[str, option("auto, cpu, cuda, cuda:1, mps.", "--device", panel=MACHINE)]
Precision = Annotated[str, option("auto, fp32 or bf16.", "--precision", panel=MACHINE)]


class StyleWord(NamedTuple):
    """What --style says."""

    source: str
    weight: float


def parse_style(text: str) -> StyleWord:
    """Read "a.jpg" -> ("a.jpg", 1), "a.jpg:0.7" -> ("a.jpg", 0.7); a file whose name ends like a weight is taken as a file.

    Raises:
        UsageError: no source.
    """
    match = re.fullmatch(r"(.+):(\d*\.?\d+)", text)
    if match is None or Path(text).exists():
        if not text:
            raise UsageError("--style is empty: give a picture")
        return StyleWord(text, 1.0)
    return StyleWord(match[1], float(match[2]))


def parse_time(text: str) -> float:
    """Read "60", "60s", "5m", "1h" -> seconds; "" -> 0.

    Raises:
        UsageError: anything else, and less than a second.
    """
    if not text:
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", text.strip())
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    if seconds < 1:
        raise UsageError(f"time {text!r} is not a time of at least a second, like 60s or 5m")
    return seconds


def parse_list(text: str) -> tuple[str, ...]:
    """Read "relu1_1, relu2_1" -> ("relu1_1", "relu2_1")."""
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def parse_numbers(text: str, what: str) -> tuple[float, ...]:
    """Read "256,64" -> (256.0, 64.0).

    Raises:
        UsageError: something that is not a number.
    """
    try:
        return tuple(float(word) for word in parse_list(text))
    except ValueError as error:
        raise UsageError(f"{what} {text!r} is not a list of numbers") from error
