"""Variables of MATLAB files of versions 5 to 7 (`.mat`); version 7.3 is HDF5.

The format is parsed here: scipy's reader follows any length a damaged file states, for minutes and
without a way to stop it. Numbers keep the type they are stored in, as MATLAB narrows what fits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.array_names import chosen
from engine.collection.readers.base import refuse
from engine.collection.readers.itk_header import inflate
from engine.collection.readers.limits import admit, check_holds, read_file

_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _NUMBERS = 2, range(6, 16)  # classes; others are cells, objects, text, sparse matrices
_COMPLEX = 0x0800
_MOST_AXES, _MOST_DEPTH, _MOST_VARIABLES = 32, 8, 4096
_START = 128


class _DamagedError(ValueError):
    """A length or a type that cannot be."""


@dataclass(frozen=True)
class _Element:
    """One tagged piece of data: its type, its bytes and where the next one begins."""

    kind: int
    data: memoryview
    end: int


@dataclass(frozen=True)
class _Array:
    """A matrix of numbers: its shape and the element that holds them."""

    shape: tuple[int, ...]
    numbers: _Element


def read_mat(path: Path, name: str | None) -> NDArray[np.generic]:
    """A variable, or a field of a 1 x 1 struct as `struct/field`, with MATLAB's axes.

    Raises:
        CaseRefusedError: `no_array`, `too_large`, `truncated_file`, `unreadable_file`.
    """
    content = read_file(path)
    try:
        order = _order(content)
        found = dict(_arrays(content, order, path))
        wanted = chosen({own: array.shape for own, array in found.items()}, name, path)
        return _values(found[wanted], order, path)
    except (_DamagedError, struct.error) as error:
        raise refuse(
            "unreadable_file",
            "the file is no readable MATLAB file",
            path,
            got=error,
            expected="a MATLAB file of version 5, 7 or 7.3",
            remedy="fetch the file again",
        ) from error


def _order(content: bytes) -> str:
    """`<` or `>`, by the two letters at the end of the header."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or not struct.unpack(f"{order}H", content[124:126])[0] == 0x0100:
        raise _DamagedError("the header of another format")
    return order


def _arrays(content: bytes, order: str, path: Path) -> Iterator[tuple[str, _Array]]:
    """Numeric variables and fields, by path."""
    whole, at = memoryview(content), _START
    for _ in range(_MOST_VARIABLES):
        if at >= len(whole):
            return
        kind, size = struct.unpack_from(f"{order}II", whole, at)
        check_holds(at + 8 + size, len(whole), path)
        data = whole[at + 8 : at + 8 + size]
        if kind == _COMPRESSED:
            data = _inflated(data, order, path)
        elif kind != _MATRIX:
            raise _DamagedError(f"a variable of type {kind}")
        yield from _within("", data, order, 0)
        at += 8 + size


def _inflated(data: memoryview, order: str, path: Path) -> memoryview:
    """The matrix in a compressed element, without its tag."""
    try:
        start = zlib.decompressobj().decompress(data, 8)
    except zlib.error as error:
        raise _DamagedError(f"a compressed variable: {error}") from error
    kind, size = struct.unpack(f"{order}II", start)
    if kind != _MATRIX:
        raise _DamagedError(f"a compressed variable of type {kind}")
    admit((size + 8,), 1, path)
    content = inflate(bytes(data), size + 8, "gzip", path)
    check_holds(size + 8, len(content), path)
    return memoryview(content)[8:]


def _element(data: memoryview, at: int, order: str) -> _Element:
    """The element at a place; short ones keep their data within the tag."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise _DamagedError(f"a short element of {size} bytes")
    else:
        start = at + 8
        end = start + size + (-size % 8)
    if start + size > len(data):
        raise _DamagedError(f"an element of {size} bytes where {len(data) - start} are left")
    return _Element(kind, data[start : start + size], end)


def _within(prefix: str, data: memoryview, order: str, depth: int) -> Iterator[tuple[str, _Array]]:
    """The numeric arrays of one matrix: itself, or the fields of a 1 x 1 struct."""
    if not len(data):
        return  # MATLAB's way to write an empty field
    flags = _element(data, 0, order)
    lengths = _element(data, flags.end, order)
    name = _element(data, lengths.end, order)
    if (
        flags.kind != 6
        or lengths.kind not in (5, 6)
        or len(flags.data) < 4
        or len(lengths.data) % 4
    ):
        raise _DamagedError("a matrix without flags or lengths")
    (bits,) = struct.unpack_from(f"{order}I", flags.data)
    shape = struct.unpack(f"{order}{len(lengths.data) // 4}i", lengths.data)
    own = f"{prefix}{bytes(name.data).decode('ascii', 'replace')}"
    if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0:
        raise _DamagedError(f"shape {shape[:_MOST_AXES]}")
    if bits & 0xFF in _NUMBERS:
        if own and 0 not in shape and not bits & _COMPLEX:
            yield own, _Array(shape, _element(data, name.end, order))
    elif bits & 0xFF == _STRUCT and set(shape) == {1} and depth < _MOST_DEPTH:
        yield from _fields(own, data, name.end, order, depth)


def _fields(
    own: str, data: memoryview, at: int, order: str, depth: int
) -> Iterator[tuple[str, _Array]]:
    width_of_name = _element(data, at, order)
    names = _element(data, width_of_name.end, order)
    if width_of_name.kind != 5 or len(width_of_name.data) != 4:
        raise _DamagedError("a struct without names")
    (width,) = struct.unpack(f"{order}i", width_of_name.data)
    if width < 1:
        raise _DamagedError(f"names of {width} letters")
    at = names.end
    for start in range(0, len(names.data) // width * width, width):
        name = bytes(names.data[start : start + width]).split(b"\0")[0].decode("ascii", "replace")
        field = _element(data, at, order)
        if field.kind != _MATRIX:
            raise _DamagedError(f"a field of type {field.kind}")
        yield from _within(f"{own}/{name}", field.data, order, depth + 1)
        at = field.end


def _values(array: _Array, order: str, path: Path) -> NDArray[np.generic]:
    stored = _STORED.get(array.numbers.kind)
    if stored is None:
        raise _DamagedError(f"numbers of type {array.numbers.kind}")
    dtype = np.dtype(f"{order}{stored}")
    size = admit(array.shape, dtype.itemsize, path)
    check_holds(size, len(array.numbers.data), path)
    flat = np.frombuffer(array.numbers.data[:size], dtype=dtype)
    return flat.reshape(array.shape, order="F")
