"""Elliptic Fourier descriptors of an outline (Kuhl and Giardina 1982) and the order search.

Harmonics are added to the decoded curve one at a time. The curve is compared with the component
row by row, from its sorted crossings and the component's running counts, so that nothing is
rasterised and nothing is clipped to the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled
from engine.scoring.factors.outline import Counts, Outline
from engine.scoring.factors.positions import Ints

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
    order, dice, order_97 = _search(
        series.phase, series.turn, series.power, series.total, series.curve, outline.before
    )
    return Found(order, dice, order_97 or None)


class EllipticSeries:
    """The truncated series of a closed polygon, decoded at 1000 parameters, order by order.

    The parameter is arc length along the polygon; decoded parameters are k * T / 1000, k = 0..999,
    so the end is not the start again. A coefficient sums, over the polygon's steps, the slope times
    the change of a cosine; summed by parts, that is the cosine at each vertex times its change of
    slope, so only corners take part.

    Args:
        vertices: float64[n, 2], (row, column), n >= 3, neighbours distinct, not closed.

    Attributes:
        total: T, the polygon's perimeter.
        phase: float64[2, m], cosine and sine of each corner's parameter, as an angle.
        turn: float64[2, m], slope before minus slope after each corner, (row, column).
        power: float64[2, m], cosine and sine of `order` times that angle.
        curve: float64[2, 1000], (row, column), decoded with the harmonics so far; read only.
        order: harmonics so far.
    """

    def __init__(self, vertices: Points) -> None:
        angle, self.turn, centre, self.total = _corners(vertices)
        self.phase = np.stack([np.cos(angle), np.sin(angle)])
        self.power = np.stack([np.ones(len(angle)), np.zeros(len(angle))])
        self.curve = np.repeat(centre[:, None], DECODED_POINTS, axis=1)
        self.order = 0

    def raise_order(self) -> Points:
        """Add the next harmonic; `curve`."""
        self.order += 1
        _raise_order(self.phase, self.turn, self.power, self.total, self.curve, self.order)
        return self.curve


def curve_dice(curve: Points, before: Counts) -> float:
    """Dice of a closed curve's interior with a component (even-odd rule on pixel centres).

    A centre (row, column) is inside when an odd number of edges cross its row at columns <= it;
    an edge from row p to row q crosses rows min(p, q) <= row < max(p, q). Centres exactly on the
    curve thus belong to it at its left and upper side and not at its right and lower side.

    Args:
        curve: float64[2, n], (row, column), closed by its first point; may leave the image.
        before: int32[y, x + 1], running counts of the component (`Outline.before`).
    """
    shared, filled = _overlap(curve, before)
    return float(2.0 * shared / (filled + before[:, -1].sum()))


@compiled
def _corners(vertices: Points) -> tuple[Points, Points, Points, float]:
    """Of a closed polygon: angle and turn of each corner, mean along the arc, perimeter.

    Corners are where the slope changes; equal steps have slopes equal to the bit.
    """
    n = len(vertices)
    angle, turn, m = np.empty(n), np.empty((2, n)), 0
    total, middle_row, middle_column, before_row, before_column = 0.0, 0.0, 0.0, 0.0, 0.0
    for p in range(-1, n):  # the step that closes the polygon comes first, for its slope alone
        here, after = (p if p >= 0 else n - 1), (p + 1 if p + 1 < n else 0)
        row, column = vertices[after, 0] - vertices[here, 0], vertices[after, 1] - vertices[here, 1]
        length = np.sqrt(row * row + column * column)
        row, column = row / length, column / length
        if p >= 0:
            if row != before_row or column != before_column:
                angle[m], turn[0, m], turn[1, m] = total, before_row - row, before_column - column
                m += 1
            middle_row += (vertices[here, 0] + vertices[after, 0]) * length
            middle_column += (vertices[here, 1] + vertices[after, 1]) * length
            total += length
        before_row, before_column = row, column
    centre = np.array([middle_row, middle_column]) / (2.0 * total)
    return angle[:m] * (2.0 * np.pi / total), turn[:, :m].copy(), centre, total


@compiled
def _search(
    phase: Points, turn: Points, power: Points, total: float, curve: Points, before: Counts
) -> tuple[int, float, int]:
    """(order and Dice where the search stops, order_97 or 0)."""
    area = before[:, -1].sum()
    stop, stop_dice, previous = 0, 0.0, -1.0
    for order in range(1, MAX_ORDER + 1):
        _raise_order(phase, turn, power, total, curve, order)
        shared, filled = _overlap(curve, before)
        dice = 2.0 * shared / (filled + area)
        good = dice > GOOD_DICE
        if stop == 0 and (good or dice - previous < LEAST_GAIN or order == MAX_ORDER):
            stop, stop_dice = order, dice
        if good:
            return stop, stop_dice, order
        previous = dice
    return stop, stop_dice, 0


@compiled
def _raise_order(
    phase: Points, turn: Points, power: Points, total: float, curve: Points, order: int
) -> None:
    """Turn `power` to angle * `order` and add that harmonic to `curve`."""
    _rotate(power[0], power[1], phase[0], phase[1])
    scale = total / (2.0 * (np.pi * order) ** 2)
    for axis in range(2):
        cosine, sine = _sums(turn[axis], power[0], power[1])
        _add_wave(curve[axis], scale * cosine, scale * sine, order)


@compiled
def _rotate(cosine: Points, sine: Points, by_cosine: Points, by_sine: Points) -> None:
    """Add angles in place.

    Instead of fresh cosines; costs at most one rounding error per order, about 1e-14 in the end.
    """
    for p in range(len(cosine)):
        turned = cosine[p] * by_cosine[p] - sine[p] * by_sine[p]
        sine[p] = cosine[p] * by_sine[p] + sine[p] * by_cosine[p]
        cosine[p] = turned


@compiled
def _sums(turn: Points, cosine: Points, sine: Points) -> tuple[float, float]:
    with_cosine, with_sine = 0.0, 0.0
    for p in range(len(turn)):
        with_cosine += turn[p] * cosine[p]
        with_sine += turn[p] * sine[p]
    return with_cosine, with_sine


@compiled
def _add_wave(values: Points, cosine: float, sine: float, order: int) -> None:
    """Add cosine * cos + sine * sin of `order` times the decoded parameters' angles."""
    angle = 0
    for k in range(DECODED_POINTS):
        values[k] += cosine * _COS[angle] + sine * _SIN[angle]
        angle += order
        while angle >= DECODED_POINTS:
            angle -= DECODED_POINTS


@compiled
def _overlap(curve: Points, before: Counts) -> tuple[int, int]:
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


@compiled
def _clip(value: int, high: int) -> int:
    return min(max(value, 0), high)


@compiled
def _crossings(curve: Points) -> tuple[Ints, Ints, int]:
    """First columns at or right of each crossing, row by row, sorted within a row.

    Returns:
        The columns of all rows, the end of each row's run among them, the first row.
    """
    rows, across = curve[0], curve[1]
    n = len(rows)
    first = np.empty(n + 1, np.int64)  # first row at or below each point: edge k crosses the rows
    for k in range(n):  # from the smaller of first[k] and first[k + 1] up to before the larger
        first[k] = int(np.ceil(rows[k]))
    first[n] = first[0]
    top = first.min()
    ends = _row_begins(first, top)
    columns = np.empty(ends[-1], np.int64)
    for k in range(n):
        after = k + 1 if k + 1 < n else 0
        for row in range(min(first[k], first[k + 1]), max(first[k], first[k + 1])):
            share = (row - rows[k]) / (rows[after] - rows[k])
            crossing = across[k] + share * (across[after] - across[k])
            columns[ends[row - top]] = int(np.ceil(crossing))
            ends[row - top] += 1
    begin = 0
    for index in range(len(ends) - 1):
        _sort(columns[begin : ends[index]])
        begin = ends[index]
    return columns, ends[:-1], top


@compiled
def _row_begins(first: Ints, top: int) -> Ints:
    """Where each row's crossings begin, and the number of all crossings."""
    change = np.zeros(first.max() - top + 2, np.int64)
    for k in range(len(first) - 1):
        change[min(first[k], first[k + 1]) - top + 1] += 1
        change[max(first[k], first[k + 1]) - top + 1] -= 1
    begins: Ints = np.cumsum(np.cumsum(change))[:-1]
    return begins


@compiled
def _sort(values: Ints) -> None:
    """Insertion sort in place: a row has few crossings, mostly two."""
    for i in range(1, len(values)):
        value = values[i]
        k = i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
