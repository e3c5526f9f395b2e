"""Dice along object factors: objects in groups of equal size, with means, intervals and spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.analysis.bootstrap import interval_of_sums
from engine.analysis.scored import category, numbers, scores

BINS = 6
FACTORS = (
    "area_fraction", "area_px", "aspect_ratio", "boundary_gradient", "compactness",
    "contrast_to_noise", "fourier_order", "intensity_difference", "solidity",
)  # fmt: skip
"""The factors that are measured on a scale, in the order of the answer."""

ANSWER = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("model", "strategy", "selection", "factor")),
        pa.field("bin", pa.int64()),
        *(pa.field(name, pa.float64()) for name in ("lo", "hi")),
        *(pa.field(name, pa.int64()) for name in ("expected", "n", "subjects")),
        *(pa.field(f"dice{end}", pa.float64()) for end in ("", "_lo", "_hi")),
        *(pa.field(f"dice_{name}", pa.float64()) for name in ("q25", "median", "q75")),
    ]
)


@dataclass(frozen=True, eq=False)
class Bin:
    """A group of objects.

    Attributes:
        number: from 1, by the factor's value.
        lo, hi: smallest and largest value in it.
        members: int64[n], places of its objects, ascending.
    """

    factor: str
    number: int
    lo: float
    hi: float
    members: NDArray[np.int64]


def dice_of_bins(connection: duckdb.DuckDBPyConnection, rows: pa.Table, seed: int) -> pa.Table:
    """The answer to `factor_bins`: a row per model, strategy, selection, factor and bin.

    Args:
        rows: the objects and their factors, as `factor_bins.sql` selects them.
    """
    keys = rows["object_key"].to_numpy().astype(np.int64)
    subject = category(rows["subject_id"])
    bins = [one for factor in FACTORS for one in bins_of(factor, numbers(rows[factor]), keys)]
    answer: list[dict[str, Any]] = []
    for scored in scores(connection):
        dice = scored.of(keys, "dice")
        for one in bins:
            answer.append(
                {
                    **asdict(scored.pick), "factor": one.factor, "bin": one.number,
                    "lo": one.lo, "hi": one.hi, "expected": len(one.members),
                    **_described(dice[one.members], subject[one.members], seed),
                }
            )  # fmt: skip
    return pa.Table.from_pylist(answer, schema=ANSWER)


def bins_of(factor: str, values: NDArray[np.float64], keys: NDArray[np.int64]) -> Iterator[Bin]:
    """Objects that have the factor in `BINS` groups of equal size, the first ones one larger.

    Args:
        values: float64[n]; NaN: undefined.
        keys: int64[n]; of equal values the smaller key comes first.
    """
    order = np.lexsort((keys, values))
    order = order[: np.count_nonzero(~np.isnan(values))]  # NaN comes last
    for number, members in enumerate(np.array_split(order, BINS), 1):
        if len(members):
            lo, hi = values[members[0]], values[members[-1]]
            yield Bin(factor, number, float(lo), float(hi), np.sort(members))


def _described(
    dice: NDArray[np.float64], subject: NDArray[np.int64], seed: int
) -> dict[str, float | int | None]:
    """What is said of some objects' Dice (NaN: not scored), given the place of their subject."""
    known = ~np.isnan(dice)
    dice, subject = dice[known], subject[known]
    counts = np.bincount(subject)
    there = counts > 0
    totals = np.bincount(subject, weights=dice)
    mean = interval_of_sums(totals[there], counts[there], seed=seed)
    quartiles = np.percentile(dice, [25, 50, 75]).tolist() if len(dice) else [None] * 3
    names = ("n", "subjects", "dice", "dice_lo", "dice_hi", "dice_q25", "dice_median", "dice_q75")
    values = (mean.n, mean.n_subjects, mean.mean, mean.lo, mean.hi, *quartiles)
    return dict(zip(names, values, strict=True))
