"""NumPy, HDF5 and MATLAB files: one or more named arrays with axes in any order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from engine.collection.replica.files import Done, Piece


def write_npz(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """Compressed, without time stamps of its own."""
    np.savez_compressed(path, **_named(pieces))


def write_npy(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """One array."""
    (piece,) = pieces
    np.save(path, _in_axes(piece))


def write_hdf5(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """HDF5; `a/b` is array b of group a."""
    with h5py.File(path, "w", track_order=True) as file:
        for name, array in _named(pieces).items():
            file.create_dataset(name, data=array, compression="gzip")


def write_mat(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """MATLAB 5, or 7.3: HDF5 with axes reversed; `a/b` is a field of a struct."""
    named = _named(pieces)
    if not pieces[0].write.mat73:
        scipy.io.savemat(path, _structs(named), do_compression=True)
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in named.items():
            stored = file.create_dataset(name, data=array.T)
            stored.attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def _structs(named: dict[str, Any]) -> dict[str, Any]:
    """Names with `/` as nested mappings."""
    out: dict[str, Any] = {}
    for name, array in named.items():
        *outer, last = name.split("/")
        place = out
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = array
    return out


def _named(pieces: Sequence[Piece]) -> dict[str, Any]:
    return {piece.how.array or "arr_0": _in_axes(piece) for piece in pieces}


def _in_axes(piece: Piece) -> NDArray[np.generic]:
    """The array with its axes in the order the recipe says."""
    array = piece.stored
    have = (
        ("xyz" if piece.grid.volume else "yx")
        if not piece.time
        else ("xyzt" if piece.grid.volume else "tyx")
    )
    have += "c" if piece.colour else ""
    want = piece.how.axes or "".join(sorted(have, key="tzyxc".index))
    missing = [letter for letter in want if letter not in have]
    array = array.reshape(*array.shape, *(1 for _ in missing))
    order = [(have + "".join(missing)).index(letter) for letter in want]
    return np.ascontiguousarray(array.transpose(order))
