"""The cases of a collection, one at a time, whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zarr
from numpy.typing import NDArray

from engine.collection.catalog import Catalog
from engine.collection.contract import SliceRef
from engine.collection.reading import read_slices
from engine.collection.store import zarr_place
from engine.errors import UserError, nearest
from engine.identity import case_id
from engine.stores import store_of

Row = dict[str, Any]


@dataclass(frozen=True)
class StoredCase:
    """A case as a collection holds it.

    Attributes:
        row: its row of `cases`.
        slices: its rows of `slices`, ascending.
        objects: rows of `objects` per slice row, in the catalog's order.
        subject, split: names as the recipe gave them.
        affine: (slice, y, x) indices to LPS mm; None for pictures.
        image: source values [slice, y, x] or [slice, y, x, 3].
        labels: [layer, slice, y, x].
    """

    row: Row
    slices: list[Row]
    objects: list[list[Row]]
    subject: str
    split: str | None
    affine: NDArray[np.float64] | None
    image: NDArray[np.generic]
    labels: NDArray[np.unsignedinteger]

    @property
    def name(self) -> str:
        return str(self.row["case"])

    @property
    def modality(self) -> str:
        return str(self.row["modality"])

    @property
    def is_picture(self) -> bool:
        """Pixels without a place in the patient, slice by slice."""
        return bool(self.row["plane"] == "image")

    @property
    def colours(self) -> bool:
        return self.image.ndim == 4

    @property
    def spacing_mm(self) -> tuple[float | None, float | None, float | None]:
        """(slice, row, column)."""
        first = self.slices[0]
        return self.row["spacing_slice_mm"], first["spacing_row_mm"], first["spacing_col_mm"]

    def mask(self, place: int, row: Row) -> NDArray[np.bool_]:
        """bool[y, x] of an object of the slice at `place`."""
        mask: NDArray[np.bool_] = self.labels[row["layer"], place] == row["value"]
        return mask


@dataclass(frozen=True)
class StoredDataset:
    """A dataset of a collection: its row of `datasets`, and its cases to iterate over."""

    catalog: Catalog
    row: Row

    @property
    def name(self) -> str:
        return str(self.row["dataset"])

    def cases(self) -> Iterator[StoredCase]:
        """Every case, by name; one in memory at a time.

        Raises:
            CorruptDataError: pixels cannot be read.
        """
        slices = _Runs.of(self._own("slices"), "case_id")
        objects = _Runs.of(self._own("objects"), "slice_id")
        attributes: dict[str, Row] = {}
        for row in self._own("cases").to_pylist():
            mine = sorted(slices.rows(row["case_id"]), key=lambda s: s["slice"])
            if mine:
                path = mine[0]["array_path"]
                if path not in attributes:
                    attributes = {path: self._attributes(path)}
                found = [objects.rows(s["slice_id"]) for s in mine]
                yield self._case(row, mine, found, attributes[path])

    def _own(self, name: str) -> pa.Table:
        """The dataset's rows of a table; every id begins with the dataset."""
        table = self.catalog.table(name)
        key = "object_id" if name == "objects" else "case_id"
        return table.filter(pc.starts_with(table[key], case_id(self.name, "")))

    def _attributes(self, array_path: str) -> Row:
        place = zarr_place(store_of(self.catalog.path), array_path)
        return dict(zarr.open_group(place, mode="r", zarr_format=3).attrs)

    def _case(
        self, row: Row, slices: list[Row], objects: list[list[Row]], attributes: Row
    ) -> StoredCase:
        entries = attributes.get("images", [attributes])
        entry = next(e for e in entries if e["case"] == row["case"])
        pixels = read_slices(self.catalog.path, [_ref(s, row) for s in slices])
        affine = entry["affine"]
        return StoredCase(
            row,
            slices,
            objects,
            entry["subject"],
            entry.get("split"),
            None if affine is None else np.array(affine, dtype=np.float64),
            np.stack([p.image for p in pixels]),
            np.stack([p.labels for p in pixels], axis=1),
        )


def stored_datasets(catalog: Catalog, dataset: str | None) -> list[StoredDataset]:
    """The datasets to export. Raises UserError for an unknown name or an empty collection."""
    rows = {row["dataset"]: row for row in catalog.datasets.to_pylist()}
    if dataset is not None and dataset not in rows:
        raise UserError(
            f"the collection has no dataset '{dataset}'",
            where=str(catalog.path),
            got=dataset,
            remedy=nearest(dataset, rows) if rows else "ingest one first",
        )
    if not rows:
        raise UserError(
            "the collection is empty", where=str(catalog.path), remedy="ingest a data set first"
        )
    return [StoredDataset(catalog, rows[name]) for name in ([dataset] if dataset else rows)]


@dataclass(frozen=True)
class _Runs:
    """A table whose rows with equal keys lie together (catalog tables are sorted by their ids).

    Rows become Python objects when asked for: a catalog may hold millions.
    """

    table: pa.Table
    places: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, table: pa.Table, key: str) -> _Runs:
        ends = pc.run_end_encode(table[key].combine_chunks())
        stops = ends.run_ends.to_numpy().tolist()
        keys = ends.values.to_pylist()
        starts = [0, *stops[:-1]]
        return cls(table, dict(zip(keys, zip(starts, stops, strict=True), strict=True)))

    def rows(self, key: str) -> list[Row]:
        start, stop = self.places.get(key, (0, 0))
        rows: list[Row] = self.table.slice(start, stop - start).to_pylist()
        return rows


def _ref(row: Row, case: Row) -> SliceRef:
    return SliceRef(
        row["slice_id"],
        row["array_path"],
        row["index"],
        row["height"],
        row["width"],
        case["volume_lo"],
        case["volume_hi"],
        row["spacing_row_mm"],
        row["spacing_col_mm"],
        case["modality"],
        (),
    )
