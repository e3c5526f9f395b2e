"""Pairs of 64-bit hashes that differ in few bits, without comparing all pairs.

Cut the 64 bits into `d + 2` bands. Two hashes that differ in at most d bits agree in at least two
whole bands (pigeonhole), so for every two bands the hashes are sorted by these, and only hashes
that share them are compared. With d = 4 that is 15 sorts over keys of 21 or 22 bits: a million
random hashes share a key with one half other on average.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
_CHUNK = 2_000_000


def close_pairs(
    hashes: NDArray[np.uint64], most_bits: int, most_compared: int
) -> tuple[Index, Index, NDArray[np.int64], bool]:
    """All pairs a < b of different hashes at most `most_bits` apart.

    Args:
        hashes: uint64[n], no value twice.
        most_compared: comparisons after which to give up.

    Returns:
        (a, b, bits, complete): rows, ascending by (a, b); False where comparisons ran out.
    """
    found, compared, complete = [], 0, True
    shared = (pairs for mask in _masks(most_bits) for pairs in _sharing(hashes & mask))
    for a, b in shared:
        compared += len(a)
        near = np.bitwise_count(hashes[a] ^ hashes[b]) <= most_bits
        found.append(np.unique(_key(a[near], b[near], len(hashes))))
        if compared > most_compared:
            complete = False
            break
    keys = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    a, b = np.divmod(keys, max(len(hashes), 1))
    bits = np.bitwise_count(hashes[a] ^ hashes[b]).astype(np.int64)
    return a, b, bits, complete


def _masks(most_bits: int) -> list[np.uint64]:
    """Every two of `most_bits + 2` bands of nearly equal width."""
    n = most_bits + 2
    edges = [band * 64 // n for band in range(n + 1)]
    bands = [sum(1 << bit for bit in range(lo, hi)) for lo, hi in pairwise(edges)]
    return [np.uint64(one | other) for one, other in combinations(bands, 2)]


def _sharing(keys: NDArray[np.uint64]) -> Iterator[tuple[Index, Index]]:
    """Pairs of rows with equal keys, in chunks."""
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    starts = np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    place = np.arange(len(keys)) - np.repeat(starts, sizes)
    later = np.repeat(sizes, sizes) - place - 1  # how many of its group follow each row
    for rows in _chunks(later):
        first = np.repeat(rows, later[rows])
        step = np.arange(len(first)) - np.repeat(np.cumsum(later[rows]) - later[rows], later[rows])
        yield order[first], order[first + 1 + step]


def _chunks(weights: Index) -> Iterator[Index]:
    """Rows of positive weight in runs that weigh about `_CHUNK` each."""
    rows = np.flatnonzero(weights)
    if len(rows):
        ends = np.cumsum(weights[rows]) // _CHUNK
        yield from np.split(rows, np.flatnonzero(np.diff(ends)) + 1)


def _key(a: Index, b: Index, n: int) -> Index:
    key: Index = np.minimum(a, b) * n + np.maximum(a, b)
    return key


def expand(
    a: Index, b: Index, members: Index, starts: Index
) -> Iterator[tuple[Index, Index, Index]]:
    """Pairs of groups as pairs of members, in chunks of (row of the pair, member, member).

    Group g holds `members[starts[g]:starts[g + 1]]`; a pair (g, g) yields each two of g once.
    """
    sizes = np.diff(starts)
    weights = sizes[a] * sizes[b]
    for rows in _chunks(weights):
        pair = np.repeat(rows, weights[rows])
        step = np.arange(len(pair)) - np.repeat(
            np.cumsum(weights[rows]) - weights[rows], weights[rows]
        )
        i, j = np.divmod(step, sizes[b[pair]])
        one, other = members[starts[a[pair]] + i], members[starts[b[pair]] + j]
        keep = (a[pair] != b[pair]) | (i < j)
        yield pair[keep], one[keep], other[keep]
