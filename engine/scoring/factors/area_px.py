"""Area of an object."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def area_px(seen: FactorInput) -> dict[str, Value]:
    """`area_px`: number of pixels, all components together (protocol section 5)."""
    return {"area_px": seen.area_px}
