"""One ingest at a time per collection.

On a local disk an advisory lock that dies with its process; on an object store a lease that
expires unless its holder renews it.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.collection.layout import LOCK
from engine.errors import UserError
from engine.files import exclusive_lock
from engine.stores import LocalStore, ObjectStore, Store

LEASE_SECONDS = 90.0


@contextmanager
def collection_lock(store: Store) -> Iterator[None]:
    """Hold the collection's lock.

    Raises:
        UserError: another ingest holds it; its process is named.
    """
    if isinstance(store, LocalStore):
        with exclusive_lock(store.root / LOCK) as holder:
            if holder is not None:
                raise _taken(store, f"lock held by process {holder}")
            yield
        return
    assert isinstance(store, ObjectStore)
    lease = _Lease(store)
    lease.take()
    try:
        yield
    finally:
        lease.give_back()


class _Lease:
    """An object with its holder's name and the time it was last renewed."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._tag: str | None = None
        self._lost: UserError | None = None
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Raises UserError while somebody else renews it."""
        if not self._store.create(LOCK, self._content()):
            found = self._store.head(LOCK)
            if found is not None:
                age = time.time() - found["last_modified"].timestamp()
                if age < LEASE_SECONDS:
                    raise _taken(self._store, self._holder(age))
                self._replace(found["e_tag"])  # fails when another takes it over first
        found = self._store.head(LOCK)
        self._tag = None if found is None else found["e_tag"]
        self._renewer.start()

    def give_back(self) -> None:
        """Raises UserError where another took it over meanwhile; it is not ours to delete then."""
        self._stop.set()
        self._renewer.join()
        if self._lost is not None:
            raise self._lost
        self._store.delete(LOCK)

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            try:
                self._tag = self._replace(str(self._tag))
            except UserError as error:
                self._lost = error
                return

    def _replace(self, tag: str) -> str:
        """Put our name in place of the lease with this tag. Raises UserError when it is gone."""
        from obstore.exceptions import BaseError

        try:
            done: Any = self._store.client.put(LOCK, self._content(), mode={"e_tag": tag})
        except BaseError as error:
            raise _taken(self._store, f"the lease changed hands: {type(error).__name__}") from error
        return str(done["e_tag"])

    def _holder(self, age: float) -> str:
        try:
            who = json.loads(self._store.get(LOCK))
        except (FileNotFoundError, ValueError):
            who = {}
        return (
            f"process {who.get('process')} on {who.get('host')} renewed its lease {age:.0f} s ago"
        )

    def _content(self) -> bytes:
        who = {"process": os.getpid(), "host": platform.node(), "time": time.time()}
        return json.dumps(who).encode()


def _taken(store: Store, got: str) -> UserError:
    return UserError(
        "another ingest is writing to this collection",
        where=str(store),
        got=got,
        expected="one ingest at a time",
        remedy="wait until it ends, then run the command again"
        + (
            ""
            if isinstance(store, LocalStore)
            else f"; the lease of a killed one expires after {LEASE_SECONDS:.0f} s"
        ),
    )
