"""Words of 64 pixels: one pixel a bit, the first one the lowest.

The compiled functions are called from kernels in other files, whose cached machine code does not
notice a change of this one: what stands here is arithmetic that stays as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled

Words = NDArray[np.uint64]
Window = tuple[int, int, int, int]
"""(y0, y1, x0, x1), inclusive."""

_TOP_BYTE = np.uint64(56)
_GATHER = np.uint64(0x0102040810204080)
"""Times this, the eight bytes of a word, each 0 or 1, come together in its top byte."""


@compiled
def ones(word: np.uint64) -> np.uint64:
    """Number of set bits; compilers know this arithmetic and use the machine's own instruction."""
    word = word - (word >> np.uint64(1) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        word >> np.uint64(2) & np.uint64(0x3333333333333333)
    )
    word = word + (word >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return word * np.uint64(0x0101010101010101) >> _TOP_BYTE


@compiled
def lowest(word: np.uint64) -> np.uint64:
    """Place of the lowest set bit; 64 where none is."""
    return ones(~word & word - np.uint64(1))


@compiled
def gathered(eight: Words) -> np.uint64:
    """A word of pixels from at most eight words of bytes that are 0 or 1 (little-endian)."""
    word = np.uint64(0)
    for k in range(len(eight)):
        word |= (eight[k] * _GATHER >> _TOP_BYTE) << np.uint64(8 * k)
    return word


def packed(pixels: NDArray[np.uint8], y0: int, x0: int, window: Window) -> Words:
    """A border's pixels in a window, as bits, rows one after another; zeros where it has none.

    Args:
        pixels: uint8[y, x] of 0 and 1, its first pixel at (y0, x0).
        window: in a frame of the same coordinates.

    Returns:
        uint64[n]; pixel (y, x) is bit (x - x0) of its row, `words_a_row` words each.
    """
    top, bottom, left, right = window
    height = bottom - top + 1
    frame = np.zeros((height, 64 * words_a_row(window)), np.uint8)
    y, y_end = max(top, y0), min(bottom + 1, y0 + pixels.shape[0])
    x, x_end = max(left, x0), min(right + 1, x0 + pixels.shape[1])
    if y < y_end and x < x_end:
        part = pixels[y - y0 : y_end - y0, x - x0 : x_end - x0]
        frame[y - top : y_end - top, x - left : x_end - left] = part
    return np.packbits(frame.ravel(), bitorder="little").view(np.uint64)


def words_a_row(window: Window) -> int:
    """Words of 64 pixels in a row of `packed`."""
    return (window[3] - window[2]) // 64 + 1
