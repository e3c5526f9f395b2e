"""MATLAB files up to version 7 (`.mat`), through scipy; version 7.3 is HDF5."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from engine.collection.readers.array_names import chosen, is_numeric, no_array
from engine.collection.readers.base import refuse
from engine.collection.readers.limits import admit

_ITEM_BYTES = {
    "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
    "uint64": 8, "single": 4, "double": 8, "logical": 1,
}  # fmt: skip
_ERRORS = (
    OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, OverflowError,
    RuntimeError, AttributeError, EOFError, zlib.error, struct.error, ArithmeticError,
    scipy.io.matlab.MatReadError,
)  # fmt: skip


def read_mat(path: Path, name: str | None) -> NDArray[np.generic]:
    """A variable, or a field of a struct as `struct/field`, with MATLAB's axes.

    Raises:
        CaseRefusedError: `no_array`, `too_large`, `unreadable_file`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            listed = {own: (tuple(shape), kind) for own, shape, kind in scipy.io.whosmat(path)}
            plain = {own: shape for own, (shape, kind) in listed.items() if kind in _ITEM_BYTES}
            if name is not None and "/" in name.strip("/"):
                return _field(path, name.strip("/"), plain)
            wanted = chosen(plain, name, path)
            admit(plain[wanted], _ITEM_BYTES[listed[wanted][1]], path)
            array = np.asarray(scipy.io.loadmat(path, variable_names=[wanted])[wanted])
    except _ERRORS as error:
        early = "truncated" in str(error)
        raise refuse(
            "truncated_file" if early else "unreadable_file",
            "the file is no readable MATLAB file",
            path,
            got=f"{type(error).__name__}: {str(error)[:200]}",
            expected="a MATLAB file",
            remedy="fetch the file again",
        ) from error
    return _checked(array, path)


def _field(path: Path, name: str, plain: dict[str, tuple[int, ...]]) -> NDArray[np.generic]:
    """A field of a 1 x 1 struct, of structs within structs too."""
    top, *fields = name.split("/")
    value: Any = scipy.io.loadmat(path, variable_names=[top]).get(top)
    for field in fields:
        names = getattr(getattr(value, "dtype", None), "names", None) or ()
        if field not in names or value.size != 1:
            raise no_array(path, plain, f"no '{field[:60]}' in '{top[:60]}'")
        value = value.reshape(-1)[0][field]
    if value is None or not is_numeric(np.asarray(value).dtype):
        raise no_array(path, plain, f"no numbers at '{name[:100]}'")
    return _checked(np.asarray(value), path)


def _checked(array: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    if not is_numeric(array.dtype) or not array.size:
        raise refuse(
            "unreadable_file",
            "the array holds no plain numbers",
            path,
            got=f"{array.dtype} {array.shape}"[:100],
            expected="numbers",
        )
    return array
