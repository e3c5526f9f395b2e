"""A place for whole files: a folder of a local disk, or a prefix of an object store.

One interface (`Store`) for the ledgers of collections and runs: put, create-if-absent, get, size,
list, delete, a copy on the local disk. Names use `/` and are relative to the store's root.
Replacing an object that is still the one of a tag is `ObjectStore.put_if`; on a disk, a lock that
dies with its process does that work.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine.stores.interface import Store
from engine.stores.local import LocalStore, files_of
from engine.stores.objects import ObjectStore
from engine.stores.place import Place, Url, below, local_folder, place_of, without
from engine.stores.records import read_record

__all__ = [
    "LocalStore",
    "ObjectStore",
    "Place",
    "Store",
    "Url",
    "below",
    "files_of",
    "local_folder",
    "place_of",
    "read_record",
    "store_of",
    "without",
]


def store_of(place: str | os.PathLike[str]) -> Store:
    """The store at a path or an address."""
    found = place_of(place)
    return LocalStore(found) if isinstance(found, Path) else ObjectStore(found)
