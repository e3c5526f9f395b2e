"""Variants of one piece of work, timed side by side in one run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any


def compare(
    title: str, variants: dict[str, Callable[[], Any]], *, per: int = 1, repeats: int = 9
) -> None:
    """One line per variant: median ms per item of `per`, and the ratio to the first.

    The order of the variants turns with every repeat, so that none always follows another.
    """
    for work in variants.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = perf_counter()
            variants[name]()
            times[name].append(1000 * (perf_counter() - started) / per)
    first = times[names[0]]
    for name, taken in times.items():
        ratio = statistics.median(b / a for a, b in zip(first, taken, strict=True))
        print(f"| {title} | {name} | {statistics.median(taken):.3f} | {ratio:.2f} |", flush=True)
