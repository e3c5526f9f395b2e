"""Headers of MetaImage files (`.mha`, `.mhd`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import refuse
from engine.collection.readers.itk_header import (
    Encoding,
    ItkHeader,
    Role,
    damaged,
    data_file,
    real,
    whole,
)
from engine.collection.readers.limits import opened

_TYPE_OF = {
    "MET_CHAR": "int8", "MET_UCHAR": "uint8", "MET_SHORT": "int16", "MET_USHORT": "uint16",
    "MET_INT": "int32", "MET_UINT": "uint32", "MET_LONG": "int32", "MET_ULONG": "uint32",
    "MET_LONG_LONG": "int64", "MET_ULONG_LONG": "uint64",
    "MET_FLOAT": "float32", "MET_DOUBLE": "float64",
}  # fmt: skip
_NUMBERED = re.compile(r"%\d*d")
_MOST_LINES, _LONGEST_LINE = 1000, 100_000


def meta_header(path: Path) -> ItkHeader:
    """Parse a header. Raises CaseRefusedError as `Reader.read` does, `unsafe_path` too."""
    fields, start = _lines(path)
    for needed in ("DimSize", "ElementType", "ElementDataFile"):
        if needed not in fields:
            raise damaged(f"the header lacks the field '{needed}'", path)
    lengths = whole(fields["DimSize"].split(), path)
    if whole([fields.get("NDims", str(len(lengths)))], path) != (len(lengths),):
        raise damaged("NDims and DimSize do not fit", path, f"{fields['NDims']}: {lengths}")
    _check_values_are_stored(fields, path)
    dtype = _dtype(fields, path)
    channels = whole([fields.get("ElementNumberOfChannels", "1")], path)[0]
    colour: Role = "colour" if channels in (3, 4) and dtype.itemsize <= 2 else "frame"
    roles: list[Role] = ["space" if axis < 3 else "frame" for axis in range(len(lengths))]
    many = channels != 1
    spacing, directions, origin = _geometry(fields, len(lengths), path)
    return ItkHeader(
        (channels, *lengths) if many else lengths,
        (colour, *roles) if many else tuple(roles),
        dtype,
        _encoding(fields, path),
        start,
        _data_file(fields, path),
        byte_skip=_skip(fields, path),
        spacing=spacing,
        directions=directions,
        origin=origin,
    )


def _lines(path: Path) -> tuple[dict[str, str], int]:
    """(fields, where the header ends): the line of ElementDataFile is its last."""
    fields: dict[str, str] = {}
    with opened(path) as stream:
        for _ in range(_MOST_LINES):
            line = stream.readline(_LONGEST_LINE)
            name, equals, value = line.decode("utf-8", "replace").partition("=")
            if not line or (not equals and line.strip()):
                break
            fields.setdefault(name.strip(), value.strip())
            if name.strip() == "ElementDataFile":
                break
        if fields.get("ObjectType", "Image") != "Image" or "DimSize" not in fields:
            raise damaged("the file is no MetaImage", path, sorted(fields)[:5])
        return fields, stream.tell()


def _true(fields: Mapping[str, str], *names: str, default: bool = False) -> bool:
    text = next((fields[name] for name in names if name in fields), "")
    return text[:1] in "Tt1" if text else default


def _dtype(fields: Mapping[str, str], path: Path) -> np.dtype[np.generic]:
    name = _TYPE_OF.get(fields["ElementType"])
    if name is None:
        raise damaged("the type of the numbers is unknown", path, fields["ElementType"])
    big = _true(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype(name).newbyteorder(">" if big else "<")


def _encoding(fields: Mapping[str, str], path: Path) -> Encoding:
    if not _true(fields, "BinaryData", default=True):
        return "text"
    return "gzip" if _true(fields, "CompressedData") else "raw"


def _skip(fields: Mapping[str, str], path: Path) -> int:
    """Bytes before the data in a file of their own, or -1: the data come last."""
    skip = whole([fields.get("HeaderSize", "0")], path)[0]
    return 0 if fields["ElementDataFile"].upper() == "LOCAL" else max(-1, skip)


def _data_file(fields: Mapping[str, str], path: Path) -> str | None:
    name = fields["ElementDataFile"]
    if name.upper() == "LOCAL":
        return None
    return data_file(name, _NUMBERED, path)


def _check_values_are_stored(fields: Mapping[str, str], path: Path) -> None:
    """The format defines a slope and an offset that common libraries ignore."""
    slope = fields.get("ElementToIntensityFunctionSlope", "1")
    offset = fields.get("ElementToIntensityFunctionOffset", "0")
    if real([slope, offset], path) != (1.0, 0.0):
        raise refuse(
            "unsupported_layout",
            "the header rescales its values, which not every program does",
            path,
            got=f"slope {slope}, offset {offset}",
            expected="slope 1, offset 0",
            remedy="store the values that are meant",
        )


def _geometry(
    fields: Mapping[str, str], count: int, path: Path
) -> tuple[tuple[float, ...] | None, NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """(spacing, directions, origin) of the space axes; None where the header does not say."""
    space = min(3, count)
    spacing = _vector(fields, ("ElementSpacing", "ElementSize"), count, path)
    matrix = _vector(fields, ("TransformMatrix", "Rotation", "Orientation"), count**2, path)
    origin = _vector(fields, ("Offset", "Position", "Origin"), count, path)
    directions = None
    if matrix is not None and spacing is not None and space == 3:
        directions = np.array(matrix).reshape(count, count)[:3, :3].T  # a row is one axis
    return (
        None if spacing is None else spacing[:space],
        directions,
        None if origin is None or space < 3 else np.array(origin[:3], dtype=np.float64),
    )


def _vector(
    fields: Mapping[str, str], names: tuple[str, ...], length: int, path: Path
) -> tuple[float, ...] | None:
    name = next((name for name in names if name in fields), None)
    if name is None:
        return None
    numbers = real(fields[name].split(), path)
    if len(numbers) != length:
        raise damaged(f"{name} has not {length} numbers", path, fields[name])
    return numbers
