"""Each option of the command, defined once; what a verb gets of them; and --config, a file of options."""

from __future__ import annotations

import difflib
import functools
import inspect
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli import words
from impasto.errors import UsageError
from impasto.paint.settings import Settings

DEFAULTS = Settings()
STYLE, REGIONS, OUTPUT, PAINTING, MACHINE = "Style", "Regions", "Output", "Painting (expert)", "Machine"


def option(
    text: str, *names: str, panel: str | None = STYLE, metavar: str | None = None, default: bool = True, **more: Any
) -> typer.models.OptionInfo:
    """An option of the command in its panel of the help. `default`: whether the help shows its default."""
    found: typer.models.OptionInfo = typer.Option(
        *names, help=text, rich_help_panel=panel, metavar=metavar, show_default=default, **more
    )
    return found


Styles = Annotated[
    list[str],
    option(
        "A picture to paint like, a filter's name (impasto styles list) or file, or a folder; repeat to mix. PLACE is a mask's "
        "name.",
        "--style",
        "-s",
        metavar="[PLACE=]SOURCE[:WEIGHT]",
        default=False,
    ),
]
Each = Annotated[bool, option("Paint every style by itself instead of mixing them.", "--each")]
Recipe = Annotated[
    str, option("Take settings and styles from a picture made by impasto.", "--recipe", metavar="FILE", default=False)
]
Sweep = Annotated[
    list[str],
    option(
        "One picture for each value of a setting, and a contact sheet; repeat for a grid: strength=0.3,0.6,0.9.",
        "--sweep",
        metavar="SETTING=VALUES",
        default=False,
    ),
]

Masks = Annotated[
    list[str],
    option(
        "Where in the photograph: white is there. keep: leave it as it is; strength: how much style; color: where colors "
        "are preserved; another name is the place of a --style.",
        "--mask",
        panel=REGIONS,
        metavar="NAME=FILE",
        default=False,
    ),
]
ContentMap = Annotated[
    str,
    option(
        "The photograph's regions by color; needs --style-map.", "--content-map", panel=REGIONS, metavar="FILE", default=False
    ),
]
StyleMaps = Annotated[
    list[str],
    option(
        "A style's regions in the same colors; one for each style.", "--style-map", panel=REGIONS, metavar="FILE", default=False
    ),
]
Regions = Annotated[
    str, option("Find so many regions and pair them: auto:4.", "--regions", panel=REGIONS, metavar="auto:N", default=False)
]
ShowRegions = Annotated[
    str,
    option("Draw the regions and their pairing to this file.", "--show-regions", panel=REGIONS, metavar="FILE", default=False),
]

Output = Annotated[
    str,
    option(
        "Where to: a file, a folder/, or - for stdout. In a name {stem} stands for the content's, {style} for the style's, and "
        "{value} for what --sweep gives.",
        "--output",
        "-o",
        panel=OUTPUT,
        metavar="FILE",
    ),
]
OneOutput = Annotated[str, option("Where to: a file, or - for stdout.", "--output", "-o", panel=OUTPUT, metavar="FILE")]
Force = Annotated[bool, option("Replace files that exist.", "--force", "-f", panel=OUTPUT)]
Resume = Annotated[
    bool,
    option(
        "Go on where Ctrl-C or SIGTERM stopped it. Done already: exit 0. Nothing to go on with: exit 2; in a batch, begin it.",
        "--resume",
        panel=OUTPUT,
    ),
]
Json = Annotated[
    bool, option("Print a line of JSON for each result, its path and more, instead of the path alone.", "--json", panel=OUTPUT)
]
JsonReport = Annotated[bool, option("Print JSON, one object a line, instead of text.", "--json", panel=None)]
Quiet = Annotated[bool, option("No progress, no messages but errors.", "--quiet", "-q", panel=OUTPUT)]
Preview = Annotated[
    str,
    option("Write the picture so far to this file while working.", "--preview", panel=OUTPUT, metavar="FILE", default=False),
]
Bits = Annotated[int, option("Bits a channel of the result: 8, 16 or 32; 0 keeps the content's.", "--bits", panel=OUTPUT)]

SETTINGS: dict[str, typer.models.OptionInfo] = {
    "size": option("Long edge in px, WIDTHxHEIGHT, or full.", metavar="N|WxH|full"),
    "quality": option("How long to work: draft is one pass of a filter.", metavar="draft|good|best"),
    "strength": option("How much style: 0 leaves the photograph, 1 is all of it."),
    "style_scale": option("Size of the strokes, against the style picture as a whole."),
    "preserve_color": option("Keep the photograph's colors.", metavar="off|luminance|match|histogram"),
    "time": option("Be done in this time, start included: 60s, 5m.", metavar="TIME"),
    "seed": option("Start of the random numbers."),
    "steps": option("Steps altogether, or SIZE:STEPS,SIZE:STEPS.", panel=PAINTING),
    "style_loss": option("How style is compared: w2, gram, swd, nn, patch.", panel=PAINTING),
    "content_loss": option("How content is compared: features, similarity.", panel=PAINTING),
    "style_weight": option("Weight of style.", panel=PAINTING),
    "content_weight": option("Weight of content.", panel=PAINTING),
    "tv_weight": option("Weight of smoothness (total variation).", panel=PAINTING),
    "style_layers": option("Layers that style is compared at.", panel=PAINTING),
    "style_layer_weights": option("Their shares.", panel=PAINTING),
    "content_layers": option("Layers that content is compared at.", panel=PAINTING),
    "init": option("Start from: filter, content, noise, gray, style, or a picture.", panel=PAINTING),
    "optimizer": option("lbfgs or adam.", panel=PAINTING),
    "step_size": option("Adam's step.", panel=PAINTING),
    "pooling": option("max, average or l2.", panel=PAINTING),
    "encoder": option(
        "Network that looks at the pictures: vgg16, or a file: a VGG's .safetensors or .pth, or made by impasto train-encoder.",
        panel=PAINTING,
        metavar="NAME",
    ),
    "device": option("auto, cpu, cuda, cuda:1, mps.", panel=MACHINE),
    "precision": option("auto, fp32 or bf16.", panel=MACHINE),
    "max_memory": option("Work in tiles where more would be needed: 2GB.", panel=MACHINE, metavar="SIZE"),
}
"""The flag of each setting, named like it, with its default. A new field of `Settings` is given its line here."""


def settings_of(*, without: Collection[str] = (), **texts: str) -> dict[str, typer.models.OptionInfo]:
    """The flags of a verb that is not about photographs: settings left out, and help of its own for others, by name."""
    return {
        name: option(texts.get(name, str(info.help)), panel=str(info.rich_help_panel), metavar=info.metavar)
        for name, info in SETTINGS.items()
        if name not in without
    }


def _configure(context: typer.Context, file: str) -> str:
    if file:
        context.default_map = {**(context.default_map or {}), **configured(file, context.command.params)}
    return file


Config = Annotated[
    str,
    option(
        "Take options from a TOML file; those on the line win.",
        "--config",
        panel=OUTPUT,
        metavar="FILE",
        default=False,
        is_eager=True,
        callback=_configure,
    ),
]


def configured(file: str, parameters: list[Any]) -> dict[str, Any]:
    """Options in a TOML file, named like flags (`style-scale = 2`, `style = ["a.jpg:0.7", "b.jpg"]`), as Click's default map.

    Raises:
        UsageError: the file cannot be read, is not TOML, or holds what is not an option of the verb.
    """
    try:
        found = tomllib.loads(Path(file).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    known = {name.removeprefix("--"): each for each in parameters for name in each.opts if name.startswith("--")}
    chosen = {}
    for name, value in found.items():
        flag = name.replace("_", "-")
        if flag not in known or flag in ("config", "help"):
            close = difflib.get_close_matches(flag, known, 1)
            raise UsageError(f"{file}: {name} is not an option" + (f"; is {close[0]} meant?" if close else ""))
        chosen[known[flag].name] = _text(value, known[flag].multiple)
    return chosen


def _text(value: object, several: bool) -> object:
    """A TOML value as if it stood on the line: text, or texts for what may be repeated. Switches stay true or false."""
    if several:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, bool) else str(value)


def takes(settings: Mapping[str, typer.models.OptionInfo]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a verb the flags of these settings. Those that were `said` come to it in `chosen`, as `Settings` has them."""
    named = inspect.Parameter.KEYWORD_ONLY
    flags = [
        inspect.Parameter(name, named, default=_default(name), annotation=_annotation(name, info))
        for name, info in settings.items()
        if hasattr(DEFAULTS, name)
    ]
    context = inspect.Parameter("context", named, annotation=typer.Context)

    def change(verb: Callable[..., int]) -> Callable[..., int]:
        signature = inspect.signature(verb, eval_str=True)
        own = [parameter.replace(kind=named) for name, parameter in signature.parameters.items() if name != "chosen"]

        @functools.wraps(verb)
        def run(*, context: typer.Context, **values: Any) -> int:
            given = {flag.name: values.pop(flag.name) for flag in flags}
            return verb(**values, chosen={name: setting(name, value) for name, value in given.items() if said(context, name)})

        run.__signature__ = signature.replace(parameters=[context, *own, *flags])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in [context, *own, *flags]}
        return run

    return change


def said(context: typer.Context, name: str) -> bool:
    """Whether an option was given, on the line or in --config, rather than left at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def flag(name: str) -> str:
    """The flag of a setting: style_scale -> --style-scale."""
    return "--" + name.replace("_", "-")


def _annotation(name: str, info: typer.models.OptionInfo) -> Any:
    """A setting's flag for Typer; times and lists are written as text."""
    default = getattr(DEFAULTS, name)
    info = option(
        str(info.help), flag(name), panel=str(info.rich_help_panel), metavar=info.metavar, default=bool(_default(name) != "")
    )
    return Annotated[type(default) if type(default) in (int, float) and name != "time" else str, info]


def _default(name: str) -> Any:
    default = getattr(DEFAULTS, name)
    if name == "time":
        return ""
    return words.listed(default) if isinstance(default, tuple) else default


def setting(name: str, value: Any) -> Any:
    """What users write for a setting, as `Settings` has it.

    Raises:
        UsageError: not a number where one must be, or not a time.
    """
    default = getattr(DEFAULTS, name)
    if name == "time":
        return words.parse_time(value)
    if isinstance(default, tuple):
        return words.parse_numbers(value, flag(name)) if isinstance(default[0], float) else words.parse_list(value)
    if isinstance(default, int | float):
        return words.parse_number(value, type(default), flag(name))
    return str(value)
