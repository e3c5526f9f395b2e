"""Statistics against statsmodels and scipy, on random data with ties.

The oracles are ours; these libraries are nobody's who wrote a line here. pingouin is not among
them: its licence is GPL-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as smf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.api import OLS, WLS
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.weightstats import DescrStatsW

from engine.analysis.bootstrap import draw_counts, interval
from engine.analysis.correlation import eta_squared, naive_p, partial_correlation
from engine.analysis.questions import QUESTIONS, answer
from engine.analysis.ranks import codes, ranks
from engine.analysis.scatter import RankSums, rank_sums, replicates, scatter
from engine.results.spreads import add_spreads, begin_spreads, finish_spreads

FREE = ["a", "b", "c"]


@dataclass(frozen=True)
class World:
    """Objects sorted by (subject, modality): ranks of a score `y` and of factors x, a, b, c."""

    frame: pd.DataFrame

    def sums(self) -> RankSums:
        ranked = self.frame[["y", "x", *FREE]].to_numpy()
        return rank_sums(ranked, *(self.frame[n].to_numpy() for n in ("subject", "modality")))

    @property
    def controls(self) -> np.ndarray:
        """Ranks of the other factors and one column per modality but one, with the intercept."""
        hot = pd.get_dummies(self.frame["modality"], drop_first=True).to_numpy(float)
        return np.column_stack([np.ones(len(self.frame)), self.frame[FREE], hot])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Values on a few levels, so that most of them tie."""
    n, levels = draw(st.integers(15, 60)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    table = pd.DataFrame(rng.integers(0, levels, (n, 5)), columns=["y", "x", *FREE])
    table["y"] += table["x"] - table["a"]
    table = table.transform(lambda column: scipy.stats.rankdata(column))
    table["subject"] = np.unique(rng.integers(0, 6, n), return_inverse=True)[1]
    table["modality"] = rng.integers(0, 3, n)
    made = World(table.sort_values(["subject", "modality"], ignore_index=True))
    design = np.column_stack([made.controls, made.frame["x"]])
    assume(np.linalg.matrix_rank(design) == design.shape[1] < n - 1)
    return made


def residuals(world: World, name: str, weights: Any = 1.0) -> np.ndarray:
    """What a regression on the controls leaves of one variable."""
    left: np.ndarray = WLS(world.frame[name], world.controls, weights=weights).fit().resid
    return np.asarray(left)


@settings(max_examples=60)
@given(worlds())
def test_partial_spearman_is_the_correlation_of_statsmodels_residuals(world: World) -> None:
    left, right = residuals(world, "y"), residuals(world, "x")
    assume(min(np.ptp(left), np.ptp(right)) > 1e-6)
    r = partial_correlation(scatter(world.sums()), 0, 1, [2, 3, 4])[0]
    assert r == pytest.approx(scipy.stats.pearsonr(left, right)[0], abs=1e-9)


@settings(max_examples=60)
@given(worlds())
def test_naive_p_is_that_of_a_coefficient_in_statsmodels(world: World) -> None:
    assume(np.ptp(residuals(world, "y")) > 1e-6)
    fit = OLS(world.frame["y"], np.column_stack([world.controls, world.frame["x"]])).fit()
    n, k = len(world.frame), world.controls.shape[1] - 1
    assert fit.df_resid == n - 2 - k
    r = partial_correlation(scatter(world.sums()), 0, 1, [2, 3, 4])[0]
    assume(1 - r * r > 1e-9)
    assert naive_p(float(r), n, k) == pytest.approx(fit.pvalues.iloc[-1], rel=1e-6, abs=1e-12)


@pytest.mark.filterwarnings("ignore:The design matrix:Warning")  # draws may lack a modality
@settings(max_examples=40)
@given(worlds(), st.integers(0, 2**63))
def test_a_replicate_is_a_regression_weighted_by_its_draws(world: World, seed: int) -> None:
    """Ranks stay fixed; a subject drawn twice weighs twice."""
    subject = world.frame["subject"].to_numpy()
    counts = draw_counts(seed, int(subject.max()) + 1, 5)
    found = partial_correlation(replicates(world.sums(), seed, 5), 0, 1, [2, 3, 4])
    for r, drawn in zip(found, counts, strict=True):
        weights = drawn[subject].astype(float)
        left, right = (residuals(world, name, weights) for name in "yx")
        described = DescrStatsW(np.column_stack([left, right]), weights=weights)
        if np.isnan(r):
            assert described.var.min() < 1e-6
        elif described.var.min() > 1e-6:
            assert r == pytest.approx(described.corrcoef[0, 1], abs=1e-7)


@settings(max_examples=40)
@given(worlds())
def test_eta_squared_is_an_analysis_of_variance(world: World) -> None:
    assume(np.ptp(world.frame["y"]) > 0)
    squares = anova_lm(smf.ols("y ~ C(modality)", world.frame).fit())["sum_sq"]
    got = eta_squared(scatter(world.sums()), 0)[0]
    assert got == pytest.approx(squares.iloc[0] / squares.sum(), abs=1e-9)


clustered = st.lists(
    st.tuples(st.integers(0, 4).map(lambda n: n / 4), st.sampled_from(["s9", "s10", "s1", "b"])),
    min_size=2,
    max_size=40,
).filter(lambda sample: len({subject for _, subject in sample}) > 1)


@settings(max_examples=40)
@given(clustered, st.integers(0, 2**63))
def test_the_bootstrap_is_scipys_over_subjects(sample: list[tuple[float, str]], seed: int) -> None:
    numbers, subjects = (np.array(part) for part in zip(*sample, strict=True))
    names = sorted(set(subjects))
    own = [numbers[subjects == name] for name in names]

    def mean_of(drawn: np.ndarray) -> float:
        return float(np.concatenate([own[at] for at in drawn]).mean())

    found = scipy.stats.bootstrap(
        (np.arange(len(names)),), mean_of, n_resamples=200, batch=1, vectorized=False,
        method="percentile", rng=np.random.Generator(np.random.PCG64(seed)),
    ).confidence_interval  # fmt: skip
    got = interval(list(numbers), list(subjects), seed=seed, replicates=200)
    assert (got.lo, got.hi) == pytest.approx((found.low, found.high), abs=1e-12)


trials = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1),
              st.integers(0, 6)),
    min_size=3, max_size=60,
)  # fmt: skip


@settings(max_examples=25)
@given(trials)
def test_variance_is_what_nested_regressions_leave(rows: list[tuple[int, ...]]) -> None:
    """Each depth explains what the regression on its labels leaves less than the one before."""
    frame = pd.DataFrame(rows, columns=["dataset", "subject", "object", "level", "tp"])
    frame["dice"] = 2 * frame["tp"] / 16  # pred_px 10, gt_px 6
    labels, left, known = pd.Series("", index=frame.index), [], frame["dice"]
    left.append(float(((known - known.mean()) ** 2).sum()))
    for depth in ("dataset", "subject", "object", "level"):
        labels = labels + "/" + frame[depth].astype(str)
        hot = pd.get_dummies(labels).to_numpy(float)
        left.append(float(OLS(known, hot).fit().ssr))
    (row,) = _variance(frame)
    names = ("dataset", "subject", "object", "level", "trial")
    if left[0] < 1e-12:
        assert all(row[f"share_{name}"] is None for name in names)
        return
    expected = -np.diff([*left, 0]) / left[0]
    assert [row[f"share_{name}"] for name in names] == pytest.approx(expected, abs=1e-9)
    assert row["sd"] == pytest.approx(DescrStatsW(known).std, abs=1e-9)


def _variance(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The question's answer to trials of one model and strategy."""
    with duckdb.connect() as connection:
        connection.register("rows", frame.reset_index(names="trial"))
        connection.execute(
            """CREATE TABLE trials AS SELECT
                dense_rank() OVER (ORDER BY dataset, subject, object) AS object_key,
                'm' AS model, 's' AS strategy, 0 AS step, 0 AS jitter_lo, 10 * level AS jitter_hi,
                6 AS gt_px, [{'selection': 'oracle', 'tp': tp, 'pred_px': 10}] AS selections
            FROM rows ORDER BY trial;
            CREATE TABLE object_groups AS SELECT DISTINCT
                dense_rank() OVER (ORDER BY dataset, subject, object) AS object_key, dataset,
                concat_ws('/', dataset, subject) AS subject_id FROM rows;
            CREATE TABLE moments AS SELECT 's' AS strategy, 0 AS step;
            CREATE TABLE expected_scores AS SELECT 'm' AS model, 0 AS model_position,
                's' AS strategy, 0 AS strategy_position, 'oracle' AS selection, 1 AS expected"""
        )
        begin_spreads(connection)
        add_spreads(connection, "trials")
        finish_spreads(connection)
        rows: list[dict[str, Any]] = answer(connection, QUESTIONS["variance"]).to_pylist()
    return rows


@settings(max_examples=60)
@given(st.lists(st.integers(-3, 3).map(lambda n: n / 2), min_size=1, max_size=40))
def test_ranks_are_scipys(values: list[float]) -> None:
    np.testing.assert_array_equal(ranks(codes(values)), scipy.stats.rankdata(values))
