"""Whether the middle of an object belongs to it."""

from __future__ import annotations

from engine.compiled import compiled
from engine.prompts.sampling import rounded_mean
from engine.scoring.factors.base import FactorInput, Value
from engine.scoring.factors.positions import Ints


def center_inside(seen: FactorInput) -> dict[str, Value]:
    """`center_inside`: the first point that prompts would place is in the object.

    That is the rounded mean position of its pixels (protocol sections 2 and 5). Rounding commutes
    with whole shifts, so the position in `framed` will do.
    """
    rows, columns = _sums(seen.runs.bounds, seen.runs.stride)
    y, x = (rounded_mean(total, seen.area_px) for total in (rows, columns))
    return {"center_inside": bool(seen.framed[y, x])}


@compiled
def _sums(bounds: Ints, stride: int) -> tuple[int, int]:
    """Sums of the rows and of the columns of all pixels of the runs."""
    rows, doubled, row = 0, 0, 0
    for run in range(len(bounds)):
        while bounds[run, 0] >= (row + 1) * stride:
            row += 1
        start, stop = bounds[run, 0] - row * stride, bounds[run, 1] - row * stride
        rows += row * (stop - start)
        doubled += (start + stop - 1) * (stop - start)
    return rows, doubled // 2
