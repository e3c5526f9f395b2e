"""The study's part of the catalog, as tables of the results database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.errors import UserError
from engine.results.record import PlanSummary

_NEEDED = ("datasets", "cases", "slices", "objects", "exclusions")

_STUDY_TABLES = (
    # object keys follow (unit, object id), so that units load in key order, one batch at a time
    """CREATE TABLE objects AS
       SELECT row_number() OVER (ORDER BY s.unit_id, o.object_id)::INTEGER AS object_key,
              o.*, f.* EXCLUDE (object_id)
       FROM catalog_objects o JOIN catalog_slices s USING (slice_id)
       SEMI JOIN study_objects USING (object_id)
       LEFT JOIN factor_parts f ON f.object_id = o.object_id
       ORDER BY object_key""",
    """CREATE TABLE slices AS
       SELECT row_number() OVER (ORDER BY slice_id)::INTEGER AS slice_key, s.*
       FROM catalog_slices s SEMI JOIN objects USING (slice_id) ORDER BY slice_key""",
    """CREATE TABLE cases AS
       FROM catalog_cases SEMI JOIN slices USING (case_id) ORDER BY case_id""",
    """CREATE TABLE datasets AS
       FROM catalog_datasets SEMI JOIN cases USING (dataset) ORDER BY dataset""",
    """CREATE TABLE exclusions AS
       SELECT * FROM (FROM catalog_exclusions UNION ALL BY NAME FROM study_exclusions)
       ORDER BY dataset, case_id, slice_id, object_id, reason, detail""",
)


class CatalogTables(Protocol):
    """Where the catalog's tables come from; `engine.collection.catalog.Catalog` is one."""

    def table(self, name: str) -> pa.Table:
        """The rows of a table of `CATALOG_SCHEMAS`."""
        ...


@dataclass(frozen=True)
class ParquetCatalog:
    """Catalog tables as `folder/<name>.parquet`."""

    folder: Path

    def table(self, name: str) -> pa.Table:
        """Raises UserError when the file is absent or unreadable."""
        path = self.folder / f"{name}.parquet"
        try:
            return pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise UserError(
                f"the collection has no readable catalog table '{name}'",
                where=str(path),
                got=error,
                remedy="name a collection made by `samscope ingest`",
            ) from error


def load_catalog(
    connection: duckdb.DuckDBPyConnection, catalog: CatalogTables, plan: PlanSummary
) -> None:
    """Create `datasets, cases, slices, objects, exclusions` for the study's population.

    `objects` takes its factors from the temporary table `factor_parts`.
    """
    for name in _NEEDED:
        connection.register(f"catalog_{name}", catalog.table(name))
    empty = CATALOG_SCHEMAS["exclusions"].empty_table()
    exclusions = plan.exclusions if plan.exclusions is not None else empty
    ids = pa.table({"object_id": plan.object_ids})
    connection.register("study_objects", ids)
    connection.register("study_exclusions", exclusions.cast(CATALOG_SCHEMAS["exclusions"]))
    for statement in _STUDY_TABLES:
        connection.execute(statement)
    for name in ("study_objects", "study_exclusions", *(f"catalog_{n}" for n in _NEEDED)):
        connection.unregister(name)
    _check_population(connection, len(plan.object_ids))


def _check_population(connection: duckdb.DuckDBPyConnection, planned: int) -> None:
    (row,) = connection.execute(
        "SELECT count(*), count(DISTINCT object_id) FROM objects"
    ).fetchall()
    if row != (planned, planned):
        raise UserError(
            "the catalog does not hold the plan's objects, each once",
            where="catalog table objects, joined with its slices",
            got=f"{row}",
            expected=f"{planned} objects",
            remedy="run `samscope evaluate` again with the collection the run was made from",
        )
