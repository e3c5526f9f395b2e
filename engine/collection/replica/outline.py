"""Masks -> polygons along pixel edges: the outline that holds exactly the mask's pixel centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]

_LEFT = {(1, 0): (0, -1), (0, -1): (-1, 0), (-1, 0): (0, 1), (0, 1): (1, 0)}


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed polygons around the pixels of a mask; holes are polygons of their own.

    A pixel is inside where an odd number of the polygons is around its centre. Corners lie half a
    pixel off the pixel centres, so no rule about points on an edge can change a pixel.

    Args:
        mask: bool[y, x].

    Returns:
        float64[n, 2] each, (x, y) in pixels with pixel centres at whole numbers; the last point
        is not the first again.
    """
    steps = _edges(mask)
    loops = []
    while steps:
        loops.append(_corners(_walk(steps)) - 0.5)
    return loops


def _edges(mask: NDArray[np.bool_]) -> dict[Point, list[Point]]:
    """Corner -> directions of the pixel edges that leave it, the object on the right hand."""
    steps: dict[Point, list[Point]] = {}
    padded = np.pad(mask, 1)
    for (dx, dy), (step_x, step_y), (at_x, at_y) in (
        ((0, -1), (1, 0), (0, 0)),
        ((1, 0), (0, 1), (1, 0)),
        ((0, 1), (-1, 0), (1, 1)),
        ((-1, 0), (0, -1), (0, 1)),
    ):
        beside = padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
        for y, x in np.argwhere(mask & ~beside).tolist():
            steps.setdefault((x + at_x, y + at_y), []).append((step_x, step_y))
    return steps


def _walk(steps: dict[Point, list[Point]]) -> list[Point]:
    """One closed walk, its edges taken out of `steps`; right turns first where two edges leave."""
    start = point = min(steps)
    heading: Point | None = None
    walked: list[Point] = []
    while not walked or point != start:
        walked.append(point)
        leaving = steps[point]
        turns = sorted(leaving, key=lambda step: heading is not None and step == _LEFT[heading])
        heading = turns[0]
        leaving.remove(heading)
        if not leaving:
            del steps[point]
        point = point[0] + heading[0], point[1] + heading[1]
    return walked


def _corners(walked: list[Point]) -> NDArray[np.float64]:
    """The points of a closed walk where it turns."""
    points = np.array(walked, dtype=np.float64)
    before = points - np.roll(points, 1, axis=0)
    after = np.roll(points, -1, axis=0) - points
    return np.asarray(points[(before != after).any(axis=1)])
