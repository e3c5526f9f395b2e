"""Scores of Everything: one set of packed masks per slice against each of its objects.

Overlaps are counted on the packed bits; only the selected masks are unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.scoring.counts import Counts, TruthRegion
from engine.scoring.distances import TruthBorder
from engine.scoring.rows import EverythingScores, OverlapRow, SelectionRow, SliceCandidateRow
from engine.scoring.selection import check_finite, highest_dice

if TYPE_CHECKING:  # a type only: scoring does not load the models' room
    from engine.models.base import EverythingMasks

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EverythingScorer:
    """One slice's Everything masks with their pixel counts, for all objects of the slice.

    Attributes:
        masks: the candidates, in protocol order.
        pred_px: int64[k], pixels of each.
    """

    masks: EverythingMasks
    pred_px: Ints

    @classmethod
    def from_masks(cls, masks: EverythingMasks) -> EverythingScorer:
        """Count each candidate's pixels once.

        Raises:
            SamscopeError: a predicted IoU is NaN or infinite.
        """
        check_finite(range(len(masks)), masks.predicted_iou.tolist())
        counts = (np.bitwise_count(packed).sum(dtype=np.int64) for packed in masks.packed)
        return cls(masks, np.fromiter(counts, np.int64, len(masks)))

    def rows(self) -> tuple[SliceCandidateRow, ...]:
        """The candidates as rows, once per slice."""
        masks = self.masks
        return tuple(
            SliceCandidateRow(i, float(x), float(y), int(index), float(iou), float(score), int(px))
            for i, ((x, y), index, iou, score, px) in enumerate(
                zip(
                    masks.points,
                    masks.mask_index,
                    masks.predicted_iou,
                    masks.stability_score,
                    self.pred_px,
                    strict=True,
                )
            )
        )

    def score(self, truth: TruthBorder, point: tuple[int, int]) -> EverythingScores:
        """Overlaps and selections of one object.

        Args:
            truth: the object, of the same slice.
            point: (x, y) of the object's `point_1` prompt at jitter level (0, 0), pixels.

        Raises:
            SamscopeError: the masks are of another size than the slice, or the point lies outside.
        """
        self._check(truth.region, point)
        tp = self.true_positives(truth.region)
        picks = {
            "oracle": highest_dice(range(len(tp)), tp.tolist(), self.pred_px.tolist(), truth.gt_px),
            "predicted_iou": self.first_containing(point),
        }
        measured = {
            pick: truth.of_nothing() if pick is None else truth.distances(self.masks.mask(pick))
            for pick in set(picks.values())
        }
        selections = []
        for name, pick in picks.items():
            iou = None if pick is None else float(self.masks.predicted_iou[pick])
            counts = self._counts(tp, pick, truth.gt_px)
            selections.append(SelectionRow.of(name, pick, iou, counts, measured[pick]))
        hits = np.flatnonzero(tp).tolist()
        return EverythingScores(tuple(OverlapRow(i, int(tp[i])) for i in hits), tuple(selections))

    def true_positives(self, region: TruthRegion) -> Ints:
        """int64[k]: pixels each candidate shares with the object."""
        first, last = region.x0 // 8, region.x1 // 8
        aligned = np.zeros((len(region.crop), 8 * (last - first + 1)), np.bool_)
        start = region.x0 - 8 * first
        aligned[:, start : start + region.crop.shape[1]] = region.crop
        view = self.masks.packed[:, region.y0 : region.y1 + 1, first : last + 1]
        shared = np.bitwise_count(view & np.packbits(aligned, axis=-1))
        tp: Ints = shared.sum(axis=(1, 2), dtype=np.int64)
        return tp

    def first_containing(self, point: tuple[int, int]) -> int | None:
        """The first candidate, in protocol order, that contains the pixel (x, y); None of none."""
        x, y = point
        bit = self.masks.packed[:, y, x // 8] & (0x80 >> (x % 8))
        hits = np.flatnonzero(bit)
        return int(hits[0]) if len(hits) else None

    def _counts(self, tp: Ints, pick: int | None, gt_px: int) -> Counts:
        if pick is None:
            return Counts(0, 0, gt_px)
        return Counts(int(tp[pick]), int(self.pred_px[pick]), gt_px)

    def _check(self, region: TruthRegion, point: tuple[int, int]) -> None:
        x, y = point
        size = (self.masks.packed.shape[1], self.masks.width)
        if size != (region.height, region.width):
            raise SamscopeError(
                "Everything's masks do not fit the slice",
                got=f"{size[0]} x {size[1]} pixels",
                expected=f"{region.height} x {region.width}",
                remedy="a model must return masks on the slice's original grid",
            )
        if not (0 <= x < region.width and 0 <= y < region.height):
            raise SamscopeError(
                "the point that selects a mask of Everything lies outside the slice",
                got=f"x {x}, y {y}",
                expected=f"0 <= x < {region.width}, 0 <= y < {region.height}",
            )
