"""The question `factors` on a run, against loops over its rows."""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from oracles import correlation as oracle
from results.synthetic import Row, Synthetic, make

from engine.analysis import run
from engine.analysis.factors import MODALITY, OURS, PAPER, correlate
from engine.analysis.scored import Pick, Scored
from engine.results.query import connect, run_sql

SEED = 7
CELL = ("tiny", "box", "oracle")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = make(tmp_path_factory.mktemp("factors"))
    made.build()
    return made


@pytest.fixture(scope="module")
def answers(made: Synthetic) -> list[Row]:
    with connect(made.run_dir) as connection:
        rows: list[Row] = run(connection, "factors").to_pylist()
    return rows


@pytest.fixture(scope="module")
def scored(made: Synthetic) -> list[Row]:
    """Rows of one cell whose objects have the paper's factors, sorted as the answer needs."""
    model, strategy, selection = CELL
    rows: list[Row] = run_sql(
        made.run_dir,
        f"""FROM results WHERE model = '{model}' AND strategy = '{strategy}'
            AND selection = '{selection}' AND jitter_hi = 0
            AND intensity_difference IS NOT NULL ORDER BY subject_id""",
    ).to_pylist()
    return rows


def of(answers: list[Row], score: str) -> dict[str, Row]:
    return {
        row["factor"]: row
        for row in answers
        if (row["model"], row["strategy"], row["selection"]) == CELL and row["score"] == score
    }


def test_every_cell_has_every_factor(made: Synthetic, answers: list[Row]) -> None:
    assert len(answers) == 16 * 2 * (5 + len(OURS))
    first = [row["factor"] for row in answers[: 5 + len(OURS)]]
    assert first == [*PAPER, MODALITY, *OURS]
    assert {row["expected"] for row in answers} == {len(made.objects)}
    for row in answers:
        assert row["n"] <= row["defined"] <= row["expected"]
        numbers = [value for value in row.values() if isinstance(value, float)]
        assert all(math.isfinite(value) for value in numbers)


@pytest.mark.parametrize("score", ["dice", "hausdorff_px"])
def test_correlations_match_the_oracle(answers: list[Row], scored: list[Row], score: str) -> None:
    found = of(answers, score)
    for factor in (*PAPER, "solidity", "touches_border", "contrast_to_noise"):
        items = [r for r in scored if r[score] is not None and r[factor] is not None]
        ranked = {
            name: oracle.ranks([float(r[name]) for r in items]) for name in (*PAPER, factor, score)
        }
        modality = [r["modality"] for r in items]
        controls = [ranked[name] for name in PAPER if name != factor]
        columns = [*controls, *oracle.one_hot(modality)]
        row = found[factor]
        assert row["n"] == len(items)
        assert row["subjects"] == len({r["subject_id"] for r in items})
        assert row["controls"] == len(columns)
        assert row["spearman"] == pytest.approx(oracle.pearson(ranked[score], ranked[factor]))
        assert row["partial"] == pytest.approx(
            oracle.partial(ranked[score], ranked[factor], columns), abs=1e-10
        )
        assert row["eta_squared"] is None


def test_an_interval_and_the_modalitys_effect(answers: list[Row], scored: list[Row]) -> None:
    found = of(answers, "dice")
    items = [r for r in scored if r["dice"] is not None]
    ranked = [oracle.ranks([r[name] for r in items]) for name in ("dice", "fourier_order")]
    modality, subjects = [r["modality"] for r in items], [r["subject_id"] for r in items]
    row = found["fourier_order"]
    bounds = oracle.bootstrap(oracle.pearson, ranked, subjects, SEED, 1000)
    assert (row["spearman_lo"], row["spearman_hi"]) == pytest.approx(bounds, abs=1e-9)
    row = found[MODALITY]
    assert (row["spearman"], row["partial"]) == (None, None)
    assert row["eta_squared"] == pytest.approx(oracle.eta_squared(ranked[0], modality))
    bounds = oracle.bootstrap(oracle.eta_squared, [ranked[0], modality], subjects, SEED, 1000)
    assert (row["eta_squared_lo"], row["eta_squared_hi"]) == pytest.approx(bounds, abs=1e-9)


def test_a_factor_nobody_has_is_undefined(answers: list[Row]) -> None:
    row = of(answers, "dice")["fourier_order_97"]
    assert (row["n"], row["defined"], row["spearman"], row["partial"]) == (0, 0, None, None)


def test_a_run_without_factors(tmp_path: Path) -> None:
    made = make(tmp_path, leave_out=lambda cell: cell.is_factors)
    made.build()
    with connect(made.run_dir) as connection:
        rows = run(connection, "factors").to_pylist()
    assert rows
    assert all(row["n"] == 0 and row["spearman"] is None for row in rows)


def test_macros_give_the_same_in_sql(made: Synthetic, answers: list[Row]) -> None:
    model, strategy, selection = CELL
    (row,) = run_sql(
        made.run_dir,
        f"""SELECT spearman(dice, area_px) AS plain,
                partial_spearman(dice, area_px,
                    [aspect_ratio, intensity_difference, fourier_order, (modality = 'CT')::DOUBLE]
                ) AS partial,
                spearman(dice, 1) AS constant,
                partial_spearman(dice, area_px, [area_px]) AS explained
            FROM results
            WHERE model = '{model}' AND strategy = '{strategy}' AND selection = '{selection}'
                AND jitter_hi = 0 AND intensity_difference IS NOT NULL""",
    ).to_pylist()
    expected = of(answers, "dice")["area_px"]
    assert row["plain"] == pytest.approx(expected["spearman"], abs=1e-12)
    assert row["partial"] == pytest.approx(expected["partial"], abs=1e-9)
    assert row["constant"] is None
    assert row["explained"] is None


def test_macros_are_aggregates(made: Synthetic) -> None:
    """Grouped, and open to whoever is not trusted."""
    from engine.results.sandbox import run_untrusted_sql

    sql = """SELECT model, spearman(dice, area_px) AS r, partial_spearman(dice, area_px,
                 [perimeter_px]) AS p FROM results WHERE jitter_hi = 0 GROUP BY model ORDER BY 1"""
    rows = run_untrusted_sql(made.run_dir, sql).table.to_pylist()
    assert [row["model"] for row in rows] == ["tiny", "tuned"]
    assert all(-1 < row["r"] < 1 and -1 < row["p"] < 1 for row in rows)


def test_scores_of_objects_outside_the_population_land_nowhere() -> None:
    rows = pa.table({"object_key": [5, 7, 20, 99, 10, 1], "dice": [0.1, 0.2, 0.3, 0.4, None, 0.6]})
    scored = Scored(Pick("tiny", "box", "oracle"), 6, rows)
    np.testing.assert_array_equal(scored.of(np.array([10, 5, 20]), "dice"), [np.nan, 0.1, 0.3])


def _two_steps(subjects: int) -> tuple[list[Row], list[Row]]:
    """Objects of so many subjects, and rows of `factors` over scores whose second step differs."""
    rng = np.random.default_rng(3)
    names = sorted(f"p{n % subjects}" for n in range(12))
    objects = [
        {"object_key": key, "subject_id": name, "modality": "CT",
         **{factor: float(rng.integers(0, 5)) for factor in (*PAPER, *OURS)}}
        for key, name in enumerate(names)
    ]  # fmt: skip
    scores = [
        {**row, "step": step, "tp": int(rng.integers(1, 10))} for row in objects for step in (0, 1)
    ]
    with duckdb.connect() as connection:
        connection.register("rows", pa.Table.from_pylist(scores))
        connection.execute(
            """CREATE TABLE undisplaced AS SELECT object_key, 'm' AS model, 's' AS strategy,
                'oracle' AS selection, step, tp, 10 AS pred_px, 10 AS gt_px,
                tp::DOUBLE AS hausdorff_px FROM rows;
            CREATE TABLE moments AS SELECT DISTINCT 's' AS strategy, step FROM rows;
            CREATE TABLE expected_scores AS SELECT 'm' AS model, 's' AS strategy,
                'oracle' AS selection, 0 AS model_position, 0 AS strategy_position,
                0 AS jitter_lo, 0 AS jitter_hi, 12 AS expected"""
        )
        answer = correlate(connection, pa.Table.from_pylist(objects), SEED).to_pylist()
    return answer, [row for row in scores if row["step"] == 1]


def test_the_last_step_is_what_is_correlated() -> None:
    answer, last = _two_steps(2)
    for row in answer[: len(PAPER)]:
        columns = [oracle.ranks([r[name] for r in last]) for name in ("tp", row["factor"])]
        assert row["n"] == 12
        assert row["spearman"] == pytest.approx(oracle.pearson(*columns))


def test_two_subjects_are_enough_for_an_interval_and_one_is_not() -> None:
    answer, last = _two_steps(2)
    columns = [oracle.ranks([r[name] for r in last]) for name in ("tp", PAPER[0])]
    bounds = oracle.bootstrap(oracle.pearson, columns, [r["subject_id"] for r in last], SEED, 1000)
    assert (answer[0]["spearman_lo"], answer[0]["spearman_hi"]) == pytest.approx(bounds)
    assert all(row["partial_lo"] is not None for row in answer if row["factor"] != MODALITY)
    assert {row["spearman_lo"] for row in _two_steps(1)[0]} == {None}
