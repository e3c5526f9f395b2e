"""A Ray Data source of units: one row per unit with its decoded pixels as binary columns."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, SupportsBytes

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from ray.data import DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata

from engine.collection.contract import SlicePixels
from engine.collection.reading import read_slices
from engine.errors import RemoteError, kind_of, text_of
from engine.planning.tasks import Tasks, UnitTask

_ARRAYS = pa.list_(
    pa.struct(
        [
            pa.field("data", pa.large_binary()),
            pa.field("dtype", pa.string()),
            pa.field("shape", pa.list_(pa.int64())),
        ]
    )
)
ROW = pa.schema(
    [
        pa.field("task", pa.large_binary()),  # UnitTask.pack()
        pa.field("images", _ARRAYS),
        pa.field("labels", _ARRAYS),
        # why the unit cannot be read, as text: not every exception survives the journey
        pa.field("error", pa.struct([pa.field(n, pa.string()) for n in ("kind", "text")])),
    ]
)


class ZarrUnits(Datasource):
    """Units of a collection, one read task each, so that a unit's rows are never split.

    Args:
        collection: path of the collection.
        tasks: units to read, in the order they should start.
    """

    def __init__(self, collection: str, tasks: Tasks) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._collection = collection
        self._tasks = tasks
        # About what a unit weighs in memory: two bytes of image and one of label a pixel.
        self._bytes = [3 * pixels + 1024 for pixels in tasks.pixels()]

    def get_name(self) -> str:
        return "ZarrUnits"

    def estimate_inmemory_data_size(self) -> int | None:
        return sum(self._bytes)

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        return [
            ReadTask(
                functools.partial(_read_blocks, self._collection, _Parcel(self._tasks, place)),
                BlockMetadata(
                    num_rows=1,
                    size_bytes=size,
                    exec_stats=None,
                    task_exec_stats=None,
                    input_files=None,
                ),
                schema=ROW,
            )
            for place, size in enumerate(self._bytes)
        ]


@dataclass(frozen=True)
class _Parcel:
    """A task that is made only when it is sent: Ray asks for all read tasks, several times."""

    tasks: Tasks
    place: int

    def __bytes__(self) -> bytes:
        return self.tasks[self.place].pack()

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (bytes(self),)


def read_unit(collection: str, packed: bytes) -> pa.Table:
    """One-row table of a unit. A unit that cannot be read carries its error instead of pixels."""
    error = None
    pixels: list[SlicePixels] = []
    try:
        pixels = read_slices(collection, UnitTask.unpack(packed).slices)
    except Exception as problem:  # noqa: BLE001  an unreadable unit becomes failure rows
        error = {"kind": kind_of(problem), "text": text_of(problem)}
    row = {
        "task": packed,
        "images": [_pack(slice_.image) for slice_ in pixels],
        "labels": [_pack(slice_.labels) for slice_ in pixels],
        "error": error,
    }
    return pa.Table.from_pylist([row], schema=ROW)


def unpack(table: pa.Table) -> list[SlicePixels]:
    """Pixels of a one-row table, read-only views of its buffers, in the order of the task.

    Raises:
        RemoteError: the read task could not read the unit.
    """
    error = table["error"][0].as_py()
    if error is not None:
        raise RemoteError(error["text"], kind=error["kind"])
    images = [_unpack(value) for value in table["images"][0]]
    labels = [_unpack(value) for value in table["labels"][0]]
    return [SlicePixels(i, n) for i, n in zip(images, labels, strict=True)]


def unpack_task(table: pa.Table) -> UnitTask:
    """The task of a one-row table."""
    return UnitTask.unpack(table["task"][0].as_buffer())


def _read_blocks(collection: str, parcel: SupportsBytes) -> Iterable[pa.Table]:
    yield read_unit(collection, bytes(parcel))


def _pack(array: NDArray[Any]) -> dict[str, Any]:
    return {
        "data": np.ascontiguousarray(array).tobytes(),
        "dtype": array.dtype.str,
        "shape": list(array.shape),
    }


def _unpack(value: pa.StructScalar) -> NDArray[Any]:
    flat = np.frombuffer(value["data"].as_buffer(), dtype=value["dtype"].as_py())
    return flat.reshape(value["shape"].as_py())
