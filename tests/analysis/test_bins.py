"""The question `factor_bins`: on a run against loops, on ties against numpy, scipy, statsmodels."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import bins as oracle
from results.synthetic import Row, Synthetic

from engine.analysis.questions import QUESTIONS, answer
from engine.results.query import run_sql

SEED = 7
NUMBERS = ("n", "subjects", "dice", "dice_lo", "dice_hi", "dice_q25", "dice_median", "dice_q75")
FACTORS = {
    "area_px", "aspect_ratio", "intensity_difference", "fourier_order", "compactness", "solidity",
    "area_fraction", "boundary_gradient", "contrast_to_noise",
}  # fmt: skip


def test_bins_of_a_run_match_the_oracle(
    made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]
) -> None:
    rows = answers["factor_bins"]
    assert len(rows) == 16 * len(FACTORS) * 6
    objects = run_sql(made.run_dir, "FROM objects").to_pylist()
    some = [r for r in rows if (r["model"], r["selection"]) == ("tuned", "oracle")]
    for row in some:
        mine = [o for o in objects if o[row["factor"]] is not None]
        values = [o[row["factor"]] for o in mine]
        of = oracle.bins(values, [o["object_key"] for o in mine])
        there = {o["object_id"] for o, own in zip(mine, of, strict=True) if own == row["bin"]}
        inside = [value for value, own in zip(values, of, strict=True) if own == row["bin"]]
        assert (row["lo"], row["hi"]) == (min(inside), max(inside))
        assert row["expected"] == len(there)
        items = [
            r for r in scored
            if r["jitter_hi"] == 0 and r["object_id"] in there
            and all(r[k] == row[k] for k in ("model", "strategy", "selection"))
        ]  # fmt: skip
        wanted = oracle.described(
            [r["dice"] for r in items], [r["subject_id"] for r in items], SEED
        )
        for name, value in wanted.items():
            assert row[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name
    assert {row["factor"] for row in rows} == FACTORS
    assert any(row["n"] < row["expected"] for row in some)


objects = st.lists(
    st.tuples(
        st.none() | st.integers(0, 3),  # a factor with ties that some lack
        st.none() | st.integers(0, 6),  # tp of 6 pixels that were predicted: Dice with ties
        st.integers(0, 3),  # subject
    ),
    min_size=1, max_size=40,
).filter(lambda rows: any(value is not None for value, _, _ in rows))  # fmt: skip


@settings(max_examples=15)
@given(objects)
def test_bins_of_ties_are_those_of_the_referees(rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=["value", "tp", "subject"]).astype(float)
    frame["dice"] = frame["tp"] / 6
    known = frame[frame["value"].notna()].sort_values("value", kind="stable")
    groups = np.array_split(known.index.to_numpy(), 6)
    found = _answer(frame)
    assert len(found) == min(6, len(known))
    for row, group in zip(found, (g for g in groups if len(g)), strict=True):
        mine = frame.loc[group]
        assert (row["lo"], row["hi"]) == (mine["value"].min(), mine["value"].max())
        assert row["expected"] == len(mine)
        dice = mine["dice"].dropna()
        assert row["n"] == len(dice)
        if dice.empty:
            assert {row[name] for name in NUMBERS[2:]} == {None}
            continue
        quartiles = scipy.stats.mstats.mquantiles(dice, [0.25, 0.5, 0.75], alphap=1, betap=1)
        assert [row[n] for n in NUMBERS[5:]] == pytest.approx(list(quartiles), abs=1e-12)
        assert row["dice"] == pytest.approx(dice.mean(), abs=1e-12)
        _check_interval(row, mine.dropna(subset=["dice"]))
    if known["dice"].notna().any():
        effects = smf.ols("dice ~ C(bin) - 1", _with_bins(frame, groups)).fit().params
        assert [r["dice"] for r in found if r["n"]] == pytest.approx(list(effects), abs=1e-9)


def _check_interval(row: Row, mine: pd.DataFrame) -> None:
    names = sorted(mine["subject"].unique())
    assert row["subjects"] == len(names)
    if len(names) < 2:
        assert (row["dice_lo"], row["dice_hi"]) == (None, None)
        return
    own = [mine.loc[mine["subject"] == name, "dice"].to_numpy() for name in names]
    drawn = scipy.stats.bootstrap(
        (np.arange(len(names)),), lambda at: np.concatenate([own[i] for i in at]).mean(),
        n_resamples=1000, batch=1, vectorized=False, method="percentile",
        rng=np.random.Generator(np.random.PCG64(SEED)),
    ).confidence_interval  # fmt: skip
    assert (row["dice_lo"], row["dice_hi"]) == pytest.approx((drawn.low, drawn.high), abs=1e-12)


def _with_bins(frame: pd.DataFrame, groups: list[Any]) -> pd.DataFrame:
    out = frame.assign(bin=np.nan)
    for number, group in enumerate(groups):
        out.loc[group, "bin"] = number
    return out.dropna(subset=["bin", "dice"])


def _answer(frame: pd.DataFrame) -> list[Row]:
    with duckdb.connect() as connection:
        connection.register("rows", frame.astype(object).where(frame.notna(), None).reset_index())
        others = ", ".join(f"NULL::DOUBLE AS {name}" for name in sorted(FACTORS - {"solidity"}))
        connection.execute(
            f"""CREATE TABLE objects AS
                SELECT index AS object_key, index AS slice_id, value::DOUBLE AS solidity, {others}
                FROM rows;
            CREATE TABLE slices AS SELECT index AS slice_id, index AS case_id FROM rows;
            CREATE TABLE cases AS SELECT index AS case_id, 'p' || subject AS subject_id FROM rows;
            CREATE TABLE undisplaced AS SELECT index AS object_key, 'm' AS model,
                's' AS strategy, 'oracle' AS selection, 0 AS step, tp::BIGINT AS tp,
                6 AS pred_px, 6 AS gt_px, NULL::DOUBLE AS hausdorff_px FROM rows;
            CREATE TABLE moments AS SELECT 's' AS strategy, 0 AS step;
            CREATE TABLE expected_scores AS SELECT
                'm' AS model, 's' AS strategy, 'oracle' AS selection, 0 AS model_position,
                0 AS strategy_position, 0 AS jitter_lo, 0 AS jitter_hi, 6 AS expected;
            CREATE TABLE runs AS SELECT {SEED} AS study_seed"""
        )
        found: list[Row] = answer(connection, QUESTIONS["factor_bins"]).to_pylist()
    return found
