"""DICOM structure sets -> named objects: the pixels whose centre lies inside the contours.

Contours of one region in one slice count together: a pixel belongs where an odd number of them
is around its centre, so a contour inside another is a hole. Holes drawn with a narrow channel
from the outer line come out the same. A centre exactly on a line belongs to the side right of it
(below it for level lines), so that regions that share a line share no pixel. Contours that cross
each other have no inside that everyone agrees on: such a region refuses the file unless the
recipe ignores it, as it does with points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from engine.collection.readers.base import ImageFile, RawObjects
from engine.collection.readers.dicom_file import read_content
from engine.collection.readers.dicom_grid import Grid, check_refers, grid_of
from engine.collection.readers.dicom_masks import Masks
from engine.collection.readers.limits import admit
from engine.collection.readers.objects import Boxed
from engine.collection.readers.winding import bad_contour, mask_of_polygon
from engine.errors import CaseRefusedError

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_FINEST = 4096  # parts of a pixel: below that, coordinates are noise of their conversion
_FURTHEST_PX = 2.0**24
_MOST_IN_A_SLICE = 5000


@dataclass(frozen=True)
class _Contour:
    """A closed line in one slice: `points` float64[n, 2] (x, y), pixel centres at whole numbers."""

    slice: int
    points: NDArray[np.float64]
    what: str


def read_structure_set(path: Path, image: ImageFile | None) -> RawObjects:
    """The regions of a file, as masks on the image's grid.

    Raises:
        CaseRefusedError: `foreign_reference`, `bad_contour` where no region has a name,
            `unknown_orientation`, or why the file cannot be read. A region whose contours have no
            inside is among the `broken` ones: a point of a plan is no mistake of its organs.
    """
    data = read_content(path)
    grid = grid_of(image, path)
    if grid.affine is None:
        raise bad_contour(path, "a structure set", "an image without position", "a volume")
    regions = {int(r.ROINumber): r for r in data.StructureSetROISequence}
    names = {n: str(r.get("ROIName") or f"region {n}") for n, r in regions.items()}
    drawn = [item for item in data.get("ROIContourSequence") or [] if item.get("ContourSequence")]
    check_refers(grid, path, _series(data), [_place(regions, item) for item in drawn])
    masks = Masks(grid.shape, path)
    broken: dict[str, CaseRefusedError] = {}
    for item in drawn:
        number = int(item.ReferencedROINumber)
        if number not in names:
            raise bad_contour(path, f"region {number}", "no name", "an ROINumber of the file")
        try:
            _draw(item, number, names[number], grid, masks)
        except CaseRefusedError as error:
            if error.code != "bad_contour":
                raise
            masks.parts.pop(number, None)
            broken.setdefault(names[number], error)
    return replace(masks.objects(names), broken=broken)


def _series(data: Dataset) -> list[str]:
    """Every series the file says it was drawn on."""
    return [
        str(series.SeriesInstanceUID)
        for place in data.get("ReferencedFrameOfReferenceSequence") or []
        for study in place.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    ]


def _place(regions: dict[int, Dataset], item: Dataset) -> str:
    region = regions.get(int(item.ReferencedROINumber), Dataset())
    return str(region.get("ReferencedFrameOfReferenceUID", ""))


def _draw(item: Dataset, number: int, name: str, grid: Grid, masks: Masks) -> None:
    """Fill the contours of one region, slice by slice."""
    by_slice: dict[int, list[_Contour]] = {}
    for n, contour in enumerate(item.ContourSequence, 1):
        placed = _placed(contour, f"contour {n} of '{name}'", grid, masks.path)
        by_slice.setdefault(placed.slice, []).append(placed)
    for k, contours in by_slice.items():
        masks.add_once(number, k, _filled(contours, grid.size, masks.path))


def _filled(contours: list[_Contour], size: tuple[int, int], path: Path) -> NDArray[np.bool_]:
    """bool[y, x] of contours in one slice, each apart from or inside the others."""
    admit(size, 1, path)
    if len(contours) > _MOST_IN_A_SLICE:
        raise bad_contour(path, contours[0].what, f"{len(contours)} in one slice", "fewer")
    odd = np.zeros(size, dtype=np.bool_)
    taken = np.zeros(size, dtype=np.bool_)
    before: list[tuple[Boxed, str]] = []
    for contour in contours:
        boxed = mask_of_polygon(contour.points + 0.5, size, path, contour.what)
        if boxed is None:
            continue
        box, mask = boxed
        if (taken[box] & mask).any():
            for other, what in before:
                _check_nested(boxed, other, path, f"{contour.what} and {what}")
        taken[box] |= mask
        odd[box] ^= mask
        before.append((boxed, contour.what))
    return odd


def _check_nested(one: Boxed, other: Boxed, path: Path, what: str) -> None:
    """Two contours may be apart, or one may lie inside the other: a hole, or an island in one."""
    sizes = int(one[1].sum()), int(other[1].sum())
    both = _shared(one, other)
    if both and (both not in sizes or sizes[0] == sizes[1]):
        raise bad_contour(
            path,
            f"{what} (in one slice)",
            f"{both} of {sizes[0]} and {sizes[1]} px in both",
            "contours apart, or one inside the other",
        )


def _shared(one: Boxed, other: Boxed) -> int:
    """Number of pixels that two masks share."""
    spans = [
        (max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one[0], other[0], strict=True)
    ]
    if any(start >= stop for start, stop in spans):
        return 0
    parts = [
        mask[
            tuple(slice(s - at.start, e - at.start) for (s, e), at in zip(spans, box, strict=True))
        ]
        for box, mask in (one, other)
    ]
    return int((parts[0] & parts[1]).sum())


def _placed(contour: Dataset, what: str, grid: Grid, path: Path) -> _Contour:
    kind = str(contour.get("ContourGeometricType", "no type"))
    if kind not in _CLOSED:
        raise bad_contour(path, what, kind, "CLOSED_PLANAR")
    images = contour.get("ContourImageSequence") or []
    grid.check_sources([str(i.ReferencedSOPInstanceUID) for i in images], path, what)
    numbers = _coordinates(contour)
    if len(numbers) % 3 or len(numbers) < 9 or not np.isfinite(numbers).all():
        raise bad_contour(
            path, what, f"{len(numbers) / 3:g} points", "at least 3 points of 3 finite numbers"
        )
    at = grid.indices(numbers.reshape(-1, 3))
    if np.abs(at).max() > _FURTHEST_PX:
        raise bad_contour(path, what, "points far from the image", "points near the image")
    depth = at[:, 2]
    k = round(float(np.median(depth)))
    if np.abs(depth - k).max() > grid.off_slice() or not 0 <= k < grid.shape[2]:
        raise bad_contour(
            path,
            what,
            f"points from slice {depth.min():.4g} to {depth.max():.4g}",
            f"all in one slice of 0..{grid.shape[2] - 1}",
        )
    return _Contour(k, np.round(at[:, :2] * _FINEST) / _FINEST, what)


def _coordinates(contour: Dataset) -> NDArray[np.float64]:
    """float64[3 n]. Read from the stored text: an object per number is slow for long contours."""
    item = contour.get_item("ContourData")
    if isinstance(item, RawDataElement) and item.VR in ("DS", None) and item.value:
        return np.array([float(v) for v in item.value.split(b"\\")], dtype=np.float64)
    return np.array([float(v) for v in contour.ContourData], dtype=np.float64)
