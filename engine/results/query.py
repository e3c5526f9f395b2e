"""Asking a run's database: read-only, with errors a person can act on."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from engine.errors import UserError
from engine.results.publish import POINTER


def connect(run_dir: Path) -> duckdb.DuckDBPyConnection:
    """Open the newest results of a run read-only.

    The pointer is resolved once: a build that finishes meanwhile changes nothing for this reader.

    Raises:
        UserError: the run has no results database, or it cannot be opened.
    """
    pointer = run_dir / POINTER
    if not pointer.is_file():
        raise UserError(
            "this run has no results database",
            where=str(pointer),
            got="a folder without it" if run_dir.is_dir() else "no such folder",
            remedy="run `samscope evaluate STUDY.yaml --collection C --out RUN_DIR` first",
        )
    try:
        return duckdb.connect(str(pointer.resolve()), read_only=True)
    except duckdb.Error as error:
        raise UserError(
            "the results database cannot be opened",
            where=str(pointer),
            got=error,
            remedy="run `samscope evaluate` again: it builds the database anew from the parts",
        ) from error


def query(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Run one SQL query and return all its rows.

    Raises:
        UserError: with DuckDB's message, which names close tables and columns.
    """
    try:
        relation = connection.sql(sql)
        if relation is None:
            raise UserError("the query returns no rows", got=sql.strip() or "(nothing)",
                            expected="a SELECT")  # fmt: skip
        return relation.to_arrow_table()
    except duckdb.Error as error:
        raise UserError(
            "the query failed",
            got=str(error).strip(),
            remedy="`SHOW TABLES` lists tables and views, `DESCRIBE results` its columns",
        ) from error


def run_sql(run_dir: Path, sql: str) -> pa.Table:
    """Run one SQL query on the newest results of a run. Raises UserError as `query` does."""
    with connect(run_dir) as connection:
        return query(connection, sql)
