"""Squared distances from border pixels to the nearest pixel of another border, compiled by numba.

The nearest is sought along the row of each query, among the squares of the distances down the
columns: the minimum over columns c of (x - c)^2 + field[c]^2. In pixels these are integers and held
by int32. A row with few queries looks, for each, no farther than the best found so far
allows; a crowded row first looks a few columns to each side of all its pixels at once and, where
that is not enough, sweeps once over its lower envelope of parabolas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled
from engine.scoring.bits import Words, gathered, lowest
from engine.scoring.border_kernels import FAR, Bytes, Field

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Squares = NDArray[np.int32]

LONGEST = 25_000
"""Longest side of a slice whose squared distances int32 can hold, NOWHERE and all sums included."""

NOWHERE = 2 * LONGEST * LONGEST + 1
"""Square of the column distance where a column has no border pixel; above any distance."""

NEAR = 8
"""Columns to each side that a crowded row tries before it sweeps."""


@compiled
def nearest_sq(
    border: Bytes, y0: int, x0: int, count: int, field: Field, field_y0: int, field_x0: int
) -> Squares:
    """int32[count]: squared distance in pixels of each pixel of one border to another border.

    Args:
        border: uint8[y, x] of `border_map`, its first pixel at (y0, x0), `count` pixels.
        field: int32[y, x] of `column_distance` of the other border, its first pixel at
            (field_y0, field_x0); it holds every row of `border`, columns it need not.

    Returns:
        Row-major.
    """
    result = np.empty(count, np.int32)
    columns = np.empty(border.shape[1], np.int64)
    whole_row = np.empty(border.shape[1], np.int32)
    line = np.empty(field.shape[1], np.int32)
    envelope = _envelope(field.shape[1])
    shift, found = x0 - field_x0, 0
    for y in range(len(border)):
        n = _columns(border[y], columns)
        if n == 0:
            continue
        _square(field[y + y0 - field_y0], line)
        if n > len(line) // 16 + 8:
            _crowded(border[y], line, shift, envelope, whole_row)
            for i in range(n):
                result[found + i] = whole_row[columns[i]]
        else:
            for i in range(n):
                result[found + i] = _lone(columns[i] + shift, line)
        found += n
    return result


@compiled
def square_map(field: Field, field_x0: int, width: int) -> Squares:
    """int32[y, width]: `nearest_sq` for every pixel of a slice.

    field: int32[y, x] of `column_distance`, all rows of the slice, columns from `field_x0`.
    """
    result = np.empty((len(field), width), np.int32)
    line = np.empty(field.shape[1], np.int32)
    envelope = _envelope(field.shape[1])
    for y in range(len(field)):
        _square(field[y], line)
        _sweep(line, -field_x0, envelope, result[y])
    return result


@compiled
def ranked(squares: Squares, most: int) -> Floats:
    """float64[n]: the different values of int32[y, x], ascending.

    In `squares` each value is replaced by its place among them. Takes four bytes for each number
    up to `most`, the largest.
    """
    rank = np.zeros(most + 1, np.int32)
    for y in range(len(squares)):
        for x in range(squares.shape[1]):
            rank[squares[y, x]] = 1
    levels = np.flatnonzero(rank)
    for i in range(len(levels)):
        rank[levels[i]] = np.int32(i)
    for y in range(len(squares)):
        for x in range(squares.shape[1]):
            squares[y, x] = rank[squares[y, x]]
    return levels.astype(np.float64)


@compiled
def looked_up(
    pixels: Words, step: int, y0: int, x0: int, ranks: Squares, levels: Floats
) -> tuple[Floats, Ints]:
    """`runs` of the values `levels[ranks]` at the pixels of a border.

    Args:
        pixels: `bits.packed` in the border's bounds, `step` words a row, its first pixel at
            (y0, x0).
        ranks: int32[y, x], places among `levels`.
        levels: float64[n], ascending.
    """
    tally = np.zeros(len(levels), np.int32)
    for y in range(len(pixels) // step):
        line = ranks[y + y0]
        for k in range(step):
            bits = pixels[y * step + k]
            while bits != 0:
                tally[line[x0 + 64 * k + int(lowest(bits))]] += 1
                bits &= bits - np.uint64(1)
    values, upto = np.empty(len(levels), np.float64), np.empty(len(levels), np.int64)
    found, total = 0, 0
    for i in range(len(levels)):
        total += tally[i]
        # written to the same place again until a level has pixels: no branch
        values[found], upto[found] = levels[i], total
        found += tally[i] != 0
    return values[:found], upto[:found]


@compiled
def runs(ascending: Floats) -> tuple[Floats, Ints]:
    """The different values of float64[n], and how many are each of them or smaller."""
    values, upto = np.empty(len(ascending), np.float64), np.empty(len(ascending), np.int64)
    found = -1
    for i in range(len(ascending)):
        # written to the same place again until the value changes: no branch
        found += i == 0 or ascending[i] != ascending[i - 1]
        values[found], upto[found] = ascending[i], i + 1
    return values[: found + 1], upto[: found + 1]


@compiled
def total_of(squares: Floats, upto: Ints) -> float:
    """Sum of the roots of what `runs` returns, in ascending order."""
    total = 0.0
    before = 0
    for i in range(len(squares)):
        total += np.sqrt(squares[i]) * float(upto[i] - before)
        before = upto[i]
    return total


@compiled
def _columns(line: Bytes, columns: Ints) -> int:
    """Write the columns of a row's pixels and return how many."""
    words = line.view(np.uint64)
    found = 0
    for first in range(0, len(words), 8):
        bits = gathered(words[first : first + 8])
        while bits != 0:
            columns[found] = 8 * first + int(lowest(bits))
            found += 1
            bits &= bits - np.uint64(1)
    return found


@compiled
def _square(distances: Field, squares: Squares) -> None:
    for x in range(len(distances)):
        d = distances[x]
        squares[x] = np.int32(d * d) if d < FAR else np.int32(NOWHERE)


@compiled
def _lone(x: int, line: Squares) -> np.int32:
    """The minimum over columns c of (x - c)^2 + line[c]."""
    nearest = min(max(x, 0), len(line) - 1)
    best = np.int32(np.int32((x - nearest) * (x - nearest)) + line[nearest])
    reach = int(np.sqrt(float(best)))  # a column farther than that cannot be nearer
    first = max(0, x - reach)
    part = line[first : x + reach + 1]
    for i in range(len(part)):
        across = np.int32(first - x + i)
        best = min(best, np.int32(np.int32(across * across) + part[i]))
    return best


@compiled
def _crowded(
    pixels: Bytes, line: Squares, shift: int, envelope: tuple[Floats, Ints, Floats], best: Squares
) -> None:
    """`_lone` of x + shift for all x, written to best[x]; exact at least where `pixels` is set."""
    best[:] = NOWHERE
    _nearer(line, shift, 0, best)
    for k in range(1, NEAR + 1):
        _nearer(line, shift + k, k, best)
        _nearer(line, shift - k, k, best)
        # Whatever lies farther to the side is at least (k + 1)^2 away.
        if k & (k - 1) == 0 and _farthest(best, pixels) <= (k + 1) * (k + 1):
            return
    _sweep(line, shift, envelope, best)


@compiled
def _nearer(line: Squares, shift: int, k: int, best: Squares) -> None:
    """Let each x try column x + shift, k columns to its side."""
    first = max(0, -shift)
    mine = best[first : max(first, min(len(best), len(line) - shift))]
    theirs = line[first + shift :]
    for x in range(len(mine)):
        mine[x] = min(mine[x], np.int32(theirs[x] + np.int32(k * k)))


@compiled
def _farthest(squares: Squares, pixels: Bytes) -> np.int32:
    """Largest of the squares where `pixels` is set."""
    most = np.int32(0)
    for x in range(len(squares)):
        most = max(most, np.int32(squares[x] * np.int32(pixels[x])))
    return most


@compiled
def _envelope(width: int) -> tuple[Floats, Ints, Floats]:
    """Room for the sweep over `width` columns: 1 / (2 d) by d; apexes; and where each begins."""
    halves = np.empty(width + 1, np.float64)
    halves[0] = np.inf
    for d in range(1, width + 1):
        halves[d] = 0.5 / d
    return halves, np.empty(width, np.int64), np.empty(width, np.float64)


@compiled
def _sweep(line: Squares, shift: int, envelope: tuple[Floats, Ints, Floats], best: Squares) -> None:
    """`_lone` of x + shift for all x, written to best[x], in one pass over the row.

    Each column is a parabola; their lower envelope is kept as apexes and the positions from which
    each is the lowest (Felzenszwalb and Huttenlocher 2012; Meijster et al. 2000). Costs the row's
    width however far the nearest pixel lies. Positions are rounded, values are not: where two
    parabolas meet, either gives the same integer.
    """
    halves, apex, start = envelope
    top = -1
    for c in range(len(line)):
        since = -np.inf
        while top >= 0:
            v = apex[top]
            rise = float(line[c]) - float(line[v]) + float(c * c - v * v)
            since = rise * halves[c - v]
            if since > start[top]:
                break
            top -= 1
            since = -np.inf
        top += 1
        apex[top], start[top] = c, since
    x = 0
    for k in range(top + 1):
        end = len(best)
        if k < top:
            end = min(end, int(np.ceil(start[k + 1])) - shift)
        height = line[apex[k]]
        while x < end:
            across = np.int32(x + shift - apex[k])
            best[x] = np.int32(np.int32(across * across) + height)
            x += 1


@compiled
def nearest_sq_stretched(
    border: Bytes, y0: int, x0: int, count: int, field: Field, field_y0: int, field_x0: int,
    row_sq: float, column_sq: float,
) -> Floats:  # fmt: skip
    """float64[count]: as `nearest_sq` where pixels are no squares.

    row_sq, column_sq: squared height and width of a pixel.
    """
    result = np.empty(count, np.float64)
    columns = np.empty(border.shape[1], np.int64)
    scratch = np.empty((3, field.shape[1]), np.float64)
    found = 0
    for y in range(len(border)):
        n = _columns(border[y], columns)
        columns[:n] += x0 - field_x0
        line, nearest = field[y + y0 - field_y0], result[found : found + n]
        if n > len(line) // 8 + 8:
            for x in range(len(line)):
                scratch[0, x] = _down_sq(line[x], row_sq)
            _sweep_stretched(columns[:n], column_sq, scratch, nearest)
        else:
            for i in range(n):
                nearest[i] = _walk(columns[i], line, row_sq, column_sq)
        found += n
    return result


@compiled
def _walk(x: int, line: Field, row_sq: float, column_sq: float) -> float:
    """Minimum over columns c of (x - c)^2 * column_sq + line[c]^2 * row_sq, from x outwards."""
    last = len(line) - 1
    best = np.inf
    c = min(x, last)
    while c >= 0:
        across = float(x - c) * float(x - c) * column_sq
        if across >= best:
            break
        best = min(best, across + _down_sq(line[c], row_sq))
        c -= 1
    c = max(x + 1, 0)
    while c <= last:
        across = float(c - x) * float(c - x) * column_sq
        if across >= best:
            break
        best = min(best, across + _down_sq(line[c], row_sq))
        c += 1
    return best


@compiled
def _down_sq(rows: np.int32, row_sq: float) -> float:
    """Squared distance down a column; infinite where it has no border pixel."""
    return float(rows) * float(rows) * row_sq if rows < FAR else np.inf


@compiled
def _sweep_stretched(columns: Ints, column_sq: float, scratch: Floats, result: Floats) -> None:
    """The minima of `_walk` for ascending columns, in one pass over the row, as `_sweep`.

    scratch: float64[3, width]; row 0 holds line^2 * row_sq, infinite in some columns but not in
        all; the others are overwritten.
    """
    height_sq, apex, start = scratch[0], scratch[1], scratch[2]
    top = -1
    for c in range(len(height_sq)):
        if height_sq[c] == np.inf:
            continue
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
    for i in range(len(columns)):
        x = columns[i]
        while k < top and start[k + 1] <= x:
            k += 1
        across = float(x) - apex[k]
        result[i] = across * across * column_sq + height_sq[int(apex[k])]
