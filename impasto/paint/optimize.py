"""The one optimizer: paints any canvas towards any objective, coarse to fine, as a generator of progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.errors import PaintingError
from impasto.paint.settings import Settings
from impasto.pixels import geometry
from impasto.types import Image, Step

HISTORY = 20
"""Past steps that L-BFGS keeps to estimate curvature; fewer where memory is short."""
BETAS = (0.8, 0.9)
"""Adam's decay rates. The gradient has no noise, so a shorter memory than the usual (0.9, 0.999) goes down faster."""
REACH = 0.05
"""The longest step of L-BFGS: root mean square of the change, pixels being 0 ... 1."""
AVERAGE = 0.9
"""Decay of the average of iterates that Adam's jitter is smoothed by."""
PLATEAU_WINDOW, PLATEAU_GAIN = 10, 0.004
"""A size is done when the loss fell by no more than this share over this many steps."""
MAX_RESCUES = 3
PREPARATION = 2.5
"""What a size costs before its first step (targets of style and content), in steps."""


class Level(NamedTuple):
    """One size of the pyramid: long edge in px, and the steps planned there."""

    size: int
    steps: int
    tile: int = 0
    """Edge of the tiles that the gradient is computed over, px; 0 for the whole picture at once."""
    history: int = HISTORY


class Objective(Protocol):
    """What is being minimized."""

    def gradient(self, image: Image, step: int = 0) -> tuple[dict[str, Tensor], Image]:
        """Each term's loss and "total", and the gradient of the total with respect to the image."""


class Canvas(Protocol):
    """What is being painted: its parameters, and how they show as a picture."""

    def resize(self, size: int) -> None:
        """Go on at another size (long edge, px); parameters change shape."""

    def parameters(self) -> list[Tensor]:
        """The leaf tensors being optimized; contiguous, requiring gradients."""

    def resized(self, moment: Tensor, parameter: Tensor, mode: str) -> Tensor:
        """A tensor of a former parameter's shape brought to the present one's, as `resize` brings the parameter."""

    def render(self) -> Image:
        """The picture that the objective sees."""

    def restrain(self) -> None:
        """Bring the parameters back to what is allowed (pixels to [0, 1]), in place."""


class Picture:
    """A canvas of plain pixels; `full` is the height and width that levels are made smaller from."""

    def __init__(self, image: Image, full: tuple[int, int] | None = None) -> None:
        self.pixels = _leaf(image)
        self.full = full or (image.shape[-2], image.shape[-1])

    def resize(self, size: int) -> None:
        shape = geometry.sizes(*self.full, size)
        if shape != tuple(self.pixels.shape[-2:]):
            self.pixels = _leaf(F.interpolate(self.pixels.detach(), shape, mode="bicubic").clamp(0, 1))

    def parameters(self) -> list[Tensor]:
        return [self.pixels]

    def resized(self, moment: Tensor, parameter: Tensor, mode: str) -> Tensor:
        return F.interpolate(moment, parameter.shape[-2:], mode=mode)

    def render(self) -> Image:
        return self.pixels

    def restrain(self) -> None:
        with torch.no_grad():
            self.pixels.clamp_(0, 1)


def _leaf(image: Tensor) -> Tensor:
    return image.detach().clone(memory_format=torch.contiguous_format).requires_grad_()


@dataclass(slots=True)
class State:
    """Where the work stands; `steps` keeps it up to date, so that it can be stopped at any step."""

    level: int = 0
    index: int = 0
    """Steps made at this level."""
    made: list[list[int]] = field(default_factory=list)
    """[size, steps] of each level begun, as the recipe keeps them."""
    losses: list[float] = field(default_factory=list)
    """Loss of each step of this level."""
    best: list[Tensor] = field(default_factory=list)
    """Parameters of the lowest loss at this level, to fall back on."""
    average: list[Tensor] = field(default_factory=list)
    average_weight: float = 0.0
    optimizer: torch.optim.Optimizer | None = None
    rescues: int = 0


class Pace:
    """Says when the time is up. A level takes its steps as planned: a small painted picture is better than a large raw one."""

    def __init__(self, levels: Sequence[Level], deadline: float = math.inf) -> None:
        self.levels, self.deadline = levels, deadline
        self.second = 0.0
        """What the last step took."""

    def allows(self, level: int) -> bool:
        """Whether there is time to prepare a level and take a step there, as the last level's steps tell. The first always."""
        if level == 0 or self.deadline == math.inf:
            return True
        before, here = self.levels[level - 1], self.levels[level]
        return time.monotonic() + self.second * (here.size / before.size) ** 2 * (PREPARATION + 1) < self.deadline

    def over(self) -> bool:
        """Whether one more step like the last would end too late."""
        return time.monotonic() + self.second > self.deadline


def steps(
    canvas: Canvas,
    objective_at: Callable[[Level], Objective],
    levels: Sequence[Level],
    settings: Settings,
    *,
    state: State | None = None,
    deadline: float = math.inf,
    preview: bool = False,
) -> Iterator[Step]:
    """Paint the canvas through the levels, yielding a `Step` after each step. Closing the generator ends the work.

    `objective_at(level)` makes the objective of a level. Levels grow by the square root of two, so that no level has to
    invent much; Adam's moments are carried over. A level ends after its steps, on a plateau of the loss, or when the
    `deadline` (`time.monotonic()`) is near; levels that there is no time for are left out.

    Raises:
        PaintingError: the loss is not a number, or grows whatever is done.
    """
    state = state or State()
    pace = Pace(levels, deadline)
    total = sum(level.steps for level in levels)
    done = sum(count for _, count in state.made)
    while state.level < len(levels):
        level = levels[state.level]
        if state.index == 0 and not pace.allows(state.level):
            break
        objective = objective_at(level)
        if state.index == 0:
            _enter(canvas, level, state, settings)
        while state.index < level.steps and not (state.index > 0 and (_done(state, settings) or pace.over())):
            start = time.monotonic()
            losses = _advance(canvas, objective, state, settings, level)
            pace.second = time.monotonic() - start
            done += 1
            image = canvas.render()
            yield Step(
                index=done,
                total=total,
                losses=losses,
                preview=image.detach().clamp(0, 1) if preview else None,
                eta=_eta(levels, state, pace.second, deadline),
                size=(image.shape[-2], image.shape[-1]),
            )
        _leave(canvas, state, settings)
        total = done + sum(following.steps for following in levels[state.level :])


def _done(state: State, settings: Settings) -> bool:
    """Whether the level ends before its steps: on a plateau, unless the steps were asked for by number; or lost for good."""
    return state.rescues > MAX_RESCUES or (not settings.steps and plateau(state.losses))


def plateau(losses: Sequence[float]) -> bool:
    """Whether the loss fell by no more than 0.4 % over the last ten steps."""
    if len(losses) <= PLATEAU_WINDOW:
        return False
    before, now = losses[-PLATEAU_WINDOW - 1], min(losses[-PLATEAU_WINDOW:])
    return before - now <= PLATEAU_GAIN * abs(before)


def _eta(levels: Sequence[Level], state: State, second: float, deadline: float) -> float:
    """Seconds until the end, from the last step's seconds and the pixels of what is left."""
    level = levels[state.level]
    left = second * (level.steps - state.index)
    left += sum(second * following.steps * (following.size / level.size) ** 2 for following in levels[state.level + 1 :])
    return min(left, max(0.0, deadline - time.monotonic()))


def _enter(canvas: Canvas, level: Level, state: State, settings: Settings) -> None:
    """Begin a level: the canvas at its size, a new optimizer; Adam's moments brought along."""
    before = _adam_moments(state.optimizer) if settings.optimizer == "adam" else []
    canvas.resize(level.size)
    parameters = canvas.parameters()
    state.optimizer = new_optimizer(parameters, settings, level.history)
    for (step, first, second), parameter in zip(before, parameters, strict=False):
        state.optimizer.state[parameter] = {
            "step": step,
            "exp_avg": canvas.resized(first, parameter, "bicubic"),
            "exp_avg_sq": canvas.resized(second, parameter, "bilinear").relu_(),
        }
    state.losses, state.best, state.average, state.average_weight, state.rescues = [], [], [], 0.0, 0
    state.made.append([level.size, 0])


def new_optimizer(parameters: list[Tensor], settings: Settings, history: int, damping: float = 1.0) -> torch.optim.Optimizer:
    """L-BFGS taking one step at a time without line search, its steps multiplied by `damping`; or Adam."""
    if settings.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=settings.step_size, betas=BETAS)
    return torch.optim.LBFGS(parameters, lr=damping, max_iter=1, history_size=history, tolerance_grad=-1, tolerance_change=-1)


def _adam_moments(optimizer: torch.optim.Optimizer | None) -> list[tuple[Any, Tensor, Tensor]]:
    if optimizer is None:
        return []
    return [(slot["step"], slot["exp_avg"], slot["exp_avg_sq"]) for slot in optimizer.state.values()]


def _advance(canvas: Canvas, objective: Objective, state: State, settings: Settings, level: Level) -> dict[str, float]:
    """One step of the optimizer; a step that made the loss jump is taken back and L-BFGS's memory cleared."""
    parameters = canvas.parameters()
    optimizer = state.optimizer
    if optimizer is None:
        raise PaintingError("a level was not begun")
    found: dict[str, Tensor] = {}

    def closure() -> Tensor:
        image = canvas.render()
        losses, pull = objective.gradient(image, sum(count for _, count in state.made))
        gradients = [pull] if image is parameters[0] else torch.autograd.grad(image, parameters, pull)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            # contiguous: L-BFGS flattens gradients by view
            parameter.grad = gradient.contiguous()
        found.update(losses)
        return losses["total"]

    kept = [parameter.detach().clone() for parameter in parameters]
    if settings.optimizer == "adam":
        for group in optimizer.param_groups:
            # depends on the steps made, not on those planned: so a picture cut short can be made again
            group["lr"] = settings.step_size / math.sqrt(1 + state.index / 5)
    optimizer.step(closure)  # type: ignore[arg-type]  # torch's own stubs say float; its optimizers take tensors
    if settings.optimizer == "lbfgs":
        _shorten(optimizer, parameters, kept)
    loss = float(found["total"])
    # Adam finds its way back by itself
    if not math.isfinite(loss) or (settings.optimizer == "lbfgs" and state.losses and loss > 2 * max(state.losses)):
        _rescue(canvas, state.best or kept, state, settings, level, loss)
    else:
        # where memory is short there is none for a picture to fall back on
        if level.history == HISTORY and loss <= min(state.losses, default=math.inf):
            state.best = kept
        state.losses.append(loss)
        _average(canvas, state, settings)
    state.index += 1
    state.made[-1][1] = state.index
    return {name: float(value) for name, value in found.items()}


@torch.no_grad()
def _shorten(optimizer: torch.optim.Optimizer, parameters: list[Tensor], kept: list[Tensor]) -> None:
    """Keep a step of L-BFGS within `REACH`: its first guesses of curvature, from tiny steps over kinks, can be far off."""
    count = sum(parameter.numel() for parameter in parameters)
    squares = sum(float((parameter - before).square().sum()) for parameter, before in zip(parameters, kept, strict=True))
    length = math.sqrt(squares / count)
    if length > REACH:
        factor = REACH / length
        for parameter, before in zip(parameters, kept, strict=True):
            parameter.copy_(torch.lerp(before, parameter, factor))
        optimizer.state[parameters[0]]["t"] *= factor  # the step that the next estimate of curvature is taken over


def _average(canvas: Canvas, state: State, settings: Settings) -> None:
    """Adam: clamp, and average the iterates (bias-corrected when the level ends). L-BFGS's model must not be disturbed."""
    if settings.optimizer != "adam":
        return
    canvas.restrain()
    state.average_weight = AVERAGE * state.average_weight + 1 - AVERAGE
    now = [parameter.detach() for parameter in canvas.parameters()]
    before = state.average or [torch.zeros_like(value) for value in now]
    state.average = [AVERAGE * old + (1 - AVERAGE) * value for old, value in zip(before, now, strict=True)]


def _rescue(canvas: Canvas, back: list[Tensor], state: State, settings: Settings, level: Level, loss: float) -> None:
    """Back to the best parameters and on with half the step; given up after three times, as an error if nothing ever held."""
    state.rescues += 1
    if state.rescues > MAX_RESCUES and not state.losses:
        raise _lost(loss, settings)
    with torch.no_grad():
        for parameter, value in zip(canvas.parameters(), back or canvas.parameters(), strict=True):
            parameter.copy_(value.nan_to_num(0.5).clamp(0, 1))
    state.optimizer = new_optimizer(canvas.parameters(), settings, level.history, 0.5**state.rescues)


def _lost(loss: float, settings: Settings) -> PaintingError:
    return PaintingError(
        f"the loss is {loss:g} whatever is done: a weight is too large (style {settings.style_weight:g}, "
        f"content {settings.content_weight:g}, smoothness {settings.tv_weight:g}), or the encoder overflows; "
        "lower it, or try --precision fp32"
    )


def _leave(canvas: Canvas, state: State, settings: Settings) -> None:
    """End a level: the averaged iterate where there is one, within bounds."""
    if not state.losses:
        raise _lost(math.nan, settings)
    if not all(torch.isfinite(parameter).all() for parameter in canvas.parameters()) and state.best:
        with torch.no_grad():
            for parameter, value in zip(canvas.parameters(), state.best, strict=True):
                parameter.copy_(value)
    if state.average:
        with torch.no_grad():
            for parameter, value in zip(canvas.parameters(), state.average, strict=True):
                parameter.copy_(value / state.average_weight)
    canvas.restrain()
    state.level, state.index = state.level + 1, 0
