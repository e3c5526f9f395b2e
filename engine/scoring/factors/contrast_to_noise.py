"""Brightness of an object against its surround, in units of the surround's noise."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def contrast_to_noise(seen: FactorInput) -> dict[str, Value]:
    """`contrast_to_noise`: `intensity_difference` over the surround's standard deviation (ddof 0).

    None if the surround is empty or constant (protocol section 5).
    """
    contrast = seen.contrast
    if contrast is None or contrast.deviation == 0:
        return {"contrast_to_noise": None}
    return {"contrast_to_noise": contrast.difference / contrast.deviation}
