"""Correlations of every replicate from its scatter; NaN where one is undefined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from engine.analysis.bootstrap import ends
from engine.analysis.scatter import Scatters

Floats = NDArray[np.float64]


def correlation(found: Scatters, x: int, y: int) -> Floats:
    """float64[replicate]: correlation of two variables; of ranks, Spearman's."""
    return _correlation(found.total, found.least, x, y)


def partial_correlation(found: Scatters, x: int, y: int, controls: Sequence[int]) -> Floats:
    """float64[replicate]: of what linear regressions on modality and `controls` leave of both.

    A control that the others determine is left out: it can explain nothing more.
    """
    return partial_correlations(found, x, [y], controls)[0]


def partial_correlations(
    found: Scatters, x: int, ys: Sequence[int], controls: Sequence[int]
) -> list[Floats]:
    """As `partial_correlation`, with each of `ys`: the controls are swept out of all at once."""
    chosen = [x, *ys, *controls]
    left, least = found.within[:, chosen][:, :, chosen], found.least[:, chosen]
    for control in range(1 + len(ys), len(chosen)):
        row, pivot = left[:, control, :], left[:, control, control, None]
        usable = pivot > least[:, control, None]
        share = np.divide(row, pivot, out=np.zeros_like(row), where=usable)
        left = left - left[:, :, control, None] * share[:, None, :]
    return [_correlation(left, least, 0, 1 + at) for at in range(len(ys))]


def eta_squared(found: Scatters, x: int) -> Floats:
    """float64[replicate]: the share of a variable's scatter that lies between modalities."""
    whole = found.total[:, x, x]
    defined = (whole > found.least[:, x]) & (found.modalities > 1)
    within = np.divide(found.within[:, x, x], whole, out=np.full(len(whole), np.nan), where=defined)
    share: Floats = np.clip(1 - within, 0, 1)
    return share


def naive_p(r: float, n: int, k: int) -> float | None:
    """Two-sided p of a correlation of n values given k controls, by t with n - 2 - k degrees.

    Naive: it takes the values as independent. None without a degree of freedom.
    """
    freedom = n - 2 - k
    if freedom < 1 or np.isnan(r):
        return None
    rest = 1 - r * r
    if rest <= 0:
        return 0.0
    return float(2 * stdtr(freedom, -abs(r) * np.sqrt(freedom / rest)))


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; None: undefined."""

    value: float | None
    lo: float | None
    hi: float | None


def estimate(sample: Floats, drawn: Floats | None = None) -> Estimate:
    """Of the sample's only value and, with two subjects or more, of the replicates'.

    A replicate in which the value is undefined is left out.
    """
    value = None if np.isnan(sample[0]) else float(sample[0])
    defined = np.empty(0) if drawn is None else drawn[~np.isnan(drawn)]
    if value is None or not len(defined):
        return Estimate(value, None, None)
    return Estimate(value, *ends(defined))


def _correlation(scatter: Floats, least: Floats, x: int, y: int) -> Floats:
    of_x, of_y = scatter[:, x, x], scatter[:, y, y]
    defined = (of_x > least[:, x]) & (of_y > least[:, y])
    norm = np.sqrt(np.where(defined, of_x * of_y, 1))
    r: Floats = np.where(defined, np.clip(scatter[:, x, y] / norm, -1, 1), np.nan)
    return r
