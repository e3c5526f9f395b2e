"""Which labels lie in the empty surroundings of the body instead of on it.

The surroundings are recognised, or nothing is said: the frame of the slice must be dark and even
(air around a patient, padding), and they are what has the frame's grey and hangs together with it.
A lung or an air-filled bowel is as dark, but closed off from the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

NARROW = 2
"""Passages up to twice this wide, pixels, do not connect: noise opens lungs in MR to the air."""
DARKEST = 26
"""Grey of the frame at most (a tenth of the range) to pass for empty."""
MOST_SPREAD = 8.0
"""Robust standard deviation of the frame's grey at most."""
INSIDE_SHARE = 0.95
"""Share of an object's pixels that must lie in the surroundings."""
LEAST_SHARE = 0.05
"""Share of the slice that the surroundings without the object must have."""


def objects_outside(
    grey: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]
) -> list[bool] | None:
    """For each mask, whether it lies in the empty surroundings; None where these are not clear.

    Args:
        grey: uint8[y, x], the slice as a model sees it.
        masks: bool[y, x], not empty.
    """
    frame = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).astype(np.float64)
    level = float(np.median(frame))
    spread = max(1.4826 * float(np.median(np.abs(frame - level))), 1.0)
    if level > DARKEST or spread > MOST_SPREAD:
        return None
    like = np.abs(grey.astype(np.int16) - level) <= 3 * spread + 2
    likely = [_share(like, mask) >= INSIDE_SHARE for mask in masks]
    if not any(likely):  # nearly always: the costly step is spared
        return likely
    around = _touching_frame(like)
    return [
        flag
        and _share(around, mask) >= INSIDE_SHARE
        and int((around & ~mask).sum()) >= LEAST_SHARE * grey.size
        for flag, mask in zip(likely, masks, strict=True)
    ]


def _share(region: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float:
    return float(region[mask].mean())


def _touching_frame(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a region that hang together with the edge of the slice, without narrows."""
    wide = ndimage.binary_erosion(region, iterations=NARROW, border_value=1)
    parts, _ = ndimage.label(wide)
    edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    grown = ndimage.binary_dilation(np.isin(parts, edge[edge > 0]), iterations=NARROW)
    return np.asarray(grown & region)
