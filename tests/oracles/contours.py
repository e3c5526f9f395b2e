"""Which pixel centres lie inside polygons: exact fractions, one pixel and one edge at a time."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Point = tuple[Fraction, Fraction]


def inside(polygons: Sequence[Sequence[Point]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool[y, x]: pixels whose centre (whole numbers) an odd number of the polygons is around.

    A ray to the left counts the edges it crosses; an edge holds its upper end and not its lower
    one, and a centre on an edge counts it as crossed.
    """
    mask = np.zeros(size, dtype=bool)
    for y in range(size[0]):
        for x in range(size[1]):
            crossed = 0
            for polygon in polygons:
                for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
                    if (ay <= y) == (by <= y):
                        continue
                    crossed += ax + (y - ay) * (bx - ax) / (by - ay) <= x
            mask[y, x] = crossed % 2
    return mask
