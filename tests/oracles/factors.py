"""Slow and obvious object factors: loops, textbook formulas and scikit-image as a referee.

Nothing here shares code with `engine.scoring.factors`; the outline comes from scikit-image's
marching squares, the harmonics from the sums as Kuhl and Giardina (1982) print them, and every
pixel centre is tested by counting the edges to its left.
"""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from oracles.scores import border
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


def surround(mask: Mask, grey: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Levels inside, and levels of the surround, pixel by pixel."""
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
    return inside, outside


def intensity_difference(mask: Mask, grey: NDArray[np.float64]) -> float | None:
    """Mean inside minus mean of the surround."""
    inside, outside = surround(mask, grey)
    return statistics.fmean(inside) - statistics.fmean(outside) if outside else None


def contrast_to_noise(mask: Mask, grey: NDArray[np.float64]) -> float | None:
    """The same over the population's standard deviation of the surround."""
    inside, outside = surround(mask, grey)
    noise = statistics.pstdev(outside) if outside else 0.0
    return (statistics.fmean(inside) - statistics.fmean(outside)) / noise if noise else None


def boundary_gradient(mask: Mask, grey: NDArray[np.float64]) -> float:
    """Both Sobel kernels laid on every border pixel of the edge-replicated image."""
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    padded = np.pad(grey, 1, mode="edge")
    sizes = []
    for y, x in border(mask):
        patch = padded[y : y + 3, x : x + 3]
        sizes.append(math.hypot((patch * kernel).sum(), (patch * kernel.T).sum()))
    return statistics.fmean(sizes)


def pieces(mask: Mask, steps: list[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """Connected sets of pixels, grown from each pixel by flooding."""
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(mask), strict=True)}
    found = []
    while left:
        piece, border_of_it = set(), [min(left)]
        while border_of_it:
            r, c = border_of_it.pop()
            if (r, c) in left:
                left.remove((r, c))
                piece.add((r, c))
                border_of_it += [(r + dr, c + dc) for dr, dc in steps]
        found.append(piece)
    return found


FOUR = [(0, 1), (1, 0), (0, -1), (-1, 0)]
EIGHT = [*FOUR, (1, 1), (1, -1), (-1, 1), (-1, -1)]


def n_components(mask: Mask) -> int:
    return len(pieces(mask, EIGHT))


def n_holes(mask: Mask) -> int:
    """Pieces of the background of the padded mask, but for the one that holds the padding."""
    return len(pieces(~np.pad(mask, 1), FOUR)) - 1


def perimeter_px(mask: Mask) -> int:
    """Sides of pixels inside behind which lies no pixel inside."""
    padded = np.pad(mask, 1)
    inside = np.argwhere(padded)
    return sum(not padded[r + dr, c + dc] for r, c in inside for dr, dc in FOUR)


def hull_area(mask: Mask) -> Fraction:
    """Area of the convex hull of all pixels' corners: Andrew's monotone chain and the shoelace."""
    corners = {
        (r + dr, c + dc) for r, c in np.argwhere(mask).tolist() for dr in (0, 1) for dc in (0, 1)
    }
    ordered = sorted(corners)
    hull: list[tuple[int, int]] = []
    for points in (ordered, ordered[::-1]):
        chain: list[tuple[int, int]] = []
        for point in points:
            while len(chain) >= 2 and cross(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        hull += chain[:-1]
    doubled = sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(hull, hull[1:] + hull[:1], strict=True))
    return Fraction(doubled, 2)


def cross(o: tuple[int, int], a: tuple[int, int], b: tuple[int, int]) -> int:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def center_inside(mask: Mask) -> bool:
    """Is the pixel at the mean position, halves rounded up, in the object?"""
    mean = [Fraction(int(where.sum()), len(where)) for where in np.nonzero(mask)]
    y, x = (math.floor(value + Fraction(1, 2)) for value in mean)
    return bool(mask[y, x])


def shape_factors(mask: Mask) -> dict[str, float]:
    """The factors that the mask alone decides."""
    area, perimeter = int(mask.sum()), perimeter_px(mask)
    edges = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    return {
        "n_components": n_components(mask),
        "n_holes": n_holes(mask),
        "perimeter_px": perimeter,
        "compactness": 4 * math.pi * area / perimeter**2,
        "solidity": float(area / hull_area(mask)),
        "touches_border": any(edge.any() for edge in edges),
        "center_inside": center_inside(mask),
        "area_fraction": area / (mask.shape[0] * mask.shape[1]),
    }
