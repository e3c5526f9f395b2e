"""Means of Dice with intervals, of moments that stand in a row as lists."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from engine.analysis.bootstrap import Interval, interval_of_sums

_MOMENTS = ("counts", "totals")
_MEAN = (
    pa.field("n", pa.int64()),
    pa.field("subjects", pa.int64()),
    pa.field("dice", pa.float64()),
    pa.field("dice_lo", pa.float64()),
    pa.field("dice_hi", pa.float64()),
)


def dice_of_bins(connection: duckdb.DuckDBPyConnection, rows: pa.Table, seed: int) -> pa.Table:
    """The answer to `factor_bins`: its rows, with means and intervals in place of the moments.

    Args:
        rows: `counts` and `totals` are lists with an entry per subject, sorted by id; null: nothing
            was scored.
    """
    moments = [
        (counts or [], totals or [])
        for counts, totals in zip(*(rows[name].to_pylist() for name in _MOMENTS), strict=True)
    ]
    found: dict[int, Interval] = {}
    # Rows of equally many subjects share their draws, so one after the other draws once.
    for at in sorted(range(len(moments)), key=lambda at: len(moments[at][0])):
        counts, totals = moments[at]
        found[at] = interval_of_sums(totals, counts, seed=seed)
    means = [_row(found[at]) for at in range(len(moments))]
    columns = pa.Table.from_pylist(means, schema=pa.schema(_MEAN))
    at = rows.column_names.index(_MOMENTS[0])
    rest = rows.drop_columns(list(_MOMENTS))
    for field in reversed(_MEAN):
        rest = rest.add_column(at, field, columns[field.name])
    return rest


def _row(mean: Interval) -> dict[str, float | int | None]:
    values = (mean.n, mean.n_subjects, mean.mean, mean.lo, mean.hi)
    return {field.name: value for field, value in zip(_MEAN, values, strict=True)}
