"""Label pixels as whole numbers: value, palette index or packed colour, one code per pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from engine.collection.layers import Part
from engine.collection.readers.pixels import merge_grey
from engine.errors import CaseRefusedError

Codes = NDArray[np.integer]
Colour = tuple[int, int, int]

_EXACT = 2**53  # from here on floats cannot tell whole numbers apart
_TABLE_SPAN = 2**22  # spans of codes up to this are counted in a table, wider ones are sorted


@dataclass(frozen=True)
class LabelMap:
    """Oriented values of one label file.

    Attributes:
        array: [slice, y, x], or [slice, y, x, 3] for colours.
        path: for messages.
        palette: uint8[n, 3] where `array` holds indices into it.
        structure: from the file name, else None.
    """

    array: NDArray[np.generic]
    path: str
    palette: NDArray[np.uint8] | None = None
    structure: str | None = None


@dataclass(frozen=True)
class Dense:
    """A label map with its codes renumbered 0, 1, 2, ... without gaps.

    Attributes:
        codes: integers [n], ascending, each present in the map.
        counts: int64[n], pixels of each.
        number: int32[slice, y, x], position in `codes` plus 1 (`find_objects` ignores zeros).
    """

    codes: Codes
    counts: NDArray[np.int64]
    number: NDArray[np.int32]

    @classmethod
    def of(cls, codes: Codes) -> Dense:
        """Renumber integers [slice, y, x]; wide copies are made of one slice at a time only."""
        lo, hi = int(codes.min()), int(codes.max())
        if hi - lo >= _TABLE_SPAN or hi > np.iinfo(np.int64).max:
            values, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
            return cls(values, counts, (index.reshape(codes.shape) + 1).astype(np.int32))
        table = np.zeros(hi - lo + 1, dtype=np.int64)
        for plane in codes:
            table += np.bincount(plane.astype(np.int64).ravel() - lo, minlength=len(table))
        number = np.cumsum(table > 0, dtype=np.int32)
        dense = np.empty(codes.shape, dtype=np.int32)
        for plane, out in zip(codes, dense, strict=True):
            out[...] = number[plane.astype(np.int64) - lo]
        return cls(np.flatnonzero(table) + lo, table[table > 0], dense)

    def parts(self, meaning: Iterable[tuple[str, int, Sequence[int]]]) -> list[Part]:
        """One part per (structure, instance, codes) of which a pixel is present."""
        boxes = find_objects(self.number)
        place = {int(code): n for n, code in enumerate(self.codes, start=1)}
        out = []
        for structure, instance, codes in meaning:
            found = [place[code] for code in codes if code in place]
            if found:
                box = _hull([boxes[n - 1] for n in found])
                out.append(Part(structure, instance, box, self.number[box], tuple(found)))
        return out


def _hull(boxes: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    return tuple(
        slice(min(s.start for s in along), max(s.stop for s in along))
        for along in zip(*boxes, strict=True)
    )


def whole_numbers(label: LabelMap) -> Codes:
    """Values (palette files: indices) as integers; three identical channels count as grey.

    Raises:
        CaseRefusedError: `dtype_mismatch` for fractions and for real colours.
    """
    array = _grey(label)
    if array.dtype.kind == "f":
        values = array.astype(np.float64)
        broken = (values != np.rint(values)) | (np.abs(values) >= _EXACT)
        if broken.any():
            raise CaseRefusedError(
                "label values are not whole numbers",
                code="dtype_mismatch",
                where=label.path,
                got=f"{int(broken.sum())} such values in {array.dtype}, e.g. {values[broken][0]:g}",
                expected="whole numbers",
                remedy="use the label before interpolation, or kind: mask with a threshold",
            )
        return array.astype(np.int64)
    return array.astype(np.uint8) if array.dtype == np.bool_ else np.asarray(array)


def grey_levels(label: LabelMap) -> NDArray[np.generic]:
    """Levels to compare with a threshold; palette files by their colours, which must be grey."""
    if label.palette is None:
        return _grey(label)
    return _grey(LabelMap(label.palette[label.array], label.path))


def _grey(label: LabelMap) -> NDArray[np.generic]:
    array = merge_grey(label.array) if label.array.ndim == 4 else label.array
    if array.ndim == 4:
        raise CaseRefusedError(
            "the label file is in colour",
            code="dtype_mismatch",
            where=label.path,
            got=f"{array.dtype} {array.shape} with different channels",
            expected="one value per pixel",
            remedy="say kind: colours and the colour of each structure",
        )
    return array


def colour_codes(label: LabelMap) -> Codes:
    """Colours packed as `pack` does; grey counts as red = green = blue.

    Raises:
        CaseRefusedError: `dtype_mismatch` unless colours have 8 bits.
    """
    array = label.array if label.palette is None else label.palette[label.array]
    if array.dtype != np.uint8:
        raise CaseRefusedError(
            "colours are read from 8-bit files only",
            code="dtype_mismatch",
            where=label.path,
            got=array.dtype,
            expected="uint8",
            remedy="say kind: values if these are label numbers",
        )
    wide = array.astype(np.int64)
    if wide.ndim == 3:
        return wide * 0x010101
    return np.asarray(wide @ np.array([0x10000, 0x100, 1]), dtype=np.int64)


def pack(colour: Sequence[int]) -> int:
    """(r, g, b), 0..255 each, as 0xRRGGBB."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def unpack(code: int) -> Colour:
    """The inverse of `pack`."""
    return code >> 16, code >> 8 & 255, code & 255


def to_nearest(codes: Codes, known: Sequence[int]) -> Codes:
    """Each packed colour replaced by the nearest of `known`, ties to the earlier one there.

    Distance is the squared Euclidean distance of RGB values, in integers: no rounding decides.
    """
    dense = Dense.of(codes)
    have = np.array([unpack(int(code)) for code in dense.codes])
    want = np.array([unpack(code) for code in known])
    squared = ((have[:, None, :] - want[None, :, :]) ** 2).sum(axis=2)
    chosen = np.array(known, dtype=np.int64)[squared.argmin(axis=1)]  # argmin: first of equals
    return np.asarray(chosen[dense.number - 1], dtype=np.int64)


def counted(wrong: Sequence[int], dense: Dense, colours: bool) -> str:
    """The first few codes with their pixel counts, for messages."""
    pixels: Mapping[int, int] = dict(zip(dense.codes.tolist(), dense.counts.tolist(), strict=True))
    shown = [f"{shown_code(code, colours)} ({pixels[code]} px)" for code in wrong[:8]]
    more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
    return ", ".join(shown) + more


def shown_code(code: int, colours: bool) -> str:
    """A code as the recipe would write it."""
    return str(list(unpack(code))) if colours else str(code)
