"""impasto: neural style transfer that runs offline, on a laptop.

import impasto
impasto.stylize("photo.jpg", "painting.jpg", size=512).save("painted.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from impasto.errors import (
    ImpastoError,
    MissingExtra,
    OutputError,
    OutputExists,
    PaintingError,
    PictureError,
    UnfitPicture,
    UnreadablePicture,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from impasto import metrics
    from impasto.paint.image import Painting
    from impasto.paint.pictures import Stylized
    from impasto.paint.settings import Settings
    from impasto.still import stylize, stylizer
    from impasto.types import Step, Stylizer

__version__ = "0.1.0"

_LATER = {
    "Painting": "impasto.paint.image",
    "Settings": "impasto.paint.settings",
    "Step": "impasto.types",
    "Stylized": "impasto.paint.pictures",
    "Stylizer": "impasto.types",
    "metrics": "impasto.metrics",
    "stylize": "impasto.still",
    "stylizer": "impasto.still",
}
"""Public names that need torch, and the modules they come from: loaded when first used."""

__all__ = [
    "ImpastoError",
    "MissingExtra",
    "OutputError",
    "OutputExists",
    "Painting",
    "PaintingError",
    "PictureError",
    "Settings",
    "Step",
    "Stylized",
    "Stylizer",
    "UnfitPicture",
    "UnreadablePicture",
    "UsageError",
    "WeightsError",
    "__version__",
    "metrics",
    "stylize",
    "stylizer",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'impasto' has no attribute {name!r}")
    module = import_module(_LATER[name])
    return module if name == "metrics" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
