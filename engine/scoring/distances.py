"""Distances between the borders of two masks: Hausdorff, HD95, ASSD and NSD (protocol section 4).

The ground truth's side is prepared once per object and used for all its candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.scoring import border_kernels as kernels
from engine.scoring.counts import Mask, TruthRegion, check_mask

Spacing = tuple[float | None, float | None]
"""(row, column) spacing in mm: the height and width of a pixel; None where unknown."""

TIE = 1e-9
"""Relative slack of the millimetre tolerance, so that a distance equal to it up to the rounding of
float64 counts as within, whatever the order of arithmetic. Pixel distances need none."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Border distances of one prediction; field names as in the results (`schema.DISTANCES`).

    None: the prediction is empty (all but `nsd*`, which are 0 then) or the spacing is unknown
    (all `*_mm`). nsd and nsd_mm are shares, 0..1.
    """

    hausdorff_px: float | None = None
    hd95_px: float | None = None
    assd_px: float | None = None
    nsd: float | None = None
    hausdorff_mm: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    nsd_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Border:
    """The border pixels of a mask: int64[n] rows and columns, row-major, and their bounds."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    y0: int
    y1: int
    x0: int
    x1: int

    @classmethod
    def from_mask(cls, mask: Mask) -> Border | None:
        """The border of `mask: bool[y, x]`; None when the mask is empty."""
        frozen = np.ascontiguousarray(mask).view(np.uint8).view()
        # Always read-only: one compiled signature, whether or not the caller may write.
        frozen.flags.writeable = False
        y0, y1, x0, x1 = kernels.bounds(frozen)
        if y1 < y0:
            return None
        return cls(*kernels.border_pixels(frozen, y0, y1, x0, x1), y0, y1, x0, x1)

    def column_distance(self, y0: int, y1: int) -> NDArray[np.int32]:
        """int32[y1-y0+1, x1-x0+1]: `kernels.column_distance` over rows y0..y1, own columns."""
        return kernels.column_distance(self.rows, self.columns, y0, y1, self.x0, self.x1)


@dataclass(frozen=True, eq=False)
class TruthBorder:
    """One object's ground truth, ready to be compared with many predictions.

    Attributes:
        region: its pixels, for overlap counts.
        border: its border pixels.
        field: int32[y, x], rows to the nearest border pixel, all rows of the slice, columns of
            the border's bounds.
        spacing_mm: (row, column), or None where either is unknown.
        limit_sq_px: largest integer whose root is within the pixel tolerance.
        tolerance_mm: tolerance of `nsd_mm`.
    """

    region: TruthRegion
    border: Border
    field: NDArray[np.int32]
    spacing_mm: tuple[float, float] | None
    limit_sq_px: int
    tolerance_mm: float

    @classmethod
    def from_mask(
        cls,
        mask: Mask,
        spacing_mm: Spacing | None = None,
        *,
        tolerance_px: float = 2.0,
        tolerance_mm: float = 2.0,
        where: str | None = None,
    ) -> TruthBorder:
        """Prepare `mask: bool[y, x]`, not empty; `where` names the object in messages.

        Args:
            spacing_mm: (row, column); None, or None in it: the `_mm` distances are None.
            tolerance_px, tolerance_mm: of `nsd` and `nsd_mm`.

        Raises:
            SamscopeError: the mask is empty, not bool[y, x] or too large, or a spacing is no
                positive number.
        """
        check_mask(mask, where)
        if max(mask.shape) >= kernels.FAR // 2:
            raise SamscopeError(
                "the slice is too large for border distances",
                where=where,
                got=f"{mask.shape[0]} x {mask.shape[1]} pixels",
                expected=f"sides below {kernels.FAR // 2}",
            )
        region = TruthRegion.from_mask(mask, where=where)
        border = _known(Border.from_mask(mask))
        return cls(
            region=region,
            border=border,
            field=border.column_distance(0, region.height - 1),
            spacing_mm=_checked(spacing_mm, where),
            limit_sq_px=math.floor(Fraction(tolerance_px) ** 2),
            tolerance_mm=tolerance_mm,
        )

    @property
    def gt_px(self) -> int:
        return self.region.gt_px

    def distances(self, mask: Mask) -> Distances:
        """All distances between the truth and a prediction, `mask: bool[y, x]` of the same slice.

        Raises:
            SamscopeError: the mask is not bool or has another size.
        """
        check_mask(mask)
        self.region.check(mask)
        other = Border.from_mask(mask)
        if other is None:
            return self.of_nothing()
        y0, y1 = min(self.border.y0, other.y0), max(self.border.y1, other.y1)
        comparison = _Comparison(self, other, other.column_distance(y0, y1), y0)
        there, back = comparison.squares(1.0, 1.0)
        hausdorff, hd95, assd = kernels.summary(there, back)
        nsd = kernels.share_within(there, back, float(self.limit_sq_px))
        if self.spacing_mm is None:
            return Distances(hausdorff, hd95, assd, nsd)
        row, column = self.spacing_mm
        limit = self.tolerance_mm * (1 + TIE)
        if row == column:
            nsd_mm = kernels.share_within(there, back, (limit / row) ** 2)
            scaled = (hausdorff * row, hd95 * row, assd * row)
            return Distances(hausdorff, hd95, assd, nsd, *scaled, nsd_mm)
        there, back = comparison.squares(row * row, column * column)
        nsd_mm = kernels.share_within(there, back, limit**2)
        return Distances(hausdorff, hd95, assd, nsd, *kernels.summary(there, back), nsd_mm)

    def of_nothing(self) -> Distances:
        """Distances of an empty prediction: NSD 0, the others undefined."""
        return Distances(nsd=0.0, nsd_mm=None if self.spacing_mm is None else 0.0)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Both borders with both column distances; `field` is the prediction's, from row `y0`."""

    truth: TruthBorder
    other: Border
    field: NDArray[np.int32]
    y0: int

    def squares(
        self, row_sq: float, column_sq: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Squared distances prediction to truth, and truth to prediction."""
        truth, other = self.truth.border, self.other
        there = kernels.nearest_sq(
            other.rows, other.columns, self.truth.field, 0, truth.x0, row_sq, column_sq
        )
        back = kernels.nearest_sq(
            truth.rows, truth.columns, self.field, self.y0, other.x0, row_sq, column_sq
        )
        return there, back


def _known(border: Border | None) -> Border:
    if border is None:
        raise SamscopeError("a ground truth without pixels has no border")
    return border


def _checked(spacing: Spacing | None, where: str | None) -> tuple[float, float] | None:
    if spacing is None or spacing[0] is None or spacing[1] is None:
        return None
    row, column = float(spacing[0]), float(spacing[1])
    if not (math.isfinite(row) and math.isfinite(column) and row > 0 and column > 0):
        raise SamscopeError(
            "pixel spacing must be positive",
            where=where,
            got=f"row {row} mm, column {column} mm",
            expected="two positive numbers, or None where unknown",
            remedy="repair the recipe's spacing, or leave it unknown",
        )
    return row, column
