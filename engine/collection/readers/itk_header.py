"""What the headers of NRRD and MetaImage files say, in one form, and their data as an array.

Both formats are a few lines of text before plain numbers. They are decoded here and not by a C
library: a header that lies must neither crash the process nor be filled up with zeros.
"""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import refuse
from engine.collection.readers.limits import admit, check_holds, opened

Role = Literal["space", "frame", "colour"]
Encoding = Literal["raw", "gzip", "bzip2", "text", "hex"]

MOST_HEADER_BYTES = 16 * 2**20
_AUTO = 47  # zlib: find out whether the stream has a zlib or a gzip header


@dataclass(frozen=True)
class ItkHeader:
    """A parsed header.

    Attributes:
        sizes: length of each axis, the one that varies fastest in the file first.
        roles: what each axis is; two or three of them are `space`, in the order x, y, z.
        dtype: of one number, with its byte order.
        encoding: how the numbers are written.
        start: first byte after the header where the data are in the same file.
        data_file: plain name of a file beside the header that holds the data instead.
        line_skip, byte_skip: lines, then bytes, to leave out before the data (bytes after
            decompression); byte_skip -1: the data are the last bytes of the file.
        spacing: mm along each space axis; None where the header does not say.
        directions: float64[3, space axis], unit vectors in LPS; None where no orientation is said.
        origin: float64[3], LPS mm of the first voxel.
        keys: free `key:=value` pairs of a NRRD.
    """

    sizes: tuple[int, ...]
    roles: tuple[Role, ...]
    dtype: np.dtype[np.generic]
    encoding: Encoding
    start: int
    data_file: str | None = None
    line_skip: int = 0
    byte_skip: int = 0
    spacing: tuple[float, ...] | None = None
    directions: NDArray[np.float64] | None = None
    origin: NDArray[np.float64] | None = None
    keys: Mapping[str, str] = field(default_factory=dict)

    def axes(self, role: Role) -> list[int]:
        """Axes of one role, in file order."""
        return [axis for axis, own in enumerate(self.roles) if own == role]


def read_data(header: ItkHeader, path: Path) -> NDArray[np.generic]:
    """The numbers in native byte order, axes as in `header.sizes`.

    Raises:
        CaseRefusedError: `too_large` before any memory is taken, `truncated_file`,
            `unreadable_file`, `missing_file`.
    """
    size = admit(header.sizes, header.dtype.itemsize, path)
    file = path if header.data_file is None else path.parent / header.data_file
    with opened(file) as stream:
        stream.seek(header.start if header.data_file is None else 0)
        for _ in range(header.line_skip):
            if not stream.readline():
                break
        rest = file.stat().st_size - stream.tell()
        if header.encoding == "raw":
            skip = max(0, rest - size) if header.byte_skip < 0 else header.byte_skip
            check_holds(size, max(0, rest - skip), file)
            stream.seek(skip, 1)
            content = stream.read(size)
        else:
            admit((max(rest, 1),), 1, file)
            content = _decoded(header, stream.read(), size, file)
    check_holds(size, len(content), file)
    flat = np.frombuffer(content, dtype=header.dtype)
    native = flat.astype(header.dtype.newbyteorder("="), copy=False)
    return native.reshape(header.sizes, order="F")


def _decoded(header: ItkHeader, content: bytes, size: int, path: Path) -> bytes:
    if header.encoding == "text":
        return _numbers(header, content, path)
    if header.encoding == "hex":
        return _hex(content, size, path)
    if header.byte_skip < 0:
        raise refuse("unsupported_layout", "compressed data with a byte skip of -1", path)
    admit((size + header.byte_skip,), 1, path)
    return inflate(content, size + header.byte_skip, header.encoding, path)[header.byte_skip :]


def inflate(content: bytes, size: int, encoding: str, path: Path) -> bytes:
    """At most `size` bytes of a zlib, gzip or bzip2 stream; its checksum is verified."""
    parts: list[bytes] = []
    while content and size > 0:
        stream = bz2.BZ2Decompressor() if encoding == "bzip2" else zlib.decompressobj(_AUTO)
        try:
            parts.append(stream.decompress(content, size))
            size -= len(parts[-1])
            if not stream.eof:  # all bytes are there; what follows is the checksum
                tail = b"" if encoding == "bzip2" else getattr(stream, "unconsumed_tail", b"")
                stream.decompress(tail, 1)
        except (zlib.error, OSError, EOFError) as error:
            raise refuse(
                "unreadable_file",
                "the compressed data are damaged",
                path,
                got=error,
                remedy="fetch the file again",
            ) from error
        if not stream.eof:
            raise refuse(
                "truncated_file" if size > 0 or not _more(stream) else "unreadable_file",
                "the compressed data do not end where the header says",
                path,
                got=f"{sum(map(len, parts))} bytes",
                remedy="fetch the file again",
            )
        content = stream.unused_data
    return b"".join(parts)


def _more(stream: object) -> bool:
    """Whether a decompressor still has input it could go on with."""
    return bool(getattr(stream, "unconsumed_tail", b"")) or not getattr(stream, "needs_input", True)


def _numbers(header: ItkHeader, content: bytes, path: Path) -> bytes:
    words = content.split()
    count = int(np.prod(header.sizes))
    check_holds(count, len(words), path)
    try:
        kind = float if header.dtype.kind == "f" else int
        values = np.array([kind(word) for word in words[:count]], dtype=header.dtype)
    except (ValueError, OverflowError) as error:
        raise refuse("unreadable_file", "the data are no numbers", path, got=error) from error
    return values.tobytes()


def _hex(content: bytes, size: int, path: Path) -> bytes:
    digits = b"".join(content.split())[: 2 * size]
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    except ValueError as error:
        raise refuse("unreadable_file", "the data are no hex digits", path, got=error) from error


def data_file(name: str, numbered: re.Pattern[str], path: Path) -> str:
    """The name of the one data file beside its header.

    Args:
        numbered: how the format writes a name that stands for many files.

    Raises:
        CaseRefusedError: `unsupported_layout` for a list or a series of files, `unsafe_path` for
            anything but a plain name (`./` in front is allowed).
    """
    if re.match(r"LIST\b", name) or numbered.search(name):
        raise refuse(
            "unsupported_layout",
            "the data are spread over several files",
            path,
            got=name[:200],
            expected="one data file",
            remedy="save the image again in one file",
        )
    plain = name.removeprefix("./")
    if plain in ("", ".", "..") or any(sign in plain for sign in "/\\\0"):
        raise refuse(
            "unsafe_path",
            "the header points to a file outside of its own folder",
            path,
            got=name[:200],
            expected="a plain file name",
            remedy="put the data beside the header and name it there",
        )
    return plain


def damaged(what: str, path: Path, got: object = None, expected: object = None) -> Exception:
    """The refusal of a header that cannot be understood."""
    return refuse(
        "unreadable_file",
        what,
        path,
        got=got if got is None else str(got)[:200],
        expected=expected,
        remedy="fetch the file again",
    )


def whole(words: Iterable[str], path: Path) -> tuple[int, ...]:
    """Whole numbers of a header line."""
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise damaged("a number of the header is not whole", path, error) from error


def real(words: Iterable[str], path: Path) -> tuple[float, ...]:
    """Numbers of a header line; NaN where it says so."""
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise damaged("a number of the header is none", path, error) from error
