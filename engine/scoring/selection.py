"""Which candidate of a trial is judged (protocol section 3). Exact, ties to the lowest index."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.errors import SamscopeError

SINGLE = 3
"""Candidate of the single-mask token; equals `engine.models.base.SINGLE`."""


def highest_dice(
    candidates: Sequence[int], tp: Sequence[int], pred_px: Sequence[int], gt_px: int
) -> int | None:
    """The candidate with the highest Dice as an exact fraction; None of none.

    Args:
        candidates: candidate indices, in any order.
        tp, pred_px: counts of each, in that order.
        gt_px: pixels of the ground truth, at least 1.
    """
    best: tuple[int, int, int] | None = None  # candidate, tp, pred_px + gt_px
    for candidate, hit, pred in sorted(
        zip(candidates, map(int, tp), map(int, pred_px), strict=True)
    ):
        size = pred + gt_px
        if best is None or hit * best[2] > best[1] * size:
            best = (candidate, hit, size)
    return None if best is None else best[0]


def highest_predicted_iou(candidates: Sequence[int], predicted_iou: Sequence[float]) -> int | None:
    """The candidate the model itself rates highest; None of none.

    Raises:
        SamscopeError: a predicted IoU is NaN or infinite.
    """
    check_finite(candidates, predicted_iou)
    best: tuple[int, float] | None = None
    for candidate, value in sorted(zip(candidates, map(float, predicted_iou), strict=True)):
        if best is None or value > best[1]:
            best = (candidate, value)
    return None if best is None else best[0]


def select(
    candidates: Sequence[int],
    tp: Sequence[int],
    pred_px: Sequence[int],
    predicted_iou: Sequence[float],
    gt_px: int,
) -> dict[str, int]:
    """Selection name -> candidate, for one prompt's masks.

    A model whose only candidate is the single-mask token has it stand for all three selections; a
    model without that token has no `single`.

    Raises:
        SamscopeError: there are no candidates, one is listed twice, or a predicted IoU is NaN or
            infinite.
    """
    if not candidates or len(set(candidates)) != len(candidates):
        raise SamscopeError(
            "a trial needs distinct candidates",
            got=list(candidates),
            expected="for example 0, 1, 2, 3, or 3 alone",
            remedy="check the model's `card.candidates`",
        )
    check_finite(candidates, predicted_iou)
    chosen = [i for i, c in enumerate(candidates) if c != SINGLE] or [0]
    names = [candidates[i] for i in chosen]
    hits, preds = [tp[i] for i in chosen], [pred_px[i] for i in chosen]
    values = [predicted_iou[i] for i in chosen]
    picks = {
        "oracle": highest_dice(names, hits, preds, gt_px),
        "predicted_iou": highest_predicted_iou(names, values),
        "single": SINGLE if SINGLE in candidates else None,
    }
    return {name: candidate for name, candidate in picks.items() if candidate is not None}


def check_finite(candidates: Sequence[int], predicted_iou: Sequence[float]) -> None:
    """Refuse predicted IoUs that are no numbers.

    Raises:
        SamscopeError: naming the first candidate whose predicted IoU is NaN or infinite.
    """
    for candidate, value in zip(candidates, predicted_iou, strict=True):
        if not math.isfinite(value):
            raise SamscopeError(
                "the model's predicted IoU is not a number",
                where=f"candidate {candidate}",
                got=float(value),
                expected="a finite value",
                remedy="check the weights and the precision (half precision overflows)",
            )
