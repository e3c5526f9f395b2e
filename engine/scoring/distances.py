"""Distances between the borders of two masks: Hausdorff, HD95, ASSD and NSD (protocol section 4).

The ground truth's side is prepared once per object and used for all its candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.scoring import border_kernels, crowd_kernels, nearest_kernels
from engine.scoring.bits import packed, words_a_row
from engine.scoring.counts import Mask, TruthRegion, check_mask

Spacing = tuple[float | None, float | None]
"""(row, column) spacing in mm: the height and width of a pixel; None where unknown."""

MANY = 64
"""A border is dense with more than one pixel for that many of the slice, or of its bounds."""

OUTLINES = 2
"""With more pixels than that many times its bounds' outline, a border is none of a single shape."""

MAP_BYTES_A_PIXEL = 8
"""What a truth's table of distances keeps at most, for each pixel of the slice: four for a place,
and eight for each different distance, fewer than half as many as pixels but in tiny slices."""

LEAST_MM, MOST_MM = 1e-9, 1e9
"""Bounds of a pixel's sides; squares and sums of float64 stay finite within them."""

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
    """The border of a mask.

    Attributes:
        pixels: uint8[y, x], 1 on the border, within its bounds; columns filled up with zeros.
        count: border pixels.
        y0, y1, x0, x1: bounds of the mask, inclusive.
    """

    pixels: NDArray[np.uint8]
    count: int
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
        y0, y1, x0, x1 = border_kernels.bounds(frozen)
        if y1 < y0:
            return None
        return cls(*border_kernels.border_map(frozen, y0, y1, x0, x1), y0, y1, x0, x1)

    @property
    def crowded(self) -> bool:
        """Whether there is a border pixel almost everywhere within the bounds, as in noise."""
        around = 2 * (self.y1 - self.y0 + self.x1 - self.x0 + 2)
        return self.count > OUTLINES * around and self.count * MANY > self.pixels.size

    def column_distance(self, y0: int, y1: int) -> NDArray[np.int32]:
        """int32[y1-y0+1, x1-x0+1]: rows to the nearest border pixel, from row y0 to row y1."""
        width = self.x1 - self.x0 + 1
        return border_kernels.column_distance(self.pixels, width, self.y0 - y0, y1 - self.y1)

    def tally_among(self, crowd: Border) -> NDArray[np.int64]:
        """How many pixels have their nearest of `crowd` that far off, by squared distance.

        Empty where some pixel has none within `crowd_kernels.REACH`.
        """
        reach = crowd_kernels.REACH
        window = (self.y0 - reach, self.y1 + reach, self.x0 - reach, self.x1 + reach)
        asking, others = (
            packed(border.pixels, border.y0, border.x0, window) for border in (self, crowd)
        )
        return crowd_kernels.tally_among(asking, others, words_a_row(window))


@dataclass(frozen=True, eq=False)
class TruthBorder:
    """One object's ground truth, ready to be compared with many predictions.

    Attributes:
        region: its pixels, for overlap counts.
        border: its border pixels.
        field: int32[y, x], rows to the nearest border pixel, all rows of the slice, columns of
            the border's bounds.
        keep_map: whether a table of distances may be kept (`MAP_BYTES_A_PIXEL`).
        spacing_mm: (row, column), or None where either is unknown.
        limit_sq_px: largest integer whose root is within the pixel tolerance.
        tolerance_mm: tolerance of `nsd_mm`.
    """

    region: TruthRegion
    border: Border
    field: NDArray[np.int32]
    keep_map: bool
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
        keep_map: bool = True,
        where: str | None = None,
    ) -> TruthBorder:
        """Prepare `mask: bool[y, x]`, not empty; `where` names the object in messages.

        Args:
            keep_map: whether `MAP_BYTES_A_PIXEL` of the slice may be kept, once a speckled
                prediction comes; the numbers are the same.
            spacing_mm: (row, column); None, or None in it: the `_mm` distances are None.
            tolerance_px, tolerance_mm: of `nsd` and `nsd_mm`.

        Raises:
            SamscopeError: the mask is empty, not bool[y, x] or too large, or a spacing is no
                positive number.
        """
        check_mask(mask, where)
        if max(mask.shape) > nearest_kernels.LONGEST:
            raise SamscopeError(
                "the slice is too large for border distances",
                where=where,
                got=f"{mask.shape[0]} x {mask.shape[1]} pixels",
                expected=f"sides of at most {nearest_kernels.LONGEST} pixels",
                remedy="cut the image into tiles before it is ingested",
            )
        region = TruthRegion.from_mask(mask, where=where)
        border = _known(Border.from_mask(mask))
        return cls(
            region=region,
            border=border,
            field=border.column_distance(0, region.height - 1),
            keep_map=keep_map,
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
        comparison = _Comparison(self, other)
        pixels = comparison.in_pixels()
        nsd = pixels.share_within(self.limit_sq_px)
        if self.spacing_mm is None:
            return Distances(*pixels.distances, nsd)
        row, column = self.spacing_mm
        limit = self.tolerance_mm * (1 + TIE)
        if row == column:
            nsd_mm = pixels.share_within((limit / row) ** 2)
            hausdorff, hd95, assd = pixels.distances
            scaled = (hausdorff * row, hd95 * row, assd * row)
            return Distances(*pixels.distances, nsd, *scaled, nsd_mm)
        mm = comparison.stretched(row * row, column * column)
        return Distances(*pixels.distances, nsd, *mm.distances, mm.share_within(limit**2))

    def of_nothing(self) -> Distances:
        """Distances of an empty prediction: NSD 0, the others undefined."""
        return Distances(nsd=0.0, nsd_mm=None if self.spacing_mm is None else 0.0)

    @cached_property
    def _ranks(self) -> tuple[NDArray[np.float64], NDArray[np.int32]] | None:
        """Squared distances to the border of all pixels of the slice: the different ones,
        ascending, and for every pixel (int32[y, x]) its place among them.

        None where the longest squared distance exceeds the number of pixels, as in narrow slices
        and for objects in a corner: so many would take more than looking up saves.
        """
        squares = nearest_kernels.square_map(self.field, self.border.x0, self.region.width)
        most = int(squares.max())
        return None if most > squares.size else (nearest_kernels.ranked(squares, most), squares)

    def way_from(self, other: Border) -> _Way:
        """Distances in pixels of each pixel of `other` to the truth."""
        # One look-up a pixel pays for the map when there are many, as in speckled predictions.
        many = other.count * MANY > self.region.height * self.region.width
        if self.keep_map and many and self._ranks is not None:
            levels, ranks = self._ranks
            bounds = (other.y0, other.y1, other.x0, other.x1)
            bits = packed(other.pixels, other.y0, other.x0, bounds)
            place = (words_a_row(bounds), other.y0, other.x0)
            return _Way(*nearest_kernels.looked_up(bits, *place, ranks, levels))
        return _Way.of(
            nearest_kernels.nearest_sq(
                other.pixels, other.y0, other.x0, other.count, self.field, 0, self.border.x0
            )
        )


@dataclass(frozen=True, eq=False)
class _Comparison:
    """A prediction's border beside the truth's; both ways look at both column distances."""

    truth: TruthBorder
    other: Border

    @cached_property
    def _top(self) -> int:
        return min(self.truth.border.y0, self.other.y0)

    @cached_property
    def _field(self) -> NDArray[np.int32]:
        """Column distances of the prediction, over all rows in which either border lies."""
        return self.other.column_distance(self._top, max(self.truth.border.y1, self.other.y1))

    def in_pixels(self) -> _Summary:
        """Distances in pixels, prediction to truth and truth to prediction."""
        return _Summary(self._there(), self._back())

    def _there(self) -> _Way:
        # A crowd asking a crowd: no look-ups. Else what is prepared of the truth is faster.
        if self.other.crowded and self.truth.border.crowded:
            tally = self.other.tally_among(self.truth.border)
            if tally.size:
                return _Way.of_tally(tally)
        return self.truth.way_from(self.other)

    def _back(self) -> _Way:
        truth, other = self.truth.border, self.other
        if other.crowded:
            tally = truth.tally_among(other)
            if tally.size:
                return _Way.of_tally(tally)
        place = (truth.pixels, truth.y0, truth.x0, truth.count)
        return _Way.of(nearest_kernels.nearest_sq(*place, self._field, self._top, other.x0))

    def stretched(self, row_sq: float, column_sq: float) -> _Summary:
        """The same where a pixel is that high and wide, squared."""
        truth, other = self.truth.border, self.other
        nearest = nearest_kernels.nearest_sq_stretched
        there = nearest(
            other.pixels, other.y0, other.x0, other.count,
            self.truth.field, 0, truth.x0, row_sq, column_sq,
        )  # fmt: skip
        back = nearest(
            truth.pixels, truth.y0, truth.x0, truth.count,
            self._field, self._top, other.x0, row_sq, column_sq,
        )  # fmt: skip
        return _Summary(_Way.of(there), _Way.of(back))


@dataclass(frozen=True, eq=False)
class _Way:
    """Squared distances one way, as few numbers as there are different ones.

    Ascending, so that a sum does not depend on the order in which pixels were visited.

    Attributes:
        squares: float64[n], ascending, no two equal; integers in pixels.
        upto: int64[n], how many of the distances are that or shorter.
    """

    squares: NDArray[np.float64]
    upto: NDArray[np.int64]

    @classmethod
    def of(cls, squares: NDArray[Any]) -> _Way:
        """From one squared distance a pixel, in any order."""
        return cls(*nearest_kernels.runs(np.sort(squares).astype(np.float64)))

    @classmethod
    def of_tally(cls, tally: NDArray[np.int64]) -> _Way:
        """From the number of pixels by squared distance."""
        squares = np.flatnonzero(tally)
        return cls(squares.astype(np.float64), tally[squares].cumsum())

    @property
    def count(self) -> int:
        return int(self.upto[-1])

    @property
    def total(self) -> float:
        """Sum of the distances."""
        return nearest_kernels.total_of(self.squares, self.upto)

    @property
    def percentile_95(self) -> float:
        """Linear interpolation between the two distances around it."""
        position = 0.95 * (self.count - 1)
        below = int(position)
        low, high = (
            math.sqrt(self.squares[np.searchsorted(self.upto, min(k, self.count - 1), "right")])
            for k in (below, below + 1)
        )
        return low + (high - low) * (position - below)

    def within(self, limit_sq: float) -> int:
        """How many squared distances are <= `limit_sq`."""
        place = int(np.searchsorted(self.squares, limit_sq, "right"))
        return int(self.upto[place - 1]) if place else 0


@dataclass(frozen=True, eq=False)
class _Summary:
    """Both ways, prediction to truth and truth to prediction."""

    there: _Way
    back: _Way

    @property
    def distances(self) -> tuple[float, float, float]:
        """(Hausdorff, HD95, ASSD)."""
        there, back = self.there, self.back
        return (
            math.sqrt(max(there.squares[-1], back.squares[-1])),
            max(there.percentile_95, back.percentile_95),
            (there.total + back.total) / (there.count + back.count),
        )

    def share_within(self, limit_sq: float) -> float:
        """Share of both ways' squared distances that are <= `limit_sq`."""
        there, back = self.there, self.back
        return (there.within(limit_sq) + back.within(limit_sq)) / (there.count + back.count)


def _known(border: Border | None) -> Border:
    if border is None:
        raise SamscopeError("a ground truth without pixels has no border")
    return border


def _checked(spacing: Spacing | None, where: str | None) -> tuple[float, float] | None:
    if spacing is None or spacing[0] is None or spacing[1] is None:
        return None
    row, column = float(spacing[0]), float(spacing[1])
    if not all(LEAST_MM <= side <= MOST_MM for side in (row, column)):
        raise SamscopeError(
            "pixel spacing must be positive, and of this world",
            where=where,
            got=f"row {row:g} mm, column {column:g} mm",
            expected=f"two numbers from {LEAST_MM:g} to {MOST_MM:g}, or None where unknown",
            remedy="repair the recipe's spacing, or leave it unknown",
        )
    return row, column
