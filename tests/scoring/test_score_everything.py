"""Everything's rows: packed bits against unpacked masks, selections against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import scores as oracle
from oracles.masks import Mask, masks, objects

from engine.errors import SamscopeError
from engine.models.base import EverythingMasks
from engine.scoring import EverythingScorer, TruthBorder


def packed(stack: Mask, ious: list[float] | None = None) -> EverythingMasks:
    k, _, width = stack.shape
    iou = np.linspace(0.99, 0.9, k) if ious is None else np.array(ious)
    return EverythingMasks(
        packed=np.packbits(stack, axis=-1),
        width=width,
        predicted_iou=iou.astype(np.float32),
        stability_score=np.full(k, 0.96, dtype=np.float32),
        points=np.arange(2.0 * k).reshape(k, 2),
        mask_index=np.arange(k) % 3,
        n_raw=k,
    )


@given(objects(20), st.integers(0, 6), st.data())
@settings(max_examples=100)
def test_rows_equal_brute_force(truth: Mask, k: int, data: st.DataObject) -> None:
    stack = np.zeros((k, *truth.shape), dtype=bool)
    for i in range(k):
        stack[i] = data.draw(masks(truth.shape))
    x = data.draw(st.integers(0, truth.shape[1] - 1))
    y = data.draw(st.integers(0, truth.shape[0] - 1))
    scorer = EverythingScorer.from_masks(packed(stack))
    found = scorer.score(TruthBorder.from_mask(truth, (1.0, 0.5)), (x, y))
    counts = [oracle.counts(mask, truth) for mask in stack]
    assert [(row.candidate, row.tp) for row in found.overlaps] == [
        (i, c[0]) for i, c in enumerate(counts) if c[0]
    ]
    assert [row.pred_px for row in scorer.rows()] == [c[1] for c in counts]
    holding = [i for i in range(k) if stack[i, y, x]]
    expected = {
        "oracle": oracle.oracle(range(k), list(stack), truth) if k else None,
        "predicted_iou": holding[0] if holding else None,
    }
    assert {row.selection: row.candidate for row in found.selections} == expected
    for row in found.selections:
        pick = row.candidate
        mask = np.zeros_like(truth) if pick is None else stack[pick]
        assert (row.tp, row.pred_px) == oracle.counts(mask, truth)[:2]
        assert row.status == ("ok" if mask.any() else "empty_prediction")
        assert (row.predicted_iou is None) == (pick is None)
        for name, value in oracle.distances(mask, truth, (1.0, 0.5)).items():
            wanted = None if value is None else pytest.approx(value, abs=1e-9)
            assert getattr(row, name) == wanted, name


def test_first_in_order_not_best_rated() -> None:
    truth = np.zeros((4, 11), dtype=bool)
    truth[1:3, 6:10] = True
    stack = np.stack([~truth, np.ones_like(truth), truth])
    found = EverythingScorer.from_masks(packed(stack, [0.9, 0.89, 0.95])).score(
        TruthBorder.from_mask(truth), (8, 1)
    )
    picks = {row.selection: (row.candidate, row.predicted_iou) for row in found.selections}
    assert picks["oracle"] == (2, pytest.approx(0.95))
    assert picks["predicted_iou"] == (1, pytest.approx(0.89))


def test_slice_rows_carry_points_and_scores() -> None:
    stack = np.ones((2, 3, 9), dtype=bool)
    rows = EverythingScorer.from_masks(packed(stack)).rows()
    assert [(r.candidate, r.point_x, r.point_y, r.mask_index, r.pred_px) for r in rows] == [
        (0, 0.0, 1.0, 0, 27),
        (1, 2.0, 3.0, 1, 27),
    ]
    assert rows[0].stability_score == pytest.approx(0.96)


def test_what_does_not_fit_is_refused() -> None:
    scorer = EverythingScorer.from_masks(packed(np.ones((1, 3, 9), dtype=bool)))
    with pytest.raises(SamscopeError, match="do not fit the slice"):
        scorer.score(TruthBorder.from_mask(np.ones((3, 10), dtype=bool)), (0, 0))
    with pytest.raises(SamscopeError, match="outside the slice"):
        scorer.score(TruthBorder.from_mask(np.ones((3, 9), dtype=bool)), (9, 0))
    with pytest.raises(SamscopeError, match="candidate 0"):
        EverythingScorer.from_masks(packed(np.ones((1, 3, 9), dtype=bool), [np.nan]))
