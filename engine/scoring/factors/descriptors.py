"""Elliptic Fourier descriptors of an outline (Kuhl and Giardina 1982) and the order search.

Harmonics are added to the decoded curve one at a time. The curve is compared with the component
row by row, from its sorted crossings and the component's running counts, so that nothing is
rasterised and nothing is clipped to the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.scoring.factors.outline import Outline

MAX_ORDER = 64
DECODED_POINTS = 1000
GOOD_DICE = 0.97
LEAST_GAIN = 0.001

_ANGLES = 2.0 * np.pi * np.arange(DECODED_POINTS) / DECODED_POINTS
_COS = np.cos(_ANGLES)
_SIN = np.sin(_ANGLES)

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Result of the order search; `order_97` is None when no order up to 64 is good enough."""

    order: int
    dice: float
    order_97: int | None


def search(outline: Outline) -> Found:
    """Raise the order from 1 until Dice > 0.97 or it gains < 0.001, at most 64 (section 5).

    Order 1 has no predecessor and cannot stop for want of gain.
    """
    series = EllipticSeries(outline.vertices)
    area = outline.area_px
    stop: tuple[int, float] | None = None
    previous = -1.0
    for order in range(1, MAX_ORDER + 1):
        dice = curve_dice(series.raise_order(), outline.before, area)
        good = dice > GOOD_DICE
        if stop is None and (good or dice - previous < LEAST_GAIN or order == MAX_ORDER):
            stop = order, dice
        if good and stop is not None:
            return Found(*stop, order_97=order)
        previous = dice
    return Found(*(stop or (MAX_ORDER, previous)), order_97=None)


class EllipticSeries:
    """The truncated series of a closed polygon, decoded at 1000 parameters, order by order.

    The parameter is arc length along the polygon; decoded parameters are k * T / 1000, k = 0..999,
    so the end is not the start again.

    Args:
        vertices: float64[n, 2], (row, column), n >= 3, neighbours distinct, not closed.
    """

    def __init__(self, vertices: Points) -> None:
        closed = np.vstack([vertices, vertices[:1]])
        step = np.diff(closed, axis=0)
        length = np.hypot(step[:, 0], step[:, 1])
        along = np.concatenate([[0.0], np.cumsum(length)])
        self._total = float(along[-1])
        self._slope = step / length[:, None]
        angle = 2.0 * np.pi * along / self._total
        self._phase = np.column_stack([np.cos(angle), np.sin(angle)])
        self._power = np.tile([1.0, 0.0], (len(closed), 1))
        centre = (closed[1:] + closed[:-1]).T @ length / (2.0 * self._total)
        self._curve = np.tile(centre, (DECODED_POINTS, 1))
        self.order = 0

    def raise_order(self) -> Points:
        """Add the next harmonic; the decoded curve, float64[1000, 2], (row, column), read only."""
        self.order += 1
        scale = self._total / (2.0 * (np.pi * self.order) ** 2)
        sums = _harmonic(self._power, self._phase, self._slope)
        _add_harmonic(self._curve, self.order, scale * sums)
        return self._curve


def curve_dice(curve: Points, before: NDArray[np.int64], area_px: int) -> float:
    """Dice of a closed curve's interior with a component (even-odd rule on pixel centres).

    A centre (row, column) is inside when an odd number of edges cross its row at columns <= it;
    an edge from row p to row q crosses rows min(p, q) <= row < max(p, q). Centres exactly on the
    curve thus belong to it at its left and upper side and not at its right and lower side.

    Args:
        curve: float64[n, 2], (row, column), closed by its first point; may leave the image.
        before: int64[y, x + 1], running counts of the component (`Outline.before`).
        area_px: pixels of the component, at least 1.
    """
    shared, filled = _overlap(curve, before)
    return float(2.0 * shared / (filled + area_px))


@njit(cache=True, nogil=True)
def _harmonic(power: Points, phase: Points, slope: Points) -> Points:
    """Turn `power` (cos, sin of n * phase) to the next n and sum slope * its change per step.

    Turning by a rotation instead of fresh cosines costs at most n rounding errors, about 1e-14.

    Returns:
        float64[2, 2]: (cosine, sine) by (row, column).
    """
    sums = np.zeros((2, 2))
    cosine, sine = 1.0, 0.0
    for p in range(1, len(power)):
        last_cosine, last_sine = cosine, sine
        cosine = power[p, 0] * phase[p, 0] - power[p, 1] * phase[p, 1]
        sine = power[p, 0] * phase[p, 1] + power[p, 1] * phase[p, 0]
        power[p, 0], power[p, 1] = cosine, sine
        for axis in range(2):
            sums[0, axis] += slope[p - 1, axis] * (cosine - last_cosine)
            sums[1, axis] += slope[p - 1, axis] * (sine - last_sine)
    return sums


@njit(cache=True, nogil=True)
def _add_harmonic(curve: Points, order: int, terms: Points) -> None:
    angle = 0
    for k in range(DECODED_POINTS):
        for axis in range(2):
            curve[k, axis] += terms[0, axis] * _COS[angle] + terms[1, axis] * _SIN[angle]
        angle = (angle + order) % DECODED_POINTS


@njit(cache=True, nogil=True)
def _overlap(curve: Points, before: NDArray[np.int64]) -> tuple[int, int]:
    """(pixels of the component inside the curve, all pixels inside the curve)."""
    columns, ends, top = _crossings(curve)
    height, width = before.shape[0], before.shape[1] - 1
    shared, filled, begin = 0, 0, 0
    for index in range(len(ends)):
        row = top + index
        for pair in range(begin, ends[index], 2):
            left, right = columns[pair], columns[pair + 1]
            filled += right - left
            if 0 <= row < height:
                shared += before[row, _clip(right, width)] - before[row, _clip(left, width)]
        begin = ends[index]
    return shared, filled


@njit(cache=True, nogil=True)
def _clip(value: int, high: int) -> int:
    return min(max(value, 0), high)


@njit(cache=True, nogil=True)
def _crossings(curve: Points) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """First columns at or right of each crossing, row by row, sorted within a row.

    Returns:
        The columns of all rows, the end of each row's run among them, the first row.
    """
    n = len(curve)
    top = int(np.ceil(curve[:, 0].min()))
    bottom = int(np.ceil(curve[:, 0].max()))
    ends = np.zeros(bottom - top + 1, dtype=np.int64)
    for k in range(n):
        first, last = _rows_crossed(curve[k, 0], curve[(k + 1) % n, 0])
        for row in range(first, last):
            ends[row - top + 1] += 1
    ends = np.cumsum(ends)  # shifted by one: where each row's run begins, then moves to its end
    columns = np.empty(ends[-1], dtype=np.int64)
    for k in range(n):
        start, end = curve[k], curve[(k + 1) % n]
        first, last = _rows_crossed(start[0], end[0])
        for row in range(first, last):
            share = (row - start[0]) / (end[0] - start[0])
            crossing = start[1] + share * (end[1] - start[1])
            columns[ends[row - top]] = int(np.ceil(crossing))
            ends[row - top] += 1
    begin = 0
    for index in range(bottom - top):
        _sort(columns[begin : ends[index]])
        begin = ends[index]
    return columns, ends[: bottom - top], top


@njit(cache=True, nogil=True)
def _rows_crossed(start: float, end: float) -> tuple[int, int]:
    """Half-open range of the integer rows r with min <= r < max."""
    return int(np.ceil(min(start, end))), int(np.ceil(max(start, end)))


@njit(cache=True, nogil=True)
def _sort(values: NDArray[np.int64]) -> None:
    """Insertion sort in place: a row has few crossings, mostly two."""
    for i in range(1, len(values)):
        value = values[i]
        k = i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
