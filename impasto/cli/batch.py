"""Doing jobs: one picture or many, going on where it stopped, keeping what is there; of pictures and of all that is like them."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from impasto.cli import jobs, options, places, report
from impasto.cli.jobs import STDIN, Job, Plan
from impasto.cli.places import Places
from impasto.cli.shelf import Shelf
from impasto.errors import ImpastoError, OutputError, OutputExists, PictureError, UsageError
from impasto.paint.settings import Settings

if TYPE_CHECKING:
    from impasto.paint.image import Painting
    from impasto.paint.pictures import Stylized
    from impasto.types import Step

STOPPING = "stopping after this step and saving what there is (once more: give it up at once)"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How results are to be written and told of."""

    force: bool = False
    resume: bool = False
    preview: str = ""
    bits: int | None = None
    as_json: bool = False
    quiet: bool = False
    places: Places = field(default_factory=Places)


class Stateful(Protocol):
    """Work that can be gone on with."""

    def save_state(self, path: Path) -> None:
        """Write all that is needed to go on later."""


class Work(Stateful, Protocol):
    """What is made a step at a time, can be stopped and gone on with: a picture, a texture, a doodle."""

    def plan(self) -> str:
        """What will be done, in one line."""

    def steps(self) -> Iterator[Step]:
        """Do the work, a step at a time."""

    def result(self) -> Stylized:
        """What there is of it, at any time."""

    def load_state(self, path: Path) -> None:
        """Go on from what `save_state` wrote."""


def run(plan: Plan, settings: Settings, wishes: Wishes) -> int:
    """Do the jobs that are not done yet, one after the other; returns the exit code.

    Raises:
        ImpastoError: something is wrong that can be known before any work, or the only job failed.
        KeyboardInterrupt: it was interrupted, and what there was is saved.
    """
    from impasto.cli import contact

    _begin(wishes)
    left = replace(plan, jobs=tuple(job for job in plan.jobs if not _is_there(job, plan.batch, wishes, _facts(job))))
    code, made = _make_all(left, settings, wishes) if left.jobs else (report.DONE, 0)
    for file, group in plan.sheets.items():
        contact.write(file, group, wishes, anew=made > 0)
    return code


def due(job: Job, settings: Settings, wishes: Wishes, facts: Mapping[str, Any], shelf: Shelf) -> bool:
    """Whether the only job of a command is still to be done; a result that is finished is told of, with its `facts`.

    Raises:
        ImpastoError: something is wrong that can be known before any work.
    """
    _begin(wishes)
    if _is_there(job, False, wishes, facts):
        return False
    check(Plan((job,), False, {}), [settings], wishes, shelf)
    _check_begun(job, wishes)
    return True


def _begin(wishes: Wishes) -> None:
    report.warnings = not wishes.quiet
    if wishes.force and wishes.resume:
        raise UsageError("--resume goes on and --force begins again: give one of them")


def _check_begun(job: Job, wishes: Wishes) -> None:
    if job.unfinished and not wishes.resume and not wishes.force:
        raise OutputExists(f"{job.output} is unfinished: --resume goes on with it, --force begins again")


def _is_there(job: Job, batch: bool, wishes: Wishes, facts: Mapping[str, Any]) -> bool:
    """Whether a picture is finished and to be left alone, which is said."""
    if wishes.force or job.unfinished or not (batch or wishes.resume) or not job.there:
        return False
    if wishes.resume:
        report.result(job.output, {**facts, "finished": True}, as_json=wishes.as_json)
    else:
        report.say(f"{job.output} is there already, left as it is (--force makes it again)", quiet=wishes.quiet)
    return True


def _make_all(plan: Plan, settings: Settings, wishes: Wishes) -> tuple[int, int]:
    """Make pictures; in a batch one that fails does not stop the rest. Returns the exit code and how many were made."""
    shelf = Shelf()
    changed = [_changed(settings, job) for job in plan.jobs]
    check(plan, changed, wishes, shelf)
    failed, count = 0, len(plan.jobs)
    for position, (job, chosen) in enumerate(zip(plan.jobs, changed, strict=True)):
        try:
            begun = time.monotonic()
            _check_begun(job, wishes)
            painting = prepare(job, chosen, wishes, shelf, deadline(settings.time, count - position))
            make(job, painting, wishes, _facts(job), begun=begun, batch=plan.batch)
        except Exception as error:
            if not plan.batch:
                raise
            failed += 1
            report.failure(error, job.content)
    if failed:
        report.say(f"impasto: {failed} of {count} failed")
    return report.FAILED if failed else report.DONE, count - failed


def _changed(settings: Settings, job: Job) -> Settings:
    """The settings of one job of a sweep."""
    for name in job.swept:
        if name not in options.SETTINGS:
            raise UsageError(f"--sweep {name}: that is not a setting; settings are {', '.join(options.SETTINGS)}")
    return replace(settings, **{name: options.setting(name, value) for name, value in job.swept.items()})


def check(plan: Plan, settings: Sequence[Settings], wishes: Wishes, shelf: Shelf) -> None:
    """Find out before any work, and before anything is written, what would go wrong for every picture.

    Raises:
        ImpastoError: settings, styles, masks or outputs that cannot be.
    """
    if wishes.resume and plan.jobs[0].output == STDIN:
        raise UsageError("--resume needs a file: nothing is kept of a picture that goes to stdout")
    if wishes.places.show and len(plan.jobs) > 1:
        raise UsageError("--show-regions draws the regions of one picture: give one content, and no --each or --sweep")
    if plan.batch:
        for chosen in dict.fromkeys(settings):
            _check_settings(chosen)
    for word in dict.fromkeys(word for job in plan.jobs for word in job.styles):
        shelf.style(word)
    for source in [*wishes.places.masks.values(), *wishes.places.style_maps, wishes.places.content_map]:
        if source:
            shelf.open(source)
    _check_outputs(plan, wishes)


def _check_settings(settings: Settings) -> None:
    """What `Settings` itself does not know: names of losses, layers and devices."""
    from impasto import device
    from impasto.features import encoders
    from impasto.paint import memory, objective
    from impasto.pixels import geometry

    geometry.parse_size(settings.size)
    memory.parse(settings.max_memory)
    objective.style_loss(settings.style_loss)
    device.choose(settings.device, settings.precision)
    encoder = encoders.load(settings.encoder, pooling=settings.pooling)
    encoder.check([*settings.style_layers, *settings.content_layers])


def _check_outputs(plan: Plan, wishes: Wishes) -> None:
    from impasto.cli import contact
    from impasto.pixels import io

    if plan.batch:
        for job in plan.jobs:
            jobs.make_folder(job.output)
    _check_inputs(plan, wishes)
    for job in plan.jobs:
        io.check_output(job.output, wishes.force or job.unfinished, wishes.bits)
        if wishes.resume and not plan.batch and not job.unfinished:
            raise UsageError(f"there is nothing to go on with: neither {job.output} nor {job.state}; leave --resume out")
    for sheet in plan.sheets:
        io.check_output(sheet, wishes.force or contact.is_sheet(sheet))
    for drawn in filter(None, [wishes.preview, wishes.places.show]):
        io.check_output(drawn, force=True)
        check_ours(drawn, wishes.force)


def _check_inputs(plan: Plan, wishes: Wishes) -> None:
    """Nothing that is written may be something that is read, nor a preview the result.

    Raises:
        UsageError: one is.
    """
    where = wishes.places
    read = [job.content for job in plan.jobs] + [word.source for job in plan.jobs for word in job.styles]
    read += [*where.masks.values(), *where.style_maps, where.content_map]
    outputs = [job.output for job in plan.jobs if job.output != STDIN]
    drawn = [file for file in (wishes.preview, where.show) if file]
    check_apart(read, [*outputs, *plan.sheets, *drawn])
    for file in drawn:
        if os.path.realpath(file) in {os.path.realpath(output) for output in outputs}:
            raise UsageError(f"{file} is the result too: give the preview another name")


def check_apart(read: Iterable[str], written: Iterable[str]) -> None:
    """Nothing that is written may be something that is read; "" and - are neither. Links count as what they lead to.

    Raises:
        UsageError: one is.
    """
    inputs = {os.path.realpath(file) for file in read if file and file != STDIN}
    for file in written:
        if file and file != STDIN and os.path.realpath(file) in inputs:
            raise UsageError(f"{file} is both read and written: give the result another name")


def check_ours(file: str, force: bool) -> None:
    """Previews are replaced all the time, so they must not stand where a picture of the user's own does.

    Raises:
        OutputExists: one does.
    """
    from impasto.pixels import recipe

    try:
        ours = not Path(file).exists() or recipe.read(file) is not None
    except PictureError:
        ours = False
    if not (ours or force):
        raise OutputExists(f"{file} exists already and was not made by impasto: --force replaces it")


def deadline(seconds: float, left: int = 1) -> float:
    """By when the next result must be written, of a command that has so many seconds (0: any), start included.

    The time is shared evenly by the results that are `left`.
    """
    if not seconds:
        return math.inf
    now = time.monotonic()
    return now + (report.BEGUN + seconds - now) / left


def make(
    job: Job,
    painting: Work,
    wishes: Wishes,
    facts: Mapping[str, Any],
    *,
    begun: float,
    batch: bool = False,
    beside: Callable[[Stylized], Mapping[str, list[str]]] | None = None,
) -> None:
    """Do the work of a job and write the result; interrupted, what there is of it and the state.

    `facts`: what JSON tells of it besides. `begun`: `time.monotonic()` when the job was. `batch`: whether there are others, so
    that messages name this one. `beside`: writes what goes beside a finished result; the files, by their name in JSON.

    Raises:
        ImpastoError: the work went wrong, or cannot be gone on with or written.
        KeyboardInterrupt: it was interrupted.
    """
    if job.unfinished and wishes.resume and job.state:
        _go_on(painting, job.state, batch)
    with report.deferred("" if wishes.quiet else STOPPING) as stop:
        report.say(f"{job.content}: {painting.plan()}" if batch else painting.plan(), quiet=wishes.quiet)
        finished = _work(painting, wishes, stop)
        if not finished and job.state:
            keep_state(painting, job.state)
        made = painting.result()
        path = made.save(job.output, bits=wishes.bits, force=wishes.force or job.unfinished)
        files = beside(made) if finished and beside else {}
        if finished and job.state:
            job.state.unlink(missing_ok=True)
        told = {"finished": finished, "seconds": round(time.monotonic() - begun, 2), "steps": made.recipe["settings"]["steps"]}
        report.result(path, {**facts, **files, **told}, as_json=wishes.as_json)
        for file in [] if wishes.as_json else itertools.chain(*files.values()):
            report.out(file)
    if stop.wanted:
        if job.unfinished:
            report.say(f"{path} is unfinished, --resume goes on with it", quiet=wishes.quiet)
        raise KeyboardInterrupt


def _facts(job: Job) -> dict[str, Any]:
    return {"content": job.content, "styles": [word.source for word in job.styles], **({"swept": job.swept} if job.swept else {})}


def prepare(job: Job, settings: Settings, wishes: Wishes, shelf: Shelf, deadline: float) -> Painting:
    """The painting of a job, with all that its recipe says of it."""
    from impasto import still

    picture, names = shelf.open(job.content)
    styles = [shelf.style(word) for word in job.styles]
    arguments, more = places.arrange(wishes.places, picture, job.styles, styles, shelf)
    if wishes.places.show:
        _show(wishes.places.show, picture, styles, arguments["regions"], wishes)
    bits = {} if wishes.bits is None else {"bits": wishes.bits}
    return still.painting(picture, styles, settings, deadline=deadline, names={"content": names, **more, **bits}, **arguments)


def _show(file: str, content: Any, styles: Sequence[Any], found: Sequence[Any], wishes: Wishes) -> None:
    """Draw the regions and their pairing."""
    import impasto
    from impasto.paint import pairing
    from impasto.pixels import io

    drawn = pairing.show(content.image, [style.open("--show-regions").image for style in styles], found)
    io.save(io.load(drawn), file, recipe={"version": impasto.__version__, "verb": "regions"}, force=True)
    report.say(f"regions drawn to {file}", quiet=wishes.quiet)


def _go_on(painting: Work, state: Path, batch: bool) -> None:
    try:
        painting.load_state(state)
    except UsageError as error:
        if not batch:
            raise
        raise OutputError(str(error)) from error  # of this picture alone, not of the whole command


def keep_state(painting: Stateful, state: Path, what: str = "picture") -> None:
    """Save the state before the result, `what` it is: one without a state counts as finished."""
    try:
        painting.save_state(state)
    except ImpastoError as error:
        report.say(f"impasto: {report.one_line(error)}; the {what} can be saved but not gone on with")


def _work(painting: Work, wishes: Wishes, stop: report.Stop) -> bool:
    """Take the steps, with a bar and previews; whether they were all made."""
    previews = report.Previews(wishes.preview)
    for _ in report.progress(painting.steps(), quiet=wishes.quiet):
        if stop.wanted:
            return False
        previews.show(lambda file: painting.result().save(file, force=True))
    return True
