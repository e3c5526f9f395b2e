"""Aspect ratio of an object's tight box."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def aspect_ratio(seen: FactorInput) -> dict[str, Value]:
    """`aspect_ratio`: short over long side of the tight box, in (0, 1] (protocol section 5)."""
    x0, y0, x1, y1 = seen.box
    height, width = y1 - y0 + 1, x1 - x0 + 1
    return {"aspect_ratio": min(height, width) / max(height, width)}
