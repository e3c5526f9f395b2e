"""Slow, obvious orientation: every voxel is carried by its own world coordinate."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

# World direction (LPS) in which slices, rows and columns must ascend, from protocol section 1.2.
EAST: dict[str, tuple[tuple[int, int, int], ...]] = {
    "axial": ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    "coronal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
    "sagittal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


def all_codes() -> list[str]:
    """The 48 ways stored axes can point: LPS, RPS, ..., IAR."""
    pairs = ("LR", "PA", "SI")
    return [
        "".join(pairs[axis][sign] for axis, sign in zip(order, signs, strict=True))
        for order in permutations(range(3))
        for signs in product((0, 1), repeat=3)
    ]


def world(affine: NDArray[np.float64], index: tuple[int, ...]) -> NDArray[np.float64]:
    return affine[:3, :3] @ np.array(index, dtype=float) + affine[:3, 3]


def oriented(
    array: NDArray[np.generic], affine: NDArray[np.float64], plane: str
) -> NDArray[np.generic]:
    """[slice, y, x] by sorting voxels along the three wanted world directions.

    Works where the stored axes lie within 20 degrees of the world's: voxels then sort the same
    way along an axis as their indices do, after rounding to steps of that axis.
    """
    wanted = [np.array(direction, dtype=float) for direction in EAST[plane]]
    steps = [affine[:3, axis] for axis in range(3)]
    rank_of = []
    for direction in wanted:
        axis = int(np.argmax([abs(step @ direction) / np.linalg.norm(step) for step in steps]))
        forward = steps[axis] @ direction > 0
        rank_of.append((axis, forward))
    out = np.empty([array.shape[axis] for axis, _ in rank_of], dtype=array.dtype)
    for index in np.ndindex(*array.shape):
        place = [
            index[axis] if forward else array.shape[axis] - 1 - index[axis]
            for axis, forward in rank_of
        ]
        out[tuple(place)] = array[index]
    return out
