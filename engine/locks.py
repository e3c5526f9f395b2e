"""One writer at a time where files cannot be locked: a lease in an object store, with a token.

The lease is an object that its holder writes anew several times per time-to-live. Who finds it
watches it: an object that does not change for one time-to-live, by the watcher's own monotonic
clock, is anyone's. No clock is compared with another. Every change is a conditional write, so of
two who want it one gets it; and the token in it only rises, also over an orderly end.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from engine.errors import SamscopeError, UserError
from engine.stores import ObjectStore, read_record

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""Time-to-live of a lease."""

RENEWALS = 6
"""In one time-to-live."""

TRUSTED = 0.9
"""Of its time-to-live a holder takes an unrenewed lease for its own: clocks run at unlike rates."""


@dataclass(frozen=True)
class Holder:
    """What a lease says.

    Attributes:
        token: how many times the lease was taken.
        host, process: who holds it.
        since: ISO 8601, when it was taken, by the holder's clock: for people.
        ttl_s: unchanged for so many seconds, it is anyone's.
        held: False once it was given back.
        turn: random, another in every write, so that renewals have different tags.
    """

    token: int
    host: str
    process: int
    since: str
    ttl_s: float
    held: bool = True
    turn: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Holder:
        """From JSON. Raises ValueError or TypeError where it says nothing of the kind."""
        found = cls(**raw)
        if not (int(found.token) > 0 and 0 < float(found.ttl_s) < float("inf")):
            raise ValueError(f"token {found.token}, ttl_s {found.ttl_s}")
        return found

    @classmethod
    def me(cls, token: int, ttl_s: float) -> Holder:
        """This process, from now on."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(token, platform.node(), os.getpid(), since, ttl_s)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(replace(self, turn=secrets.token_hex(8)))).encode()


def read_lease(store: ObjectStore, name: str) -> tuple[Holder, str] | None:
    """A lease and its tag; None where there never was one.

    Raises:
        CorruptDataError: something else lies under that name.
    """
    return read_record(
        store, name, Holder.of,
        what="this is no lease",
        expected="what a samscope driver wrote there",
        remedy="make sure that nobody writes there, then remove the object",
    )  # fmt: skip


Refusal = Callable[[str], UserError]


class Lease:
    """A lease that this process takes, renews and gives back.

    Args:
        refusal: words for what somebody else holds, given who it is.
        above: the token will be higher than this, even where the lease's object was lost.
    """

    def __init__(
        self,
        store: ObjectStore,
        name: str,
        refusal: Refusal,
        ttl_s: float = LEASE_S,
        above: int = 0,
    ) -> None:
        self._store, self._name, self._refusal = store, name, refusal
        self._ttl_s, self._above = ttl_s, above
        self._holder = Holder.me(0, ttl_s)
        self._tag, self._renewed = "", 0.0
        self._lost: UserError | None = None
        self._change = threading.Lock()
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def token(self) -> int:
        """Of this holding; higher than that of every earlier one."""
        return self._holder.token

    def take(self) -> None:
        """Raises UserError, naming the holder, as soon as it is seen to renew its lease."""
        while True:
            found = read_lease(self._store, self._name)
            if found is not None and found[0].held:
                _await_end(self._store, self._name, found, self._refusal)
            if self._take(found):
                self._renewer.start()
                return

    def check(self) -> None:
        """Renews a lease that this process neglected; raises UserError where it is lost."""
        if self._lost is None and self._unrenewed_s() > self._ttl_s * TRUSTED / 2:
            self._keep()
        if self._lost is not None:
            raise self._lost

    def give_back(self) -> None:
        """Raises UserError where another took it over meanwhile."""
        self._stop.set()
        self._renewer.join()
        if self._lost is None and not self._write(replace(self._holder, held=False), self._tag):
            self._lost = self._refusal("the lease changed hands")
        if self._lost is not None:
            raise self._lost

    def _take(self, found: tuple[Holder, str] | None) -> bool:
        before = max(self._above, 0 if found is None else found[0].token)
        self._holder = Holder.me(before + 1, self._ttl_s)
        return self._write(self._holder, None if found is None else found[1])

    def _renew(self) -> None:
        while self._lost is None and not self._stop.wait(self._ttl_s / RENEWALS):
            self._keep()

    def _keep(self) -> None:
        """Write it again. Only a lease that changed is lost, or one not renewed for its time."""
        with self._change:
            try:
                if self._write(self._holder, self._tag):
                    return
                got = "the lease changed hands"
            except UserError as error:  # a store that does not answer now may do so soon
                if self._unrenewed_s() < self._ttl_s * TRUSTED:
                    return
                got = f"the lease could not be renewed: {error.got}"
            self._lost = self._refusal(got)

    def _write(self, holder: Holder, tag: str | None) -> bool:
        """Its age counts from before the store was asked: others see it later, never earlier."""
        asked = time.monotonic()
        mode: str | dict[str, str] = "create" if tag is None else {"e_tag": tag}
        new = self._store.put_if(self._name, holder.to_bytes(), mode)
        if new is None:
            return False
        self._tag, self._renewed = new, asked
        return True

    def _unrenewed_s(self) -> float:
        return time.monotonic() - self._renewed


@contextmanager
def held(lease: Lease) -> Iterator[Lease]:
    """Hold a lease for a block. Raises as `take` and, after the block, where it was lost."""
    lease.take()
    try:
        yield lease
    except BaseException:
        try:
            lease.give_back()
        except SamscopeError as error:  # the first error is the one to tell
            log.debug("the lease could not be given back: %s", error)
        raise
    lease.give_back()


@dataclass(frozen=True)
class Fence:
    """What a worker asks before it commits: is the driver that sent it still the one?"""

    store: ObjectStore
    name: str
    token: int

    def check(self) -> None:
        """Raises UserError where the lease was given back or taken by another since."""
        found = read_lease(self.store, self.name)
        if found is None or not found[0].held or found[0].token != self.token:
            raise UserError(
                "the driver of this worker does not hold the run any more",
                where=self.store.location(self.name),
                got="no lease" if found is None else f"token {found[0].token}: {found[0]}",
                expected=f"token {self.token}",
                remedy="nothing: what this worker did not commit, the new driver does",
            )


def renewed(store: ObjectStore, name: str, patience: float = 0.5) -> tuple[Holder | None, bool]:
    """Who held a lease last, and whether it was seen to be alive; for those who only look.

    It takes until the next renewal, or `patience` of the time-to-live where none comes.
    """
    found = read_lease(store, name)
    if found is None or not found[0].held:
        return (found and found[0]), False
    log.info("waiting for a sign of life of %s", found[0])
    return found[0], bool(_watch(store, name, found, found[0].ttl_s * patience))


def _await_end(store: ObjectStore, name: str, found: tuple[Holder, str], refusal: Refusal) -> None:
    """Return once a lease was not renewed for its time-to-live, or was given back."""
    log.info(
        "the lease of %s is watched: unless renewed, it is taken over in %.0f s",
        found[0], found[0].ttl_s,
    )  # fmt: skip
    now = _watch(store, name, found, found[0].ttl_s)
    if now is not None and now[0].held:
        raise refusal(str(now[0]))


def _watch(
    store: ObjectStore, name: str, found: tuple[Holder, str], seconds: float
) -> tuple[Holder, str] | None:
    """The lease as soon as it is another than the one found; None: it stayed for so long."""
    until = time.monotonic() + seconds  # counted from after it was read
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, found[0].ttl_s / RENEWALS / 4))
        now = read_lease(store, name)
        if now is None or now[1] != found[1]:
            return now or (replace(found[0], held=False), "")
    return None
