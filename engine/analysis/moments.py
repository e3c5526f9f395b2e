"""From per-subject moments to means with intervals, one row per key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.analysis.bootstrap import Interval, interval_of_sums
from engine.analysis.scored import category, numbers

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
    starts = _starts(rows, keys)
    first = rows.select([*keys, "expected"]).take(starts).to_pylist()
    samples = [_Samples.of(rows, value) for value in values]
    kept = [
        {**row, **_means(samples, slice(*ends), keys, seed)}
        for row, *ends in zip(first, starts, np.append(starts, len(rows))[1:], strict=True)
    ]
    return pa.Table.from_pylist(kept, schema=_schema(rows.schema, keys, values))


def _starts(rows: pa.Table, keys: Sequence[str]) -> NDArray[np.int64]:
    """int64[key]: where the rows of each key begin."""
    changes = np.ones(len(rows), dtype=np.bool_)
    changes[1:] = False
    for key in keys:
        coded = rows[key].combine_chunks().dictionary_encode(null_encoding="encode")
        changes[1:] |= np.diff(coded.indices.to_numpy()) != 0
    return np.flatnonzero(changes)


@dataclass(frozen=True)
class _Samples:
    """Moments of a value, those with a sample.

    Attributes:
        at: int64[sample], rows of the table, ascending.
        subject, pair: int64[sample], codes in the order of the subjects' ids and of structure and
            modality.
        n, total: float64[sample], number and sum of the samples.
    """

    value: Moments
    at: NDArray[np.int64]
    subject: NDArray[np.int64]
    pair: NDArray[np.int64]
    n: NDArray[np.float64]
    total: NDArray[np.float64]

    @classmethod
    def of(cls, rows: pa.Table, value: Moments) -> _Samples:
        at = np.flatnonzero(np.nan_to_num(numbers(rows[value.n])) > 0)
        known = rows.take(at)
        structure, modality = category(known["structure"]), category(known["modality"])
        pair = structure * (1 + modality.max(initial=0)) + modality
        n, total = numbers(known[value.n]), numbers(known[value.total])
        return cls(value, at, category(known["subject_id"]), pair, n, total)

    def intervals(self, group: slice, seed: int, *, balanced: bool) -> tuple[Interval, ...]:
        """Of the samples in rows of the table: mask-weighted and, where asked, balanced."""
        mine = slice(*np.searchsorted(self.at, (group.start, group.stop)))
        subjects, row = np.unique(self.subject[mine], return_inverse=True)
        pairs, column = np.unique(self.pair[mine], return_inverse=True)
        shape, place = (len(subjects), len(pairs)), row * len(pairs) + column
        sums, counts = (
            np.bincount(place, moments[mine], math.prod(shape)).reshape(shape)
            for moments in (self.total, self.n)
        )
        plain = interval_of_sums(sums.sum(axis=1), counts.sum(axis=1), seed=seed)
        return (plain, interval_of_sums(sums, counts, seed=seed)) if balanced else (plain,)


def _means(samples: Sequence[_Samples], group: slice, keys: Sequence[str], seed: int) -> Row:
    out: Row = {}
    for index, one in enumerate(samples):
        stems = _stems(one.value, keys)
        intervals = one.intervals(group, seed, balanced=len(stems) > 1)
        if index == 0:
            out["n"], out["subjects"] = intervals[0].n, intervals[0].n_subjects
        for name, found in zip(stems, intervals, strict=True):
            out |= {name: found.mean, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
    return out


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
