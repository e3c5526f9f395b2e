"""Structures that overlap, in one label map: one number for every set of structures that occurs.

A structure may lie within another (a tumour core within a tumour): then the innermost structure of
a voxel says which others it has, and one number per structure is enough. Where two structures
cross (each also has voxels without the other), their common voxels get a number of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Structures = frozenset[str]


def structures_at(
    masks: Iterable[tuple[str, Mask]], shape: tuple[int, int]
) -> tuple[list[Structures], NDArray[np.int64]]:
    """Sets of structures, the empty one first, and int64[y, x]: which of them each pixel has.

    Args:
        masks: several of one structure are its parts.
    """
    sets: list[Structures] = [frozenset()]
    at = np.zeros(shape, dtype=np.int64)
    for structure, mask in masks:
        codes, inverse = np.unique(at[mask], return_inverse=True)
        new = []
        for code in codes.tolist():
            joined = sets[code] | {structure}
            if joined not in sets:
                sets.append(joined)
            new.append(sets.index(joined))
        at[mask] = np.array(new, dtype=np.int64)[inverse]
    return sets, at


@dataclass(frozen=True)
class Together:
    """Which structures share voxels in a whole data set: voxels per set of structures."""

    voxels: Counter[Structures] = field(default_factory=Counter)

    def add(self, masks: Iterable[tuple[str, Mask]], shape: tuple[int, int]) -> None:
        """Count a slice; all slices come before any of the answers below is asked for."""
        sets, at = structures_at(masks, shape)
        for code, count in enumerate(np.bincount(at.ravel(), minlength=len(sets)).tolist()):
            if code and count:
                self.voxels[sets[code]] += count

    @cached_property
    def order(self) -> list[str]:
        """Structures, outer before inner: by their number of voxels, then by name."""
        sizes: Counter[str] = Counter()
        for members, count in self.voxels.items():
            for name in members:
                sizes[name] += count
        return sorted(sizes, key=lambda name: (-sizes[name], name))

    @cached_property
    def numbers(self) -> dict[Structures, int]:
        """Number of every set: first one per structure with all those it lies within, in `order`,

        then the sets that are left, the most frequent first. The empty set is 0.
        """
        found: dict[Structures, int] = {frozenset(): 0}
        for place, name in enumerate(self.order):
            outer = [o for o in self.order[:place] if self._lies_within(name, o)]
            found.setdefault(frozenset([name, *outer]), place + 1)
        left = [members for members in self.voxels if members not in found]
        left.sort(key=lambda members: (-self.voxels[members], sorted(members)))
        return {**found, **{members: n for n, members in enumerate(left, len(self.order) + 1)}}

    @property
    def crosses(self) -> bool:
        """Some structures overlap without one lying within the other."""
        return len(self.numbers) > len(self.order) + 1

    def members(self) -> dict[str, list[int]]:
        """Numbers that make up each structure, ascending."""
        return {
            name: sorted(n for members, n in self.numbers.items() if name in members)
            for name in self.order
        }

    def _lies_within(self, inner: str, outer: str) -> bool:
        return all(outer in members for members in self.voxels if inner in members)
