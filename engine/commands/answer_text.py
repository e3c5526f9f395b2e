"""An answer as a person reads it in a terminal: few digits, intervals and counts in one column."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from engine.results.export import MAX_TEXT_ROWS, plain, printable

DIGITS = 3
Row = dict[str, Any]


@dataclass(frozen=True)
class _Column:
    """Cells of one column as text; a name says which row it is, and stands in every block."""

    heading: str
    cells: list[str]
    number: bool
    names: bool

    @property
    def width(self) -> int:
        return max(map(len, (self.heading, *self.cells)))


def answer_text(answer: pa.Table, width: int | None) -> str:
    """The rows as text, at most `MAX_TEXT_ROWS`.

    `x, x_lo, x_hi` become `0.812 [0.784, 0.843]` and `n, expected` become `n / N`.

    Args:
        width: columns of the terminal: a wider table is given in blocks, each with the columns
            that name a row; None: as wide as it is.
    """
    columns = _columns(answer.schema, answer.slice(0, MAX_TEXT_ROWS).to_pylist())
    blocks = [columns] if width is None else list(_blocks(columns, width))
    hidden = len(answer) - MAX_TEXT_ROWS
    rest = f", {hidden:,} not shown: --format csv has all" if hidden > 0 else ""
    rows = f"({len(answer):,} row{'' if len(answer) == 1 else 's'}{rest})"
    return "\n\n".join(_drawn(block) for block in blocks) + f"\n{rows}"


def _columns(schema: pa.Schema, rows: Sequence[Row]) -> list[_Column]:
    found, there = [], set(schema.names)
    for field in schema:
        stem, _, end = field.name.rpartition("_")
        if end in ("lo", "hi") and {stem, f"{stem}_lo", f"{stem}_hi"} <= there:
            continue
        if field.name == "expected" and "n" in there:
            continue
        number = not (pa.types.is_string(field.type) or pa.types.is_nested(field.type))
        heading, cells = field.name, [_cell(row[field.name]) for row in rows]
        if {f"{heading}_lo", f"{heading}_hi"} <= there:
            cells = [_interval(*(row[f"{heading}{end}"] for end in ("", "_lo", "_hi")))
                     for row in rows]  # fmt: skip
        elif heading == "n" and "expected" in there:
            heading, cells = "n / N", [f"{_cell(r['n'])} / {_cell(r['expected'])}" for r in rows]
        found.append(_Column(printable(heading), cells, number, not number))
    return _leading(found)


def _leading(columns: Sequence[_Column]) -> list[_Column]:
    """Only the texts before the first number name a row."""
    first = next((at for at, one in enumerate(columns) if one.number), len(columns))
    return [_Column(c.heading, c.cells, c.number, at < first) for at, c in enumerate(columns)]


def _blocks(columns: Sequence[_Column], width: int) -> Iterator[list[_Column]]:
    names = [column for column in columns if column.names]
    block, used = list(names), _width(names)
    for column in columns[len(names) :]:
        if used + column.width + 3 > width and len(block) > len(names):
            yield block
            block, used = list(names), _width(names)
        block.append(column)
        used += column.width + 3
    yield block


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width + 3 for column in columns)


def _drawn(columns: Sequence[_Column]) -> str:
    grid = Table(show_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column.heading, justify="right" if column.number else "left", no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        grid.add_row(*cells)
    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None, markup=False).print(grid)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _interval(mean: float | None, lo: float | None, hi: float | None) -> str:
    if mean is None or lo is None or hi is None:
        return _cell(mean)
    places = _places(max(map(abs, (mean, lo, hi))))
    return f"{mean:.{places}f} [{lo:.{places}f}, {hi:.{places}f}]"


def _cell(value: object) -> str:
    value = plain(value)
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}" if 0 < abs(value) < 1e-3 else f"{value:.{_places(value)}f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _places(value: float) -> int:
    """Decimals that show three digits, and never more than three decimals."""
    before = 0 if abs(value) < 1 else math.floor(math.log10(abs(value))) + 1
    return max(0, DIGITS - before)
