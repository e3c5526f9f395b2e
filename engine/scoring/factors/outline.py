"""The outline of a component, its holes filled.

A crack is the edge between a pixel inside and a 4-neighbour outside; marching squares at level
0.5 puts exactly one vertex on each crack, midway between the two pixel centres. Following the
cracks of the component's outer border therefore gives the contour's own vertices, and the holes
need no filling: their borders are other contours (protocol section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled
from engine.scoring.factors.runs import Mask

Counts = NDArray[np.int32]

# Sides of a pixel in clockwise order: top, right, bottom, left.
_ALONG = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])  # (row, column) step keeping the pixel right
_OUTWARD = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])  # (row, column) step across the side


@dataclass(frozen=True, eq=False)
class Outline:
    """Outer contour and filled area of one component, in the coordinates of the given mask.

    Attributes:
        vertices: float64[n, 2], (row, column), pixel centres at integers; clockwise on the screen,
            first the vertex with the smallest (row, column); not repeated at the end.
        before: int32[y, x + 1], number of filled pixels of row y in columns < x.
    """

    vertices: NDArray[np.float64]
    before: Counts

    @property
    def filled(self) -> Mask:
        """bool[y, x], the component with its holes filled."""
        return np.diff(self.before, axis=1).astype(np.bool_)

    @property
    def area_px(self) -> int:
        """Pixels of the filled component."""
        return int(self.before[:, -1].sum())


def outline_of(framed: Mask, first: tuple[int, int]) -> Outline:
    """Trace one 8-connected component of a mask.

    Args:
        framed: bool[y, x], as `frame` makes it.
        first: (row, column) of the component's first pixel in row-major order.
    """
    return Outline(*_trace(framed, *first))


@compiled
def _trace(framed: Mask, first_row: int, first_column: int) -> tuple[NDArray[np.float64], Counts]:
    """Follow the cracks around the component from the top of its first pixel, clockwise.

    At a corner, the pixel diagonally ahead comes first: it joins the outline even when both
    4-neighbours between are outside, which is what "diagonal pixels joined" means.
    """
    vertices = np.empty((64, 2))
    before = np.zeros((framed.shape[0], framed.shape[1] + 1), np.int32)
    row, column, side, n = first_row, first_column, 0, 0
    while True:
        if n == len(vertices):
            longer = np.empty((2 * n, 2))
            longer[:n] = vertices
            vertices = longer
        out_row, out_column = _OUTWARD[side, 0], _OUTWARD[side, 1]
        vertices[n, 0] = row + 0.5 * out_row
        vertices[n, 1] = column + 0.5 * out_column
        n += 1
        if side == 1:
            before[row, column + 1] ^= 1
        elif side == 3:
            before[row, column] ^= 1
        ahead_row, ahead_column = row + _ALONG[side, 0], column + _ALONG[side, 1]
        if framed[ahead_row + out_row, ahead_column + out_column]:
            row, column = ahead_row + out_row, ahead_column + out_column
            side = (side + 3) % 4
        elif framed[ahead_row, ahead_column]:
            row, column = ahead_row, ahead_column
        else:
            side = (side + 1) % 4
        if row == first_row and column == first_column and side == 0:
            break
    _fill(before)
    return vertices[:n], before


@compiled
def _fill(marks: Counts) -> None:
    """Turn marks (1 where a vertical crack lies left of the column) into running counts."""
    for row in range(marks.shape[0]):
        inside, count = marks[row, 0], 0
        marks[row, 0] = 0
        for column in range(1, marks.shape[1]):
            mark = marks[row, column]
            count += inside
            marks[row, column] = count
            inside ^= mark
