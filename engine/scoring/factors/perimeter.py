"""The length of an object's outline, and how compact that makes it."""

from __future__ import annotations

import math

from engine.scoring.factors.base import FactorInput, Value


def perimeter(seen: FactorInput) -> dict[str, Value]:
    """`perimeter_px` and `compactness` (protocol section 5).

    `perimeter_px` counts the pixel edges between inside and outside, around holes and along the
    image's border too. `compactness` = 4 * pi * area / perimeter^2 is at most pi / 4, that of a
    square: a staircase is longer than the line it follows.
    """
    length = seen.topology.perimeter_px
    return {
        "perimeter_px": length,
        "compactness": 4.0 * math.pi * seen.area_px / length**2,
    }
