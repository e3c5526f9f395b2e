"""Plain rows to Arrow tables of the part schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from engine.results.schema import PART_SCHEMAS


def part_tables(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Rows by part name to tables; a key the schema lacks is an error, not a silent loss.

    Raises:
        KeyError: an unknown part, or a row with an unknown column.
    """
    return {name: _table(part, PART_SCHEMAS[name]) for name, part in rows.items()}


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    known = set(schema.names)
    for row in rows:
        if not known >= row.keys():
            raise KeyError(f"columns {sorted(row.keys() - known)} are not in the part's schema")
    return pa.Table.from_pylist(list(rows), schema=schema)
