"""Words of 64 pixels, compiled by numba: one pixel a bit, the first one the lowest.

Called from kernels in other files, whose cached machine code does not notice a change of this one:
what stands here is arithmetic that stays as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled

Words = NDArray[np.uint64]

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
