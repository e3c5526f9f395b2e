"""Error types of samscope: every message says what, where, got, expected and remedy."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from typing import Any


class SamscopeError(Exception):
    """An error a person can act on.

    Args:
        what: one sentence, what went wrong.
        where: file, field, row or object it went wrong at.
        got: what was found there.
        expected: what would have been right.
        remedy: what to do next.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.expected = expected
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what]
        for label, value in (
            ("where", self.where),
            ("got", self.got),
            ("expected", self.expected),
            ("remedy", self.remedy),
        ):
            if value is not None:
                parts.append(f"  {label}: {value}")
        return "\n".join(parts)

    def fields(self) -> dict[str, object]:
        """Everything but `what`, as text, to rebuild the error in another process."""
        return {
            "where": self.where,
            "got": None if self.got is None else str(self.got),
            "expected": None if self.expected is None else str(self.expected),
            "remedy": self.remedy,
        }

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.fields()))


class UserError(SamscopeError, ValueError):
    """The user's mistake (a wrong study, recipe, path or option): exit code 2, no traceback."""


class CaseRefusedError(SamscopeError):
    """One raw case cannot enter the collection; the others go on.

    `code` is the reason code of its row in `exclusions` (see `engine.collection.reasons`).
    """

    def __init__(self, what: str, *, code: str = "refused", **words: Any) -> None:
        super().__init__(what, **words)
        self.code = code

    def fields(self) -> dict[str, object]:
        return {**super().fields(), "code": self.code}


class RemoteError(SamscopeError):
    """An error of another process, kept as text: not every exception survives the journey.

    `kind` is the name of the original exception type.
    """

    def __init__(self, what: str, *, kind: str = "RemoteError", **words: Any) -> None:
        super().__init__(what, **words)
        self.kind = kind

    def fields(self) -> dict[str, object]:
        return {**super().fields(), "kind": self.kind}


def kind_of(error: BaseException) -> str:
    """Name of an error's type, wherever it happened."""
    return error.kind if isinstance(error, RemoteError) else type(error).__name__


def text_of(error: BaseException) -> str:
    """What an error says, as text that can be stored; never raises."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001  a foreign __str__ may raise anything
        text = f"(its message cannot be read: {type(broken).__name__})"
    return text.encode("utf-8", "replace").decode("utf-8")


def system_words(error: OSError) -> str:
    """What the system says of a path, in words for who named it."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a file where a folder should be"
    return error.strerror or text_of(error)


class CheckpointError(UserError):
    """A weights file is missing, damaged or belongs to another architecture."""


class CorruptDataError(SamscopeError):
    """Stored bytes differ from their recorded checksum, or cannot be decoded."""


def _rebuild(cls: type[SamscopeError], what: str, fields: dict[str, object]) -> SamscopeError:
    return cls(what, **fields)  # type: ignore[arg-type]


def nearest(word: str, choices: Iterable[str]) -> str:
    """A remedy sentence naming the valid word closest to `word`, or listing all of them."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return "use one of: " + ", ".join(known)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""A disk that is full, a quota that is used up, a file system mounted read-only."""


def no_room(problem: BaseException, where: str | None = None) -> UserError | None:
    """The same in words, where the file system takes no more; None: it is something else.

    DuckDB has no numbers for it, only the system's words.
    """
    if isinstance(problem, OSError):
        if problem.errno not in _NO_ROOM:
            return None
        where = where or problem.filename
    elif not any(os.strerror(number) in str(problem) for number in _NO_ROOM):
        return None
    return UserError(
        "nothing more can be written",
        where=where,
        got=text_of(problem),
        expected="a folder that can be written, with space left",
        remedy="make room, then run the same command again: it resumes",
    )
