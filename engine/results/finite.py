"""No NaN and no infinity in the results: undefined is NULL."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from engine.errors import CorruptDataError


def refuse_nan(
    connection: duckdb.DuckDBPyConnection, table: str, *, rows: str | None = None
) -> None:
    """Look at every floating-point value of a table.

    Args:
        rows: where its rows are; None: in the table of that name.

    Raises:
        CorruptDataError: naming table, column and the number of values that are NaN or infinite.
    """
    source = rows or table
    schema = connection.sql(f'FROM "{source}" LIMIT 0').to_arrow_table().schema
    for field in schema:
        for path, values in _float_values(f'"{field.name}"', field.type):
            ((bad,),) = connection.execute(
                f'SELECT count(*) FROM (SELECT {values} AS v FROM "{source}")'
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
