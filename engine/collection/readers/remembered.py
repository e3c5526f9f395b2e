"""Files shared by many cases are parsed once: one table or JSON holds the labels of all."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from engine.collection.readers.base import missing, refuse
from engine.errors import CaseRefusedError

Parsed = TypeVar("Parsed")

MOST_TEXT_BYTES = 512 * 2**20
"""Largest text file that is parsed: as objects it takes up to twenty times the room."""

_KEPT = 2  # files, the last ones used: cases of a series come one after the other


class Remembered(Generic[Parsed]):
    """Parses a file when it is new or has changed; refusals are remembered too.

    Args:
        parse: (content, path) -> what the file says; raises CaseRefusedError only.
    """

    def __init__(self, parse: Callable[[bytes, Path], Parsed]) -> None:
        self._parse = parse
        self._lookup = lru_cache(maxsize=_KEPT)(self._read)

    def __call__(self, path: Path) -> Parsed:
        """What the file says. Raises CaseRefusedError."""
        try:
            state = path.stat()
        except FileNotFoundError as error:
            raise missing(path) from error
        except OSError as error:
            raise unreadable(path, error) from error
        found = self._lookup(path, state.st_size, state.st_mtime_ns)
        if isinstance(found, CaseRefusedError):
            raise copy.copy(found)  # one error raised twice would collect tracebacks
        return found

    def _read(self, path: Path, size: int, _changed_ns: int) -> Parsed | CaseRefusedError:
        try:
            if size > MOST_TEXT_BYTES:
                raise refuse(
                    "too_large",
                    "the file is larger than what is parsed at once",
                    path,
                    got=f"{size:,} bytes",
                    expected=f"at most {MOST_TEXT_BYTES:,}",
                    remedy="split it, for example by train and test",
                )
            return self._parse(path.read_bytes(), path)
        except CaseRefusedError as error:
            return copy.copy(error)
        except OSError as error:
            return unreadable(path, error)


def unreadable(path: Path, error: object) -> CaseRefusedError:
    """The refusal of a file whose bytes cannot be had or understood."""
    return refuse(
        "unreadable_file", "the file cannot be read", path, got=error, remedy="fetch it again"
    )
