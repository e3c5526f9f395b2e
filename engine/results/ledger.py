"""The plan's cells and the manifests that answer them, as tables of the database being built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa

from engine.identity import canonical_json
from engine.results.manifest import Manifest
from engine.results.parts import PartStore
from engine.results.record import PlanSummary

_LEDGER = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("unit_id", "model", "strategy", "identity")),
        pa.field("attempt", pa.string()),
        pa.field("done", pa.int64()),
        pa.field("failed", pa.int64()),
        pa.field("seconds", pa.map_(pa.string(), pa.float64())),  # stage -> seconds
        pa.field("worker", pa.string()),
        pa.field("pid", pa.int64()),
        pa.field("device", pa.string()),  # class, e.g. cpu-avx2 or cuda-NVIDIA-H200
        pa.field("precision", pa.string()),  # dtype of products
        pa.field("kernels", pa.string()),  # library and version
        pa.field("peak_memory_bytes", pa.int64()),
        pa.field("bytes", pa.int64()),  # of the part files
        pa.field("committed_at", pa.timestamp("us", tz="UTC")),
        pa.field("info", pa.string()),  # JSON, all the worker told
        pa.field(
            "files",
            pa.list_(
                pa.struct(
                    [
                        pa.field("part", pa.string()),
                        pa.field("name", pa.string()),
                        pa.field("rows", pa.int64()),
                    ]
                )
            ),
        ),
    ]
)
_BATCH = 4096

_UNITS = """
    CREATE TABLE units AS
    SELECT
        p.unit_id,
        p.model,  -- "-" for the object factors
        p.strategy,  -- "factors" for the object factors
        p.identity,
        if(l.attempt IS NULL, 'pending', 'committed') AS state,
        p.expected,
        l.* EXCLUDE (unit_id, model, strategy, identity, files)
    FROM planned p LEFT JOIN ledger l USING (unit_id, model, strategy, identity)
    ORDER BY p.unit_id, p.model, p.strategy"""

_ONE_A_CELL = (
    """DELETE FROM ledger WHERE attempt NOT IN (
           SELECT arg_min(
               attempt, {'failed': failed, 'at': committed_at, 'identity': identity}
           )
           FROM ledger GROUP BY unit_id, model, strategy
       )""",
    """UPDATE planned SET identity = ledger.identity FROM ledger
       WHERE planned.unit_id = ledger.unit_id AND planned.model = ledger.model
         AND planned.strategy = ledger.strategy""",
)
"""Two workers of different numerics may both have committed a cell, as when one was taken for lost
or failed in it: the rows count of the one with fewer failed trials, of equals those of the one that
says it was first, whichever driver builds the database. The plan then asks for those."""


def load_ledger(
    connection: duckdb.DuckDBPyConnection,
    plan: PlanSummary,
    parts: PartStore,
) -> None:
    """Create the temporary tables `planned`, `ledger` and `fresh`, and `units` from the first two.

    The ledger takes the manifests of the plan's cells that are valid in it and whose files are as
    committed; one whose files are not is set aside. What stands in `kept` was compared by checksum
    when its rows were loaded; `fresh` is the rest.
    """
    connection.register("source", plan.cells)
    connection.execute("CREATE TEMP TABLE planned AS FROM source")
    connection.register("source", _LEDGER.empty_table())
    connection.execute("CREATE TEMP TABLE ledger AS FROM source")
    wanted = set(plan.cells["identity"].to_pylist())
    admits = plan.admits or (lambda manifest: manifest.identity in wanted)
    keys = "unit_id, model, strategy" + (", identity" if plan.admits is None else "")
    kept = {name for (name,) in connection.execute("SELECT attempt FROM kept").fetchall()}
    valid = (manifest for manifest in parts.manifests() if admits(manifest))
    sound = parts.sound(valid, checksums=lambda manifest: manifest.attempt not in kept)
    for rows in _batches(map(_row, sound)):
        connection.register("source", pa.Table.from_pylist(rows, _LEDGER))
        connection.execute(f"INSERT INTO ledger FROM source SEMI JOIN planned USING ({keys})")
    connection.unregister("source")
    if plan.admits is not None:
        for statement in _ONE_A_CELL:
            connection.execute(statement)
    connection.execute(_UNITS)
    connection.execute("CREATE TEMP TABLE fresh AS FROM ledger ANTI JOIN kept USING (attempt)")


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _texts(stated: object) -> dict[str, str]:
    """What a manifest states in words; nothing where it is no record."""
    if not isinstance(stated, Mapping):
        return {}
    return {name: value for name, value in stated.items() if isinstance(value, str)}


def _row(manifest: Manifest) -> dict[str, Any]:
    info, cell = manifest.info, manifest.cell
    worker, numerics = info.get("worker"), _texts(info.get("numerics"))
    return {
        "unit_id": cell.unit_id,
        "model": cell.model,
        "strategy": cell.strategy,
        "identity": manifest.identity,
        "attempt": manifest.attempt,
        "done": manifest.done,
        "failed": manifest.failed,
        "seconds": sorted((str(k), float(v)) for k, v in dict(info.get("seconds", {})).items()),
        "worker": None if worker is None else str(worker),
        "pid": info.get("pid"),
        "device": numerics.get("device"),
        "precision": numerics.get("dtype"),
        "kernels": numerics.get("kernels"),
        "peak_memory_bytes": info.get("peak_memory_bytes"),
        "bytes": sum(part.bytes for part in manifest.files),
        "committed_at": datetime.fromtimestamp(manifest.committed_at, UTC),
        "info": canonical_json(dict(info)),
        "files": [{"part": f.table, "name": f.name, "rows": f.rows} for f in manifest.files],
    }
