"""`impasto env`: what this machine offers, for reports of problems."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

import impasto
from impasto.cli import options, report

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "typer", "openimageio", "onnxruntime")


def env(as_json: options.JsonReport = False) -> None:
    """Show versions, device and precision: paste this into a report of a problem."""
    facts = found()
    report.out(json.dumps(facts) if as_json else "\n".join(f"{name:12} {value}" for name, value in facts.items()))


def found() -> dict[str, Any]:
    """Versions of what matters, and what would be used."""
    import torch

    from impasto import device
    from impasto.features import encoders, weights

    chosen, precision = device.choose()
    _, passport = weights.load(encoders.EMBEDDED)
    return {
        "impasto": impasto.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: version(name) for name in PACKAGES},
        "device": str(chosen),
        "precision": str(precision).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "encoder": f"{passport['name']} sha256 {passport['sha256']}",
    }


def version(package: str) -> str:
    """A package's version, or that it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
