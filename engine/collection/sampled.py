"""Sampled units: Arrow rows that become Python objects one unit at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.collection.contract import ObjectRef, SliceRef

Index = NDArray[np.int64]


@dataclass(frozen=True)
class SampledUnit:
    """What a study evaluates of one unit.

    Attributes:
        data_sha256: of the whole unit.
        complete: every slice of the unit takes part, so `data_sha256` can be checked against them.
        slices: in catalog order.
    """

    unit_id: str
    data_sha256: str
    complete: bool
    slices: tuple[SliceRef, ...]


class SampledUnits(Sequence[SampledUnit]):
    """Units by unit_id; each is made when asked for, so a plan of 10^6 slices stays light.

    Attributes:
        units: rows of the catalog's `units` plus `complete`, sorted by unit_id.
        slices: taken rows of `slices` with their case's columns, unit after unit.
        objects: taken rows of `objects`, slice after slice.
        slice_starts: int64[n_units + 1], first row of each unit in `slices`.
        object_starts: int64[n_slices + 1], first row of each slice in `objects`.
    """

    def __init__(
        self,
        units: pa.Table,
        slices: pa.Table,
        objects: pa.Table,
        slice_starts: Index,
        object_starts: Index,
    ) -> None:
        self.units = units
        self.slices = slices
        self.objects = objects
        self.slice_starts = slice_starts
        self.object_starts = object_starts

    @property
    def n_slices(self) -> int:
        """Slices of all units."""
        return int(self.slices.num_rows)

    @property
    def n_objects(self) -> int:
        """Objects of all units."""
        return int(self.objects.num_rows)

    def slices_per_unit(self) -> Index:
        """int64[n_units]."""
        return np.diff(self.slice_starts)

    def objects_per_unit(self) -> Index:
        """int64[n_units]."""
        return np.diff(self.object_starts[self.slice_starts])

    def pixels_per_unit(self) -> Index:
        """int64[n_units], of the slices that take part."""
        height, width = (self.slices[n].to_numpy().astype(np.int64) for n in ("height", "width"))
        return np.diff(np.concatenate([[0], np.cumsum(height * width)])[self.slice_starts])

    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of the slices that take part, each once."""
        columns = ["height", "width"]
        found = self.slices.group_by(columns).aggregate([])
        return list(zip(*(found[name].to_pylist() for name in columns), strict=True))

    def find(self, slice_ids: Collection[str]) -> dict[str, SliceRef]:
        """These slices, as far as they take part."""
        wanted = pc.is_in(self.slices["slice_id"], value_set=pa.array(list(slice_ids), pa.string()))
        rows = np.flatnonzero(wanted.to_numpy())
        refs = (self._refs(int(row), int(row) + 1)[0] for row in rows)
        return {ref.slice_id: ref for ref in refs}

    def __len__(self) -> int:
        return int(self.units.num_rows)

    @overload
    def __getitem__(self, place: int) -> SampledUnit: ...
    @overload
    def __getitem__(self, place: slice) -> list[SampledUnit]: ...
    def __getitem__(self, place: int | slice) -> SampledUnit | list[SampledUnit]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if place < 0:
            place += len(self)
        if not 0 <= place < len(self):
            raise IndexError(f"unit {place} of {len(self)}")
        row = self.units.slice(place, 1).to_pylist()[0]
        refs = self._refs(int(self.slice_starts[place]), int(self.slice_starts[place + 1]))
        return SampledUnit(row["unit_id"], row["data_sha256"], row["complete"], refs)

    def _refs(self, start: int, stop: int) -> tuple[SliceRef, ...]:
        cuts = self.object_starts[start : stop + 1].tolist()
        first = cuts[0]
        objects = _columns(self.objects.slice(first, cuts[-1] - first))
        refs = [ObjectRef(*row) for row in zip(*objects, strict=True)]
        own = [tuple(refs[i - first : j - first]) for i, j in pairwise(cuts)]
        slices = _columns(self.slices.slice(start, stop - start))
        return tuple(SliceRef(*row) for row in zip(*slices, own, strict=True))


REF_COLUMNS = (
    "slice_id", "array_path", "index", "height", "width", "volume_lo", "volume_hi",
    "spacing_row_mm", "spacing_col_mm", "modality",
)  # fmt: skip
"""Columns of `SampledUnits.slices`: the fields of SliceRef in order, but for its objects.
Those of `objects` are the fields of ObjectRef (`population.OBJECT_COLUMNS`)."""


def _columns(table: pa.Table) -> list[list[Any]]:
    return [column.to_pylist() for column in table.columns]
