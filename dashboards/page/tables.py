"""Answers as HTML-ready tables: headings in words, numbers as a person reads them, CSV beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dashboards.page.uri import data_uri
from engine.results.export import plain, to_bytes

MAX_ROWS = 50
"""Longer tables are cut on the page; their CSV is whole."""

_HEADINGS = {
    "n": "n scored", "expected": "N expected", "subjects": "subjects",
    "dice": "Dice", "dice_lo": "lower", "dice_hi": "upper",
    "dice_balanced": "Dice, balanced", "dice_balanced_lo": "lower", "dice_balanced_hi": "upper",
    "gap": "gap", "gap_lo": "lower", "gap_hi": "upper",
    "gap_balanced": "gap, balanced", "gap_balanced_lo": "lower", "gap_balanced_hi": "upper",
    "drop": "drop", "drop_lo": "lower", "drop_hi": "upper",
    "drop_balanced": "drop, balanced", "drop_balanced_lo": "lower", "drop_balanced_hi": "upper",
    "n_defined": "n defined", "n_empty": "n empty", "mean_jaccard": "Jaccard, mean",
    "mean_nsd": "NSD, mean", "median_hausdorff_px": "Hausdorff, median px",
    "median_hd95_px": "HD95, median px", "median_assd_px": "ASSD, median px",
    "n_excluded": "left out", "n_failures": "failures", "n_trials": "trials lost",
    "peak_memory_gib": "peak memory, GiB",
    "jitter_lo": "from px", "jitter_hi": "to px",
}  # fmt: skip


@dataclass(frozen=True)
class HtmlTable:
    """A table as the template prints it.

    Attributes:
        name: of the CSV file.
        headings: (words, is a number) per column.
        lines: cells as text.
        hidden: rows that are only in the CSV.
        csv: data URI of the whole table, fractions to six digits.
    """

    name: str
    headings: list[tuple[str, bool]]
    lines: list[list[str]]
    hidden: int
    csv: str


def html_table(name: str, answer: pa.Table) -> HtmlTable:
    """The table of an answer; undefined is a dash."""
    headings = [
        (_HEADINGS.get(field.name, field.name.replace("_", " ")), _numeric(field.type))
        for field in answer.schema
    ]
    rows = answer.slice(0, MAX_ROWS).to_pylist()
    lines = [[cell(value) for value in row.values()] for row in rows]
    csv = data_uri("text/csv", to_bytes(_short(answer), "csv"))
    return HtmlTable(name, headings, lines, max(len(answer) - MAX_ROWS, 0), csv)


def _short(answer: pa.Table) -> pa.Table:
    """Fractions to six digits: a page with all of them would be a third larger."""
    for place, field in enumerate(answer.schema):
        if pa.types.is_floating(field.type):
            values = answer.column(place).to_pylist()
            short = [None if value is None else float(f"{value:.6g}") for value in values]
            answer = answer.set_column(place, field, pa.array(short, field.type))
    return answer


def cell(value: Any) -> str:
    """A value as text: integers with separators, fractions to three places."""
    value = plain(value)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"
    return str(value)


def _numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
