"""Painting a clip: chunk by chunk, here or on many machines, and putting it together.

    made = plan(work)
    for step in render(work, made): ...
    for step in assemble(work, made, sink): ...

Finished frames are kept without loss (FFV1) in the work's folder, PIECE at a time, each file whole or not there. So work that
was stopped, or a machine that went down, loses less than a second of film, and who does what does not matter: the same
clip, look and plan give the same frames.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from impasto.errors import OutputError
from impasto.pixels import geometry
from impasto.types import Image, Mask
from impasto.video import flow, temporal
from impasto.video.flow import Bytes, Floats, Motion
from impasto.video.frame import Frame, Sink
from impasto.video.layers import Layers, image_of
from impasto.video.pace import Clock, Pace, Progress, ahead
from impasto.video.read import ClipSource, probe
from impasto.video.temporal import History
from impasto.video.work import Chunk, Plan, Work, as_frame, moment
from impasto.video.write import ClipSink

STOP = "stop"
"""A file in the work folder that asks all who work there to stop after the frame they are at."""
UNSEEN: Bytes = np.zeros((0, 0, 3), np.uint8)
"""The guide of a frame that is painted by itself: no motion is looked for in it."""


class Stopped(Exception):
    """Somebody asked to stop; what is finished is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame that was read, and how it follows from the one before."""

    content: Image
    seconds: float
    guide: Bytes
    motion: Motion | None
    masks: Mapping[str, Mask]


@dataclass(slots=True, eq=False)
class _Done:
    """A frame that was painted; without an image where it only lets the paint settle."""

    image: Image | None = None
    content: Image | None = None
    seconds: float = 0.0
    units: int = 1
    """0 where the work was done before."""


def render_chunk(work: Work, made: Plan, chunk: Chunk) -> int:
    """Paint what is not finished of a chunk; returns how many frames that was. Doing it twice does nothing.

    Raises:
        ImpastoError: a frame that cannot be read, or finished ones that cannot be written.
        Stopped: the work was asked to stop.
    """
    count = 0
    for done in _chunk(work, made, chunk, Clock()):
        count += done.image is not None
        if (work.folder / STOP).exists():
            raise Stopped
    return count


def render(work: Work, made: Plan, chunks: Sequence[Chunk] | None = None, clock: Clock | None = None) -> Iterator[Progress]:
    """Paint all chunks, or some, in this process; closing the generator stops it, and what is finished is kept.

    Raises:
        ImpastoError: a frame that cannot be read, or finished ones that cannot be written.
    """
    chosen = list(made.chunks if chunks is None else chunks)
    pace = Pace(work, chosen)
    with shared_cores(work):
        for done in chain.from_iterable(_chunk(work, made, chunk, clock or Clock()) for chunk in chosen):
            pace.passed(done.units, done.image is not None)
            shown = done.image
            if shown is not None and done.content is not None and not work.masks:
                shown = work.look.composed(done.content, shown, done.seconds, {})
            yield pace.step(shown)


def distribute(
    work: Work, made: Plan, executor: Executor, chunks: Sequence[Chunk] | None = None, *, every: float = 1.0
) -> Iterator[Progress]:
    """Paint all chunks, or some, on an executor: a process pool, or Dask's `Client.get_executor()`.

    Gives a step every so many seconds. Closing the generator asks all who work to stop after their frame, and waits for it.

    Raises:
        ImpastoError: what went wrong with one chunk; the others are finished first.
        BrokenExecutor: a worker was killed. What is finished is kept: call it again with another executor.
    """
    chosen = [chunk for chunk in (made.chunks if chunks is None else chunks) if work.missing(chunk)]
    pace = Pace(work, chosen)
    (work.folder / STOP).unlink(missing_ok=True)
    left = {executor.submit(render_chunk, work, made, chunk) for chunk in chosen}
    failed: BaseException | None = None
    try:
        while left:
            done, left = wait(left, timeout=every, return_when=FIRST_COMPLETED)
            failed = failed or next((error for future in done if (error := future.exception()) is not None), None)
            pace.seen(sum(stop - start for chunk in chosen for start, stop in work.missing(chunk)))
            yield pace.step(None)
    finally:
        if left:
            (work.folder / STOP).touch()
            for future in left:
                future.cancel()
            wait(left)
            (work.folder / STOP).unlink(missing_ok=True)
    if failed is not None:
        raise failed


def _chunk(work: Work, made: Plan, chunk: Chunk, clock: Clock) -> Iterator[_Done]:
    """Paint what is not finished of a chunk, and keep it piece by piece."""
    if not work.missing(chunk):
        return
    state = _kept_state(work, chunk)
    begin = chunk.start if state is None else int(state["next"])
    painted = _both_ways(work, made, chunk, clock) if work.temporal == "smooth" else _one_way(work, made, chunk, state, clock)
    if not work.look.carries:  # there a frame takes so long that nobody wants to wait for two more
        painted = ahead(painted)
    for start, stop in chunk.pieces:
        if stop <= begin:
            continue
        with ClipSink(work.piece(start, stop), codec="ffv1", bits=work.bits, force=True) as sink:
            position = start
            while position < stop:
                done, known = next(painted)
                if done.image is not None:
                    with clock("writing"):
                        sink.write(as_frame(done.image, position - start, work.bits))
                    position += 1
                yield done
        if stop < chunk.stop and known is not None:
            _keep_state(work, chunk, stop, known)
    _state_file(work, chunk).unlink(missing_ok=True)


@contextmanager
def shared_cores(work: Work) -> Iterator[None]:
    """Half of the cores for painting, half for the motion that is found beside it: more threads only wait for each other."""
    if work.temporal == "off" or work.look.carries:
        yield
        return
    cv2, before = flow.library(), torch.get_num_threads()
    others = cv2.getNumThreads()
    torch.set_num_threads(max(1, before // 2))
    cv2.setNumThreads(max(1, before // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(others)


_Known = dict[str, Tensor]
"""All that has to be known to go on after a frame."""


def _one_way(
    work: Work, made: Plan, chunk: Chunk, state: Mapping[str, Tensor] | None, clock: Clock
) -> Iterator[tuple[_Done, _Known | None]]:
    """Frame after frame, each laid over the one before."""
    layers, first = Layers(work.look), chunk.first
    if state is not None:
        first = int(state["next"])
        layers.restore(state)
    frames = _seen(work, made, first, chunk.stop, None if layers.history is None else layers.history.guide, clock)
    for position, seen in enumerate(ahead(frames), first):
        with clock("painting"):
            if work.temporal == "off":
                image = layers.painter.paint(seen.content, seen.seconds, None, seen.masks)
            else:
                image = layers.paint(seen.content, seen.seconds, position - chunk.shot[0], seen.motion, seen.masks)
        if work.temporal != "off":
            with clock("motion"):
                image = image_of(layers.lay(image, seen.guide, seen.motion).painted)
        yield _Done(image, seen.content, seen.seconds) if position >= chunk.start else _Done(), layers.state()


def _seen(work: Work, made: Plan, start: int, stop: int, before: Bytes | None, clock: Clock) -> Iterator[_Seen]:
    """Frames with their motion from the one before, whose guide is `before`."""
    masks = work.masked(start, stop)
    frames = iter(work.frames(start, stop, made.peak))
    while True:
        with clock("reading"):
            frame = next(frames, None)
            if frame is None:
                return
            content, masked = work.seen(frame), next(masks)
        guide, motion = UNSEEN, None
        if work.temporal != "off":
            with clock("motion"):
                guide = flow.guide(content)
                motion = None if before is None else _motion(work, frame.number, 1, guide, before)
                before = guide
        yield _Seen(content, moment(frame), guide, motion, masked)


def _motion(work: Work, number: int, way: int, now: Bytes, other: Bytes) -> Motion:
    """Known motion, else estimated."""
    return flow.follow(now, other) if work.vectors is None else work.vectors.follow(number, way * work.step, now, other)


def _both_ways(work: Work, made: Plan, chunk: Chunk, clock: Clock) -> Iterator[tuple[_Done, _Known | None]]:
    """Forward through the chunk and what is around it, then back; what was painted waits in a file that has no name."""
    count = chunk.last - chunk.first
    with tempfile.TemporaryFile(dir=work.folder) as file:
        kept: Any = None
        guides: list[Bytes] = []
        ages: list[Floats] = []
        layers = Layers(work.look)
        frames = _seen(work, made, chunk.first, chunk.last, None, clock)
        for index, seen in enumerate(ahead(frames)):
            with clock("painting"):
                image = layers.paint(seen.content, seen.seconds, chunk.first + index - chunk.shot[0], seen.motion, seen.masks)
            with clock("motion"):
                history = layers.lay(image, seen.guide, seen.motion)
            if kept is None:
                kept = np.memmap(file, np.uint16, "w+", shape=(2, count, *history.painted.shape))
            kept[0, index], kept[1, index] = _packed(image[0].permute(1, 2, 0).numpy()), _packed(history.painted)
            guides.append(history.guide)
            ages.append(history.age)
            yield _Done(), None
        with clock("motion"):
            _back(work, chunk, kept, guides, ages)
        for index in range(chunk.start - chunk.first, chunk.stop - chunk.first):
            yield _Done(image_of(_unpacked(kept[1, index])), units=0), None


def _back(work: Work, chunk: Chunk, kept: Any, guides: Sequence[Bytes], ages: Sequence[Floats]) -> None:
    """From the end to the start, joined with what came forward, in its place."""
    history: History | None = None
    for index in reversed(range(len(guides))):
        own = _unpacked(kept[0, index])
        if history is None:
            history = temporal.begun(guides[index], own)
        else:
            motion = _motion(work, work.number(chunk.first + index), -1, guides[index], history.guide)
            history = temporal.continued(history, guides[index], own, motion)
        ahead = _unpacked(kept[1, index])
        kept[1, index] = _packed(temporal.joined(ahead, ages[index], history.painted, history.age))


def _packed(image: Floats) -> Any:
    return np.rint(image * 65535).astype(np.uint16)


def _unpacked(image: Any) -> Floats:
    found: Floats = image.astype(np.float32) / np.float32(65535)
    return found


def _state_file(work: Work, chunk: Chunk) -> Any:
    return work.folder / f"state-{chunk.start:08d}.safetensors"


def _keep_state(work: Work, chunk: Chunk, position: int, known: Mapping[str, Tensor]) -> None:
    path = _state_file(work, chunk)
    place = path.with_name(f".{path.name}")
    try:
        save_file({**{key: value.contiguous().clone() for key, value in known.items()}, "next": torch.tensor(position)}, place)
        place.replace(path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error


def _kept_state(work: Work, chunk: Chunk) -> dict[str, Tensor] | None:
    """What is known of the frames before the first that is not finished; None where the chunk is to be begun."""
    path = _state_file(work, chunk)
    if work.temporal == "smooth" or not path.exists():
        return None
    try:
        state = load_file(path)
    except (OSError, SafetensorError):
        return None
    there = all(work.piece(*piece).exists() for piece in chunk.pieces if piece[1] <= int(state["next"]))
    return state if there else None


def finished(work: Work, made: Plan) -> Iterator[Image]:
    """All painted frames, in order.

    Raises:
        OutputError: some are not finished.
    """
    gone = [piece for chunk in made.chunks for piece in work.missing(chunk)]
    if gone:
        count = sum(stop - start for start, stop in gone)
        raise OutputError(f"{count} of {made.frames} frames are not finished in {work.folder}: --resume paints them")
    for chunk in made.chunks:
        for piece in chunk.pieces:
            path = work.piece(*piece)
            yield from (frame.image for frame in ClipSource(path, probe(path)))


def assemble(work: Work, made: Plan, sink: Sink) -> Iterator[Progress]:
    """Put the finished frames together, with what is to stay of the content, and with all that the source holds beside them.

    Raises:
        OutputError: frames are missing, or it cannot be written.
    """
    painted = ahead(finished(work, made))
    parts = zip(work.frames(0, made.frames, made.peak), painted, work.masked(0, made.frames), strict=True)
    images = ((frame, composed(work, frame, image, masks)) for frame, image, masks in parts)
    begun = time.monotonic()
    with sink:
        for position, (frame, image) in enumerate(ahead(images), 1):
            sink.write(frame.with_image(image))
            rate = position / (time.monotonic() - begun)
            eta = (made.frames - position) / rate
            yield Progress(position, made.frames, eta=eta, size=(image.shape[-2], image.shape[-1]), rate=rate)


def composed(work: Work, frame: Frame, painted: Image, masks: Mapping[str, Any]) -> Image:
    """A painted frame with what is to stay of the content, and what lies under transparency."""
    content = work.seen(frame)
    image = work.look.composed(content, painted, moment(frame), masks)
    if frame.alpha is None:
        return image
    shape = (content.shape[-2], content.shape[-1])
    own = geometry.fit(frame.image, work.size)
    return torch.where(geometry.resize(frame.alpha, shape) > 0, image, own)
