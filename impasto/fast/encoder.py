"""Training of an encoder of one's own from content and style pictures, with a teacher or without.

The network has VGG-16's shape and layer names at a part of its width. Its loss is

    content · InfoNCE(relu4_2 + relu5_3)  +  style · SupCon(moments of relu1_1 … relu5_1)  +  picture · |D(relu4_2) − x|² / |x|²
      +  answers · |M p − t|² / |t|²  +  likeness · (1 − CKA(p, t))

with p and t the responses of the encoder and the teacher at the same places, M a linear map for each layer and D a small
decoder, neither of which is kept, as the heads are not. CKA does not change when responses are turned or scaled together
and nearly all style and content losses do not either: where it is 1, they see what the teacher's see. The last two terms
need a teacher; without one nothing comes from another network.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from impasto.device import multiplies_bfloat16
from impasto.errors import UsageError, WeightsError
from impasto.fast import recognition, views
from impasto.fast.course import Pace
from impasto.fast.loop import Loop, State, written
from impasto.fast.pupil import SPREAD, Narrow, Pupil, scale, spreads, to_paint
from impasto.fast.recognition import Trial
from impasto.fast.train import accelerator, record
from impasto.fast.views import TAUGHT, Pictures, Sitting, Stream
from impasto.features import encoders, weights
from impasto.features.encoders import VGG
from impasto.types import Image

HEADS_SHARE = 2.0
"""The learning rate of heads, decoder and maps against the encoder's: they follow it."""
SCALED_ON = 16
"""Content pictures that the layers' scales are measured on."""


@dataclass(frozen=True)
class Settings(Pace):
    """Everything that can be set about the training of an encoder."""

    net: str = "encoder"
    batch: int = 6
    """Content pictures a step, and style pictures, two crops each; over all processes."""
    rate: float = 1e-3
    warmup: int = 200
    settle: int = 20000
    average: float = 0.998
    validate: int = 250
    width: float = 0.25
    """Channels, as a share of VGG-16's."""
    teacher: str = ""
    """An encoder's name or file; "" for none."""
    content: float = 0.2
    style: float = 0.2
    picture: float = 0.5
    answers: float = 1.0
    likeness: float = 1.0
    """Weights of the loss's terms."""
    points: int = 64
    """Places of a crop where the teacher is asked."""
    uses: int = 8
    window: int = 512
    """How many times a crop is met, among how many others: what the teacher says of it is kept."""
    exam: int = 3
    """Sittings of held-out pictures that a validation looks at."""
    judged: int = 24
    """Pictures of each kind in the questions of `recognition`."""


class Schooling(Loop[Pupil, Sitting]):
    """Training of an encoder from folders of content and style pictures."""

    settings: Settings

    def __init__(self, settings: Settings, contents: Sequence[Path], styles: Sequence[Path], device: str | None = None) -> None:
        """Read the pictures; a tenth of each set is held out to measure on.

        Raises:
            UsageError: no such folder, fewer than 8 pictures in one that can be read and differ, settings that do not fit.
            WeightsError: a teacher's file that is damaged or no VGG.
            MissingExtra: Accelerate is not installed.
        """
        check(settings)
        self.settings, self.accelerator = settings, accelerator(device)
        self.device = self.accelerator.device
        if settings.batch < 2 * self.accelerator.num_processes:
            raise UsageError(
                f"a batch of {settings.batch} pictures: 2 at least for each of {self.accelerator.num_processes} processes"
            )
        teacher = self._reference(settings.teacher) if settings.teacher else None
        if teacher:
            teacher.check(TAUGHT)
        sets = [views.gather(contents, "content"), views.gather(styles, "style")]
        self.count = [len(learned.pixels) for learned, _ in sets]
        self.learned = self._stream(sets[0][0], sets[1][0], teacher, settings.seed)
        self.held = self._stream(sets[0][1], sets[1][1], teacher, settings.seed + 1)
        self.trial = self._trial()
        torch.manual_seed(settings.seed)
        encoder = Narrow(settings.width, *_colors([*sets[0][0].pixels, *sets[1][0].pixels]))
        taught = {layer: teacher.get_buffer(f"{layer}_weight").shape[0] for layer in TAUGHT} if teacher else {}
        self._enroll(Pupil(encoder, taught).to(self.device))

    def _enroll(self, pupil: Pupil) -> None:
        own = {id(parameter) for parameter in pupil.encoder.parameters()}
        groups = [
            {"params": list(pupil.encoder.parameters()), "weight_decay": 0.0},
            {"params": [p for p in pupil.parameters() if id(p) not in own], "weight_decay": 0.0, "share": HEADS_SHARE},
        ]
        about = {"kind": "training of an encoder", "width": str(self.settings.width), "teacher": Path(self.settings.teacher).name}
        self.state = State(pupil, self.settings, groups, about)

    def _reference(self, name: str) -> VGG:
        fast = multiplies_bfloat16(self.device)
        return encoders.load(name).to(self.device).precision(torch.bfloat16 if fast else torch.float32)

    def _stream(self, contents: Pictures, styles: Pictures, teacher: VGG | None, seed: int) -> Stream:
        settings = self.settings
        return Stream(
            contents, styles, crop=settings.crop, batch=settings.batch, seed=seed, device=self.device, teacher=teacher,
            points=settings.points, window=settings.window, uses=settings.uses,
        )  # fmt: skip

    def _trial(self) -> Trial:
        """The questions of `recognition`, to held-out pictures, the same in each run of one seed."""
        held, learned = (self._stream(stream.contents, stream.styles, None, 0) for stream in (self.held, self.learned))
        counts = [min(self.settings.judged, len(part.pixels)) for part in (held.contents, held.styles)]
        plain = [held.photo(number, number).image for number in range(counts[0])]
        gallery = [held.painting(number, number) for number in range(counts[1])]
        rounds = range(1, 1 + max(1, self.settings.judged // counts[1]))
        changed = [
            views.change(image, gallery[k % counts[1]][0].image, np.random.default_rng((0, 5, k)))
            for k, image in enumerate(plain)
        ]
        return Trial(
            torch.cat(plain),
            torch.cat(changed),
            torch.cat([seen.image for seen, _, _ in gallery]),
            torch.tensor([label for _, _, label in gallery]),
            torch.cat([held.painting(1000 * turn + number, number)[1] for turn in rounds for number in range(counts[1])]),
            torch.cat([learned.photo(number).image for number in range(self.settings.judged)]),
        )

    def start(self, path: Path) -> None:
        """Begin with the weights of an encoder that was trained before; heads, maps and steps begin anew.

        Raises:
            WeightsError: no such file, damaged, or of another shape.
        """
        found, encoder = encoders.load_vgg(path), self.state.net.encoder
        wanted = {layer: convolution.weight.shape for layer, convolution in encoder.layers.items()}
        if {layer: found.get_buffer(f"{layer}_weight").shape for layer in found.layers} != wanted:
            raise WeightsError(f"{path} is not an encoder of VGG-16's layers at {self.settings.width:g} of its width")
        with torch.no_grad():
            for layer, convolution in encoder.layers.items():
                for name, parameter in convolution.named_parameters():
                    parameter.copy_(found.get_buffer(f"{layer}_{name}"))
            encoder.mean.copy_(found.get_buffer("mean"))
            encoder.std.copy_(found.get_buffer("std"))
        scale(encoder, self._scales(encoder, dict.fromkeys(wanted, 1.0)))
        self._enroll(self.state.net)

    def _scales(self, encoder: Narrow, wanted: Mapping[str, float]) -> dict[str, float]:
        found = spreads(encoder, self.trial.read[:SCALED_ON])
        return {layer: math.sqrt(wanted[layer] / max(spread, 1e-12)) for layer, spread in found.items()}

    def lesson(self, net: Pupil) -> nn.Module:
        """The pupil computes its losses itself."""
        return net

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def losses(self, lesson: nn.Module, step: int) -> tuple[dict[str, Tensor], Mapping[str, float]]:
        """The terms of a step's sitting."""
        sitting = self.learned.sitting(step, self.accelerator.process_index, self.accelerator.num_processes)
        return lesson(sitting), self._weights()

    def _weights(self) -> dict[str, float]:
        return {name: getattr(self.settings, name) for name in ("content", "style", "picture", "answers", "likeness")}

    def exam(self) -> Sequence[Sitting]:
        """Sittings of held-out pictures."""
        return [self.held.sitting(number) for number in range(self.settings.exam)]

    @torch.no_grad()
    def measure(self, net: Pupil, exam: Sequence[Sitting]) -> dict[str, float]:
        """The terms, what is recognized, and the terms' weighted sum."""
        terms: dict[str, float] = {}
        for sitting in exam:
            terms = {name: terms.get(name, 0.0) + term.item() / len(exam) for name, term in net(sitting).items()}
        total = sum(self._weights()[name] * term for name, term in terms.items())
        return {**terms, "total": total, **recognition.judge(self.encoder(net), self.trial)}

    def encoder(self, net: Pupil) -> VGG:
        """The network as painting uses it: no heads, and responses that vary as much as VGG-16's, layer by layer."""
        return to_paint(net.encoder, self._scales(net.encoder, SPREAD))

    def standing(self, out: Path, exam: Sequence[Sitting]) -> None:
        """Nothing at `out` is to be beaten. Before the first step the curves begin with what others recognize."""
        path = curves(out)
        if self.state.step == 0:
            path.unlink(missing_ok=True)
        if not path.exists() and self.accelerator.is_main_process:
            with written(path):
                for name, found in self._others().items():
                    record(path, {"encoder": name, "step": "", "seconds": "", **found, **dict.fromkeys(self._terms(), "")})

    def _terms(self) -> list[str]:
        names = ["content", "style", "picture", *(("answers", "likeness") if self.settings.teacher else ())]
        return [*names, "total"]

    def _others(self) -> dict[str, dict[str, float]]:
        """What is recognized by chance, by random weights and by VGG-16."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed + 1)
            fresh = Pupil(Narrow(self.settings.width, self.state.net.encoder.mean, self.state.net.encoder.std), {})
        return {
            "chance": recognition.chance(self.trial),
            "random": recognition.judge(self.encoder(fresh.to(self.device)), self.trial),
            "vgg16": recognition.judge(self._reference("vgg16"), self.trial),
        }

    def keep(self, out: Path, net: Pupil, found: Mapping[str, float], better: bool) -> None:
        """Add a row to the curves, and write the encoder where it is the best so far."""
        told = {name: round(found[name], 5) for name in (*QUESTIONS, *self._terms())}
        record(curves(out), {"encoder": out.stem, "step": self.state.step, "seconds": round(self.state.seconds, 1), **told})
        if better:
            encoder = self.encoder(net)
            state = {
                f"{key}.{part}": encoder.get_buffer(f"{layer}_{part}").half()
                for layer, key in encoder.plan if key is not None for part in ("weight", "bias")
            }  # fmt: skip
            colors = {name: encoder.get_buffer(name).flatten().tolist() for name in ("mean", "std")}
            learned = {
                "steps": self.state.step,
                "pictures": self.count,
                "teacher": Path(self.settings.teacher).name or None,
                "validation": told,
            }
            weights.save(out, state, {"kind": "encoder", "name": out.stem, **colors, "learned": learned})

    def preview(self, net: Pupil, exam: Sequence[Sitting]) -> Image:
        """A held-out picture and each layer in three colors."""
        return recognition.portrait(self.encoder(net), self.trial.plain[:1])


QUESTIONS = ("content_top1", "style_top1", "picture_error")


def curves(out: Path) -> Path:
    """The CSV file of the validations, beside the encoder: `mine.safetensors` -> `mine.curves.csv`."""
    return out.with_suffix(".curves.csv")


def table(out: Path) -> dict[str, dict[str, float]]:
    """What chance, random weights, VGG-16 and the encoder at its last validation recognize."""
    if not curves(out).exists():
        return {}
    with curves(out).open(newline="") as file:
        return {row["encoder"]: {name: float(row[name]) for name in QUESTIONS} for row in csv.DictReader(file)}


def _colors(pictures: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of red, green and blue over pictures."""
    rows = np.stack([(p.mean((0, 1)), np.square(p.astype(np.float32)).mean((0, 1))) for p in pictures]).mean(0)
    mean, square = torch.from_numpy(rows[0]) / 255, torch.from_numpy(rows[1]) / 255**2
    return mean, (square - mean.square()).clamp(min=1e-4).sqrt()


def check(settings: Settings) -> None:
    """Raise UsageError for settings that do not fit."""
    if not 1 / 16 <= settings.width <= 1:
        raise UsageError(f"a width of {settings.width:g} of VGG-16's is not between 0.0625 and 1")
    if settings.crop < 32 or settings.crop % 16:
        raise UsageError(f"crops of {settings.crop} px: a multiple of 16, 32 at least")
    if settings.batch < 2:
        raise UsageError(f"a batch of {settings.batch} pictures: 2 at least, or there is nothing to be told apart")
    if not 0 < settings.rate < 1:
        raise UsageError(f"a learning rate of {settings.rate} is not between 0 and 1")
    if settings.seed < 0:
        raise UsageError(f"seed {settings.seed} is negative: 0 at least")
