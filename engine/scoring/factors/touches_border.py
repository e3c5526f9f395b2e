"""Whether the image cuts an object off."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def touches_border(seen: FactorInput) -> dict[str, Value]:
    """`touches_border`: a pixel lies in the image's first or last row or column (section 5)."""
    x0, y0, x1, y1 = seen.box
    height, width = seen.mask.shape
    return {"touches_border": x0 == 0 or y0 == 0 or x1 == width - 1 or y1 == height - 1}
