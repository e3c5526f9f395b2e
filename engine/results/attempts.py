"""How often a unit was begun and not finished: a unit that kills its worker must not do so forever.

A marker is written before a unit is evaluated and removed after it was committed. Ray restarts a
dead worker and hands it the same unit again; the markers it left say how often.
"""

from __future__ import annotations

from engine.results.manifest import slug
from engine.stores import Store

FOLDER = "parts/_attempts"


def begin(store: Store, unit_id: str) -> int:
    """Mark the start of an attempt at a unit; returns how many were begun before it."""
    before = sum(1 for _ in store.list(_folder(unit_id)))
    number = before
    while not store.create(f"{_folder(unit_id)}/{number}", b""):
        number += 1
    return before


def forget(store: Store, unit_id: str) -> None:
    """The unit is committed: remove its markers."""
    for name in list(store.list(_folder(unit_id))):
        store.delete(name)


def forget_all(store: Store) -> None:
    """A new driver begins: what an earlier one left unfinished says nothing about its units."""
    store.remove(FOLDER)


def _folder(unit_id: str) -> str:
    return f"{FOLDER}/{slug(unit_id)}"
