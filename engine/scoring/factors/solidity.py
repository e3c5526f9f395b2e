"""How much of its convex hull an object fills."""

from __future__ import annotations

import numpy as np

from engine.compiled import compiled
from engine.scoring.factors.base import FactorInput, Value
from engine.scoring.factors.positions import Ints


def solidity(seen: FactorInput) -> dict[str, Value]:
    """`solidity`: area over the area of the convex hull of the pixels' corners, in (0, 1].

    Exact until the one division (protocol section 5).
    """
    doubled = _doubled_hull(seen.runs.bounds, seen.runs.stride, len(seen.framed))
    return {"solidity": 2 * seen.area_px / doubled}


@compiled
def _doubled_hull(bounds: Ints, stride: int, height: int) -> int:
    """Twice the area of the corners' hull: between the envelopes of its left and right sides.

    left, right: outermost columns at each line above a row, 0..height; a line has the corners of
    the rows above and below it. `right` is mirrored, so that both are minimal.
    """
    left = np.full(height + 1, stride)
    right = np.full(height + 1, stride)
    run = 0
    for row in range(height):
        begin = run
        while run < len(bounds) and bounds[run, 0] < (row + 1) * stride:
            run += 1
        if run > begin:
            start, stop = bounds[begin, 0] - row * stride, bounds[run - 1, 1] - row * stride
            for line in range(row, row + 2):
                left[line] = min(left[line], start)
                right[line] = min(right[line], -stop)
    return -_doubled_below(left, stride) - _doubled_below(right, stride)


@compiled
def _doubled_below(values: Ints, missing: int) -> int:
    """Twice the integral of the lower convex envelope of (k, values[k]), from first to last k.

    Entries equal to `missing`, which exceeds all others, are no points; the ends are points.
    """
    corners = np.empty(len(values), np.int64)
    n = 0
    for k in range(len(values)):
        if values[k] == missing:
            continue
        while n >= 2:
            a, b = corners[n - 2], corners[n - 1]
            if (values[b] - values[a]) * (k - a) < (values[k] - values[a]) * (b - a):
                break
            n -= 1
        corners[n] = k
        n += 1
    total = 0
    for i in range(1, n):
        a, b = corners[i - 1], corners[i]
        total += (values[a] + values[b]) * (b - a)
    return total
