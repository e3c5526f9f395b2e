"""Masks as annotators leave them: without crumbs, and only of what the picture shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, find_objects, label

from engine.collection.phantoms.anatomy import Field, Mask

MIN_PX = 60
_EIGHT = np.ones((3, 3), dtype=np.bool_)


def without_crumbs(mask: Mask, min_px: int = MIN_PX, *, fill: bool = False) -> Mask:
    """The mask without components (8-connected, slice by slice) of less than `min_px` pixels.

    Args:
        mask: bool[z, y, x] or bool[y, x].
        fill: close holes too.
    """
    if mask.ndim == 2:
        return _clean(mask, min_px, fill)
    return np.stack([_clean(part, min_px, fill) for part in mask])


def _clean(mask: Mask, min_px: int, fill: bool) -> Mask:
    if not mask.any():
        return mask.copy()
    parts, n = label(mask, _EIGHT)
    large = np.bincount(parts.ravel(), minlength=n + 1) >= min_px
    large[0] = False
    kept: Mask = large[parts]
    return np.asarray(binary_fill_holes(kept), dtype=np.bool_) if fill else kept


def distinctness(signal: Field, mask: NDArray[np.bool_]) -> float:
    """|mean inside - mean of the surround| of one slice, in the signal's units.

    The surround is the enlarged box of the protocol (section 5) without the mask.

    Args:
        signal: float64[y, x].
        mask: bool[y, x], not empty.
    """
    rows, columns = find_objects(mask.astype(np.uint8))[0]
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    near = (
        slice(max(0, rows.start - 1 - tall // 10), rows.stop + 1 + tall // 10),
        slice(max(0, columns.start - 1 - wide // 10), columns.stop + 1 + wide // 10),
    )
    inside = mask[near]
    around = signal[near][~inside]
    return abs(float(signal[near][inside].mean() - around.mean())) if around.size else 0.0


def seen(signal: Field, mask: Mask, least: float) -> Mask:
    """The mask in the slices where it differs from its surround by `least`, empty in others."""
    kept = np.zeros_like(mask)
    for index in range(len(mask)):
        if mask[index].any() and distinctness(signal[index], mask[index]) >= least:
            kept[index] = mask[index]
    return kept
