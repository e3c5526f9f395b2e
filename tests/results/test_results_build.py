"""The finaliser: coverage, order, identities, damage, publishing, refusals."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.synthetic import SKIPPED, Row, Synthetic, cell_table, identity_of, make

from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.errors import CorruptDataError, UserError
from engine.planning.tasks import PlannedCell
from engine.results import check
from engine.results.build import VIEWS, view_sql
from engine.results.coverage import read_coverage
from engine.results.finite import refuse_nan
from engine.results.query import connect, run_sql

KEY = ("object_id", "model", "strategy", "jitter_lo", "jitter_hi", "trial", "step", "selection")


def ask(made: Synthetic, sql: str) -> list[Row]:
    rows: list[Row] = run_sql(made.run_dir, sql).to_pylist()
    return rows


def test_coverage_adds_up(made: Synthetic) -> None:
    with connect(made.run_dir) as connection:
        rows = {(row.model, row.strategy): row for row in read_coverage(connection)}
    assert list(rows) == [(m, s) for m in ("tiny", "tuned") for s in
                          ("everything", "point_1", "box")]  # fmt: skip
    trials: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for trial in made.trials:
        trials[trial["model"], trial["strategy"]].append(trial)
    planned: dict[tuple[str, str], int] = defaultdict(int)
    for item in made.cells:
        planned[item.cell.model, item.cell.strategy] += item.expected
    for key, row in rows.items():
        ok = [trial for trial in trials[key] if trial["status"] == "ok"]
        empty = [t for t in ok if any(s["status"] == "empty_prediction" for s in t["selections"])]
        assert row.expected == planned[key] == row.done + row.failed + row.pending
        assert (row.done, row.undefined) == (len(ok), len(empty))
        assert row.failed == len(trials[key]) - len(ok)
    skipped = next(item.expected for item in made.cells if item.cell == SKIPPED)
    assert rows["tuned", "box"].pending == skipped > 0
    assert sum(row.pending for row in rows.values()) == skipped
    assert sum(row.failed for row in rows.values()) > 0


def test_trials_with_steps_count_once(tmp_path: Path) -> None:
    made = make(tmp_path, fail_rate=0, leave_out=lambda cell: cell.strategy == "point_1")
    cell = next(item for item in made.cells if item.cell.strategy == "point_1")
    donor = make(tmp_path / "donor", fail_rate=0, empty_rate=0)
    name = next(m for m in donor.store.manifests() if m.cell == cell.cell).files[0].name
    rows = pq.read_table(donor.run_dir / name).to_pylist()
    steps = [{**row, "step": step} for row in rows for step in range(3)]
    last = steps[-1]
    last["status"] = "failed"
    last["selections"] = [
        {"selection": s["selection"], "status": "failed"} for s in last["selections"]
    ]
    schema = check.PART_SCHEMAS["trials"]
    table = pa.Table.from_pylist(steps, schema)
    assert made.store.commit(cell.cell, cell.identity, {"trials": table}, expected=len(rows))
    made.build()
    with connect(made.run_dir) as connection:
        found = {(row.model, row.strategy): row for row in read_coverage(connection)}
    row = found[cell.cell.model, "point_1"]
    assert (row.done, row.failed) == (len(rows) - 1, 1)
    assert row.expected == row.done + row.failed + row.pending
    final = ask(made, "SELECT DISTINCT strategy, step FROM final_results")
    assert {(r["strategy"], r["step"]) for r in final} == {
        ("everything", 0), ("box", 0), ("point_1", 2)
    }  # fmt: skip


def test_keys_and_order_are_fixed(made: Synthetic) -> None:
    tables = ("trials", "objects", "slices", '"overlaps"', "slice_candidates", "units", "failures")
    first = {name: run_sql(made.run_dir, f"FROM {name}") for name in tables}
    results = run_sql(made.run_dir, f"FROM results ORDER BY {', '.join(KEY)}")
    made.build_anew()
    for name, table in first.items():
        assert run_sql(made.run_dir, f"FROM {name}").equals(table), name
    assert run_sql(made.run_dir, f"FROM results ORDER BY {', '.join(KEY)}").equals(results)
    keys = first["objects"]["object_key"].to_pylist()
    assert keys == list(range(1, len(made.objects) + 1))
    trials = first["trials"].to_pylist()
    order = [(t["object_key"], t["model"], t["strategy"], t["jitter_lo"], t["jitter_hi"],
              t["trial"], t["step"]) for t in trials]  # fmt: skip
    assert order == sorted(order)


def test_batches_do_not_change_a_row(made: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_sql(made.run_dir, "FROM trials")
    monkeypatch.setattr("engine.results.load.BATCH_FILES", 1)
    made.build_anew()
    assert run_sql(made.run_dir, "FROM trials").equals(before)


def test_only_the_plans_identities_enter(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.build()
    cells = [
        PlannedCell(item.cell, identity_of(item.cell, 2), item.expected)
        if item.cell.strategy == "box"
        else item
        for item in made.cells
    ]
    replace(made, plan=replace(made.plan, cells=cell_table(cells))).build()
    rows = ask(made, "SELECT strategy, sum(done) AS done, sum(pending) AS pending FROM coverage"
               " GROUP BY strategy")  # fmt: skip
    found = {row["strategy"]: row for row in rows}
    assert found["box"]["done"] == 0
    assert found["box"]["pending"] > 0
    assert found["point_1"]["pending"] == 0
    pending = ask(made, "SELECT DISTINCT strategy FROM units WHERE state = 'pending'")
    assert pending == [{"strategy": "box"}]


def test_factors_of_a_version_with_fewer_columns_stay_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run begun before columns were added: its cells are of another identity, so pending."""
    made = make(tmp_path, leave_out=lambda cell: cell.is_factors)
    early = pa.schema(
        [field for field in check.PART_SCHEMAS["factors"] if field.name != "solidity"]
    )
    monkeypatch.setitem(check.PART_SCHEMAS, "factors", early)
    cells = [item for item in made.cells if item.cell.is_factors]
    ids = made.plan.object_ids.to_pylist()
    rows = [{"object_id": object_id, "flat": False} for object_id in ids]
    for item in cells:
        of_unit = [row for row in rows if row["object_id"].startswith(item.cell.unit_id[:-3])]
        table = pa.Table.from_pylist(of_unit, early)
        assert made.store.commit(item.cell, identity_of(item.cell, 0), {"factors": table})
    monkeypatch.undo()
    made.build()
    assert ask(made, "SELECT count(solidity) AS n, count(flat) AS f FROM objects") == [
        {"n": 0, "f": 0}
    ]
    (units,) = ask(made, "SELECT count(*) AS n FROM units WHERE model = '-' AND state = 'pending'")
    assert units["n"] == len(cells) > 0


def test_torn_part_becomes_pending(tmp_path: Path) -> None:
    made = make(tmp_path)
    victim = next(m for m in made.store.manifests() if m.cell == SKIPPED)
    path = made.run_dir / victim.files[-1].name
    path.write_bytes(path.read_bytes()[:-8])
    made.build()
    (row,) = ask(made, "SELECT * FROM coverage WHERE model = 'tuned' AND strategy = 'box'")
    assert row["pending"] == victim.expected
    assert row["expected"] == row["done"] + row["failed"] + row["pending"]
    assert made.store.committed([(victim.cell, victim.identity)]) == set()


def test_nan_is_refused_at_the_build_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path, leave_out=lambda cell: cell == SKIPPED)
    item = next(item for item in made.cells if item.cell == SKIPPED)
    donor = make(tmp_path / "donor", fail_rate=0)
    part = next(m for m in donor.store.manifests() if m.cell == SKIPPED).files[0]
    rows = pq.read_table(donor.run_dir / part.name).to_pylist()
    rows[0]["selections"][0]["hd95_px"] = float("nan")
    table = pa.Table.from_pylist(rows, check.PART_SCHEMAS["trials"])
    monkeypatch.setattr("engine.results.parts.check_table", lambda *_: None)  # a careless writer
    assert made.store.commit(item.cell, item.identity, {"trials": table})
    with pytest.raises(CorruptDataError, match=r"NaN[\s\S]*hd95_px[\s\S]*1 values"):
        made.build()
    assert not (made.run_dir / "results.duckdb").exists()
    assert [p.name for p in made.run_dir.iterdir()] == ["parts"]  # nothing half-built stays


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("UPDATE objects SET fourier_order = 'nan' WHERE object_key = 1", "fourier_order"),
        ("UPDATE slices SET spacing_row_mm = 'inf' WHERE slice_key = 1", "spacing_row_mm"),
        ("UPDATE units SET seconds = MAP {'embed': 'nan'::DOUBLE}", "seconds"),
        ("UPDATE slice_candidates SET stability_score = '-inf'", "stability_score"),
    ],
)
def test_every_measured_table_is_searched_for_nan(
    made: Synthetic, tmp_path: Path, sql: str, column: str
) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes((made.run_dir / "results.duckdb").read_bytes())
    with duckdb.connect(str(copy)) as connection:
        table = sql.split()[1]
        refuse_nan(connection, table)
        connection.execute(sql).fetchall()
        with pytest.raises(CorruptDataError) as caught:
            refuse_nan(connection, table)
    assert column in str(caught.value)


def test_publishing_keeps_two_and_readers_their_file(tmp_path: Path) -> None:
    made = make(tmp_path)
    paths = [made.build()]
    with connect(made.run_dir) as reader:
        paths += [made.build() for _ in range(3)]
        assert reader.sql("SELECT count(*) FROM trials").fetchall() == [(len(made.trials),)]
    assert [p.name for p in paths] == [f"results-{n}.duckdb" for n in (1, 2, 3, 4)]
    left = sorted(p.name for p in made.run_dir.iterdir())
    assert left == ["parts", "results-3.duckdb", "results-4.duckdb", "results.duckdb"]
    assert (made.run_dir / "results.duckdb").readlink() == Path("results-4.duckdb")


def test_catalog_that_changed_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    path = made.catalog / "objects.parquet"
    pq.write_table(pq.read_table(path).slice(3), path)
    with pytest.raises(UserError, match="plan's objects"):
        made.build()
    path.unlink()
    with pytest.raises(UserError, match="objects"):
        made.build()


def test_rows_of_objects_outside_the_study_are_refused(tmp_path: Path) -> None:
    made = make(tmp_path, leave_out=lambda cell: cell == SKIPPED)
    item = next(item for item in made.cells if item.cell == SKIPPED)
    donor = make(tmp_path / "donor")
    part = next(m for m in donor.store.manifests() if m.cell == SKIPPED).files[-1]
    rows = pq.read_table(donor.run_dir / part.name).to_pylist()
    rows[0]["object_id"] = "abdomen_ct/p0/00000/left kidney/0"  # 41 px: not of the study
    table = pa.Table.from_pylist(rows, check.PART_SCHEMAS["trials"])
    made.store.commit(item.cell, item.identity, {"trials": table})
    with pytest.raises(CorruptDataError, match="one to one"):
        made.build()


def test_plan_that_contradicts_the_study_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    fewer = replace(made.plan, cells=cell_table(made.cells[:-1]))
    with pytest.raises(CorruptDataError, match="add up"):
        replace(made, plan=fewer).build()


def test_catalog_may_be_an_object(made: Synthetic) -> None:
    from engine.results.build import build

    class Tables:
        def table(self, name: str) -> pa.Table:
            return pq.read_table(made.catalog / f"{name}.parquet")

    build(made.run, made.plan, Tables(), made.run_dir)
    assert ask(made, "SELECT count(*) AS n FROM trials") == [{"n": len(made.trials)}]


def test_population_leaves_out_what_the_study_does(made: Synthetic) -> None:
    catalog = pq.read_table(made.catalog / "objects.parquet")  # two of its objects have 41 px
    assert ask(made, "SELECT count(*) AS n FROM objects") == [
        {"n": len(catalog) - 2}
    ]  # two of 41 px
    reasons = ask(made, "SELECT reason FROM exclusions ORDER BY reason")
    assert [row["reason"] for row in reasons] == ["geometry_mismatch", "small_object"]
    assert set(CATALOG_SCHEMAS["exclusions"].names) == set(
        run_sql(made.run_dir, "FROM exclusions").column_names
    )


def test_runs_models_units_tell_the_facts(made: Synthetic) -> None:
    (run,) = ask(made, "FROM runs")
    assert (run["study"], run["study_seed"], run["wall_s"]) == ("synthetic", 7, 12.5)
    assert run["cells_planned"] - run["cells_committed"] == 1
    models = {row["model"]: row for row in ask(made, "FROM models")}
    assert models["tiny"]["untrained"]
    assert not models["tuned"]["untrained"]
    units = ask(made, "FROM units WHERE state = 'committed'")
    assert dict(units[0]["seconds"])["embed"] == 1.5
    assert {row["peak_memory_bytes"] for row in units} == {2**30}
    assert len(units) == len(made.cells) - 1


def test_every_view_is_packaged() -> None:
    for name in VIEWS:
        text = view_sql(name)
        assert text.startswith(f"-- {name}:")
        assert f"CREATE VIEW {name} AS" in text


def test_run_with_nothing_committed_builds(tmp_path: Path) -> None:
    made = make(tmp_path, leave_out=lambda cell: True)
    made.build()
    rows = ask(made, "FROM coverage")
    assert all(row["pending"] == row["expected"] > 0 for row in rows)
    assert ask(made, "FROM results") == []
    assert ask(made, "FROM results_volume") == []
