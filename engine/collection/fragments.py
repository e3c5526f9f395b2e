"""Fragments: the ledger of a collection. An array exists if, and only if, its fragment does.

A fragment is a Parquet file of one row: the catalog rows of one array as nested lists, and what it
was made from. Its name ends in the hash of its bytes, so a list of names tells which catalog the
fragments make.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.collection.case import SourceFile
from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.collection.layout import folder_name, fragments_folder, staging_folder
from engine.errors import CorruptDataError
from engine.files import sync_folder
from engine.identity import fingerprint

DATASET_FRAGMENT = "_dataset"
"""Name of the fragment that holds a dataset's own row and its refused or skipped cases."""

_ORIGIN = pa.struct(
    [
        pa.field("spec", pa.string()),  # the recipe's name of the raw case
        pa.field("spec_cases", pa.int32()),  # cases that raw case yields (4-D: several)
        pa.field("case_id", pa.string()),
        pa.field(
            "sources",
            pa.list_(pa.struct([pa.field(n, pa.string()) for n in ("path", "sha256", "version")])),
        ),
    ]
)
_SCHEMA = pa.schema(
    [
        pa.field("array_path", pa.string()),  # null: the dataset's own fragment
        pa.field("made_by", pa.string()),  # fingerprint of recipe and curation
        pa.field("origins", pa.list_(_ORIGIN)),
        *(
            pa.field(name, pa.list_(pa.struct(list(schema))))
            for name, schema in CATALOG_SCHEMAS.items()
        ),
    ]
)


@dataclass(frozen=True)
class Origin:
    """Which raw case a stored case was made from, and the files' checksums then."""

    spec: str
    spec_cases: int
    case_id: str
    sources: tuple[SourceFile, ...]


@dataclass(frozen=True)
class Fragment:
    """The head of a fragment: what stands in the ledger, without the catalog rows."""

    file: Path
    array_path: str | None
    made_by: str
    origins: tuple[Origin, ...]


def write_fragment(
    collection: Path,
    dataset: str,
    array_path: str | None,
    made_by: str,
    origins: Sequence[Origin],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Fragment:
    """Write one fragment whole; afterwards its array exists."""
    record = {
        "array_path": array_path,
        "made_by": made_by,
        "origins": [_origin_row(origin) for origin in origins],
        **{name: list(rows.get(name, ())) for name in CATALOG_SCHEMAS},
    }
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([record], schema=_SCHEMA), buffer, compression="zstd")
    data = buffer.getvalue()
    name = DATASET_FRAGMENT if array_path is None else array_path.rpartition("/")[2]
    folder = fragments_folder(collection) / folder_name(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{name}.{hashlib.sha256(data).hexdigest()[:12]}.parquet"
    write_file(collection, final, data)
    return Fragment(final, array_path, made_by, tuple(origins))


def write_file(collection: Path, final: Path, data: bytes) -> None:
    """Write a file whole: staged, forced to disk, renamed over what was there."""
    staging = staging_folder(collection)
    staging.mkdir(parents=True, exist_ok=True)
    staged = staging / f"{final.name}.new"
    with staged.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(final)
    sync_folder(final.parent)


def list_fragments(collection: Path, dataset: str | None = None) -> list[Path]:
    """Fragment files of a collection or of one dataset, sorted."""
    folder = fragments_folder(collection)
    if dataset is None:
        return sorted(folder.glob("*/*.parquet"))
    return sorted((folder / folder_name(dataset)).glob("*.parquet"))


def fragments_fingerprint(files: Iterable[Path]) -> str:
    """Names the catalog that these fragments make (their names end in their content's hash)."""
    return fingerprint([f"{file.parent.name}/{file.name}" for file in files])


def read_head(file: Path) -> Fragment:
    """What a fragment says of its array's origin.

    Raises:
        CorruptDataError: the file is damaged.
    """
    row = _read(file, ["array_path", "made_by", "origins"]).to_pylist()[0]
    origins = tuple(
        Origin(
            origin["spec"],
            origin["spec_cases"],
            origin["case_id"],
            tuple(SourceFile(s["path"], s["sha256"], s["version"]) for s in origin["sources"]),
        )
        for origin in row["origins"]
    )
    return Fragment(file, row["array_path"], row["made_by"], origins)


def read_rows(file: Path) -> dict[str, pa.Table]:
    """The catalog rows of a fragment, by table.

    Raises:
        CorruptDataError: the file is damaged.
    """
    table = _read(file, list(CATALOG_SCHEMAS))
    rows = {}
    for name, schema in CATALOG_SCHEMAS.items():
        structs = table[name].combine_chunks().flatten()
        rows[name] = pa.Table.from_arrays(structs.flatten(), schema=schema)
    return rows


def _read(file: Path, columns: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(file) as stream:
            return stream.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(
            "a catalog fragment cannot be read",
            where=str(file),
            got=error,
            remedy="delete this file and run `samscope ingest` again: its case is made anew",
        ) from error


def _origin_row(origin: Origin) -> dict[str, Any]:
    return {
        "spec": origin.spec,
        "spec_cases": origin.spec_cases,
        "case_id": origin.case_id,
        "sources": [asdict(source) for source in origin.sources],
    }
