"""Squared distances within a crowd, compiled by numba: where the nearest pixel is never far.

Noise and speckles have a border pixel almost everywhere. Whole words of 64 pixels then ask at once:
is there one at that offset? Few offsets, nearest first, settle nearly all; the rest look around
themselves. Instead of a distance a pixel comes a tally: how many pixels have each squared distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.compiled import compiled
from engine.scoring.bits import Words, lowest, ones

Ints = NDArray[np.int64]

REACH = 16
"""Pixels that a pixel looks around itself; the margin that `tally_among` needs."""

TOGETHER = 8
"""Offsets up to that long are asked by whole words."""

OFFSETS = np.array(
    sorted(
        (dy * dy + dx * dx, dy, dx)
        for dy in range(TOGETHER + 1)
        for dx in range(TOGETHER + 1)
        if dy * dy + dx * dx <= TOGETHER * TOGETHER
    )
)
"""int64[n, 3]: (squared length, rows, columns), shortest first; each stands for all four signs."""


@compiled
def tally_among(asking: Words, crowd: Words, step: int) -> Ints:
    """int64[REACH^2 + 1]: how many pixels of `asking` have their nearest of `crowd` that far off.

    Args:
        asking, crowd: `bits.packed` in the same window; `asking` has none within REACH of its
            edges, and is used up.
        step: words a row.

    Returns:
        By squared distance; empty where some pixel has none of the crowd within REACH.
    """
    tally = np.zeros(REACH * REACH + 1, np.int64)
    margin = REACH * step
    left = asking[margin : len(asking) - margin]
    waiting = _count(left)
    aside = np.empty((TOGETHER + 1, len(crowd)), np.uint64)
    made = 0
    for k in range(len(OFFSETS)):
        if waiting * 64 < len(left):
            break
        square, dy, dx = OFFSETS[k, 0], OFFSETS[k, 1], OFFSETS[k, 2]
        while made <= dx:
            _shift(crowd, made, aside[made])
            made += 1
        above, below = aside[dx, margin - dy * step :], aside[dx, margin + dy * step :]
        settled = _settle(left, above, below)
        tally[square] += settled
        waiting -= settled
    for i in range(len(left)):
        bits = left[i]
        while bits != 0:
            square = _around(64 * (margin + i) + int(lowest(bits)), crowd, 64 * step)
            if square > REACH * REACH:
                return tally[:0]
            tally[square] += 1
            bits &= bits - np.uint64(1)
    return tally


@compiled
def _shift(bits: Words, dx: int, result: Words) -> None:
    """Write bits that are set `dx` pixels, at most 63, to the left or to the right."""
    if dx == 0:
        result[:] = bits
        return
    near, far = np.uint64(dx), np.uint64(64 - dx)
    result[0] = result[-1] = 0
    here, before, after = bits[1:-1], bits[:-2], bits[2:]
    inner = result[1:-1]
    for i in range(len(inner)):
        inner[i] = here[i] << near | before[i] >> far | here[i] >> near | after[i] << far


@compiled
def _settle(left: Words, above: Words, below: Words) -> int:
    """Clear the bits of `left` that are set in one of the others; returns how many."""
    count = np.uint64(0)
    for i in range(len(left)):
        hit = left[i] & (above[i] | below[i])
        left[i] ^= hit
        count += ones(hit)
    return int(count)


@compiled
def _count(bits: Words) -> int:
    count = np.uint64(0)
    for i in range(len(bits)):
        count += ones(bits[i])
    return int(count)


@compiled
def _around(place: int, crowd: Words, row: int) -> int:
    """Squared distance from pixel `place` to the nearest of `crowd`; above REACH^2: farther.

    row: pixels from one row to the next.
    """
    best = REACH * REACH + 1
    down = 0
    while down * down < best:
        across = 0
        while across * across + down * down < best:
            for line in (place - down * row, place + down * row):
                if _is_set(crowd, line - across) or _is_set(crowd, line + across):
                    best = across * across + down * down
            across += 1
        down += 1
    return best


@compiled
def _is_set(bits: Words, place: int) -> bool:
    return bool(bits[place >> 6] >> np.uint64(place & 63) & np.uint64(1))
