"""How near a result came to its content and its style, in figures."""

from __future__ import annotations

import math

from impasto.errors import UsageError

MEANINGS = {
    "style_distance": "to the style, 0 is nearest",
    "style_distance_of_content": "the same of the content, to compare with",
    "content_distance": "to the content, 0 is nearest",
    "content_distance_of_style": "the same of the style, to compare with",
    "self_similarity_distance": "0 where what lies like what is kept",
    "color_difference": "mean Delta E to the content; 2 can just be seen",
    "seam_energy": "jumps at borders of tiles against elsewhere, 1 is none",
}


def facts(content: str, style: str, result: str, period: int) -> dict[str, float | None]:
    """The figures; None for seams where the picture is smaller than a tile.

    Raises:
        PictureError: a picture that cannot be read.
    """
    from impasto import metrics

    return {
        "style_distance": metrics.style_distance(result, style),
        "style_distance_of_content": metrics.style_distance(content, style),
        "content_distance": metrics.content_distance(result, content),
        "content_distance_of_style": metrics.content_distance(style, content),
        "self_similarity_distance": metrics.self_similarity_distance(result, content),
        "color_difference": metrics.color_difference(result, content),
        "seam_energy": _seam(result, period),
    }


def _seam(result: str, period: int) -> float | None:
    from impasto import metrics

    try:
        found = metrics.seam_energy(result, period)
    except UsageError:
        return None
    return found if math.isfinite(found) else None


def table(facts: dict[str, float | None]) -> str:
    """The figures for people, each with what it means."""
    width = max(map(len, facts))
    return "\n".join(f"{name:{width}}  {_figure(value)}  {MEANINGS[name]}" for name, value in facts.items())


def _figure(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.3f}" if abs(value) < 100 else f"{value:10.1f}"
