"""One ingest at a time per collection.

On a local disk an advisory lock that dies with its process; on an object store a lease that
expires unless its holder renews it.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.collection.layout import LOCK
from engine.errors import UserError
from engine.files import exclusive_lock
from engine.stores import ObjectStore, Store

LEASE_SECONDS = 90.0


@contextmanager
def collection_lock(store: Store) -> Iterator[Callable[[], None]]:
    """Hold the collection's lock.

    Yields:
        What to ask before every change: it raises UserError where the lock is ours no longer.

    Raises:
        UserError: another ingest holds it; its process is named.
    """
    if isinstance(store, ObjectStore):
        lease = _Lease(store)
        lease.take()
        try:
            yield lease.check
        finally:
            lease.give_back()
        return
    with exclusive_lock(Path(store.location(LOCK))) as holder:
        if holder is not None:
            raise _taken(store, f"lock held by process {holder}")
        yield lambda: None  # it lasts as long as this process


class _Lease:
    """An object that its holder writes again and again; unwritten for a while it is anyone's.

    Every time is the store's own: clocks of two machines need not agree.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._me = secrets.token_hex(8)
        self._tag = ""
        self._renewed = 0.0
        self._lost: UserError | None = None
        self._change = threading.Lock()
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Raises UserError while somebody else renews it."""
        while not self._create():
            age = self._age()
            if age is None:
                continue  # given back this very moment
            if age < LEASE_SECONDS:
                raise _taken(self._store, self._holder(age))
            found = self._store.head(LOCK)
            if found is not None and self._write({"e_tag": found["e_tag"]}):
                break
        self._renewer.start()

    def check(self) -> None:
        """Renews a lease that this process neglected; raises UserError where it is lost."""
        if self._lost is None and time.monotonic() - self._renewed > LEASE_SECONDS / 2:
            self._keep()
        if self._lost is not None:
            raise self._lost

    def give_back(self) -> None:
        """Raises UserError where another took it over meanwhile; it is not ours to delete then."""
        self._stop.set()
        self._renewer.join()
        if self._lost is None:
            self._keep()
        if self._lost is not None:
            raise self._lost
        self._store.delete(LOCK)

    def _renew(self) -> None:
        while self._lost is None and not self._stop.wait(LEASE_SECONDS / 3):
            self._keep()

    def _keep(self) -> None:
        """Write it again. Only a lease that changed is lost, or one not renewed for its time."""
        with self._change:
            try:
                if self._write({"e_tag": self._tag}):
                    return
                got = "the lease changed hands"
            except UserError as error:  # a store that does not answer now may do so soon
                if time.monotonic() - self._renewed < LEASE_SECONDS:
                    return
                got = f"the lease could not be renewed: {error.got}"
            self._lost = _taken(self._store, got)

    def _create(self) -> bool:
        return self._write("create")

    def _write(self, mode: str | dict[str, str]) -> bool:
        """Put our name there unless somebody was faster. Raises UserError for other trouble."""
        tag = self._store.put_if(LOCK, self._content(), mode)
        if tag is None:
            return False
        self._tag, self._renewed = tag, time.monotonic()
        return True

    def _age(self) -> float | None:
        """Seconds since the last renewal, by the clock of the store; None when it is gone."""
        probe = f"{LOCK}.{self._me}"
        self._store.put(probe, b"")
        now, found = self._store.head(probe), self._store.head(LOCK)
        self._store.delete(probe)
        if now is None or found is None:
            return None
        return float((now["last_modified"] - found["last_modified"]).total_seconds())

    def _holder(self, age: float) -> str:
        try:
            who = json.loads(self._store.get(LOCK))
        except (FileNotFoundError, ValueError):
            who = {}
        return (
            f"process {who.get('process')} on {who.get('host')} renewed its lease {age:.0f} s ago"
        )

    def _content(self) -> bytes:
        """Another every time, so that its tag tells renewals apart."""
        who = {"process": os.getpid(), "host": platform.node(), "me": self._me}
        return json.dumps({**who, "time": time.time(), "turn": secrets.token_hex(4)}).encode()


def _taken(store: Store, got: str) -> UserError:
    return UserError(
        "another ingest is writing to this collection",
        where=str(store),
        got=got,
        expected="one ingest at a time",
        remedy="wait until it ends, then run the command again"
        + (
            ""
            if not isinstance(store, ObjectStore)
            else f"; the lease of a killed one expires after {LEASE_SECONDS:.0f} s"
        ),
    )
