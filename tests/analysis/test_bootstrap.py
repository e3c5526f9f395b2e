"""Cluster bootstrap against the loop that copies every drawn subject's values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import bootstrap as oracle

from engine.analysis.bootstrap import draw_counts, ends, interval, interval_of_sums

values = st.floats(0, 1, allow_nan=False, width=32)
samples = st.lists(
    st.tuples(values, st.sampled_from(["s9", "s10", "s1", "b/2"]), st.sampled_from("xyz")),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40)
@given(samples, st.integers(0, 2**63), st.booleans())
def test_intervals_match_the_oracle(
    sample: list[tuple[float, str, str]], seed: int, balanced: bool
) -> None:
    numbers, subjects, groups = zip(*sample, strict=True)
    chosen = groups if balanced else None
    got = interval(numbers, subjects, chosen, seed=seed, replicates=50)
    assert got.n == len(sample)
    assert got.n_subjects == len(set(subjects))
    assert got.mean == pytest.approx(oracle.mean(numbers, chosen), abs=1e-12)
    bounds = oracle.cluster_bootstrap(numbers, subjects, chosen, seed, 50)
    if bounds is None:
        assert got.lo is None
        assert got.hi is None
    else:
        assert (got.lo, got.hi) == pytest.approx(bounds, abs=1e-12)


def test_thousand_replicates_match_the_oracle() -> None:
    rng = np.random.default_rng(1)
    subjects = [f"s{int(i)}" for i in rng.integers(0, 7, 60)]
    numbers = rng.random(60)
    got = interval(numbers, subjects, seed=7)
    bounds = oracle.cluster_bootstrap(list(numbers), subjects, None, 7, 1000)
    assert (got.lo, got.hi) == pytest.approx(bounds, abs=1e-12)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=90))
def test_ends_are_numpys_percentiles(numbers: list[float]) -> None:
    assert ends(np.array(numbers)) == tuple(np.percentile(numbers, [2.5, 97.5], method="linear"))


def test_draws_are_those_of_one_generator_call_after_call() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    for row in draw_counts(3, 11, 20):
        assert np.array_equal(row, np.bincount(rng.integers(0, 11, 11), minlength=11))


def test_order_of_rows_does_not_matter() -> None:
    numbers, subjects = [0.1, 0.5, 0.9, 0.3], ["b", "a", "b", "c"]
    order = [2, 0, 3, 1]
    one = interval(numbers, subjects, seed=5)
    other = interval([numbers[i] for i in order], [subjects[i] for i in order], seed=5)
    assert (one.lo, one.hi) == pytest.approx((other.lo, other.hi), abs=1e-15)


def test_subjects_are_drawn_not_rows() -> None:
    """A thousand rows of two subjects are two observations: the interval spans both."""
    numbers = [0.0] * 500 + [1.0] * 500
    clustered = interval(numbers, ["a"] * 500 + ["b"] * 500, seed=0)
    assert (clustered.lo, clustered.hi) == (0.0, 1.0)


def test_balanced_weighs_a_rare_group_as_much() -> None:
    numbers, subjects = [1.0] * 99 + [0.0], ["a", "b"] * 50
    groups = ["common"] * 99 + ["rare"]
    assert interval(numbers, subjects, seed=0).mean == pytest.approx(0.99)
    assert interval(numbers, subjects, groups, seed=0).mean == pytest.approx(0.5)


def test_nothing_and_one_subject() -> None:
    empty = interval([], [], seed=0)
    assert (empty.mean, empty.lo, empty.hi, empty.n) == (None, None, None, 0)
    single = interval([0.25, 0.75], ["a", "a"], seed=0)
    assert (single.mean, single.lo, single.hi) == (0.5, None, None)


def test_group_absent_from_every_draw_of_a_replicate_is_left_out() -> None:
    """Two subjects, each with its own group: replicates see one group or both, never NaN."""
    got = interval([0.2, 0.8], ["a", "b"], ["x", "y"], seed=0)
    assert got.mean == pytest.approx(0.5)
    assert (got.lo, got.hi) == pytest.approx((0.2, 0.8))


@given(st.floats(0, 1), st.integers(2, 6))
def test_a_constant_has_a_point_interval(value: float, subjects: int) -> None:
    got = interval([value] * subjects, [str(i) for i in range(subjects)], seed=1, replicates=20)
    assert got.mean is not None
    assert got.lo is not None
    assert got.hi is not None
    assert math.isclose(got.lo, value, abs_tol=1e-12)
    assert math.isclose(got.hi, value, abs_tol=1e-12)


def test_blocks_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    sums, counts = rng.random((9, 3)) * 5, rng.integers(1, 6, (9, 3))
    whole = interval_of_sums(sums, counts, seed=2)
    monkeypatch.setattr("engine.analysis.bootstrap._WEIGHTS", 7 * len(sums))
    small = interval_of_sums(sums, counts, seed=2)
    assert (small.lo, small.hi) == pytest.approx((whole.lo, whole.hi), abs=1e-12)
