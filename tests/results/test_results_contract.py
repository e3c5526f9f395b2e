"""What the ledger refuses at its door: rows that break the contract, counts that do not add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from results.synthetic import cell_rows, study

from engine.errors import CorruptDataError
from engine.results.parts import Cell, Manifest, PartStore
from engine.results.rows import part_tables

CELL = Cell("ds/p0/u0", "tiny", "point_1")
OBJECTS = [
    {"object_id": f"ds/p0/00000/liver/{i}", "slice_id": "ds/p0/00000", "area_px": 100 + i,
     "structure": "liver"}
    for i in range(5)
]  # fmt: skip


def rows(seed: int = 0, cell: Cell = CELL, fail_rate: float = 0.0) -> dict[str, Any]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return cell_rows(study(), cell, OBJECTS, rng, fail_rate, 0.2)


def tables(seed: int = 0) -> dict[str, pa.Table]:
    return part_tables(rows(seed))


def files_of(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def only(store: PartStore) -> Manifest:
    (manifest,) = store.manifests()
    return manifest


def changed(column: str, value: Any) -> dict[str, pa.Table]:
    """Tables of which the first trial has another value."""
    part = rows(0)
    part["trials"][0][column] = value
    return part_tables(part)


def with_selection(**values: Any) -> dict[str, pa.Table]:
    part = rows(0)
    first = next(s for t in part["trials"] for s in t["selections"] if s["status"] == "ok")
    first.update(values)
    return part_tables(part)


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (lambda: with_selection(hd95_px=float("nan")), "NaN"),
        (lambda: with_selection(hausdorff_mm=float("inf")), "NaN"),
        (lambda: with_selection(hausdorff_px=None), "contradict"),
        (lambda: with_selection(status="empty_prediction"), "contradict"),
        (lambda: with_selection(status="failed"), "fail with their trial"),
        (lambda: with_selection(status="fine"), "contradict"),
        (lambda: with_selection(selection="best"), "unknown selection"),
        (lambda: changed("status", "done"), "status"),
        (lambda: changed("selections", []), "selections"),
        (lambda: changed("model", "other"), "model"),
        (lambda: changed("strategy", "box"), "strategy"),
        (lambda: {"trials": pa.concat_tables([tables()["trials"]] * 2)}, "share a key"),
        (lambda: {"trials": tables()["trials"].drop_columns(["gt_px"])}, "schema"),
        (lambda: {"scores": tables()["trials"]}, "no such part"),
    ],
)
def test_rows_that_break_the_contract_are_refused(tmp_path: Path, spoiled: Any, words: str) -> None:
    with pytest.raises(CorruptDataError, match=words):
        PartStore(tmp_path).commit(CELL, "a" * 64, spoiled())
    assert files_of(tmp_path) == []


def test_counts_must_add_up(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    with pytest.raises(CorruptDataError, match="15 expected in the rows"):
        store.commit(CELL, "a" * 64, tables(), expected=16)
    with pytest.raises(CorruptDataError, match="0 failed in the rows"):
        store.commit(CELL, "a" * 64, tables(), expected=15, done=14, failed=1)
    part = rows(3, fail_rate=0.5)
    failed = sum(row["status"] == "failed" for row in part["trials"])
    assert 0 < failed < 15
    assert store.commit(CELL, "a" * 64, part_tables(part), expected=15, failed=failed)
    assert (only(store).done, only(store).failed) == (15 - failed, failed)


def test_a_trial_with_a_failed_step_has_failed(tmp_path: Path) -> None:
    part = rows(0)
    last = part["trials"][-1]
    selections = [{"selection": s["selection"], "status": "failed"} for s in last["selections"]]
    step = {**last, "step": 1, "status": "failed", "selections": selections}
    part["trials"].append(step)
    store = PartStore(tmp_path)
    store.commit(CELL, "a" * 64, part_tables(part), expected=15)
    assert (only(store).done, only(store).failed) == (14, 1)


def test_lost_factors_need_a_reason(tmp_path: Path) -> None:
    cell = Cell.factors("ds/p0/u0")
    part = rows(0, cell)
    part["factors"] = part["factors"][:3]
    store = PartStore(tmp_path)
    with pytest.raises(CorruptDataError, match="3 expected"):
        store.commit(cell, "a" * 64, part_tables(part), expected=5)
    part["failures"] = [
        {"unit_id": cell.unit_id, "slice_id": "s", "object_id": OBJECTS[4]["object_id"],
         "model": cell.model, "strategy": cell.strategy, "stage": "factors", "error": "E",
         "message": "m", "n_trials": 0}
    ]  # fmt: skip
    assert store.commit(cell, "a" * 64, part_tables(part), expected=5)
    assert (only(store).done, only(store).failed) == (3, 2)


def test_part_tables_refuse_unknown_columns() -> None:
    with pytest.raises(KeyError, match="colour"):
        part_tables({"factors": [{"object_id": "a", "colour": "red"}]})
