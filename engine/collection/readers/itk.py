"""NRRD and MetaImage: `.nrrd`, `.nhdr`, `.seg.nrrd`, `.mha`, `.mhd`.

Volumes are [i, j, k], axis i the one that varies fastest in the file (x of ITK). A NRRD without
`space` and a MetaImage without `TransformMatrix` state no orientation.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    RawImage,
    RawObjects,
    check_finite,
    refuse,
)
from engine.collection.readers.itk_header import ItkHeader, read_data
from engine.collection.readers.limits import bounded_memory
from engine.collection.readers.metaimage import meta_header
from engine.collection.readers.nrrd import nrrd_header
from engine.collection.readers.segments import segments_of
from engine.errors import CaseRefusedError

_SEGMENTS = ".seg.nrrd"
_LARGEST, _SMALLEST = 1e12, 1e-9  # mm; beyond them a number of a header is no length


class ItkReader:
    """Files with two or three axes of space, and at most one of frames and one of colours."""

    extensions = (".nrrd", ".nhdr", ".mha", ".mhd", _SEGMENTS)

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """A volume, or of a file with two axes an image; see `Reader.read`."""
        return _read(_header(path), path)

    def read_labels(
        self, path: Path, how: How = PLAIN, image: ImageFile | None = None
    ) -> RawImage | RawObjects:
        """Values as stored; of a segmentation that names its segments, those segments."""
        header = _header(path)
        raw = _read(header, path)
        if not path.name.lower().endswith(_SEGMENTS):
            return raw
        return segments_of(header.keys, raw, path, image) or raw

    def companions(self, path: Path) -> tuple[Path, ...]:
        """The data file of a detached header."""
        try:
            header = _header(path)
        except CaseRefusedError as error:
            if error.code == "unsafe_path":
                raise
            return ()  # what is wrong with the header is said when it is read
        return () if header.data_file is None else (path.parent / header.data_file,)


def _header(path: Path) -> ItkHeader:
    meta = path.name.lower().endswith((".mha", ".mhd"))
    return meta_header(path) if meta else nrrd_header(path)


def _read(header: ItkHeader, path: Path) -> RawImage:
    with bounded_memory(path):
        header = _without_single_frames(header, path)
        affine = _affine(header, path)
        array = read_data(header, path)
        check_finite(array, path)
        return _placed(array, header, affine)


def _without_single_frames(header: ItkHeader, path: Path) -> ItkHeader:
    """The header without frame axes of length one, if its axes can be placed."""
    keep = [n for n, size in enumerate(header.sizes) if size != 1 or header.roles[n] == "space"]
    kept = replace(
        header,
        sizes=tuple(header.sizes[n] for n in keep),
        roles=tuple(header.roles[n] for n in keep),
    )
    space, frames, colours = (kept.roles.count(role) for role in ("space", "frame", "colour"))
    if space not in (2, 3) or frames > 1 or colours > 1:
        raise refuse(
            "unsupported_layout",
            "the axes of the file are none of an image or a volume",
            path,
            got=", ".join(f"{n} {r}" for n, r in zip(header.sizes, header.roles, strict=True)),
            expected="two or three axes of space, at most one of frames and one of colours",
        )
    return kept


def _placed(
    array: NDArray[np.generic], header: ItkHeader, affine: NDArray[np.float64] | None
) -> RawImage:
    """[i, j, k, frame, colour] of a volume, [frame, y, x, colour] of an image."""
    space, frame, colour = (header.axes("space"), header.axes("frame"), header.axes("colour"))
    flat = len(space) == 2
    order = [*frame, *space[::-1], *colour] if flat else [*space, *frame, *colour]
    array = array.transpose(order)
    if colour:
        array = array[..., :3]  # alpha is dropped
    spacing = header.spacing[::-1] if flat and header.spacing is not None else header.spacing
    return RawImage(
        array,
        "image" if flat else "volume",
        spacing,
        None if flat else affine,
        channel_axis=array.ndim - 1 if colour else None,
        time_axis=(0 if flat else 3) if frame else None,
    )


def _affine(header: ItkHeader, path: Path) -> NDArray[np.float64] | None:
    """Indices to LPS mm; None where the header states no orientation.

    Raises:
        CaseRefusedError: `bad_geometry` where spacing or directions are none.
    """
    spacing, directions = header.spacing, header.directions
    if spacing is not None and not all(_SMALLEST < n < _LARGEST for n in spacing):
        raise _bad(path, f"spacing {spacing}")
    if directions is None or spacing is None or directions.shape != (3, 3):
        return None
    origin = np.zeros(3) if header.origin is None else header.origin
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing)
    affine[:3, 3] = origin
    sane = (
        np.isfinite(affine).all()
        and np.abs(affine).max() < _LARGEST
        and (np.abs(directions) <= 1.001).all()
    )
    if not sane or abs(np.linalg.det(directions)) < 1e-6:
        raise _bad(path, np.array2string(affine, separator=", "))
    return affine


def _bad(path: Path, got: str) -> Exception:
    return refuse(
        "bad_geometry",
        "the header's spacing or directions are singular or not finite",
        path,
        got=got,
        remedy="repair the header",
    )


ITK = ItkReader()
