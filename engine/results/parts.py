"""The ledger: a cell exists only through its manifest, written last and once.

Two attempts at one cell cannot both win, a killed attempt leaves nothing visible, and a torn or
foreign file is never read (design, "Commit").
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import CorruptDataError, UserError
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
from engine.stores import Place, Store, store_of

__all__ = ["FACTORS_MODEL", "FACTORS_STRATEGY", "Cell", "Manifest", "PartFile", "PartStore"]

_log = logging.getLogger(__name__)


class PartStore:
    """Part files and manifests of one run directory.

    Args:
        run_dir: the run directory or its address; parts lie in `run_dir/parts`.
        versions: versions of the algorithms, recorded in every manifest.
        guard: asked before a manifest is made or set aside; raises where it must not be.
    """

    def __init__(
        self,
        run_dir: Place,
        versions: Mapping[str, int] | None = None,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.store: Store = store_of(run_dir)
        self._guard = guard
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
            UserError: an object store gave no answer: the manifest may be there, so that its files
                stay; or what the guard raises.
        """
        for name, table in tables.items():
            check_table(name, table, cell)
        done, failed = account(cell, tables, expected=expected, done=done, failed=failed)
        attempt = secrets.token_hex(8)
        written: list[PartFile] = []
        won = False
        unknown = False
        try:
            for name, table in sorted(tables.items()):
                if len(table):
                    written.append(self._write(cell, attempt, name, table))
            manifest = Manifest(
                cell, identity, attempt, tuple(written), done + failed, done, failed,
                dict(info or {}), self._versions, time.time(),
            )  # fmt: skip
            self._guard()
            try:
                won = self.store.create(manifest.name, manifest.to_bytes())
            except UserError:
                unknown = True
                raise
        finally:
            if not won and not unknown:
                self._discard(written)
        return won

    def _discard(self, written: Iterable[PartFile]) -> None:
        """Nobody reads them; where the store does not answer, they are left behind."""
        with suppress(UserError):
            for part in written:
                self.store.delete(part.name)

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
        names = sorted(name for name in self.store.list(MANIFESTS) if name.endswith(".json"))
        for name, data in zip(names, self.store.each(self._get, names), strict=True):
            if data is None:
                _log.info("manifest %s was set aside by another process", name)
                continue
            try:
                yield parse_manifest(data, name)
            except CorruptDataError as error:
                if set_aside:
                    self._set_aside(name, str(error))
                else:
                    _log.warning("%s is left out: %s", name, error)

    def _get(self, name: str) -> bytes | None:
        try:
            return self.store.get(name)
        except FileNotFoundError:
            return None

    def sound(
        self,
        manifests: Iterable[Manifest],
        checksums: Callable[[Manifest], bool] = lambda manifest: True,
    ) -> Iterator[Manifest]:
        """Those whose files are as committed; the others are set aside.

        Args:
            checksums: of which the bytes are compared as well, not the sizes alone.
        """

        def examine(manifest: Manifest) -> tuple[Manifest, str | None]:
            return manifest, self.problem(manifest, checksums=checksums(manifest))

        for manifest, reason in self.store.each(examine, manifests):
            if reason is None:
                yield manifest
            else:
                self.set_aside(manifest, reason)

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

    def set_aside(self, manifest: Manifest, reason: str) -> None:
        """Take a cell out of the ledger, so that it is pending again; its reason is kept."""
        self._set_aside(manifest.name, reason, manifest.attempt)

    def _set_aside(self, name: str, reason: str, expected_attempt: str | None = None) -> None:
        self._guard()
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
