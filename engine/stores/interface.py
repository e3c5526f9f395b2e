"""What collections and runs ask of the place where their files lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Store(Protocol):
    """A place for whole, immutable files."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file; after the return it is durable."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless the name is taken; False when it is. Never half a file.

        An object that holds exactly `data` may count as ours: where it matters who won, no two
        writers write the same bytes.
        """
        ...

    def get(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        ...

    def each(self, ask: Callable[[T], U], things: Iterable[T]) -> Iterator[U]:
        """What `ask`, which asks this store, says of each thing, in order; side by side if far."""
        ...

    def size(self, name: str) -> int | None:
        """Size in bytes; None when absent."""
        ...

    def list(self, folder: str) -> Iterator[str]:
        """Names of the files directly in `folder`, in no order; temporary files left out."""
        ...

    def folders(self, folder: str) -> Iterator[str]:
        """Names of the folders directly in `folder` (`""`: the root), in no order."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine."""
        ...

    def remove(self, folder: str) -> None:
        """Remove all files below `folder`; absent is fine."""
        ...

    def place(self, array: Path | Mapping[str, bytes], folder: str) -> None:
        """Take over a local folder, or files by name, as `folder`, which must not exist."""
        ...

    def sync(self, name: str) -> None:
        """Make the removal of a file durable."""
        ...

    def sweep(self, folder: str) -> None:
        """Remove what killed writers left directly in `folder`."""
        ...

    def location(self, name: str) -> str:
        """What a Parquet reader can open: a path or an address."""
        ...

    def local(self, names: Sequence[str]) -> AbstractContextManager[Sequence[Path]]:
        """Files of a local disk with these contents, to read; copies go when the block ends.

        Raises:
            FileNotFoundError: one is absent; of a disk, when it is read.
        """
        ...
