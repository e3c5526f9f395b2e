"""Masks that may overlap -> as few label layers as first fit finds.

A collection stores labels as [layer, slice, y, x]: objects that do not touch the same pixel share
a layer, and every object is exactly recoverable as `labels[layer] == value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.case import Label

_MOST_VALUES = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Part:
    """One object of a case: some numbers of a map, within a box.

    The mask is made when asked for: a volume with a hundred structures spread over it would
    otherwise need a hundred volumes of memory.

    Attributes:
        structure, instance: what it is; instance 0 unless the data set labels instances.
        box: one slice object per spatial axis, start and stop given.
        numbers: integers or bool of the box's size, a view of the whole map.
        members: numbers that belong to the object, at least one pixel of each.
    """

    structure: str
    instance: int
    box: tuple[slice, ...]
    numbers: NDArray[np.generic]
    members: tuple[int, ...]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool[...] of the box's size."""
        if len(self.members) == 1:
            return np.asarray(self.numbers == self.members[0])
        return np.isin(self.numbers, self.members)


def part_of(structure: str, mask: NDArray[np.bool_], instance: int = 0) -> Part | None:
    """The part a full-size mask stands for, cropped; None for an empty mask."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        if not len(inside):
            return None
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return Part(structure, instance, tuple(box), mask[tuple(box)], (1,))


def unite(parts: Sequence[Part]) -> list[Part]:
    """Parts of the same structure and instance become one, at the place of the first."""
    groups: dict[tuple[str, int], list[Part]] = {}
    for part in parts:
        groups.setdefault((part.structure, part.instance), []).append(part)
    return [group[0] if len(group) == 1 else _union(group) for group in groups.values()]


def _union(group: list[Part]) -> Part:
    ends = [
        (min(part.box[a].start for part in group), max(part.box[a].stop for part in group))
        for a in range(group[0].numbers.ndim)
    ]
    mask = np.zeros([stop - start for start, stop in ends], dtype=np.bool_)
    for part in group:
        inner = tuple(
            slice(s.start - start, s.stop - start)
            for s, (start, _) in zip(part.box, ends, strict=True)
        )
        mask[inner] |= part.mask
    box = tuple(slice(start, stop) for start, stop in ends)
    return Part(group[0].structure, group[0].instance, box, mask, (1,))


def layer(
    parts: Sequence[Part], shape: tuple[int, ...]
) -> tuple[NDArray[np.unsignedinteger], tuple[Label, ...]]:
    """Paint parts in their order, each into the first layer where it overlaps nothing.

    Values count 1, 2, ... within a layer. First fit needs one layer where nothing overlaps, and
    may need one more than the best colouring would where many masks overlap in a chain.

    Args:
        parts: at most one per structure and instance (see `unite`).
        shape: size of the case without layers, e.g. (slice, y, x).

    Returns:
        (labels, meaning): uint8 or uint16 [layer, *shape], at least one layer, 0 background; and
        one `Label` per part, in the order of the parts.
    """
    layers: list[NDArray[np.uint16]] = []
    used: list[int] = []
    meaning = []
    for part in parts:
        mask = part.mask
        index = _first_fit(layers, used, part.box, mask)
        if index == len(layers):
            layers.append(np.zeros(shape, dtype=np.uint16))
            used.append(0)
        used[index] += 1
        layers[index][part.box][mask] = used[index]
        meaning.append(Label(index, used[index], part.structure, part.instance))
    stack = np.stack(layers) if layers else np.zeros((1, *shape), dtype=np.uint16)
    small = max(used, default=0) <= np.iinfo(np.uint8).max
    return stack.astype(np.uint8 if small else np.uint16), tuple(meaning)


def _first_fit(
    layers: list[NDArray[np.uint16]],
    used: list[int],
    box: tuple[slice, ...],
    mask: NDArray[np.bool_],
) -> int:
    for index, painted in enumerate(layers):
        if used[index] < _MOST_VALUES and not painted[box][mask].any():
            return index
    return len(layers)
