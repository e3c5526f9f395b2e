"""What a plan asks for: cells, units of work, and a list of them that costs little until read."""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.collection.contract import SliceRef
from engine.collection.sampled import Index, SampledUnits
from engine.results.manifest import FACTORS_MODEL, Cell
from engine.results.record import PLANNED

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PlannedCell:
    """One (unit, model, strategy) to evaluate.

    Attributes:
        identity: hash of all that can change its numbers.
        expected: trials it must yield, done or failed.
    """

    cell: Cell
    identity: str
    expected: int


@dataclass(frozen=True)
class UnitTask:
    """What an evaluator needs to know of one unit beside its pixels.

    Attributes:
        data_sha256: of the whole unit's stored pixels.
        data: hash of what of the unit takes part, which enters its cells' identities.
    """

    unit_id: str
    data_sha256: str
    data: str
    complete: bool
    slices: tuple[SliceRef, ...]
    cells: tuple[PlannedCell, ...]

    def __len__(self) -> int:
        return len(self.slices)

    def pack(self) -> bytes:
        """The task as bytes, to be sent to a worker; ids of a unit are much alike."""
        return zlib.compress(pickle.dumps(self), level=1)

    @staticmethod
    def unpack(data: bytes | memoryview) -> UnitTask:
        """The task that `pack` made bytes of."""
        task: UnitTask = pickle.loads(zlib.decompress(data))
        return task


@dataclass(frozen=True)
class Column:
    """One (model, strategy) of a study, or the object factors: a cell in every unit.

    Attributes:
        per_object: trials it yields for an object; the factors: 1.
        before, after: canonical JSON of all that can change its numbers, around the hash of the
            unit's data, in which alone it differs between units.
    """

    model: str
    strategy: str
    per_object: int
    before: bytes
    after: bytes

    def cell(self, unit_id: str) -> Cell:
        """Its cell in a unit."""
        return Cell(unit_id, self.model, self.strategy)

    def identity(self, data: str) -> str:
        """Identity of its cell in the unit whose data have this hash."""
        return hashlib.sha256(self.before + data.encode() + self.after).hexdigest()


class Tasks(Sequence[UnitTask]):
    """A list of units with the cells to evaluate in each; a task is made when asked for.

    Attributes:
        sampled: all units of the study.
        data: per unit of the study, the hash of its data.
        columns: the cells of a unit.
        todo: bool[unit of the study, column], the cells that belong to this list.
        order: int64[n], places in `sampled` of the units in this list.
    """

    def __init__(
        self,
        sampled: SampledUnits,
        data: Sequence[str],
        columns: Sequence[Column],
        todo: Flags,
        order: Index,
    ) -> None:
        self.sampled = sampled
        self.data = data
        self.columns = tuple(columns)
        self.todo = todo
        self.order = order
        self._objects = sampled.objects_per_unit()

    @property
    def n_slices(self) -> int:
        """Slices of the units in this list."""
        return int(self.sampled.slices_per_unit()[self.order].sum())

    @property
    def n_objects(self) -> int:
        """Objects of the units in this list."""
        return int(self._objects[self.order].sum())

    @property
    def n_trials(self) -> int:
        """Trials of the cells in this list; object factors are none."""
        scored = [column.model != FACTORS_MODEL for column in self.columns]
        return int(self.expected()[:, scored].sum())

    def expected(self) -> Index:
        """int64[unit of the study, column], trials of the cells in this list, 0 elsewhere."""
        per_object = np.array([column.per_object for column in self.columns], np.int64)
        trials: Index = self.todo * self._objects[:, None] * per_object
        return trials

    def unit_ids(self) -> list[str]:
        """Of the units in this list, in its order."""
        names: list[str] = self.sampled.units["unit_id"].take(self.order).to_pylist()
        return names

    def pixels(self) -> list[int]:
        """Per unit in this list, the pixels of its slices."""
        return [int(n) for n in self.sampled.pixels_per_unit()[self.order]]

    def cells(self) -> Iterator[PlannedCell]:
        """The cells in this list, unit after unit."""
        names = self.sampled.units["unit_id"].to_pylist()
        for place in self.order.tolist():
            yield from self._cells(place, names[place])

    def table(self) -> pa.Table:
        """The same as rows of `PLANNED` (engine.results.record)."""
        rows, columns = np.nonzero(self.todo[self.order])
        rows = self.order[rows]
        of = self.columns
        places = list(zip(rows.tolist(), columns.tolist(), strict=True))
        return pa.table(
            [
                self.sampled.units["unit_id"].take(pa.array(rows)),
                pa.array([column.model for column in of], pa.string()).take(pa.array(columns)),
                pa.array([column.strategy for column in of], pa.string()).take(pa.array(columns)),
                pa.array([of[c].identity(self.data[r]) for r, c in places], pa.string()),
                pa.array(self.expected()[rows, columns]),
            ],
            schema=PLANNED,
        )

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> UnitTask: ...
    @overload
    def __getitem__(self, index: slice) -> list[UnitTask]: ...
    def __getitem__(self, index: int | slice) -> UnitTask | list[UnitTask]:
        if isinstance(index, slice):
            return [self._task(place) for place in self.order[index].tolist()]
        return self._task(int(self.order[index]))

    def _task(self, place: int) -> UnitTask:
        unit = self.sampled[place]
        cells = tuple(self._cells(place, unit.unit_id))
        return UnitTask(
            unit.unit_id, unit.data_sha256, self.data[place], unit.complete, unit.slices, cells
        )

    def _cells(self, place: int, unit_id: str) -> Iterator[PlannedCell]:
        objects, data = int(self._objects[place]), self.data[place]
        for column, wanted in zip(self.columns, self.todo[place].tolist(), strict=True):
            if wanted:
                expected = objects * column.per_object
                yield PlannedCell(column.cell(unit_id), column.identity(data), expected)
