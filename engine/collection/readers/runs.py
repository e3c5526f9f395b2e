"""Run-length codes -> masks: the counts of COCO, plain or as text, and starts with lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import refuse
from engine.collection.readers.objects import Boxed, crop, shown

Ints = NDArray[np.int64]
Order = Literal["columns", "rows"]

_LONGEST = 7  # characters of one number: 35 bits, more than any image has pixels
_FIRST, _BITS, _MORE, _MINUS = 48, 0x1F, 0x20, 0x10


def mask_of_counts(counts: object, size: tuple[int, int], path: Path) -> Boxed | None:
    """A mask from COCO's counts: pixels outside, inside, outside ... down the columns.

    Args:
        counts: a list of whole numbers, or their compressed text.
        size: (height, width), already compared with the image.

    Raises:
        CaseRefusedError: `unreadable_file`, or `shape_mismatch` where the counts do not fill the
            image exactly.
    """
    pixels = size[0] * size[1]
    numbers = _from_text(counts, pixels, path) if isinstance(counts, str) else _plain(counts, path)
    wrong = (numbers < 0) | (numbers > pixels)
    total = -1 if wrong.any() else int(numbers.sum())
    if total != pixels:
        raise refuse(
            "shape_mismatch",
            "a run-length code does not fill the image",
            path,
            got="a count beyond it" if total < 0 else f"{total} pixels",
            expected=f"{pixels} pixels ({size[0]} x {size[1]})",
            remedy="fetch the file again",
        )
    ends = np.cumsum(numbers)
    return mask_of_runs((ends - numbers)[1::2], numbers[1::2], size, "columns")


def _plain(counts: object, path: Path) -> Ints:
    if not isinstance(counts, list) or not all(type(n) is int and 0 <= n < 2**40 for n in counts):
        raise _no_code(path, counts)
    return np.array(counts, dtype=np.int64)


def _from_text(text: str, pixels: int, path: Path) -> Ints:
    """Numbers of 5 bits a character, low bits first; from the fourth on, differences by two."""
    if len(text) > _LONGEST * (pixels + 2) or not text.isascii():
        raise _no_code(path, text)
    code = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int64) - _FIRST
    if not len(code):
        return np.zeros(0, dtype=np.int64)
    more = (code & _MORE) != 0
    if code.min() < 0 or code.max() > 63 or more[-1]:
        raise _no_code(path, text)
    first = np.concatenate([[0], np.flatnonzero(~more)[:-1] + 1])
    length = np.diff(np.append(first, len(code)))
    if length.max() > _LONGEST:
        raise _no_code(path, text)
    place = np.arange(len(code)) - np.repeat(first, length)
    numbers: Ints = np.add.reduceat((code & _BITS) << (5 * place), first)
    minus = (code[first + length - 1] & _MINUS) != 0
    numbers = numbers - np.where(minus, np.int64(1) << (5 * length), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _no_code(path: Path, got: object) -> Exception:
    return refuse(
        "unreadable_file",
        "a run-length code cannot be read",
        path,
        got=shown(got, 60),
        expected="counts of pixels, as a list or as COCO's text",
        remedy="fetch the file again",
    )


def mask_of_runs(starts: Ints, lengths: Ints, size: tuple[int, int], order: Order) -> Boxed | None:
    """A mask from runs of pixels inside; they may overlap.

    Args:
        starts: from 0, counted down the columns or along the rows.
        lengths: each run ends within the image.
        size: (height, width).
    """
    kept = lengths > 0
    starts, ends = starts[kept], starts[kept] + lengths[kept]
    if not len(starts):
        return None
    step = size[0] if order == "columns" else size[1]
    first, last = int(starts.min()) // step, (int(ends.max()) - 1) // step
    change = np.zeros((last + 1 - first) * step + 1, dtype=np.int32)
    np.add.at(change, starts - first * step, 1)
    np.subtract.at(change, ends - first * step, 1)
    lines = (np.cumsum(change[:-1], dtype=np.int32) > 0).reshape(-1, step)
    return crop(lines.T, 0, first) if order == "columns" else crop(lines, first, 0)
