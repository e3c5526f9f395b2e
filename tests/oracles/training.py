"""Coverage of the decoder's cells and views of an image, in loops and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

Rows = list[list[int]]


def frame_of(height: int, width: int, side: int) -> tuple[int, int]:
    """The longest side becomes `side`, the other in proportion, rounded half up."""
    longest = max(height, width)
    return (
        math.floor(Fraction(height * side, longest) + Fraction(1, 2)),
        math.floor(Fraction(width * side, longest) + Fraction(1, 2)),
    )


def coverage(mask: Rows, side: int, cells: int) -> list[list[Fraction]]:
    """Mean over each cell of the frame's pixels; a frame pixel is the mean of all it touches."""
    height, width = frame_of(len(mask), len(mask[0]), side)
    per_cell = side // cells
    out = [[Fraction(0)] * cells for _ in range(cells)]
    for y in range(height):
        for x in range(width):
            touched = [
                mask[sy][sx]
                for sy in _touched(y, height, len(mask))
                for sx in _touched(x, width, len(mask[0]))
            ]
            out[y // per_cell][x // per_cell] += Fraction(
                sum(touched), len(touched) * per_cell * per_cell
            )
    return out


def _touched(place: int, extent: int, source: int) -> range:
    """Source pixels that overlap the frame's pixel `place`."""
    first = math.floor(Fraction(place * source, extent))
    return range(first, math.ceil(Fraction((place + 1) * source, extent)))
