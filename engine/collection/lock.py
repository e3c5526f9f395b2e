"""One ingest at a time per collection: an advisory lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.collection.layout import lock_file
from engine.errors import UserError


@contextmanager
def collection_lock(collection: Path) -> Iterator[None]:
    """Hold the collection's lock.

    Raises:
        UserError: another ingest holds it; its process id is named.
    """
    path = lock_file(collection)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 64).decode(errors="replace").strip() or "unknown"
            raise UserError(
                "another ingest is writing to this collection",
                where=str(collection),
                got=f"lock held by process {holder}",
                remedy="wait until it ends, then run the command again",
            ) from error
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)  # the lock goes with the handle, also when the process is killed
