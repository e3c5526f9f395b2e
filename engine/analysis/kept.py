"""Answers the finaliser computes once, so that asking costs the same at any size of a run.

They lie in the schema `answers` of the database, one table per question. `answers.made_from` says
what each was made from: a hash of the question, so that another version of samscope answers anew,
and one of everything the build was made of, so that a build without anything new keeps them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import duckdb
import pyarrow as pa

from engine.errors import UserError
from engine.results.extend import ANSWERS
from engine.results.query import query

_log = logging.getLogger(__name__)

_MADE_FROM = f"{ANSWERS}.made_from"

_STATE_OF = {
    "units": "unit_id, model, strategy, identity, state, attempt",
    "runs": "* EXCLUDE (wall_s, created)",
    "models": "*",
    "expected": "*",
    "datasets": "*",
    "cases": "*",
    "exclusions": "*",
}
"""Small tables from which all others follow, and of what columns."""


def kept_answer(
    connection: duckdb.DuckDBPyConnection, name: str, fingerprint: str
) -> pa.Table | None:
    """The answer kept in the database, unless there is none of this question as it is asked now."""
    if not _has_answers(connection):
        return None
    found = connection.execute(
        f"SELECT count(*) FROM {_MADE_FROM} WHERE question = $1 AND fingerprint = $2",
        [name, fingerprint],
    ).fetchall()
    return query(connection, f'FROM {ANSWERS}."{name}"') if found == [(1,)] else None


def keep(
    connection: duckdb.DuckDBPyConnection,
    questions: Mapping[str, tuple[str, Callable[[], pa.Table]]],
) -> None:
    """Keep the answers to `questions`; those that are kept and made of the same stay.

    A question that fails is left out with a warning: a build is not lost to it, and whoever asks it
    gets the error.

    Args:
        questions: name -> (fingerprint, how to answer it).
    """
    state = _state(connection)
    before = _made_from(connection)
    for name, (fingerprint, ask) in questions.items():
        if before.pop(name, None) != (fingerprint, state):
            _keep_one(connection, name, (fingerprint, state), ask)
    for name in before:  # questions that are no more
        _forget(connection, name)


def _keep_one(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    made_from: tuple[str, str],
    ask: Callable[[], pa.Table],
) -> None:
    _forget(connection, name)
    try:
        found = ask()
    except UserError as problem:
        _log.warning("question '%s' has no kept answer: %s", name, problem)
        return
    connection.register("answer", found)
    connection.execute(f'CREATE TABLE {ANSWERS}."{name}" AS FROM answer')
    connection.unregister("answer")
    connection.execute(f"INSERT INTO {_MADE_FROM} VALUES ($1, $2, $3)", [name, *made_from])


def _forget(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.execute(f'DROP TABLE IF EXISTS {ANSWERS}."{name}"')
    connection.execute(f"DELETE FROM {_MADE_FROM} WHERE question = $1", [name])


def _made_from(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ANSWERS}")
    connection.execute(
        f"""CREATE TABLE IF NOT EXISTS {_MADE_FROM} (
            question VARCHAR, fingerprint VARCHAR, state VARCHAR)"""
    )
    rows = connection.execute(f"FROM {_MADE_FROM}").fetchall()
    return {name: (fingerprint, state) for name, fingerprint, state in rows}


def _state(connection: duckdb.DuckDBPyConnection) -> str:
    """Of what the database is made: the same for two builds that hold the same rows."""
    parts = [
        f"SELECT count(*) AS n, bit_xor(hash(r)) AS rows FROM (SELECT {what} FROM {table}) r"
        for table, what in _STATE_OF.items()
    ]
    rows = connection.execute(" UNION ALL ".join(parts)).fetchall()
    return " ".join(f"{n}-{rows_hash}" for n, rows_hash in rows)


def _has_answers(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = $1 AND table_name = 'made_from'",
            [ANSWERS],
        ).fetchall()
    )
