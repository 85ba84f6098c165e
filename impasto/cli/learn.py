"""`impasto learn`: a filter of one's own, from one painting; and what it shares with `impasto train` and `train-encoder`."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import batch, options, report, watch, words
from impasto.cli.options import MACHINE, OUTPUT, PAINTING, option
from impasto.errors import OutputError, OutputExists, UsageError

if TYPE_CHECKING:
    from impasto.fast.learn import Learner
    from impasto.fast.loop import Loop

STOPPING = "stopping after this step and saving where it stands (once more: give it up at once)"
CPU_TIME, GPU_TIME = 480.0, 60.0
"""Seconds of learning where neither --time nor --steps is given."""
ENDING = 1.0
"""Seconds kept for leaving the process, whose memory takes that long to be given back."""

Photos = Annotated[
    list[Path],
    option(
        "A folder of photographs to learn on; repeat for more. Default: some that come with impasto.", "--photos", default=False
    ),
]
Output = Annotated[str, option("The file to write, FILE.safetensors.", "--output", "-o", panel=OUTPUT, metavar="FILE")]
Force = Annotated[bool, option("Replace the file and begin again.", "--force", "-f", panel=OUTPUT)]
Resume = Annotated[bool, option("Go on where it stopped, from the state beside the file.", "--resume", panel=OUTPUT)]
Preview = Annotated[
    str,
    option("Show how it paints in this file while it works.", "--preview", panel=OUTPUT, metavar="FILE", default=False),
]
Time = Annotated[
    str,
    option(
        "How long, start and end included (not with --resume): 90s, 10m. Default: 8m, on a GPU 1m.",
        "--time",
        metavar="TIME",
        default=False,
    ),
]
LongTime = Annotated[
    str, option("Train for this long: 90m, 3h. Default: until --steps or Ctrl-C.", "--time", metavar="TIME", default=False)
]
Steps = Annotated[int, option("Steps altogether; 0: as many as fit into the time.", "--steps", panel=PAINTING, min=0)]
Parts = Annotated[
    str, option("What is learned: all, or head for a file a third as large.", "--parts", panel=PAINTING, metavar="all|head")
]
Name = Annotated[str, option("The style's name. Default: after the file.", "--name", default=False)]
Title = Annotated[str, option("The painting's title, kept in the file.", "--title", default=False)]
Artist = Annotated[str, option("Who painted it.", "--artist", default=False)]
Year = Annotated[str, option("When.", "--year", default=False)]
Rights = Annotated[str, option("Who may do what with it: public domain, CC BY 4.0 ...", "--rights", default=False)]
Backbone = Annotated[
    str, option("A network to start from, made by impasto train.", "--backbone", panel=PAINTING, metavar="FILE", default=False)
]
Encoder = Annotated[
    str,
    option(
        "Network that judges the filter: vgg16, or a file: a VGG's .safetensors or .pth, or made by impasto train-encoder.",
        "--encoder",
        panel=PAINTING,
        metavar="NAME",
    ),
]
Rate = Annotated[float, option("Learning rate.", "--rate", panel=PAINTING)]
Seed = Annotated[int, option("Start of the random numbers.", "--seed")]
Device = Annotated[str, option("auto, cpu, cuda, cuda:1, mps.", "--device", panel=MACHINE)]
DEVICES = ("auto", "cpu", "cuda", "mps")
"""Devices of training by several processes: torchrun gives each its own."""


def learn(
    painting: Annotated[str, typer.Argument(help="The painting to learn from.", metavar="PAINTING")],
    *,
    photos: Photos = [],  # noqa: B006  # Typer's way; nobody changes it
    output: Output,
    time: Time = "",
    steps: Steps = 0,
    parts: Parts = "all",
    rate: Rate = 2e-3,
    seed: Seed = 0,
    name: Name = "",
    title: Title = "",
    artist: Artist = "",
    year: Year = "",
    rights: Rights = "",
    backbone: Backbone = "",
    encoder: Encoder = "vgg16",
    force: Force = False,
    resume: Resume = False,
    preview: Preview = "",
    device: Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Learn a filter for one painting: minutes once, then any picture in one pass.

    impasto learn painting.jpg --photos my-photos -o mine.safetensors
    """
    report.warnings = not quiet
    out, state = Path(output), Path(f"{output}.state.safetensors")
    limit = words.parse_time(time)
    check_files(out, state, force=force, resume=resume, preview=preview, read=painting)
    if resume and not state.exists():
        report.say(f"{out} is finished", quiet=quiet)
        report.result(out, {"finished": True}, as_json=as_json)
        return report.DONE
    told = {"title": title, "artist": artist, "year": int(year) if year.isdecimal() else year, "rights": rights}
    passport = {key: value for key, value in told.items() if value}
    wishes = {"parts": parts, "encoder": encoder, "name": name or plain(out.stem), "passport": passport, "device": device}
    learner = begin(painting, photos, backbone, rate=rate, seed=seed, **wishes)
    limits = {"seconds": limit or (math.inf if steps else usual_time(learner)), "count": steps or None, "resume": resume}
    if not photos:
        report.say(f"learning on the {learner.count} photographs that come with impasto; --photos takes yours", quiet=quiet)
    if force:
        state.unlink(missing_ok=True)
    finished = follow(learner, out, state, limits, preview=preview, quiet=quiet, label=learner.first.name)
    if finished:
        state.unlink(missing_ok=True)
    report.result(out, {"name": learner.first.name, **facts(learner, finished)}, as_json=as_json)
    return end(finished, out, quiet)


def begin(painting: str, photos: list[Path], backbone: str, *, rate: float, seed: int, **wishes: Any) -> Learner:
    """The learner of a painting, all that it reads being read.

    Raises:
        ImpastoError: something that it needs is missing, damaged or does not fit.
    """
    check_painting(painting)
    from dataclasses import replace

    from impasto.fast import learn as learning
    from impasto.pixels import geometry, io

    net = learning.backbone(Path(backbone) if backbone else None)
    picture = io.load(painting)
    image = picture.image if picture.alpha is None else geometry.fill(picture.image, picture.alpha)
    settings = replace(learning.SETTINGS, rate=rate, seed=seed)
    return learning.Learner(image, photos, net=net, settings=settings, **wishes)


def check_painting(painting: str) -> None:
    """A filter is learned from a painting's file, and not from a filter.

    Raises:
        UsageError: a filter's name, or its file.
    """
    from impasto.fast import style

    if Path(painting).suffix == ".safetensors":
        raise UsageError(f"{painting} is a file of weights: impasto learn takes the file of a painting, like painting.jpg")
    if style.is_style(painting) and style.plain(painting) in style.names():
        raise UsageError(
            f"{painting} is the name of a filter that is there already (--style {style.plain(painting)} paints with it): impasto "
            "learn takes the file of a painting, like painting.jpg"
        )


def spokesman(quiet: bool) -> tuple[bool, bool]:
    """Whether this is the one that speaks, of the processes that torchrun started, and whether it is quiet, warnings too."""
    chief = os.environ.get("RANK", "0") == "0"
    report.warnings = chief and not quiet
    return chief, not report.warnings


def shared_device(device: str) -> str | None:
    """The device of a training that may have several processes; None for what there is.

    Raises:
        UsageError: an unknown one, or one of several by its number.
    """
    if device not in DEVICES:
        raise UsageError(f"device {device!r} is not one of {', '.join(DEVICES)}: torchrun gives each process its own")
    return None if device == "auto" else device


def usual_time(training: Loop[Any, Any]) -> float:
    """Seconds to learn for where nothing is said."""
    return CPU_TIME if training.accelerator.device.type == "cpu" else GPU_TIME


def plain(text: str) -> str:
    """A name for a style: "My Painting (2)" -> "my-painting-2"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "style"


def check_files(out: Path, state: Path, *, force: bool, resume: bool, preview: str, read: str = "") -> None:
    """Find out before any work what would go wrong in the end.

    Raises:
        UsageError: no .safetensors file, nothing to go on with, --force and --resume, or a file that is read and written.
        OutputExists: a file is there, or an unfinished one.
        OutputError: it cannot be written there.
    """
    if out.suffix != ".safetensors":
        raise UsageError(f"{out} is not the name of a style or network: give -o FILE.safetensors")
    if force and resume:
        raise UsageError("--resume goes on and --force begins again: give one of them")
    if resume and not state.exists() and not out.exists():
        raise UsageError(f"there is nothing to go on with: neither {out} nor {state}; leave --resume out")
    if out.is_dir():
        raise OutputError(f"{out} is a folder: give a file name")
    if not force and not resume:
        if state.exists():
            raise OutputExists(f"{out} is unfinished: --resume goes on with it, --force begins again")
        if out.exists():
            raise OutputExists(f"{out} exists already: --force replaces it")
    if not out.parent.is_dir():
        raise OutputError(f"there is no folder {out.parent} to write {out.name} into: make it first")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into {out.parent}")
    if preview:
        _check_preview(preview, force, read)


def _check_preview(preview: str, force: bool, read: str) -> None:
    from impasto.pixels import io

    io.check_output(preview, force=True)
    if read and os.path.realpath(preview) == os.path.realpath(read):
        raise UsageError(f"{preview} is both read and written: give the preview another name")
    batch.check_ours(preview, force)


def follow(
    training: Loop[Any, Any],
    out: Path,
    state: Path,
    limits: Mapping[str, Any],
    *,
    preview: str,
    quiet: bool,
    label: str,
    told: bool = False,
) -> bool:
    """Take the steps, with a bar and previews; whether they were all made. Interrupted, the state is saved.

    The start-up counts as time too, and the end, but not with `resume`. `told`: say what each validation found.
    """
    previews = report.Previews(preview, seconds=0.0)
    spent = 0.0 if limits["resume"] else time.monotonic() - report.BEGUN + ENDING
    limits = {**limits, "seconds": max(1.0, limits["seconds"] - spent), "asked": limits["seconds"]}
    with report.deferred("" if quiet else STOPPING) as stop, closing(training.steps(out, state, **limits)) as steps:
        for step in report.progress(steps, quiet=quiet, label=label):
            if step.preview is not None:
                previews.show(partial(watch.picture, step.preview, verb="preview"))
                if told:
                    report.say(f"step {step.index}: best so far {training.state.best:.4f}", quiet=quiet)
            if training.agreed(float(stop.wanted)):
                return False
    return True


def facts(training: Loop[Any, Any], finished: bool) -> dict[str, Any]:
    """What JSON tells of a run."""
    state = training.state
    loss = round(state.best, 5) if math.isfinite(state.best) else None
    return {"finished": finished, "steps": state.step, "seconds": round(state.seconds, 1), "loss": loss}


def end(finished: bool, out: Path, quiet: bool) -> int:
    """The exit code.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    if finished:
        return report.DONE
    report.say(f"{out} is the best so far, --resume goes on with it", quiet=quiet)
    raise KeyboardInterrupt
