"""Structures that overlap, in one label map: possible where they nest.

A structure may lie within another (a tumour core within a tumour). Then the innermost structure
of a voxel says which others it has, and one number per structure is enough. Where two structures
overlap and each also has voxels without the other, no order of them can be told from one number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass
class Together:
    """Which structures share voxels: counts of voxels per set of structures."""

    voxels: Counter[frozenset[str]] = field(default_factory=Counter)

    def add(self, masks: Iterable[tuple[str, Mask]], shape: tuple[int, int]) -> None:
        """Take a slice's masks; several of one structure are its parts."""
        sets: list[frozenset[str]] = [frozenset()]
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
        for code, count in enumerate(np.bincount(at.ravel(), minlength=len(sets)).tolist()):
            if code and count:
                self.voxels[sets[code]] += count

    def order(self) -> list[str]:
        """Structures, outer before inner: by their number of voxels, then by name."""
        sizes: Counter[str] = Counter()
        for members, count in self.voxels.items():
            for name in members:
                sizes[name] += count
        return sorted(sizes, key=lambda name: (-sizes[name], name))

    def crossing(self) -> tuple[str, str, int] | None:
        """Two structures that overlap without nesting, and how many voxels they share."""
        order = self.order()
        for place, a in enumerate(order):
            for b in order[place + 1 :]:
                both, only_a, only_b = self._pair(a, b)
                if both and only_a and only_b:
                    return a, b, both
        return None

    def members(self) -> dict[str, list[int]]:
        """Numbers that make up each structure: its own, and those of structures within it.

        Numbers count from 1 in `order`; painting the structures in that order leaves at every
        voxel the number of its innermost structure. Only where nothing is `crossing`.
        """
        order = self.order()
        numbers = {name: number for number, name in enumerate(order, 1)}
        return {
            outer: [numbers[outer]]
            + [
                numbers[inner]
                for inner in order[place + 1 :]
                if self._pair(outer, inner)[0] and not self._pair(outer, inner)[2]
            ]
            for place, outer in enumerate(order)
        }

    def _pair(self, a: str, b: str) -> tuple[int, int, int]:
        """Voxels of (both, only a, only b)."""
        both = sum(n for s, n in self.voxels.items() if a in s and b in s)
        only_a = sum(n for s, n in self.voxels.items() if a in s and b not in s)
        only_b = sum(n for s, n in self.voxels.items() if b in s and a not in s)
        return both, only_a, only_b
