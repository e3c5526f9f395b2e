"""The one pass over pixels: of each slice a hash, a thumbnail and labels that lie on nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import imagehash
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from engine.collection.contract import ObjectRef, SlicePixels, SliceRef
from engine.collection.curation.frame import MIN_OBJECT_PX, Frame, Index
from engine.collection.curation.outside import Placed, objects_outside
from engine.collection.even import even_in_groups
from engine.collection.intensity import to_uint8
from engine.collection.reading import read_slices
from engine.errors import CorruptDataError
from engine.study import Intensity

SAMPLED_SLICES = 5
"""Slices of a case that `fast` looks at, spread evenly over all its slices."""

THUMBNAIL = 32
"""Side of the thumbnails that verify a pair, pixels; 1 KiB per slice."""

_BATCH = 32


@dataclass(frozen=True)
class Looked:
    """What the pass saw; arrays have one entry per slice, in catalog order.

    Attributes:
        rows: int64[n], rows of the slice table.
        flat: bool[n], one value only: it has no hash.
        hashes: uint64[n], 64-bit perceptual hash (DCT) of the slice as a model sees it.
        thumbnails: uint8[n, 32, 32].
        dtypes: str[n], of the stored values.
        outside: rows of objects that lie in the empty surroundings.
        judged, undecided: objects above the protocol's minimum for which the surroundings were
            recognised, and for which not.
        unreadable: (array path, message) of arrays with slices that could not be read; `rows`
            lacks those slices.
    """

    rows: Index
    flat: NDArray[np.bool_]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    dtypes: NDArray[np.str_]
    outside: tuple[int, ...]
    judged: int
    undecided: int
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Seen:
    row: int
    flat: bool
    hash: int
    thumbnail: NDArray[np.uint8]
    dtype: str
    outside: tuple[int, ...]
    judged: int
    undecided: int


def sampled(frame: Frame, most: int | None) -> Index:
    """Rows of the slices to look at: all, or `most` of a case, spread evenly over its slices.

    Over all its slices, labelled or not: the same volume in two datasets with different labels
    then gives the same slices.
    """
    order = np.argsort(frame.case_of, kind="stable")
    return np.sort(order[even_in_groups(frame.case_of[order], most)])


def look(
    collection: str | os.PathLike[str],
    frame: Frame,
    rows: Index,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Looked:
    """Read and judge slices.

    Args:
        rows: of the slice table, ascending.
        workers: threads; decoding, scaling and hashing release the interpreter for most of it.
        on_progress: called with (slices done, slices in all).
    """
    batches = list(_batches(frame, rows))
    seen = _Table(rows)
    unreadable: list[tuple[str, str]] = []
    done = 0

    def work(batch: Index) -> list[_Seen] | tuple[str, str]:
        refs = frame.refs(batch)
        try:
            pixels = read_slices(collection, refs)
        except CorruptDataError as error:
            return refs[0].array_path, f"{error.what}: {error.got}"
        return [_see(frame, *one) for one in zip(batch, refs, pixels, strict=True)]

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for batch, result in zip(batches, pool.map(work, batches), strict=True):
            if isinstance(result, list):
                seen.add(result)
            else:
                unreadable.append(result)
            done += len(batch)
            on_progress(done, len(rows))
    return seen.close(unreadable)


def _batches(frame: Frame, rows: Index) -> Iterator[Index]:
    """At most `_BATCH` slices of one array at a time, in the order they are stored."""
    paths = frame.slices["array_path"].take(pa.array(rows)).combine_chunks().dictionary_encode()
    array = paths.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    place = frame.slices["index"].take(pa.array(rows)).to_numpy()
    order = np.lexsort((place, array))
    cuts = np.flatnonzero(np.diff(array[order])) + 1
    for part in np.split(rows[order], cuts):
        for start in range(0, len(part), _BATCH):
            yield part[start : start + _BATCH]


def _see(frame: Frame, row: np.int64, ref: SliceRef, pixels: SlicePixels) -> _Seen:
    rendered = to_uint8(pixels.image, Intensity(), ref.volume_lo, ref.volume_hi)
    grey = grey_of(rendered.image)
    code = 0 if rendered.flat else perceptual_hash(grey)
    small = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    places = [i for i, one in enumerate(ref.objects) if one.area_px > MIN_OBJECT_PX]
    mine = frame.objects_in(int(row))
    placed = [_placed(pixels, ref.objects[i], frame.box[mine[i]]) for i in places]
    found = objects_outside(np.asarray(grey), placed)
    decided = found is not None and not rendered.flat
    outside = tuple(int(mine[i]) for i, flag in zip(places, found or [], strict=False) if flag)
    return _Seen(
        int(row), rendered.flat, code, small, str(pixels.image.dtype),
        outside if decided else (),
        len(places) if decided else 0,
        0 if decided else len(places),
    )  # fmt: skip


def _placed(pixels: SlicePixels, ref: ObjectRef, box: NDArray[np.int64]) -> Placed:
    """The object's mask, cut from its own box: a slice may hold a hundred objects."""
    x0, y0, x1, y1 = (int(side) for side in box)
    part = (slice(y0, y1 + 1), slice(x0, x1 + 1))
    return Placed(part, np.asarray(pixels.labels[ref.layer][part] == ref.value))


def grey_of(image: NDArray[np.uint8]) -> Image.Image:
    """uint8[y, x] or uint8[y, x, 3] as a grey picture."""
    return Image.fromarray(image).convert("L")


def perceptual_hash(grey: Image.Image) -> int:
    """64 bits: which of the 8 x 8 lowest DCT coefficients of the slice exceed their median."""
    bits = np.packbits(imagehash.phash(grey).hash.ravel())
    return int.from_bytes(bits.tobytes(), "big")


class _Table:
    """The pass's arrays while they fill, in any order: 1.1 KiB per slice."""

    def __init__(self, rows: Index) -> None:
        self._rows = rows
        self._read = np.zeros(len(rows), np.bool_)
        self._flat = np.zeros(len(rows), np.bool_)
        self._hashes = np.zeros(len(rows), np.uint64)
        self._thumbnails = np.zeros((len(rows), THUMBNAIL, THUMBNAIL), np.uint8)
        self._dtypes = np.zeros(len(rows), "U12")
        self._outside: list[int] = []
        self._judged = self._undecided = 0

    def add(self, seen: Sequence[_Seen]) -> None:
        for at, one in zip(np.searchsorted(self._rows, [s.row for s in seen]), seen, strict=True):
            self._read[at], self._flat[at], self._hashes[at] = True, one.flat, one.hash
            self._thumbnails[at], self._dtypes[at] = one.thumbnail, one.dtype
            self._outside += one.outside
            self._judged += one.judged
            self._undecided += one.undecided

    def close(self, unreadable: Sequence[tuple[str, str]]) -> Looked:
        read = self._read
        whole = bool(read.all())  # the usual case: no copy
        return Looked(
            self._rows if whole else self._rows[read],
            self._flat if whole else self._flat[read],
            self._hashes if whole else self._hashes[read],
            self._thumbnails if whole else self._thumbnails[read],
            self._dtypes if whole else self._dtypes[read],
            tuple(sorted(self._outside)),
            self._judged,
            self._undecided,
            tuple(unreadable),
        )
