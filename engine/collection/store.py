"""Arrays on disk: one bundle becomes one Zarr v3 group, whole or not at all.

Inner chunk = one slice (labels: one layer of one slice), so any slice is read alone; a shard holds
many slices and is written once. Chunks carry a crc32c, so damage is an error and never an image.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from engine.collection.bundle import Bundle
from engine.collection.layout import (
    IMAGE,
    IMAGE_DIMENSIONS,
    LABEL_DIMENSIONS,
    LABELS,
    LAYOUT_VERSION,
    MARK,
)
from engine.files import sync_folder
from engine.stores import ObjectStore, Store

SHARD_BYTES = 32 * 2**20
"""Raw bytes a shard aims at: big enough for few files, small enough to hold while writing."""

_GENTLE = {"threading.max_workers": 2, "async.concurrency": 4}


def gentle_zarr() -> None:
    """Keep zarr's thread pool small: several workers share a machine, and slices are small."""
    if zarr.config.get("threading.max_workers", None) is None:
        zarr.config.set(_GENTLE)


def zarr_place(store: Store, folder: str) -> Any:
    """What zarr opens: a path, or a zarr store over the object store's connection."""
    if isinstance(store, ObjectStore):
        return zarr.storage.StorePath(zarr.storage.ObjectStore(store.client), folder)
    return store.location(folder)


def ensure_group(store: Store, folder: str, attributes: Mapping[str, Any]) -> None:
    """Create or update a Zarr group; arrays below it are untouched.

    Its file is written by zarr, not forced to disk: one that lost its content is made anew.
    """
    place = zarr_place(store, folder)
    try:
        group = zarr.open_group(place, mode="a", zarr_format=3)
    except (ValueError, KeyError):
        store.delete(f"{folder}/zarr.json" if folder else "zarr.json")
        group = zarr.open_group(place, mode="a", zarr_format=3)
    wanted = {MARK: LAYOUT_VERSION, **attributes}
    if dict(group.attrs) != wanted:
        group.attrs.put(wanted)


def stage_bundle(staging: Path, bundle: Bundle, attributes: Mapping[str, Any]) -> Path:
    """Write a bundle as a folder of its own in `staging`, forced to disk.

    Returns:
        The folder, ready to be adopted by the collection's store.
    """
    gentle_zarr()
    # a name of its own: two raw cases may claim one array path, and a dead worker leaves halves
    staged = staging / secrets.token_hex(8)
    group = zarr.open_group(str(staged), mode="w-", zarr_format=3)
    group.attrs.put({MARK: LAYOUT_VERSION, **attributes})
    _write_array(group, IMAGE, bundle.image, IMAGE_DIMENSIONS, axis=0)
    _write_array(group, LABELS, bundle.labels, LABEL_DIMENSIONS, axis=1)
    _sync_tree(staged)
    return staged


def slices_per_shard(n_slices: int, slice_bytes: int) -> int:
    """Slices of one shard: at most about `SHARD_BYTES`, spread evenly over the shards."""
    shards = math.ceil(n_slices * slice_bytes / SHARD_BYTES)
    return math.ceil(n_slices / max(1, min(shards, n_slices)))


def _write_array(
    group: zarr.Group, name: str, data: NDArray[Any], dimensions: tuple[str, ...], axis: int
) -> None:
    """Create and fill an array shard by shard along its slice axis."""
    step = slices_per_shard(data.shape[axis], data.nbytes // data.shape[axis])
    chunk = (1,) * (axis + 1) + data.shape[axis + 1 :]
    shard = (*data.shape[:axis], step, *data.shape[axis + 1 :])
    array = group.create_array(
        name,
        shape=data.shape,
        chunks=chunk,
        shards=shard,
        dtype=data.dtype,
        compressors=(BloscCodec(cname="zstd", clevel=5), Crc32cCodec()),
        fill_value=0,
        dimension_names=dimensions if data.ndim == len(dimensions) else (*dimensions, "c"),
        # Empty chunks are written too: then an absent shard is always damage (reading.py).
        config={"write_empty_chunks": True},
    )
    for start in range(0, data.shape[axis], step):
        part = (slice(None),) * axis + (slice(start, start + step),)
        array[part] = data[part]


def _sync_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for name in files:
            handle = os.open(os.path.join(parent, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(parent))


def array_attributes(bundle: Bundle, recipe_version: int, recipe_sha256: str) -> dict[str, Any]:
    """What plain Zarr tools see beside the pixels: geometry, sources with checksums, recipe.

    A group of images carries one entry per image under `images`.
    """
    recipe = {"dataset": bundle.dataset, "version": recipe_version, "sha256": recipe_sha256}
    entries = []
    for case in bundle.cases:
        affine = None if case.affine is None else np.asarray(case.affine, np.float64).tolist()
        entries.append(
            {
                "case": case.case,
                "subject": case.subject,
                "split": case.split,
                "modality": case.modality,
                "plane": case.plane,
                "spacing_mm": list(case.spacing_mm),
                "affine": affine,
                "sources": [{"path": s.path, "sha256": s.sha256} for s in case.sources],
                "labels": [asdict(label) for label in case.meaning],
            }
        )
    if bundle.is_group:
        return {"recipe": recipe, "images": entries}
    return {"recipe": recipe, **entries[0]}
