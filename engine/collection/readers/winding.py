"""Outlines -> masks by pixel centres, where inside is beyond doubt."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import refuse
from engine.collection.readers.limits import admit
from engine.collection.readers.objects import Boxed, crop

Points = NDArray[np.float64]

_FURTHEST = 2.0**24
_NEAR = 1e-9  # of a coordinate: farther from a centre, rounding decides nothing
"""No picture is as large; further points are damage, and their lines would be long to draw."""


def points_of(numbers: object, path: Path, what: str, least: int = 3) -> Points:
    """float64[n, 2] (x, y) of `[[x, y], ...]`.

    Raises:
        CaseRefusedError: `bad_contour` for fewer than `least` points, or points that are none.
    """
    pairs = numbers if isinstance(numbers, list) else []
    good = all(isinstance(p, list) and len(p) == 2 and all(map(is_number, p)) for p in pairs)
    if not good or len(pairs) < least:
        got = f"{len(pairs)} points" if good else "points that are no pairs of finite numbers"
        raise bad_contour(path, what, got, f"at least {least} points [x, y] near the image")
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def is_number(value: object) -> bool:
    """A finite number that can be a coordinate."""
    return type(value) in (int, float) and -_FURTHEST <= value <= _FURTHEST  # type: ignore[operator]


def bad_contour(path: Path, what: str, got: object, expected: str) -> Exception:
    """The refusal of an outline that has no inside."""
    return refuse(
        "bad_contour",
        f"{what} is no outline",
        path,
        got=got,
        expected=expected,
        remedy="repair it, or skip the case in the recipe with this reason",
    )


def mask_of_polygon(points: Points, size: tuple[int, int], path: Path, what: str) -> Boxed | None:
    """Pixels whose centre lies inside a closed polygon; pixel (0, 0) has its centre at (0.5, 0.5).

    A centre exactly on the outline belongs to the side to its right. A polygon may cross itself
    only where the two usual rules for inside (odd, or not zero, times round) agree.

    Args:
        points: float64[n, 2] (x, y), pixels from the outer corner of the first pixel.
        size: (height, width) of the image; what lies outside it is cut off.

    Raises:
        CaseRefusedError: `bad_contour` where the rules disagree on a pixel.
    """
    height, width = size
    low = np.clip(np.floor(points.min(axis=0)).astype(int), 0, [width, height])
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, [width, height])
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    if x0 >= x1 or y0 >= y1:
        return None
    turns = _turns(points - [x0, y0], (y1 - y0, x1 - x0), path)
    inside = turns != 0
    doubt = inside & (turns % 2 == 0)
    if doubt.any():
        y, x = (int(i) for i in np.argwhere(doubt)[0])
        raise bad_contour(
            path,
            what,
            f"a line that crosses itself, {int(doubt.sum())} px lie inside twice, "
            f"the first at x {x + x0}, y {y + y0}",
            "an outline with one inside",
        )
    return crop(inside, y0, x0)


def _turns(points: Points, size: tuple[int, int], path: Path) -> NDArray[np.int32]:
    """How often the outline goes round each pixel centre, int32[y, x]."""
    height, width = size
    admit((height, width + 1), 4, path)
    change = np.zeros((height, width + 1), dtype=np.int32)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if ay == by:
            continue
        sign = 1 if ay < by else -1
        if sign < 0:
            ax, ay, bx, by = bx, by, ax, ay
        rows = np.arange(_first_centre(ay, height), _first_centre(by, height))
        columns = np.clip(_first_columns(rows, (ax, ay), (bx, by)), 0, width).astype(np.int64)
        change[rows, columns] += sign
    return np.cumsum(change[:, :width], axis=1, dtype=np.int32)


def _first_columns(
    rows: NDArray[np.int64], top: tuple[float, float], bottom: tuple[float, float]
) -> NDArray[np.float64]:
    """First column whose centre is at or right of a line, in each row of centres.

    Where a line seems to go through a centre, fractions decide: rounding would give a pixel to
    both sides of a line that two regions share, or to none.
    """
    (ax, ay), (bx, by) = top, bottom
    x = ax + (rows + 0.5 - ay) * ((bx - ax) / (by - ay)) - 0.5
    columns: NDArray[np.float64] = np.ceil(x)
    if ax == bx:
        return columns
    for place in np.flatnonzero(np.abs(x - np.rint(x)) < _NEAR * (1 + np.abs(x))):
        down = Fraction(int(rows[place])) + Fraction(1, 2) - Fraction(ay)
        slope = (Fraction(bx) - Fraction(ax)) / (Fraction(by) - Fraction(ay))
        columns[place] = ceil(Fraction(ax) + down * slope - Fraction(1, 2))
    return columns


def _first_centre(edge: float, count: int) -> int:
    """First pixel whose centre is at or beyond `edge`, within 0..count."""
    return min(max(int(np.ceil(edge - 0.5)), 0), count)
