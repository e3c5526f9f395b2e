"""DICOM pixel data -> values: stored numbers of each frame, then slope and intercept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from engine.collection.readers.base import check_finite, refuse
from engine.collection.readers.dicom_codecs import check_frames, decoder_of
from engine.collection.readers.dicom_planes import Plane, frames_of
from engine.collection.readers.limits import admit, check_holds

Pixels = NDArray[np.generic]

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_INVERTED = "MONOCHROME1"
_PALETTE = "PALETTE COLOR"
_HALVED = "YBR_FULL_422"  # two of three samples for two pixels
_COLOURS = ("Red", "Green", "Blue")


def frames(data: Dataset, path: Path) -> Iterator[Pixels]:
    """Stored values of each frame, [y, x] or RGB [y, x, 3]; unused bits are removed.

    Raises:
        CaseRefusedError: `truncated_file`, `too_large`, `unsupported_layout`, ...
        Exception: see `decoding`.
    """
    held = [keyword for keyword in _PIXELS if keyword in data]
    if len(held) != 1 or data[held[0]].is_empty:
        raise refuse(
            "truncated_file",
            "the file holds no pixel data",
            path,
            got=", ".join(held) or "none",
            expected="one of " + ", ".join(_PIXELS),
            remedy="fetch the file again",
        )
    shift = _align(data, path)
    count, samples = frames_of(data), int(data.SamplesPerPixel)
    if samples not in (1, 3):
        raise refuse("unsupported_layout", "neither grey nor RGB", path, got=f"{samples} samples")
    shape = (count, int(data.Rows), int(data.Columns), samples)
    admit(shape, max(1, int(data.BitsAllocated) // 8), path)
    syntax = data.file_meta.get("TransferSyntaxUID", uid.UID(""))
    decoder = decoder_of(syntax, path)
    if syntax.is_encapsulated:
        check_frames(data, count, path)
    else:
        bits = prod(shape) * int(data.BitsAllocated)
        if data.PhotometricInterpretation == _HALVED:
            bits = bits * 2 // 3
        _check_length((bits + 7) // 8, len(data[held[0]].value), shape, path)
    if data.PhotometricInterpretation == _HALVED and samples != 3:
        raise refuse("unsupported_layout", "colour without three samples", path, got=samples)
    for array, _ in islice(decoder.iter_array(data), count):
        yield np.right_shift(array, shift) if shift else array


def _check_length(expected: int, found: int, shape: tuple[int, ...], path: Path) -> None:
    """Uncompressed pixels must be as many as declared: padding is less than a row or column."""
    check_holds(expected, found, path)
    if found - expected > max(1, expected // shape[0] // max(shape[1:3]) - 1):
        raise refuse(
            "shape_mismatch",
            "the file holds more pixels than its header says",
            path,
            got=f"{found} bytes",
            expected=f"{expected} bytes for {shape[0]} frames of {shape[1]} x {shape[2]}",
            remedy="fetch the file again",
        )


def _align(data: Dataset, path: Path) -> int:
    """Bits to shift by where values do not begin at the lowest bit; checks the three bit tags."""
    if "PixelData" not in data:
        data.setdefault("SamplesPerPixel", 1)
        return 0
    allocated, stored = int(data.BitsAllocated), int(data.BitsStored)
    high = int(data.get("HighBit", stored - 1))
    if not 0 < stored <= high + 1 <= allocated or data.PixelRepresentation not in (0, 1):
        raise refuse(
            "unreadable_file",
            "the header's bits per pixel are impossible",
            path,
            got=f"{allocated} allocated, {stored} stored, high bit {high}",
            expected="high bit = stored - 1, within the allocated",
        )
    shift = high + 1 - stored
    if shift and data.file_meta.TransferSyntaxUID.is_encapsulated:
        raise refuse("unsupported_layout", "compressed values off the lowest bit", path, got=high)
    if shift:
        data.BitsStored = high + 1
    return shift


def values_dtype(data: Dataset, plane: Plane, stored: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """What holds every value the header allows: the stored type where nothing is rescaled, else
    int16 or int32 for whole slopes and intercepts, else float64."""
    if (plane.slope, plane.intercept) == (1, 0):
        return stored
    whole = plane.slope.is_integer() and plane.intercept.is_integer()
    if whole and np.issubdtype(stored, np.integer):
        ends = [end * plane.slope + plane.intercept for end in _range(data)]
        for dtype in (np.int16, np.int32):
            if np.iinfo(dtype).min <= min(ends) and max(ends) <= np.iinfo(dtype).max:
                return np.dtype(dtype)
    return np.dtype(np.float64)


def rescaled(array: Pixels, plane: Plane, dtype: np.dtype[np.generic], path: Path) -> Pixels:
    """Values in `dtype`; raises `non_finite` where one is not a number."""
    if (plane.slope, plane.intercept) != (1, 0):
        if np.issubdtype(dtype, np.integer):
            array = array.astype(np.int64) * int(plane.slope) + int(plane.intercept)
        else:
            array = array.astype(np.float64) * plane.slope + plane.intercept
    check_finite(array, path)
    return array.astype(dtype, copy=False)


def as_displayed(array: Pixels, data: Dataset) -> Pixels:
    """Stored values with larger ones lighter: MONOCHROME1 pictures show their smallest white."""
    if data.PhotometricInterpretation != _INVERTED or not np.issubdtype(array.dtype, np.integer):
        return array
    low, high = _range(data)
    return (low + high - array.astype(np.int64)).astype(array.dtype)


def palette_of(data: Dataset, path: Path) -> NDArray[np.uint8] | None:
    """uint8[n, 3] of a palette picture whose indices start at 0; None for others."""
    if data.PhotometricInterpretation != _PALETTE:
        return None
    columns = []
    for colour in _COLOURS:
        entries, first, bits = data[f"{colour}PaletteColorLookupTableDescriptor"].value
        table = data[f"{colour}PaletteColorLookupTableData"].value
        numbers = np.frombuffer(table, "<u2" if len(table) >= 2 * (entries or 2**16) else "u1")
        if first or bits not in (8, 16) or len(numbers) < (entries or 2**16):
            raise refuse(
                "unsupported_layout",
                "the palette has no entry for every index",
                path,
                got=f"{entries} entries from {first}, {bits} bits, {len(numbers)} in the table",
                expected="entries from 0, of 8 or 16 bits",
            )
        numbers = numbers[: entries or 2**16]
        columns.append((numbers >> 8 if bits == 16 else numbers).astype(np.uint8))
    return np.stack(columns, axis=1)


def coloured(array: Pixels, palette: NDArray[np.uint8]) -> Pixels:
    """RGB of indices; those beyond the palette take its last colour, as the standard says."""
    return palette[np.minimum(array.astype(np.int64), len(palette) - 1)]


def _range(data: Dataset) -> tuple[int, int]:
    """Smallest and largest stored value the header allows."""
    bits = int(data.BitsStored)
    return (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.PixelRepresentation else (0, 2**bits - 1)
    )
