"""Moments against loops over the rows of `results`; and that nothing can move a bit of them."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.synthetic import Row, Synthetic, make

from engine.results import check
from engine.results.manifest import Cell
from engine.results.query import run_sql

KEYS = (
    "model", "strategy", "jitter_lo", "jitter_hi", "step", "selection", "dataset", "modality",
    "structure", "subject_id",
)  # fmt: skip
TRIAL = ("object_id", "model", "strategy", "jitter_lo", "jitter_hi", "trial", "step")


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    """A run whose trials of `point_1` have two steps, the second with other masks."""
    folder = tmp_path_factory.mktemp("moments")
    made = make(folder, leave_out=lambda cell: cell.strategy == "point_1")
    donors = [make(folder / f"donor{seed}", seed=seed) for seed in (0, 1)]
    for item in made.cells:
        if item.cell.strategy == "point_1":
            rows = [
                {**row, "step": step}
                for step, donor in enumerate(donors)
                for row in _trials(donor, item.cell)
            ]
            table = pa.Table.from_pylist(rows, check.PART_SCHEMAS["trials"])
            assert made.store.commit(item.cell, item.identity, {"trials": table})
    made.build()
    return made


def _trials(donor: Synthetic, cell: Cell) -> list[Row]:
    manifest = next(m for m in donor.store.manifests() if m.cell == cell)
    (part,) = [part for part in manifest.files if part.table == "trials"]
    rows: list[Row] = pq.read_table(donor.run_dir / part.name).to_pylist()
    return rows


def _exact(value: float) -> Decimal:
    return Decimal(value).quantize(Decimal(10) ** -15)


def _by_loops(rows: list[Row]) -> dict[tuple[object, ...], Row]:
    dice = {(*(row[k] for k in TRIAL), row["selection"]): row["dice"] for row in rows}
    found: dict[tuple[object, ...], Row] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        sums, mine = found[tuple(row[k] for k in KEYS)], row["dice"]
        sums["n_trials"] += 1
        sums["n_failed"] += row["status"] == "failed"
        sums["n_empty"] += row["status"] == "empty_prediction"
        if mine is None:
            continue
        sums["n"] += 1
        sums["dice"] += _exact(mine)
        sums["dice_squares"] += _exact(mine * mine)
        sums["jaccard"] += _exact(row["jaccard"])
        sums["nsd"] += _exact(row["nsd"])
        calm = (row["object_id"], row["model"], row["strategy"], 0, 0, 0, row["step"])
        if (still := dice.get((*calm, row["selection"]))) is not None:
            sums["drop_n"] += 1
            sums["drop_dice"] += _exact(mine - still)
        if row["selection"] == "oracle":
            shown = dice[(*(row[k] for k in TRIAL), "predicted_iou")]
            sums["gap_n"] += 1
            sums["gap_dice"] += _exact(mine - shown)
    return found


def test_moments_are_sums_over_the_rows(stepped: Synthetic) -> None:
    rows = run_sql(stepped.run_dir, "FROM results").to_pylist()
    expected = _by_loops(rows)
    found = run_sql(stepped.run_dir, "FROM moments").to_pylist()
    assert {tuple(row[k] for k in KEYS) for row in found} == set(expected)
    assert len(found) == len(expected)
    for row in found:
        sums = expected[tuple(row[k] for k in KEYS)]
        for name in set(row) - set(KEYS):
            near = Decimal("1e-13") if isinstance(row[name], Decimal) else 0
            assert abs((row[name] or 0) - sums[name]) <= near, (name, row)
    assert any(sums["n_failed"] and sums["n"] > sums["drop_n"] > 0 for sums in expected.values())


def test_means_are_made_from_the_last_step(stepped: Synthetic) -> None:
    counts = run_sql(stepped.run_dir, "SELECT DISTINCT strategy, step FROM final_moments")
    assert {(r["strategy"], r["step"]) for r in counts.to_pylist()} == {
        ("everything", 0), ("box", 0), ("point_1", 1)
    }  # fmt: skip
    per_view = [
        run_sql(stepped.run_dir, f"SELECT {what} FROM {view}").to_pylist()[0]["n"]
        for what, view in (("sum(n) AS n", "final_moments"), ("count(dice) AS n", "final_results"))
    ]
    assert per_view[0] == per_view[1] > 0


def test_neither_batches_nor_another_build_move_a_bit(
    stepped: Synthetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_sql(stepped.run_dir, "FROM moments")
    stepped.build_anew()
    assert run_sql(stepped.run_dir, "FROM moments").equals(before)
    monkeypatch.setattr("engine.results.load.BATCH_FILES", 1)
    stepped.build_anew()
    assert run_sql(stepped.run_dir, "FROM moments").equals(before)


def test_a_run_without_rows_has_none(tmp_path: Path) -> None:
    made = make(tmp_path, leave_out=lambda cell: True)
    made.build()
    assert run_sql(made.run_dir, "FROM moments").num_rows == 0
