"""Trials' masks become rows (protocol sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.masks import Masks
from engine.scoring.batch import count_all, measure_all, together_or_alone
from engine.scoring.counts import Counts
from engine.scoring.distances import Distances, TruthBorder
from engine.scoring.rows import CandidateRow, SelectionRow, TrialScores
from engine.scoring.selection import check_finite, select

Trial = tuple[TruthBorder, Masks, NDArray[np.floating]]
"""The object, its masks bool[c, y, x], and float[c], the model's own estimates."""


def score_trial(
    truth: TruthBorder,
    masks: Masks,
    predicted_iou: NDArray[np.floating],
    candidates: Sequence[int],
) -> TrialScores:
    """Count every candidate, select, and measure the selected ones, each distinct one once.

    Args:
        truth: the object, prepared once for all its trials.
        masks: bool[c, y, x], the trial's masks on the slice's grid.
        predicted_iou: float[c], the model's own estimates.
        candidates: index of each mask, e.g. `Card.candidates`.

    Raises:
        SamscopeError: the masks do not fit the slice, the three arguments differ in length, or a
            predicted IoU is NaN or infinite.
    """
    return _score([(truth, masks, predicted_iou)], candidates)[0]


def score_batch(
    truths: Sequence[TruthBorder],
    masks: Sequence[Masks],
    predicted_iou: Sequence[NDArray[np.floating]],
    candidates: Sequence[int],
) -> list[TrialScores | Exception]:
    """`score_trial` of each of n trials of one slice, or what kept it from being scored.

    The rows are the same wherever the masks are, but for the last digits of average distances and
    of millimetres (`docs/design/scoring.md`).

    Args:
        truths: n; objects may repeat.
        masks: n of bool[c, y, x]: numpy arrays, or tensors of one device, which stay there.
        predicted_iou: n of float[c].
    """
    trials: list[Trial] = list(zip(truths, masks, predicted_iou, strict=True))
    return together_or_alone(lambda some: _score(some, candidates), trials)


def _score(trials: Sequence[Trial], candidates: Sequence[int]) -> list[TrialScores]:
    for _, masks, iou in trials:
        _check_lengths(masks, iou, candidates)
        check_finite(candidates, iou.tolist())
    truths, stacks = [trial[0] for trial in trials], [trial[1] for trial in trials]
    counts = zip(*(side.tolist() for side in count_all(truths, stacks)), strict=True)
    tallies = [
        _Tally.of(truth, candidates, iou.tolist(), tp, pred_px)
        for (truth, _, iou), (tp, pred_px) in zip(trials, counts, strict=True)
    ]
    wanted = [(i, place) for i, tally in enumerate(tallies) for place in tally.to_measure()]
    found = measure_all([truths[i] for i, _ in wanted], [stacks[i][place] for i, place in wanted])
    measured: list[dict[int, Distances]] = [{} for _ in tallies]
    for (i, place), distances in zip(wanted, found, strict=True):
        measured[i][place] = distances
    return [tally.scores(some) for tally, some in zip(tallies, measured, strict=True)]


@dataclass(frozen=True, eq=False)
class _Tally:
    """One trial's integers and what they select: name -> place among the candidates."""

    truth: TruthBorder
    candidates: Sequence[int]
    predicted_iou: Sequence[float]
    tp: Sequence[int]
    pred_px: Sequence[int]
    picks: Mapping[str, int]

    @classmethod
    def of(
        cls,
        truth: TruthBorder,
        candidates: Sequence[int],
        predicted_iou: Sequence[float],
        tp: Sequence[int],
        pred_px: Sequence[int],
    ) -> _Tally:
        picks = select(candidates, tp, pred_px, predicted_iou, truth.gt_px)
        places = {name: list(candidates).index(picked) for name, picked in picks.items()}
        return cls(truth, candidates, predicted_iou, tp, pred_px, places)

    def to_measure(self) -> list[int]:
        """Places of the distinct selected masks that have pixels."""
        return [place for place in dict.fromkeys(self.picks.values()) if self.pred_px[place]]

    def scores(self, measured: Mapping[int, Distances]) -> TrialScores:
        """The trial's rows; `measured` holds the distances of `to_measure`."""
        rows = map(CandidateRow, self.candidates, self.predicted_iou, self.tp, self.pred_px)
        selections = (self._selection(name, place, measured) for name, place in self.picks.items())
        return TrialScores(tuple(rows), tuple(selections))

    def _selection(self, name: str, place: int, measured: Mapping[int, Distances]) -> SelectionRow:
        counts = Counts(self.tp[place], self.pred_px[place], self.truth.gt_px)
        distances = measured[place] if counts.pred_px else self.truth.of_nothing()
        iou = self.predicted_iou[place]
        return SelectionRow.of(name, self.candidates[place], iou, counts, distances)


def _check_lengths(
    masks: Masks, predicted_iou: NDArray[np.floating], candidates: Sequence[int]
) -> None:
    if masks.ndim != 3 or not len(masks) == len(predicted_iou) == len(candidates):
        raise SamscopeError(
            "a trial's masks, predicted IoUs and candidates do not belong together",
            got=f"masks {list(masks.shape)}, {len(predicted_iou)} predicted IoUs, "
            f"{len(candidates)} candidates",
            expected="masks [c, y, x] with c predicted IoUs and c candidates",
            remedy="check the model's `card.candidates` against what `decode` returns",
        )
