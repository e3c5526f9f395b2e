"""Names and places inside a collection folder: one rule for writers and readers.

```
collection.zarr/                    a Zarr v3 group
    <dataset>/<case>/image, labels  one volume
    <dataset>/_HxW_k/image, labels  up to 32 single images of equal shape and dtype
    catalog/*.parquet               the merged tables (engine.collection.catalog_schema)
    catalog/fragments/<dataset>/    one file per committed array: what really exists
```
"""

from __future__ import annotations

import hashlib
import re

from engine.identity import quote_name

IMAGE = "image"
LABELS = "labels"
IMAGE_DIMENSIONS = ("slice", "y", "x")
LABEL_DIMENSIONS = ("layer", "slice", "y", "x")
LAYOUT_VERSION = 2
MARK = "samscope_layout"
"""Attribute that every group written by samscope carries; its value is `LAYOUT_VERSION`."""

_LONGEST_NAME_BYTES = 160
_GROUP = re.compile(r"^_(\d+)x(\d+)_(\d+)$")


def folder_name(name: str) -> str:
    """Folder of a dataset or case name: percent-encoded, safe on disk and in Zarr keys.

    Beside `quote_name`: a leading `.` or `_` and the reserved names are encoded too (folders of
    grouped images start with `_`, metadata is `zarr.json`), and names too long for a file system
    are cut and told apart by a hash. Names are never decoded again; the catalog holds the paths.
    """
    quoted = quote_name(name).replace("\\", "%5C")
    if quoted[:1] in (".", "_") or quoted in (CATALOG, "zarr.json", ""):
        quoted = f"%{ord(quoted[0]):02X}{quoted[1:]}" if quoted else "%"
    if len(quoted.encode()) > _LONGEST_NAME_BYTES:
        kept = quoted.encode()[: _LONGEST_NAME_BYTES - 17].decode(errors="ignore")
        quoted = f"{kept}%{hashlib.sha256(quoted.encode()).hexdigest()[:16]}"
    return quoted


def case_path(dataset: str, case: str) -> str:
    """Array path of a volume: `<dataset>/<case>`."""
    return f"{folder_name(dataset)}/{folder_name(case)}"


def group_path(dataset: str, height: int, width: int, number: int) -> str:
    """Array path of the `number`-th closed group of single images: `<dataset>/_HxW_k`."""
    return f"{folder_name(dataset)}/_{height}x{width}_{number}"


def group_number(array_path: str) -> tuple[int, int, int] | None:
    """(height, width, k) of a group's array path; None for a volume."""
    match = _GROUP.match(array_path.rpartition("/")[2])
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


CATALOG = "catalog"
"""Folder of the merged tables."""

FRAGMENTS = f"{CATALOG}/fragments"
"""Folder of the fragments, one subfolder per dataset."""

LOCK = f"{CATALOG}/.lock"
"""The file an ingest locks."""
