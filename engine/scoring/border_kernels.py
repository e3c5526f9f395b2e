"""Borders and distances down the columns, compiled by numba.

Loops run over whole rows, one after another in memory, and start at 0: only then do they become
vector instructions. `nearest_kernels` goes on along the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled

Bytes = NDArray[np.uint8]
Field = NDArray[np.int32]

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
def border_map(mask: Bytes, y0: int, y1: int, x0: int, x1: int) -> tuple[Bytes, int]:
    """The border of `mask: uint8[y, x]` of 0 and 1 within its bounds, and its number of pixels.

    y0, y1, x0, x1: the mask's bounds, inclusive; what lies beyond them counts as outside.

    Returns:
        uint8[y1-y0+1, more than x1-x0+1, a whole number of words of 8], 1 on the border, else 0.
    """
    height, width = y1 - y0 + 1, x1 - x0 + 1
    # Rows one after another, with at least one column of zeros between them and a row of zeros
    # before and after: each pixel's neighbours then lie at four fixed places, without exception.
    step = width // 8 * 8 + 8
    first, size = step + 8, height * step
    padded = np.zeros(size + 2 * step + 16, np.uint8)
    for y in range(height):
        row, pixels = padded[first + y * step :], mask[y0 + y, x0 : x1 + 1]
        for x in range(width):
            row[x] = pixels[x]
    border = np.empty(size, np.uint8)
    _border_of(
        padded[first : first + size],
        padded[first - 1 : first - 1 + size],
        padded[first + 1 : first + 1 + size],
        padded[first - step : first - step + size],
        padded[first + step : first + step + size],
        border,
    )
    return border.reshape(height, step), _sum(border)


@compiled
def _border_of(
    here: Bytes, left: Bytes, right: Bytes, above: Bytes, below: Bytes, border: Bytes
) -> None:
    """Pixels with a neighbour outside the mask; all uint8[n]."""
    for i in range(len(border)):
        border[i] = here[i] & ~(left[i] & right[i] & above[i] & below[i])


@compiled
def _sum(line: Bytes) -> int:
    total = np.int32(0)  # vector instructions, which numpy's sum of bytes is not given
    for x in range(len(line)):
        total += np.int32(line[x])
    return int(total)


@compiled
def column_distance(border: Bytes, width: int, above: int, below: int) -> Field:
    """Rows to the nearest border pixel of the same column, or >= FAR where there is none.

    Args:
        border: uint8[y, x] of `border_map`, `width` columns of it in use.
        above, below: rows of the region before and after those of `border`.

    Returns:
        int32[above + y + below, width].
    """
    height = above + len(border) + below
    field = np.full((height, width), FAR, np.int32)
    nearer = np.full(width, FAR, np.int32)
    for y in range(above, height):
        line = field[y]
        for x in range(width):
            line[x] = nearer[x] + np.int32(1)
        if y < above + len(border):
            pixels = border[y - above, :width]
            for x in range(width):
                line[x] = np.int32(0) if pixels[x] else line[x]
        nearer = line
    for y in range(height - 2, -1, -1):
        line, nearer = field[y], field[y + 1]
        for x in range(width):
            line[x] = min(line[x], np.int32(nearer[x] + np.int32(1)))
    return field
