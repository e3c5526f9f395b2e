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
        UserError: not one statement, or one that returns no rows or fails; with DuckDB's message,
            which names close tables and columns.
    """
    _check_one_statement(sql)
    try:
        relation = connection.sql(sql)
        if relation is None:
            raise _no_rows(sql)
        return relation.to_arrow_table()
    except duckdb.Error as error:
        raise _failed(error) from error


def _check_one_statement(sql: str) -> None:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UserError(
            "the query is not valid SQL",
            got=str(error).strip(),
            expected="one SELECT statement of DuckDB",
            remedy="correct it at the mark; on a shell, put the whole query in double quotes",
        ) from error
    if not statements:
        raise UserError(
            "the query is empty",
            got=sql.strip() or "nothing",
            expected="one SELECT statement",
            remedy='try "FROM results LIMIT 5"',
        )
    if len(statements) > 1:
        raise UserError(
            "the query has several statements",
            got=f"{len(statements)} statements",
            expected="one SELECT statement",
            remedy="ask them one call at a time",
        )


def _no_rows(sql: str) -> UserError:
    return UserError(
        "the statement returns no rows",
        got=sql.strip(),
        expected="a SELECT",
        remedy='begin it with SELECT or FROM, as in "FROM results LIMIT 5"',
    )


def _failed(error: duckdb.Error) -> UserError:
    if "read-only" in str(error):
        return UserError(
            "the statement would write",
            got=str(error).strip(),
            expected="a SELECT: the database is opened read-only",
            remedy="keep an answer outside it: samscope sql ... --format parquet > FILE",
        )
    return UserError(
        "the query failed",
        got=str(error).strip(),
        expected="one SELECT over the tables and views of the run",
        remedy="`SHOW TABLES` lists tables and views, `DESCRIBE results` its columns",
    )


def run_sql(run_dir: Path, sql: str) -> pa.Table:
    """Run one SQL query on the newest results of a run. Raises UserError as `query` does."""
    with connect(run_dir) as connection:
        return query(connection, sql)
