"""A folder of raw files, wherever it is: what finding and reading cases need of it.

Paths are relative to the folder, with `/`. Nothing outside of it is ever opened: a link that leads
out is refused when its case is read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

from engine.errors import CaseRefusedError, UserError
from engine.identity import file_sha256
from engine.stores import ObjectStore, place_of

SCRATCH_BYTES = 2 * 2**30
"""Fetched files a process keeps; those of the case at hand are kept whatever their size."""


class RawFolder(Protocol):
    """Names and contents of raw files."""

    @property
    def where(self) -> str:
        """The folder, for messages."""
        ...

    def exists(self) -> bool: ...

    def names(self, folder: str) -> list[str]:
        """Sorted names of files and folders in `folder` (`""`: the root); empty if it is none."""
        ...

    def is_file(self, path: str) -> bool: ...

    def is_folder(self, path: str) -> bool: ...

    def size(self, path: str) -> int:
        """Bytes of a file; 0 when it is gone."""
        ...

    def sha256(self, path: str) -> str | None:
        """Checksum of a file now; None when it is gone."""
        ...

    def version(self, path: str) -> str | None:
        """A cheap mark that changes with the file's content; None where there is none to trust."""
        ...

    @contextmanager
    def local(self, paths: Sequence[str]) -> Iterator[Path]:
        """A folder on a local disk that holds these files at their paths, for a while.

        A path that ends in `/` is a folder; only its own place is looked at.

        Raises:
            CaseRefusedError: `unsafe_path` where a link leads out of the folder.
        """
        ...


def _forbidden(path: Path) -> UserError:
    """What may not be read is not the same as what is not there."""
    return UserError(
        "a raw folder or file may not be read",
        where=str(path),
        got="permission denied",
        expected="files that this account may read",
        remedy="give yourself permission to read it",
    )


class LocalFolder:
    """Raw files on a local disk. Checksums are of bytes: times of change are not to be trusted.

    Names of a folder are listed once: thousands of cases look for their labels in the same one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[str, list[str]] = {}

    def __getstate__(self) -> dict[str, object]:
        """A worker needs no thousands of names, and has another working folder."""
        return {"root": self.root.absolute(), "_listed": {}}

    @property
    def where(self) -> str:
        return str(self.root)

    def exists(self) -> bool:
        return self.root.is_dir()

    def names(self, folder: str) -> list[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = sorted(os.listdir(self.root / folder))
            except PermissionError as error:
                raise _forbidden(self.root / folder) from error
            except OSError:  # none, or a loop of links: as if nothing were there
                self._listed[folder] = []
        return self._listed[folder]

    def is_file(self, path: str) -> bool:
        return stat.S_ISREG(self._mode(path))

    def is_folder(self, path: str) -> bool:
        return stat.S_ISDIR(self._mode(path))

    def _mode(self, path: str) -> int:
        """What kind of entry it is; 0 where there is none."""
        try:
            return os.stat(self.root / path).st_mode
        except PermissionError as error:
            raise _forbidden(self.root / path) from error
        except (OSError, ValueError):
            return 0

    def size(self, path: str) -> int:
        return os.path.getsize(self.root / path) if self.is_file(path) else 0

    def sha256(self, path: str) -> str | None:
        file = self.root / path
        return file_sha256(file) if self.is_file(path) and self._inside(file) else None

    def version(self, path: str) -> str | None:
        return None

    @contextmanager
    def local(self, paths: Sequence[str]) -> Iterator[Path]:
        for path in paths:
            if not self._inside(self.root / path):
                raise CaseRefusedError(
                    "a link leads out of the raw folder",
                    code="unsafe_path",
                    where=path,
                    got=os.path.realpath(self.root / path),
                    expected=f"a file inside {os.path.realpath(self.root)}",
                    remedy="give the folder the files really lie in, or copy them",
                )
        yield self.root

    def _inside(self, file: Path) -> bool:
        root = os.path.realpath(self.root)
        return os.path.commonpath([root, os.path.realpath(file)]) == root


def as_folder(folder: Path | RawFolder) -> RawFolder:
    """A path is a folder on the local disk."""
    return LocalFolder(folder) if isinstance(folder, Path) else folder


def raw_folder_of(place: str | os.PathLike[str] | RawFolder) -> RawFolder:
    """The raw folder at a path or an address."""
    if not isinstance(place, str | os.PathLike):
        return place
    found = place_of(place)
    return LocalFolder(found) if isinstance(found, Path) else RemoteFolder(found)


@dataclass(frozen=True)
class _Kept:
    """A fetched file: its size, its checksum, and the tag its bytes came with."""

    size: int
    sha256: str
    tag: str | None


class RemoteFolder:
    """Raw files in an object store; their names are listed once, their bytes fetched when needed.

    The tag of an object stands for its content, so what is stored already is not fetched again.
    What `sha256` and `version` say of a fetched file belongs to the bytes that were fetched.

    Args:
        scratch: where fetched files lie; None: a folder of its own, removed with this object.
    """

    def __init__(self, url: str, scratch: Path | None = None) -> None:
        self._store = ObjectStore(url)
        self._files: dict[str, tuple[int, str | None]] | None = None
        self._names: dict[str, set[str]] = {}
        self._kept: dict[str, _Kept] = {}
        if scratch is None:
            scratch = Path(mkdtemp(prefix="samscope-"))
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        self._scratch = scratch

    def __reduce__(self) -> tuple[object, ...]:
        """Its address and its scratch, which ends with the folder it was sent from.

        A worker has one folder for all tasks of an ingest, so that shared files are fetched once.
        """
        return _of_a_worker, (self._store.url, str(self._scratch))

    @property
    def where(self) -> str:
        return self._store.url

    def _tree(self) -> dict[str, tuple[int, str | None]]:
        if self._files is None:
            self._files = {}
            for found in self._store.walk(""):
                path = found["path"]
                self._files[path] = (int(found["size"]), found["e_tag"])
                parts = path.split("/")
                for depth, name in enumerate(parts):
                    self._names.setdefault("/".join(parts[:depth]), set()).add(name)
        return self._files

    def exists(self) -> bool:
        return bool(self._tree())

    def names(self, folder: str) -> list[str]:
        self._tree()
        return sorted(self._names.get(folder.removesuffix("/"), ()))

    def is_file(self, path: str) -> bool:
        if self._files is None:  # a worker asks for a few files: no reason to list a million
            return self._store.head(path) is not None
        return path in self._tree()

    def is_folder(self, path: str) -> bool:
        self._tree()
        return path.removesuffix("/") in self._names

    def size(self, path: str) -> int:
        return self._tree().get(path, (0, None))[0]

    def sha256(self, path: str) -> str | None:
        if path not in self._kept:
            try:
                return hashlib.sha256(self._store.get(path)).hexdigest()
            except FileNotFoundError:
                return None
        return self._kept[path].sha256

    def version(self, path: str) -> str | None:
        if path in self._kept:
            return self._kept[path].tag
        return self._tree().get(path, (0, None))[1]

    @contextmanager
    def local(self, paths: Sequence[str]) -> Iterator[Path]:
        """Fetched, and kept until newer files need the room, or the object changes.

        A label file that all cases share is fetched once, and keeps its path and time.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.endswith("/"):
                continue  # a folder is there with its files
            kept = self._kept.pop(path, None)
            if kept is None or kept.tag is None or self._tag_now(path) != kept.tag:
                kept = self._fetch(path)
            if kept is not None:
                self._kept[path] = kept  # the newest is last
        self._make_room(set(paths))
        yield self._scratch

    def _tag_now(self, path: str) -> str | None:
        found = self._store.head(path)
        return None if found is None else found["e_tag"]

    def _fetch(self, path: str) -> _Kept | None:
        """The file on the local disk; None when it is gone, as its reader will say."""
        target = self._scratch / path
        try:
            data, tag = self._store.fetch(path)
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return _Kept(len(data), hashlib.sha256(data).hexdigest(), tag)

    def _make_room(self, needed: set[str]) -> None:
        total = sum(kept.size for kept in self._kept.values())
        for path in list(self._kept):
            if total <= SCRATCH_BYTES:
                return
            if path not in needed:
                total -= self._kept.pop(path).size
                (self._scratch / path).unlink()


@cache
def _of_a_worker(url: str, scratch: str) -> RemoteFolder:
    return RemoteFolder(url, Path(scratch) / f"worker-{os.getpid()}")


def files_below(folder: RawFolder, path: str) -> list[str]:
    """All files directly in a folder, sorted; hidden ones (`.DS_Store`) are no data."""
    start = path.removesuffix("/")
    found = [f"{start}/{name}" for name in folder.names(start) if not name.startswith(".")]
    return [name for name in found if folder.is_file(name)]
