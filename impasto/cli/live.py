"""`impasto live`: what a camera sees, or a clip, painted while one watches."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import batch, footage, options, report, video
from impasto.cli.footage import TimedWord
from impasto.cli.shelf import Shelf
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.types import Image
    from impasto.video.frame import Frame
    from impasto.video.look import Filters

CLOCK = Fraction(1, 1000)
"""Unit of the times that frames of a camera are written with, s."""
TITLE = "impasto live"

Eye = Annotated[str, typer.Argument(help="A camera's number, or a clip.", metavar="[CAMERA|CLIP]")]
Styles = Annotated[
    list[str],
    options.option(
        "A picture to paint like, a filter's name or file; repeat to mix.",
        "--style",
        "-s",
        metavar="SOURCE[:WEIGHT][@TIME]",
        default=False,
    ),
]
Output = Annotated[
    str,
    options.option(
        "Write a clip instead of opening a window.", "--output", "-o", panel=options.OUTPUT, metavar="FILE", default=False
    ),
]
Temporal = Annotated[str, options.option("How paint is kept steady: off or fast.", "--temporal", metavar="off|fast")]
Time = Annotated[str, options.option("Stop after this time: 60s, 5m.", "--time", metavar="TIME", default=False)]


def live(
    eye: Eye = "0",
    style: Styles = [],  # noqa: B006  # Typer's way; nobody changes it
    size: video.Size = "320",
    strength: video.Strength = "1",
    temporal: Temporal = "fast",
    time: Time = "",
    output: Output = "",
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    device: video.Device = "auto",
) -> int:
    """Paint what a camera sees, or a clip, while you watch. Q or Esc ends it.

    impasto live --style starry-night
    """
    from impasto.cli import words
    from impasto.pixels import geometry
    from impasto.video.live import Easel

    report.warnings = not quiet
    footage.check_output(output)
    if temporal not in ("off", "fast"):
        raise UsageError(f"--temporal {temporal!r} is not one of off, fast: what comes next is not known")
    limit, fitted = words.parse_time(time), geometry.parse_size(size)
    timed = [footage.parse_style(text) for text in style]
    _check_files(eye, timed, output)
    shelf = Shelf()
    easel = Easel(_look(timed, shelf, strength, fitted, device), fitted, temporal == "fast")
    told = _recipe(eye, footage.styles(timed, shelf), {"size": size, "strength": strength, "temporal": temporal})
    with report.deferred("" if quiet else "stopping") as stop, _target(output, eye, force, told) as show:
        count = _run(_frames(eye), easel, show, stop, limit)
    facts = {"frames": count, "frames a second": round(easel.rate, 1)}
    report.say(f"{count} frames, {easel.rate:.1f} a second", quiet=quiet)
    if output:
        report.result(output, facts, as_json=as_json)
    elif as_json:
        report.out(json.dumps({"output": None, **facts}))
    if stop.wanted:
        raise KeyboardInterrupt
    return report.DONE


def _is_camera(eye: str) -> bool:
    return eye.isdigit() and not Path(eye).exists()


def _check_files(eye: str, timed: Sequence[TimedWord], output: str) -> None:
    """Nothing that is written may be something that is read.

    Raises:
        UsageError: it is.
    """
    from impasto.video.io import open_source, target
    from impasto.video.sequence import SequenceSource

    read = [*([] if _is_camera(eye) else [eye]), *(each.word.source for each in timed)]
    source = open_source(eye) if output and not _is_camera(eye) else None
    into = target(output, source) if output else None
    batch.check_apart(read, [] if into else [output])
    own = source.pattern if isinstance(source, SequenceSource) else None
    if into and (any(map(into.holds, read)) or (own is not None and into.meets(own))):
        raise UsageError(f"{output} is both read and written: give the result another name")


def _recipe(eye: str, styles: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a clip tells of how it was made. A camera's pictures come once, so it is no recipe for the same again."""
    import torch

    import impasto

    source = f"camera {eye}" if _is_camera(eye) else eye
    told = {"version": impasto.__version__, "torch": torch.__version__, "verb": "live", "settings": dict(settings)}
    return {**told, "content": {"source": source}, "styles": list(styles)}


def _look(timed: Sequence[TimedWord], shelf: Shelf, strength: str, size: Any, device: str) -> Filters:
    from impasto import device as devices
    from impasto.video import curve
    from impasto.video.look import Filters, Timed, learned

    if not timed:
        raise UsageError("no style: give --style FILE")
    edge = max(size) if isinstance(size, tuple) else size or 512
    known = learned([shelf.style(each.word) for each in timed], edge)
    styles = tuple(Timed(found, each.word.weight, each.moment, each.word.place) for found, each in zip(known, timed, strict=True))
    return Filters(styles, curve.strength(strength), device=str(devices.choose(device)[0]))


def _frames(eye: str) -> Iterator[Frame]:
    """A clip's frames, or a camera's with the time that has passed."""
    from impasto.pixels.picture import Picture
    from impasto.video.frame import Frame
    from impasto.video.io import open_source
    from impasto.video.live import camera

    if not _is_camera(eye):
        yield from open_source(eye)
        return
    begun = time.monotonic()
    for number, image in enumerate(camera(int(eye))):
        yield Frame(number, Picture(image), round((time.monotonic() - begun) / CLOCK), CLOCK)


def _run(frames: Iterator[Frame], easel: Any, show: Callable[[Frame, float], bool], stop: report.Stop, limit: float) -> int:
    begun, count = time.monotonic(), 0
    for frame in frames:
        painted: Image = easel.paint(frame.image, float(frame.time))
        count += 1
        if not show(replace(frame.with_image(painted)), easel.rate) or stop.wanted:
            break
        if limit and time.monotonic() - begun > limit:
            break
    return count


def _target(output: str, eye: str, force: bool, recipe: Mapping[str, Any]) -> Any:
    """Where painted frames go: called with a frame and the rate, it says whether to go on."""
    return _Film(output, eye, force, recipe) if output else nullcontext(window())


class _Film:
    """A clip that is written, and finished also when it is stopped."""

    def __init__(self, output: str, eye: str, force: bool, recipe: Mapping[str, Any]) -> None:
        from impasto.video.io import open_sink, open_source

        like = None if _is_camera(eye) else open_source(eye)
        self.sink = open_sink(output, like=like, recipe=recipe, force=force)

    def __enter__(self) -> Callable[[Frame, float], bool]:
        self.sink.__enter__()
        return self.show

    def __exit__(self, *error: Any) -> None:
        self.sink.__exit__(*error)

    def show(self, frame: Frame, rate: float) -> bool:
        self.sink.write(frame)
        return True


def window() -> Callable[[Frame, float], bool]:
    """A window; what it is called with is shown in it, until it is closed.

    Raises:
        UsageError: there is no screen.
    """
    try:
        import tkinter

        from PIL import ImageTk
    except ImportError as error:
        raise UsageError(f"no window can be opened here, Python came without Tk ({error}): give -o FILE") from error
    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise UsageError(f"no window can be opened here ({error}): give -o FILE") from error
    label = tkinter.Label(root)
    label.pack()
    opened = [True]

    def close(_event: object = None) -> None:
        opened[0] = False

    root.protocol("WM_DELETE_WINDOW", close)
    for key in ("q", "<Escape>"):
        root.bind(key, close)

    def show(frame: Frame, rate: float) -> bool:
        picture = ImageTk.PhotoImage(frame.picture.pil())
        label.configure(image=picture)
        label.image = picture  # type: ignore[attr-defined]  # Tk keeps no reference of its own
        root.title(f"{TITLE}  {rate:.1f} frames a second")
        root.update()
        if not opened[0]:
            root.destroy()
        return opened[0]

    return show
