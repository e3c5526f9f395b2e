"""What a DICOM header says of each of its frames: where it lies, what its values mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from engine.collection.readers.base import refuse
from engine.collection.readers.dicom_file import MARKS, Header

Numbers = tuple[float, ...]

_UNIT_WITHIN = 1e-2  # directions are decimal text


@dataclass(frozen=True)
class Plane:
    """One frame of one file.

    Attributes:
        path, frame: the file and the number of the frame in it, from 0.
        sop_uid: identity of the file's object.
        rows, columns: size.
        position: centre of its first pixel, LPS mm; None where the file does not say.
        orientation: unit directions along a row, then along a column, in LPS.
        spacing_mm: (row, column): distance of neighbouring rows, of neighbouring columns.
        thickness_mm: distance to the next slice, as the header has it; None where it does not.
        slope, intercept: value = slope * stored + intercept.
        marks: what tells it from other frames at the same position, see `MARKS`.
    """

    path: Path
    frame: int
    sop_uid: str
    rows: int
    columns: int
    position: Numbers | None
    orientation: Numbers
    spacing_mm: Numbers
    thickness_mm: float | None
    slope: float
    intercept: float
    marks: Mapping[str, float | str]


def planes_of(header: Header) -> list[Plane]:
    """Every frame of a file.

    A file with several frames that lie in the patient must say where each of them lies
    (functional groups); a picture is one plane without position, however many frames it has.

    Raises:
        CaseRefusedError: `bad_geometry`, `frame_mismatch`, `unsupported_layout`.
        Exception: a value that cannot be decoded; see `decoding`.
    """
    data, path = header.data, header.path
    if data.get("ModalityLUTSequence"):
        raise refuse(
            "unsupported_layout",
            "the values are given by a table, not by slope and intercept",
            path,
            got="ModalityLUTSequence",
        )
    frames = frames_of(data)
    own = data.get("PerFrameFunctionalGroupsSequence") or []
    shared = data.get("SharedFunctionalGroupsSequence") or [Dataset()]
    if not own:
        if frames > 1 and "ImagePositionPatient" in data:
            raise refuse(
                "unsupported_layout",
                "the file has several frames in the patient and does not say where each lies",
                path,
                got=f"{frames} frames",
                expected="PerFrameFunctionalGroupsSequence",
            )
        return [_plane(header, 0, [Dataset(), shared[0]])]
    if len(own) != frames:
        raise refuse(
            "frame_mismatch",
            "the header describes another number of frames than it declares",
            path,
            got=f"{len(own)} functional groups",
            expected=f"{frames}, as NumberOfFrames says",
        )
    return [_plane(header, n, [item, shared[0]]) for n, item in enumerate(own)]


def frames_of(data: Dataset) -> int:
    """Number of frames a header declares; 1 where it says nothing."""
    return int(data.get("NumberOfFrames") or 1)


def stated(data: Dataset, groups: list[Dataset], macro: str, keyword: str) -> object:
    """A value of a frame: from its own functional group, the shared one, or the data set."""
    for group in groups:
        items = group.get(macro) if macro else None
        if items and items[0].get(keyword) is not None:
            return items[0][keyword].value
    return data.get(keyword)


def _plane(header: Header, frame: int, groups: list[Dataset]) -> Plane:
    data, path = header.data, header.path

    def of(macro: str, keyword: str) -> object:
        return stated(data, groups, macro, keyword)

    position = _numbers(of("PlanePositionSequence", "ImagePositionPatient"), 3)
    orientation, spacing = (), ()  # type: tuple[Numbers, Numbers]
    if position is not None:
        orientation = directions(of("PlaneOrientationSequence", "ImageOrientationPatient"), path)
        spacing = pixel_spacing(of("PixelMeasuresSequence", "PixelSpacing"), path)
    else:
        spacing = _numbers(of("PixelMeasuresSequence", "PixelSpacing"), 2) or ()
    between = of("PixelMeasuresSequence", "SpacingBetweenSlices")
    thickness = _numbers(between or of("PixelMeasuresSequence", "SliceThickness"), 1)
    slope = _numbers(of("PixelValueTransformationSequence", "RescaleSlope"), 1) or (1.0,)
    intercept = _numbers(of("PixelValueTransformationSequence", "RescaleIntercept"), 1) or (0.0,)
    return Plane(
        path,
        frame,
        str(data.get("SOPInstanceUID", "")),
        int(data.Rows),
        int(data.Columns),
        position,
        orientation,
        spacing,
        abs(thickness[0]) if thickness and thickness[0] else None,
        *_checked(slope[0], intercept[0], path),
        dict(_marks(data, groups)),
    )


def _checked(slope: float, intercept: float, path: Path) -> tuple[float, float]:
    if slope == 0:
        raise refuse("unreadable_file", "the header's rescale slope is 0", path, got=slope)
    return slope, intercept


def _marks(data: Dataset, groups: list[Dataset]) -> Iterator[tuple[str, float | str]]:
    for keyword, macro in MARKS.items():
        value = stated(data, groups, macro, keyword)
        if value is None or value == "":
            continue
        try:
            yield keyword, float(str(value))
        except ValueError:
            yield keyword, str(value)


def directions(value: object, path: Path) -> Numbers:
    """Six direction cosines, made unit length; `bad_geometry` where they are no directions."""
    given = _numbers(value, 6)
    if given is not None:
        row, column = given[:3], given[3:]
        lengths = math.hypot(*row), math.hypot(*column)
        if max(abs(length - 1) for length in lengths) < _UNIT_WITHIN:
            unit = *(v / lengths[0] for v in row), *(v / lengths[1] for v in column)
            if abs(sum(a * b for a, b in zip(unit[:3], unit[3:], strict=True))) < _UNIT_WITHIN:
                return unit
    raise refuse(
        "bad_geometry",
        "the header's image orientation is missing or impossible",
        path,
        got=value,
        expected="two unit vectors at right angles",
    )


def pixel_spacing(value: object, path: Path) -> Numbers:
    """(row, column) spacing in mm; `bad_geometry` where it is missing or not positive."""
    given = _numbers(value, 2)
    if given is None or min(given) <= 0:
        raise refuse(
            "bad_geometry",
            "the header's pixel spacing is missing or not positive",
            path,
            got=value,
            expected="two positive lengths in mm",
        )
    return given


def _numbers(value: object, count: int) -> Numbers | None:
    """So many finite numbers; None where the header says nothing. Raises ValueError."""
    if value is None or value == "" or value == []:
        return None
    parts = [value] if isinstance(value, str | int | float) else list(value)  # type: ignore[call-overload]
    numbers = tuple(float(part) for part in parts)
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"expected {count} finite numbers, got {value}")
    return numbers
