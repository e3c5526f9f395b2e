"""DICOM segmentations -> named objects on the grid of their image.

A frame belongs to the slice it lies in. Fractions of one half and more belong to the segment.
Segments may overlap; a segment without frames is a name without an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from engine.collection.readers.base import ImageFile, RawObjects, refuse
from engine.collection.readers.dicom_file import read_content
from engine.collection.readers.dicom_grid import Grid, check_refers, foreign, grid_of
from engine.collection.readers.dicom_masks import Masks
from engine.collection.readers.dicom_pixels import frames
from engine.collection.readers.dicom_planes import (
    directions,
    frames_of,
    pixel_spacing,
    stated,
)
from engine.collection.readers.limits import admit

_HALF = 0.5
_BINARY, _FRACTIONAL, _LABELMAP = "BINARY", "FRACTIONAL", "LABELMAP"


@dataclass(frozen=True)
class _Groups:
    """Functional groups of one frame: its own, then the shared ones."""

    data: Dataset
    own: Dataset
    shared: Dataset

    def of(self, macro: str, keyword: str) -> object:
        return stated(self.data, [self.own, self.shared], macro, keyword)


def read_segmentation(path: Path, image: ImageFile | None) -> RawObjects:
    """The segments of a file, as masks on the image's grid.

    Raises:
        CaseRefusedError: `foreign_reference`, `geometry_mismatch`, `unknown_label_value`,
            `duplicate_slices`, or why the file cannot be read.
    """
    data = read_content(path)
    grid = grid_of(image, path)
    check_refers(
        grid,
        path,
        series=[str(s.SeriesInstanceUID) for s in data.get("ReferencedSeriesSequence") or []],
        places=[str(data.get("FrameOfReferenceUID", ""))],
    )
    names = {
        int(s.SegmentNumber): str(s.get("SegmentLabel") or f"segment {s.SegmentNumber}")
        for s in data.SegmentSequence
    }
    count = frames_of(data)
    admit((count, int(data.Rows), int(data.Columns)), 1, path)
    own = data.PerFrameFunctionalGroupsSequence
    if len(own) != count:
        raise refuse(
            "frame_mismatch",
            "the segmentation describes another number of frames than it declares",
            path,
            got=f"{len(own)} functional groups",
            expected=f"{count} frames",
        )
    shared = (data.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    masks = Masks(grid.shape, path)
    for item, stored in zip(own, frames(data, path), strict=False):
        groups = _Groups(data, item, shared)
        k = _slice_of(groups, grid, path)
        for number, mask in _segments(groups, stored, names, path):
            masks.add_once(number, k, mask)
    return masks.objects(names)


def _segments(
    groups: _Groups, stored: NDArray[np.generic], names: dict[int, str], path: Path
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """(segment number, mask [y, x]) of what a frame shows."""
    kind = str(groups.data.SegmentationType)
    if kind == _LABELMAP:
        for number in (int(value) for value in np.unique(stored) if value):
            yield _known(number, names, path), np.asarray(stored == number)
        return
    number = int(str(groups.of("SegmentIdentificationSequence", "ReferencedSegmentNumber")))
    if kind == _BINARY:
        yield _known(number, names, path), np.asarray(stored != 0)
    elif kind == _FRACTIONAL:
        whole = int(groups.data.get("MaximumFractionalValue", 255))
        yield _known(number, names, path), np.asarray(stored.astype(np.float64) >= _HALF * whole)
    else:
        raise refuse("unsupported_layout", "an unknown type of segmentation", path, got=kind)


def _known(number: int, names: dict[int, str], path: Path) -> int:
    if number not in names:
        raise refuse(
            "unknown_label_value",
            "a frame belongs to a segment that the file does not declare",
            path,
            got=f"segment {number}",
            expected=", ".join(f"{n}: {name}" for n, name in list(names.items())[:20]),
        )
    return number


def _slice_of(groups: _Groups, grid: Grid, path: Path) -> int:
    """The slice of the image that a frame lies in."""
    size = int(groups.data.Rows), int(groups.data.Columns)
    position = groups.of("PlanePositionSequence", "ImagePositionPatient")
    if grid.affine is None or position is None:
        return grid.flat(size, path)
    row_mm, column_mm = pixel_spacing(groups.of("PixelMeasuresSequence", "PixelSpacing"), path)
    axes = directions(groups.of("PlaneOrientationSequence", "ImageOrientationPatient"), path)
    k = grid.slice_at(position, axes, (column_mm, row_mm), size, path)
    sources = list(_sources(groups))
    grid.check_sources(sources, path, f"the frame of slice {k}")
    for source in sources:
        if source in grid.sop_uids and k not in grid.slices_of(source):
            raise foreign(
                path,
                "a frame points at a slice that lies elsewhere",
                got=f"it lies in slice {k} and points at {source}",
                expected="the slice it lies in",
            )
    return k


def _sources(groups: _Groups) -> Iterator[str]:
    for group in (groups.own, groups.shared):
        for derivation in group.get("DerivationImageSequence") or []:
            for source in derivation.get("SourceImageSequence") or []:
                yield str(source.get("ReferencedSOPInstanceUID", ""))
