"""Percentile cluster bootstrap over subjects (protocol section 6, "Intervals").

Slices of a subject are not independent, so subjects are drawn, never slices. A mean over drawn
subjects needs only each subject's sum and count, so a replicate costs a weighted sum however
many slices a subject has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

REPLICATES = 1000
_WEIGHTS = 2**22
"""Of replicates that are made at once, as float64: 32 MiB."""

Counts = NDArray[np.uint32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval.

    Attributes:
        mean: None when nothing was scored.
        lo, hi: 2.5 and 97.5 percentiles of the replicates; None with fewer than 2 subjects.
        n: values behind the mean.
        n_subjects: subjects behind the interval.
    """

    mean: float | None
    lo: float | None
    hi: float | None
    n: int
    n_subjects: int


def interval(
    values: ArrayLike,
    subjects: Sequence[str],
    groups: Sequence[object] | None = None,
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Interval:
    """Mean of `values` and its interval.

    Args:
        values: float64[n], finite.
        subjects: n subject ids; the clusters.
        groups: n labels such as (structure, modality): the mean of the groups' means, so that
            every group weighs the same; None: every value (mask) weighs the same.
        seed: the study's seed.
    """
    sample = np.asarray(values, dtype=np.float64)
    order = sorted(set(subjects))
    labels = sorted({str(g) for g in groups}) if groups is not None else [""]
    row_of = {subject: i for i, subject in enumerate(order)}
    column_of = {label: i for i, label in enumerate(labels)}
    rows = np.array([row_of[s] for s in subjects], dtype=np.intp)
    columns = np.array([column_of[str(g)] for g in groups or [""] * len(rows)], dtype=np.intp)
    sums = np.zeros((len(order), len(labels)))
    counts = np.zeros((len(order), len(labels)))
    np.add.at(sums, (rows, columns), sample)
    np.add.at(counts, (rows, columns), 1)
    return interval_of_sums(sums, counts, seed=seed, replicates=replicates)


def interval_of_sums(
    sums: ArrayLike, counts: ArrayLike, *, seed: int, replicates: int = REPLICATES
) -> Interval:
    """As `interval`, from each subject's moments.

    A group that a replicate's subjects lack is left out of that replicate's mean of means: its
    mean is unknown there, and leaving the whole replicate out would favour draws that resemble
    the sample.

    Args:
        sums, counts: float64[subject, group], sum and number of values; subjects sorted by id,
            each with at least one value; every group has values.
    """
    total, number = _matrix(sums), _matrix(counts)
    n, n_subjects = int(number.sum()), len(total)
    if n == 0:
        return Interval(None, None, None, 0, 0)
    mean = float((total.sum(axis=0) / number.sum(axis=0)).mean())
    if n_subjects < 2:
        return Interval(mean, None, None, n, n_subjects)
    means = np.empty(replicates)
    weights = draw_counts(seed, n_subjects, replicates)
    for block in blocks(replicates, n_subjects):
        part = weights[block].astype(np.float64)
        means[block] = _mean_of_means(part @ total, part @ number)
    return Interval(mean, *ends(means), n, n_subjects)


def ends(values: Floats) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of one value or more, linear between neighbours.

    Equal to those of `np.percentile`, whose preparations take longer than a thousand values.
    """
    ordered, last = np.sort(values), len(values) - 1
    return _at(ordered, 0.025 * last), _at(ordered, 0.975 * last)


def _at(ordered: Floats, place: float) -> float:
    below = int(place)
    share, low = place - below, ordered[below]
    high = ordered[min(below + 1, len(ordered) - 1)]
    step = high - low
    return float(high - step * (1 - share) if share >= 0.5 else low + step * share)


def blocks(replicates: int, weights: int) -> Iterator[slice]:
    """Replicates to make at once, where each has so many weights."""
    rows = max(1, _WEIGHTS // weights)
    return (slice(start, start + rows) for start in range(0, replicates, rows))


@lru_cache(maxsize=8)
def draw_counts(seed: int, n_subjects: int, replicates: int) -> Counts:
    """uint32[replicate, subject]: how often each replicate draws each subject.

    The generator is fresh for every interval, so intervals over equally many subjects share
    these draws (protocol section 6).
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    counts = np.empty((replicates, n_subjects), dtype=np.uint32)
    for row in counts:
        drawn = generator.integers(0, n_subjects, n_subjects)
        row[:] = np.bincount(drawn, minlength=n_subjects)
    counts.flags.writeable = False
    return counts


def _matrix(values: ArrayLike) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    return matrix[:, None] if matrix.ndim == 1 else matrix


def _mean_of_means(total: Floats, number: Floats) -> Floats:
    """float64[replicate]: mean over the groups present of each group's mean."""
    present = number > 0
    means = np.divide(total, number, out=np.zeros_like(total), where=present)
    result: Floats = means.sum(axis=1) / present.sum(axis=1)
    return result
