"""How sizes, spacings, intensities and areas are spread: quantiles and histograms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.curation.frame import Codes, Frame, numbers

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 40

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Quantiles of one quantity over some rows.

    Attributes:
        group: a modality, or `all`.
        known, unknown: rows with a value, and without.
        quantiles: at `QUANTILES`, linear interpolation; empty when nothing is known.
    """

    group: str
    known: int
    unknown: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Distribution:
    """One quantity: over everything, then by modality.

    Attributes:
        name: its key.
        unit: `px`, `mm`, ... or empty.
        of: what one value belongs to: `slice`, `case` or `object`.
        spreads: `all` first.
        edges, counts: histogram over everything; edges are spaced evenly in the logarithm where
            `log`. Values that are no positive number are left out of a `log` histogram.
    """

    name: str
    unit: str
    of: str
    spreads: tuple[Spread, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    log: bool


def distributions(frame: Frame) -> tuple[Distribution, ...]:
    """Every quantity the report shows."""
    return tuple(
        _distribution(name, unit, of, values, group, log)
        for name, unit, of, values, group, log in _quantities(frame)
    )


def _quantities(frame: Frame) -> Iterator[tuple[str, str, str, Values, Codes, bool]]:
    of_case = frame.modality
    of_slice = of_case.at(frame.case_of)
    of_object = of_slice.at(frame.slice_of)
    slices, cases = frame.slices, frame.cases
    height, width = numbers(slices["height"]), numbers(slices["width"])
    per_slice = np.bincount(frame.slice_of, minlength=slices.num_rows).astype(np.float64)
    area = frame.area.astype(np.float64)
    fraction = area / (height * width)[frame.slice_of]
    yield "height", "px", "slice", height, of_slice, False
    yield "width", "px", "slice", width, of_slice, False
    yield "spacing_row", "mm", "slice", numbers(slices["spacing_row_mm"]), of_slice, True
    yield "spacing_col", "mm", "slice", numbers(slices["spacing_col_mm"]), of_slice, True
    yield "spacing_slice", "mm", "case", numbers(cases["spacing_slice_mm"]), of_case, True
    yield "slice_lo", "", "slice", numbers(slices["lo"]), of_slice, False
    yield "slice_hi", "", "slice", numbers(slices["hi"]), of_slice, False
    yield "case_lo", "", "case", numbers(cases["volume_lo"]), of_case, False
    yield "case_hi", "", "case", numbers(cases["volume_hi"]), of_case, False
    yield "area", "px", "object", area, of_object, True
    yield "area_fraction", "", "object", fraction, of_object, True
    labelled = frame.labelled
    shown = Codes(of_slice.names, of_slice.of[labelled])
    yield "objects_per_slice", "", "slice", per_slice[labelled], shown, False


def _distribution(
    name: str, unit: str, of: str, values: Values, group: Codes, log: bool
) -> Distribution:
    spreads = [_spread("all", values)]
    order = np.argsort(group.of, kind="stable")
    ends = np.cumsum(np.bincount(group.of, minlength=len(group.names)))
    for label, mine in zip(group.names, np.split(values[order], ends[:-1]), strict=False):
        if len(mine):
            spreads.append(_spread(label, mine))
    edges, counts = histogram(values, log)
    return Distribution(name, unit, of, tuple(spreads), edges, counts, log)


def _spread(group: str, values: Values) -> Spread:
    known = values[np.isfinite(values)]
    quantiles = np.quantile(known, QUANTILES) if len(known) else np.empty(0)
    return Spread(group, len(known), len(values) - len(known), tuple(map(float, quantiles)))


def histogram(values: Values, log: bool) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """(edges, counts) with at most `BINS` bins; whole numbers of a small range get one bin each."""
    known = values[np.isfinite(values)]
    known = known[known > 0] if log else known
    if not len(known):
        return (), ()
    lo, hi = float(known.min()), float(known.max())
    if lo == hi:
        edges = np.array([lo * 0.9, lo * 1.1]) if log else np.array([lo - 0.5, hi + 0.5])
    elif log:
        edges = np.geomspace(lo, hi, BINS + 1)
    elif hi - lo < BINS and bool((known == np.rint(known)).all()):
        edges = np.arange(lo - 0.5, hi + 1)
    else:
        edges = np.linspace(lo, hi, BINS + 1)
    edges[0], edges[-1] = min(edges[0], lo), max(edges[-1], hi)  # geomspace may round inwards
    counts, _ = np.histogram(known, edges)
    return tuple(map(float, edges)), tuple(map(int, counts))
