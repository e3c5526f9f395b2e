"""Slow and obvious: a cluster bootstrap that really copies the drawn subjects' values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def mean(values: Sequence[float], groups: Sequence[str] | None) -> float:
    """Plain mean, or the mean of the groups' means."""
    if groups is None:
        return math.fsum(values) / len(values)
    means = []
    for group in sorted(set(groups)):
        members = [v for v, g in zip(values, groups, strict=True) if g == group]
        means.append(math.fsum(members) / len(members))
    return math.fsum(means) / len(means)


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear interpolation between order statistics."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def cluster_bootstrap(
    values: Sequence[float],
    subjects: Sequence[str],
    groups: Sequence[str] | None,
    seed: int,
    replicates: int,
) -> tuple[float, float] | None:
    """(2.5, 97.5) percentiles; None for fewer than two subjects. Protocol section 6."""
    names = sorted(set(subjects))
    if len(names) < 2:
        return None
    rng = np.random.Generator(np.random.PCG64(seed))
    means = []
    for _ in range(replicates):
        drawn_values: list[float] = []
        drawn_groups: list[str] = []
        for index in rng.integers(0, len(names), len(names)):
            for i, subject in enumerate(subjects):
                if subject == names[int(index)]:
                    drawn_values.append(values[i])
                    drawn_groups.append(groups[i] if groups is not None else "")
        means.append(mean(drawn_values, drawn_groups if groups is not None else None))
    return percentile(means, 2.5), percentile(means, 97.5)
