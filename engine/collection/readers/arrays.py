"""Arrays without a format of their own: `.npy`, `.npz`, `.h5`, `.hdf5`, `.mat`.

Such files say neither what an axis is nor where the patient lies: a recipe names the array
(`array: imgs`, `array: cjdata/image`) and its axes (`axes: zyx`). The letters follow the shape as
numpy shows it, for `.mat` files as MATLAB shows it: a version 7.3 file is an HDF5 file with its
axes on disk in reverse, and reads here as the same variable of an older version does.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.arrays_hdf5 import read_hdf5
from engine.collection.readers.arrays_mat import read_mat
from engine.collection.readers.arrays_numpy import read_npy, read_npz
from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    OneFile,
    RawImage,
    check_finite,
    refuse,
)
from engine.collection.readers.limits import bounded_memory, opened


class ArrayReader(OneFile):
    """Volumes [x, y, z] where the axes have a z, else images [y, x].

    Without `axes`: two axes are y, x; three are z, y, x, but y, x and colour where the last is 3 or
    4 long and values are uint8. Without `array`: the only array with two axes or more.
    """

    extensions = (".npy", ".npz", ".h5", ".hdf5", ".mat")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """The named array; see `Reader.read`. Raises CaseRefusedError `no_array` too."""
        with opened(path), bounded_memory(path):
            array, spacing_xyz = _load(path, how.array)
            if array.dtype == np.bool_:
                array = array.astype(np.uint8)
            elif array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
                with np.errstate(over="ignore"):  # what overflows is refused as infinite
                    array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
            array = array.astype(array.dtype.newbyteorder("="), copy=False)
            check_finite(array, path)
            return _placed(array, how.axes or _default_axes(array, path), spacing_xyz, path)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """Labels are stored like images."""
        return self.read(path, how)


def _load(path: Path, name: str | None) -> tuple[NDArray[np.generic], tuple[float, ...] | None]:
    """(array, spacing along x, y, z in mm where the file states it)."""
    ending = path.suffix.lower()
    if ending == ".npy":
        return read_npy(path), None
    if ending == ".npz":
        return read_npz(path, name)
    if ending == ".mat" and not _is_hdf5(path):
        return read_mat(path, name), None
    return read_hdf5(path, name, matlab=ending == ".mat"), None


def _is_hdf5(path: Path) -> bool:
    try:
        return bool(h5py.is_hdf5(path))
    except (OSError, ValueError):
        return False


def _default_axes(array: NDArray[np.generic], path: Path) -> str:
    if array.ndim == 2:
        return "yx"
    if array.ndim == 3:
        return "yxc" if array.shape[2] in (3, 4) and array.dtype == np.uint8 else "zyx"
    raise refuse(
        "unsupported_layout",
        "the file does not say what its axes are",
        path,
        got=f"shape {array.shape}",
        expected="two or three axes",
        remedy="say axes: one letter each of z, y, x, t (frames), c (colour)",
    )


def _placed(
    array: NDArray[np.generic], axes: str, spacing_xyz: tuple[float, ...] | None, path: Path
) -> RawImage:
    """[x, y, z, frame, colour] of a volume, [frame, y, x, colour] of an image."""
    if len(axes) != array.ndim or len(set(axes)) < len(axes) or not {"y", "x"} <= set(axes):
        raise refuse(
            "unsupported_layout",
            "the axes of the recipe are not those of the array",
            path,
            got=f"shape {array.shape}",
            expected=f"axes {axes}, each once, with y and x",
        )
    for name in "tc":
        if name in axes and array.shape[axes.index(name)] == 1:
            array = array.squeeze(axes.index(name))
            axes = axes.replace(name, "")
    is_volume = "z" in axes
    order = "xyztc" if is_volume else "tyxc"
    array = array.transpose([axes.index(name) for name in order if name in axes])
    if "c" in axes:
        array = _colours(array, path)
    return RawImage(
        array,
        "volume" if is_volume else "image",
        spacing_xyz if is_volume else None,
        channel_axis=array.ndim - 1 if "c" in axes else None,
        time_axis=(3 if is_volume else 0) if "t" in axes else None,
    )


def _colours(array: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    """Three colours on the last axis; the alpha of 8-bit colours is dropped."""
    count = array.shape[-1]
    if count == 3 or (count == 4 and array.dtype == np.uint8):
        return array[..., :3]
    raise refuse(
        "unsupported_layout",
        "the colour axis is none",
        path,
        got=f"{count} values of {array.dtype}",
        expected="3, or 4 of uint8",
        remedy="say t instead of c for channels that are cases of their own",
    )


ARRAYS = ArrayReader()
