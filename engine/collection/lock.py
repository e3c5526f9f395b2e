"""One ingest at a time per collection: an advisory lock that dies with its process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.collection.layout import lock_file
from engine.errors import UserError
from engine.files import exclusive_lock


@contextmanager
def collection_lock(collection: Path) -> Iterator[None]:
    """Hold the collection's lock.

    Raises:
        UserError: another ingest holds it; its process id is named.
    """
    with exclusive_lock(lock_file(collection)) as holder:
        if holder is not None:
            raise UserError(
                "another ingest is writing to this collection",
                where=str(collection),
                got=f"lock held by process {holder}",
                remedy="wait until it ends, then run the command again",
            )
        yield
