"""Tables to CSV, JSON, Parquet or text for a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from engine.errors import UserError, nearest

MAX_TEXT_ROWS = 200
_LONGEST_JSON = 60
"""Characters of a list or a mapping in a table to be read; texts, as ids, are whole."""
_CUT = "[...]"


def export(table: pa.Table, fmt: str, stream: BinaryIO) -> None:
    """Write a table as `csv`, `json` (an array of objects), `parquet` or `table` (for reading).

    Undefined is an empty field, null, or `NULL` in text; nested values are JSON in CSV and text.

    Raises:
        UserError: unknown format.
    """
    writer = _WRITERS.get(fmt)
    if writer is None:
        raise UserError(f"unknown format '{fmt}'", got=fmt, remedy=nearest(fmt, _WRITERS))
    writer(table, stream)


def to_bytes(table: pa.Table, fmt: str) -> bytes:
    """As `export`, in memory."""
    stream = io.BytesIO()
    export(table, fmt, stream)
    return stream.getvalue()


def plain(value: object) -> Any:
    """A value as JSON can hold it: NaN and infinity become null, times ISO text."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _write_csv(table: pa.Table, stream: BinaryIO) -> None:
    columns = [_flat(table.column(i)) for i in range(table.num_columns)]
    pa_csv.write_csv(
        pa.table(columns, names=table.column_names),
        stream,
        pa_csv.WriteOptions(quoting_style="needed"),
    )


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column CSV can hold: nested values as JSON, NaN as null, exact decimals as text."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = [None if v is None else json.dumps(plain(v)) for v in column.to_pylist()]
        return pa.chunked_array([texts], pa.string())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column, None)
    return column.cast(pa.string()) if pa.types.is_decimal(kind) else column


def _write_json(table: pa.Table, stream: BinaryIO) -> None:
    stream.write(b"[")
    for index, row in enumerate(table.to_pylist()):
        text = json.dumps(plain(row), ensure_ascii=False, allow_nan=False)
        stream.write((",\n" if index else "\n").encode() + text.encode())
    stream.write(b"\n]\n")


def _write_parquet(table: pa.Table, stream: BinaryIO) -> None:
    pq.write_table(table, stream)


def _write_table(table: pa.Table, stream: BinaryIO) -> None:
    grid = Table(show_edge=False, header_style="bold")
    for field in table.schema:
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        grid.add_column(printable(field.name), justify="right" if numeric else "left", no_wrap=True)
    for row in table.slice(0, MAX_TEXT_ROWS).to_pylist():
        grid.add_row(*(_cell(value) for value in row.values()))
    text = io.StringIO()
    # wide enough for every column: a clipped id is of no use
    Console(file=text, width=10_000, color_system=None).print(grid, markup=False)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    hidden = len(table) - MAX_TEXT_ROWS
    lines.append(f"({len(table)} rows{f', {hidden} not shown' if hidden > 0 else ''})")
    if any(_CUT in line for line in lines):
        lines.append(f"({_CUT}: the rest of a cell, which --format csv has)")
    stream.write(("\n".join(lines) + "\n").encode())


def _cell(value: object) -> str:
    value = plain(value)
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _LONGEST_JSON and (text is not value or _is_json(text)):
        text = text[: _LONGEST_JSON - len(_CUT)] + _CUT
    return printable(text)


def _is_json(text: str) -> bool:
    """A list or mapping, and no id or message that begins like one."""
    if not text.startswith(("[", "{")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def printable(text: str) -> str:
    """Control characters of foreign names shown, not sent to the terminal, which obeys them."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


_WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
}
