"""Brightness of an object against its surround."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def intensity_difference(seen: FactorInput) -> dict[str, Value]:
    """`intensity_difference`: mean level inside minus mean of the surround, -255..255.

    The surround is the enlarged box without the object; None if nothing is left of it
    (protocol section 5).
    """
    return {"intensity_difference": seen.contrast.difference if seen.contrast else None}
