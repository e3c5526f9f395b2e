"""Ranks, partial correlations and their intervals against scipy, least squares and loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import correlation as oracle

from engine.analysis.correlation import (
    correlation,
    estimate,
    eta_squared,
    naive_p,
    partial_correlation,
)
from engine.analysis.ranks import codes, ranks
from engine.analysis.scatter import RankSums, rank_sums, replicates, scatter

NAMES = ("a", "b", "c")


def world(
    n: int, variables: int, seed: int, *, levels: int = 9, subjects: int = 6
) -> tuple[np.ndarray, list[str], list[str]]:
    """Values with ties [n, variables], subjects and modalities, sorted by both."""
    rng = np.random.default_rng(seed)
    subject = np.sort(rng.integers(0, subjects, n))
    modality = rng.integers(0, 3, n)
    modality = modality[np.lexsort((modality, subject))]
    values = rng.integers(0, levels, (n, variables)).astype(float)
    values[:, 0] += values[:, 1] + 2 * modality - subject
    return values, [f"s{s}" for s in subject], [NAMES[m] for m in modality]


def sums_of(values: np.ndarray, subject: Sequence[str], modality: Sequence[str]) -> RankSums:
    ranked = np.stack([ranks(codes(column)) for column in values.T], axis=1)
    places = [np.unique(labels, return_inverse=True)[1] for labels in (subject, modality)]
    return rank_sums(ranked, *places)


@given(st.lists(st.floats(-5, 5, width=16) | st.just(0.0), min_size=1, max_size=40))
def test_ranks_are_average_ranks(values: list[float]) -> None:
    got = ranks(codes(values))
    assert got == pytest.approx(scipy.stats.rankdata(values))
    assert got == pytest.approx(oracle.ranks(values))


def test_ranks_of_a_subset_need_no_sorting() -> None:
    rng = np.random.default_rng(0)
    values, kept = rng.integers(0, 5, 50) / 7, rng.random(50) < 0.4
    assert ranks(codes(values)[kept]) == pytest.approx(scipy.stats.rankdata(values[kept]))


def test_undefined_values_have_no_code() -> None:
    assert codes([2.0, np.nan, 1.0, 2.0]).tolist() == [1, -1, 0, 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(12, 60), st.integers(2, 9), st.integers(0, 10**6))
def test_spearman_is_scipys(n: int, levels: int, seed: int) -> None:
    values, subject, modality = world(n, 3, seed, levels=levels)
    found = scatter(sums_of(values, subject, modality))
    for other in (1, 2):
        if np.ptp(values[:, 0]) == 0 or np.ptp(values[:, other]) == 0:
            assert np.isnan(correlation(found, 0, other)[0])
            continue
        r, p = scipy.stats.spearmanr(values[:, 0], values[:, other])
        assert correlation(found, 0, other)[0] == pytest.approx(r, abs=1e-12)
        assert naive_p(float(r), n, 0) == pytest.approx(p, abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 80), st.integers(2, 12), st.integers(0, 10**6))
def test_partial_is_the_correlation_of_residuals(n: int, levels: int, seed: int) -> None:
    values, subject, modality = world(n, 5, seed, levels=levels)
    found = scatter(sums_of(values, subject, modality))
    ranked = [oracle.ranks(list(column)) for column in values.T]
    for mine in (1, 2, 3):
        controls = [other for other in range(1, 5) if other != mine]
        columns = [*(ranked[other] for other in controls), *oracle.one_hot(modality)]
        expected = oracle.partial(ranked[0], ranked[mine], columns)
        got = partial_correlation(found, 0, mine, controls)[0]
        assert (None if np.isnan(got) else got) == pytest.approx(expected, abs=1e-9)
    expected = oracle.eta_squared(ranked[0], modality)
    assert eta_squared(found, 0)[0] == pytest.approx(expected, abs=1e-12)


def test_partial_p_is_that_of_the_regression_coefficient() -> None:
    """The t of y on (x, controls) tests the partial correlation, with the same degrees."""
    values, subject, modality = world(70, 4, 3)
    found = scatter(sums_of(values, subject, modality))
    ranked = [scipy.stats.rankdata(column) for column in values.T]
    columns = [ranked[2], ranked[3], *oracle.one_hot(modality)]
    design = np.column_stack([np.ones(70), ranked[1], *columns])
    beta, rest, _, _ = np.linalg.lstsq(design, ranked[0], rcond=None)
    freedom = 70 - design.shape[1]
    error = np.sqrt(rest[0] / freedom * np.linalg.inv(design.T @ design)[1, 1])
    expected = 2 * scipy.stats.t.sf(abs(beta[1] / error), freedom)
    r = partial_correlation(found, 0, 1, [2, 3])[0]
    assert naive_p(float(r), 70, len(columns)) == pytest.approx(expected, rel=1e-8)


def test_intervals_are_those_of_copied_subjects() -> None:
    values, subject, modality = world(40, 4, 5, subjects=5)
    drawn = replicates(sums_of(values, subject, modality), seed=7, count=200)
    ranked = [oracle.ranks(list(column)) for column in values.T]
    columns: list[Sequence[Any]] = [*ranked, modality]

    def partial(x: Any, y: Any, z: Any, w: Any, m: Any) -> float | None:
        return oracle.partial(x, y, [z, w, *oracle.one_hot(m)])

    def between(x: Any, y: Any, z: Any, w: Any, m: Any) -> float | None:
        return oracle.eta_squared(x, m)

    def plain(x: Any, y: Any, z: Any, w: Any, m: Any) -> float | None:
        return oracle.pearson(x, y)

    sample = np.zeros(1)
    for statistic, found in (
        (plain, correlation(drawn, 0, 1)),
        (partial, partial_correlation(drawn, 0, 1, [2, 3])),
        (between, eta_squared(drawn, 0)),
    ):
        got = estimate(sample, found)
        expected = oracle.bootstrap(statistic, columns, subject, 7, 200)
        assert (got.lo, got.hi) == pytest.approx(expected, abs=1e-9)


def test_blocks_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = sums_of(*world(40, 3, 1))
    whole = correlation(replicates(sums, 2, 50), 0, 1)
    monkeypatch.setattr("engine.analysis.bootstrap._WEIGHTS", 7 * len(sums.n))
    assert correlation(replicates(sums, 2, 50), 0, 1) == pytest.approx(whole, abs=1e-12)


def test_what_is_constant_or_explained_is_undefined() -> None:
    values, subject, modality = world(30, 4, 2)
    values[:, 1] = 3.0
    values[:, 2] = [float(NAMES.index(m)) for m in modality]
    found = scatter(sums_of(values, subject, modality))
    assert np.isnan(correlation(found, 0, 1)[0])
    assert np.isnan(partial_correlation(found, 0, 1, [3])[0])
    assert not np.isnan(correlation(found, 0, 2)[0])
    assert np.isnan(partial_correlation(found, 0, 2, [3])[0]), "modality determines it"


def test_a_control_that_others_determine_changes_nothing() -> None:
    values, subject, modality = world(30, 4, 2)
    values = np.column_stack([values, values[:, 2]])
    found = scatter(sums_of(values, subject, modality))
    once = partial_correlation(found, 0, 1, [2, 3])[0]
    assert partial_correlation(found, 0, 1, [2, 4, 3])[0] == pytest.approx(once, abs=1e-12)


def test_one_modality_explains_nothing() -> None:
    values, subject, _ = world(20, 2, 4)
    found = scatter(sums_of(values, subject, ["a"] * 20))
    assert np.isnan(eta_squared(found, 0)[0])


def test_p_at_its_ends() -> None:
    assert naive_p(1.0, 10, 0) == 0.0
    assert naive_p(0.0, 10, 3) == 1.0
    assert naive_p(0.5, 5, 3) is None
    assert naive_p(float("nan"), 50, 3) is None


def test_many_ranks_keep_their_digits() -> None:
    """Half a million objects: sums of squared ranks have 17 digits."""
    rng = np.random.default_rng(0)
    x = rng.random(500_000)
    y = x + 1e-3 * rng.random(500_000)
    half = np.repeat([0, 1], 250_000)
    sums = rank_sums(np.stack([ranks(codes(x)), ranks(codes(y))], axis=1), half, half * 0)
    expected = scipy.stats.spearmanr(x, y)[0]
    assert correlation(scatter(sums), 0, 1)[0] == pytest.approx(expected, abs=1e-12)


def test_a_control_that_all_but_determines_still_counts() -> None:
    """Ranks that differ in a pair of neighbours: what is left is small, and real."""
    n = 20_000
    x = np.arange(n, dtype=float)
    nearly = x.copy()
    swapped = np.random.default_rng(0).permutation(n // 2)[:500] * 2
    nearly[swapped], nearly[swapped + 1] = x[swapped + 1], x[swapped]
    y = nearly.copy()
    y[swapped[:400]], y[swapped[:400] + 1] = x[swapped[:400]], x[swapped[:400] + 1]
    found = scatter(sums_of(np.stack([y, nearly, x], axis=1), ["s"] * n, ["m"] * n))
    expected = oracle.partial(*(list(ranks(codes(v))) for v in (y, nearly)), [ranks(codes(x))])
    assert expected is not None
    assert partial_correlation(found, 0, 1, [2])[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_rounding_is_no_correlation(seed: int) -> None:
    """One of five 0/1 columns follows from the others, but not to the last bit."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 5, 50)
    values = np.column_stack([rng.random(50), *(kind == k for k in range(5))])
    found = scatter(sums_of(values, ["s"] * 50, ["m"] * 50))
    assert np.isnan(partial_correlation(found, 0, 1, [2, 3, 4, 5])[0])
