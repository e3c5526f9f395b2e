"""Slow and obvious object factors: loops, textbook formulas and scikit-image as a referee.

Nothing here shares code with `engine.scoring.factors`; the outline comes from scikit-image's
marching squares, the harmonics from the sums as Kuhl and Giardina (1982) print them, and every
pixel centre is tested by counting the edges to its left.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from skimage.measure import find_contours, label

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


def largest_component(mask: Mask) -> Mask:
    """The 8-connected component with most pixels; of equal ones the first in row-major order."""
    labels = label(mask, connectivity=2)
    best: tuple[int, int] | None = None
    for name in range(1, labels.max() + 1):
        flat = np.flatnonzero(labels == name)
        candidate = (-len(flat), int(flat[0]))
        if best is None or candidate < best:
            best, chosen = candidate, labels == name
    return chosen


def filled_component(mask: Mask) -> Mask:
    """The largest component, holes filled by a 4-connected background."""
    return np.asarray(binary_fill_holes(largest_component(mask)), dtype=bool)


def contour(filled: Mask) -> Points:
    """Vertices (row, column), clockwise on the screen from the smallest, end not repeated."""
    padded = np.pad(filled, 1).astype(float)
    (found,) = find_contours(padded, 0.5, fully_connected="high")
    vertices = [(float(r) - 1.0, float(c) - 1.0) for r, c in found[:-1]]
    signed = 0.0
    for (r0, c0), (r1, c1) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        signed += c0 * r1 - c1 * r0
    if signed < 0:  # rows point down: a positive sum is clockwise on the screen
        vertices.reverse()
    first = vertices.index(min(vertices))
    return np.array(vertices[first:] + vertices[:first])


def decode(vertices: Points, order: int, n_points: int = 1000) -> Points:
    """Kuhl-Giardina series of the closed polygon, truncated at `order`, at k * T / n_points."""
    closed = np.vstack([vertices, vertices[:1]])
    delta = closed[1:] - closed[:-1]
    dt = np.sqrt((delta**2).sum(axis=1))
    t = np.concatenate([[0.0], np.cumsum(dt)])
    total = t[-1]
    at = np.arange(n_points) * total / n_points
    curve = np.empty((n_points, 2))
    for axis in (0, 1):
        mean = sum((closed[p, axis] + closed[p + 1, axis]) / 2.0 * dt[p] for p in range(len(delta)))
        value = np.full(n_points, mean / total)
        for n in range(1, order + 1):
            w = 2.0 * math.pi * n / total
            rate = delta[:, axis] / dt
            a = (rate * (np.cos(w * t[1:]) - np.cos(w * t[:-1]))).sum()
            b = (rate * (np.sin(w * t[1:]) - np.sin(w * t[:-1]))).sum()
            scale = total / (2.0 * n**2 * math.pi**2)
            value = value + scale * (a * np.cos(w * at) + b * np.sin(w * at))
        curve[:, axis] = value
    return curve


def fill(curve: Points, rows: range, columns: range) -> Mask:
    """Even-odd rule: a centre is inside when an odd number of edges lies at or left of it."""
    (r0, c0), (r1, c1) = curve.T, np.roll(curve, -1, axis=0).T
    inside = np.zeros((len(rows), len(columns)), dtype=bool)
    for i, row in enumerate(rows):
        cut = (r0 <= row) != (r1 <= row)
        at = c0[cut] + (row - r0[cut]) * (c1[cut] - c0[cut]) / (r1[cut] - r0[cut])
        for j, column in enumerate(columns):
            inside[i, j] = (at <= column).sum() % 2 == 1
    return inside


def dice_of_order(filled: Mask, vertices: Points, order: int) -> float:
    """Dice of the decoded curve with the filled component, on a canvas that holds both."""
    curve = decode(vertices, order)
    low = np.minimum(np.floor(curve.min(axis=0)).astype(int) - 1, 0)
    high = np.maximum(np.ceil(curve.max(axis=0)).astype(int) + 2, filled.shape)
    canvas = np.zeros(high - low, dtype=bool)
    canvas[-low[0] : filled.shape[0] - low[0], -low[1] : filled.shape[1] - low[1]] = filled
    drawn = fill(curve, range(low[0], high[0]), range(low[1], high[1]))
    return float(2 * (canvas & drawn).sum() / (canvas.sum() + drawn.sum()))


def fourier_order(mask: Mask, cap: int = 64) -> tuple[float, int | None]:
    """(F, smallest order with Dice > 0.97 or None)."""
    filled = filled_component(mask)
    vertices = contour(filled)
    dices = []
    stop = None
    for order in range(1, cap + 1):
        dices.append(dice_of_order(filled, vertices, order))
        gain = dices[-1] - dices[-2] if order > 1 else math.inf
        if stop is None and (dices[-1] > 0.97 or gain < 0.001 or order == cap):
            stop = order + 200.0 * (1.0 - dices[-1])
        if dices[-1] > 0.97:
            return stop, order  # type: ignore[return-value]
    return stop, None  # type: ignore[return-value]


def intensity_difference(mask: Mask, grey: NDArray[np.float64]) -> float | None:
    """Mean inside minus mean of the surround, pixel by pixel."""
    height, width = mask.shape
    rows = [r for r in range(height) if mask[r].any()]
    columns = [c for c in range(width) if mask[:, c].any()]
    dy = max(1, math.ceil(len(range(rows[0], rows[-1] + 1)) / 10))
    dx = max(1, math.ceil(len(range(columns[0], columns[-1] + 1)) / 10))
    inside, outside = [], []
    for r in range(height):
        for c in range(width):
            if mask[r, c]:
                inside.append(float(grey[r, c]))
            elif rows[0] - dy <= r <= rows[-1] + dy and columns[0] - dx <= c <= columns[-1] + dx:
                outside.append(float(grey[r, c]))
    if not outside:
        return None
    return sum(inside) / len(inside) - sum(outside) / len(outside)
