"""Named questions against plain Python over the rows of a synthetic run."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from oracles import bootstrap as oracle
from results.synthetic import Row, Synthetic, make

from engine.analysis import QUESTIONS, run
from engine.errors import UserError
from engine.results.query import connect

SEED = 7


def check_mean(row: Row, stem: str, items: list[tuple[float, Row]]) -> None:
    """Mean and interval, mask-weighted and balanced, by loops."""
    numbers = [value for value, _ in items]
    subjects = [source["subject_id"] for _, source in items]
    pairs = [f"{source['structure']}|{source['modality']}" for _, source in items]
    for name, groups in ((stem, None), (f"{stem}_balanced", pairs)):
        if name not in row:
            continue
        assert row[name] == pytest.approx(oracle.mean(numbers, groups), abs=1e-12)
        bounds = oracle.cluster_bootstrap(numbers, subjects, groups, SEED, 1000)
        got = None if row[f"{name}_lo"] is None else (row[f"{name}_lo"], row[f"{name}_hi"])
        assert got == (None if bounds is None else pytest.approx(bounds, abs=1e-12))
    assert row["subjects"] == len(set(subjects))


def undisplaced(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["jitter_hi"] == 0]


def test_leaderboard(made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]) -> None:
    rows = answers["leaderboard"]
    assert [(r["model"], r["strategy"], r["selection"]) for r in rows[:5]] == [
        ("tiny", "everything", "oracle"), ("tiny", "everything", "predicted_iou"),
        ("tiny", "point_1", "oracle"), ("tiny", "point_1", "predicted_iou"),
        ("tiny", "point_1", "single"),
    ]  # fmt: skip
    assert len(rows) == 16
    for row in rows:
        items = [
            (r["dice"], r) for r in undisplaced(scored)
            if all(r[k] == row[k] for k in ("model", "strategy", "selection"))
        ]  # fmt: skip
        assert row["n"] == len(items)
        assert row["expected"] == len(made.objects)
        if row["strategy"] != "everything":
            check_mean(row, "dice", items)
    assert any(row["n"] < row["expected"] for row in rows)


def test_oracle_gap(answers: dict[str, list[Row]], scored: list[Row]) -> None:
    for row in answers["oracle_gap"]:
        pairs: dict[str, dict[str, Row]] = defaultdict(dict)
        for r in undisplaced(scored):
            if (r["model"], r["strategy"]) == (row["model"], row["strategy"]):
                pairs[r["object_id"]][r["selection"]] = r
        items = [
            (p["oracle"]["dice"] - p["predicted_iou"]["dice"], p["oracle"]) for p in pairs.values()
        ]
        assert row["n"] == len(items)
        assert row["gap"] >= 0
        if row["strategy"] == "box":
            check_mean(row, "gap", items)


def test_compare_models(made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]) -> None:
    rows = answers["compare_models"]
    (baseline,) = {row["baseline"] for row in rows}
    assert baseline == "tiny"
    assert {row["model"] for row in rows} == {"tuned"}
    keys = ("strategy", "selection", "object_id")
    before = {
        tuple(r[k] for k in keys): r["dice"] for r in undisplaced(scored) if r["model"] == baseline
    }
    for row in rows:
        items = [
            (r["dice"] - before[tuple(r[k] for k in keys)], r)
            for r in undisplaced(scored)
            if all(r[k] == row[k] for k in ("model", "strategy", "selection"))
            and tuple(r[k] for k in keys) in before
        ]
        assert (row["n"], row["expected"]) == (len(items), len(made.objects))
        if items:
            check_mean(row, "gain", items)
    assert any(row["n"] for row in rows)


def test_jitter(made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]) -> None:
    rows = answers["jitter"]
    assert {row["strategy"] for row in rows} == {"point_1", "box"}
    reference = {
        (r["object_id"], r["model"], r["strategy"], r["selection"]): r["dice"]
        for r in undisplaced(scored)
    }
    for row in rows:
        trials = 1 if row["jitter_hi"] == 0 else 2
        assert row["expected"] == trials * len(made.objects)
        keys = ("model", "strategy", "selection", "jitter_lo", "jitter_hi")
        items = [r for r in scored if all(r[k] == row[k] for k in keys)]
        assert row["n"] == len(items)
        drops = [
            r["dice"] - zero for r in items
            if (zero := reference.get((r["object_id"], *(r[k] for k in keys[:3])))) is not None
        ]  # fmt: skip
        assert row["dice"] == pytest.approx(sum(r["dice"] for r in items) / len(items))
        assert row["drop"] == pytest.approx(sum(drops) / len(drops), abs=1e-12)
        if row["jitter_hi"] and row["selection"] == "single":
            check_mean(row, "dice", [(r["dice"], r) for r in items])


def test_structures_and_modalities(
    made: Synthetic, answers: dict[str, list[Row]], scored: list[Row]
) -> None:
    rows = answers["by_structure_modality"]
    assert len(rows) == 2 * 3 * 2 * 4
    for row in rows:
        keys = ("model", "strategy", "selection", "structure", "modality")
        items = [r for r in undisplaced(scored) if all(r[k] == row[k] for k in keys)]
        assert row["n"] == len(items)
        if row["strategy"] == "point_1":
            check_mean(row, "dice", [(r["dice"], r) for r in items])
    total = {(r["structure"], r["modality"]): r["expected"] for r in rows}
    assert sum(total.values()) == len(made.objects)


def test_distances_count_what_is_undefined(
    answers: dict[str, list[Row]], scored: list[Row]
) -> None:
    for row in answers["distances"]:
        keys = ("model", "strategy", "selection")
        items = [r for r in undisplaced(scored) if all(r[k] == row[k] for k in keys)]
        defined = sorted(r["hd95_px"] for r in items if r["hd95_px"] is not None)
        assert row["n_defined"] == len(defined)
        assert row["n_empty"] == len(items) - len(defined)
        assert row["median_hd95_px"] == pytest.approx(oracle.percentile(defined, 50))
        assert row["mean_nsd"] == pytest.approx(sum(r["nsd"] for r in items) / len(items))
    assert any(row["n_empty"] for row in answers["distances"])


def test_gallery_picks_by_rule(answers: dict[str, list[Row]], scored: list[Row]) -> None:
    by_cell: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for r in undisplaced(scored):
        if r["selection"] == "predicted_iou":
            by_cell[r["model"], r["strategy"]].append(r)
    picks: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for row in answers["gallery"]:
        picks[row["model"], row["strategy"]][row["pick"]] = row["object_id"]
    assert picks.keys() == by_cell.keys()
    for key, items in by_cell.items():
        items.sort(key=lambda r: (-r["dice"], r["object_id"]))
        n = len(items)
        assert picks[key] == {
            "best": items[0]["object_id"],
            "median": items[(n + 1) // 2 - 1]["object_id"],
            "worst": items[-1]["object_id"],
        }


def test_failures_and_exclusions(made: Synthetic, answers: dict[str, list[Row]]) -> None:
    lost = sum(trial["status"] == "failed" for trial in made.trials)
    assert sum(row["n_trials"] for row in answers["failures"]) == lost > 0
    assert {row["message"] for row in answers["failures"]} == {"out of memory"}
    assert {(r["reason"], r["refused"]) for r in answers["exclusions"]} == {
        ("geometry_mismatch", True), ("small_object", False)
    }  # fmt: skip
    (population, _) = answers["population"]
    assert (population["dataset"], population["subjects"]) == ("abdomen_ct", 3)
    assert sum(row["objects"] for row in answers["population"]) == len(made.objects)


def test_pending_cells_keep_their_rows(tmp_path: Path) -> None:
    made = make(tmp_path, leave_out=lambda cell: cell.strategy == "box")
    made.build()
    with connect(made.run_dir) as connection:
        boxes = [
            row for row in run(connection, "leaderboard").to_pylist() if row["strategy"] == "box"
        ]
        assert all(run(connection, name) is not None for name in QUESTIONS)
    assert len(boxes) == 6
    assert {(row["n"], row["expected"], row["dice"]) for row in boxes} == {(0, 34, None)}


def test_unknown_question_names_the_nearest(made: Synthetic) -> None:
    with connect(made.run_dir) as connection, pytest.raises(UserError, match="leaderboard"):
        run(connection, "leaderbord")


def test_every_question_has_a_header() -> None:
    for question in QUESTIONS.values():
        assert question.sql.startswith("-- Question: ")
        assert "-- Source:" in question.sql or "Source: " in question.sql
