"""Where and how precisely the work is done: device, precision, seeds, and what a size costs in memory."""

from __future__ import annotations

import torch

from impasto.errors import UsageError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def choose(device: str = "auto", precision: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device ("auto": CUDA, else the CPU; Apple's "mps" is untried) and the precision of the encoder's convolutions on it.

    "auto" takes bfloat16 where the hardware multiplies in it (a CPU with AVX-512 bf16 or AMX: half the time; a CUDA GPU
    from Ampere on), float32 elsewhere. Statistics and losses are always computed in float32.

    Raises:
        UsageError: an unknown device or precision, or one that is not on this machine.
    """
    try:
        chosen = torch.device(_best_device() if device == "auto" else device)
        float(torch.zeros(1, device=chosen).sum())
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"device {device!r} cannot be used here ({first}); try --device cpu") from error
    if precision == "auto":
        return chosen, torch.bfloat16 if multiplies_bfloat16(chosen) else torch.float32
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is not one of auto, {', '.join(PRECISIONS)}")
    return chosen, PRECISIONS[precision]


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    # Apple's MPS has to be asked for: nothing here was ever run on it
    return "cpu"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 on the device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def noise(shape: tuple[int, ...], seed: int, device: torch.device) -> torch.Tensor:
    """Standard normal numbers, drawn on the CPU whatever the device, so that a seed means the same everywhere."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)
