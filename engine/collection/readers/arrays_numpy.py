"""`.npy` and `.npz`: headers first, never a pickle."""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.array_names import chosen, is_numeric
from engine.collection.readers.base import refuse
from engine.collection.readers.limits import admit, check_holds, opened

_MEDSAM = ("imgs", "gts")
_MOST_MEMBERS = 4096
_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, SyntaxError, ValueError,
    TypeError, KeyError, IndexError, NotImplementedError, RuntimeError, EOFError, OSError,
    OverflowError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool


def read_npy(path: Path) -> NDArray[np.generic]:
    """The array of a `.npy` file. Raises CaseRefusedError as `Reader.read` does."""
    with opened(path) as stream:
        header = _guarded_header(stream, path)
        size = admit(header.shape, header.dtype.itemsize, path)
        check_holds(size, path.stat().st_size - stream.tell(), path)
        return _array(header, stream.read(size), path)


def read_npz(path: Path, name: str | None) -> tuple[NDArray[np.generic], tuple[float, ...] | None]:
    """(array, spacing along x, y, z in mm or None) of a `.npz` file.

    The spacing is read beside `imgs` and `gts` only, where it is known to be in the order of
    SimpleITK's GetSpacing (files prepared for MedSAM).
    """
    with opened(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                headers = _headers(archive, path)
                shapes = {own: head.shape for own, head in headers.items()}
                wanted = chosen(shapes, name, path)
                array = _member(archive, wanted, headers[wanted], path)
                spacing = None
                if wanted in _MEDSAM and shapes.get("spacing") == (3,):
                    spacing = _spacing(_member(archive, "spacing", headers["spacing"], path))
                return array, spacing
        except _ERRORS as error:
            raise _damaged(path, error) from error


def _headers(archive: zipfile.ZipFile, path: Path) -> dict[str, _Header]:
    """The numeric arrays of an archive; other members are passed over."""
    found = {}
    for info in archive.infolist()[:_MOST_MEMBERS]:
        if info.filename.endswith(".npy"):
            with archive.open(info) as member:
                header = _header(member)
            if is_numeric(header.dtype):
                found[info.filename.removesuffix(".npy")] = header
    return found


def _member(
    archive: zipfile.ZipFile, name: str, expected: _Header, path: Path
) -> NDArray[np.generic]:
    size = admit(expected.shape, expected.dtype.itemsize, path)
    with archive.open(f"{name}.npy") as member:
        header = _header(member)
        content = member.read(size)
        if member.read(1):  # the checksum is verified at the end of a member only
            raise ValueError(f"{name}.npy is longer than its header says")
    return _array(header, content, path)


def _array(header: _Header, content: bytes, path: Path) -> NDArray[np.generic]:
    check_holds(int(np.prod(header.shape)) * header.dtype.itemsize, len(content), path)
    flat = np.frombuffer(content, dtype=header.dtype)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _guarded_header(stream: IO[bytes], path: Path) -> _Header:
    try:
        header = _header(stream)
    except _ERRORS as error:
        raise _damaged(path, error) from error
    if not is_numeric(header.dtype):
        raise refuse(
            "unreadable_file",
            "the array holds no plain numbers",
            path,
            got=str(header.dtype)[:100],
            expected="numbers; pickled objects are never loaded",
        )
    return header


def _header(stream: IO[bytes]) -> _Header:
    form = np.lib.format
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of old writers are read all the same
        version = form.read_magic(stream)
        readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        shape, fortran, dtype = readers[version](stream)
    return _Header(tuple(int(n) for n in shape), dtype, bool(fortran))


def _spacing(values: NDArray[np.generic]) -> tuple[float, ...] | None:
    numbers = tuple(float(n) for n in values.astype(np.float64))
    return numbers if all(0 < n < 1e6 for n in numbers) else None


def _damaged(path: Path, error: Exception) -> Exception:
    early = isinstance(error, EOFError) or "EOF" in str(error)
    return refuse(
        "truncated_file" if early else "unreadable_file",
        "the file is no readable numpy file",
        path,
        got=f"{type(error).__name__}: {str(error)[:200]}",
        expected="arrays as numpy.save or numpy.savez write them",
        remedy="fetch the file again",
    )
