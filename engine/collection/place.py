"""The folder of a collection: made, recognised and cleaned of what a killed ingest left."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import zarr

from engine.collection.layout import (
    LAYOUT_VERSION,
    MARK,
    catalog_folder,
    folder_name,
    fragments_folder,
    staging_folder,
)
from engine.collection.lock import collection_lock
from engine.collection.source import DatasetInfo
from engine.collection.store import ensure_group, remove_array
from engine.errors import UserError


@contextmanager
def open_for_writing(collection: Path) -> Iterator[None]:
    """Make or open a collection and hold its lock.

    Raises:
        UserError: the folder is something else, cannot be written, has another layout version, or
            another ingest is at work in it.
    """
    try:
        _check_place(collection)
        fragments_folder(collection).mkdir(parents=True, exist_ok=True)
        with collection_lock(collection):
            shutil.rmtree(staging_folder(collection), ignore_errors=True)
            staging_folder(collection).mkdir()
            ensure_group(collection, {})
            ensure_group(catalog_folder(collection), {})
            try:
                yield
            finally:
                shutil.rmtree(staging_folder(collection), ignore_errors=True)
    except OSError as error:
        raise UserError(
            "cannot write the collection",
            where=str(collection),
            got=error,
            expected="a folder that can be written, with enough space",
            remedy="give another --out or free space, then run the command again: "
            "what was stored whole is kept",
        ) from error


def prepare_dataset(collection: Path, info: DatasetInfo, array_paths: Collection[str]) -> None:
    """Make the dataset's group; remove arrays that are not in the ledger (killed ingests)."""
    folder = collection / folder_name(info.dataset)
    words = {
        "dataset": info.dataset,
        "title": info.title,
        "licence": info.licence,
        "source": info.source,
    }
    ensure_group(folder, words)
    for child in sorted(folder.iterdir()):
        path = f"{folder.name}/{child.name}"
        if child.is_dir() and path not in array_paths:
            remove_array(collection, path)


def _check_place(collection: Path) -> None:
    if collection.is_file():
        raise UserError(
            "the collection cannot be a file",
            where=str(collection),
            expected="a new folder or a collection",
            remedy="give another --out",
        )
    if not collection.is_dir():
        return
    others = sorted(p.name for p in collection.iterdir() if p != catalog_folder(collection))
    if others and not fragments_folder(collection).is_dir():
        raise UserError(
            "this folder holds something that is not a collection",
            where=str(collection),
            got=", ".join(others[:5]),
            expected="an empty or new folder, or a collection",
            remedy="give another --out",
        )
    if (collection / "zarr.json").is_file():
        version = zarr.open_group(str(collection), mode="r").attrs.get(MARK)
        if version != LAYOUT_VERSION:
            raise UserError(
                "the collection has a layout this version cannot write",
                where=str(collection),
                got=version,
                expected=LAYOUT_VERSION,
                remedy="ingest into a new folder",
            )
