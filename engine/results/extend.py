"""A build that goes on from the database before it, where that holds nothing to take back.

The rows of a committed cell are a pure function of its files and of the keys of objects and
slices. So where the keys are the same and all cells that are in the database are committed still,
by the same attempts, only the cells that came since need to be read; their rows follow the others.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.results.publish import POINTER
from engine.results.record import RunRecord
from engine.results.rollups import SUMMED
from engine.results.schema import FACTORS, database_version

_log = logging.getLogger(__name__)

_GROWING = ("trials", "undisplaced", "slice_candidates", "overlaps", "failures")
"""Tables that keep their rows; all others are made anew."""

ANSWERS = "answers"
"""A schema whose tables whoever finishes a build looks after (`engine.analysis.kept`)."""

_KEPT = pa.schema(
    [pa.field(n, pa.string()) for n in ("unit_id", "model", "strategy", "identity", "attempt")]
)
_FACTORS = ", ".join(f'"{name}"' for name in FACTORS.names)
_ANY_FACTOR = ", ".join(f'"{name}"::VARCHAR' for name in FACTORS.names if name != "object_id")


class ChangedError(Exception):
    """The database before holds something that is no longer so: it must be built anew."""


def copy_previous(out_dir: Path, temporary: Path, run: RunRecord) -> bool:
    """Copy the newest database to `temporary`; False when there is none of this version."""
    newest = (out_dir / POINTER).resolve()
    if not newest.is_file():
        return False
    try:
        with duckdb.connect(str(newest), read_only=True) as connection:
            found = connection.execute(
                "SELECT database_version, samscope_version FROM runs"
            ).fetchall()
    except duckdb.Error as error:
        _log.info("%s is not extended: %s", newest, error)
        return False
    if found != [(database_version(), run.samscope_version)]:
        return False
    shutil.copyfile(newest, temporary)
    return True


def begin_anew(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what `begin_extended` creates, without rows."""
    for name, schema in {"kept": _KEPT, "kept_factors": FACTORS}.items():
        connection.register("source", schema.empty_table())
        connection.execute(f"CREATE TEMP TABLE {name} AS FROM source")
    connection.unregister("source")


def begin_extended(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop all but the growing tables, after taking from them what the build needs.

    That is, as temporary tables, `kept` (cells), `kept_factors`, `kept_keys` and the rollups.
    """
    connection.execute(
        f"""CREATE TEMP TABLE kept AS
            SELECT {", ".join(_KEPT.names)} FROM units WHERE state = 'committed'"""
    )
    connection.execute(
        f"""CREATE TEMP TABLE kept_factors AS
            SELECT {_FACTORS} FROM objects WHERE coalesce({_ANY_FACTOR}) IS NOT NULL"""
    )
    connection.execute(f"CREATE TEMP TABLE kept_keys AS {_KEYS}")
    for name in SUMMED:
        connection.execute(f"CREATE TEMP TABLE kept_{name} AS FROM {name}")
    tables = connection.execute(
        "SELECT table_name, table_type FROM information_schema.tables"
        " WHERE table_catalog = current_database() AND table_schema = 'main'"
    ).fetchall()
    for name, kind in sorted(tables, key=lambda row: row[1] != "VIEW"):
        if name not in _GROWING:
            connection.execute(f'DROP {"VIEW" if kind == "VIEW" else "TABLE"} "{name}"')


_KEYS = """
    SELECT 'object' AS what, count(*) AS n,
           bit_xor(hash(object_key, object_id, slice_id, structure)) AS keys
    FROM objects
    UNION ALL
    SELECT 'slice', count(*), bit_xor(hash(slice_key, slice_id, case_id)) FROM slices
    UNION ALL
    SELECT 'case', count(*), bit_xor(hash(case_id, dataset, modality, subject_id)) FROM cases"""
"""Of rows that are kept, the keys; of the moments that are kept, what they are summed by."""


def check_cells(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise ChangedError where a cell whose rows are kept is not in `ledger` any more."""
    ((gone,),) = connection.execute(
        f"SELECT count(*) FROM kept ANTI JOIN ledger USING ({', '.join(_KEPT.names)})"
    ).fetchall()
    if gone:
        raise ChangedError(f"{gone} cells in it are not asked for, or not committed, any more")


def check_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise ChangedError where objects, slices or cases are others than in what is kept."""
    ((other,),) = connection.execute(
        f"SELECT count(*) FROM (FROM kept_keys EXCEPT ({_KEYS}))"
    ).fetchall()
    if other:
        raise ChangedError("the study's objects are others")
