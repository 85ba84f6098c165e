"""`impasto train-encoder`: the network that painting looks with, from a set of content and one of style pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

from impasto.cli import learn, options, report, words
from impasto.cli.options import OUTPUT, PAINTING, option
from impasto.errors import OutputExists, UsageError

Content = Annotated[
    list[Path], option("A folder of pictures such as will be painted on; repeat for more.", "--content", default=False)
]
Style = Annotated[
    list[Path],
    option("A folder of pictures such as will be painted like; folders in it tell painters apart.", "--style", default=False),
]
Teacher = Annotated[
    str,
    option(
        "Learn from this encoder as well: vgg16, or a VGG's .safetensors or .pth.", "--teacher", metavar="NAME", default=False
    ),
]
Preview = Annotated[
    str,
    option(
        "Show what each layer sees in this file. Default: beside the output.",
        "--preview",
        panel=OUTPUT,
        metavar="FILE",
        default=False,
    ),
]


def train_encoder(
    *,
    content: Content,
    style: Style,
    output: learn.Output,
    teacher: Teacher = "",
    time: learn.LongTime = "",
    steps: learn.Steps = 0,
    width: Annotated[float, option("Channels, as a share of VGG-16's.", "--width", panel=PAINTING)] = 0.25,
    crop: Annotated[int, option("Side of the pictures' crops, px, a multiple of 16.", "--crop", panel=PAINTING)] = 128,
    batch: Annotated[int, option("Pictures of each kind a step, over all processes.", "--batch", panel=PAINTING)] = 6,
    rate: learn.Rate = 1e-3,
    seed: learn.Seed = 0,
    start: Annotated[
        str, option("Begin with the weights of this encoder.", "--start", panel=PAINTING, metavar="FILE", default=False)
    ] = "",
    force: learn.Force = False,
    resume: learn.Resume = False,
    preview: Preview = "",
    device: learn.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Train an encoder on your own pictures, for --encoder: hours, not minutes.

    impasto train-encoder --content photos --style paintings -o mine.safetensors --teacher vgg16 --time 3h

    impasto image photo.jpg --style painting.jpg --encoder mine.safetensors -o out.png
    """
    chief, quiet = learn.spokesman(quiet)
    out, state = Path(output), Path(f"{output}.state.safetensors")
    preview = preview or str(out.with_suffix(".layers.png"))
    limit = words.parse_time(time) or math.inf
    learn.check_files(out, state, force=force, resume=resume, preview=preview)
    _check(out, state, force=force, resume=resume, start=start)
    place = learn.shared_device(device)
    from impasto.fast.encoder import Schooling, Settings

    settings = Settings(width=width, teacher=teacher, crop=crop, batch=batch, rate=rate, seed=seed)
    schooling = Schooling(settings, content, style, place)
    if start:
        schooling.start(Path(start))
    limits = {"seconds": limit, "count": steps or None, "resume": resume}
    finished = learn.follow(
        schooling, out, state, limits, preview=preview if chief else "", quiet=quiet, label="encoder", told=True
    )
    schooling.part()
    if chief:
        facts = learn.facts(schooling, finished)
        report.result(out, {**facts, "recognition": _compare(out, quiet)}, as_json=as_json)
    return learn.end(finished, out, quiet)


def _check(out: Path, state: Path, *, force: bool, resume: bool, start: str) -> None:
    """Find out before any work what would go wrong in the end.

    Raises:
        UsageError: nothing to go on with, two beginnings.
        OutputExists: curves of other work are there.
    """
    if resume and not state.exists():
        raise UsageError(f"there is nothing to go on with: no {state}; --start {out} begins with the weights of an encoder")
    if resume and start:
        raise UsageError("--resume goes on from a state and --start begins with weights: give one of them")
    curves = out.with_suffix(".curves.csv")
    if curves.exists() and not (force or resume):
        raise OutputExists(f"{curves}, where the curves go, exists already: --force replaces it")


def _compare(out: Path, quiet: bool) -> dict[str, Any]:
    """Say what is recognized, and by whom."""
    from impasto.fast.encoder import table

    found = table(out)
    for name, row in found.items():
        report.say(
            f"{name:>12}: content {row['content_top1']:.0%}, style {row['style_top1']:.0%} recognized, "
            f"picture's error {row['picture_error']:.2f}",
            quiet=quiet,
        )
    return found
