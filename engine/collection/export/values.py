"""Source values -> the 8 or 16 bits of a PNG, and back: exact where possible, else said so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TOP = 2**16 - 1


@dataclass(frozen=True)
class PngValues:
    """How a case's values are kept: `value = stored * scale + offset`, one rule for all slices.

    Attributes:
        pixels: uint8 or uint16, shape of the image.
        largest_error: between a value and the one read back; 0.0 where exact.
    """

    pixels: NDArray[np.unsignedinteger]
    scale: float
    offset: float | int
    largest_error: float


def png_values(image: NDArray[np.generic]) -> PngValues:
    """Values for PNG files.

    uint8 and uint16 stay as they are. Whole numbers within 0..65535 become uint16; those that span
    no more than 65535 are shifted by their minimum (Hounsfield units). Anything else is spread
    linearly over 16 bits and rounded.
    """
    if image.dtype in (np.uint8, np.uint16):
        return PngValues(image, 1.0, 0.0, 0.0)  # type: ignore[arg-type]
    if image.dtype == np.bool_:
        return PngValues(image.astype(np.uint8), 1.0, 0.0, 0.0)
    lo, hi = image.min(), image.max()
    low, high = float(lo), float(hi)
    if np.issubdtype(image.dtype, np.integer) or _whole(image):
        span = int(hi) - int(lo)
        if span <= _TOP:
            shift = lo if int(lo) < 0 or int(hi) > _TOP else image.dtype.type(0)
            return PngValues(_minus(image, int(shift)), 1.0, int(shift), 0.0)
    scale = (high - low) / _TOP or 1.0
    stored = np.rint((image.astype(np.float64) - low) / scale).astype(np.uint16)
    back = stored * scale + low
    error = float(np.abs(back - image.astype(np.float64)).max())
    return PngValues(stored, scale, low, error)


def _whole(image: NDArray[np.generic]) -> bool:
    values = image.astype(np.float64)
    return bool((np.abs(values) < 2**53).all() and (values == np.rint(values)).all())


def _minus(image: NDArray[np.generic], shift: int) -> NDArray[np.uint16]:
    """`image - shift` without overflow on the way; both ends fit 16 bits."""
    if np.issubdtype(image.dtype, np.floating):
        return (image.astype(np.float64) - shift).astype(np.uint16)
    if image.dtype.kind == "u" and shift >= 0:
        return (image.astype(np.uint64) - np.uint64(shift)).astype(np.uint16)
    return (image.astype(np.int64) - shift).astype(np.uint16)
