"""Slow, obvious intensity rules: one pixel at a time in exact arithmetic (protocol 1.6)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


def percentile(values: list[Fraction], percent: float) -> Fraction:
    """Linear interpolation between order statistics."""
    ordered = sorted(values)
    place = Fraction(percent) / 100 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def stretch(image: NDArray[Any], lo: Fraction, hi: Fraction) -> list[Fraction]:
    """Exact 255 * (I - lo) / (hi - lo) of every pixel, clipped, before rounding."""
    out = []
    for value in image.ravel().tolist():
        if lo == hi:
            out.append(Fraction(0))
        else:
            level = 255 * (Fraction(value) - lo) / (hi - lo)
            out.append(min(max(level, Fraction(0)), Fraction(255)))
    return out


def extremes(image: NDArray[Any]) -> tuple[Fraction, Fraction]:
    values = [Fraction(value) for value in image.ravel().tolist()]
    return min(values), max(values)


def agrees(rendered: NDArray[np.uint8], exact: list[Fraction]) -> bool:
    """Equal to the exact level rounded half to even; float64 may tip a tie within 1e-9."""
    for got, level in zip(rendered.ravel().tolist(), exact, strict=True):
        if got != round(level) and abs(abs(level - got) - Fraction(1, 2)) > Fraction(1, 10**9):
            return False
    return True
