"""How often a unit was begun and not finished: a unit that kills its worker must not do so forever.

A marker is written before a unit is evaluated and removed after it was committed. Ray restarts a
dead worker and hands it the same unit again; the markers it left say how often, where and since
when. They also say what is at work in a run that goes on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from engine.results.manifest import slug
from engine.stores import Store

FOLDER = "parts/_attempts"


@dataclass(frozen=True)
class Attempt:
    """One beginning of a unit.

    Attributes:
        node: the cluster's id of the machine; empty without a cluster.
        worker: `host:pid`.
        began: seconds since 1970, UTC.
    """

    unit_id: str
    node: str = ""
    worker: str = ""
    began: float = 0.0


def begin(store: Store, attempt: Attempt) -> list[Attempt]:
    """Mark the start of an attempt at a unit; returns those begun before it."""
    before = of_unit(store, attempt.unit_id)
    number = len(before)
    content = json.dumps(asdict(attempt)).encode()
    while not store.create(f"{_folder(attempt.unit_id)}/{number}", content):
        number += 1
    return before


def of_unit(store: Store, unit_id: str) -> list[Attempt]:
    """Attempts at one unit that did not end."""
    return [_read(store, name, unit_id) for name in sorted(store.list(_folder(unit_id)))]


def at_work(store: Store) -> list[Attempt]:
    """The latest attempt at every unit that is begun and not finished, the oldest first."""
    found = []
    for folder in store.folders(FOLDER):
        names = sorted(store.list(folder))
        found += [_read(store, name, folder.rpartition("/")[2]) for name in names[-1:]]
    return sorted(found, key=lambda attempt: attempt.began)


def forget(store: Store, unit_id: str) -> None:
    """The unit is committed: remove its markers."""
    for name in list(store.list(_folder(unit_id))):
        store.delete(name)


def forget_all(store: Store) -> None:
    """A new driver begins: what an earlier one left unfinished says nothing about its units."""
    store.remove(FOLDER)


def _read(store: Store, name: str, unit_id: str) -> Attempt:
    """A marker's content; its existence alone counts, so a damaged one is an attempt too."""
    try:
        return Attempt(**json.loads(store.get(name)))
    except (OSError, ValueError, TypeError):
        return Attempt(unit_id)


def _folder(unit_id: str) -> str:
    return f"{FOLDER}/{slug(unit_id)}"
