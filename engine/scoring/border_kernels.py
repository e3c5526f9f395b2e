"""The inner loops of border distances, compiled by numba.

The nearest border pixel is found in two steps: down the columns for every pixel of a region
(`column_distance`), then along the row of each query pixel, outwards until the column offset alone
exceeds the best distance so far (`nearest_sq`). Squared distances are float64 and hold integers
exactly when the pixel is the unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Field = NDArray[np.int32]
Floats = NDArray[np.float64]

FAR = 1 << 20
"""Column distance where a column has no border pixel; longer than any image's side."""


@compiled
def bounds(mask: Bytes) -> tuple[int, int, int, int]:
    """(y0, y1, x0, x1), inclusive, of the non-zero pixels of `mask: uint8[y, x]`.

    y1 < y0 when there are none.
    """
    height, width = mask.shape
    columns = np.zeros(width, np.uint8)
    y0, y1 = height, -1
    for y in range(height):
        filled = np.uint8(0)
        for x in range(width):
            filled |= mask[y, x]
        if filled:
            y0 = min(y0, y)
            y1 = y
            for x in range(width):
                columns[x] |= mask[y, x]
    x0, x1 = 0, width - 1
    while x0 < width and columns[x0] == 0:
        x0 += 1
    while x1 >= x0 and columns[x1] == 0:
        x1 -= 1
    return y0, y1, x0, x1


@compiled
def border_pixels(mask: Bytes, y0: int, y1: int, x0: int, x1: int) -> tuple[Ints, Ints]:
    """Rows and columns, int64[n] each, row-major, of the border of `mask: uint8[y, x]` of 0 and 1.

    y0, y1, x0, x1: its bounds, inclusive; what lies beyond them counts as outside.
    """
    width = x1 - x0 + 1
    padded = np.zeros((y1 - y0 + 3, (width + 9) // 8 * 8), np.uint8)
    for y in range(y0, y1 + 1):
        for x in range(width):
            padded[y - y0 + 1, x + 1] = mask[y, x0 + x]
    edge = np.zeros(padded.shape, np.uint8)
    total = 0
    for y in range(1, padded.shape[0] - 1):
        for x in range(1, width + 1):
            core = padded[y - 1, x] & padded[y + 1, x] & padded[y, x - 1] & padded[y, x + 1]
            edge[y, x] = padded[y, x] & (core ^ np.uint8(1))
            total += edge[y, x]
    words = edge.view(np.uint64)
    rows = np.empty(total, np.int64)
    columns = np.empty(total, np.int64)
    found = 0
    for y in range(edge.shape[0]):
        for word in range(words.shape[1]):
            if words[y, word] != 0:
                for x in range(8 * word, 8 * word + 8):
                    if edge[y, x] != 0:
                        rows[found] = y - 1 + y0
                        columns[found] = x - 1 + x0
                        found += 1
    return rows, columns


@compiled
def column_distance(rows: Ints, columns: Ints, y0: int, y1: int, x0: int, x1: int) -> Field:
    """int32[y1-y0+1, x1-x0+1]: rows to the nearest border pixel of the same column, or >= FAR.

    rows, columns: int64[n], the border's pixels, all within the region y0..y1, x0..x1 (inclusive).
    """
    field = np.full((y1 - y0 + 1, x1 - x0 + 1), FAR, np.int32)
    for i in range(len(rows)):
        field[rows[i] - y0, columns[i] - x0] = 0
    for y in range(1, field.shape[0]):
        for x in range(field.shape[1]):
            field[y, x] = min(field[y, x], field[y - 1, x] + np.int32(1))
    for y in range(field.shape[0] - 2, -1, -1):
        for x in range(field.shape[1]):
            field[y, x] = min(field[y, x], field[y + 1, x] + np.int32(1))
    return field


@compiled
def nearest_sq(
    rows: Ints, columns: Ints, field: Field, y0: int, x0: int, row_sq: float, column_sq: float
) -> Floats:
    """float64[n]: squared distance of each query pixel to the nearest border pixel.

    rows, columns: int64[n], query pixels, row-major; every row lies within `field`, columns need
        not.
    field: int32[y, x] of `column_distance`, its first pixel at (y0, x0).
    row_sq, column_sq: squared height and width of a pixel.
    """
    result = np.empty(len(rows), np.float64)
    width = field.shape[1]
    scratch = np.empty((3, width), np.float64)
    first = 0
    while first < len(rows):
        end = first + 1
        while end < len(rows) and rows[end] == rows[first]:
            end += 1
        y = rows[first] - y0
        if end - first > width // 8 + 8:
            for x in range(width):
                scratch[0, x] = float(field[y, x]) * float(field[y, x]) * row_sq
            _sweep(columns, first, end, x0, column_sq, scratch, result)
        else:
            for i in range(first, end):
                result[i] = _scan(columns[i] - x0, field, y, row_sq, column_sq)
        first = end
    return result


@compiled
def _scan(x: int, field: Field, y: int, row_sq: float, column_sq: float) -> float:
    """Minimum over columns c of (x - c)^2 * column_sq + field[y, c]^2 * row_sq, from x outwards."""
    last = field.shape[1] - 1
    best = np.inf
    c = min(x, last)
    while c >= 0:
        across = float(x - c) * float(x - c) * column_sq
        if across >= best:
            break
        best = min(best, across + float(field[y, c]) * float(field[y, c]) * row_sq)
        c -= 1
    c = max(x + 1, 0)
    while c <= last:
        across = float(c - x) * float(c - x) * column_sq
        if across >= best:
            break
        best = min(best, across + float(field[y, c]) * float(field[y, c]) * row_sq)
        c += 1
    return best


@compiled
def _sweep(
    columns: Ints, first: int, end: int, x0: int, column_sq: float, scratch: Floats, result: Floats
) -> None:
    """The minima of `_scan` for the ascending columns[first:end], in one pass over the row.

    Each column is a parabola; their lower envelope is kept as apexes and the positions from which
    each is the lowest (Felzenszwalb and Huttenlocher 2012; Meijster et al. 2000). Costs the row's
    width however far the nearest pixel lies, where `_scan` costs that distance per query.

    scratch: float64[3, width]; row 0 holds field^2 * row_sq, the others are overwritten.
    """
    height_sq, apex, start = scratch[0], scratch[1], scratch[2]
    top = -1
    for c in range(len(height_sq)):
        since = -np.inf
        while top >= 0:
            v = int(apex[top])
            rise = (height_sq[c] - height_sq[v]) / column_sq
            since = (rise + float(c * c - v * v)) / float(2 * (c - v))
            if since > start[top]:
                break
            top -= 1
            since = -np.inf
        top += 1
        apex[top] = c
        start[top] = since
    k = 0
    for i in range(first, end):
        x = columns[i] - x0
        while k < top and start[k + 1] <= x:
            k += 1
        across = float(x) - apex[k]
        result[i] = across * across * column_sq + height_sq[int(apex[k])]


@compiled
def percentile_95(squares: Floats) -> float:
    """95th percentile, linear interpolation, of the roots of `squares: float64[n]`, n >= 1."""
    position = 0.95 * (len(squares) - 1)
    below = int(position)
    values = squares.copy()
    low = np.sqrt(_arrange(values, below))
    if below + 1 == len(values):
        return float(low)
    high = values[below + 1]
    for i in range(below + 2, len(values)):
        high = min(high, values[i])
    return float(low + (np.sqrt(high) - low) * (position - below))


@compiled
def _arrange(values: Floats, k: int) -> float:
    """Order `values` in place so far that [k] is in its sorted place, with none smaller after it.

    Hoare's selection; numpy's partition would cost nine seconds of compilation.
    """
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return float(values[k])


@compiled
def summary(there: Floats, back: Floats) -> tuple[float, float, float]:
    """(hausdorff, hd95, assd) of both directions' squared distances, float64[n] and float64[m]."""
    hausdorff = np.sqrt(max(there.max(), back.max()))
    hd95 = max(percentile_95(there), percentile_95(back))
    total = 0.0
    for value in there:
        total += np.sqrt(value)
    for value in back:
        total += np.sqrt(value)
    return hausdorff, hd95, total / (len(there) + len(back))


@compiled
def share_within(there: Floats, back: Floats, limit_sq: float) -> float:
    """Share of both directions' squared distances that are <= `limit_sq`."""
    near = 0
    for value in there:
        near += value <= limit_sq
    for value in back:
        near += value <= limit_sq
    return near / (len(there) + len(back))
