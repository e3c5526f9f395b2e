"""The folder of a collection: made, recognised and cleaned of what a killed ingest left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zarr

from engine.collection.layout import (
    CATALOG,
    FRAGMENTS,
    LAYOUT_VERSION,
    MARK,
    folder_name,
)
from engine.collection.lock import collection_lock
from engine.collection.source import DatasetInfo
from engine.collection.store import ensure_group, zarr_place
from engine.errors import UserError
from engine.stores import LocalStore, Store

_STAGING = f"{CATALOG}/.staging"


@dataclass(frozen=True)
class Desk:
    """What a writer holds while it works on a collection.

    Attributes:
        staging: folder beside the arrays where they are made before they are renamed into place;
            None in an object store, which cannot rename.
        still_ours: to be asked before every change; raises UserError where the lock was lost.
    """

    staging: Path | None
    still_ours: Callable[[], None]


@contextmanager
def open_for_writing(store: Store) -> Iterator[Desk]:
    """Make or open a collection and hold its lock.

    Raises:
        UserError: the folder is something else, cannot be written, has another layout version, or
            another ingest is at work in it.
    """
    try:
        _check_place(store)
        if isinstance(store, LocalStore):
            (store.root / FRAGMENTS).mkdir(parents=True, exist_ok=True)
        with collection_lock(store) as still_ours, _staging(store) as staging:
            _sweep(store)
            ensure_group(store, "", {})
            ensure_group(store, CATALOG, {})
            yield Desk(staging, still_ours)
    except OSError as error:
        raise UserError(
            "cannot write the collection",
            where=str(store),
            got=error,
            expected="a place that can be written, with enough space",
            remedy="give another --out or free space, then run the command again: "
            "what was stored whole is kept",
        ) from error


@contextmanager
def _staging(store: Store) -> Iterator[Path | None]:
    if not isinstance(store, LocalStore):
        yield None
        return
    staging = store.root.absolute() / _STAGING  # workers have other working folders
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(store: Store) -> None:
    for folder in ("", CATALOG, *store.folders(FRAGMENTS)):
        store.sweep(folder)


def prepare_dataset(store: Store, info: DatasetInfo, array_paths: Collection[str]) -> None:
    """Make the dataset's group; remove arrays that are not in the ledger (killed ingests)."""
    folder = folder_name(info.dataset)
    words = {
        "dataset": info.dataset,
        "title": info.title,
        "licence": info.licence,
        "source": info.source,
    }
    ensure_group(store, folder, words)
    store.sweep(folder)
    for path in sorted(store.folders(folder)):
        if path not in array_paths:
            store.remove(path)


def _check_place(store: Store) -> None:
    if isinstance(store, LocalStore) and store.root.is_file():
        raise UserError(
            "the collection cannot be a file",
            where=str(store),
            expected="a new folder or a collection",
            remedy="give another --out",
        )
    others = sorted({*store.list(""), *store.folders("")} - {CATALOG})
    known = any(store.folders(FRAGMENTS)) or store.size(f"{CATALOG}/zarr.json") is not None
    if isinstance(store, LocalStore):
        known = known or (store.root / FRAGMENTS).is_dir()
        hidden = store.root.iterdir() if store.root.is_dir() else ()
        others = sorted(p.name for p in hidden if p.name != CATALOG)
    if others and not known:
        raise UserError(
            "this place holds something that is not a collection",
            where=str(store),
            got=", ".join(others[:5]),
            expected="an empty or new folder, or a collection",
            remedy="give another --out",
        )
    version = _layout_of(store)
    if version not in (None, LAYOUT_VERSION):
        raise UserError(
            "the collection has a layout this version cannot write",
            where=str(store),
            got=version,
            expected=LAYOUT_VERSION,
            remedy="ingest into a new folder",
        )


def _layout_of(store: Store) -> object:
    """What the root group says; None where there is none, or its file lost its content."""
    if store.size("zarr.json") is None:
        return None
    try:
        return zarr.open_group(zarr_place(store, ""), mode="r").attrs.get(MARK, "none")
    except (ValueError, KeyError):
        return None
