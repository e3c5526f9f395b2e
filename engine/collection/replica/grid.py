"""Where the voxels of a replica lie: drawn upright, stored as a scanner might, found oriented.

Volumes are drawn as [z, y, x], ascending in S, P and L, pictures as [y, x]. `Grid.stored` turns
what was drawn into a file's axes, `Grid.oriented` into the frame of protocol section 1. Both start
from the drawing and neither uses the reading side, which has to undo the one to find the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Plane = Literal["axial", "coronal", "sagittal", "image"]
Affine = NDArray[np.float64]

# End of a stored axis -> (drawn axis of [z, y, x], direction along it).
_TOWARDS = {"S": (0, 1), "I": (0, -1), "P": (1, 1), "A": (1, -1), "L": (2, 1), "R": (2, -1)}
_PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
_TIE = 1.01


@dataclass(frozen=True)
class Grid:
    """The places of a case's samples.

    Attributes:
        shape: (z, y, x) of a volume, (y, x) of a picture, without frames and colours.
        spacing_mm: of the same axes; None: the file does not say.
        codes: volumes: the end each stored axis points to; None: a picture.
        stated: whether the file says where the axes point.
        origin_mm: (L, P, S) of the drawn sample (0, 0, 0).
        tilt_deg: rotation of a volume about S, not enough to change nearest axes.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    codes: str | None = None
    stated: bool = True
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tilt_deg: float = 0.0

    @property
    def volume(self) -> bool:
        return self.codes is not None

    def stored(self, drawn: NDArray[np.generic], *, time: bool = False) -> NDArray[np.generic]:
        """[z, y, x, ...] -> [i, j, k, ...]; with time [t, z, y, x, ...] -> [i, j, k, t, ...].

        Pictures keep their axes: [y, x, ...] or [t, y, x, ...].
        """
        if self.codes is None:
            return drawn
        upright = np.moveaxis(drawn, 0, 3) if time else drawn
        axes, signs = self._axes
        turned = upright.transpose(*axes, *range(3, upright.ndim))
        return np.ascontiguousarray(turned[tuple(slice(None, None, sign) for sign in signs)])

    @property
    def drawn_axes(self) -> tuple[int, ...]:
        """Axis of [z, y, x] that each stored axis of a volume runs along."""
        return self._axes[0]

    @property
    def _axes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        pairs = [_TOWARDS[code] for code in self.codes or ""]
        return tuple(axis for axis, _ in pairs), tuple(sign for _, sign in pairs)

    @property
    def stored_spacing_mm(self) -> tuple[float, ...] | None:
        """Along the stored axes."""
        if self.spacing_mm is None or self.codes is None:
            return self.spacing_mm
        return tuple(self.spacing_mm[axis] for axis in self._axes[0])

    @property
    def affine(self) -> Affine:
        """float64[4, 4], stored indices (i, j, k) to LPS millimetres."""
        axes, signs = self._axes
        spacing = self.spacing_mm or (1.0, 1.0, 1.0)
        angle, turn = np.deg2rad(self.tilt_deg), np.eye(3)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        out = np.eye(4)
        out[:3, :3] = 0.0
        corner = np.zeros(3)
        for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
            lps = 2 - axis  # drawn z, y, x ascend in S, P, L
            out[lps, column] = sign * spacing[axis]
            corner[lps] = 0.0 if sign > 0 else (self.shape[axis] - 1) * spacing[axis]
        out[:3, :3] = turn @ out[:3, :3]
        out[:3, 3] = turn @ corner + self.origin_mm
        return out

    def plane(self, named: str | None) -> Plane:
        """The recipe's plane, else that of the largest spacing; ties axial, coronal, sagittal."""
        if self.codes is None:
            return "image"
        for plane in _PLANES:
            if plane == named:
                return plane
        z, y, x = self.spacing_mm or (1.0, 1.0, 1.0)
        if z * _TIE >= max(y, x):
            return "axial"
        return "coronal" if y * _TIE >= max(z, x) else "sagittal"

    def oriented(self, drawn: NDArray[np.generic], plane: Plane) -> NDArray[np.generic]:
        """[z, y, x, ...] -> [slice, row, column, ...] of a plane; a picture becomes one slice."""
        if plane == "image":
            return drawn[np.newaxis]
        if plane == "axial":
            return drawn
        if plane == "coronal":
            return np.moveaxis(drawn, 1, 0)[:, ::-1]
        return np.moveaxis(drawn, 2, 0)[:, ::-1]

    def oriented_spacing(self, plane: Plane) -> tuple[float | None, float | None, float | None]:
        """(slice, row, column); None where unknown."""
        if self.spacing_mm is None:
            return None, None, None
        if plane == "image":
            return None, self.spacing_mm[-2], self.spacing_mm[-1]
        z, y, x = self.spacing_mm
        return {"axial": (z, y, x), "coronal": (y, z, x), "sagittal": (x, z, y)}[plane]
