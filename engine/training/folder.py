"""The training directory: whole files, one writer at a time, nothing left over from a kill."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import UserError, system_words
from engine.files import TEMPORARY, exclusive_lock, replace_file

SCRATCH = ".ray-"
"""Beginning of the name of Ray's own folder in a training directory."""

_PATIENCE_S = 90.0
_ASK_EVERY_S = 0.2


def cannot_write(path: Path, error: OSError, bytes_: int | None = None) -> UserError:
    """No space, or no right to write."""
    return UserError(
        "cannot write the training directory",
        where=str(path),
        got=system_words(error),
        expected=None if bytes_ is None else f"room for {bytes_ / 2**20:.1f} MiB",
        remedy="make room and run the same command again: it goes on from the last state",
    )


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file of the training directory.

    Raises:
        UserError: no space, or no right to write; the file before stays as it was.
    """
    try:
        replace_file(path, data)
    except OSError as error:
        raise cannot_write(path, error, len(data)) from error


def sweep(folder: Path) -> None:
    """Remove what a killed training left: Ray's folders and half-written files.

    Only for the holder of the folder's lock. What cannot be removed does no harm.
    """
    for path in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (*folder.glob(TEMPORARY), *folder.glob(f"embeddings/*/{TEMPORARY}")):
        path.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Hold the folder for the worker that writes.

    Workers outlive a killed driver for moments; the next one waits until they are gone.

    Raises:
        UserError: another worker is still there after `patience_s`.
    """
    deadline = time.monotonic() + patience_s
    while True:
        with exclusive_lock(folder / "worker.lock") as holder:
            if holder is None:
                yield
                return
        if time.monotonic() > deadline:
            raise UserError(
                "a worker of an earlier training still writes to this folder",
                where=str(folder),
                got=f"process {holder}",
                remedy="end that process, then run the same command again",
            )
        time.sleep(_ASK_EVERY_S)
