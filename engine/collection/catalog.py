"""The catalog: every case, slice, object, unit and exclusion of a collection, as Arrow tables.

The truth is the fragments; the merged Parquet tables are a copy of them made for speed. A copy
that does not match the fragments (an ingest is running, or was killed) is passed over.

A catalog is kept as it is stored, compressed, and decoded when a table is asked for: 10^6 slices
with 6 x 10^6 objects are 24 MB of Parquet and more than 1 GB of Arrow.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.collection.fragments import (
    DATASET_FRAGMENT,
    fragments_fingerprint,
    list_fragments,
    read_rows,
)
from engine.collection.layout import CATALOG, FRAGMENTS
from engine.errors import UserError
from engine.stores import Place, Store, place_of, store_of, without

if TYPE_CHECKING:
    import os

_STAMP = b"samscope.fragments"

_ORDER = {
    "datasets": ("dataset",),
    "cases": ("case_id",),
    "slices": ("case_id", "slice"),
    "objects": ("object_id",),
    "units": ("unit_id",),
    "exclusions": ("dataset", "case_id", "slice_id", "object_id", "reason"),
}
"""Row order of each table: rows do not depend on the order in which arrays were committed."""


@dataclass(frozen=True)
class Catalog:
    """The tables of a collection, fetched on first use; each in its fixed row order.

    Attributes:
        path: the collection's folder or address.
        fragments: files the tables are made of when it was opened.
    """

    path: Place
    fragments: tuple[str, ...] = field(repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Catalog:
        """Open the catalog of a collection.

        Raises:
            UserError: `path` is not a collection.
        """
        place = place_of(path)
        store = store_of(place)
        if not any(store.folders(FRAGMENTS)) and store.size(f"{CATALOG}/zarr.json") is None:
            raise UserError(
                "there is no collection here",
                where=str(place),
                got=without(place, "catalog/fragments"),
                expected="a folder or an address written by `samscope ingest`",
                remedy="put it back where it was, or make it: "
                f"samscope ingest RECIPE.yaml RAW_DIR --out {place}",
            )
        return cls(place, tuple(list_fragments(store)))

    @property
    def datasets(self) -> pa.Table:
        return self.table("datasets")

    @property
    def cases(self) -> pa.Table:
        return self.table("cases")

    @property
    def slices(self) -> pa.Table:
        return self.table("slices")

    @property
    def objects(self) -> pa.Table:
        return self.table("objects")

    @property
    def units(self) -> pa.Table:
        return self.table("units")

    @property
    def exclusions(self) -> pa.Table:
        return self.table("exclusions")

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The table `name` of `CATALOG_SCHEMAS`, or some of its columns, decoded anew."""
        try:
            return _decode(self._file(name), columns)
        except (OSError, pa.ArrowException):  # a damaged copy: the fragments hold the same rows
            self._files.update(_merge(store_of(self.path), self.fragments))
            return _decode(self._files[name], columns)

    def hold(self) -> None:
        """Fetch all tables now: what an ingest changes from here on is not seen."""
        for name in CATALOG_SCHEMAS:
            self._file(name)

    @cached_property
    def fingerprint(self) -> str:
        """Hash naming this state of the collection."""
        return fragments_fingerprint(self.fragments)

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return {}

    def _file(self, name: str) -> bytes:
        """A table as a Parquet file."""
        if name not in self._files:
            stored = self._read_merged(name)
            if stored is None:
                self._files.update(_merge(store_of(self.path), self.fragments))
            else:
                self._files[name] = stored
        return self._files[name]

    def _read_merged(self, name: str) -> bytes | None:
        """The merged file on disk, or None when it does not match the fragments."""
        try:
            data = store_of(self.path).get(f"{CATALOG}/{name}.parquet")
            with pq.ParquetFile(pa.BufferReader(data)) as stream:
                stamp = (stream.schema_arrow.metadata or {}).get(_STAMP, b"")
        except (OSError, pa.ArrowException):
            return None
        return data if stamp.decode() == self.fingerprint else None


def merge_catalog(store: Store) -> None:
    """Write the merged tables anew from the fragments, each file whole."""
    for name, data in _merge(store, list_fragments(store)).items():
        store.put(f"{CATALOG}/{name}.parquet", data)


def _one_per_dataset(files: Sequence[str]) -> list[str]:
    """All fragments, of two of a data set's own only one.

    An ingest killed between writing the new and removing the old leaves both until its next run.
    """
    own = {file.rpartition("/")[0]: file for file in sorted(files) if _is_own(file)}
    return [file for file in files if not _is_own(file) or own[file.rpartition("/")[0]] == file]


def _is_own(file: str) -> bool:
    return file.rpartition("/")[2].startswith(f"{DATASET_FRAGMENT}.")


def _merge(store: Store, files: Sequence[str]) -> dict[str, bytes]:
    """The merged tables as Parquet files, stamped with the fragments they are made of."""
    parts: dict[str, list[pa.Table]] = {name: [] for name in CATALOG_SCHEMAS}
    for file in _one_per_dataset(files):
        for name, rows in read_rows(store, file).items():
            parts[name].append(rows)
    stamp = {_STAMP: fragments_fingerprint(files).encode()}
    merged = {}
    for name, schema in CATALOG_SCHEMAS.items():
        table = pa.concat_tables([schema.empty_table(), *parts.pop(name)]).combine_chunks()
        table = table.sort_by([(column, "ascending") for column in _ORDER[name]])
        merged[name] = _encode(table.replace_schema_metadata(stamp))
    return merged


def _encode(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _decode(data: bytes, columns: Sequence[str] | None) -> pa.Table:
    with pq.ParquetFile(pa.BufferReader(data)) as stream:
        table = stream.read(columns=None if columns is None else list(columns))
    return table.replace_schema_metadata(None)
