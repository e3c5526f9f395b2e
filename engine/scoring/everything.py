"""Scores of Everything: one set of packed masks per slice against each of its objects.

Overlaps are counted on the packed bits, where the masks are; only the selected ones are unpacked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.masks import Packed, count_pixels, like, on_host, pieces, unpack
from engine.scoring.batch import measure_all, together_or_alone
from engine.scoring.counts import Counts, TruthRegion
from engine.scoring.distances import Distances, TruthBorder
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
        return cls(masks, _pixels(masks.packed))

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
        return self._score([(truth, point)])[0]

    def score_all(
        self, truths: Sequence[TruthBorder], points: Sequence[tuple[int, int]]
    ) -> list[EverythingScores | Exception]:
        """`score` of each of the slice's objects, or what kept it from being scored."""
        return together_or_alone(self._score, list(zip(truths, points, strict=True)))

    def _score(
        self, objects: Sequence[tuple[TruthBorder, tuple[int, int]]]
    ) -> list[EverythingScores]:
        tallies = [self._tally(truth, point) for truth, point in objects]
        wanted = [(tally.truth, pick) for tally in tallies for pick in tally.to_measure()]
        measured: dict[tuple[TruthBorder, int], Distances] = {}
        height, width = self.masks.packed.shape[1], self.masks.width
        for part in pieces(len(wanted), height * width):
            picks = unpack(self.masks.packed[[pick for _, pick in wanted[part]]], width)
            found = measure_all([truth for truth, _ in wanted[part]], list(picks))
            measured |= dict(zip(wanted[part], found, strict=True))
        return [tally.scores(measured) for tally in tallies]

    def _tally(self, truth: TruthBorder, point: tuple[int, int]) -> _Tally:
        self._check(truth.region, point)
        tp = self.true_positives(truth.region)
        picks = {
            "oracle": highest_dice(range(len(tp)), tp.tolist(), self.pred_px.tolist(), truth.gt_px),
            "predicted_iou": self.first_containing(point),
        }
        return _Tally(self, truth, tp, picks)

    def true_positives(self, region: TruthRegion) -> Ints:
        """int64[k]: pixels each candidate shares with the object."""
        first, last = region.x0 // 8, region.x1 // 8
        aligned = np.zeros((len(region.crop), 8 * (last - first + 1)), np.bool_)
        start = region.x0 - 8 * first
        aligned[:, start : start + region.crop.shape[1]] = region.crop
        view = self.masks.packed[:, region.y0 : region.y1 + 1, first : last + 1]
        return _pixels(view, np.packbits(aligned, axis=-1))

    def first_containing(self, point: tuple[int, int]) -> int | None:
        """The first candidate, in protocol order, that contains the pixel (x, y); None of none."""
        x, y = point
        hits = np.flatnonzero(on_host(self.masks.packed[:, y, x // 8]) & (0x80 >> (x % 8)))
        return int(hits[0]) if len(hits) else None

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


@dataclass(frozen=True, eq=False)
class _Tally:
    """One object's overlaps and what they select: name -> candidate, None where nothing."""

    scorer: EverythingScorer
    truth: TruthBorder
    tp: Ints
    picks: Mapping[str, int | None]

    def to_measure(self) -> list[int]:
        """The distinct selected masks that have pixels."""
        picks = dict.fromkeys(pick for pick in self.picks.values() if pick is not None)
        return [pick for pick in picks if self.scorer.pred_px[pick]]

    def scores(self, measured: Mapping[tuple[TruthBorder, int], Distances]) -> EverythingScores:
        """The object's rows; `measured` holds the distances of `to_measure`."""
        selections = (self._selection(name, pick, measured) for name, pick in self.picks.items())
        hits = np.flatnonzero(self.tp).tolist()
        overlaps = (OverlapRow(i, int(self.tp[i])) for i in hits)
        return EverythingScores(tuple(overlaps), tuple(selections))

    def _selection(
        self,
        name: str,
        pick: int | None,
        measured: Mapping[tuple[TruthBorder, int], Distances],
    ) -> SelectionRow:
        nothing, gt_px = self.truth.of_nothing(), self.truth.gt_px
        if pick is None:
            return SelectionRow.of(name, None, None, Counts(0, 0, gt_px), nothing)
        counts = Counts(int(self.tp[pick]), int(self.scorer.pred_px[pick]), gt_px)
        iou = float(self.scorer.masks.predicted_iou[pick])
        distances = measured[self.truth, pick] if counts.pred_px else nothing
        return SelectionRow.of(name, pick, iou, counts, distances)


def _pixels(packed: Packed, within: NDArray[np.uint8] | None = None) -> Ints:
    """int64[k]: pixels of packed masks, `within` other bits; counted where the masks are."""
    bits = None if within is None else like(within, packed)
    counts = [
        on_host(count_pixels(packed[part] if bits is None else packed[part] & bits))
        for part in pieces(len(packed), 8 * math.prod(packed.shape[1:]))
    ]
    return np.concatenate([np.zeros(0, np.int64), *counts])
