"""The catalog's tables joined once: the parent row of every row, and columns as small codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.collection.contract import ObjectRef, SliceRef
from engine.collection.population import Tables, rows_of
from engine.study import Study

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

MIN_OBJECT_PX: int = Study.model_fields["min_object_px"].default
"""Objects up to this area do not take part, unless a study says otherwise (protocol 1.5)."""


_PLACE = ["slice_id", "array_path", "index", "height", "width",
          "spacing_row_mm", "spacing_col_mm"]  # fmt: skip
_EXTREMES = ["volume_lo", "volume_hi", "modality"]
_MASK = ["object_id", "layer", "value", "area_px"]


@dataclass(frozen=True)
class Codes:
    """A text column as whole numbers: `names[of[row]]`; names are sorted."""

    names: tuple[str, ...]
    of: Index

    def at(self, rows: Index) -> Codes:
        """The same names for other rows."""
        return Codes(self.names, self.of[rows])


@dataclass(frozen=True)
class Frame:
    """A collection's tables with the row of each row's parent.

    Attributes:
        cases, slices, objects, exclusions, datasets: as the catalog has them.
        case_of: int64[slices].
        slice_of: int64[objects].
    """

    datasets: pa.Table
    cases: pa.Table
    slices: pa.Table
    objects: pa.Table
    exclusions: pa.Table
    case_of: Index
    slice_of: Index

    @classmethod
    def of(cls, catalog: Tables) -> Frame:
        """Join the tables. Raises CorruptDataError where a row's parent is missing."""
        cases, slices, objects = (catalog.table(n) for n in ("cases", "slices", "objects"))
        return cls(
            catalog.table("datasets"),
            cases,
            slices,
            objects,
            catalog.table("exclusions"),
            rows_of(slices["case_id"], cases["case_id"], "slices.case_id"),
            rows_of(objects["slice_id"], slices["slice_id"], "objects.slice_id"),
        )

    @cached_property
    def dataset(self) -> Codes:
        """Of each case; also datasets of which no case was stored have a name."""
        named = (self.datasets["dataset"], self.exclusions["dataset"], self.cases["dataset"])
        found = {name for column in named for name in pc.unique(column).to_pylist()}
        return codes(self.cases["dataset"], sorted(found - {None}))

    @cached_property
    def modality(self) -> Codes:
        return codes(self.cases["modality"])

    @cached_property
    def plane(self) -> Codes:
        return codes(self.cases["plane"])

    @cached_property
    def subject(self) -> Codes:
        return codes(self.cases["subject_id"])

    @cached_property
    def structure(self) -> Codes:
        return codes(self.objects["structure"])

    @cached_property
    def area(self) -> Index:
        """int64[objects], pixels."""
        return numbers(self.objects["area_px"]).astype(np.int64)

    @cached_property
    def takes_part(self) -> Flags:
        """bool[objects], large enough for the protocol's default."""
        return np.asarray(self.area > MIN_OBJECT_PX)

    @cached_property
    def labelled(self) -> Flags:
        """bool[slices], holds an object of any size."""
        return np.asarray(np.bincount(self.slice_of, minlength=self.slices.num_rows) > 0)

    @cached_property
    def box(self) -> NDArray[np.int64]:
        """int64[objects, 4]: x0, y0, x1, y1, inclusive."""
        column = self.objects["bbox"].combine_chunks()
        sides = [numbers(pc.struct_field(column, n)) for n in ("x0", "y0", "x1", "y1")]
        return np.stack(sides, axis=1).astype(np.int64)

    @cached_property
    def objects_by_slice(self) -> tuple[Index, Index]:
        """(rows, starts): the objects of slice s are `rows[starts[s]:starts[s + 1]]`."""
        order = np.argsort(self.slice_of, kind="stable")
        per_slice = np.bincount(self.slice_of, minlength=self.slices.num_rows)
        return order, np.concatenate([np.zeros(1, np.int64), np.cumsum(per_slice)])

    def objects_in(self, row: int) -> Index:
        """Rows of the objects of one slice, by id."""
        order, starts = self.objects_by_slice
        return order[starts[row] : starts[row + 1]]

    def refs(self, rows: Index) -> list[SliceRef]:
        """Where these slices lie, with all their objects."""
        slices = self.slices.select(_PLACE).take(pa.array(rows)).to_pylist()
        cases = self.cases.select(_EXTREMES).take(pa.array(self.case_of[rows])).to_pylist()
        found = []
        for row, one, case in zip(rows, slices, cases, strict=True):
            mine = self.objects.select(_MASK).take(pa.array(self.objects_in(int(row)))).to_pylist()
            objects = tuple(
                ObjectRef(o["object_id"], o["layer"], o["value"], o["area_px"]) for o in mine
            )
            found.append(
                SliceRef(
                    one["slice_id"], one["array_path"], one["index"], one["height"], one["width"],
                    case["volume_lo"], case["volume_hi"], one["spacing_row_mm"],
                    one["spacing_col_mm"], case["modality"], objects,
                )
            )  # fmt: skip
        return found


def codes(column: pa.ChunkedArray, names: list[str] | None = None) -> Codes:
    """A column as codes; its null is the name `unknown`."""
    column = pc.fill_null(column, "unknown")
    if names is None:
        names = sorted(pc.unique(column).to_pylist())
    found = pc.index_in(column, value_set=pa.array(names, pa.string()))
    return Codes(tuple(names), numbers(found).astype(np.int64))


def numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """A numeric column as float64; NULL becomes NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False)
                      if isinstance(column, pa.Array)
                      else column.cast(pa.float64()).to_numpy())  # fmt: skip
