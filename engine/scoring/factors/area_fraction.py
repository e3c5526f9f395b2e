"""The share of the image an object covers."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def area_fraction(seen: FactorInput) -> dict[str, Value]:
    """`area_fraction`: area over height * width of the image, in (0, 1] (protocol section 5)."""
    return {"area_fraction": seen.area_px / seen.mask.size}
