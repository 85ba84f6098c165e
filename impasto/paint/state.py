"""The state of unfinished work in one file, so that it goes on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

import impasto
from impasto.errors import OutputError, UsageError, WeightsError
from impasto.features import weights
from impasto.paint.optimize import Canvas, Level, State, new_optimizer
from impasto.paint.settings import Settings

LISTS = ("best", "average")


def save(path: Path, canvas: Canvas, state: State, levels: Sequence[Level], identity: Mapping[str, Any]) -> None:
    """Write parameters, optimizer, averages, level and step; `identity` says what the work is, for `load` to compare.

    Random numbers are drawn from the seed and the number of the step, so there is no generator to keep.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = {f"parameter.{index}": parameter for index, parameter in enumerate(canvas.parameters())}
    for name in LISTS:
        tensors |= {f"{name}.{index}": tensor for index, tensor in enumerate(getattr(state, name))}
    numbers: dict[str, Any] = {}
    if state.optimizer is not None:
        for index, parameter in enumerate(canvas.parameters()):
            _flatten(f"optimizer.{index}", state.optimizer.state[parameter], tensors, numbers)
    passport = {
        "kind": "state",
        "identity": dict(identity),
        "levels": [list(level) for level in levels],
        "level": state.level,
        "index": state.index,
        "made": state.made,
        "losses": state.losses,
        "average_weight": state.average_weight,
        "rescues": state.rescues,
        "numbers": numbers,
    }
    try:
        weights.save(path, tensors, passport)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"the state cannot be written to {path}: {error}") from error


def made_with(verb: str, settings: Settings, state: State) -> dict[str, Any]:
    """What every recipe begins with: versions, the verb, and the settings with the steps that were made."""
    made = ",".join(f"{size}:{count}" for size, count in state.made if count)
    return {
        "version": impasto.__version__,
        "torch": torch.__version__,
        "verb": verb,
        "settings": replace(settings, steps=made or settings.steps, time=0.0).as_dict(),
    }


def _flatten(prefix: str, slot: Mapping[str, Any], tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """One parameter's optimizer state: tensors and lists of tensors by name, numbers beside."""
    for key, value in slot.items():
        if key == "al":  # L-BFGS's scratch space
            continue
        if isinstance(value, Tensor):
            tensors[f"{prefix}.{key}"] = value
        elif isinstance(value, list):
            numbers[f"{prefix}.{key}.length"] = len(value)
            tensors.update({f"{prefix}.{key}.{index}": item for index, item in enumerate(value)})
        elif value is not None:
            numbers[f"{prefix}.{key}"] = value


def load(path: Path, canvas: Canvas, settings: Settings, identity: Mapping[str, Any]) -> tuple[State, list[Level]]:
    """Bring canvas and state back to where `save` left them; the levels are those that were planned then.

    Raises:
        WeightsError: a damaged file, or not a state.
        UsageError: the state of other work: other pictures, settings or masks.
    """
    tensors, passport = weights.load(path)
    if passport.get("kind") != "state":
        raise WeightsError(f"{path} is not the state of unfinished work")
    for name, value in identity.items():
        if passport["identity"].get(name) != value:
            raise UsageError(f"{path} is the state of other work: {name} differs; give the same pictures and options, or --force")
    state = State(**{name: passport[name] for name in ("level", "index", "made", "losses", "average_weight", "rescues")})
    levels = [Level(*level) for level in passport["levels"]]
    if state.made:
        canvas.resize(state.made[-1][0])
    device = canvas.parameters()[0].device
    # copies lie at aligned addresses, as new tensors do: sums over vectors depend on it in their last bit
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    with torch.no_grad():
        for index, parameter in enumerate(canvas.parameters()):
            parameter.copy_(tensors[f"parameter.{index}"])
    if state.level < len(levels):
        state.optimizer = new_optimizer(canvas.parameters(), settings, levels[state.level].history, 0.5**state.rescues)
        for index, parameter in enumerate(canvas.parameters()):
            slot = _gather(f"optimizer.{index}", tensors, passport["numbers"], device)
            if slot:
                state.optimizer.state[parameter] = slot
    for name in LISTS:
        setattr(state, name, [tensor.to(device) for tensor in _listed(tensors, name)])
    return state, levels


def _listed(tensors: Mapping[str, Tensor], name: str) -> list[Tensor]:
    count = sum(1 for key in tensors if key.startswith(f"{name}."))
    return [tensors[f"{name}.{index}"] for index in range(count)]


def _gather(prefix: str, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    slot: dict[str, Any] = {}
    for key, value in numbers.items():
        if key.startswith(f"{prefix}."):
            name, _, length = key.removeprefix(f"{prefix}.").partition(".")
            slot[name] = [tensors[f"{prefix}.{name}.{index}"].to(device) for index in range(value)] if length else value
    for key, tensor in tensors.items():
        name, _, index = key.removeprefix(f"{prefix}.").partition(".")
        if key.startswith(f"{prefix}.") and not index:
            # Adam counts its steps on the CPU
            slot[name] = tensor if name == "step" else tensor.to(device)
    return slot
