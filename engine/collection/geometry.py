"""Do an image and its label lie in the same place? (protocol section 1.1)"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import CaseRefusedError

TOLERANCE = 1e-3

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a volume lie; axes are those of the array as stored in the file.

    Attributes:
        shape: voxels along the three spatial axes.
        spacing_mm: distance of neighbours along each axis.
        affine: float64[4, 4], indices to LPS millimetres; None where the file does not say.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    affine: Affine | None

    def __str__(self) -> str:
        parts = ["shape " + " x ".join(map(str, self.shape))]
        if self.spacing_mm is not None:
            parts.append("spacing " + _numbers(self.spacing_mm) + " mm")
        if self.affine is None:
            parts.append("no orientation stated")
        else:
            parts.append("origin " + _numbers(self.affine[:3, 3]) + " mm (LPS)")
            parts.append("axes " + "; ".join(map(_numbers, directions(self.affine).T)))
        return ", ".join(parts)


def check_same(image: Geometry, label: Geometry, where: str) -> None:
    """Compare both geometries; where both state no orientation, by shape and spacing only.

    Spacings may differ by 1e-3 of the image's spacing, direction cosines by 1e-3, origins by 1e-3
    of a voxel along each of the image's own axes.

    Raises:
        CaseRefusedError: `shape_mismatch` or `geometry_mismatch`, with both geometries.
    """
    if image.shape != label.shape:
        raise _refusal("shape_mismatch", "shape", image, label, where)
    if image.spacing_mm is not None and label.spacing_mm is not None:
        spacing = np.asarray(image.spacing_mm)
        if (np.abs(spacing - np.asarray(label.spacing_mm)) > TOLERANCE * spacing).any():
            raise _refusal("geometry_mismatch", "spacing", image, label, where)
    if image.affine is not None and label.affine is not None:
        turned = np.abs(directions(image.affine) - directions(label.affine)) > TOLERANCE
        if turned.any():
            raise _refusal("geometry_mismatch", "direction", image, label, where)
        offset = label.affine[:3, 3] - image.affine[:3, 3]
        if (np.abs(np.linalg.solve(image.affine[:3, :3], offset)) > TOLERANCE).any():
            raise _refusal("geometry_mismatch", "origin", image, label, where)
    elif image.affine is not None or label.affine is not None:
        part = "orientation, because one of them states none"
        raise _refusal("geometry_mismatch", part, image, label, where)


def directions(affine: Affine) -> Affine:
    """float64[3, 3], column a = unit direction of array axis a in LPS."""
    columns = affine[:3, :3]
    return np.asarray(columns / np.linalg.norm(columns, axis=0), dtype=np.float64)


def _refusal(code: str, part: str, image: Geometry, label: Geometry, where: str) -> Exception:
    return CaseRefusedError(
        f"image and label differ in {part}",
        code=code,
        where=where,
        got=f"label {label}",
        expected=f"image {image}",
        remedy="pair the label with the image it was drawn on; samscope resamples nothing",
    )


def _numbers(values: object) -> str:
    return " ".join(f"{float(v):.6g}" for v in np.ravel(np.asarray(values)))
