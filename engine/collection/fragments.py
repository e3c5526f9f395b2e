"""Fragments: the ledger of a collection. An array exists if, and only if, its fragment does.

A fragment is a Parquet file of one row: the catalog rows of one array as nested lists, and what it
was made from. Its name ends in the hash of its bytes, so a list of names tells which catalog the
fragments make.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.collection.case import SourceFile
from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.collection.layout import FRAGMENTS, folder_name
from engine.errors import CorruptDataError
from engine.identity import fingerprint
from engine.stores import Store

DATASET_FRAGMENT = "_dataset"
"""Name of the fragment that holds a dataset's own row and its refused or skipped cases."""

_ORIGIN = pa.struct(
    [
        pa.field("spec", pa.string()),  # the recipe's name of the raw case
        pa.field("spec_cases", pa.int32()),  # cases that raw case yields (4-D: several)
        pa.field("case_id", pa.string()),
        pa.field(
            "sources",
            pa.list_(
                pa.struct(
                    [
                        *(pa.field(name, pa.string()) for name in ("path", "sha256", "version")),
                        pa.field("companion", pa.bool_()),
                    ]
                )
            ),
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
    """The head of a fragment: what stands in the ledger, without the catalog rows.

    `file` is its name in the collection.
    """

    file: str
    array_path: str | None
    made_by: str
    origins: tuple[Origin, ...]


@dataclass(frozen=True)
class Draft:
    """A fragment that is not in the ledger yet: its head, and its bytes."""

    head: Fragment
    data: bytes


def draft_fragment(
    dataset: str,
    array_path: str | None,
    made_by: str,
    origins: Sequence[Origin],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Draft:
    """A fragment ready to be written."""
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
    digest = hashlib.sha256(data).hexdigest()[:12]
    file = f"{FRAGMENTS}/{folder_name(dataset)}/{name}.{digest}.parquet"
    return Draft(Fragment(file, array_path, made_by, tuple(origins)), data)


def list_fragments(store: Store, dataset: str | None = None) -> list[str]:
    """Names of the fragments of a collection or of one dataset, sorted."""
    if dataset is None:
        folders = sorted(store.folders(FRAGMENTS))
    else:
        folders = [f"{FRAGMENTS}/{folder_name(dataset)}"]
    return sorted(n for folder in folders for n in store.list(folder) if n.endswith(".parquet"))


def fragments_fingerprint(files: Iterable[str]) -> str:
    """Names the catalog that these fragments make (their names end in their content's hash)."""
    return fingerprint([file.removeprefix(f"{FRAGMENTS}/") for file in files])


def read_head(store: Store, file: str) -> Fragment:
    """What a fragment says of its array's origin.

    Raises:
        CorruptDataError: the file is damaged.
    """
    row = _read(store, file, ["array_path", "made_by", "origins"]).to_pylist()[0]
    origins = tuple(
        Origin(
            origin["spec"],
            origin["spec_cases"],
            origin["case_id"],
            tuple(SourceFile(**source) for source in origin["sources"]),
        )
        for origin in row["origins"]
    )
    return Fragment(file, row["array_path"], row["made_by"], origins)


def read_rows(store: Store, file: str) -> dict[str, pa.Table]:
    """The catalog rows of a fragment, by table.

    Raises:
        CorruptDataError: the file is damaged.
    """
    table = _read(store, file, list(CATALOG_SCHEMAS))
    rows = {}
    for name, schema in CATALOG_SCHEMAS.items():
        structs = table[name].combine_chunks().flatten()
        rows[name] = pa.Table.from_arrays(structs.flatten(), schema=schema)
    return rows


def _read(store: Store, file: str, columns: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(pa.BufferReader(store.get(file))) as stream:
            return stream.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CorruptDataError(
            "a catalog fragment cannot be read",
            where=store.location(file),
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
