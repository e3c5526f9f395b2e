"""The outline of an object's largest component, its holes filled.

A crack is the edge between a pixel inside and a 4-neighbour outside; marching squares at level
0.5 puts exactly one vertex on each crack, midway between the two pixel centres. Following the
cracks of the component's outer border therefore gives the contour's own vertices, and the holes
need no filling: their borders are other contours (protocol section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from engine.scoring.factors.base import Mask

_EIGHT = np.ones((3, 3), dtype=np.bool_)

# Sides of a pixel in clockwise order: top, right, bottom, left.
_ALONG = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])  # (row, column) step keeping the pixel right
_OUTWARD = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])  # (row, column) step across the side


@dataclass(frozen=True)
class Outline:
    """Outer contour and filled area of one component, in the coordinates of the given mask.

    Attributes:
        vertices: float64[n, 2], (row, column), pixel centres at integers; clockwise on the screen,
            first the vertex with the smallest (row, column); not repeated at the end.
        before: int64[y, x + 1], number of filled pixels of row y in columns < x.
    """

    vertices: NDArray[np.float64]
    before: NDArray[np.int64]

    @property
    def filled(self) -> Mask:
        """bool[y, x], the component with its holes filled."""
        return np.diff(self.before, axis=1).astype(np.bool_)

    @property
    def area_px(self) -> int:
        """Pixels of the filled component."""
        return int(self.before[:, -1].sum())


def outline_of(mask: Mask) -> Outline:
    """Trace the largest 8-connected component of a non-empty mask.

    Args:
        mask: bool[y, x]; pixels beyond its border count as outside.
    """
    start = first_pixel_of_largest(mask)
    doubled, before = _trace(mask, *start)
    return Outline(doubled / 2.0, before)


def first_pixel_of_largest(mask: Mask) -> tuple[int, int]:
    """(row, column) of the first pixel in row-major order of the largest 8-connected component.

    Components are compared by their own pixels, before holes are filled; of equal ones the one
    that comes first in row-major order wins.
    """
    labels, count = ndimage.label(mask, structure=_EIGHT)
    if count == 1:
        first = int(np.argmax(mask))
    else:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        largest = sizes == sizes.max()
        first = int(np.argmax(largest[labels]))
    row, column = divmod(first, mask.shape[1])
    return row, column


@njit(cache=True, nogil=True)
def _inside(mask: Mask, row: int, column: int) -> bool:
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])


@njit(cache=True, nogil=True)
def _trace(
    mask: Mask, start_row: int, start_column: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Follow the cracks around the component from the top of its first pixel, clockwise.

    At a corner, the pixel diagonally ahead comes first: it joins the outline even when both
    4-neighbours between are outside, which is what "diagonal pixels joined" means.

    Returns:
        Vertices int64[n, 2] in half pixels, and the running count of filled pixels per row.
    """
    vertices = np.empty((64, 2), dtype=np.int64)
    before = np.zeros((mask.shape[0], mask.shape[1] + 1), dtype=np.int64)
    row, column, side, n = start_row, start_column, 0, 0
    while True:
        if n == len(vertices):
            longer = np.empty((2 * n, 2), dtype=np.int64)
            longer[:n] = vertices
            vertices = longer
        out_row, out_column = _OUTWARD[side, 0], _OUTWARD[side, 1]
        vertices[n, 0] = 2 * row + out_row
        vertices[n, 1] = 2 * column + out_column
        n += 1
        if side == 1:
            before[row, column + 1] ^= 1
        elif side == 3:
            before[row, column] ^= 1
        ahead_row, ahead_column = row + _ALONG[side, 0], column + _ALONG[side, 1]
        if _inside(mask, ahead_row + out_row, ahead_column + out_column):
            row, column = ahead_row + out_row, ahead_column + out_column
            side = (side + 3) % 4
        elif _inside(mask, ahead_row, ahead_column):
            row, column = ahead_row, ahead_column
        else:
            side = (side + 1) % 4
        if row == start_row and column == start_column and side == 0:
            break
    _fill(before)
    return vertices[:n], before


@njit(cache=True, nogil=True)
def _fill(marks: NDArray[np.int64]) -> None:
    """Turn marks (1 where a vertical crack lies left of the column) into running counts."""
    for row in range(marks.shape[0]):
        inside = marks[row, 0]
        marks[row, 0] = 0
        for column in range(1, marks.shape[1]):
            mark = marks[row, column]
            marks[row, column] = marks[row, column - 1] + inside
            inside ^= mark
