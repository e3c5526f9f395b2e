"""Slow and obvious: ranks by counting, least squares, a bootstrap that copies objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from oracles.bootstrap import percentile

Numbers = Sequence[float]


def ranks(values: Numbers) -> list[float]:
    """How many are smaller, plus the middle of those that are equal."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def pearson(x: Numbers, y: Numbers) -> float | None:
    """None where one of them is constant."""
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    of_x = math.fsum((a - mean_x) ** 2 for a in x)
    of_y = math.fsum((b - mean_y) ** 2 for b in y)
    if of_x < 1e-9 or of_y < 1e-9:
        return None
    return math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / math.sqrt(
        of_x * of_y
    )


def residuals(y: Numbers, columns: Sequence[Numbers]) -> list[float]:
    """What a linear regression with intercept leaves."""
    design = np.column_stack([np.ones(len(y)), *columns])
    fitted = design @ np.linalg.lstsq(design, np.asarray(y), rcond=1e-10)[0]
    return list(np.asarray(y) - fitted)


def one_hot(labels: Sequence[str]) -> list[list[float]]:
    """One column per label, the first left out."""
    return [[float(own == label) for own in labels] for label in sorted(set(labels))[1:]]


def partial(x: Numbers, y: Numbers, columns: Sequence[Numbers]) -> float | None:
    """Correlation of the residuals of ranks that stand there already."""
    left, right = residuals(x, columns), residuals(y, columns)
    if max(map(abs, left)) < 1e-8 * len(x) or max(map(abs, right)) < 1e-8 * len(x):
        return None
    return pearson(left, right)


def eta_squared(x: Numbers, labels: Sequence[str]) -> float | None:
    """Between groups over total; None for one group or a constant."""
    mean = math.fsum(x) / len(x)
    total = math.fsum((value - mean) ** 2 for value in x)
    if len(set(labels)) < 2 or total < 1e-9:
        return None
    between = 0.0
    for label in sorted(set(labels)):
        mine = [value for value, own in zip(x, labels, strict=True) if own == label]
        between += len(mine) * (math.fsum(mine) / len(mine) - mean) ** 2
    return between / total


def bootstrap(
    statistic: Any, columns: Sequence[Sequence[Any]], subjects: Sequence[str], seed: int, count: int
) -> tuple[float, float] | None:
    """Percentiles of a statistic of the drawn subjects' rows; those where it is None left out."""
    names = sorted(set(subjects))
    if len(names) < 2:
        return None
    rng = np.random.Generator(np.random.PCG64(seed))
    found = []
    for _ in range(count):
        rows: list[int] = []
        for index in rng.integers(0, len(names), len(names)):
            rows += [i for i, own in enumerate(subjects) if own == names[int(index)]]
        value = statistic(*([column[i] for i in rows] for column in columns))
        if value is not None:
            found.append(value)
    return (percentile(found, 2.5), percentile(found, 97.5)) if found else None
