"""Pixels of DICOM files -> the array of a volume or of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from engine.collection.readers.base import RawImage, SliceFiles, refuse
from engine.collection.readers.dicom_file import Header, decoding, read_content
from engine.collection.readers.dicom_geometry import Stack
from engine.collection.readers.dicom_pixels import (
    Pixels,
    as_displayed,
    coloured,
    frames,
    palette_of,
    rescaled,
    values_dtype,
)
from engine.collection.readers.dicom_planes import Plane, frames_of
from engine.collection.readers.limits import admit


def volume(headers: list[Header], stack: Stack, where: Path) -> RawImage:
    """Values [x, y, slice(, time)(, 3)], one file in memory after another.

    Raises:
        CaseRefusedError: see `frames`; `unsupported_layout` where slices differ in kind.
    """
    at = {
        (plane.path, plane.frame): (t, k)
        for t, slices in enumerate(stack.planes)
        for k, plane in enumerate(slices)
    }
    first = stack.planes[0][0]
    size = (len(stack.planes), len(stack.planes[0]), first.rows, first.columns)
    array: Pixels | None = None
    for header in headers:
        mine = {number for path, number in at if path == header.path}
        if not mine:
            continue
        with decoding(header.path):
            for number, stored in enumerate(_colours(read_content(header.path), header.path)):
                if number not in mine:
                    continue
                t, k = at[header.path, number]
                plane = stack.planes[t][k]
                if array is None:
                    array = _empty(headers, stack, stored, size, where)
                dtype = values_dtype(header.data, plane, stored.dtype)
                if stored.shape != array.shape[2:] or not np.can_cast(dtype, array.dtype):
                    raise _differs(header.path, stored, array)
                array[t, k] = rescaled(stored, plane, array.dtype, header.path)
                mine.discard(number)
        if mine:
            raise refuse("frame_mismatch", "frames are missing", header.path, got=sorted(mine)[:8])
    if array is None:
        raise refuse("unreadable_file", "the series holds no frames", where)
    turned = array.transpose(3, 2, 1, 0, *range(4, array.ndim))
    several = len(stack.planes) > 1
    if not several:
        turned = turned[:, :, :, 0]
    return RawImage(
        turned,
        "volume",
        stack.spacing_mm,
        stack.affine,
        channel_axis=turned.ndim - 1 if array.ndim == 5 else None,
        time_axis=3 if several else None,
        slices=_slice_files(headers[0], stack.planes[0]),
    )


def _empty(
    headers: list[Header], stack: Stack, stored: Pixels, size: tuple[int, ...], where: Path
) -> Pixels:
    """Room for the values of every slice."""
    by_path = {header.path: header.data for header in headers}
    found = {
        values_dtype(by_path[plane.path], plane, stored.dtype)
        for slices in stack.planes
        for plane in slices
    }
    dtype = np.dtype(np.result_type(*found))
    admit((*size, *stored.shape[2:]), dtype.itemsize, where)
    return np.empty((*size, *stored.shape[2:]), dtype)


def _colours(data: Dataset, path: Path) -> Iterator[Pixels]:
    """Frames, with the colours of a palette."""
    palette = palette_of(data, path)
    for array in frames(data, path):
        yield array if palette is None else coloured(array, palette)


def _differs(path: Path, stored: Pixels, array: Pixels) -> Exception:
    return refuse(
        "unsupported_layout",
        "slices of the series differ in their kind of values",
        path,
        got=f"{stored.dtype} {stored.shape}",
        expected=f"{array.dtype} {array.shape[2:]}",
    )


def picture(header: Header, plane: Plane, palettes: bool) -> RawImage:
    """An image without a place in the patient, [(frame,) y, x(, 3)].

    Args:
        palettes: keep the indices of a palette picture, for labels.
    """
    path, data = header.path, read_content(header.path)
    count = frames_of(data)
    palette = palette_of(data, path)
    array: Pixels | None = None
    for number, stored in enumerate(frames(data, path)):
        dtype = values_dtype(data, plane, stored.dtype)
        if palette is not None:
            values = stored if palettes else coloured(stored, palette)
            dtype = values.dtype
        else:
            values = rescaled(as_displayed(stored, data), plane, dtype, path)
        if array is None:
            admit((count, *values.shape), dtype.itemsize, path)
            array = np.empty((count, *values.shape), dtype)
        array[number] = values
    if array is None:
        raise refuse("unreadable_file", "the file holds no frames", path)
    several = count > 1
    out = array if several else array[0]
    return RawImage(
        out,
        "image",
        plane.spacing_mm or None,
        channel_axis=out.ndim - 1 if out.ndim - several == 3 else None,
        time_axis=0 if several else None,
        palette=palette if palettes else None,
        slices=None if palettes else _slice_files(header, (plane,)),
    )


def same_values(one: Plane, other: Plane) -> bool:
    """Whether two frames hold the same values, bit for bit."""
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    first, second = _frame(one), _frame(other)
    return first.dtype == second.dtype and np.array_equal(first, second)


def _frame(plane: Plane) -> Pixels:
    with decoding(plane.path):
        for number, array in enumerate(_colours(read_content(plane.path), plane.path)):
            if number == plane.frame:
                return array
    raise refuse("frame_mismatch", "a frame is missing", plane.path, got=plane.frame)


def _slice_files(header: Header, planes: tuple[Plane, ...]) -> SliceFiles:
    return SliceFiles(
        tuple(plane.path.name for plane in planes),
        tuple(plane.sop_uid for plane in planes),
        header.text("SeriesInstanceUID") or None,
        header.text("FrameOfReferenceUID") or None,
    )
