"""The database of a run in an object store: built on a local disk, and fetched to one to be read.

`results.duckdb` is a small object that names the newest database. It is changed by conditional
writes and carries the token of the driver that wrote it, so that it never goes back to what was
built by a driver that has lost the run since.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import CorruptDataError, UserError, system_words
from engine.identity import fingerprint
from engine.results.publish import KEEP, POINTER
from engine.stores import ObjectStore, read_record

_NAME = re.compile(r"results-(\d+)-(\d+)\.duckdb")


@dataclass(frozen=True)
class Pointer:
    """What the object `results.duckdb` says.

    Attributes:
        name: of the database, beside the pointer.
        bytes, sha256: of that database.
        token: of the driver that built it.
    """

    name: str
    bytes: int
    sha256: str
    token: int

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Pointer:
        """From JSON. Raises ValueError or TypeError where it says nothing of the kind."""
        found = cls(**raw)
        if not _NAME.fullmatch(found.name) or int(found.token) < 0:
            raise ValueError(found.name)
        return found


def read_pointer(store: ObjectStore) -> tuple[Pointer, str] | None:
    """The pointer and its tag; None where the run has no database yet.

    Raises:
        CorruptDataError: something else lies under that name.
    """
    return read_record(
        store, POINTER, Pointer.of,
        what="this is no pointer to a results database",
        expected="what `samscope evaluate` wrote there",
        remedy="remove it and run `samscope evaluate` again: it is built from the parts",
    )  # fmt: skip


def publish_remote(database: Path, store: ObjectStore, token: int) -> str:
    """Upload a finished database under a new name and switch the pointer to it; returns the name.

    Raises:
        UserError: a later driver has published meanwhile.
    """
    before = read_pointer(store)
    _refuse_older(store, before, token)
    name = f"results-{token}-{_next_number(store, token)}.duckdb"
    store.upload(database, name)
    pointer = Pointer(name, database.stat().st_size, _sha256(database), token)
    data = (json.dumps(asdict(pointer)) + "\n").encode()
    while store.put_if(POINTER, data, {"e_tag": before[1]} if before else "create") is None:
        before = read_pointer(store)  # an older driver's last write, or a later one's
        _refuse_older(store, before, token)
    for old in _databases(store)[:-KEEP]:
        if old != name:
            store.delete(old)
    return name


def fetch_database(store: ObjectStore) -> Path:
    """A copy of the newest database on the local disk, to be opened read-only.

    It is kept in the cache under its checksum, and fetched once.

    Raises:
        UserError: the run has no database, or the cache cannot be written.
        CorruptDataError: the database is not what its pointer says.
    """
    for last in (False, True):
        found = read_pointer(store)
        if found is None:
            raise UserError(
                "this run has no results database",
                where=store.location(POINTER),
                got="no such object",
                remedy="run `samscope evaluate STUDY.yaml --collection C --out RUN_DIR` first",
            )
        path = cache_of(store.url) / f"{found[0].sha256[:32]}.duckdb"
        if path.is_file():
            return path
        try:
            return _fetch(store, found[0], path)
        except FileNotFoundError as error:  # two builds came since the pointer was read
            if last:
                raise CorruptDataError(
                    "the database that the pointer names is gone",
                    where=store.location(found[0].name),
                    remedy="run `samscope evaluate` again: it is built from the parts",
                ) from error
    raise AssertionError  # not reached


def cache_of(url: str) -> Path:
    """Where what was fetched of a run is kept: `$XDG_CACHE_HOME`, else `~/.cache`."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "samscope" / "runs" / fingerprint([url])[:16]


def _fetch(store: ObjectStore, pointer: Pointer, path: Path) -> Path:
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.download(pointer.name, temporary)
        if (digest := _sha256(temporary)) != pointer.sha256:
            raise CorruptDataError(
                "the database is not the one its pointer describes",
                where=store.location(pointer.name),
                got=f"SHA-256 {digest}, {temporary.stat().st_size} bytes",
                expected=f"SHA-256 {pointer.sha256}, {pointer.bytes} bytes",
                remedy="remove the object results.duckdb and run `samscope evaluate` again",
            )
        temporary.replace(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(
            "the results database cannot be kept here",
            where=str(error.filename or path.parent),
            got=system_words(error),
            expected=f"room for {pointer.bytes >> 20} MiB in the cache",
            remedy="make room, or set XDG_CACHE_HOME to another folder",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    _forget_old(path.parent)
    return path


def _forget_old(folder: Path) -> None:
    """The newest stay; who has an older one open keeps it."""
    known = sorted(folder.glob("*.duckdb"), key=lambda path: path.stat().st_mtime)
    for old in known[:-KEEP]:
        old.unlink(missing_ok=True)


def _refuse_older(store: ObjectStore, found: tuple[Pointer, str] | None, token: int) -> None:
    if found is not None and found[0].token > token:
        raise UserError(
            "a later driver has published results of this run",
            where=store.location(POINTER),
            got=f"token {found[0].token}",
            expected=f"at most {token}, this driver's",
            remedy="nothing: that database stands",
        )


def _databases(store: ObjectStore) -> list[str]:
    """Names of the databases that are there, the oldest first."""
    found = [match for name in store.list("") if (match := _NAME.fullmatch(name))]
    return [m[0] for m in sorted(found, key=lambda m: (int(m[1]), int(m[2])))]


def _next_number(store: ObjectStore, token: int) -> int:
    mine = [m for name in _databases(store) if (m := _NAME.fullmatch(name)) and int(m[1]) == token]
    return max((int(m[2]) for m in mine), default=0) + 1


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
