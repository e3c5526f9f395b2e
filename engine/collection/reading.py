"""Pixels of slices, read from the collection's arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from engine.collection.checksum import data_sha256
from engine.collection.contract import SlicePixels, SliceRef
from engine.collection.layout import IMAGE, LABELS
from engine.collection.store import gentle_zarr, zarr_place
from engine.errors import CorruptDataError
from engine.stores import Store, store_of

__all__ = ["data_sha256", "read_slices"]

_UNDECODABLE = (ValueError, RuntimeError, OSError, LookupError, TypeError, EOFError)
"""What zarr and its codecs raise on bytes that are not what they should be."""


def read_slices(
    collection_path: str | os.PathLike[str], refs: Sequence[SliceRef]
) -> list[SlicePixels]:
    """Pixels of slices, in the order of `refs`; neighbours in one array are read together.

    Every chunk carries a crc32c, and an absent shard is an error, so damage never becomes an
    image. That the values are those of the catalog is for the caller to check: `data_sha256`.

    Raises:
        CorruptDataError: an array is missing, damaged or shorter than the catalog says.
    """
    gentle_zarr()
    store = store_of(collection_path)
    found: dict[int, SlicePixels] = {}
    for array_path, places in _by_array(refs).items():
        image = _Array(store, f"{array_path}/{IMAGE}", axis=0)
        labels = _Array(store, f"{array_path}/{LABELS}", axis=1)
        for run in _runs(refs, places):
            start, stop = refs[run[0]].index, refs[run[-1]].index + 1
            pixels = image.read(start, stop)
            masks = labels.read(start, stop)
            for place in run:
                offset = refs[place].index - start
                found[place] = SlicePixels(pixels[offset], masks[:, offset])
    return [found[place] for place in range(len(refs))]


def _by_array(refs: Sequence[SliceRef]) -> dict[str, list[int]]:
    """Places in `refs` by array, each list sorted by slice index."""
    places: dict[str, list[int]] = {}
    for place in sorted(range(len(refs)), key=lambda p: (refs[p].array_path, refs[p].index)):
        places.setdefault(refs[place].array_path, []).append(place)
    return places


def _runs(refs: Sequence[SliceRef], places: Sequence[int]) -> Iterator[list[int]]:
    """Split places, sorted by index, where an index is skipped."""
    run: list[int] = []
    for place in places:
        if run and refs[place].index > refs[run[-1]].index + 1:
            yield run
            run = []
        run.append(place)
    if run:
        yield run


class _Array:
    """One Zarr array that refuses to invent values.

    Args:
        folder: the array's folder in the collection.
        axis: its slice axis.
    """

    def __init__(self, store: Store, folder: str, axis: int) -> None:
        self._store = store
        self._folder = folder
        self._axis = axis
        try:
            array = zarr.open_array(zarr_place(store, folder), mode="r", zarr_format=3)
        except _UNDECODABLE as error:
            raise self._corrupt(folder, error) from error
        self._array = array
        self._step = (array.shards or array.chunks)[axis]
        if array.ndim < axis + 3:
            raise self._corrupt(folder, f"{array.ndim} axes")

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Slices start..stop-1, all other axes whole."""
        length = self._array.shape[self._axis]
        if stop > length or start < 0:
            raise self._corrupt(self._folder, f"{length} slices, slice {stop - 1} is wanted")
        for number in range(start // self._step, (stop - 1) // self._step + 1):
            self._require_shard(number)
        part = (slice(None),) * self._axis + (slice(start, stop),)
        try:
            return np.asarray(self._array[part])
        except _UNDECODABLE as error:
            raise self._corrupt(self._folder, f"slices {start}..{stop - 1}: {error!r}") from error

    def _require_shard(self, number: int) -> None:
        """zarr takes an absent or empty shard for one full of zeros; ours are always written."""
        key = [0] * self._array.ndim
        key[self._axis] = number
        file = "/".join([self._folder, "c", *map(str, key)])
        size = self._store.size(file)
        if size is None:
            raise self._corrupt(file, "no such file")
        if size == 0:
            raise self._corrupt(file, "an empty file")

    def _corrupt(self, where: str, got: object) -> CorruptDataError:
        return CorruptDataError(
            "pixels of the collection cannot be read",
            where=self._store.location(where),
            got=got if isinstance(got, str) else repr(got),
            expected="an array as `samscope ingest` wrote it",
            remedy="restore the file, or delete this array's fragment in catalog/fragments "
            "and run `samscope ingest` again: the array is made anew",
        )
