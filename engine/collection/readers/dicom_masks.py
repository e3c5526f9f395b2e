"""Masks of single slices, gathered into one object per number."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import NamedObject, RawObjects, refuse
from engine.collection.readers.limits import admit
from engine.collection.readers.objects import Boxed, crop

Slices = dict[int, Boxed]  # slice -> ((rows, columns), bool[row, column])


@dataclass
class Masks:
    """Cropped masks by object number and slice.

    Attributes:
        shape: the image's (columns, rows, slices), or (rows, columns) of a picture.
        path: of the label file, for messages.
    """

    shape: tuple[int, ...]
    path: Path
    parts: dict[int, Slices] = field(default_factory=dict)

    def add_once(self, number: int, k: int, mask: NDArray[np.bool_]) -> None:
        """Take the mask [y, x] of an object in slice `k`, which must be new or the same again."""
        boxed = crop(mask)
        if boxed is None:
            return
        before = self.parts.setdefault(number, {}).setdefault(k, boxed)
        if before is not boxed and not _equal(before, boxed):
            raise refuse(
                "duplicate_slices",
                "the label file holds two different masks of one object in one slice",
                self.path,
                got=f"object {number}, slice {k}",
                expected="one mask",
            )

    def objects(self, names: dict[int, str]) -> RawObjects:
        """One object per number that has pixels; `names` in their order, each once."""
        boxes = {number: _box(slices) for number, slices in self.parts.items() if slices}
        size = sum(int(np.prod([s.stop - s.start for s in box])) for box in boxes.values())
        if size:
            admit((size,), 1, self.path)
        made = [
            self._object(names[number], number, boxes[number])
            for number in names
            if number in boxes
        ]
        return RawObjects(tuple(made), tuple(dict.fromkeys(names.values())))

    def _object(self, name: str, number: int, box: tuple[slice, slice, slice]) -> NamedObject:
        """Its mask with the axes of the image: [x, y, slice] or [y, x]."""
        columns, rows, depth = box
        whole = np.zeros([s.stop - s.start for s in (depth, rows, columns)], dtype=np.bool_)
        for k, ((y, x), mask) in self.parts[number].items():
            inner = (
                slice(y.start - rows.start, y.stop - rows.start),
                slice(x.start - columns.start, x.stop - columns.start),
            )
            whole[k - depth.start][inner] = mask
        if len(self.shape) == 2:
            return NamedObject(name, number, (rows, columns), whole[0])
        return NamedObject(name, number, box, whole.transpose(2, 1, 0))


def _box(slices: Slices) -> tuple[slice, slice, slice]:
    """(columns, rows, slices) around all parts."""
    rows = [box[0] for box, _ in slices.values()]
    columns = [box[1] for box, _ in slices.values()]
    return (
        slice(min(s.start for s in columns), max(s.stop for s in columns)),
        slice(min(s.start for s in rows), max(s.stop for s in rows)),
        slice(min(slices), max(slices) + 1),
    )


def _equal(one: Boxed, other: Boxed) -> bool:
    return one[0] == other[0] and np.array_equal(one[1], other[1])
