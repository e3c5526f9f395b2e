"""Turn a volume so that slices, rows and columns mean the same everywhere (protocol 1.2, 1.3).

Only permutations and flips of axes: no voxel value is changed, nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
Plane = Literal["axial", "coronal", "sagittal"]

TIE = 0.01  # spacings within 1 % of the largest tie with it

# For each plane: which LPS axis (0 = L, 1 = P, 2 = S) runs along slices, rows and columns, and
# whether the index ascends towards L, P, S (+1) or away (-1: rows from superior to inferior).
_LAYOUT: dict[Plane, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "axial": ((2, 1), (1, 1), (0, 1)),
    "coronal": ((1, 1), (2, -1), (0, 1)),
    "sagittal": ((0, 1), (2, -1), (1, 1)),
}
_NORMAL: dict[Plane, int] = {"axial": 2, "coronal": 1, "sagittal": 0}  # in order of preference


@dataclass(frozen=True)
class Orientation:
    """How to read a stored volume as [slice, y, x].

    Attributes:
        plane: the plane of a slice.
        axes: stored axis that becomes slice, y and x.
        flips: whether that axis is reversed.
    """

    plane: Plane
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """[i, j, k] or [i, j, k, c] -> [slice, y, x] or [slice, y, x, c], contiguous."""
        turned = array.transpose(*self.axes, *range(3, array.ndim))
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return np.ascontiguousarray(turned[steps])

    def affine(self, affine: Affine, shape: tuple[int, ...]) -> Affine:
        """Indices (slice, y, x) of the oriented array to LPS mm, from those of the stored one."""
        back = np.zeros((4, 4))
        back[3, 3] = 1.0
        for new, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            back[old, new] = -1.0 if flip else 1.0
            back[old, 3] = shape[old] - 1 if flip else 0
        return np.asarray(affine @ back, dtype=np.float64)

    def spacing(self, spacing_mm: tuple[float, ...]) -> tuple[float, float, float]:
        """(slice, row, column) spacing from that of the stored axes."""
        along = [spacing_mm[axis] for axis in self.axes]
        return along[0], along[1], along[2]


def nearest_axes(affine: Affine) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Stored axis along L, P and S, and its sign (+1: ascends towards L, P, S).

    Of the six ways to assign stored axes to L, P, S: the one with the largest sum of absolute
    direction cosines, the first in lexicographic order where sums are equal to 1e-9.
    """
    columns = affine[:3, :3]
    cosines = columns / np.linalg.norm(columns, axis=0)  # [LPS axis, stored axis]
    best, axes = -1.0, (0, 1, 2)
    for a, b, c in permutations(range(3)):
        order = (a, b, c)
        total = float(sum(abs(cosines[lps, stored]) for lps, stored in enumerate(order)))
        if total > best + 1e-9:
            best, axes = total, order
    signs = [1 if cosines[lps, stored] >= 0 else -1 for lps, stored in enumerate(axes)]
    return axes, (signs[0], signs[1], signs[2])


def main_plane(spacing_lps: tuple[float, float, float]) -> Plane:
    """The plane normal to the largest spacing; ties: axial, then coronal, then sagittal."""
    largest = max(spacing_lps)
    return next(p for p, axis in _NORMAL.items() if spacing_lps[axis] >= largest * (1 - TIE))


def orientation(affine: Affine, plane: Plane | None = None) -> Orientation:
    """The orientation of a stored volume.

    Args:
        affine: float64[4, 4], stored indices to LPS millimetres; not singular.
        plane: as a recipe names it; None: the main viewing plane (protocol section 1.3).
    """
    stored, signs = nearest_axes(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    along = (float(spacing[stored[0]]), float(spacing[stored[1]]), float(spacing[stored[2]]))
    plane = plane or main_plane(along)
    layout = _LAYOUT[plane]
    axes = tuple(stored[lps] for lps, _ in layout)
    flips = tuple(signs[lps] != wanted for lps, wanted in layout)
    return Orientation(plane, (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))


def affine_of_codes(codes: str, spacing_mm: tuple[float, ...]) -> Affine:
    """An affine for stored axes that point to `codes`, such as `RAS`; the origin is voxel 0."""
    rows = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, code in enumerate(codes):
        row, sign = rows[code]
        affine[row, axis] = sign * spacing_mm[axis]
    return affine


def affine_of_plane(plane: Plane, spacing_mm: Sequence[float]) -> Affine:
    """An affine for an oriented array (slice, y, x) of a plane; the origin is its first voxel."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, (lps, sign) in enumerate(_LAYOUT[plane]):
        affine[lps, axis] = sign * spacing_mm[axis]
    return affine
