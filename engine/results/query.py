"""Asking a run's database what samscope itself wants to know: read-only, in this process.

SQL that a person wrote goes through `engine.results.sandbox`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from engine.errors import UserError
from engine.results.publish import POINTER
from engine.results.remote import fetch_database, read_pointer
from engine.stores import ObjectStore, Place, below, place_of, without

SEALED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
}
"""A database that came from elsewhere may hold views over files and addresses: none are opened."""


def database_of(run_dir: Place) -> Path:
    """The newest database of a run; of one in an object store, a copy in the cache.

    The pointer is resolved once: a build that finishes meanwhile changes nothing for this reader.

    Raises:
        UserError: the run has no results database.
    """
    if not isinstance(run_dir, Path):
        return fetch_database(ObjectStore(run_dir))
    pointer = run_dir / POINTER
    if not pointer.is_file():
        raise UserError(
            "this run has no results database",
            where=str(pointer),
            got=without(run_dir, POINTER),
            remedy="run `samscope evaluate STUDY.yaml --collection C --out RUN_DIR`, which "
            "builds it at its end; where that was stopped, the same command goes on",
        )
    return pointer.resolve()


def has_database(run_dir: Place) -> bool:
    """Whether a run has results that could be asked."""
    if isinstance(run_dir, Path):
        return (run_dir / POINTER).exists()
    return read_pointer(ObjectStore(run_dir)) is not None


def connect(run_dir: Place | str) -> duckdb.DuckDBPyConnection:
    """Open the newest results of a run read-only.

    Args:
        run_dir: a path or an address; text is taken as either.

    Raises:
        UserError: the run has no results database, or it cannot be opened.
    """
    place = place_of(run_dir)
    database = database_of(place)
    try:
        return duckdb.connect(str(database), read_only=True, config=SEALED)
    except duckdb.Error as error:
        raise cannot_be_opened(place, error) from error


def cannot_be_opened(run_dir: Place, error: object) -> UserError:
    """Of a database that is there and damaged, or of another version."""
    return UserError(
        "the results database cannot be opened",
        where=below(run_dir, POINTER),
        got=error,
        remedy="run `samscope evaluate` again: it builds the database anew from the parts",
    )


def query(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Run one SELECT and return all its rows.

    Raises:
        UserError: it fails, because the database is of another version or damaged.
    """
    try:
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise UserError(
            "the question failed",
            got=str(error).strip(),
            expected="a results database of this version of samscope",
            remedy="run `samscope evaluate` again: it builds the database anew from the parts",
        ) from error


def run_sql(run_dir: Place, sql: str) -> pa.Table:
    """Run one of samscope's own SELECTs on the newest results of a run. Raises as above."""
    with connect(run_dir) as connection:
        return query(connection, sql)
