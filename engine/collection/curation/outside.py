"""Which labels lie in the empty surroundings of the body instead of on it.

The surroundings are recognised, or nothing is said: the frame of the slice must be dark and even
(air around a patient, padding), and they are what has the frame's grey and hangs together with it.
A lung or an air-filled bowel is as dark, but closed off from the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Placed:
    """A mask within its bounding box.

    Attributes:
        box: rows and columns of the slice.
        mask: bool of the box's size, at least one pixel.
    """

    box: tuple[slice, slice]
    mask: NDArray[np.bool_]

    def share(self, region: NDArray[np.bool_]) -> float:
        """Share of its pixels that lie in a region of the slice, 0..1."""
        return float(region[self.box][self.mask].mean())


def objects_outside(grey: NDArray[np.uint8], objects: Sequence[Placed]) -> list[bool] | None:
    """For each object, whether it lies in the empty surroundings; None where these are not clear.

    Args:
        grey: uint8[y, x], the slice as a model sees it.
    """
    frame = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]).astype(np.float64)
    level = float(np.median(frame))
    spread = max(1.4826 * float(np.median(np.abs(frame - level))), 1.0)
    if level > DARKEST or spread > MOST_SPREAD:
        return None
    like = np.abs(grey.astype(np.int16) - level) <= 3 * spread + 2
    likely = [one.share(like) >= INSIDE_SHARE for one in objects]
    if not any(likely):  # nearly always: the costly step is spared
        return likely
    around = _touching_frame(like)
    return [flag and _lies_in(one, around) for flag, one in zip(likely, objects, strict=True)]


def _lies_in(one: Placed, around: NDArray[np.bool_]) -> bool:
    """The object is in the surroundings, and not all there is of them."""
    covered = int(around[one.box][one.mask].sum())
    rest = int(around.sum()) - covered
    return one.share(around) >= INSIDE_SHARE and rest >= LEAST_SHARE * around.size


def _touching_frame(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of a region that hang together with the edge of the slice, without narrows."""
    wide = ndimage.binary_erosion(region, iterations=NARROW, border_value=1)
    parts, _ = ndimage.label(wide)
    edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    grown = ndimage.binary_dilation(np.isin(parts, edge[edge > 0]), iterations=NARROW)
    return np.asarray(grown & region)
