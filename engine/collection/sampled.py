"""Sampled units: Arrow rows that become Python objects one unit at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, overload

import numpy as np
import pyarrow as pa
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

    Args:
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
        self._units = units.combine_chunks()
        self._slices = slices.combine_chunks()
        self._objects = objects.combine_chunks()
        self._slice_starts = slice_starts
        self._object_starts = object_starts

    @property
    def n_slices(self) -> int:
        """Slices of all units."""
        return int(self._slices.num_rows)

    @property
    def n_objects(self) -> int:
        """Objects of all units."""
        return int(self._objects.num_rows)

    def __len__(self) -> int:
        return int(self._units.num_rows)

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
        row = self._units.slice(place, 1).to_pylist()[0]
        refs = self._refs(int(self._slice_starts[place]), int(self._slice_starts[place + 1]))
        return SampledUnit(row["unit_id"], row["data_sha256"], row["complete"], refs)

    def _refs(self, start: int, stop: int) -> tuple[SliceRef, ...]:
        cuts = self._object_starts[start : stop + 1].tolist()
        first = cuts[0]
        objects = _columns(self._objects.slice(first, cuts[-1] - first))
        refs = [ObjectRef(*row) for row in zip(*objects, strict=True)]
        own = [tuple(refs[i - first : j - first]) for i, j in pairwise(cuts)]
        slices = _columns(self._slices.slice(start, stop - start))
        return tuple(SliceRef(*row) for row in zip(*slices, own, strict=True))


SLICE_COLUMNS = (
    "slice_id", "array_path", "index", "height", "width", "volume_lo", "volume_hi",
    "spacing_row_mm", "spacing_col_mm", "modality",
)  # fmt: skip
"""Columns of `SampledUnits.slices`: the fields of SliceRef in order, but for its objects."""

OBJECT_COLUMNS = ("object_id", "layer", "value", "area_px")
"""Columns of `SampledUnits.objects`: the fields of ObjectRef in order."""


def _columns(table: pa.Table) -> list[list[Any]]:
    return [column.to_pylist() for column in table.columns]
