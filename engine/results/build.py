"""The finaliser: committed cells of the current plan become one DuckDB file."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import duckdb

from engine.errors import no_room
from engine.files import make_folder
from engine.results.catalog import CatalogTables, ParquetCatalog, load_catalog
from engine.results.extend import (
    ChangedError,
    begin_anew,
    begin_extended,
    check_cells,
    check_keys,
    copy_previous,
)
from engine.results.facts import load_facts
from engine.results.finite import refuse_nan
from engine.results.ledger import load_ledger
from engine.results.load import load_factors, load_parts
from engine.results.paired_moments import add_paired_moments
from engine.results.parts import PartStore
from engine.results.publish import publish
from engine.results.record import PlanSummary, RunRecord

_log = logging.getLogger(__name__)

MEMORY = "2GB"
"""That DuckDB may use for a build; what does not fit lies on the disk beside the database."""

SEEN = "seen"
"""A table, because views join it row by row; made before them."""

VIEWS = (
    "scores",
    "candidates",
    "results_with_geometry",
    "results",
    "final_results",
    "final_moments",
    "final_undisplaced",
    "paired_scores",
    "paired_results",
    "results_paper",
    "results_worst_case",
    "results_volume",
    "coverage",
    "expected_scores",
)
"""In the order of creation: a view may use those before it."""

MACROS = ("spearman", "partial_spearman")
"""Kept in the database, so that whoever opens it can call them."""

_MEASURED = ("slice_candidates", "overlaps", "objects", "slices", "cases", "units", "parity")
"""Tables searched for NaN when they are complete; trials are searched as they come."""


def build(
    run: RunRecord,
    plan: PlanSummary,
    catalog: CatalogTables | Path,
    out_dir: Path,
    *,
    store: PartStore | None = None,
    finish: Callable[[duckdb.DuckDBPyConnection], None] | None = None,
) -> Path:
    """Build and publish the results database of a run; returns `out_dir/results-<n>.duckdb`.

    Only cells of the plan under their current identity enter; a cell whose files are not as
    committed is set aside and counts as pending. Two builds of the same parts hold the same rows.
    Where nothing is to be taken back, rows of the database before are kept (`extend.py`).

    Args:
        catalog: the collection's tables (an open `Catalog`), or a folder of Parquet files.
        out_dir: the run directory, on a local disk.
        store: the ledger; by default that of `out_dir`.
        finish: called with the complete database before it is published; writes to the schema
            `extend.ANSWERS` alone.

    Raises:
        UserError: the catalog lacks a table or the plan's objects, or the disk is full.
        CorruptDataError: a NaN or infinity, or rows that do not fit the plan.
    """
    tables = ParquetCatalog(catalog) if isinstance(catalog, Path) else catalog
    parts = store if store is not None else PartStore(out_dir)
    make_folder(out_dir)
    temporary = out_dir / f".results-{secrets.token_hex(8)}.building"
    try:
        try:
            extended = copy_previous(out_dir, temporary, run)
            committed = _fill(temporary, run, plan, tables, parts, finish, extended=extended)
        except ChangedError as reason:
            _log.info("the database is built anew: %s", reason)
            _remove(temporary)
            committed = _fill(temporary, run, plan, tables, parts, finish, extended=False)
        target = publish(temporary, out_dir)
    except duckdb.Error as problem:
        raise no_room(problem, str(out_dir)) or problem from problem
    finally:
        _remove(temporary)
    _log.info("published %s: %d of %d cells", target, committed, len(plan.cells))
    return target


def _fill(
    database: Path,
    run: RunRecord,
    plan: PlanSummary,
    tables: CatalogTables,
    parts: PartStore,
    finish: Callable[[duckdb.DuckDBPyConnection], None] | None,
    *,
    extended: bool,
) -> int:
    """Write all tables and views; returns the number of committed cells.

    Raises:
        ChangedError: the database that was to be extended cannot be.
    """
    with duckdb.connect(str(database), config={"memory_limit": MEMORY}) as connection:
        begin = begin_extended if extended else begin_anew
        begin(connection)
        load_ledger(connection, plan, parts)
        if extended:
            check_cells(connection)
        load_factors(connection, parts.store)
        load_catalog(connection, tables, plan)
        if extended:
            check_keys(connection)
        load_parts(connection, parts.store)
        load_facts(connection, run, plan)
        for name in _MEASURED:
            refuse_nan(connection, name)
        for name in (SEEN, *VIEWS, *MACROS):
            connection.execute(view_sql(name))
        add_paired_moments(connection)
        ((committed,),) = connection.execute("SELECT count(*) FROM ledger").fetchall()
        if finish is not None:
            finish(connection)
        # Closing would do it too, but says nothing when there is no room for it.
        connection.execute("CHECKPOINT")
    return int(committed)


def view_sql(name: str) -> str:
    """The packaged `CREATE` statement of a view."""
    return (files("engine.results") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)
    shutil.rmtree(temporary.with_name(temporary.name + ".tmp"), ignore_errors=True)
