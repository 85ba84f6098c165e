"""`impasto train`: the network behind all filters, from folders of photographs and paintings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from impasto.cli import learn, options, report, words
from impasto.cli.options import OUTPUT, PAINTING, option
from impasto.errors import UsageError

Photos = Annotated[list[Path], option("A folder of photographs; repeat for more.", "--photos", default=False)]
Styles = Annotated[list[Path], option("A folder of paintings; repeat for more.", "--styles", default=False)]


def train(
    *,
    photos: Photos,
    styles: Styles,
    output: learn.Output,
    time: learn.LongTime = "",
    steps: learn.Steps = 0,
    net: Annotated[str, option("Which network: any, any-wide.", "--net", panel=PAINTING)] = "any",
    crop: Annotated[int, option("Side of the photographs' crops, px, a multiple of 16.", "--crop", panel=PAINTING)] = 128,
    batch: Annotated[int, option("Photographs a step, over all processes.", "--batch", panel=PAINTING)] = 4,
    rate: learn.Rate = 2e-3,
    seed: learn.Seed = 0,
    state: Annotated[
        str, option("Where its state is. Default: beside the output.", "--state", panel=OUTPUT, metavar="FILE", default=False)
    ] = "",
    force: learn.Force = False,
    resume: learn.Resume = False,
    preview: learn.Preview = "",
    device: learn.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Train the network that paints in any style, from folders: hours, not minutes.

    impasto train --photos photos --styles paintings -o any.safetensors --time 3h

    On several GPUs: torchrun --nproc-per-node 2 -m impasto train ...
    """
    chief, quiet = learn.spokesman(quiet)
    out, kept = Path(output), Path(state or f"{output}.state.safetensors")
    limit = words.parse_time(time) or math.inf
    learn.check_files(out, kept, force=force, resume=resume, preview=preview)
    if resume and not kept.exists():
        raise UsageError(f"there is nothing to go on with: no {kept}; leave --resume out")
    place = learn.shared_device(device)
    from impasto.fast.course import Settings
    from impasto.fast.train import Teacher

    settings = Settings(net=net, crop=crop, batch=batch, rate=rate, seed=seed)
    teacher = Teacher(settings, photos, styles, place)
    limits = {"seconds": limit, "count": steps or None, "resume": resume}
    finished = learn.follow(teacher, out, kept, limits, preview=preview if chief else "", quiet=quiet, label=net, told=True)
    teacher.part()
    if chief:
        report.result(out, learn.facts(teacher, finished), as_json=as_json)
    return learn.end(finished, out, quiet)
