"""The levels of grey in and around an object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled

Mask = NDArray[np.bool_]
Grey = NDArray[np.uint8] | NDArray[np.float64]
Levels = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Window:
    """The tight box enlarged on each side and clipped to the image (protocol section 5).

    It has at least one pixel around the object wherever the image goes on.

    Attributes:
        levels: float64[y, x], 0..255.
        inside: bool[y, x], the object.
        corner: (row, column) of the tight box's first pixel.
    """

    levels: Levels
    inside: Mask
    corner: tuple[int, int]


@dataclass(frozen=True)
class Contrast:
    """An object against its surround, the part of its window outside it; at least one pixel.

    Attributes:
        difference: mean level inside minus mean of the surround, -255..255.
        deviation: standard deviation (ddof 0) of the surround; exactly 0 where it is constant.
    """

    difference: float
    deviation: float


def window_of(mask: Mask, grey: Grey, box: tuple[int, int, int, int]) -> Window:
    """Cut the window of an object out of its slice.

    The margin is ceil(0.1 * width) columns and ceil(0.1 * height) rows, at least 1, in integer
    arithmetic because 0.1 is no binary fraction.

    Args:
        mask, grey: bool[y, x] and levels [y, x] of the slice.
        box: (x0, y0, x1, y1), tight box, inclusive.
    """
    x0, y0, x1, y1 = box
    margin_x = -(-(x1 - x0 + 1) // 10)
    margin_y = -(-(y1 - y0 + 1) // 10)
    top, left = max(0, y0 - margin_y), max(0, x0 - margin_x)
    cut = slice(top, y1 + margin_y + 1), slice(left, x1 + margin_x + 1)
    levels = grey[cut].astype(np.float64)
    return Window(levels, mask[cut].copy(), (y0 - top, x0 - left))


def contrast_of(window: Window, area_px: int) -> Contrast | None:
    """Compare an object of `area_px` pixels with its surround; None where there is no surround.

    Levels are taken relative to one of the surround's own: a constant surround deviates by exactly
    0, and cancellation costs at most a factor of the number of pixels over one rounding, because
    that level alone makes the variance at least its squared distance from the mean over n.
    """
    n = window.inside.size - area_px
    if n == 0:
        return None
    reference = window.levels.flat[np.argmin(window.inside)]
    inside, outside, squares = _moments(window.levels, window.inside, reference)
    mean = outside / n
    return Contrast(inside / area_px - mean, math.sqrt(max(squares / n - mean * mean, 0.0)))


@compiled
def _moments(levels: Levels, inside: Mask, reference: float) -> tuple[float, float, float]:
    """Sums of levels - reference inside and outside, and of its squares outside.

    Sums are kept per column: without an order to keep within a row, the loop is vectorised.
    """
    height, width = levels.shape
    within, without, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    for y in range(height):
        for x in range(width):
            level = levels[y, x] - reference
            member = level * inside[y, x]
            within[x] += member
            without[x] += level - member
            squares[x] += (level - member) * (level - member)
    return within.sum(), without.sum(), squares.sum()
