"""Data sets of HDF5 files, also of MATLAB 7.3 files; nothing outside of the file is followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.array_names import chosen, is_numeric
from engine.collection.readers.base import refuse
from engine.collection.readers.limits import admit

_MOST_NODES, _MOST_DEPTH = 4096, 16
_INTERNAL = ("#refs#", "#subsystem#")
_ERRORS = (
    OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError,
    NotImplementedError, IndexError, UnicodeError,
)  # fmt: skip


def read_hdf5(path: Path, name: str | None, matlab: bool = False) -> NDArray[np.generic]:
    """A data set by its path in the file, such as `cjdata/image`.

    Args:
        matlab: the axes are in the file in reverse; they are given as MATLAB shows them.

    Raises:
        CaseRefusedError: `no_array`, `unsafe_path` for data kept in other files, `too_large`,
            `unreadable_file`.
    """
    try:
        with h5py.File(path, "r") as file:
            found = dict(_data_sets(file, matlab))
            wanted = chosen({own: _shown(d.shape, matlab) for own, d in found.items()}, name, path)
            array = _values(found[wanted], path)
    except _ERRORS as error:
        raise refuse(
            "unreadable_file",
            "the file is no readable HDF5 file",
            path,
            got=f"{type(error).__name__}: {str(error)[:200]}",
            expected="an HDF5 file",
            remedy="fetch the file again",
        ) from error
    return array.T if matlab else array


def _shown(shape: tuple[int, ...], matlab: bool) -> tuple[int, ...]:
    return shape[::-1] if matlab else shape


def _data_sets(file: h5py.File, matlab: bool) -> Iterator[tuple[str, Any]]:
    """Numeric data sets by path, in the order of their names; links are not followed."""
    waiting: list[tuple[str, Any, int]] = [("", file, 0)]
    seen = 0
    while waiting:
        prefix, group, depth = waiting.pop()
        for key in sorted(group):
            seen += 1
            if seen > _MOST_NODES:
                return
            if key in _INTERNAL or not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            node = group[key]
            if isinstance(node, h5py.Group) and depth < _MOST_DEPTH:
                waiting.append((f"{prefix}{key}/", node, depth + 1))
            elif isinstance(node, h5py.Dataset) and _is_array(node, matlab):
                yield f"{prefix}{key}", node


def _is_array(node: Any, matlab: bool) -> bool:
    """Numbers with at least one element; MATLAB keeps text and empty arrays as numbers too."""
    if node.shape is None or 0 in node.shape or not is_numeric(node.dtype):
        return False
    return not (matlab and _word(node, "MATLAB_class") == "char") and (
        not matlab or "MATLAB_empty" not in node.attrs
    )


def _word(node: Any, attribute: str) -> str:
    value = node.attrs.get(attribute, b"")
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _values(node: Any, path: Path) -> NDArray[np.generic]:
    if node.external or node.is_virtual:
        raise refuse(
            "unsafe_path",
            "the values are kept in another file",
            path,
            got="external storage" if node.external else "a virtual data set",
            expected="values in the file itself",
            remedy="copy the data set into one file",
        )
    admit(node.shape, node.dtype.itemsize, path)
    if node.chunks:
        admit(node.chunks, node.dtype.itemsize, path)
    return np.asarray(node[()])
