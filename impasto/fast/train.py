"""Training of feed-forward networks: one plain loop under Accelerate, the same on a CPU, one GPU or several.

The loss of a picture painted with strength s in a painting's style is

    content · |f(out) − f(photo)|² / E|f|²  +  style · s² · Σ_layers w_l d_l
      +  smooth · TV  +  motion · |M out − out(M photo)|²

with f the responses of relu4_1 of VGG-16, E|f|² their mean over photographs, d_l the relative distance of a layer's
statistics (`losses.distance`), M a small known motion. A file of state after every few hundred steps makes it resumable,
to the bit on a CPU; the best network by a fixed validation loss is kept apart, so that a half-trained one never replaces
a good one.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import math
import os
import re
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from impasto.errors import PaintingError, UsageError, WeightsError
from impasto.fast import data
from impasto.fast.course import Batch, Course, Settings, examination, rate, term_weights, terms
from impasto.fast.nets import NETS, AnyStyle
from impasto.fast.nets import load as load_net
from impasto.features import encoders, weights
from impasto.types import Image, Step

log = logging.getLogger(__name__)


class Lesson(nn.Module):
    """Predictor and painter in one call, as distributed training wants it."""

    def __init__(self, net: AnyStyle) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, photo: Image, row: Tensor, noise: Tensor, strength: Tensor, moved: Image | None
    ) -> tuple[Image, Image | None]:
        """Paint a photograph, and its moved copy where there is one."""
        code = self.net.predict(row, noise)
        return self.net(photo, code, strength=strength), None if moved is None else self.net(moved, code, strength=strength)


class State:
    """Network, optimizer, averaged weights and the count of steps: all that a training is."""

    def __init__(self, net: AnyStyle, settings: Settings) -> None:
        self.net, self.settings = net, settings
        predictor = {id(p) for p in net.predictor.parameters()}
        groups = [
            {"params": [p for p in net.parameters() if id(p) not in predictor], "weight_decay": 0.0},
            {"params": list(net.predictor.parameters()), "weight_decay": settings.decay},
        ]
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.999))
        self.average = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
        self.step, self.seconds, self.best = 0, 0.0, math.inf

    def follow(self) -> None:
        """Move the average of weights towards the weights: faster at first, so that the start is forgotten."""
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        for name, tensor in self.net.state_dict().items():
            self.average[name].lerp_(tensor.to(self.average[name]), 1 - keep)

    def averaged(self) -> AnyStyle:
        """A copy of the network with averaged weights."""
        net = NETS[self.settings.net]()
        net.load_state_dict(self.average)
        return net.to(next(self.net.parameters()).device).eval()

    def save(self, path: Path) -> None:
        """Write everything to one file, atomically."""
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in entry.items()}
        figures = {"step": self.step, "seconds": self.seconds, "best": self.best if math.isfinite(self.best) else None}
        weights.save(path, tensors, {"kind": "training", "settings": asdict(self.settings), **figures})

    def load(self, path: Path) -> None:
        """Go on from a file.

        Raises:
            WeightsError: damaged, or not a training's state, or another network's.
        """
        tensors, passport = weights.load(path)
        if passport.get("kind") != "training" or passport["settings"]["net"] != self.settings.net:
            raise WeightsError(f"{path} is not the state of a training of the network {self.settings.net!r}")
        self.net.load_state_dict(_under(tensors, "net."))
        self.average = {name: tensor.to(self.average[name].device) for name, tensor in _under(tensors, "average.").items()}
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "adam.").items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.seconds = passport["step"], passport["seconds"]
        self.best = math.inf if passport["best"] is None else passport["best"]


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def calibrate(net: AnyStyle, rows: Tensor) -> None:
    """Set the mean and scale of the predictor's input from some styles' rows."""
    deviation = rows.std(0)
    net.signature_mean.copy_(rows.mean(0))
    net.signature_scale.copy_(deviation + 0.3 * deviation.mean())


@torch.no_grad()
def validate(net: AnyStyle, course: Course, batches: Sequence[Batch]) -> dict[str, float]:
    """Content and style of held-out photographs in held-out styles at full strength, and their sum by the final weights."""
    sums = {"content": 0.0, "style": 0.0}
    settings = replace(course.settings, smooth=0.0)
    for batch in batches:
        found = terms(settings, course, batch, net(batch.photo, net.predict(batch.row)), None)
        sums = {name: total + found[name].item() / len(batches) for name, total in sums.items()}
    return {**sums, "total": settings.content * sums["content"] + settings.style * sums["style"]}


class Teacher:
    """One run of training."""

    def __init__(self, settings: Settings, photos: Sequence[Path], styles: Sequence[Path], device: str | None = None) -> None:
        """Read the pictures in the folders `photos` and `styles`; a tenth of each is held out to measure on.

        Raises:
            UsageError: no such folder, fewer than 8 readable photographs, no readable painting, settings that do not fit.
        """
        _check(settings)
        self.accelerator, self.settings = Accelerator(cpu=device == "cpu"), settings
        encoder = encoders.load("vgg16").to(self.accelerator.device).precision(torch.bfloat16)
        learned, held = _sources(settings, photos, styles)
        self.course = Course(learned, encoder, settings)
        self.held = Course(held, encoder, settings, self.course)
        torch.manual_seed(settings.seed)
        self.state = State(NETS[settings.net]().to(self.accelerator.device), settings)

    def steps(
        self, out: Path, state: Path, *, count: int | None = None, seconds: float = math.inf, resume: bool = False
    ) -> Generator[Step]:
        """Train until `count` steps or `seconds` of work (with those before a resumption) are reached; yields progress.

        Losses are unweighted but for their total; a preview comes with each validation. The best network so far lies at
        `out`; one that lies there already is replaced by a better one only. Closing the generator saves the state.

        Raises:
            PaintingError: the loss is no number any more, or explodes; the files keep the last good ones.
            WeightsError: a file of state, or a network at `out`, that is damaged or from elsewhere.
        """
        self._begin(state if resume else None)
        lesson, self.state.optimizer = self.accelerator.prepare(Lesson(self.state.net), self.state.optimizer)
        exam, goal = examination(self.held), count or 10**9
        if out.exists():
            net = load_net(out).to(self.accelerator.device)
            self.state.best = min(self.state.best, validate(net, self.held, exam)["total"])
        usual, pace, saved = math.inf, 0.0, self.state.step
        try:
            while self.state.step < goal and self.state.seconds < seconds:
                start = time.monotonic()
                values = self._step(lesson, usual)
                usual = min(usual, values["total"]) if usual == math.inf else 0.98 * usual + 0.02 * values["total"]
                taken = time.monotonic() - start
                pace = 0.95 * pace + 0.05 * min(taken, 5 * pace) if pace else taken
                self.state.seconds += min(taken, 5 * pace)  # a process that was stopped for a while did not work
                left, preview = min(pace * (goal - self.state.step), seconds - self.state.seconds), None
                if self.state.step % self.settings.validate == 0 or self.state.step == goal:
                    preview = self._examine(exam, out)
                    self._save(state)
                    saved = self.state.step
                yield Step(self.state.step, min(goal, self.state.step + int(left / pace)), values, preview, eta=left)
        except PaintingError:
            saved = self.state.step
            raise
        finally:
            if saved != self.state.step:
                self._save(state)

    def _begin(self, state: Path | None) -> None:
        if state is not None:
            self.state.load(state)
            return
        calibrate(self.state.net, self.course.rows)
        fresh = self.state.net.state_dict()
        self.state.average |= {name: fresh[name].clone() for name in ("signature_mean", "signature_scale")}

    def _step(self, lesson: nn.Module, usual: float) -> dict[str, float]:
        state, settings, accelerator = self.state, self.settings, self.accelerator
        factors, (rank, ranks) = term_weights(settings, state.step), (accelerator.process_index, accelerator.num_processes)
        batch = self.course.batch(state.step, rank, ranks, moving=factors["motion"] > 0)
        for group in state.optimizer.param_groups:
            group["lr"] = rate(settings, state.step)
        painted, moved = lesson(batch.photo, batch.row, batch.noise, batch.strength, batch.moved)
        found = terms(settings, self.course, batch, painted, moved)
        total = sum((factors[name] * term for name, term in found.items()), torch.zeros((), device=painted.device))
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

    def _examine(self, exam: Sequence[Batch], out: Path) -> Image | None:
        if not self.accelerator.is_main_process:
            return None
        net = self.state.averaged()
        found = validate(net, self.held, exam)
        log.info("step %d, %.0f s: held out %s", self.state.step, self.state.seconds, _brief(found))
        record(out.with_suffix(".csv"), {"step": self.state.step, "seconds": round(self.state.seconds, 1), **found})
        if found["total"] < self.state.best or not out.exists():
            self.state.best = found["total"]
            save_net(out, net, self.settings, {"step": self.state.step, "validation": found})
        with torch.no_grad():
            painted = net(exam[0].photo, net.predict(exam[0].row))
        return torch.cat(list(painted[:, None]), -1).cpu()

    def _save(self, path: Path) -> None:
        if self.accelerator.is_main_process:
            self.state.save(path)


def _sources(settings: Settings, photos: Sequence[Path], styles: Sequence[Path]) -> tuple[data.Source, data.Source]:
    side = settings.crop + 2 * settings.margin
    (photo_paths, held_photos), (style_paths, held_styles) = data.split(data.files(photos)), data.split(data.files(styles))
    learned = data.Source(data.read(photo_paths, 512), data.read(style_paths, 1024), side, settings.style_crop, settings.seed)
    data.enough(learned.photos)
    if not learned.paintings:
        raise UsageError(f"no readable painting in {', '.join(map(str, styles))}")
    apart = data.read(held_photos, 512) or learned.photos, data.read(held_styles, 1024) or learned.paintings
    return learned, data.Source(*apart, side, settings.style_crop, widen=False)


def _check(settings: Settings) -> None:
    if settings.net not in NETS:
        raise UsageError(f"network {settings.net!r} is not one of {', '.join(NETS)}")
    if settings.crop < 32 or settings.crop % 16 or settings.margin < 0:
        raise UsageError(
            f"crops of {settings.crop} px, margin {settings.margin} px: a multiple of 16, 32 at least, no negative margin"
        )
    if settings.batch < 1:
        raise UsageError(f"a batch of {settings.batch} pictures: 1 at least")


def save_net(path: Path, net: AnyStyle, settings: Settings, figures: Mapping[str, Any]) -> None:
    """Write a network for use, in half precision."""
    tensors = {name: tensor.half() for name, tensor in net.state_dict().items()}
    weights.save(path, tensors, {"kind": "net", "net": settings.net, "settings": asdict(settings), **figures})


def record(path: Path, row: Mapping[str, float]) -> None:
    """Append a row to a CSV file, with a header at its start."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def _brief(values: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())


def parse_time(text: str) -> float:
    """Seconds of "90", "90s", "10m", "3h".

    Raises:
        UsageError: none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match:
        raise UsageError(f"time {text!r} is not like 90s, 10m or 3h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="impasto.fast.train")
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--styles", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--time", type=parse_time, default=math.inf)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--background", action="store_true", help="give way to all other work on this machine")
    for field in fields(Settings):
        kind = type(field.default) if field.name != "layers" else lambda text: tuple(map(float, text.split(",")))
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    return parser


def main() -> int:
    """Train from the command line: `python -m impasto.fast.train --photos DIR --styles DIR --out FILE --state FILE`."""
    wanted = vars(_parser().parse_args())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if wanted["background"]:
        os.nice(19)
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.append(number))
    settings = Settings(**{field.name: wanted[field.name] for field in fields(Settings)})
    teacher = Teacher(settings, wanted["photos"], wanted["styles"], wanted["device"])
    source = teacher.course.source
    log.info("%d photographs, %d styles; %s", len(source.photos), len(source.paintings), json.dumps(asdict(settings)))
    limits = {"count": wanted["steps"], "seconds": wanted["time"], "resume": wanted["resume"]}
    with closing(teacher.steps(wanted["out"], wanted["state"], **limits)) as steps:
        for step in steps:
            if step.index % 50 == 0:
                log.info("step %d %s, %.2f s a step", step.index, _brief(step.losses), teacher.state.seconds / step.index)
            if stop:
                return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
