"""The views against plain Python over the rows that were committed."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pyarrow.parquet as pq
import pytest
from results.synthetic import HEIGHT, SEEN_SUBJECT, WIDTH, Row, Synthetic

from engine.results.query import run_sql
from engine.results.schema import FACTORS

# design.md, "DuckDB", view `results`, and the factors of protocol section 5
COLUMNS = [
    "dataset", "modality", "structure", "subject_id", "case_id", "slice_id", "object_id",
    "entity_id", "model", "strategy", "jitter_lo", "jitter_hi", "trial", "step", "selection",
    "status", "notes", "candidate", "predicted_iou", "tp", "pred_px", "gt_px", "dice",
    "jaccard", "hausdorff_px", "hd95_px", "assd_px", "nsd", "hausdorff_mm", "hd95_mm",
    "assd_mm", "nsd_mm", "seen_in_training", "area_px", "aspect_ratio", "intensity_difference",
    "fourier_order", "fourier_order_97", "n_components", "n_holes", "perimeter_px", "compactness",
    "solidity", "touches_border", "center_inside", "area_fraction", "boundary_gradient",
    "contrast_to_noise",
]  # fmt: skip
KEY = ("object_id", "model", "strategy", "jitter_lo", "jitter_hi", "trial", "step", "selection")


def ask(made: Synthetic, sql: str) -> list[Row]:
    rows: list[Row] = run_sql(made.run_dir, sql).to_pylist()
    return rows


def keyed(rows: list[Row]) -> dict[tuple[Any, ...], Row]:
    found = {tuple(row[name] for name in KEY): row for row in rows}
    assert len(found) == len(rows)
    return found


def expected_results(made: Synthetic) -> list[Row]:
    """`results`, written out by loops from the rows that were committed."""
    out = []
    for trial in made.trials:
        item = made.objects[trial["object_id"]]
        where = made.slices[item["slice_id"]]
        case = made.cases[where["case_id"]]
        for s in trial["selections"]:
            row: Row = {
                "dataset": case["dataset"], "modality": case["modality"],
                "structure": item["structure"], "subject_id": case["subject_id"],
                "case_id": case["case_id"], "slice_id": item["slice_id"],
                "entity_id": item["entity_id"], "area_px": item["area_px"],
                "seen_in_training": trial["model"] == "tuned"
                and (case["dataset"] == "abdomen_ct" or case["subject_id"] == SEEN_SUBJECT),
            }  # fmt: skip
            for name in (*KEY[:7], "notes", "gt_px"):
                row[name] = trial[name]
            for name in ("selection", "status", "candidate", "predicted_iou", "tp", "pred_px",
                         "hausdorff_px", "hd95_px", "assd_px", "nsd",
                         "hausdorff_mm", "hd95_mm", "assd_mm", "nsd_mm"):  # fmt: skip
                row[name] = s.get(name)
            row["dice"] = row["jaccard"] = None
            if s["status"] != "failed":
                both = s["pred_px"] + trial["gt_px"]
                row["dice"] = 2 * s["tp"] / both
                row["jaccard"] = s["tp"] / (both - s["tp"])
            out.append(row)
    return out


def test_results_are_the_committed_rows(made: Synthetic) -> None:
    table = run_sql(made.run_dir, "FROM results")
    assert table.column_names == COLUMNS
    got, expected = keyed(table.to_pylist()), keyed(expected_results(made))
    assert got.keys() == expected.keys()
    statuses = {row["status"] for row in expected.values()}
    assert statuses == {"ok", "empty_prediction", "failed"}
    for key, row in expected.items():
        for name, value in row.items():
            assert got[key][name] == value, (key, name)


def test_every_trial_has_its_selections(made: Synthetic) -> None:
    counts = ask(made, "SELECT strategy, object_id, model, jitter_hi, trial, count(*) AS n"
                 " FROM results GROUP BY ALL")  # fmt: skip
    assert {row["n"] for row in counts if row["strategy"] == "everything"} == {2}
    assert {row["n"] for row in counts if row["strategy"] != "everything"} == {3}


def test_factors_follow_their_object(made: Synthetic) -> None:
    factors = {}
    for manifest in made.store.manifests():
        for part in manifest.files:
            if part.table == "factors":
                table = pq.read_table(made.run_dir / part.name)
                factors |= {row["object_id"]: row for row in table.to_pylist()}
    rows = ask(made, "FROM results")
    for row in rows:
        for name in set(FACTORS.names) - {"object_id", "flat"}:
            assert row[name] == factors[row["object_id"]][name]
    assert any(row["intensity_difference"] is None for row in rows)


@pytest.mark.parametrize("view", ["results_paper", "results_worst_case"])
def test_policies_change_only_undefined_distances(made: Synthetic, view: str) -> None:
    assert run_sql(made.run_dir, f"FROM {view}").column_names == COLUMNS
    got = keyed(ask(made, f"FROM {view}"))
    seen = set()
    for key, row in keyed(ask(made, "FROM results")).items():
        spacing = made.slices[row["slice_id"]]
        down, across = spacing["spacing_row_mm"], spacing["spacing_col_mm"]
        for name, value in row.items():
            unit = name[-3:]
            distance = name.startswith(("hausdorff", "hd95", "assd"))
            if row["status"] != "empty_prediction" or not distance:
                assert got[key][name] == value
            elif unit == "_mm" and down is None:
                assert got[key][name] is None
            elif view == "results_paper":
                assert got[key][name] == 0
            elif unit == "_px":
                assert got[key][name] == pytest.approx(math.hypot(HEIGHT - 1, WIDTH - 1))
            else:
                diagonal = math.hypot((HEIGHT - 1) * down, (WIDTH - 1) * across)
                assert got[key][name] == pytest.approx(diagonal)
        if row["status"] == "empty_prediction":
            seen.add(down is None)
            assert got[key]["nsd"] == 0
    assert seen == {True, False}  # empty predictions with and without a known spacing


def test_volumes_are_sums_over_slices(made: Synthetic) -> None:
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for row in expected_results(made):
        if (row["jitter_hi"], row["trial"]) == (0, 0):
            key = (row["entity_id"], row["model"], row["strategy"], row["selection"])
            failed = row["status"] == "failed"
            numbers = (0, 1, 0, 0, 0) if failed else (1, 0, row["tp"], row["pred_px"], row["gt_px"])
            sums[key] = [a + b for a, b in zip(sums[key], numbers, strict=True)]
    slices_of: dict[str, int] = defaultdict(int)
    for item in made.objects.values():
        slices_of[item["entity_id"]] += 1
    rows = ask(made, "FROM results_volume")
    assert len(rows) == len(sums)
    for row in rows:
        n, failed, tp, pred, gt = sums[
            row["entity_id"], row["model"], row["strategy"], row["selection"]
        ]
        assert (row["n_slices"], row["n_failed"]) == (n, failed)
        assert row["n_expected"] == slices_of[row["entity_id"]]
        if n:
            assert row["dice"] == 2 * tp / (pred + gt)
            assert row["jaccard"] == tp / (pred + gt - tp)
        else:
            assert row["dice"] is None
    assert any(row["n_failed"] for row in rows)


def test_candidates_of_prompted_and_everything(made: Synthetic) -> None:
    rows = ask(made, "SELECT o.object_id, c.* FROM candidates c JOIN objects o USING (object_key)")
    by_trial: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_trial[tuple(row[name] for name in KEY[:7])].append(row)
    for trial in made.trials:
        found = by_trial.pop(tuple(trial[name] for name in KEY[:7]), [])
        assert len(found) == trial["n_candidates"]
        for row in found:
            assert row["dice"] == 2 * row["tp"] / (row["pred_px"] + trial["gt_px"])
        if trial["strategy"] == "everything" and found:
            best = max(row["dice"] for row in found)
            oracle = next(s for s in trial["selections"] if s["selection"] == "oracle")
            assert best == 2 * oracle["tp"] / (oracle["pred_px"] + trial["gt_px"])
    assert not by_trial
    assert any(row["tp"] == 0 for row in rows if row["strategy"] == "everything")
