"""Pixel conventions every 2-D reader shares: EXIF rotation, alpha, grey stored as colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.generic]


def upright(array: Pixels, orientation: int) -> Pixels:
    """Pixels [y, x, ...] turned as EXIF tag 274 asks; 1 and unknown codes change nothing."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def drop_alpha(array: Pixels) -> Pixels:
    """[y, x], [y, x, 1..4] -> grey [y, x] or RGB [y, x, 3]; alpha is dropped (protocol 1.6)."""
    if array.ndim == 2:
        return array
    return array[..., 0] if array.shape[2] < 3 else array[..., :3]


def merge_grey(array: Pixels) -> Pixels:
    """RGB [y, x, 3] with three identical channels -> grey [y, x] (protocol 1.6)."""
    if array.ndim < 3:
        return array
    red = array[..., 0]
    same = np.array_equal(red, array[..., 1]) and np.array_equal(red, array[..., 2])
    return red if same else array


def cmyk_to_rgb(array: NDArray[np.unsignedinteger]) -> Pixels:
    """Ink coverage [y, x, 4], full range of an unsigned dtype, to RGB [y, x, 3] of that dtype."""
    top = int(np.iinfo(array.dtype).max)
    light = top - array[..., :3].astype(np.float64)
    white = (top - array[..., 3:4].astype(np.float64)) / top
    return np.rint(light * white).astype(array.dtype)
