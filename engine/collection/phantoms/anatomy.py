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

_WIDE = 2.0  # samples: narrower noise is cheaper to filter than to spread
_TAIL = 4.0  # sigmas after which a Gaussian is nothing


def grid(shape: Sequence[int], spacing: Sequence[float]) -> Field:
    """float64[axis, ...]: coordinates of the sample centres, 0 in the middle of the array."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def smooth_noise(shape: Sequence[int], sigma: Sequence[float], rng: np.random.Generator) -> Field:
    """Gaussian noise of mean 0 and standard deviation 1, correlated over `sigma` samples.

    A Gaussian is so smooth that white noise on a lattice one sigma wide, each point spread by the
    Gaussian, has the same covariance as filtered noise to 1e-4. Wide noise thus costs little.
    """
    spread = {
        axis: _spread(n, width)
        for axis, (n, width) in enumerate(zip(shape, sigma, strict=True))
        if width >= _WIDE
    }
    drawn = [spread[axis].shape[1] if axis in spread else n for axis, n in enumerate(shape)]
    narrow = [0.0 if axis in spread else width for axis, width in enumerate(sigma)]
    noise = gaussian_filter(rng.standard_normal(drawn), narrow, mode="reflect")
    for axis, weights in spread.items():
        noise = np.moveaxis(np.moveaxis(noise, axis, -1) @ weights.T, -1, axis)
    noise -= noise.mean()
    return np.ascontiguousarray(noise / noise.std(), dtype=np.float64)


def _spread(n: int, sigma: float) -> Field:
    """float64[n, m]: what each of m lattice points, one sigma apart, adds to n samples."""
    lattice = np.arange(-_TAIL * sigma, n - 1 + (_TAIL + 1) * sigma, sigma)
    return np.exp(-0.5 * ((np.arange(n)[:, None] - lattice) / sigma) ** 2)


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
    y, x = where[-2] - centre[-2], where[-1] - centre[-1]
    cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    total = _power((cos * y - sin * x) / radii[-2], power)
    total += _power((sin * y + cos * x) / radii[-1], power)
    for axis in range(len(where) - 2):
        total += _power((where[axis] - centre[axis]) / radii[axis], power)
    field = np.sqrt(total) if power == 2.0 else total ** (1 / power)
    return np.asarray(field + wobble, dtype=np.float64)


def _power(offset: Field, power: float) -> Field:
    """|offset| ** power; the even ones without a logarithm."""
    if power in (2.0, 4.0):
        square = offset * offset
        return square if power == 2.0 else square * square
    return np.asarray(np.abs(offset) ** power)


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
