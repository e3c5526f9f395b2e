"""The finaliser: committed cells of the current plan become one DuckDB file."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.errors import CorruptDataError
from engine.files import make_folder
from engine.results.catalog import CatalogTables, ParquetCatalog, load_catalog
from engine.results.facts import load_facts
from engine.results.load import load_factors, load_parts
from engine.results.manifest import Manifest
from engine.results.parts import PartStore
from engine.results.publish import publish
from engine.results.record import PlanSummary, RunRecord

_log = logging.getLogger(__name__)

SEEN = "seen"
"""A table, because views join it row by row; made before them."""

VIEWS = (
    "scores",
    "candidates",
    "results_with_geometry",
    "results",
    "final_results",
    "results_paper",
    "results_worst_case",
    "results_volume",
    "coverage",
    "expected_scores",
)
"""In the order of creation: a view may use those before it."""

_MEASURED = (
    "trials",
    "slice_candidates",
    "overlaps",
    "objects",
    "slices",
    "cases",
    "units",
    "parity",
)


def build(
    run: RunRecord,
    plan: PlanSummary,
    manifests: Iterable[Manifest],
    catalog: CatalogTables | Path,
    out_dir: Path,
    *,
    store: PartStore | None = None,
) -> Path:
    """Build and publish the results database of a run; returns `out_dir/results-<n>.duckdb`.

    Only cells of the plan under their current identity enter; a cell whose files are not as
    committed is set aside and counts as pending. Two builds of the same parts hold the same rows.

    Args:
        manifests: of the ledger; those of cells or identities outside the plan are left out.
        catalog: the collection's tables (an open `Catalog`), or a folder of Parquet files.
        out_dir: the run directory, on a local disk.
        store: the ledger; by default that of `out_dir`.

    Raises:
        UserError: the catalog lacks a table or the plan's objects.
        CorruptDataError: a NaN or infinity, or rows that do not fit the plan.
    """
    tables = ParquetCatalog(catalog) if isinstance(catalog, Path) else catalog
    parts = store if store is not None else PartStore(out_dir)
    chosen = _verified(parts, plan, manifests)
    make_folder(out_dir)
    temporary = out_dir / f".results-{secrets.token_hex(8)}.building"
    try:
        with duckdb.connect(str(temporary)) as connection:
            load_factors(connection, [m for m in chosen if m.cell.is_factors], parts.store)
            load_catalog(connection, tables, plan)
            load_parts(connection, chosen, parts.store)
            load_facts(connection, run, plan, chosen)
            refuse_nan(connection)
            for name in (SEEN, *VIEWS):
                connection.execute(view_sql(name))
        target = publish(temporary, out_dir)
    finally:
        _remove(temporary)
    _log.info("published %s: %d of %d cells", target, len(chosen), len(plan.cells))
    return target


def view_sql(name: str) -> str:
    """The packaged `CREATE` statement of a view."""
    return (files("engine.results") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def _verified(parts: PartStore, plan: PlanSummary, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Manifests of the plan's cells and identities whose files are as committed, sorted."""
    wanted = {(planned.cell, planned.identity) for planned in plan.cells}
    current = {m.cell: m for m in manifests if (m.cell, m.identity) in wanted}
    return [current[cell] for cell in sorted(current) if parts.verify(current[cell])]


def refuse_nan(connection: duckdb.DuckDBPyConnection) -> None:
    """Look at every floating-point value of the measured tables.

    Raises:
        CorruptDataError: naming table, column and the number of values that are NaN or infinite.
    """
    for table in _MEASURED:
        schema = connection.sql(f'FROM "{table}" LIMIT 0').to_arrow_table().schema
        for field in schema:
            for path, values in _float_values(f'"{field.name}"', field.type):
                ((bad,),) = connection.execute(
                    f'SELECT count(*) FROM (SELECT {values} AS v FROM "{table}")'
                    " WHERE v IS NOT NULL AND NOT isfinite(v)"
                ).fetchall()
                if bad:
                    raise CorruptDataError(
                        "NaN or infinity in the results; undefined is NULL",
                        where=f"table {table}, column {path}",
                        got=f"{bad} values",
                    )


def _float_values(expression: str, kind: pa.DataType) -> Iterator[tuple[str, str]]:
    """(path, SQL giving one row per value) of the floating-point leaves below a column."""
    if pa.types.is_floating(kind):
        yield expression, expression
    elif pa.types.is_map(kind):
        yield from _float_values(f"unnest(map_values({expression}))", kind.item_type)
    elif pa.types.is_list(kind):
        yield from _float_values(f"unnest({expression})", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _float_values(f'({expression})."{field.name}"', field.type)


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)
    shutil.rmtree(temporary.with_name(temporary.name + ".tmp"), ignore_errors=True)
