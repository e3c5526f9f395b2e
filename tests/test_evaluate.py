"""On real slices: prompts, scores and selections as evaluated equal the oracles to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import prompts as prompt_oracle
from oracles import scores as score_oracle

from engine.collection.ingest import ingest
from engine.collection.reading import read_slices
from engine.configuration import validate
from engine.evaluate import Evaluator
from engine.evaluation.rows import CellRows, TrialKey
from engine.models.base import Model
from engine.models.numerics import numerics_of
from engine.models.registry import load_model
from engine.planning.ground import plan_study
from engine.planning.plan import UnitTask
from engine.replay import Replayer
from engine.results.check import check_table
from engine.results.rows import part_tables
from engine.study import Study

SOURCES = ("sam_med2d_demo", "sct_spinal_cord_mri", "totalsegmentator_ct_mr", "drishti_optic_disc")
KINDS = {
    "point_1": (1, 0, False),
    "point_5": (5, 0, False),
    "point_5_neg_5": (5, 5, False),
    "box": (0, 0, True),
    "box_point_1": (1, 0, True),
}


@pytest.fixture(scope="module")
def study() -> Study:
    raw = {
        "name": "real",
        "seed": 7,
        "models": ["tiny", {"name": "fake"}],
        "strategies": [
            {
                "name": "everything",
                "kind": "everything",
                # few points: let enough of their masks through to have something to score
                "params": {
                    "points_per_side": 4,
                    "pred_iou_thresh": -10,
                    "stability_score_thresh": 0.0,
                    "box_nms_thresh": 1.0,
                },
            },
            *KINDS,
        ],
        "jitter": {"levels": [[0, 0], [0, 10], [20, 30]], "trials": 2},
        "sample": {"slices_per_case": 1, "cases_per_dataset": 1, "objects_per_slice": 3},
    }
    return validate(raw, Study, "study", where="test")


@pytest.fixture(scope="module")
def evaluated(
    study: Study, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[UnitTask, list[CellRows], Any]]:
    """Every sampled unit of four real sources: task, rows, pixels."""
    collection = tmp_path_factory.mktemp("real") / "real.zarr"
    for source in SOURCES:
        ingest(source, shared_data / source, collection)
    numerics = numerics_of("cpu")
    plan = plan_study(study, collection, numerics).plan
    models: dict[str, Model] = {m.name: load_model(m, "cpu") for m in study.models}
    evaluator = Evaluator(study, models, numerics)
    done = []
    for task in plan.units:
        pixels = read_slices(collection, task.slices)
        done.append((task, evaluator.evaluate(task, pixels), pixels))
    assert len(done) == len(SOURCES)
    return done


def _trials(evaluated: Any) -> list[tuple[Any, Any, dict[str, Any], NDArray[np.bool_]]]:
    """(task, slice place, trial row, truth) of every trial."""
    found = []
    for task, cells, pixels in evaluated:
        truths = {
            ref.object_id: (place, pixels[place].mask(ref))
            for place, slice_ref in enumerate(task.slices)
            for ref in slice_ref.objects
        }
        for cell in cells:
            for row in cell.tables["trials"]:
                place, truth = truths[row["object_id"]]
                found.append((task, place, row, truth))
    return found


def test_every_expected_trial_is_there_and_fits_the_schema(evaluated: Any) -> None:
    for _, cells, _ in evaluated:
        for cell in cells:
            assert cell.failed == 0
            for name, table in part_tables(cell.tables).items():
                check_table(name, table, cell.planned.cell)
            rows = cell.tables["factors" if cell.planned.cell.is_factors else "trials"]
            assert len(rows) == cell.planned.expected


def test_prompts_equal_the_oracle(evaluated: Any, study: Study) -> None:
    seen = 0
    for _, _, row, truth in _trials(evaluated):
        if row["strategy"] not in KINDS:
            continue
        k, m, boxed = KINDS[row["strategy"]]
        points, box, notes = prompt_oracle.prompt(
            truth.tolist(), positive=k, negative=m, with_box=boxed,
            seed=prompt_oracle.seed(
                study.seed, row["object_id"], row["strategy"],
                row["jitter_lo"], row["jitter_hi"], row["trial"],
            ),
            lo=row["jitter_lo"], hi=row["jitter_hi"],
        )  # fmt: skip
        asked = row["prompt"]
        assert [(p["x"], p["y"], p["positive"]) for p in asked["points"]] == points
        found = asked["box"] and [asked["box"][c] for c in ("x0", "y0", "x1", "y1")]
        assert found == box
        assert set(row["notes"]) == notes
        seen += 1
    assert seen > 200


def test_scores_and_selections_equal_the_oracle(evaluated: Any, study: Study) -> None:
    """Masks are decoded anew by replay; counts, choices and distances by brute force."""
    numerics = numerics_of("cpu")
    models: dict[str, Model] = {m.name: load_model(m, "cpu") for m in study.models}
    replayers: dict[tuple[str, str], Replayer] = {}
    checked = 0
    for task, cells, pixels in evaluated:
        for cell in cells:
            rows = cell.tables["trials"]
            # The oracles loop over pixels in Python: few rows of large slices, more of small ones.
            wanted_rows = 2 if task.slices[0].height < 200 else 1
            for row in rows[:: max(1, len(rows) // wanted_rows)]:
                place = next(
                    i for i, s in enumerate(task.slices)
                    if any(o.object_id == row["object_id"] for o in s.objects)
                )  # fmt: skip
                ref = task.slices[place]
                key = (row["model"], ref.slice_id)
                if key not in replayers:
                    replayers[key] = Replayer(
                        study, models[row["model"]], numerics, ref, pixels[place]
                    )
                wanted = next(o for o in ref.objects if o.object_id == row["object_id"])
                _check(row, replayers[key], study, pixels[place].mask(wanted), ref)
                checked += 1
    assert checked > 40


def _check(
    row: dict[str, Any], replayer: Replayer, study: Study, truth: NDArray[np.bool_], ref: Any
) -> None:
    strategy = study.strategy(row["strategy"])
    trial = TrialKey(
        row["object_id"], row["gt_px"], row["jitter_lo"], row["jitter_hi"], row["trial"]
    )
    masks: dict[int, NDArray[np.bool_]] = {}
    for candidate in row["candidates"]:
        masks[candidate["candidate"]] = replayer.replay(
            strategy, trial, candidate["candidate"],
            tp=candidate["tp"], pred_px=candidate["pred_px"],
        ).mask  # fmt: skip
    for candidate in row["candidates"]:
        tp, pred_px, gt_px = score_oracle.counts(masks[candidate["candidate"]], truth)
        assert (candidate["tp"], candidate["pred_px"], row["gt_px"]) == (tp, pred_px, gt_px)
    selections = {s["selection"]: s for s in row["selections"]}
    if masks:
        ids = [c for c in masks if c != 3]
        values = {c["candidate"]: c["predicted_iou"] for c in row["candidates"]}
        best = score_oracle.oracle(ids, [masks[i] for i in ids], truth)
        assert selections["oracle"]["candidate"] == best
        chosen = score_oracle.predicted_iou(ids, [values[i] for i in ids])
        assert selections["predicted_iou"]["candidate"] == chosen
        assert selections["single"]["candidate"] == 3
    for selection in row["selections"]:
        mask = replayer.replay(
            strategy, trial, selection["candidate"],
            tp=selection["tp"], pred_px=selection["pred_px"],
        ).mask  # fmt: skip
        assert selection["status"] == ("ok" if mask.any() else "empty_prediction")
        spacing = (ref.spacing_row_mm, ref.spacing_col_mm)
        expected = score_oracle.distances(mask, truth, None if None in spacing else spacing)
        for name, value in expected.items():
            assert selection[name] == pytest.approx(value, abs=1e-9), (name, row["object_id"])


def test_everything_is_stored_once_per_slice(evaluated: Any) -> None:
    kept = 0
    for task, cells, _ in evaluated:
        for cell in cells:
            if cell.planned.cell.strategy != "everything":
                continue
            candidates = cell.tables["slice_candidates"]
            keys = {(c["slice_id"], c["candidate"]) for c in candidates}
            assert len(keys) == len(candidates)
            assert {c["slice_id"] for c in candidates} <= {s.slice_id for s in task.slices}
            overlapping = {(o["object_id"], o["candidate"]) for o in cell.tables["overlaps"]}
            assert len(overlapping) == len(cell.tables["overlaps"])
            kept += len(candidates)
    assert kept > 20
