"""The scores of protocol section 4 and the selections of section 3, by brute force.

Every border pixel against every other one; fractions where the protocol compares exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

TIE = 1e-9


def counts(pred: Mask, truth: Mask) -> tuple[int, int, int]:
    """tp, pred_px, gt_px."""
    tp = sum(
        bool(pred[y, x]) and bool(truth[y, x])
        for y in range(truth.shape[0])
        for x in range(truth.shape[1])
    )
    return tp, int(pred.sum()), int(truth.sum())


def dice(tp: int, pred_px: int, gt_px: int) -> Fraction:
    return Fraction(2 * tp, pred_px + gt_px)


def jaccard(tp: int, pred_px: int, gt_px: int) -> Fraction:
    return Fraction(tp, pred_px + gt_px - tp)


def border(mask: Mask) -> NDArray[np.int64]:
    """(row, column) of the pixels with a 4-neighbour outside the mask or the image."""
    found = []
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            if not mask[y, x]:
                continue
            for ny, nx in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if not (0 <= ny < height and 0 <= nx < width) or not mask[ny, nx]:
                    found.append((y, x))
                    break
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def directed(
    a: NDArray[np.int64], b: NDArray[np.int64], row: float, column: float
) -> NDArray[np.float64]:
    """For every pixel of `a` its distance to the nearest of `b`."""
    out = []
    for y, x in a:
        dy = (b[:, 0] - y) * row
        dx = (b[:, 1] - x) * column
        out.append(math.sqrt(np.min(dy**2 + dx**2)))
    return np.array(out)


def measures(
    pred: Mask, truth: Mask, row: float, column: float, tolerance: float
) -> tuple[float, float, float, float]:
    """hausdorff, hd95, assd, nsd."""
    there = directed(border(pred), border(truth), row, column)
    back = directed(border(truth), border(pred), row, column)
    both = np.concatenate([there, back])
    return (
        max(there.max(), back.max()),
        max(np.percentile(there, 95), np.percentile(back, 95)),
        both.sum() / len(both),
        (both <= tolerance).sum() / len(both),
    )


def distances(
    pred: Mask,
    truth: Mask,
    spacing: tuple[float, float] | None = None,
    tolerance_px: float = 2.0,
    tolerance_mm: float = 2.0,
) -> dict[str, float | None]:
    names = ("hausdorff", "hd95", "assd", "nsd")
    result: dict[str, float | None] = {}
    if pred.any():
        result.update(zip(names, measures(pred, truth, 1, 1, tolerance_px), strict=True))
    else:
        result.update({"hausdorff": None, "hd95": None, "assd": None, "nsd": 0.0})
    px = {name if name == "nsd" else f"{name}_px": result[name] for name in names}
    mm: dict[str, float | None] = dict.fromkeys(f"{name}_mm" for name in names)
    if spacing is not None and pred.any():
        values = measures(pred, truth, *spacing, tolerance_mm * (1 + TIE))
        mm.update(zip((f"{name}_mm" for name in names), values, strict=True))
    elif spacing is not None:
        mm["nsd_mm"] = 0.0
    return {**px, **mm}


def oracle(ids: Sequence[int], preds: Sequence[Mask], truth: Mask) -> int:
    """The id with the highest Dice, the lowest id among equals."""
    scored = [(dice(*counts(p, truth)), -i) for i, p in zip(ids, preds, strict=True)]
    return -max(scored)[1]


def predicted_iou(ids: Sequence[int], values: Sequence[float]) -> int:
    return -max((value, -i) for i, value in zip(ids, values, strict=True))[1]
