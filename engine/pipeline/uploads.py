"""What a driver of a run in an object store writes on its own disk, and sends there as it grows.

Objects cannot be appended to. So `run.log`, `events.jsonl` and `parity.json` are written in the
driver's local folder, which begins with what the last driver left, and are sent whole at intervals
and at the end. Each is replaced on condition that it is still the one this driver knows: one that
has lost the run writes over nothing of its successor's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import UserError
from engine.pipeline.events import NAME
from engine.runs import RunDir
from engine.stores import ObjectStore

log = logging.getLogger(__name__)

FILES = ("run.log", NAME, "parity.json")
EVERY_S = 20.0


class Uploads:
    """The growing files of a run: fetched once, sent where they changed."""

    def __init__(self, run: RunDir, store: ObjectStore) -> None:
        self._run, self._store = run, store
        self._tags: dict[str, str | None] = dict.fromkeys(FILES)
        self._sent: dict[str, bytes] = {}
        self._turn = threading.Lock()
        for name in FILES:
            try:
                data, tag = store.fetch(name)
            except FileNotFoundError:
                continue
            (run.path / name).write_bytes(data)
            self._tags[name], self._sent[name] = tag, data

    def send(self) -> None:
        """Raises UserError where the store does not answer, or another driver has written."""
        with self._turn:
            for name in FILES:
                path = self._run.path / name
                if path.exists():
                    self._send(name, path.read_bytes())

    def _send(self, name: str, data: bytes) -> None:
        if self._sent.get(name) == data:
            return
        tag = self._tags[name]
        new = self._store.put_if(name, data, "create" if tag is None else {"e_tag": tag})
        if new is None:
            raise UserError(
                "another driver has written there",
                where=self._store.location(name),
                got="an object this driver does not know",
                remedy="nothing: what the other driver wrote stands",
            )
        self._tags[name], self._sent[name] = new, data


@contextmanager
def sent_along(run: RunDir) -> Iterator[None]:
    """For a block, keep the store's copies of the growing files near what is on the local disk."""
    if run.address is None:
        yield
        return
    uploads, ended = Uploads(run, ObjectStore(run.address)), threading.Event()

    def send() -> None:
        pause = EVERY_S / 16  # who asks for the status of a run wants to see it begin
        while not ended.wait(pause):
            _tried(uploads)
            pause = min(EVERY_S, 2 * pause)

    thread = threading.Thread(target=send, name="uploads", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _tried(uploads)


def _tried(uploads: Uploads) -> None:
    """A log that cannot be sent now is no reason to stop: the ledger is the truth."""
    try:
        uploads.send()
    except UserError as error:
        log.warning("log and events were not sent: %s", error)
