"""Area of an object."""

from __future__ import annotations

import numpy as np

from engine.scoring.factors.base import FactorInput, Value


def area_px(seen: FactorInput) -> dict[str, Value]:
    """`area_px`: number of pixels, all components together (protocol section 5)."""
    return {"area_px": int(np.count_nonzero(seen.crop))}
