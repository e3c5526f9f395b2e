"""From per-subject moments to means with intervals, one row per key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from engine.analysis.bootstrap import Interval, interval_of_sums

Row = dict[str, Any]


@dataclass(frozen=True)
class Moments:
    """Where a value's moments stand: columns with the number and the sum of its samples."""

    name: str
    n: str
    total: str


@dataclass(frozen=True)
class Means:
    """Makes means with intervals of a question's moments.

    Attributes:
        keys: columns that name a row of the answer.
        values: the means to take.
    """

    keys: tuple[str, ...]
    values: tuple[Moments, ...]

    def __call__(
        self, connection: duckdb.DuckDBPyConnection, rows: pa.Table, seed: int
    ) -> pa.Table:
        """As `summarise`."""
        return summarise(rows, self.keys, self.values, seed)


def summarise(
    rows: pa.Table, keys: Sequence[str], values: Sequence[Moments], seed: int
) -> pa.Table:
    """Means and intervals per key, in the order of first appearance.

    Args:
        rows: moments, one row per key, subject_id, structure and modality; subject_id null:
            nothing was scored. `expected` is constant per key. Rows of a key stand together.
        values: the first one's number of samples becomes the column `n`.
    """
    kept = [_summary(list(group), keys, values, seed) for group in _grouped(rows, keys)]
    return pa.Table.from_pylist(kept, schema=_schema(rows.schema, keys, values))


def _grouped(rows: pa.Table, keys: Sequence[str]) -> Iterator[Iterator[Row]]:
    for _, group in groupby(rows.to_pylist(), key=lambda row: tuple(row[key] for key in keys)):
        yield group


def _summary(
    group: Sequence[Row], keys: Sequence[str], values: Sequence[Moments], seed: int
) -> Row:
    out: Row = {key: group[0][key] for key in keys}
    out["expected"] = group[0]["expected"]
    for index, value in enumerate(values):
        stems = _stems(value, keys)
        intervals = _intervals(group, value, seed, balanced=len(stems) > 1)
        if index == 0:
            out["n"], out["subjects"] = intervals[0].n, intervals[0].n_subjects
        for name, found in zip(stems, intervals, strict=True):
            out |= {name: found.mean, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
    return out


def _intervals(
    group: Sequence[Row], value: Moments, seed: int, *, balanced: bool
) -> tuple[Interval, ...]:
    """Mask-weighted and, where asked, balanced over structure and modality."""
    scored = [row for row in group if row[value.n]]
    subjects = sorted({row["subject_id"] for row in scored})
    pairs = sorted({(row["structure"], row["modality"]) for row in scored})
    sums, counts = np.zeros((2, len(subjects), len(pairs)))
    at_subject = {subject: i for i, subject in enumerate(subjects)}
    at_pair = {pair: i for i, pair in enumerate(pairs)}
    for row in scored:
        at = at_subject[row["subject_id"]], at_pair[row["structure"], row["modality"]]
        sums[at] += row[value.total]
        counts[at] += row[value.n]
    plain = interval_of_sums(sums.sum(axis=1), counts.sum(axis=1), seed=seed)
    return (plain, interval_of_sums(sums, counts, seed=seed)) if balanced else (plain,)


def _stems(value: Moments, keys: Sequence[str]) -> tuple[str, ...]:
    """Names of the means; within one structure and modality there is nothing to balance."""
    if {"structure", "modality"} <= set(keys):
        return (value.name,)
    return value.name, f"{value.name}_balanced"


def _schema(rows: pa.Schema, keys: Sequence[str], values: Sequence[Moments]) -> pa.Schema:
    fields = [rows.field(key) for key in keys]
    fields += [pa.field(name, pa.int64()) for name in ("n", "expected", "subjects")]
    for value in values:
        for stem in _stems(value, keys):
            fields += [pa.field(f"{stem}{end}", pa.float64()) for end in ("", "_lo", "_hi")]
    return pa.schema(fields)
