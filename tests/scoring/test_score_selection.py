"""Selections: exact comparison, ties, one-mask models and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import scores as oracle

from engine.errors import SamscopeError
from engine.models.base import SINGLE
from engine.scoring import highest_dice, highest_predicted_iou, select, selection

COUNTS = st.integers(1, 12).flatmap(
    lambda gt: st.tuples(
        st.just(gt),
        st.lists(
            st.integers(0, 12).flatmap(
                lambda pred: st.tuples(st.integers(0, min(pred, gt)), st.just(pred))
            ),
            min_size=1,
            max_size=6,
        ),
    )
)


@given(COUNTS)
def test_highest_dice_is_exact_with_ties_to_the_lowest(case: tuple[int, list]) -> None:
    gt, pairs = case
    dices = [oracle.dice(tp, pred, gt) for tp, pred in pairs]
    tp, pred = zip(*pairs, strict=True)
    assert highest_dice(range(len(pairs)), tp, pred, gt) == dices.index(max(dices))


def test_fractions_that_floats_cannot_tell_apart() -> None:
    """2 * tp / size of both is the same float, but the second is larger."""
    gt = 10**17
    tp, pred = [10**17 - 2, 10**17 - 1], [10**17 - 2, 10**17 - 1]
    assert 2 * tp[0] / (pred[0] + gt) == 2 * tp[1] / (pred[1] + gt)
    assert highest_dice([0, 1], tp, pred, gt) == 1


def test_numpy_integers_do_not_overflow() -> None:
    big = np.array([2**31 - 1, 2**31 - 2], dtype=np.int32)
    assert highest_dice([0, 1], list(big[::-1]), list(big[::-1]), 2**31 - 1) == 1


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, -1.0, 0.75]), min_size=1, max_size=5))
def test_highest_predicted_iou_ties_to_the_lowest(values: list[float]) -> None:
    ids = range(len(values))
    assert highest_predicted_iou(ids, values) == oracle.predicted_iou(ids, values)
    reverse = list(reversed(ids))
    assert highest_predicted_iou(reverse, values[::-1]) == oracle.predicted_iou(ids, values)


def test_the_single_mask_competes_only_where_it_is_alone() -> None:
    picks = select((0, 1, 2, 3), (1, 2, 2, 9), (9, 9, 9, 9), (0.9, 0.1, 0.2, 1.0), 10)
    assert picks == {"oracle": 1, "predicted_iou": 0, "single": 3}
    assert select((3,), (4,), (9,), (0.5,), 10) == {
        "oracle": 3,
        "predicted_iou": 3,
        "single": 3,
    }
    assert select((0, 1, 2), (1, 2, 3), (3, 3, 3), (0, 0, 0), 9) == {
        "oracle": 2,
        "predicted_iou": 0,
    }
    assert selection.SINGLE == SINGLE


def test_order_of_candidates_does_not_matter() -> None:
    assert select((3, 2, 0, 1), (9, 5, 5, 1), (9, 9, 9, 9), (1.0, 0.5, 0.5, 0.1), 10) == {
        "oracle": 0,
        "predicted_iou": 0,
        "single": 3,
    }


def test_nothing_selects_nothing() -> None:
    assert highest_dice([], [], [], 5) is None
    assert highest_predicted_iou([], []) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_predicted_ious_that_are_no_numbers_are_refused(place: int, value: float) -> None:
    values = [0.1, 0.2, 0.3, 0.4]
    values[place] = value
    with pytest.raises(SamscopeError, match=f"candidate {place}"):
        select((0, 1, 2, 3), (1, 1, 1, 1), (1, 1, 1, 1), values, 1)


@pytest.mark.parametrize("ids", [(), (0, 0)])
def test_candidates_must_be_there_once(ids: tuple[int, ...]) -> None:
    n = len(ids)
    with pytest.raises(SamscopeError, match="distinct candidates"):
        select(ids, (1,) * n, (1,) * n, (0.5,) * n, 1)
