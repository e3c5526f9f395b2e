"""Counts and the two overlap scores, equal to brute force as fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import scores as oracle
from oracles.masks import Mask, masks, not_empty, objects, shapes

from engine.errors import SamscopeError
from engine.scoring import Counts, TruthRegion


@given(shapes().flatmap(lambda s: st.tuples(not_empty(s), masks(s))))
def test_counts_equal_brute_force(pair: tuple[Mask, Mask]) -> None:
    truth, pred = pair
    found = TruthRegion.from_mask(truth).count(pred)
    expected = oracle.counts(pred, truth)
    assert (found.tp, found.pred_px, found.gt_px) == expected
    assert Fraction(found.dice) == Fraction(float(oracle.dice(*expected)))
    assert Fraction(found.jaccard) == Fraction(float(oracle.jaccard(*expected)))


@given(st.data(), st.tuples(st.integers(0, 3), st.integers(0, 4)))
def test_batches_equal_single_masks(data: st.DataObject, batch: tuple[int, int]) -> None:
    truth = data.draw(objects(12))
    stack = np.zeros((*batch, *truth.shape), dtype=bool)
    for index in np.ndindex(*batch):
        stack[index] = data.draw(masks(truth.shape))
    region = TruthRegion.from_mask(truth)
    tp, pred_px = region.count_all(stack)
    assert tp.shape == pred_px.shape == batch
    for index in np.ndindex(*batch):
        single = region.count(stack[index])
        assert (tp[index], pred_px[index]) == (single.tp, single.pred_px)


def test_scores_by_hand() -> None:
    assert Counts(tp=6, pred_px=8, gt_px=10).dice == 12 / 18
    assert Counts(tp=6, pred_px=8, gt_px=10).jaccard == 6 / 12
    assert Counts(tp=0, pred_px=0, gt_px=10).dice == 0
    assert Counts(tp=0, pred_px=0, gt_px=10).jaccard == 0
    assert Counts(tp=10, pred_px=10, gt_px=10).dice == 1


def test_the_region_keeps_its_own_pixels() -> None:
    truth = np.zeros((5, 6), dtype=bool)
    truth[1:3, 2:5] = True
    region = TruthRegion.from_mask(truth)
    assert (region.y0, region.y1, region.x0, region.x1, region.gt_px) == (1, 2, 2, 4, 6)
    truth[:] = False
    assert region.count(np.ones((5, 6), dtype=bool)) == Counts(6, 30, 6)


@pytest.mark.parametrize(
    "mask", [np.zeros((3, 4), bool), np.ones((3, 4), np.uint8), np.ones((1, 3, 4), bool)]
)
def test_unusable_truths_are_refused_by_name(mask: Mask) -> None:
    with pytest.raises(SamscopeError, match="d/c/00003/liver/0"):
        TruthRegion.from_mask(mask, where="d/c/00003/liver/0")


@pytest.mark.parametrize(
    "mask", [np.ones((3, 5), bool), np.ones((3, 4), np.float32), np.ones(4, bool)]
)
def test_predictions_of_another_form_are_refused(mask: Mask) -> None:
    region = TruthRegion.from_mask(np.ones((3, 4), bool))
    with pytest.raises(SamscopeError, match="does not fit the slice"):
        region.count(mask)
    with pytest.raises(SamscopeError, match="does not fit the slice"):
        region.count_all(mask[None])
