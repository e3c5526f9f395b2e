"""The few operations the ledger needs of a place for files; a local disk fulfils them.

Only put, create-if-absent, get, size, list and delete are used, so that an object store can take
the place of the disk. Names use `/` and are relative to the store's root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from engine.files import claim, replace_file, write_temporary


class Store(Protocol):
    """A place for whole, immutable files."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file; after the return it is durable."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless the name is taken; False when it is. Never half a file."""
        ...

    def get(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        ...

    def size(self, name: str) -> int | None:
        """Size in bytes; None when absent."""
        ...

    def list(self, folder: str) -> Iterator[str]:
        """Names of the files directly in `folder`, in no order; temporary files left out."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; absent is fine."""
        ...

    def location(self, name: str) -> str:
        """What a Parquet reader can open: a path or an address."""
        ...


class LocalStore:
    """Files under a folder of a local disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes) -> None:
        replace_file(self.root / name, data)

    def create(self, name: str, data: bytes) -> bool:
        target = self.root / name
        temporary = write_temporary(target, data)
        try:
            return claim(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def size(self, name: str) -> int | None:
        try:
            return (self.root / name).stat().st_size
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> Iterator[str]:
        try:
            entries = os.scandir(self.root / folder)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    yield f"{folder}/{entry.name}"

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def location(self, name: str) -> str:
        return str(self.root / name)
