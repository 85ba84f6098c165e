"""Training of feed-forward networks: one plain loop under Accelerate, the same on a CPU, one GPU or several.

The loss of a picture painted with strength s in a painting's style is

    content · |f(out) − f(photo)|² / E|f|²  +  style · s² · Σ_layers w_l d_l
      +  tone · t  +  motion · |M out − out(M photo)|²

with f the responses of relu4_1 of VGG-16, E|f|² their mean over photographs, d_l the relative distance of a layer's
statistics (`losses.distance`), t the tones that the photograph does not explain (`losses.blotches`), M a small known
motion. A file of state after every few hundred steps makes it resumable, to the bit on a CPU; the best network by a
fixed validation loss is kept apart, so that a half-trained one never replaces a good one.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import math
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto import times
from impasto.device import multiplies_bfloat16
from impasto.errors import MissingExtra, UsageError, WeightsError
from impasto.fast import data
from impasto.fast.course import Batch, Course, Settings
from impasto.fast.loop import State, Training, brief, validate
from impasto.fast.nets import NETS, AnyStyle
from impasto.fast.nets import load as load_net
from impasto.features import encoders, weights
from impasto.types import Image

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


class Teacher(Training[AnyStyle]):
    """Training of a network for any style, from folders of photographs and paintings."""

    def __init__(self, settings: Settings, photos: Sequence[Path], styles: Sequence[Path], device: str | None = None) -> None:
        """Read the pictures in the folders `photos` and `styles`; a tenth of each is held out to measure on.

        Raises:
            UsageError: no such folder, fewer than 8 readable photographs, no readable painting, settings that do not fit.
            MissingExtra: Accelerate is not installed.
        """
        check(settings)
        self.accelerator, self.settings = accelerator(device), settings
        fast = multiplies_bfloat16(self.accelerator.device)
        encoder = encoders.load("vgg16").to(self.accelerator.device).precision(torch.bfloat16 if fast else torch.float32)
        learned, held = _sources(settings, photos, styles)
        self.course = Course(learned, encoder, settings)
        self.held = Course(held, encoder, settings, self.course)
        torch.manual_seed(settings.seed)
        net = NETS[settings.net]().to(self.accelerator.device)
        predictor = {id(p) for p in net.predictor.parameters()}
        groups = [
            {"params": [p for p in net.parameters() if id(p) not in predictor], "weight_decay": 0.0},
            {"params": list(net.predictor.parameters()), "weight_decay": settings.decay, "share": settings.predictor},
        ]
        self.state, self.started = State(net, settings, groups), False

    def start(self, path: Path) -> None:
        """Begin with the weights of a network instead of random ones; steps are counted anew, without Adam's moments.

        Raises:
            WeightsError: no such file, damaged, or of another kind of network.
        """
        found = load_net(path)
        try:
            self.state.net.load_state_dict(found.state_dict())
        except RuntimeError as error:
            raise WeightsError(f"{path} does not fit the network {self.settings.net!r}") from error
        self.state.average = {name: tensor.detach().clone() for name, tensor in self.state.net.state_dict().items()}
        self.started = True

    def lesson(self, net: AnyStyle) -> nn.Module:
        """Predictor and painter."""
        return Lesson(net)

    def begin(self) -> None:
        """Set what the predictor looks at, where the weights are not those of a network that knows it."""
        if self.started:
            return
        self.state.net.calibrate(self.course.rows)
        self.state.average |= {name: buffer.clone() for name, buffer in self.state.net.named_buffers()}

    def standing(self, out: Path, exam: Sequence[Batch]) -> float | None:
        """Validation loss of the network at `out`, where there is one."""
        if not out.exists():
            return None
        return validate(Lesson(load_net(out).to(self.accelerator.device)), self.held, exam)["total"]

    def keep(self, out: Path, net: AnyStyle, found: Mapping[str, float], better: bool) -> None:
        """Add a row to the CSV file beside `out`, and write the network."""
        record(out.with_suffix(".csv"), {"step": self.state.step, "seconds": round(self.state.seconds, 1), **found})
        if better:
            save_net(out, net, self.settings, {"step": self.state.step, "validation": found})

    def preview(self, net: AnyStyle, exam: Sequence[Batch]) -> Image:
        """The first batch of held-out photographs, each in its held-out style, side by side."""
        return torch.cat(list(net(exam[0].photo, net.predict(exam[0].row))[:, None]), -1)


def accelerator(device: str | None) -> Any:
    """Accelerate, on the CPU alone or on what there is.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise MissingExtra("training a network", "train") from error
    return Accelerator(cpu=device == "cpu")


def _sources(settings: Settings, photos: Sequence[Path], styles: Sequence[Path]) -> tuple[data.Source, data.Source]:
    side = settings.crop + 2 * settings.margin
    (photo_paths, held_photos), (style_paths, held_styles) = data.split(data.files(photos)), data.split(data.files(styles))
    learned = data.Source(data.read(photo_paths, 512), data.read(style_paths, 1024), side, settings.style_crop, settings.seed)
    data.enough(learned.photos)
    if not learned.paintings:
        raise UsageError(f"no readable painting in {', '.join(map(str, styles))}")
    apart = data.read(held_photos, 512) or learned.photos, data.read(held_styles, 1024) or learned.paintings
    return learned, data.Source(*apart, side, settings.style_crop, widen=False)


def check(settings: Settings) -> None:
    """Raise UsageError for settings that do not fit."""
    if settings.net not in NETS:
        raise UsageError(f"network {settings.net!r} is not one of {', '.join(NETS)}")
    if settings.crop < 32 or settings.crop % 16 or settings.margin < 0:
        raise UsageError(
            f"crops of {settings.crop} px, margin {settings.margin} px: a multiple of 16, 32 at least, no negative margin"
        )
    if settings.seed < 0:
        raise UsageError(f"seed {settings.seed} is negative: 0 at least")
    if settings.batch < 1:
        raise UsageError(f"a batch of {settings.batch} pictures: 1 at least")
    if not 0 < settings.rate < 1:
        raise UsageError(f"a learning rate of {settings.rate} is not between 0 and 1")


def save_net(path: Path, net: AnyStyle, settings: Settings, figures: Mapping[str, Any]) -> None:
    """Write a network for use, in half precision."""
    tensors = {name: tensor.half() for name, tensor in net.state_dict().items()}
    weights.save(path, tensors, {"kind": "net", "net": settings.net, "settings": asdict(settings), **figures})


def record(path: Path, row: Mapping[str, object]) -> None:
    """Append a row to a CSV file, with a header at its start."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="impasto.fast.train")
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--styles", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--time", type=times.seconds, default=math.inf)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path, help="begin with a network's weights (with --ramp 1 --motion-from 0, say)")
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
    if wanted["start"]:
        teacher.start(wanted["start"])
    source = teacher.course.source
    log.info("%d photographs, %d styles; %s", len(source.photos), len(source.paintings), json.dumps(asdict(settings)))
    limits = {"count": wanted["steps"], "seconds": wanted["time"], "resume": wanted["resume"]}
    stopped = False
    with closing(teacher.steps(wanted["out"], wanted["state"], **limits)) as steps:
        for step in steps:
            if step.index % 50 == 0:
                log.info("step %d %s, %.2f s a step", step.index, brief(step.losses), teacher.state.seconds / step.index)
            stopped = bool(teacher.agreed(float(bool(stop))))
            if stopped:
                break
    teacher.part()
    return 130 if stopped else 0


if __name__ == "__main__":
    raise SystemExit(main())
