"""A database that is extended holds what one built anew from the same parts holds."""

from __future__ import annotations

import logging
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.synthetic import Synthetic, cell_table, identity_of, make, run_record, study

from engine.planning.tasks import PlannedCell
from engine.results import extend
from engine.results.manifest import Cell
from engine.results.parts import PartStore
from engine.results.query import connect, query, run_sql

ANEW = "built anew"


def content(made: Synthetic) -> dict[str, pa.Table]:
    """Every table and view, rows sorted; attempts and times of commits left out of `units`."""
    found = {}
    with connect(made.run_dir) as connection:
        names = query(connection, "SELECT table_name FROM information_schema.tables")
        for (name,) in zip(*names.to_pydict().values(), strict=True):
            what = "* EXCLUDE (attempt, committed_at)" if name == "units" else "*"
            found[name] = query(connection, f'SELECT {what} FROM "{name}" ORDER BY ALL')
    return found


def check_equal(made: Synthetic) -> None:
    extended = content(made)
    made.build_anew()
    anew = content(made)
    assert extended.keys() == anew.keys()
    assert {"moments", "trials", "results", "units"} <= anew.keys()
    for name, table in anew.items():
        assert extended[name].equals(table), name


def commit(made: Synthetic, donor: Synthetic, cells: list[Cell]) -> None:
    """Commit cells of `made` with the rows that `donor` has for them."""
    manifests = {m.cell: m for m in donor.store.manifests()}
    expected = {item.cell: item for item in made.cells}
    for cell in cells:
        tables = {
            part.table: pq.read_table(donor.run_dir / part.name) for part in manifests[cell].files
        }
        item = expected[cell]
        info = dict(manifests[cell].info)
        assert made.store.commit(cell, item.identity, tables, info, expected=item.expected)


Half = tuple[Synthetic, Synthetic, list[Cell]]


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Half:
    """As `half`, to be copied."""
    folder = tmp_path_factory.mktemp("halves")
    donor = make(folder / "donor")
    cells = sorted(item.cell for item in donor.cells)
    random.Random(0).shuffle(cells)
    missing = cells[::2]
    made = make(folder / "half", leave_out=lambda cell: cell in missing)
    made.build()
    return made, donor, missing


@pytest.fixture
def half(halves: Half, tmp_path: Path) -> Half:
    """A run with every second cell committed and built, one with all, and what the first lacks.

    The second is only read.
    """
    made, donor, missing = halves
    run, catalog = tmp_path / "run", tmp_path / "catalog"
    shutil.copytree(made.run_dir, run, symlinks=True)
    shutil.copytree(made.catalog, catalog)
    store = PartStore(run, {"scoring": 1})
    return replace(made, run_dir=run, catalog=catalog, store=store), donor, missing


def test_cells_that_came_since_are_added(half: Half, monkeypatch: pytest.MonkeyPatch) -> None:
    made, donor, missing = half
    for start in range(0, len(missing), 5):
        commit(made, donor, missing[start : start + 5])
        read = _checksums(monkeypatch)
        made.build()
        assert sorted(read) == sorted(missing[start : start + 5]), "nothing else was read again"
    check_equal(made)


def test_nothing_new_gives_the_same(half: Half) -> None:
    made, _, _ = half
    made.build()
    check_equal(made)


def test_a_new_model_extends(half: Half) -> None:
    """Its cells are pending in the database; its name is there."""
    made, _, _ = half
    wider = study(models=[*made.run.study["models"], {"name": "third", "model": "tiny"}])
    cells = list(made.cells)
    for item in made.cells:
        if item.cell.model == "tiny":
            cell = replace(item.cell, model="third")
            cells.append(PlannedCell(cell, identity_of(cell), item.expected))
    other = replace(
        made, run=run_record(wider), cells=cells, plan=replace(made.plan, cells=cell_table(cells))
    )
    other.build()
    assert run_sql(made.run_dir, "SELECT count(*) AS n FROM models").to_pylist() == [{"n": 3}]
    check_equal(other)


def test_a_cell_that_is_gone_builds_anew(half: Half, caplog: pytest.LogCaptureFixture) -> None:
    made, _, _ = half
    victim = next(m for m in made.store.manifests() if m.rows("trials"))
    (made.run_dir / victim.files[-1].name).unlink()
    _builds_anew(made, caplog)
    ((pending,),) = _rows(made, "SELECT count(*) FROM units WHERE state = 'pending'")
    assert pending == len(made.cells) // 2 + 1 + len(made.cells) % 2


def test_a_cell_committed_again_builds_anew(half: Half, caplog: pytest.LogCaptureFixture) -> None:
    made, donor, _ = half
    victim = next(m for m in made.store.manifests() if m.rows("trials"))
    made.store.set_aside(victim, "a test")
    commit(made, donor, [victim.cell])
    _builds_anew(made, caplog)


def test_other_identities_build_anew(half: Half, caplog: pytest.LogCaptureFixture) -> None:
    made, _, _ = half
    cells = [replace(item, identity=identity_of(item.cell, 2)) for item in made.cells]
    _builds_anew(replace(made, plan=replace(made.plan, cells=cell_table(cells))), caplog)


def test_other_objects_build_anew(half: Half, caplog: pytest.LogCaptureFixture) -> None:
    """An object renamed in the catalog: the keys of the others may move."""
    made, _, _ = half
    with duckdb.connect(str((made.run_dir / "results.duckdb").resolve())) as connection:
        connection.execute("UPDATE objects SET object_key = object_key + 1")
    _builds_anew(made, caplog)


@pytest.mark.parametrize(
    "sql", ["UPDATE runs SET database_version = '0'", "UPDATE runs SET samscope_version = '0'",
            "DROP TABLE runs"]
)  # fmt: skip
def test_a_database_of_another_version_is_not_extended(half: Half, sql: str) -> None:
    made, donor, missing = half
    with duckdb.connect(str((made.run_dir / "results.duckdb").resolve())) as connection:
        connection.execute(sql)
        connection.execute("DELETE FROM trials")
    commit(made, donor, missing)
    made.build()
    assert _rows(made, "SELECT count(*) FROM trials") == [(len(donor.trials),)]
    check_equal(made)


def _builds_anew(made: Synthetic, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "engine.results.build"):
        made.build()
    assert ANEW in caplog.text
    check_equal(made)


def _rows(made: Synthetic, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(made.run_dir / "results.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _checksums(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells whose files are compared by checksum from here on."""
    read: list[Cell] = []
    problem = PartStore.problem

    def noted(self: PartStore, manifest: Any, *, checksums: bool = True) -> str | None:
        if checksums:
            read.append(manifest.cell)
        return problem(self, manifest, checksums=checksums)

    monkeypatch.undo()
    monkeypatch.setattr(PartStore, "problem", noted)
    return read


@pytest.mark.parametrize(("column", "value"), [("modality", "MR"), ("subject_id", "one")])
def test_moments_follow_a_catalog_that_names_cases_otherwise(
    half: Half, column: str, value: str
) -> None:
    made, donor, missing = half
    path = made.catalog / "cases.parquet"
    cases = pq.read_table(path)
    place = cases.column_names.index(column)
    pq.write_table(
        cases.set_column(place, column, pa.array([value] * len(cases), cases[column].type)), path
    )
    commit(made, donor, missing[:1])
    made.build()
    check_equal(made)


KEYS = {
    "objects": {"object_key": 1, "object_id": "d/c/0/s/0", "slice_id": "d/c/0", "structure": "s"},
    "slices": {"slice_key": 1, "slice_id": "d/c/0", "case_id": "d/c"},
    "cases": {"case_id": "d/c", "dataset": "d", "modality": "CT", "subject_id": "d/p"},
}


@pytest.mark.parametrize(("table", "column"), [(t, c) for t in KEYS for c in KEYS[t]])
def test_whatever_rows_are_kept_by_is_compared(table: str, column: str) -> None:
    with duckdb.connect() as connection:
        for name, row in KEYS.items():
            values = ", ".join(f"{value!r} AS {key}" for key, value in row.items())
            connection.execute(f"CREATE TABLE {name} AS SELECT {values}")
        connection.execute(f"CREATE TEMP TABLE kept_keys AS {extend._KEYS}")
        extend.check_keys(connection)
        changed = "2" if column.endswith("_key") else "'other'"
        connection.execute(f"UPDATE {table} SET {column} = {changed}")
        with pytest.raises(extend.ChangedError):
            extend.check_keys(connection)
