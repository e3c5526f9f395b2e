"""The ledger: a cell exists only through its manifest, written last and once.

Two attempts at one cell cannot both win, a killed attempt leaves nothing visible, and a torn or
foreign file is never read (design, "Commit").
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import CorruptDataError
from engine.identity import PROTOCOL_VERSION, canonical_json
from engine.results.account import account
from engine.results.check import check_table
from engine.results.manifest import (
    FACTORS_MODEL,
    FACTORS_STRATEGY,
    MANIFESTS,
    PARTS_VERSION,
    Cell,
    Manifest,
    PartFile,
    manifest_name,
    parse_manifest,
)
from engine.stores import LocalStore, Store

__all__ = ["FACTORS_MODEL", "FACTORS_STRATEGY", "Cell", "Manifest", "PartFile", "PartStore"]

_log = logging.getLogger(__name__)


class PartStore:
    """Part files and manifests of one run directory.

    Args:
        run_dir: the run directory; parts lie in `run_dir/parts`.
        versions: versions of the algorithms, recorded in every manifest.
        store: another place for files than the local disk.
    """

    def __init__(
        self,
        run_dir: Path,
        versions: Mapping[str, int] | None = None,
        store: Store | None = None,
    ) -> None:
        self.store: Store = store if store is not None else LocalStore(run_dir)
        self._versions = {
            **(versions or {}),
            "protocol": PROTOCOL_VERSION,
            "parts": PARTS_VERSION,
        }

    def commit(
        self,
        cell: Cell,
        identity: str,
        tables: Mapping[str, pa.Table],
        info: Mapping[str, Any] | None = None,
        *,
        expected: int | None = None,
        done: int | None = None,
        failed: int | None = None,
    ) -> bool:
        """Write a cell's rows; False when another attempt committed it first.

        Args:
            tables: part name (`engine.results.schema.PART_SCHEMAS`) to rows; empty ones are left
                out.
            info: JSON of what the work cost: `seconds` (stage -> seconds), `worker`, `pid`,
                `peak_memory_bytes`.
            expected: trials the plan asks of this cell (objects, for the factors cell); None: as
                many as there are.
            done, failed: as the evaluator counted them; compared with the rows.

        Raises:
            CorruptDataError: rows that break the contract, or do not add up to these counts.
        """
        for name, table in tables.items():
            check_table(name, table, cell)
        done, failed = account(cell, tables, expected=expected, done=done, failed=failed)
        attempt = secrets.token_hex(8)
        written: list[PartFile] = []
        won = False
        try:
            for name, table in sorted(tables.items()):
                if len(table):
                    written.append(self._write(cell, attempt, name, table))
            manifest = Manifest(
                cell, identity, attempt, tuple(written), done + failed, done, failed,
                dict(info or {}), self._versions, time.time(),
            )  # fmt: skip
            won = self.store.create(manifest.name, manifest.to_bytes())
        finally:
            if not won:
                for part in written:
                    self.store.delete(part.name)
        return won

    def _write(self, cell: Cell, attempt: str, table_name: str, table: pa.Table) -> PartFile:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
        name = f"{cell.folder}/{attempt}-{table_name}.parquet"
        self.store.put(name, data)
        digest = hashlib.sha256(data).hexdigest()
        return PartFile(table_name, name, len(table), len(data), digest)

    def committed(self, keys: Iterable[tuple[Cell, str]]) -> set[tuple[Cell, str]]:
        """Which of these (cell, identity) have a manifest; one listing, no file is opened."""
        present = set(self.store.list(MANIFESTS))
        return {key for key in keys if manifest_name(*key) in present}

    def manifests(self, *, set_aside: bool = True) -> Iterator[Manifest]:
        """All manifests, sorted by name; one that cannot be read is set aside and left out.

        Args:
            set_aside: False for those who only look: an unreadable manifest is left where it is.
        """
        for name in sorted(self.store.list(MANIFESTS)):
            if not name.endswith(".json"):
                continue
            try:
                yield parse_manifest(self.store.get(name), name)
            except FileNotFoundError:
                _log.info("manifest %s was set aside by another process", name)
            except CorruptDataError as error:
                if set_aside:
                    self._set_aside(name, str(error))
                else:
                    _log.warning("%s is left out: %s", name, error)

    def problem(self, manifest: Manifest, *, checksums: bool = True) -> str | None:
        """What is wrong with a manifest's files (absent, other size, other bytes), or None."""
        for part in manifest.files:
            size = self.store.size(part.name)
            if size is None:
                return f"{part.name} is missing"
            if size != part.bytes:
                return f"{part.name} has {size} bytes, its manifest says {part.bytes}"
            if checksums:
                digest = hashlib.sha256(self.store.get(part.name)).hexdigest()
                if digest != part.sha256:
                    return f"{part.name} has SHA-256 {digest}, its manifest says {part.sha256}"
        return None

    def verify(self, manifest: Manifest, *, checksums: bool = True) -> bool:
        """True when all files are as committed; otherwise the manifest is set aside."""
        reason = self.problem(manifest, checksums=checksums)
        if reason is not None:
            self.set_aside(manifest, reason)
        return reason is None

    def set_aside(self, manifest: Manifest, reason: str) -> None:
        """Take a cell out of the ledger, so that it is pending again; its reason is kept."""
        self._set_aside(manifest.name, reason, manifest.attempt)

    def _set_aside(self, name: str, reason: str, expected_attempt: str | None = None) -> None:
        try:
            content = self.store.get(name).decode("utf-8", errors="replace")
        except FileNotFoundError:
            return
        if expected_attempt is not None and expected_attempt not in content:
            return  # set aside and committed anew by others in the meantime
        record = canonical_json({"reason": reason, "manifest": content}).encode()
        self.store.create(f"{name}.{secrets.token_hex(4)}.set-aside", record)
        self.store.delete(name)
        _log.warning(
            "set aside %s: %s; its cell is pending again",
            name, reason, extra={"set_aside": name, "reason": reason},
        )  # fmt: skip
