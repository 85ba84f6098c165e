"""`impasto video`: clips and image sequences painted like paintings, steady while they move."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import footage, options, report, watch
from impasto.cli.footage import Wanted
from impasto.cli.shelf import Shelf
from impasto.errors import OutputError, OutputExists, UsageError

if TYPE_CHECKING:
    from impasto.video.frame import Sink
    from impasto.video.work import Chunk, Plan, Work

FILM = "Film"
STOPPING = "stopping after this frame, what is finished is kept (once more: at once)"

Content = Annotated[
    str, typer.Argument(help="A clip, a sequence (shot.%04d.exr, shot.####.png), or a folder of one.", metavar="CLIP")
]
Styles = Annotated[
    list[str],
    options.option(
        "A picture to paint like, a filter's name (impasto styles list) or file; repeat to mix. With @TIME the style moves "
        "from one to the next. PLACE is a mask's name.",
        "--style",
        "-s",
        metavar="[PLACE=]SOURCE[:WEIGHT][@TIME]",
        default=False,
    ),
]
Strength = Annotated[
    str, options.option("How much style, 0 to 1, also over time: 0@0s,1@4s.", "--strength", metavar="N|N@TIME,...")
]
Masks = Annotated[
    list[str],
    options.option(
        "Where in the clip, a picture or a clip: white is there. keep: leave it as it is; strength: how much of the painting; "
        "another name is the place of a --style.",
        "--mask",
        panel=options.REGIONS,
        metavar="NAME=FILE",
        default=False,
    ),
]
Output = Annotated[
    str,
    options.option(
        "Where to: a clip by its suffix (.mp4, .mov, .mkv, .webm), a sequence (out.####.png), or a folder/.",
        "--output",
        "-o",
        panel=options.OUTPUT,
        metavar="FILE",
    ),
]
Temporal = Annotated[
    str,
    options.option(
        "How paint is kept steady: off (each frame by itself), fast (one way), smooth (both ways, slower).",
        "--temporal",
        panel=FILM,
        metavar="off|fast|smooth",
    ),
]
Frames = Annotated[
    str, options.option("These frames only: 1001-1100.", "--frames", panel=FILM, metavar="FIRST-LAST", default=False)
]
Rate = Annotated[str, options.option("Frames per second of a sequence; 24.", "--rate", panel=FILM, metavar="N", default=False)]
FlowFolder = Annotated[
    str,
    options.option(
        "Motion from a renderer instead of estimated: a folder of .flo files, or .exr with channels backward.u, backward.v.",
        "--flow",
        panel=FILM,
        metavar="FOLDER",
        default=False,
    ),
]
Codec = Annotated[
    str,
    options.option("h264, h265-10, prores, prores4444, ffv1, vp9; else by suffix.", "--codec", panel=FILM, default=False),
]
Workers = Annotated[int, options.option("Processes that share the work.", "--workers", panel=options.MACHINE, metavar="N")]
Shard = Annotated[
    str,
    options.option(
        "Paint only the I-th of N shares into the work folder; --resume puts them together.",
        "--shard",
        panel=options.MACHINE,
        metavar="I/N",
        default=False,
    ),
]
Cluster = Annotated[
    str,
    options.option(
        "Paint on a Dask cluster that sees the same folders: tcp://host:8786, or local.",
        "--cluster",
        panel=options.MACHINE,
        metavar="ADDRESS",
        default=False,
    ),
]
WorkFolder = Annotated[
    str,
    options.option(
        "Where finished frames wait; FILE.parts beside the output.",
        "--work",
        panel=options.MACHINE,
        metavar="FOLDER",
        default=False,
    ),
]
Size = Annotated[str, options.option("Long edge in px, WIDTHxHEIGHT, or full.", "--size", metavar="N|WxH|full")]
Quality = Annotated[
    str,
    options.option(
        "draft: one frame in four at half size; good: all, by filters; best: by the optimizer, seconds a frame.",
        "--quality",
        metavar="draft|good|best",
    ),
]
Color = Annotated[str, options.option("Keep the clip's colors.", "--preserve-color", metavar="off|luminance|match|histogram")]
Seed = Annotated[int, options.option("Start of the random numbers; filters have none.", "--seed")]
Device = Annotated[str, options.option("auto, cpu, cuda, cuda:1, mps.", "--device", panel=options.MACHINE)]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the work is to be done and told of."""

    force: bool = False
    resume: bool = False
    preview: str = ""
    as_json: bool = False
    quiet: bool = False
    workers: int = 1
    shard: str = ""
    cluster: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for wishes that do not go together."""
        if self.force and self.resume:
            raise UsageError("--resume goes on and --force begins again: give one of them")
        if self.force and self.shard:
            raise UsageError("--force would throw away what other shards painted: delete work folder or output instead")
        if self.workers < 1:
            raise UsageError(f"--workers {self.workers}: 1 at least")
        if self.cluster and self.workers > 1:
            raise UsageError("--cluster has its own workers: leave --workers out")


def video(
    content: Content,
    output: Output,
    style: Styles = [],  # noqa: B006  # Typer's way; nobody changes it
    size: Size = "512",
    quality: Quality = "good",
    strength: Strength = "1",
    preserve_color: Color = "off",
    seed: Seed = 0,
    temporal: Temporal = "fast",
    frames: Frames = "",
    rate: Rate = "",
    flow: FlowFolder = "",
    codec: Codec = "",
    mask: Masks = [],  # noqa: B006
    force: options.Force = False,
    resume: options.Resume = False,
    preview: options.Preview = "",
    bits: options.Bits = 0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = "",
    workers: Workers = 1,
    shard: Shard = "",
    cluster: Cluster = "",
    work: WorkFolder = "",
    device: Device = "auto",
) -> int:
    """Paint a clip or an image sequence, steady while it moves.

    impasto video clip.mp4 --style starry-night -o out.mp4
    """
    report.warnings = not quiet
    wishes = Wishes(force, resume, preview, as_json, quiet, workers, shard, cluster)
    footage.check_output(output)
    styles = tuple(footage.parse_style(text) for text in style)
    wanted = Wanted(
        content, styles, output, footage.parse_masks(mask), flow, temporal, frames, rate, size, quality, strength,
        preserve_color, seed, device, codec, bits or None, work,
    )  # fmt: skip
    return _run(wanted, wishes)


def _run(wanted: Wanted, wishes: Wishes) -> int:
    """Paint, and put together; interrupted, what is finished is kept.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    begun, shelf = time.monotonic(), Shelf()
    if wishes.resume and not wishes.shard and Path(wanted.output).is_file() and not wanted.folder.exists():
        report.result(wanted.output, {"content": wanted.content, "finished": True}, as_json=wishes.as_json)
        return report.DONE
    work = footage.work(wanted, shelf)
    footage.check_files(wanted, work, wishes.preview, wishes.force)
    sink = _sink(wanted, work, wishes, shelf)
    if not wishes.shard and wishes.resume and not work.folder.exists() and sink.finished.issuperset(_numbers(work)):
        report.result(wanted.output, {"content": wanted.content, "finished": True}, as_json=wishes.as_json)
        return report.DONE
    with report.deferred("" if wishes.quiet else STOPPING) as stop:
        made = _planned(work, wishes, stop)
        chunks = _share(made, wishes)
        try:
            watch.drive(_painting(work, made, chunks, wishes), "painting", stop, wishes.quiet, wishes.preview)
            if not wishes.shard:
                watch.drive(_assembling(work, made, sink), "writing", stop, wishes.quiet)
        except KeyboardInterrupt:
            report.say(f"what is finished is in {work.folder}, --resume goes on with it", quiet=wishes.quiet)
            raise
    seconds = time.monotonic() - begun
    facts = {"content": wanted.content, "frames": made.frames, "shots": len(made.shots), "seconds": round(seconds, 2)}
    facts |= {"styles": [timed.word.source for timed in wanted.styles], "finished": not wishes.shard}
    if wishes.shard:
        report.result(work.folder, facts, as_json=wishes.as_json)
        return report.DONE
    _tidy(work)
    height, width = work.shape
    report.say(f"{made.frames} frames of {width} x {height} px, {made.frames / seconds:.1f} a second", quiet=wishes.quiet)
    report.result(wanted.output, facts, as_json=wishes.as_json)
    return report.DONE


def _tidy(work: Work) -> None:
    """Take away finished frames that are in the clip now; should that fail, the clip is there all the same."""
    from impasto.video.work import clear

    try:
        clear(work.folder)
    except OutputError as error:
        report.say(f"impasto: {report.one_line(error)}")


def _numbers(work: Work) -> range:
    return range(work.source.first, work.source.first + len(work.source), work.step)


def _sink(wanted: Wanted, work: Work, wishes: Wishes, shelf: Shelf) -> Sink:
    """Where the clip goes, checked before any work. What is there may be replaced if --force said so when the work began.

    Raises:
        OutputExists: something is there that may not be replaced.
    """
    from impasto.video.io import open_sink
    from impasto.video.work import replaces

    goes_on = wishes.resume or bool(wishes.shard)
    replacing = goes_on and replaces(work.folder)
    if goes_on and not replacing and Path(wanted.output).is_file():
        raise OutputExists(f"{wanted.output} exists already, and work begun without --force may not replace it: move it away")
    return open_sink(
        wanted.output,
        like=work.source,
        codec=wanted.codec or None,
        recipe=recipe(wanted, work, shelf),
        bits=wanted.bits,
        force=wishes.force or replacing,
        resume=wishes.resume and not replacing,
    )


def recipe(wanted: Wanted, work: Work, shelf: Shelf) -> dict[str, Any]:
    """All that is needed to paint the clip again."""
    import torch

    import impasto

    styles = footage.styles(wanted.styles, shelf)
    masks = {"masks": dict(wanted.masks)} if wanted.masks else {}
    found = {"version": impasto.__version__, "torch": torch.__version__, "verb": "video", "settings": wanted.settings()}
    bits = {} if wanted.bits is None else {"bits": wanted.bits}
    return {**found, "content": {"source": wanted.content}, **work.names, **masks, **bits, "styles": styles}


def _planned(work: Work, wishes: Wishes, stop: report.Stop) -> Plan:
    """The plan that is kept in the work folder, or a new one.

    Raises:
        OutputExists: there is unfinished work, and nothing was said about it.
        UsageError: there is none to go on with, or it is of other work.
    """
    from impasto.video.work import PAINTED, clear, held, keep_plan, kept_plan, looked_through

    cleared = wishes.force and clear(work.folder)
    kept = kept_plan(work)
    if kept is None and wishes.resume and not wishes.shard:
        raise UsageError(f"there is nothing to go on with: no finished frames in {work.folder}; leave --resume out")
    if kept is None and not cleared and held(work.folder):
        kept = kept_plan(work)  # another share may have kept its plan since we looked
        if kept is None:
            raise OutputExists(f"{work.folder} is not empty and holds no work of ours: give another folder as --work")
    if kept is not None:
        if not (wishes.resume or wishes.shard) and held(work.folder, PAINTED):
            raise OutputExists(f"{work.folder} holds unfinished work: --resume goes on with it, --force begins again")
        return kept
    looking, count = looked_through(work), len(work.source) // work.step
    told = time.monotonic()
    while True:
        try:
            done = next(looking)
        except StopIteration as end:
            made: Plan = end.value
            keep_plan(work, made, replaces=wishes.force)
            return made
        if stop.wanted:
            raise KeyboardInterrupt
        if time.monotonic() - told > report.LINE_SECONDS:
            told = time.monotonic()
            report.say(f"looking for shots: frame {done} of {count}", quiet=wishes.quiet)


def _share(made: Plan, wishes: Wishes) -> list[Chunk]:
    from impasto.video import spread

    return spread.shard(made, wishes.shard) if wishes.shard else list(made.chunks)


def _painting(work: Work, made: Plan, chunks: list[Chunk], wishes: Wishes) -> Iterator[Any]:
    """The steps of painting: here, in several processes, or on a cluster."""
    from impasto.video import spread
    from impasto.video.render import distribute, render

    if wishes.cluster:
        with spread.cluster(wishes.cluster) as executor:
            yield from distribute(work, made, executor, chunks)
    elif wishes.workers > 1:
        yield from spread.pooled(work, made, wishes.workers, chunks)
    else:
        yield from render(work, made, chunks)


def _assembling(work: Work, made: Plan, sink: Sink) -> Iterator[Any]:
    from impasto.video.render import assemble

    return assemble(work, made, sink)
