"""TIFF of any bit depth through tifffile: grey, RGB, palette, CMYK, 1-bit, float, page stacks."""

from __future__ import annotations

import logging
import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    OneFile,
    RawImage,
    check_finite,
    refuse,
)
from engine.collection.readers.limits import admit, check_holds, opened
from engine.collection.readers.pixels import cmyk_to_rgb, drop_alpha, merge_grey, upright
from engine.collection.readers.tiff_chain import check_chain
from engine.errors import CaseRefusedError

_MINISWHITE, _PALETTE, _CMYK = 0, 3, 5
_ORIENTATION = 274


logging.getLogger("tifffile").addHandler(logging.NullHandler())  # refusals say what is wrong


class TiffReader(OneFile):
    """One image, or a stack of pages (`time_axis` 0), per file."""

    extensions = (".tif", ".tiff")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Grey [(page,) y, x] or RGB [(page,) y, x, 3]; identical channels become grey."""
        raw = self.read_labels(path)
        array = raw.array if raw.palette is None else raw.palette[raw.array]
        colours = raw.channel_axis is not None or raw.palette is not None
        array = merge_grey(array) if colours else array
        channel = array.ndim - 1 if array.ndim - (raw.time_axis is not None) == 3 else None
        return RawImage(array, "image", channel_axis=channel, time_axis=raw.time_axis)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """As stored: colours stay colours, palette files give indices and their palette."""
        with opened(path) as stream, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check_chain(stream, path)
            array, palette, stacked = _open(stream, path)
        check_finite(array, path)
        colour = array.ndim - 1 if array.ndim - stacked == 3 else None
        return RawImage(
            np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")),
            "image",
            channel_axis=colour,
            time_axis=0 if stacked else None,
            palette=palette,
        )


_ERRORS = (
    tifffile.TiffFileError,
    imagecodecs.DelayedImportError,
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
)


def _open(
    stream: BinaryIO, path: Path
) -> tuple[NDArray[np.generic], NDArray[np.uint8] | None, bool]:
    """(pixels, palette, whether they are a stack of pages)."""
    try:
        with tifffile.TiffFile(stream) as tif:
            array, axes = _decode(tif, path)
            page = tif.pages.first
            palette = _palette(page)
            array = _conventions(array, axes, page)
            if palette is not None and int(array.max()) >= len(palette):
                raise ValueError(f"index {array.max()} of a palette of {len(palette)}")
    except CaseRefusedError:
        raise
    except _ERRORS as error:
        raise _damaged(path, error) from error
    return array, palette, axes.startswith("T")


def _damaged(path: Path, error: BaseException) -> Exception:
    return refuse(
        "unreadable_file",
        "the TIFF cannot be decoded",
        path,
        got=f"{type(error).__name__}: {error}",
        expected="a TIFF that tifffile and imagecodecs can decode",
        remedy="fetch the file again, or save it in another compression",
    )


def _decode(tif: tifffile.TiffFile, path: Path) -> tuple[NDArray[np.generic], str]:
    """(pixels, axes): axes is `YX` or `YXS`, with `T` in front for a stack of pages."""
    if len(tif.series) != 1:
        raise refuse(
            "unsupported_layout",
            "the TIFF holds several images of different layout",
            path,
            got=f"{len(tif.series)} series",
            expected="one image or one stack",
        )
    _check_complete(tif, path)
    series = tif.series[0]
    admit(series.shape, np.dtype(series.dtype).itemsize, path)
    array = np.asarray(series.asarray(maxworkers=1))
    if array.shape != tuple(series.shape) or array.dtype.kind not in "buif":
        raise ValueError(f"{array.dtype} {array.shape} instead of {series.shape}")
    array, axes = _squeeze(array, series.axes)
    others = [name for name in axes if name not in "YXS"]
    if "Y" not in axes or "X" not in axes or len(others) > 1:
        raise refuse(
            "unsupported_layout",
            "the axes of the TIFF are not those of an image or a stack",
            path,
            got=f"{axes} {array.shape}",
            expected="YX or YXS, with at most one page axis",
        )
    order = [axes.index(name) for name in (*others, "Y", "X", "S") if name in axes]
    return array.transpose(order), ("T" if others else "") + ("YXS" if "S" in axes else "YX")


def _check_complete(tif: tifffile.TiffFile, path: Path) -> None:
    """tifffile fills missing segments with zeros; here they refuse the file."""
    size = path.stat().st_size
    for number, page in enumerate(tif.pages):
        key: Any = page.keyframe
        admit((math.prod(key.chunks or (1,)),), max(1, key.bitspersample // 8), path)
        if len(page.dataoffsets) != math.prod(key.chunked):
            raise refuse(
                "unreadable_file",
                "the TIFF's size does not fit its number of strips or tiles",
                path,
                got=f"{len(page.dataoffsets)} in page {number}",
                expected=f"{math.prod(key.chunked)} for {key.shape}",
                remedy="fetch the file again",
            )
        if key.compression == 1 and key.bitspersample % 8 == 0:
            check_holds(key.nbytes, sum(page.databytecounts), path)
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or 0 in page.databytecounts or max(ends) > size:
            raise refuse(
                "truncated_file",
                "the TIFF points to data beyond its end",
                path,
                got=f"{size} bytes",
                expected=f"{max(ends, default=0)} bytes for page {number}",
                remedy="fetch the file again",
            )


def _squeeze(array: NDArray[np.generic], axes: str) -> tuple[NDArray[np.generic], str]:
    """Drop axes of length one, but never rows or columns."""
    drop = [i for i, name in enumerate(axes) if name not in "YX" and array.shape[i] == 1]
    kept = "".join(name for i, name in enumerate(axes) if i not in drop)
    return array.squeeze(tuple(drop)), kept


def _conventions(array: NDArray[np.generic], axes: str, page: Any) -> NDArray[np.generic]:
    """Light values, RGB or grey, upright; page axis untouched."""
    if page.photometric == _MINISWHITE and array.dtype.kind in "ub":
        top = 2**page.bitspersample - 1
        array = (top - array.astype(np.int64)).astype(np.uint8 if top < 256 else array.dtype)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if page.photometric == _CMYK and axes.endswith("S"):
        array = cmyk_to_rgb(array)  # type: ignore[arg-type]
    if axes.endswith("S"):
        array = np.stack([drop_alpha(a) for a in array]) if axes[0] == "T" else drop_alpha(array)
    tag = page.tags.get(_ORIENTATION)
    code = int(tag.value) if tag is not None else 1
    if axes.startswith("T"):
        return np.stack([upright(a, code) for a in array])
    return upright(array, code)


def _palette(page: Any) -> NDArray[np.uint8] | None:
    """uint8[n, 3] from a 16-bit colour map; None unless the page is a palette image."""
    if page.photometric != _PALETTE or page.colormap is None:
        return None
    table = np.zeros((max(256, page.colormap.shape[1]), 3), dtype=np.uint8)
    table[: page.colormap.shape[1]] = (page.colormap >> 8).T
    return table


TIFF = TiffReader()
