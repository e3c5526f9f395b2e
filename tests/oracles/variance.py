"""Slow and obvious: nested sums of squares as distances of every value's group means."""

from __future__ import annotations

import math
from collections.abc import Sequence


def shares(values: Sequence[float], groups: Sequence[Sequence[object]]) -> list[float] | None:
    """Share of the total sum of squares at each depth, the last within the innermost groups.

    Args:
        groups: per value its labels from the outermost group to the innermost.
    """
    depth = len(groups[0])
    means = []
    for cut in range(depth + 1):
        inside: dict[tuple[object, ...], list[float]] = {}
        for value, labels in zip(values, groups, strict=True):
            inside.setdefault(tuple(labels[:cut]), []).append(value)
        means.append([
            math.fsum(inside[tuple(labels[:cut])]) / len(inside[tuple(labels[:cut])])
            for labels in groups
        ])  # fmt: skip
    means.append(list(values))
    parts = [
        math.fsum((inner - outer) ** 2 for inner, outer in zip(means[i + 1], means[i], strict=True))
        for i in range(depth + 1)
    ]
    total = math.fsum((value - means[0][0]) ** 2 for value in values)
    return [part / total for part in parts] if total > 1e-12 * len(values) else None
