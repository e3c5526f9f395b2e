"""The files a case is made from: all of them, regular ones, and the same before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.collection.case import SourceFile
from engine.collection.find import CaseSpec
from engine.collection.raw_folder import RawFolder
from engine.collection.readers import reader_for
from engine.errors import CaseRefusedError

Marks = list[tuple[int, int] | None]


def with_companions(spec: CaseSpec, folder: RawFolder) -> tuple[str, ...]:
    """All files a case is made from, with those its files point at (`.mhd` -> `.raw`).

    Raises:
        CaseRefusedError: `unsafe_path`, or `unreadable_file` where one is no regular file.
    """
    named = (spec.image, *(label.path for label in spec.labels))
    folders = [path for path in named if path.endswith("/")]
    with folder.local((*folders, *spec.files)) as root:
        beside = [
            other.relative_to(root).as_posix()
            for path in named
            for other in reader_for(root / path).companions(root / path)
        ]
        for path in beside:
            _check_regular(root / path, path)
    return tuple(dict.fromkeys((*spec.files, *filter(folder.is_file, beside))))


@contextmanager
def unchanged(root: Path, files: Sequence[str]) -> Iterator[None]:
    """The checksums must be of what was read, or the next ingest would take it for unchanged.

    Raises:
        CaseRefusedError: a file has another size or time at the end of the block.
    """
    before = _marks(root, files)
    yield
    if _marks(root, files) != before:
        raise CaseRefusedError(
            "a file changed while it was read",
            code="unreadable_file",
            where=", ".join(files[:5]),
            got="another size or time than at the beginning",
            expected="files that are written to their end",
            remedy="wait until nobody writes to the folder, then run the command again",
        )


def sources_of(
    folder: RawFolder, files: Sequence[str], found: Sequence[str]
) -> tuple[SourceFile, ...]:
    """The files with their checksums; those that were not `found` are companions of others."""
    return tuple(
        SourceFile(file, folder.sha256(file) or "", folder.version(file), file not in found)
        for file in files
    )


def _check_regular(file: Path, path: str) -> None:
    """A companion that is a pipe or a device would keep its reader waiting for ever."""
    if file.exists() and not file.is_file():
        raise CaseRefusedError(
            "a file that belongs to another is no regular file",
            code="unreadable_file",
            where=path,
            got="a folder" if file.is_dir() else "a pipe, a socket or a device",
            expected="a file with data",
            remedy="put the file there",
        )


def _marks(root: Path, files: Sequence[str]) -> Marks:
    """Size and time of change of each file; None where it is gone."""
    marks: Marks = []
    for file in files:
        try:
            status = (root / file).stat()
        except OSError:
            marks.append(None)
        else:
            marks.append((status.st_size, status.st_mtime_ns))
    return marks
