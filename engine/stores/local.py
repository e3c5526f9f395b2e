"""Files under a folder of a local disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from engine.errors import CorruptDataError
from engine.files import TEMPORARY, claim, replace_file, sync_folder, write_temporary

T = TypeVar("T")
U = TypeVar("U")


class LocalStore:
    """Files under a folder of a local disk.

    Names come from catalogs and manifests, which may come from anyone: one that leads out of the
    folder is a CorruptDataError in every verb.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def _at(self, name: str) -> Path:
        stay_below(str(self.root), name)
        return self.root / name

    def put(self, name: str, data: bytes) -> None:
        replace_file(self._at(name), data)

    def create(self, name: str, data: bytes) -> bool:
        target = self._at(name)
        temporary = write_temporary(target, data)
        try:
            return claim(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, name: str) -> bytes:
        return self._at(name).read_bytes()

    def each(self, ask: Callable[[T], U], things: Iterable[T]) -> Iterator[U]:
        return map(ask, things)

    def size(self, name: str) -> int | None:
        try:
            return self._at(name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, folder: str) -> Iterator[str]:
        yield from self._entries(folder, folders=False)

    def folders(self, folder: str) -> Iterator[str]:
        yield from self._entries(folder, folders=True)

    def _entries(self, folder: str, *, folders: bool) -> Iterator[str]:
        try:
            entries = os.scandir(self._at(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        with entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_dir() == folders:
                    yield f"{folder}/{entry.name}" if folder else entry.name

    def delete(self, name: str) -> None:
        self._at(name).unlink(missing_ok=True)

    def remove(self, folder: str) -> None:
        """The folder leaves its place in one step, its files then follow."""
        place = self._at(folder)
        if place.exists():
            doomed = place.with_name(f".{place.name}.removed")
            shutil.rmtree(doomed, ignore_errors=True)
            place.rename(doomed)
            shutil.rmtree(doomed)

    def place(self, array: Path | Mapping[str, bytes], folder: str) -> None:
        """A folder of the same disk leaves its place in one step."""
        if not isinstance(array, Path):
            for name, data in array.items():
                self.put(f"{folder}/{name}", data)
            return
        final = self._at(folder)
        array.rename(final)
        sync_folder(final.parent)

    def location(self, name: str) -> str:
        return str(self._at(name))

    @contextmanager
    def local(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        yield [self._at(name) for name in names]

    def sync(self, name: str) -> None:
        sync_folder(self._at(name).parent)

    def sweep(self, folder: str) -> None:
        for left in self._at(folder).glob(TEMPORARY):
            left.unlink(missing_ok=True)
        for left in self._at(folder).glob(".*.removed"):
            shutil.rmtree(left, ignore_errors=True)


def stay_below(root: str, name: str) -> None:
    """Raises CorruptDataError where a name leads out of its folder."""
    if name.startswith("/") or ".." in name.split("/"):
        raise CorruptDataError(
            "a name leads out of its folder",
            where=root,
            got=name,
            expected="a name below the folder",
            remedy="take this collection or run from a source you trust",
        )


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name relative to it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
