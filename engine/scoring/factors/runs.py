"""A mask as its horizontal runs, and what one walk over them tells of its topology.

Rows of pixels are cheap to compare by their runs: a mask of 512 x 512 pixels has some hundreds of
them where it is smooth, and every question of this file costs runs, not pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled
from engine.scoring.factors.positions import Ints, true_positions

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Runs:
    """The maximal horizontal runs of a mask, row-major.

    Attributes:
        bounds: int64[n, 2], each run's first pixel and the one after its last, numbered
            y * stride + x.
        stride: number of columns; the outermost are empty, which keeps rows apart.
    """

    bounds: Ints
    stride: int


@dataclass(frozen=True)
class Topology:
    """How the pixels of a mask hang together; pixels beyond its border are outside.

    Attributes:
        n_components: 8-connected components.
        n_holes: 4-connected regions of the background that do not reach the outside.
        first_of_largest: (row, column) of the first pixel in row-major order of the component with
            most pixels; of equal ones, the one that comes first in row-major order.
        perimeter_px: pixel edges between inside and outside.
    """

    n_components: int
    n_holes: int
    first_of_largest: tuple[int, int]
    perimeter_px: int


def frame(mask: Mask) -> Mask:
    """A contiguous copy of `mask` with one row or column of False on each side."""
    framed = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.bool_)
    framed[1:-1, 1:-1] = mask
    return framed


def runs_of(framed: Mask) -> Runs:
    """The runs of a mask that `frame` has framed."""
    flat = framed.ravel()
    starts_and_stops = true_positions(flat[1:] != flat[:-1]) + 1
    return Runs(starts_and_stops.reshape(-1, 2), framed.shape[1])


def topology_of(runs: Runs) -> Topology:
    """Topology of a mask with at least one pixel.

    Two runs of neighbouring rows that touch, by a corner too, are joined. Runs and contacts make a
    graph: a contact that joins what was already joined closes a loop, and every loop surrounds
    exactly one hole (Euler's formula).
    """
    components, holes, largest, perimeter = _join(runs.bounds, runs.stride)
    row, column = divmod(int(runs.bounds[largest, 0]), runs.stride)
    return Topology(components, holes, (row, column), perimeter)


@compiled
def _join(bounds: Ints, stride: int) -> tuple[int, int, int, int]:
    """(components, holes, first run of the largest component, perimeter)."""
    n = len(bounds)
    parent = np.arange(n)
    holes, area, hidden, above = 0, 0, 0, 0
    for run in range(n):
        start, stop = bounds[run, 0] - stride, bounds[run, 1] - stride  # as seen from the row above
        area += stop - start
        while bounds[above, 1] < start:
            above += 1
        root, other = run, above
        while other < run and bounds[other, 0] <= stop:
            hidden += max(0, min(stop, bounds[other, 1]) - max(start, bounds[other, 0]))
            met = _root(parent, other)
            holes += met == root
            parent[max(met, root)] = root = min(met, root)
            other += 1
    components, largest = _largest(bounds, parent)
    return components, holes, largest, 2 * (n + area - hidden)  # hidden: edges between two pixels


@compiled
def _root(parent: Ints, run: int) -> int:
    """First run of the component of `run`; shortens the way there for those who come later."""
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@compiled
def _largest(bounds: Ints, parent: Ints) -> tuple[int, int]:
    """(number of components, first run of the one with most pixels); parents come before children.

    Going forward, a run's parent already points at the root.
    """
    size = np.zeros(len(bounds), np.int64)
    components = 0
    for run in range(len(bounds)):
        parent[run] = parent[parent[run]]
        size[parent[run]] += bounds[run, 1] - bounds[run, 0]
        components += parent[run] == run
    return components, int(np.argmax(size))
