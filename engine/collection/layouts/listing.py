"""The files of a folder nobody has described yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.collection.readers import READERS
from engine.errors import UserError

MOST_FILES = 500_000
_NO_PICTURES = (".json", ".csv")
_NOT_DATA = {"__MACOSX"}


@dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        root: the folder.
        files: paths relative to it with `/`, sorted; hidden files and folders left out.
        hidden: how many files were left out for their names.
    """

    root: Path
    files: tuple[str, ...]
    hidden: int

    @classmethod
    def of(cls, root: Path) -> Listing:
        """List a folder. Raises UserError where it is none, is empty, or is endless."""
        if not root.is_dir():
            raise UserError(
                "there is no such folder",
                where=str(root),
                got="a file" if root.exists() else "nothing",
                expected="the folder that holds the files of a data set",
                remedy="check the path",
            )
        files, hidden = list[str](), 0
        for path in _walk(root):
            if _is_hidden(path):
                hidden += 1
            else:
                files.append(path)
            if len(files) > MOST_FILES:
                raise UserError(
                    "the folder holds too many files to look at",
                    where=str(root),
                    got=f"more than {MOST_FILES:,} files",
                    remedy="give the folder of one data set",
                )
        if not files:
            raise UserError("the folder is empty", where=str(root), remedy="check the path")
        return cls(root, tuple(sorted(files)), hidden)

    def within(self, folder: str, ending: str = "") -> list[str]:
        """Names of the files directly in a folder, with that ending."""
        return [name for name in self.folders.get(folder, []) if name.endswith(ending)]

    @cached_property
    def folders(self) -> dict[str, list[str]]:
        """{folder: names of its files}; the root is `""`."""
        folders: dict[str, list[str]] = {}
        for path in self.files:
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, []).append(name)
        return folders

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """Files that a reader of images knows by their endings."""
        return tuple(path for path in self.files if picture_ending(path) is not None)


def picture_ending(path: str) -> str | None:
    """The ending by which a reader of images knows a file, as written; None where none does."""
    lower = path.lower()
    known = [e for e in READERS if not e.endswith("/") and lower.endswith(e)]
    ending = max(known, key=len, default=None)
    return None if ending is None or ending in _NO_PICTURES else path[len(path) - len(ending) :]


def _walk(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        inner = Path(folder).relative_to(root).as_posix()
        for name in names:
            yield name if inner == "." else f"{inner}/{name}"


def _is_hidden(path: str) -> bool:
    parts = path.split("/")
    return any(part.startswith(".") or part in _NOT_DATA for part in parts)
