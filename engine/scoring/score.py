"""One trial's masks become rows (protocol sections 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.scoring.counts import Counts, Mask
from engine.scoring.distances import TruthBorder
from engine.scoring.rows import CandidateRow, SelectionRow, TrialScores
from engine.scoring.selection import check_finite, select


def score_trial(
    truth: TruthBorder,
    masks: Mask,
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
    _check_lengths(masks, predicted_iou, candidates)
    ious = [float(value) for value in predicted_iou]
    check_finite(candidates, ious)
    tp, pred_px = (counts.tolist() for counts in truth.region.count_all(masks))
    picks = select(candidates, tp, pred_px, ious, truth.gt_px)
    places = {candidate: place for place, candidate in enumerate(candidates)}
    measured = {
        candidate: truth.distances(masks[places[candidate]])
        for candidate in dict.fromkeys(picks.values())
    }
    selections = []
    for name, candidate in picks.items():
        place = places[candidate]
        counts = Counts(tp[place], pred_px[place], truth.gt_px)
        selections.append(
            SelectionRow.of(name, candidate, ious[place], counts, measured[candidate])
        )
    rows = map(CandidateRow, candidates, ious, tp, pred_px)
    return TrialScores(tuple(rows), tuple(selections))


def _check_lengths(
    masks: Mask, predicted_iou: NDArray[np.floating], candidates: Sequence[int]
) -> None:
    if masks.ndim != 3 or not len(masks) == len(predicted_iou) == len(candidates):
        raise SamscopeError(
            "a trial's masks, predicted IoUs and candidates do not belong together",
            got=f"masks {list(masks.shape)}, {len(predicted_iou)} predicted IoUs, "
            f"{len(candidates)} candidates",
            expected="masks [c, y, x] with c predicted IoUs and c candidates",
            remedy="check the model's `card.candidates` against what `decode` returns",
        )
