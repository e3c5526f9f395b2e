"""Average ranks of values that are compared within many subsets.

A value's code is its place among the distinct values; a subset's ranks follow from counting codes,
so values are sorted once, however many subsets they are ranked in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


def codes(values: ArrayLike) -> Codes:
    """int64[n]: the place of each value among the distinct ones, from 0; -1 where it is NaN.

    Args:
        values: float64[n]; NaN: undefined.
    """
    numbers = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(numbers)
    found = np.full(len(numbers), -1, dtype=np.int64)
    found[defined] = np.unique(numbers[defined], return_inverse=True)[1]
    return found


def ranks(coded: Codes) -> Floats:
    """float64[n]: average ranks, from 1, of values given by their codes (none of them -1)."""
    counts = np.bincount(coded)
    average: Floats = np.cumsum(counts) - (counts - 1) / 2
    return average[coded]
