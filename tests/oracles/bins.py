"""Slow and obvious: groups of equal size along a value, filled one object after the other."""

from __future__ import annotations

from collections.abc import Sequence

from oracles.bootstrap import cluster_bootstrap, mean, percentile

BINS = 6


def bins(values: Sequence[float], keys: Sequence[int]) -> list[int]:
    """The group of each object, from 1; the first groups take what does not divide evenly."""
    order = sorted(range(len(values)), key=lambda at: (values[at], keys[at]))
    small, more = divmod(len(values), BINS)
    sizes = [small + 1] * more + [small] * (BINS - more)
    of = [0] * len(values)
    for group, size in enumerate(sizes, start=1):
        for at in order[:size]:
            of[at] = group
        order = order[size:]
    return of


def described(
    dice: Sequence[float], subjects: Sequence[str], seed: int, replicates: int = 1000
) -> dict[str, float | int | None]:
    """A group's numbers, from the scores of its objects."""
    found: dict[str, float | int | None] = {"n": len(dice), "subjects": len(set(subjects))}
    if not dice:
        return found | dict.fromkeys(
            ("dice", "dice_lo", "dice_hi", "dice_q25", "dice_median", "dice_q75")
        )
    lo, hi = cluster_bootstrap(dice, subjects, None, seed, replicates) or (None, None)
    quartiles = {
        f"dice_{name}": percentile(dice, percent)
        for name, percent in (("q25", 25), ("median", 50), ("q75", 75))
    }
    return found | {"dice": mean(dice, None), "dice_lo": lo, "dice_hi": hi} | quartiles
