"""How the command line speaks: results on standard output, everything else on standard error."""

from __future__ import annotations

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from engine.models.registry import untrained_models
from engine.study import Study

WIDE = 240
"""Columns of a table that goes to a file or a pipe."""


def out(text: str) -> None:
    """A line of a result."""
    Console(highlight=False, soft_wrap=True, markup=False).print(text)


def problem(text: str) -> None:
    """A line a person should act on."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)


def count(number: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_untrained(study: Study) -> None:
    """Name the models whose numbers say nothing about a trained model."""
    names = untrained_models(study)
    if names:
        out(f"untrained, random weights: {', '.join(names)}")


def table(rows: pa.Table, title: str | None = None) -> None:
    """A small table; numbers with three decimals, NULL where undefined."""
    drawn = Table(title=title, title_justify="left")
    for column in rows.schema:
        numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        drawn.add_column(column.name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows.to_pylist():
        drawn.add_row(*(_cell(value) for value in row.values()))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE  # a file has no edge at which to cut figures off
    console.print(drawn)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
