"""A filter for one painting: the any-style network, its code for the painting and its parameters learned on.

The objective is that of `train`, but the style is one and fixed: the whole painting, 512 px on its long edge, with no
crops and no other colors. The network starts from all that it knows, so minutes on a laptop's CPU are enough.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto import device as devices
from impasto.errors import UsageError, WeightsError
from impasto.fast import data, nets, style
from impasto.fast.course import Batch, Course, Settings
from impasto.fast.layers import Code
from impasto.fast.loop import State, Training, validate, written
from impasto.fast.losses import CONTENT_LAYER, STYLE_LAYERS, encode_style
from impasto.fast.losses import Style as Wanted
from impasto.fast.nets import AnyStyle
from impasto.fast.style import Style
from impasto.fast.train import check
from impasto.features import encoders, weights
from impasto.features.encoders import VGG
from impasto.types import Image

log = logging.getLogger(__name__)

SETTINGS = Settings(
    rate=2e-3, warmup=20, settle=300, average=0.98, style=30.0, ramp=1, motion_from=-1, photo_uses=6, photo_window=128,
    style_uses=1, style_window=1, sample=32, exam=6, validate=50, crop=192, batch=2,
)  # fmt: skip
SIZE = 512
"""Long edge at which the painting is seen, px."""
MOST = 600
"""Photographs that are read at most, evenly spread over those that are there: more would not be met within minutes."""
CODE_SHARE = 4.0
"""The code's learning rate against the parameters', which are some twenty times smaller."""
PHOTOS = Path(__file__).parent / "photos"
"""Photographs in the public domain, for want of the user's own; those named `held-...` are kept to measure on."""
USUAL = {"relu1_1": 1.3e5, "relu2_1": 1.26e7, "relu3_1": 6.97e7, "relu4_1": 5.64e7}
"""|μ|² + |σ|² of each style layer of VGG-16, meaned over the shipped network's training: its distances' units there."""

PARTS: dict[str, Callable[[str], bool]] = {
    "head": lambda name: not name.startswith(("body.", "predictor.")),
    "all": lambda name: not name.startswith("predictor.") and not name.endswith((".left.weight", ".right.weight")),
}
"""Which parameters of the network change, by name. Without the body's the style file is a third as large."""


class Alone:
    """What the loop asks of Accelerate, for one process: learning a filter needs no more than impasto itself."""

    process_index, num_processes, is_main_process = 0, 1, True

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def prepare(self, *parts: Any) -> tuple[Any, ...]:
        """Nothing is to be spread over processes."""
        return parts

    def reduce(self, value: Tensor, _how: str) -> Tensor:
        """Of one value the mean is the value."""
        return value

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss."""
        loss.backward()  # type: ignore[no-untyped-call]

    def clip_grad_norm_(self, parameters: Iterable[nn.Parameter], most: float) -> None:
        """Scale gradients down to a norm of `most`."""
        torch.nn.utils.clip_grad_norm_(parameters, most)


class Filter(nn.Module):
    """A network with the code of its one style, both to be learned."""

    def __init__(self, net: AnyStyle, code: Code, parts: str) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        self.net.predictor = nn.Identity()  # type: ignore[assignment]  # there is nothing to predict
        self.code = nn.Parameter(code.detach().clone())
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(PARTS[parts](name))

    def forward(
        self, photo: Image, row: Tensor, noise: Tensor, strength: Tensor, moved: Image | None
    ) -> tuple[Image, Image | None]:
        """Paint a photograph, and its moved copy where there is one; `row` and `noise` are for predictors."""
        painted = self.net(photo, self.code, strength=strength)
        return painted, None if moved is None else self.net(moved, self.code, strength=strength)


class Commission(Course):
    """The stream of photographs, all of them to be painted like one painting."""

    def __init__(self, source: data.Source, encoder: VGG, settings: Settings, wanted: Wanted, like: Course | None = None) -> None:
        self.wanted = wanted
        super().__init__(source, encoder, settings, like)
        self.usual = {layer: torch.tensor(value * _share(encoder, layer), device=self.device) for layer, value in USUAL.items()}

    def style(self, number: int) -> Wanted:
        """The painting, whatever the number."""
        return self.wanted


class Learner(Training[Filter]):
    """Learning of one painting's filter."""

    def __init__(
        self,
        painting: Image,
        photos: Sequence[Path] = (),
        *,
        net: AnyStyle | None = None,
        parts: str = "all",
        encoder: str = "vgg16",
        name: str = "style",
        passport: Mapping[str, Any] | None = None,
        settings: Settings = SETTINGS,
        device: str = "auto",
    ) -> None:
        """Look at the painting, and read the photographs in folders (default: the embedded ones); a tenth is held out.

        `net`: what to start from (default: the embedded network). `parts`: which parameters change, see PARTS. `encoder`: what
        judges, a name or a file. `name` and `passport` (title, artist, year, rights ...) go into the style file.

        Raises:
            UnfitPicture: a painting with a side under 64 px.
            UsageError: no such folder, fewer than 8 readable photographs, unknown parts, encoder or device, settings or a name
                that do not fit.
            WeightsError: there is no network to start from, or the encoder's file is damaged.
        """
        if parts not in PARTS:
            raise UsageError(f"parts {parts!r} is not one of {', '.join(PARTS)}")
        if not style.NAME.fullmatch(name):
            raise UsageError(f"a style's name is of lower-case letters, digits and single hyphens, not {name!r}")
        check(settings)
        chosen, precision = devices.choose(device)
        self.accelerator, self.settings, self.parts = Alone(chosen), settings, parts
        self.net = backbone() if net is None else net
        judge = encoders.load(encoder)
        judge.check([*STYLE_LAYERS, CONTENT_LAYER])
        seer = judge if encoder == "vgg16" else encoders.load("vgg16")
        seen = style.fitted(painting, SIZE)
        about = {"painting": weights.digest({"painting": seen})}
        self.first = style.of(self.net, seer, painting, name, {**(passport or {}), **about})
        self.unlearned = math.nan
        judge = judge.to(chosen).precision(precision)  # after the painting was described in full precision
        wanted = encode_style(judge, [(1.0, seen)])
        learned, held = sources(settings, photos)
        self.count = len(learned.photos)
        self.course = Commission(learned, judge, settings, wanted)
        self.held = Commission(held, judge, settings, wanted, self.course)
        self.state = self._fresh(
            {"kind": "learning", **about, "encoder": judge.name, "start": _identity(self.net), "parts": parts}
        )

    def _fresh(self, about: Mapping[str, str]) -> State[Filter]:
        found = Filter(self.net, self.first.code, self.parts).to(self.accelerator.device)
        groups = [
            {"params": [p for p in found.net.parameters() if p.requires_grad], "weight_decay": 0.0},
            {"params": [found.code], "weight_decay": 0.0, "share": CODE_SHARE},
        ]
        return State(found, self.settings, groups, about)

    def lesson(self, net: Filter) -> nn.Module:
        """The filter paints by itself."""
        return net

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def standing(self, out: Path, exam: Sequence[Batch]) -> float | None:
        """Validation loss to beat: of the painting's style before learning, or of one learned earlier that lies at `out`.

        The better of the two lies at `out` from the start, so that there is a filter whenever one stops.
        """
        if self.state.step:
            return None  # the state that is gone on with knows it
        self.unlearned = validate(self.state.net, self.held, exam)["total"]
        there = self._there(out, exam)
        if not self.unlearned >= there:
            with written(out):
                style.save(out, self.first)
        return min(there, self.unlearned)

    def _there(self, out: Path, exam: Sequence[Batch]) -> float:
        """Validation loss of an earlier filter of the same painting and network at `out`; infinite for anything else."""
        try:
            found = style.read(out)
            if found.passport.get("painting") != self.first.passport["painting"] or found.net != self.first.net:
                return math.inf
            bound = style.bind(self.net, [(1.0, found)])
        except WeightsError:
            return math.inf
        earlier = Filter(bound.net, bound.code, self.parts).to(self.accelerator.device)
        return validate(earlier, self.held, exam)["total"]

    def keep(self, out: Path, net: Filter, found: Mapping[str, float], better: bool) -> None:
        """Write the filter where it is the best so far."""
        if better:
            style.save(out, self.as_style(net, found))

    def as_style(self, net: Filter, found: Mapping[str, float]) -> Style:
        """A filter as a style: its code, and how its network differs from the one it started from."""
        start = self.net.state_dict()
        changes = {
            name: parameter.detach().cpu() - start[name].cpu()
            for name, parameter in net.net.named_parameters()
            if PARTS[self.parts](name)
        }
        learned = {"steps": self.state.step, "photographs": self.count, "parts": self.parts, "validation": dict(found)}
        return replace(
            self.first, code=net.code.detach().cpu(), changes=changes, passport={**self.first.passport, "learned": learned}
        )

    def preview(self, net: Filter, exam: Sequence[Batch]) -> Image:
        """A held-out photograph, whole."""
        photo = data.tensor(self.held.source.photos[0]).to(self.accelerator.device)
        painted: Image = net.net(photo, net.code)
        return painted


def backbone(path: Path | None = None) -> AnyStyle:
    """The network that filters start from: of a file, or the embedded one.

    Raises:
        WeightsError: no such file, damaged, no network, from a newer impasto; or none is embedded.
    """
    if path is not None:
        return nets.load(path)
    if not style.EMBEDDED_NET.exists():
        raise WeightsError("this impasto comes without a network for filters: give one with --backbone FILE (impasto train)")
    return style.network()


def sources(settings: Settings, photos: Sequence[Path]) -> tuple[data.Source, data.Source]:
    """Photographs to learn from, and those held out: from folders, or the embedded ones.

    Raises:
        UsageError: no such folder, fewer than 8 readable photographs.
    """
    paths = data.files(photos or [PHOTOS])
    if photos:
        learned, held = data.split(paths[:: -(-len(paths) // MOST) or 1])
    else:
        held = [path for path in paths if path.stem.startswith("held-")]
        learned = [path for path in paths if path not in held]
    pictures = data.read(learned, SIZE)
    if photos:
        data.enough(pictures)
    if not held:
        log.warning("too few photographs to keep one apart: the filter is measured on those that it learns from")
    side = settings.crop + 2 * settings.margin
    apart = data.read(held, SIZE) or pictures
    return data.Source(pictures, [], side, seed=settings.seed), data.Source(apart, [], side, widen=False)


def _share(encoder: VGG, layer: str) -> float:
    """Channels of a layer, as a share of VGG-16's: energies are summed over them."""
    return len(encoder.get_buffer(f"{layer}_bias")) / nets.SIGNATURE[layer]


def _identity(net: AnyStyle) -> str:
    return net.identity or weights.digest(net.state_dict())
