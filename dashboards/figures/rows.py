"""Small helpers that all figures share: rows in order, intervals as line segments, words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import pyarrow as pa

Row = dict[str, Any]

SEEN_MARK = " †"
"""Behind the name of a model that has seen some of the subjects shown in training."""


def rows(table: pa.Table) -> list[Row]:
    """The rows of an answer, in its order."""
    result: list[Row] = table.to_pylist()
    return result


def unique(values: Iterable[Any]) -> list[Any]:
    """Values in the order of first appearance."""
    return list(dict.fromkeys(values))


def coverage(items: Sequence[Row]) -> str:
    """`n/N` of rows that share N; a range where n differs."""
    numbers = sorted({row["n"] for row in items})
    expected = items[0]["expected"]
    if len(numbers) == 1:
        return f"{numbers[0]:,}/{expected:,}"
    return f"{numbers[0]:,}–{numbers[-1]:,} / {expected:,}"


def fewest(hidden: int) -> str:
    """Words for rows that a figure has no room for."""
    one = hidden == 1
    return (
        f"{hidden:,} {'row' if one else 'rows'} with the fewest objects "
        f"{'is' if one else 'are'} only in the CSV."
    )


def segments(
    items: Sequence[Row], value: str, positions: Sequence[float]
) -> tuple[list[float | None], list[float | None]]:
    """(along, across) of the intervals as separate line pieces; undefined ones are left out."""
    along: list[float | None] = []
    across: list[float | None] = []
    for row, position in zip(items, positions, strict=True):
        if row[f"{value}_lo"] is not None:
            along += [row[f"{value}_lo"], row[f"{value}_hi"], None]
            across += [position, position, None]
    return along, across


def hover(row: Row, value: str) -> str:
    """Mean, interval, n/N and subjects, for one mark."""
    if row[value] is None:
        return "nothing scored"
    lo, hi = row[f"{value}_lo"], row[f"{value}_hi"]
    spread = f" [{lo:.3f}, {hi:.3f}]" if lo is not None else " (one subject: no interval)"
    return (
        f"{row[value]:.3f}{spread}<br>{row['n']:,} scored / {row['expected']:,} expected, "
        f"{row['subjects']:,} subjects"
    )


def short(name: str, longest: int) -> str:
    """A name from data as a label: cut to `longest` characters, safe in Plotly's pseudo-HTML."""
    return escape(name if len(name) <= longest else name[: longest - 2] + "…")


def offsets(n: int, width: float) -> list[float]:
    """n positions around 0, within +- width / 2."""
    if n == 1:
        return [0.0]
    return [width * (i / (n - 1) - 0.5) for i in range(n)]


def preferred(items: Sequence[Row]) -> tuple[str, list[Row]]:
    """The rows of one selection and its name: what a user gets, where it is among them."""
    there = unique(row["selection"] for row in items)
    chosen = "predicted_iou" if "predicted_iou" in there or not there else there[0]
    return chosen, [row for row in items if row["selection"] == chosen]
