"""Policies, variance, failure modes, pairs and the rest, against loops over the rows of a run."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pytest
from analysis.test_questions import SEED, check_mean, undisplaced
from oracles import variance as oracle
from results.synthetic import Row, Synthetic, make, study

from engine.analysis import run
from engine.analysis.methods import _excluded
from engine.results.query import connect, run_sql

PICK = ("model", "strategy", "selection")


def of(rows: list[Row], row: Row, keys: tuple[str, ...] = PICK) -> list[Row]:
    return [other for other in rows if all(other[k] == row[k] for k in keys)]


def test_undisplaced_rows_are_those_of_results(made: Synthetic) -> None:
    names = """dataset, modality, structure, subject_id, case_id, slice_id, object_id, entity_id,
        model, strategy, step, selection, status, tp, pred_px, gt_px, dice, jaccard,
        hausdorff_px, hd95_px, assd_px, nsd, seen_in_training"""
    full = run_sql(
        made.run_dir, f"SELECT {names} FROM final_results WHERE jitter_hi = 0 ORDER BY ALL"
    )
    narrow = run_sql(made.run_dir, f"SELECT {names} FROM final_undisplaced ORDER BY ALL")
    assert narrow.equals(full)
    assert narrow.num_rows > 0


def test_no_answer_holds_nan(answers: dict[str, list[Row]]) -> None:
    for name, rows in answers.items():
        for row in rows:
            numbers = [value for value in row.values() if isinstance(value, float)]
            assert all(math.isfinite(value) for value in numbers), name


def test_modalities(made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]) -> None:
    rows = answers["by_modality"]
    assert len(rows) == 16 * 2
    assert sum(row["expected"] for row in rows) == 16 * len(made.objects)
    for row in rows:
        items = of(undisplaced(scored), row, (*PICK, "modality"))
        assert row["n"] == len(items)
        if row["strategy"] == "box" and row["model"] == "tiny":
            check_mean(row, "dice", [(r["dice"], r) for r in items])


@pytest.mark.parametrize("view", ["results", "results_paper", "results_worst_case"])
def test_policies_are_means_of_the_views(
    made: Synthetic, answers: dict[str, list[Row]], view: str
) -> None:
    policy = view.removeprefix("results_")
    rows = run_sql(made.run_dir, f"FROM {view} WHERE jitter_hi = 0").to_pylist()
    for row in answers["policies"]:
        items = [r for r in of(rows, row) if r["status"] != "failed"]
        values = [r[row["metric"]] for r in items if r[row["metric"]] is not None]
        assert row["n"] == len(items)
        assert row["n_empty"] == sum(r["status"] == "empty_prediction" for r in items)
        assert row[f"mean_{policy}"] == pytest.approx(np.mean(values), rel=1e-12)


def test_ranks_of_policies(answers: dict[str, list[Row]]) -> None:
    rows = answers["policies"]
    assert len(rows) == 16 * 3
    for row in rows:
        rivals = of(rows, row, ("selection", "metric"))
        ranks = []
        for policy in ("results", "paper", "worst_case"):
            better = sum(r[f"mean_{policy}"] < row[f"mean_{policy}"] for r in rivals)
            assert row[f"rank_{policy}"] == better + 1
            ranks.append(better)
        assert row["rank_changes"] == (len(set(ranks)) > 1)
    assert {row["rank_changes"] for row in rows} == {True, False}


def test_variance_is_split_into_nested_sums_of_squares(
    answers: dict[str, list[Row]], scored: list[Row]
) -> None:
    depths = ("dataset", "subject", "object", "level", "trial")
    for row in answers["variance"]:
        items = of(scored, row)
        values = [r["dice"] for r in items]
        groups = [(r["dataset"], r["subject_id"], r["object_id"], r["jitter_hi"]) for r in items]
        found = [row[f"share_{depth}"] for depth in depths]
        assert found == pytest.approx(oracle.shares(values, groups), abs=1e-9)
        assert sum(found) == pytest.approx(1, abs=1e-12)
        assert row["sd"] == pytest.approx(np.std(values), abs=1e-9)
        assert (row["n"], row["n_objects"]) == (len(items), len({r["object_id"] for r in items}))
        assert row["n_subjects"] == len({r["subject_id"] for r in items})
        assert (row["share_trial"] > 0) == (row["strategy"] != "everything")


def test_variance_of_a_constant_is_undefined(tmp_path: Path) -> None:
    made = make(tmp_path, fail_rate=0, empty_rate=1)
    made.build()
    with connect(made.run_dir) as connection:
        rows = run(connection, "variance").to_pylist()
        modes = run(connection, "failure_modes").to_pylist()
        policies = run(connection, "policies").to_pylist()
    for row in rows:
        if row["strategy"] != "everything":
            assert (row["sd"], row["share_object"]) == (0, None)
    assert {r["share"] for r in modes if r["mode"] == "empty" and r["strategy"] == "box"} == {1}
    boxes = [row for row in policies if row["strategy"] == "box"]
    assert {(r["mean_results"], r["rank_results"], r["mean_paper"]) for r in boxes} == {
        (None, None, 0)
    }
    assert all(row["rank_changes"] for row in boxes)


def _mode(row: Row) -> str:
    ratio = row["pred_px"] / row["gt_px"]
    if ratio == 0:
        return "empty"
    if row["dice"] < 0.1:
        return "wrong_object"
    if ratio > 1.5:
        return "oversegmented"
    if ratio < 1 / 1.5:
        return "undersegmented"
    if row["dice"] < 0.5:
        return "displaced"
    return "boundary" if row["dice"] < 0.9 else "good"


def test_failure_modes_add_up(answers: dict[str, list[Row]], scored: list[Row]) -> None:
    rows = answers["failure_modes"]
    assert len(rows) == 16 * 7
    for row in rows:
        counts = Counter(map(_mode, of(undisplaced(scored), row)))
        assert row["n_mode"] == counts[row["mode"]]
        assert row["n"] == sum(counts.values())
        assert row["share"] == (row["n_mode"] / row["n"] if row["n"] else None)
    assert all(any(r["n_mode"] for r in rows if r["mode"] == m) for m in ("good", "empty"))


@pytest.mark.parametrize(
    ("tp", "pred_px", "gt_px", "mode"),
    [
        (0, 0, 100, "empty"),
        (0, 100, 100, "wrong_object"),
        (9, 100, 100, "wrong_object"),
        (10, 100, 100, "displaced"),
        (100, 150, 100, "boundary"),
        (100, 151, 100, "oversegmented"),
        (5, 300, 20, "wrong_object"),
        (100, 100, 150, "boundary"),
        (99, 99, 150, "undersegmented"),
        (49, 100, 100, "displaced"),
        (50, 100, 100, "boundary"),
        (89, 100, 100, "boundary"),
        (90, 100, 100, "good"),
    ],
)
def test_limits_of_failure_modes(tp: int, pred_px: int, gt_px: int, mode: str) -> None:
    """The question over views made by hand, one object each."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""CREATE TABLE final_undisplaced AS SELECT
                'm' AS model, 's' AS strategy, 'oracle' AS selection, {tp} AS tp,
                {pred_px} AS pred_px, {gt_px} AS gt_px,
                2 * {tp}::DOUBLE / ({pred_px} + {gt_px}) AS dice;
            CREATE TABLE expected_scores AS SELECT
                'm' AS model, 's' AS strategy, 'oracle' AS selection, 0 AS model_position,
                0 AS strategy_position, 0 AS jitter_lo, 0 AS jitter_hi, 1 AS expected"""
        )
        rows = run(connection, "failure_modes").to_pylist()
    assert [row["mode"] for row in rows if row["n_mode"]] == [mode]
    assert {row["n"] for row in rows} == {1}


def test_pairs_by_structure(answers: dict[str, list[Row]], scored: list[Row]) -> None:
    rows = answers["paired"]
    assert len(rows) == 8 * 4
    before = {
        (r["strategy"], r["selection"], r["object_id"]): r
        for r in undisplaced(scored) if r["model"] == "tiny"
    }  # fmt: skip
    for row in rows:
        assert (row["baseline"], row["model"]) == ("tiny", "tuned")
        pairs = [
            (before[key], r)
            for r in of(undisplaced(scored), row, (*PICK, "structure", "modality"))
            if (key := (r["strategy"], r["selection"], r["object_id"])) in before
        ]
        assert row["n"] == len(pairs)
        if row["strategy"] == "point_1":
            check_mean(row, "gain", [(b["dice"] - a["dice"], b) for a, b in pairs])
            check_mean(row, "dice_baseline", [(a["dice"], a) for a, _ in pairs])
            check_mean(row, "dice_model", [(b["dice"], b) for _, b in pairs])
    changes = answers["paired_objects"]
    for row in changes:
        after = of(undisplaced(scored), row, (*PICK, "object_id"))[0]
        key = (row["strategy"], row["selection"], row["object_id"])
        assert row["gain"] == after["dice"] - before[key]["dice"]
    top = of(changes, {"model": "tuned", "strategy": "box", "selection": "single"})
    assert [row["rank"] for row in top] == list(range(1, len(top) + 1))
    both = [r for r in undisplaced(scored) if r["model"] == "tuned"
            and (r["strategy"], r["selection"]) == ("box", "single")
            and ("box", "single", r["object_id"]) in before]  # fmt: skip
    assert len(top) == min(20, len(both))
    sizes = [abs(row["gain"]) for row in top]
    assert sizes == sorted(sizes, reverse=True)


def test_tuning_counts_held_out_subjects_alone(
    made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]
) -> None:
    seen = {r["subject_id"] for r in scored if r["model"] == "tuned" and r["seen_in_training"]}
    assert 0 < len(seen) < len({r["subject_id"] for r in scored})
    subject_of = {r["object_id"]: r["subject_id"] for r in scored}
    held_out = [o for o in made.objects if subject_of[o] not in seen]
    before = {
        (r["strategy"], r["selection"], r["object_id"]): r
        for r in undisplaced(scored) if r["model"] == "tiny"
    }  # fmt: skip
    rows = answers["tuning"]
    assert len(rows) == 8
    for row in rows:
        assert row["expected"] == len(held_out) < len(made.objects)
        pairs = [
            (before[key], r)
            for r in of(undisplaced(scored), row)
            if r["subject_id"] not in seen
            and (key := (r["strategy"], r["selection"], r["object_id"])) in before
        ]
        assert row["n"] == len(pairs) > 0
        if row["selection"] == "oracle":
            check_mean(row, "gain", [(b["dice"] - a["dice"], b) for a, b in pairs])
        assert row["gain"] == pytest.approx(row["dice_after"] - row["dice_before"])


def test_grids_of_everything(tmp_path: Path) -> None:
    dense = {"name": "dense", "kind": "everything", "params": {"points_per_side": 64}}
    made = make(tmp_path, of=study(strategies=["everything", dense, "box"]))
    made.build()
    with connect(made.run_dir) as connection:
        rows = run(connection, "grid").to_pylist()
        kept = connection.sql("SELECT count(*) FROM slice_candidates").fetchall()
    assert [(r["strategy"], r["points_per_side"]) for r in rows[:4]] == [
        ("everything", 32), ("everything", 32), ("dense", 64), ("dense", 64)
    ]  # fmt: skip
    assert len(rows) == 8
    assert kept[0][0] > 0
    assert all(row["masks_per_slice"] >= 1 and 0 <= row["dice"] <= 1 for row in rows)


def test_cost_beside_quality(made: Synthetic, answers: dict[str, list[Row]]) -> None:
    """Every cell booked 1.5 s of embedding, 0.5 s of decoding and 0.1 s of scoring."""
    leaders = {tuple(r[k] for k in PICK): r for r in answers["leaderboard"]}
    units = run_sql(
        made.run_dir,
        """SELECT model, strategy, sum(done)::BIGINT AS done, count(*) AS cells
           FROM units WHERE state = 'committed' GROUP BY ALL""",
    ).to_pylist()
    for row in answers["cost_quality"]:
        (unit,) = of(units, row, ("model", "strategy"))
        assert row["n_trials"] == unit["done"]
        assert row["prompt_s_per_trial"] == pytest.approx(0.5 * unit["cells"] / unit["done"])
        assert row["score_s_per_trial"] == pytest.approx(0.1 * unit["cells"] / unit["done"])
        assert 0.3 < row["embed_s_per_slice"] < 0.6  # units have 3 or 4 slices
        leader = leaders[tuple(row[k] for k in PICK)]
        assert all(row[k] == leader[k] for k in ("n", "expected", "dice", "dice_lo", "dice_hi"))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 0, 26, 214), "26 whole slices and 214 objects of other slices were excluded."),
        ((0, 0, 0, 1), "Of the collection, 1 object was excluded."),
        ((1, 0, 0, 0), "Of the collection, 1 whole data set was excluded."),
        ((0, 2, 1, 0), "Of the collection, 2 whole cases and 1 whole slice were excluded."),
    ],
)
def test_methods_count_whole_slices_apart_from_objects(
    numbers: tuple[int, ...], words: str
) -> None:
    names = ("excluded_datasets", "excluded_cases", "excluded_slices", "excluded_objects")
    assert _excluded(dict(zip(names, numbers, strict=True))).endswith(words)


def test_methods_name_what_the_run_recorded(made: Synthetic, answers: dict[str, list[Row]]) -> None:
    texts = {row["topic"]: row["text"] for row in answers["methods"]}
    assert list(texts) == ["data", "models", "prompts", "scores", "statistics", "provenance"]
    (facts,) = run_sql(made.run_dir, "FROM runs").to_pylist()
    (count,) = run_sql(made.run_dir, "SELECT sum(expected)::BIGINT AS n FROM coverage").to_pylist()
    assert f"{len(made.objects)} objects" in texts["data"]
    assert "5 subjects (2 data sets: abdomen_ct and skin/photo; CT and dermoscopy)" in texts["data"]
    assert "Of the collection, 2 whole cases were excluded." in texts["data"]
    for row in run_sql(made.run_dir, "FROM models").to_pylist():
        assert f"{row['model']}" in texts["models"]
        assert row["weights_sha256"] in texts["models"]
    assert "trained on 1 subject of abdomen_ct and skin/photo" in texts["models"]
    assert "`point_1`: 1 positive and 0 negative point(s)" in texts["prompts"]
    assert "by 0-10 pixels of the original image, 2 trials each" in texts["prompts"]
    assert f"Of {count['n']:,} trials" in texts["scores"]
    assert f"seed {SEED}" in texts["statistics"]
    assert f"protocol version {facts['protocol_version']}" in texts["provenance"]
    assert json.loads(facts["algorithm_versions"]) == {"scoring": 1, "prompts": 1}
    assert "prompts 1, scoring 1" in texts["provenance"]
