"""The loop that all training shares, with its state: one process or several, stopped at any time and gone on with."""

from __future__ import annotations

import copy
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from impasto.errors import OutputError, PaintingError, WeightsError
from impasto.fast.course import Batch, Course, Pace, Settings, examination, rate, term_weights, terms
from impasto.features import weights
from impasto.types import Image, Step

log = logging.getLogger(__name__)

N = TypeVar("N", bound=nn.Module)
B = TypeVar("B")


class State(Generic[N]):
    """Network, optimizer, averaged weights and the count of steps: all that a training is."""

    def __init__(
        self,
        net: N,
        settings: Pace,
        groups: Sequence[dict[str, Any]] | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """`groups`: parameters for the optimizer (default: all). `about`: what a file must say to be gone on with."""
        self.net, self.settings, self.about = net, settings, dict(about or {"kind": "training"})
        found = groups or [{"params": list(net.parameters()), "weight_decay": 0.0}]
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(found, lr=settings.rate, betas=(0.9, 0.999))
        self.average = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        self.ended = 0.0
        """The time that was over when the training ended by it; its seconds of work are fewer."""

    def follow(self) -> None:
        """Move the average of weights towards the weights: faster at first, so that the start is forgotten."""
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for name, tensor in self.net.state_dict().items():
            self.average[name].lerp_(tensor.to(self.average[name]), 1 - keep)

    def averaged(self) -> N:
        """A copy of the network with averaged weights."""
        net = copy.deepcopy(self.net)
        net.load_state_dict(self.average)
        return net.eval()

    def save(self, path: Path) -> None:
        """Write everything to one file, atomically."""
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in entry.items()}
        figures = {"step": self.step, "seconds": self.seconds, "best": self.best if math.isfinite(self.best) else None}
        weights.save(path, tensors, {**self.about, "settings": asdict(self.settings), **figures, "ended": self.ended})

    def load(self, path: Path) -> None:
        """Go on from a file.

        Raises:
            WeightsError: damaged, or not a training's state, or that of other work.
        """
        tensors, passport = weights.load(path)
        found = {**passport, "net": passport.get("settings", {}).get("net")}
        other = [key for key, value in {**self.about, "net": self.settings.net}.items() if found.get(key) != value]
        if other:
            work = f"a {self.about['kind']} of the network {self.settings.net!r}"
            raise WeightsError(f"{path} is not the state of {work} that goes on here: it has another {' and '.join(other)}")
        try:
            self.net.load_state_dict(_under(tensors, "net."))
        except RuntimeError as error:
            raise WeightsError(f"{path} does not fit this impasto: {str(error).splitlines()[0]}") from error
        self.average = {name: tensor.to(self.average[name].device) for name, tensor in _under(tensors, "average.").items()}
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "adam.").items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.seconds, self.ended = passport["step"], passport["seconds"], passport.get("ended", 0.0)
        self.best = math.inf if passport["best"] is None else passport["best"]


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def validate(lesson: nn.Module, course: Course, batches: Sequence[Batch]) -> dict[str, float]:
    """Content, style and tone of held-out photographs in held-out styles at full strength, and their sum by the final weights."""
    sums, settings = {"content": 0.0, "style": 0.0, "tone": 0.0}, course.settings
    for batch in batches:
        painted, _ = lesson(batch.photo, batch.row, batch.noise, batch.strength, None)
        found = terms(settings, course, batch, painted, None)
        sums = {name: total + found[name].item() / len(batches) for name, total in sums.items()}
    return {**sums, "total": sum(getattr(settings, name) * value for name, value in sums.items())}


class Loop(ABC, Generic[N, B]):
    """The loop of one run of training. What is learned, from which batches, and how it is kept, its subclasses say."""

    accelerator: Any
    settings: Pace
    state: State[N]

    @abstractmethod
    def lesson(self, net: N) -> nn.Module:
        """The network as distributed training wants it: all that a step computes with its parameters in one call."""

    @abstractmethod
    def losses(self, lesson: nn.Module, step: int) -> tuple[dict[str, Tensor], Mapping[str, float]]:
        """The unweighted terms of a step's loss on this process's part of its batch, and their weights."""

    @abstractmethod
    def exam(self) -> Sequence[B]:
        """The fixed batches that validations look at."""

    @abstractmethod
    def measure(self, net: N, exam: Sequence[B]) -> dict[str, float]:
        """What a validation finds; its "total" is what the best network has the least of."""

    @abstractmethod
    def begin(self) -> None:
        """Called before the first step of a run that does not go on with another."""

    @abstractmethod
    def standing(self, out: Path, exam: Sequence[B]) -> float | None:
        """Validation loss of what lies at `out` and must be beaten; None where nothing was measured."""

    @abstractmethod
    def keep(self, out: Path, net: N, found: Mapping[str, float], better: bool) -> None:
        """Note a validation, and write the network to `out` where it is the best so far."""

    @abstractmethod
    def preview(self, net: N, exam: Sequence[B]) -> Image:
        """A picture that shows how far it is."""

    def part(self) -> None:
        """Let several processes part together: one that leaves first can take the others' connections down with it."""
        if self.accelerator.num_processes > 1:
            self.accelerator.wait_for_everyone()
            torch.distributed.destroy_process_group()

    def steps(
        self, out: Path, state: Path, *, count: int | None = None, seconds: float = math.inf, asked: float = 0.0,
        resume: bool = False,
    ) -> Generator[Step]:  # fmt: skip
        """Train until `count` steps or `seconds` of work (with those before a resumption) are reached; yields progress.

        The seconds begin with this call, and of them is kept what the last validation will take with its files, as far as
        the one before tells. One step is made however few they are. `asked`: the time that they are left of (default: all of
        it). What ended by its time has nothing left of it to go on with.

        Losses are unweighted but for their total; a preview comes with each validation. The best network so far lies at
        `out`; one that lies there already is replaced by a better one only. Closing the generator saves the state.

        Raises:
            PaintingError: the loss is no number any more, or explodes; the files keep the last good ones.
            WeightsError: a file of state, or a network at `out`, that is damaged or from elsewhere.
        """
        begun, goal, asked, seconds = time.monotonic(), count or 10**9, asked or seconds, self.agreed(seconds)
        if resume:
            self.state.load(state)
            if self.state.step >= goal or max(self.state.seconds, self.state.ended) >= asked:
                return
        else:
            self.begin()
        lesson, self.state.optimizer = self.accelerator.prepare(self.lesson(self.state.net), self.state.optimizer)
        exam = self.exam()
        closing = self._look(out, exam, timed=seconds < math.inf)
        limit = seconds - self.agreed(time.monotonic() - begun)
        usual, pace, saved, done = math.inf, 0.0, self.state.step, False

        def left() -> float:  # until the last validation, or nothing where no other step ends before it
            return min(pace * (goal - self.state.step), limit - closing - pace - self.state.seconds)

        if self.state.seconds > limit:
            log.warning("the time was too short: one step is made after it; give more")
        try:
            while not done:
                start = time.monotonic()
                values = self._step(lesson, usual)
                usual = min(usual, values["total"]) if usual == math.inf else 0.98 * usual + 0.02 * values["total"]
                taken = self.agreed(time.monotonic() - start)
                pace = 0.95 * pace + 0.05 * min(taken, 5 * pace) if pace else taken
                self.state.seconds += min(taken, 5 * pace)  # a process that was stopped for a while did not work
                done, preview = left() <= 0, None
                if done or self.state.step % self.settings.validate == 0:
                    ended = asked if done and self.state.step < goal else self.state.ended
                    preview, closing = self._validation(exam, out, state, ended)
                    saved = self.state.step
                    self.state.seconds += min(closing, 20 * pace)
                    if not done and left() <= 0:  # it took longer than the one before
                        done, self.state.ended, saved = True, asked, -1
                eta = 0.0 if done else left()
                total, side = min(goal, self.state.step + int(eta / pace)), self.settings.crop
                yield Step(self.state.step, total, values, preview, eta, (side, side))
        except (PaintingError, KeyboardInterrupt):  # in the midst of a step: the last good state stays
            saved = self.state.step
            raise
        finally:
            if saved != self.state.step:
                self._save(state)

    def _look(self, out: Path, exam: Sequence[B], timed: bool) -> float:
        """See what is to be beaten; the seconds of a look, which is taken for the clock alone where there is nothing to see."""
        start = time.monotonic()
        there = self.standing(out, exam)
        if there is not None:
            self.state.best = min(self.state.best, there)
        elif timed:
            start = time.monotonic()
            self.measure(self.state.averaged(), exam)
        return self.agreed(time.monotonic() - start)

    def _validation(self, exam: Sequence[B], out: Path, state: Path, ended: float) -> tuple[Image | None, float]:
        """A look with its files: what it shows, and the seconds that it took."""
        start = time.monotonic()
        preview = self._examine(exam, out)
        self.state.ended = ended
        self._save(state)
        return preview, self.accelerator.num_processes * self.agreed(time.monotonic() - start)  # one of them looks

    def agreed(self, value: float) -> float:
        """The mean of a number over all processes, so that they do the same."""
        if self.accelerator.num_processes == 1:
            return value
        return float(self.accelerator.reduce(torch.tensor(value, device=self.accelerator.device), "mean"))

    def _step(self, lesson: nn.Module, usual: float) -> dict[str, float]:
        state, settings, accelerator = self.state, self.settings, self.accelerator
        for group in state.optimizer.param_groups:
            group["lr"] = rate(settings, state.step) * group.get("share", 1.0)
        found, factors = self.losses(lesson, state.step)
        total = sum((factors[name] * term for name, term in found.items()), torch.zeros((), device=accelerator.device))
        values = {name: accelerator.reduce(term.detach(), "mean").item() for name, term in {**found, "total": total}.items()}
        if not math.isfinite(values["total"]) or values["total"] > 50 * usual:
            raise PaintingError(
                f"training diverges at step {state.step} (loss {values['total']:.3g}): lower the learning rate of {settings.rate}"
            )
        state.optimizer.zero_grad()
        accelerator.backward(total)
        accelerator.clip_grad_norm_(lesson.parameters(), 1.0)
        state.optimizer.step()
        state.step += 1
        state.follow()
        return values

    def _examine(self, exam: Sequence[B], out: Path) -> Image | None:
        if not self.accelerator.is_main_process:
            return None
        net = self.state.averaged()
        found = self.measure(net, exam)
        log.info("step %d, %.0f s: held out %s", self.state.step, self.state.seconds, brief(found))
        better = found["total"] < self.state.best or not out.exists()
        if better:
            self.state.best = found["total"]
        with written(out):
            self.keep(out, net, found, better)
        with torch.no_grad():
            return self.preview(net, exam).cpu()

    def _save(self, path: Path) -> None:
        if self.accelerator.is_main_process:
            with written(path):
                self.state.save(path)


class Training(Loop[N, Batch]):
    """Training of what paints, by what VGG-16 sees in what it painted."""

    settings: Settings
    course: Course
    held: Course
    """The pictures that are held out to measure on."""

    @abstractmethod
    def lesson(self, net: N) -> nn.Module:
        """What paints a batch: (photo, row, noise, strength, moved or None) -> (painted, moved painted or None)."""

    def losses(self, lesson: nn.Module, step: int) -> tuple[dict[str, Tensor], Mapping[str, float]]:
        """Content, style and motion of the batch as it is painted now."""
        factors = term_weights(self.settings, step)
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        batch = self.course.batch(step, rank, ranks, moving=factors["motion"] > 0)
        painted, moved = lesson(batch.photo, batch.row, batch.noise, batch.strength, batch.moved)
        return terms(self.settings, self.course, batch, painted, moved), factors

    def exam(self) -> Sequence[Batch]:
        """Held-out photographs and styles."""
        return examination(self.held)

    def measure(self, net: N, exam: Sequence[Batch]) -> dict[str, float]:
        """Content and style at full strength."""
        return validate(self.lesson(net), self.held, exam)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """What goes wrong while a file is written, as one line of ours."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def brief(values: Mapping[str, float]) -> str:
    """Losses for a log."""
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())
