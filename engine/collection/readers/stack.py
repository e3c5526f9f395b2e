"""A folder of pictures that are the slices of one volume, in the natural order of their names.

Such a folder says nothing about place: the recipe does, or the series its masks belong to.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    OneFile,
    RawImage,
    Reader,
    SliceFiles,
    missing,
    refuse,
)
from engine.collection.readers.limits import admit, bounded_memory
from engine.collection.readers.pixels import merge_grey
from engine.collection.readers.pnm import PNM
from engine.collection.readers.raster import RASTER
from engine.collection.readers.tiff import TIFF
from engine.collection.slice_names import natural

_SAME = {".jpeg": ".jpg", ".tiff": ".tif"}
_READERS: dict[str, Reader] = {
    ".png": RASTER, ".jpg": RASTER, ".bmp": RASTER, ".gif": RASTER, ".webp": RASTER,
    ".jp2": RASTER, ".pgm": PNM, ".ppm": PNM, ".pbm": PNM, ".tif": TIFF,
}  # fmt: skip


class StackReader(OneFile):
    """Pictures of one format and size. Hidden files, folders and other files are passed over."""

    extensions = ("stack/",)

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """[x, y, slice], or [x, y, slice, 3] where any picture has colours."""
        raw = self.read_labels(path, how)
        array = raw.array if raw.palette is None else raw.palette[raw.array]
        if array.ndim == 4:
            array = merge_grey(array)
        channel = 3 if array.ndim == 4 else None
        return RawImage(array, "volume", channel_axis=channel, slices=raw.slices)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """As stored; a palette is kept where all pictures have the same one."""
        files = _pictures(path)
        first = _slice(files[0])
        colours = first.channel_axis is not None
        height, width = first.array.shape[:2]
        with bounded_memory(path):
            admit((len(files), height, width, 3 if colours else 1), first.array.itemsize, path)
            array = np.empty((len(files), *first.array.shape), first.array.dtype)
            for k, file in enumerate(files):
                other = _slice(file) if k else first
                _check_alike(first, other, files[0], file)
                if other.channel_axis is not None and array.ndim == 3:
                    admit((*array.shape, 3), array.itemsize, path)
                    array = np.repeat(array[..., np.newaxis], 3, axis=-1)
                array[k] = _like(other.array, array[k])
        turned = array.transpose(2, 1, 0, *range(3, array.ndim))
        return RawImage(
            turned,
            "volume",
            channel_axis=3 if turned.ndim == 4 else None,
            palette=first.palette,
            slices=SliceFiles(tuple(file.name for file in files)),
        )


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, in the natural order of their names."""
    try:
        entries = [e for e in folder.iterdir() if not e.name.startswith(".") and e.is_file()]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise missing(folder) from error
    files = sorted((e for e in entries if _ending(e) in _READERS), key=lambda e: natural(e.name))
    endings = sorted({_ending(file) for file in files})
    if not files:
        raise refuse(
            "missing_file",
            "the folder holds no pictures",
            folder,
            got=", ".join(sorted(e.name for e in entries)[:8]) or "no files",
            expected="one picture per slice: " + ", ".join(_READERS),
        )
    if len(endings) > 1:
        raise refuse(
            "unsupported_layout",
            "the folder holds pictures of several formats",
            folder,
            got=", ".join(endings),
            expected="one format for all slices",
            remedy="move the others elsewhere",
        )
    return files


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    return _SAME.get(ending, ending)


def _slice(file: Path) -> RawImage:
    raw = _READERS[_ending(file)].read_labels(file)
    if not isinstance(raw, RawImage) or raw.time_axis is not None:
        raise refuse("unsupported_layout", "a slice holds several pictures", file)
    return raw


def _check_alike(first: RawImage, other: RawImage, path: Path, file: Path) -> None:
    """Same size, same type; the same palette, or none."""
    if other.array.shape[:2] != first.array.shape[:2]:
        raise refuse(
            "mixed_orientations",
            "pictures of one folder differ in size",
            file,
            got=f"height x width {other.array.shape[:2]}",
            expected=f"{first.array.shape[:2]}, as {path.name}",
            remedy="leave in the folder what belongs to one volume",
        )
    one, two = first.palette, other.palette
    same = one is two if one is None or two is None else np.array_equal(one, two)
    if other.array.dtype != first.array.dtype or not same:
        raise refuse(
            "unsupported_layout",
            "pictures of one folder differ in their type or their palette",
            file,
            got=f"{other.array.dtype}, {'no' if two is None else 'a'} palette",
            expected=f"as {path.name}: {first.array.dtype}, "
            f"{'no' if one is None else 'the same'} palette",
        )


def _like(array: NDArray[np.generic], room: NDArray[np.generic]) -> NDArray[np.generic]:
    """Grey as three equal channels where other slices have colours."""
    return array[..., np.newaxis] if array.ndim < room.ndim else array


STACK = StackReader()
