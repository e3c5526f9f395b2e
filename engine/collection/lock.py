"""One ingest at a time per collection.

On a local disk an advisory lock that dies with its process; on an object store a lease that
expires unless its holder renews it (`engine/locks.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.collection.layout import LOCK
from engine.errors import UserError
from engine.files import exclusive_lock
from engine.locks import Lease, held
from engine.stores import ObjectStore, Store

LEASE_S = 60.0


@contextmanager
def collection_lock(store: Store) -> Iterator[Callable[[], None]]:
    """Hold the collection's lock.

    Yields:
        What to ask before every change: it raises UserError where the lock is ours no longer.

    Raises:
        UserError: another ingest holds it; its process is named.
    """
    if isinstance(store, ObjectStore):
        with held(Lease(store, LOCK, lambda got: _taken(store, got), LEASE_S)) as lease:
            yield lease.check
        return
    with exclusive_lock(Path(store.location(LOCK))) as holder:
        if holder is not None:
            raise _taken(store, f"lock held by process {holder}")
        yield lambda: None  # it lasts as long as this process


def _taken(store: Store, got: str) -> UserError:
    far = "; the lease of a killed one is taken over" if isinstance(store, ObjectStore) else ""
    return UserError(
        "another ingest is writing to this collection",
        where=str(store),
        got=got,
        expected="one ingest at a time",
        remedy=f"wait until it ends, then run the command again{far}",
    )
