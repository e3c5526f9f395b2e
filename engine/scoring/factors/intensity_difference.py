"""Brightness of an object against its surround."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.scoring.factors.base import FactorInput, Grey, Mask, Value


def surround_slices(seen: FactorInput) -> tuple[slice, slice]:
    """(rows, columns) of the object's box enlarged on each side and clipped to the image.

    The margin is ceil(0.1 * width) columns and ceil(0.1 * height) rows, at least 1, in integer
    arithmetic because 0.1 is no binary fraction (protocol section 5).
    """
    x0, y0, x1, y1 = seen.box
    margin_x = -(-(x1 - x0 + 1) // 10)
    margin_y = -(-(y1 - y0 + 1) // 10)
    height, width = seen.mask.shape
    return (
        slice(max(0, y0 - margin_y), min(height, y1 + margin_y + 1)),
        slice(max(0, x0 - margin_x), min(width, x1 + margin_x + 1)),
    )


def intensity_difference(seen: FactorInput) -> dict[str, Value]:
    """`intensity_difference`: mean level inside minus mean of the surround, -255..255.

    The surround is the enlarged box without the object; None if nothing is left of it
    (protocol section 5).
    """
    window = surround_slices(seen)
    grey, mask = seen.grey[window], seen.mask[window]
    zero = np.int64(0) if grey.dtype == np.uint8 else np.float64(0.0)
    inside, outside, n_inside = _sums(grey, mask, zero)
    n_outside = mask.size - n_inside
    if n_outside == 0:
        return {"intensity_difference": None}
    return {"intensity_difference": float(inside / n_inside - outside / n_outside)}


@njit(cache=True, nogil=True)
def _sums(grey: Grey, mask: Mask, zero: Any) -> tuple[Any, Any, int]:
    """Sums of levels inside and outside `mask`, in the type of `zero`, and pixels inside.

    Integer levels stay integers: exact, and without a branch the loop is vectorised.
    """
    inside, outside, n_inside = zero, zero, 0
    for row in range(grey.shape[0]):
        for column in range(grey.shape[1]):
            member = int(mask[row, column])
            inside += grey[row, column] * member
            outside += grey[row, column] * (1 - member)
            n_inside += member
    return inside, outside, n_inside
