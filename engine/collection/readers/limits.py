"""How much one file may hold: sizes are checked before memory is taken, not after.

A header of a few bytes can claim terabytes, and a kilobyte of gzip can be a gigabyte of zeros.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.collection.readers.base import missing, refuse

MOST_BYTES = 8 * 2**30
"""Largest decoded array, and largest decompressed stream, of one file."""

MOST_AXES = 32
_CHUNK = 2**20


def admit(shape: Sequence[int], itemsize: int, path: Path) -> int:
    """Bytes of an array of `shape`, as a header claims it, if it may be decoded.

    Raises:
        CaseRefusedError: `too_large` above `MOST_BYTES`; `unsupported_layout` where a length is
            not positive or there are more axes than any image has.
    """
    lengths = [int(n) for n in shape]
    if len(lengths) > MOST_AXES or any(n <= 0 for n in lengths):
        raise refuse(
            "unsupported_layout",
            "the array has no elements, or no image's axes",
            path,
            got=f"shape {tuple(lengths[:MOST_AXES])}",
            expected="a positive length along every axis",
        )
    size = math.prod(lengths) * itemsize
    if size > MOST_BYTES:
        raise _too_large(path, f"{_gib(size)} for shape {tuple(lengths)}")
    return size


def check_holds(size: int, held: int, path: Path) -> None:
    """Raises CaseRefusedError `truncated_file` where a file holds fewer bytes than it must."""
    if held < size:
        raise refuse(
            "truncated_file",
            "the file ends before its data do",
            path,
            got=f"{held} bytes",
            expected=f"{size} bytes, as its header says",
            remedy="fetch the file again",
        )


def read_file(path: Path) -> bytes:
    """The bytes of a file. Raises CaseRefusedError `missing_file`, `too_large`, ..."""
    with opened(path) as stream:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _too_large(path, _gib(size))
        return stream.read()


def read_gzip(path: Path, keep: int | None = None) -> bytes:
    """The decompressed bytes of a gzip file, its checksum verified.

    Args:
        keep: how many bytes to return at most (a header says how many are needed); the rest is
            still decompressed, because the checksum comes last.

    Raises:
        CaseRefusedError: `too_large` above `MOST_BYTES`, `truncated_file`, `unreadable_file`,
            `missing_file`.
    """
    kept, total = io.BytesIO(), 0
    with opened(path) as file, gzip.GzipFile(fileobj=file) as stream:
        while chunk := stream.read(_CHUNK):
            total += len(chunk)
            if total > MOST_BYTES:
                raise _too_large(path, f"more than {_gib(MOST_BYTES)} decompressed")
            kept.write(chunk if keep is None else chunk[: max(0, keep - kept.tell())])
    return kept.getvalue()


def gzip_start(path: Path, length: int) -> bytes:
    """The first decompressed bytes of a gzip file, fewer where it is shorter. Raises as above."""
    with opened(path) as file, gzip.GzipFile(fileobj=file) as stream:
        return stream.read(length)


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A file to read; what goes wrong while reading or decompressing it refuses the case."""
    try:
        with path.open("rb") as stream, bounded_memory(path):
            yield stream
    except FileNotFoundError as error:
        raise missing(path) from error
    except EOFError as error:
        raise refuse(
            "truncated_file",
            "the file ends too early",
            path,
            got=f"{path.stat().st_size} bytes on disk: {error}",
            remedy="fetch the file again",
        ) from error
    except (OSError, zlib.error) as error:
        raise refuse(
            "unreadable_file",
            "the file cannot be read",
            path,
            got=error,
            expected="a file as its ending says",
            remedy="fetch the file again, or correct its ending",
        ) from error


@contextmanager
def bounded_memory(path: Path) -> Iterator[None]:
    """Turns a MemoryError into the refusal of this one file: the others may still fit."""
    try:
        yield
    except MemoryError as error:
        raise _too_large(path, "more than the free memory of this machine") from error


def _too_large(path: Path, got: str) -> Exception:
    return refuse(
        "too_large",
        "the file holds more than is decoded at once",
        path,
        got=got,
        expected=f"at most {_gib(MOST_BYTES)}",
        remedy="check that the header is right; crop or split the file if it is",
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size} bytes"
