"""Shapes a body is made of: deformed ellipsoids, rings, arcs, vessels, textures. Any dimension.

Points are given in the units of `grid`; fields are measured in the shape's own radius, so that
`field <= 1` is the inside and nested shapes are thresholds of one field.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]
Vector = Sequence[float] | Field


def grid(shape: Sequence[int], spacing: Sequence[float]) -> Field:
    """float64[axis, ...]: coordinates of the sample centres, 0 in the middle of the array."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def smooth_noise(shape: Sequence[int], sigma: Sequence[float], rng: np.random.Generator) -> Field:
    """Gaussian noise of mean 0 and standard deviation 1, correlated over `sigma` samples."""
    noise = gaussian_filter(rng.standard_normal(shape), sigma, mode="reflect")
    noise -= noise.mean()
    return np.asarray(noise / noise.std(), dtype=np.float64)


def ellipsoid(
    where: Field,
    centre: Vector,
    radii: Vector,
    *,
    turn_deg: float = 0.0,
    wobble: Field | float = 0.0,
    power: float = 2.0,
) -> Field:
    """Distance from `centre` in radii, plus `wobble`: the shape is where the field is <= 1.

    Args:
        where: float64[axis, ...] from `grid`; the last two axes are y and x.
        centre, radii: one number per axis.
        turn_deg: rotation in the y-x plane, clockwise on the screen.
        wobble: smooth noise times a few per cent makes the outline irregular.
        power: 2 for an ellipse, larger for a flatter one.
    """
    shape = (-1,) + (1,) * (where.ndim - 1)
    offset = where - np.reshape(centre, shape)
    angle = np.deg2rad(turn_deg)
    y, x = offset[-2].copy(), offset[-1].copy()
    offset[-2] = np.cos(angle) * y - np.sin(angle) * x
    offset[-1] = np.sin(angle) * y + np.cos(angle) * x
    scaled = np.abs(offset / np.reshape(radii, shape)) ** power
    return np.asarray(scaled.sum(axis=0) ** (1 / power) + wobble, dtype=np.float64)


def ring(field: Field, inner: float, outer: float = 1.0) -> Mask:
    """The shell inner < field <= outer: its centre lies outside of it."""
    return np.asarray((field > inner) & (field <= outer))


def walk(
    start: Vector,
    heading_deg: float,
    length: float,
    rng: np.random.Generator,
    *,
    bend_deg: float = 0.0,
    wander_deg: float = 3.0,
) -> Field:
    """float64[n, 2]: a winding path (y, x) in unit steps, turning by `bend_deg` in all."""
    n = max(2, round(length))
    turns = bend_deg / n + wander_deg * rng.standard_normal(n)
    heading = np.deg2rad(heading_deg + np.cumsum(turns))
    steps = np.column_stack([np.sin(heading), np.cos(heading)])
    return np.asarray(start + np.cumsum(steps, axis=0), dtype=np.float64)


def tube(shape: tuple[int, int], path: Field, radii: Field | float) -> Mask:
    """A vessel: every pixel within the radius of a point of `path` (y, x), both in pixels."""
    mask = np.zeros(shape, dtype=np.bool_)
    for (y, x), radius in zip(path, np.broadcast_to(radii, len(path)), strict=True):
        top, left = max(0, int(np.floor(y - radius))), max(0, int(np.floor(x - radius)))
        bottom, right = max(top, int(np.ceil(y + radius)) + 1), int(np.ceil(x + radius)) + 1
        part = mask[top:bottom, left : max(left, right)]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        part |= (rows + top - y) ** 2 + (columns + left - x) ** 2 <= radius**2
    return mask
