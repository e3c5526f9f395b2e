"""Frames of a DICOM series -> one grid: sorted by place, evenly spaced, none missing.

Positions are decimal text, often with two decimals: lengths are compared with the tolerance of
the grid or `ROUNDING_MM`, whichever is more.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import refuse
from engine.collection.readers.dicom_file import MARKS
from engine.collection.readers.dicom_planes import Plane

ROUNDING_MM = 0.02
"""Two positions of two decimals each can be so far off their distance, and then some."""

SAME_PLACE_MM = 1e-4
_UNEVEN = 1e-2  # of the spacing
_TURNED = 1e-3  # direction cosines, protocol 1.1
_TILTED = 1e-3
_VARIES = {  # clocks: their values differ from slice to slice, only their order counts
    "TriggerTime", "NominalCardiacTriggerDelayTime", "FrameReferenceTime", "AcquisitionTime",
    "FrameAcquisitionDateTime", "AcquisitionNumber", "FrameAcquisitionNumber",
}  # fmt: skip

Same = Callable[[Plane, Plane], bool]


@dataclass(frozen=True)
class Stack:
    """Frames in their order, and where they lie.

    Attributes:
        planes: [time][slice].
        spacing_mm: along i (column), j (row), k (slice).
        affine: float64[4, 4], (i, j, k) to LPS mm.
    """

    planes: tuple[tuple[Plane, ...], ...]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]


def arrange(planes: Sequence[Plane], same: Same, where: Path) -> Stack | None:
    """The grid of frames that all have a position; None for one slice of unknown thickness.

    Args:
        same: whether two frames hold the same values: such copies are dropped.

    Raises:
        CaseRefusedError: `mixed_orientations`, `bad_geometry`, `missing_slices`,
            `duplicate_slices`.
    """
    _check_alike(planes, where)
    normal = np.cross(planes[0].orientation[:3], planes[0].orientation[3:])
    groups = _by_place(planes, normal)
    times = _times(groups, same, where)
    first = times[0]
    at = np.array([plane.position for plane in first], dtype=np.float64)
    if len(first) == 1:
        step = first[0].thickness_mm
        if step is None:
            return None
    else:
        step = _step(at @ normal, where)
        _check_straight(at, normal, step, where)
    row_mm, column_mm = first[0].spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(first[0].orientation[:3]) * column_mm
    affine[:3, 1] = np.asarray(first[0].orientation[3:]) * row_mm
    affine[:3, 2] = normal * step
    affine[:3, 3] = at[0]
    return Stack(tuple(times), (column_mm, row_mm, float(step)), affine)


def _check_alike(planes: Sequence[Plane], where: Path) -> None:
    first = planes[0]
    for plane in planes:
        turned = np.abs(np.subtract(plane.orientation, first.orientation)).max() > _TURNED
        if turned or (plane.rows, plane.columns) != (first.rows, first.columns):
            raise refuse(
                "mixed_orientations",
                "slices of the series differ in size or direction",
                where,
                got=f"{plane.path.name}: {_described(plane)}",
                expected=f"{first.path.name}: {_described(first)}",
                remedy="say pick: {ImageType: ...} (or another keyword) to leave out localizers",
            )
        spacing = np.asarray(first.spacing_mm)
        if (np.abs(spacing - plane.spacing_mm) > 1e-3 * spacing).any():
            raise refuse(
                "bad_geometry",
                "slices of the series differ in pixel spacing",
                where,
                got=f"{plane.path.name}: {plane.spacing_mm} mm",
                expected=f"{first.path.name}: {first.spacing_mm} mm",
                remedy="say pick: {keyword: value} to choose the slices of one acquisition",
            )


def _described(plane: Plane) -> str:
    axes = " ".join(f"{value:.4g}" for value in plane.orientation)
    return f"{plane.rows} x {plane.columns}, axes {axes}"


def _by_place(planes: Sequence[Plane], normal: NDArray[np.float64]) -> list[list[Plane]]:
    """Frames at the same distance along the normal, ascending; each group in its given order."""
    groups: list[list[Plane]] = []
    last = -np.inf
    for distance, plane in sorted(
        ((float(np.dot(plane.position or (), normal)), plane) for plane in planes),
        key=lambda pair: pair[0],
    ):
        if distance - last > SAME_PLACE_MM:
            groups.append([])
            last = distance
        groups[-1].append(plane)
    return groups


def _times(groups: list[list[Plane]], same: Same, where: Path) -> list[tuple[Plane, ...]]:
    """[time][slice]; several frames at one place are times, or copies, or a mistake."""
    count = len(groups[0])
    if count > 1 and all(len(group) == count for group in groups):
        for keyword in MARKS:
            ordered = _ordered_by(keyword, groups)
            if ordered is not None:
                return [tuple(group[t] for group in ordered) for t in range(count)]
    for group in groups:
        different = [plane for plane in group[1:] if not same(group[0], plane)]
        if different:
            raise refuse(
                "duplicate_slices",
                "two different slices of the series lie in one place",
                where,
                got=f"{_named(group[0])} and {_named(different[0])} at {group[0].position} mm",
                expected="one slice per position, or times that a tag tells apart at each",
                remedy="say pick: {keyword: value}, for example EchoNumbers or AcquisitionNumber",
            )
    return [tuple(group[0] for group in groups)]


def _named(plane: Plane) -> str:
    return plane.path.name + (f" frame {plane.frame + 1}" if plane.frame else "")


def _ordered_by(keyword: str, groups: list[list[Plane]]) -> list[list[Plane]] | None:
    """Groups sorted by a mark; None unless it tells the frames of every group apart."""
    values = [[plane.marks.get(keyword) for plane in group] for group in groups]
    if any(None in row or len(set(row)) < len(row) for row in values):
        return None
    if len({type(value) for row in values for value in row}) > 1:
        return None
    if keyword not in _VARIES and any(set(row) != set(values[0]) for row in values):
        return None
    return [sorted(group, key=lambda plane: plane.marks[keyword]) for group in groups]


def _step(distances: NDArray[np.float64], where: Path) -> float:
    """Mean spacing of slices that are evenly spaced."""
    gaps = np.diff(distances)
    usual = statistics.median_low(gaps.tolist())
    within = max(_UNEVEN * usual, ROUNDING_MM)
    if float(gaps.max() - gaps.min()) <= within or (np.abs(gaps - usual) <= within).all():
        return float((distances[-1] - distances[0]) / len(gaps))
    holes = np.rint(gaps / usual)
    if (np.abs(gaps - holes * usual) <= within * np.maximum(holes, 1)).all() and (holes >= 1).all():
        absent = [
            distances[n] + usual * i for n in np.flatnonzero(holes > 1) for i in
            range(1, min(int(holes[n]), 9))
        ]  # fmt: skip
        shown = ", ".join(f"{d:.6g}" for d in absent[:8]) + (", ..." if len(absent) > 8 else "")
        raise refuse(
            "missing_slices",
            "slices of the series are missing",
            where,
            got=f"nothing at {shown} mm along the normal; {len(distances)} slices there",
            expected=f"a slice every {usual:.6g} mm from {distances[0]:.6g} to {distances[-1]:.6g}",
            remedy="fetch the missing files, or skip the case in the recipe with this reason",
        )
    raise refuse(
        "bad_geometry",
        "slices of the series are not evenly spaced",
        where,
        got=f"gaps from {gaps.min():.6g} to {gaps.max():.6g} mm",
        expected=f"{usual:.6g} mm within 1 %",
        remedy="say pick: {keyword: value} to choose one acquisition; samscope resamples nothing",
    )


def _check_straight(
    at: NDArray[np.float64], normal: NDArray[np.float64], step: float, where: Path
) -> None:
    """Slices must lie behind each other: a tilted gantry shears the volume."""
    aside = at - at[0] - np.outer((at - at[0]) @ normal, normal)
    drift = np.linalg.norm(aside, axis=1)
    depth = step * np.arange(len(at))
    if (drift > _TILTED * depth + ROUNDING_MM).any():
        worst = int(np.argmax(drift - _TILTED * depth))
        angle = np.degrees(np.arctan2(drift[worst], depth[worst]))
        raise refuse(
            "bad_geometry",
            "slices of the series do not lie straight behind each other (a tilted gantry?)",
            where,
            got=f"slice {worst} lies {drift[worst]:.4g} mm aside, {angle:.3g} degrees",
            expected="no shift along the rows and columns",
            remedy="skip the case in the recipe: samscope resamples nothing",
        )
