"""Where points and boxes lie in a mask, in integer arithmetic (protocol section 2).

Every function is exact: no float takes part, so two machines cannot disagree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.prompts.base import Box, Mask

Vector = NDArray[np.int64]
"""int64[n], row-major pixel numbers `y * width + x`, ascending."""


def foreground_vector(mask: Mask) -> Vector:
    """The pixels of `mask: bool[y, x]` in row-major order, int64[n]."""
    return np.flatnonzero(mask).astype(np.int64, copy=False)


def even_indices(length: int, count: int) -> list[int]:
    """`count` indices spread evenly over a vector of `length >= 1`: (2i+1)*n // (2m).

    Indices repeat when `count` exceeds `length`; they are the identity when both are equal.
    """
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def even_sample(vector: Vector, count: int) -> list[int]:
    """`count` pixel numbers spread evenly over a non-empty `vector`, in its order."""
    return vector[even_indices(len(vector), count)].tolist() if count else []


def rounded_mean(total: int, count: int) -> int:
    """floor(total / count + 1/2), exactly.

    The protocol's floor(mean + 0.5) is (2 * total + count) // (2 * count) over the integers. At the
    sizes of images a correctly rounded float mean gives the same; how a float mean is summed then
    need not be specified.
    """
    return (2 * total + count) // (2 * count)


def centre(vector: Vector, width: int) -> tuple[int, int]:
    """(x, y) of the rounded mean of a non-empty foreground vector; may lie outside the object."""
    count = len(vector)
    rows = int((vector // width).sum())
    columns = int(vector.sum()) - width * rows
    return rounded_mean(columns, count), rounded_mean(rows, count)


def tight_box(vector: Vector, width: int) -> Box:
    """The inclusive box around a non-empty foreground vector, without margin."""
    columns = vector - vector // width * width  # numpy's `%` by a scalar is ten times slower
    return Box(
        x0=int(columns.min()),
        y0=int(vector[0]) // width,
        x1=int(columns.max()),
        y1=int(vector[-1]) // width,
    )


def negative_window(box: Box, height: int, width: int) -> Box:
    """`box` grown by half its size (rounded down) on every side and cut at the image, inclusive."""
    grow_x = (box.x1 - box.x0 + 1) // 2
    grow_y = (box.y1 - box.y0 + 1) // 2
    return Box(
        x0=max(0, box.x0 - grow_x),
        y0=max(0, box.y0 - grow_y),
        x1=min(width - 1, box.x1 + grow_x),
        y1=min(height - 1, box.y1 + grow_y),
    )


def surround_vector(mask: Mask, window: Box) -> Vector:
    """Pixels of `window` outside `mask: bool[y, x]`, row-major, numbered in the full image."""
    slab = ~mask[window.y0 : window.y1 + 1]
    slab[:, : window.x0] = False
    slab[:, window.x1 + 1 :] = False
    numbers: Vector = foreground_vector(slab) + window.y0 * mask.shape[1]
    return numbers
