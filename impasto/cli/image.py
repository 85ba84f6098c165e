"""`impasto image`: photographs painted like paintings."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import options, report
from impasto.cli.options import DEFAULTS
from impasto.errors import ImpastoError, UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.paint.image import Painting, Style

Contents = Annotated[
    list[str], typer.Argument(help="The photograph; several, or folders, for a batch; - is stdin.", metavar="CONTENT...")
]
PREVIEW_SECONDS = 2.0
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".exr", ".bmp", ".gif"}


def image(
    contents: Contents,
    style: options.Styles,
    output: options.Output,
    size: options.Size = DEFAULTS.size,
    quality: options.Quality = DEFAULTS.quality,
    strength: options.Strength = DEFAULTS.strength,
    style_scale: options.StyleScale = DEFAULTS.style_scale,
    time: options.Time = "",
    seed: options.Seed = DEFAULTS.seed,
    force: options.Force = False,
    preview: options.Preview = "",
    bits: options.Bits = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    steps: options.Steps = DEFAULTS.steps,
    style_loss: options.StyleLoss = DEFAULTS.style_loss,
    content_loss: options.ContentLoss = DEFAULTS.content_loss,
    style_weight: options.StyleWeight = DEFAULTS.style_weight,
    content_weight: options.ContentWeight = DEFAULTS.content_weight,
    tv_weight: options.TvWeight = DEFAULTS.tv_weight,
    style_layers: options.StyleLayers = options.DEFAULT_STYLE_LAYERS,
    style_layer_weights: options.StyleLayerWeights = options.DEFAULT_STYLE_LAYER_WEIGHTS,
    content_layers: options.ContentLayers = options.DEFAULT_CONTENT_LAYERS,
    init: options.Init = DEFAULTS.init,
    optimizer: options.Optimizer = DEFAULTS.optimizer,
    step_size: options.StepSize = DEFAULTS.step_size,
    pooling: options.Pooling = DEFAULTS.pooling,
    encoder: options.Encoder = DEFAULTS.encoder,
    device: options.Device = DEFAULTS.device,
    precision: options.Precision = DEFAULTS.precision,
) -> int:
    """Paint a photograph in the style of one or several pictures.

    impasto image photo.jpg --style painting.jpg -o painted.png
    """
    settings = Settings(
        size=size,
        quality=quality,
        strength=strength,
        steps=steps,
        time=options.parse_time(time),
        style_loss=style_loss,
        content_loss=content_loss,
        style_weight=style_weight,
        content_weight=content_weight,
        tv_weight=tv_weight,
        style_scale=style_scale,
        style_layers=options.parse_list(style_layers),
        style_layer_weights=options.parse_numbers(style_layer_weights, "--style-layer-weights"),
        content_layers=options.parse_list(content_layers),
        init=init,
        optimizer=optimizer,
        step_size=step_size,
        pooling=pooling,
        encoder=encoder,
        seed=seed,
        device=device,
        precision=precision,
    )
    jobs = pair(contents, output)
    return paint(jobs, style, settings, force=force, preview=preview, bits=bits or None, as_json=as_json, quiet=quiet)


def pair(contents: Sequence[str], output: str) -> list[tuple[str, str]]:
    """Each content with its output: one file to one file, several to a folder or a template with {stem}.

    Raises:
        UsageError: several contents and one file, or a folder without pictures.
    """
    files = [file for content in contents for file in expand(content)]
    folder = output.endswith("/") or Path(output).is_dir()
    if folder:
        return [(file, str(Path(output) / f"{stem(file)}.png")) for file in files]
    if "{stem}" in output:
        return [(file, output.replace("{stem}", stem(file))) for file in files]
    if len(files) > 1:
        raise UsageError(f"{len(files)} pictures cannot all become {output}: give a folder (ending in /) or a name with {{stem}}")
    return [(files[0], output)]


def stem(file: str) -> str:
    """Name of a file without folder and suffix; "stdin" for -."""
    return "stdin" if file == "-" else Path(file).stem


def expand(content: str) -> list[str]:
    """A folder's pictures, sorted by name; anything else is itself."""
    if content == "-" or not Path(content).is_dir():
        return [content]
    found = sorted(str(path) for path in Path(content).iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"there are no pictures in the folder {content}")
    return found


def paint(
    jobs: Sequence[tuple[str, str]],
    style: Sequence[str],
    settings: Settings,
    *,
    force: bool,
    preview: str,
    bits: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Do the jobs one after the other; one that fails does not stop the rest. Returns the exit code."""
    from impasto.paint.image import as_styles
    from impasto.pixels import io

    batch = len(jobs) > 1
    for _, output in jobs:
        if batch:
            Path(output).parent.mkdir(parents=True, exist_ok=True)
        if not (batch and Path(output).exists()):
            io.check_output(output, force, bits)
    words = [options.parse_style(text) for text in style]
    styles = as_styles([(word.source, word.weight) for word in words])
    failed = 0
    for position, (content, output) in enumerate(jobs):
        if batch and not force and Path(output).exists():
            report.say(f"{output} is there already, left as it is (--force makes it again)", quiet=quiet)
            continue
        deadline = _deadline(settings, position, len(jobs))
        try:
            _paint_one(content, output, styles, settings, deadline, force, preview, bits, as_json, quiet)
        except ImpastoError as error:
            if not batch:
                raise
            failed += 1
            report.say(f"impasto: {content}: {report.one_line(error)}")
    if failed:
        report.say(f"impasto: {failed} of {len(jobs)} failed")
    return report.FAILED if failed else report.DONE


def _deadline(settings: Settings, position: int, count: int) -> float:
    """By when a picture must be written: the time is shared evenly by those that are left."""
    if not settings.time:
        return math.inf
    now = time.monotonic()
    return now + (report.BEGUN + settings.time - now) / (count - position)


def _paint_one(
    content: str,
    output: str,
    styles: Sequence[Style],
    settings: Settings,
    deadline: float,
    force: bool,
    preview: str,
    bits: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from impasto.paint.image import Painting, opened

    begun = time.monotonic()
    picture, names = opened(content)
    painting = Painting(picture, styles, settings, deadline=deadline, names={"content": names})
    report.say(painting.plan(), quiet=quiet)
    interrupted = False
    try:
        _work(painting, preview, quiet)
    except KeyboardInterrupt:
        if not painting.state.made:
            raise
        interrupted = True
        report.say("impasto: interrupted, keeping the picture so far", quiet=quiet)
    done = painting.result()
    path: Any = done.save(output, bits=bits, force=force)
    facts = {"content": content, "seconds": round(time.monotonic() - begun, 2), "steps": done.recipe["settings"]["steps"]}
    report.result(path, facts, as_json=as_json and output != "-")
    if interrupted:
        raise KeyboardInterrupt


def _work(painting: Painting, preview: str, quiet: bool) -> None:
    """Take the steps, with a bar, and a preview every two seconds."""
    written = time.monotonic()
    for _ in report.progress(painting.steps(), quiet=quiet):
        if preview and time.monotonic() - written > PREVIEW_SECONDS:
            painting.result().save(preview, force=True)
            written = time.monotonic()
