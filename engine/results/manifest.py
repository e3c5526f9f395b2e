"""Cells and manifests: the names under which committed rows are found again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from engine.errors import CorruptDataError
from engine.identity import canonical_json, fingerprint

PARTS_VERSION = 1
"""Version of the part files' layout; raised, it makes every committed cell of a run void.

A column that one room adds to its part raises that room's `ALGORITHM_VERSION` instead, and only
cells of its own are computed anew.
"""

MANIFESTS = "parts/_manifests"
FACTORS_MODEL = "-"
FACTORS_STRATEGY = "factors"


@dataclass(frozen=True, order=True, slots=True)
class Cell:
    """One (unit, model, strategy): the smallest piece of a study that is committed as a whole."""

    unit_id: str
    model: str
    strategy: str

    @classmethod
    def factors(cls, unit_id: str) -> Cell:
        """The pseudo-cell that holds the object factors of a unit."""
        return cls(unit_id, FACTORS_MODEL, FACTORS_STRATEGY)

    @property
    def is_factors(self) -> bool:
        return self.model == FACTORS_MODEL and self.strategy == FACTORS_STRATEGY

    @property
    def folder(self) -> str:
        """Where the part files of this cell lie."""
        names = (slug(self.unit_id), slug(self.model), slug(self.strategy))
        return "parts/" + "/".join(names)


@dataclass(frozen=True, slots=True)
class PartFile:
    """One Parquet file of a cell; `name` is relative to the run directory."""

    table: str
    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The proof that a cell is committed: which files, which rows, under which identity.

    Attributes:
        cell, identity: what was computed.
        attempt: random id of the attempt that won.
        files: the cell's part files; empty tables have none.
        expected, done, failed: trials (objects, for the factors cell).
        info: seconds per stage, worker, pid, peak memory; never a number of the study.
        versions: protocol, parts layout and algorithms.
        committed_at: seconds since the epoch.
    """

    cell: Cell
    identity: str
    attempt: str
    files: tuple[PartFile, ...]
    expected: int
    done: int
    failed: int
    info: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    committed_at: float = 0.0

    @property
    def name(self) -> str:
        return manifest_name(self.cell, self.identity)

    def rows(self, table: str) -> int:
        """Rows this cell holds in `table`."""
        return sum(part.rows for part in self.files if part.table == table)

    def to_bytes(self) -> bytes:
        return (canonical_json(asdict(self)) + "\n").encode()


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Read a manifest back.

    Raises:
        CorruptDataError: not a manifest of this layout, or not the one its name promises.
    """
    try:
        raw = json.loads(data)
        raw["cell"] = Cell(**raw["cell"])
        raw["files"] = tuple(PartFile(**part) for part in raw["files"])
        manifest = Manifest(**raw)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptDataError("manifest is torn or foreign", where=name, got=error) from error
    if manifest.name != name:
        raise CorruptDataError(
            "manifest lies under another cell's name", where=name, got=manifest.name
        )
    version = manifest.versions.get("parts")
    if version != PARTS_VERSION:
        raise CorruptDataError(
            "manifest is of another layout", where=name, got=version, expected=PARTS_VERSION
        )
    return manifest


def manifest_name(cell: Cell, identity: str) -> str:
    """Readable, bounded and free of collisions: encoded names, hash of the cell, identity.

    Several identities of one cell coexist under different names.
    """
    key = fingerprint([cell.unit_id, cell.model, cell.strategy])[:12]
    names = (slug(cell.unit_id, 90), slug(cell.model, 40), slug(cell.strategy, 40))
    return f"{MANIFESTS}/{'.'.join(names)}.{key}.{slug(identity[:16])}.json"


def slug(name: str, limit: int = 120) -> str:
    """Percent-encode a name for use as a file name, at most `limit` bytes long.

    A leading dot (hidden, or a parent folder) or underscore (reserved) is encoded too; a name
    that is too long keeps its start and ends in a hash.
    """
    text = quote(name, safe="")
    if text[:1] in (".", "_"):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if len(text) > limit:
        text = f"{text[: limit - 13]}-{fingerprint([name])[:12]}"
    return text or "%"
