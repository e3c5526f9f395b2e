"""Files that are whole or absent, created once, durable after return; locks that die with us."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_RANDOM_BYTES = 8

TEMPORARY = f".{'[0-9a-f]' * 2 * _RANDOM_BYTES}.tmp"
"""Glob of the files `write_temporary` leaves behind when its process is killed."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents; every new name is durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_temporary(target: Path, data: bytes) -> Path:
    """Write `data` to a hidden, synced file beside `target` and return its path."""
    make_folder(target.parent)
    temporary = target.parent / f".{secrets.token_hex(_RANDOM_BYTES)}.tmp"
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def replace_file(target: Path, data: bytes) -> None:
    """Write or replace a file: readers see the old bytes or the new, whole."""
    temporary = write_temporary(target, data)
    try:
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def claim(temporary: Path, target: Path) -> bool:
    """Give `temporary` the name `target` unless that name is taken: then False, and it stays.

    A hard link is atomic and shows the file whole. Where the file system has none, the name is
    reserved first and replaced after: two claimants still cannot both win, but a crash in
    between leaves an empty file, which readers must refuse.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _claim_without_links(temporary, target)
    temporary.unlink()
    sync_folder(target.parent)
    return True


def _claim_without_links(temporary: Path, target: Path) -> bool:
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return False
    temporary.replace(target)
    sync_folder(target.parent)
    return True


@contextmanager
def exclusive_lock(path: Path) -> Iterator[str | None]:
    """Take an advisory lock; yields None when it is ours, else the holder's process id."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield os.read(handle, 64).decode(errors="replace").strip() or "unknown"
            return
        with suppress(OSError):  # a full disk: the lock holds without our name in it
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        yield None
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Whether a process holds that lock; to find out, it is shared for a moment."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
