"""Committed Parquet parts into DuckDB tables, in a fixed order and a bounded batch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import CorruptDataError
from engine.results.finite import refuse_nan
from engine.results.rollups import add_rollups, begin_rollups, finish_rollups
from engine.results.schema import PART_SCHEMAS
from engine.stores import Store

BATCH_FILES = 512

_TABLES = {
    "trials": """
        SELECT o.object_key, p.* EXCLUDE (object_id)
        FROM parts p JOIN objects o USING (object_id)
        ORDER BY object_key, model, strategy, jitter_lo, jitter_hi, trial, step""",
    "slice_candidates": """
        SELECT s.slice_key, p.* EXCLUDE (slice_id)
        FROM parts p JOIN slices s USING (slice_id)
        ORDER BY slice_key, model, strategy, candidate""",
    "overlaps": """
        SELECT o.object_key, p.* EXCLUDE (object_id)
        FROM parts p JOIN objects o USING (object_id)
        ORDER BY object_key, model, strategy, candidate""",
    "failures": """
        SELECT p.* FROM parts p
        ORDER BY unit_id, slice_id, object_id, model, strategy, stage, error, message""",
}


def load_factors(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Create the temporary table `factor_parts` (schema FACTORS) from all factors cells."""
    connection.execute("CREATE TEMP TABLE factor_parts AS FROM kept_factors")
    for batch in _batches(connection, "factors"):
        _insert(connection, batch, store, "factors", "factor_parts", "FROM parts")


def load_parts(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Fill `trials, slice_candidates, overlaps, failures`, from the cells of `fresh`.

    What questions need (`rollups.py`) is taken from the trials while they are at hand. Rows come in
    the order of their keys: object keys follow units, and each batch holds whole units, so sorting
    a batch sorts the table.

    Raises:
        CorruptDataError: a part's rows do not all belong to objects of the study.
    """
    for table, query in _TABLES.items():
        _create_empty(connection, f'TABLE IF NOT EXISTS "{table}"', query, table)
        if table != "trials":
            for batch in _batches(connection, table):
                _insert(connection, batch, store, table, table, query)
    begin_rollups(connection)
    _create_empty(connection, "TEMP TABLE batch", _TABLES["trials"], "trials")
    for batch in _batches(connection, "trials"):
        _insert(connection, batch, store, "trials", "batch", _TABLES["trials"])
        refuse_nan(connection, "trials", rows="batch")
        connection.execute("INSERT INTO trials FROM batch")
        add_rollups(connection, "batch")
        connection.execute("TRUNCATE batch")
    finish_rollups(connection)


def _create_empty(
    connection: duckdb.DuckDBPyConnection, target: str, query: str, part: str
) -> None:
    """A table with the columns `query` gives for parts of this kind, without rows."""
    connection.register("parts", PART_SCHEMAS[part].empty_table())
    connection.execute(f"CREATE {target} AS SELECT * FROM ({query}) LIMIT 0")
    connection.unregister("parts")


def _batches(connection: duckdb.DuckDBPyConnection, part: str) -> Iterator[pa.Table]:
    """(unit_id, name, rows) of the files that hold rows of a part, sorted, cut between units."""
    files = connection.sql(
        """SELECT unit_id, file.name, file.rows
           FROM (SELECT unit_id, model, strategy, unnest(files) AS file FROM fresh)
           WHERE file.part = $part ORDER BY unit_id, model, strategy, file.name""",
        params={"part": part},
    ).to_arrow_table()
    units = files["unit_id"].to_numpy()
    start = 0
    for cut in [*(np.flatnonzero(units[1:] != units[:-1]) + 1), len(units)]:
        if cut - start >= BATCH_FILES or (cut == len(units) and cut > start):
            yield files.slice(start, cut - start)
            start = cut


def _insert(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.Table,
    store: Store,
    part: str,
    target: str,
    query: str,
) -> None:
    expected = pc.sum(batch["rows"]).as_py()
    with store.local(batch["name"].to_pylist()) as files:
        ((inserted,),) = connection.execute(
            f'INSERT INTO "{target}" WITH parts AS (FROM read_parquet($files)) {query}',
            {"files": [str(file) for file in files]},
        ).fetchall()
    if inserted != expected:
        raise CorruptDataError(
            f"rows of {part} do not match the study's objects one to one",
            where=f"units {batch['unit_id'][0]} to {batch['unit_id'][-1]}",
            got=f"{inserted} rows",
            expected=f"{expected} rows",
            remedy="run `samscope evaluate` again: the catalog changed since these cells ran",
        )
