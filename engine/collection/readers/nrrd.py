"""Headers of NRRD files (`.nrrd`, `.nhdr`), by the format's definition (versions 1 to 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.itk_header import (
    MOST_HEADER_BYTES,
    Encoding,
    ItkHeader,
    Role,
    damaged,
    data_file,
    real,
    whole,
)
from engine.collection.readers.limits import opened

_TYPES = {
    "int8": "signed char, int8, int8_t",
    "uint8": "uchar, unsigned char, uint8, uint8_t",
    "int16": "short, short int, signed short, signed short int, int16, int16_t",
    "uint16": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "int32": "int, signed int, int32, int32_t",
    "uint32": "uint, unsigned int, uint32, uint32_t",
    "int64": "longlong, long long, long long int, signed long long, signed long long int, "
    "int64, int64_t",
    "uint64": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "float32": "float",
    "float64": "double",
}
_TYPE_OF = {word: name for name, words in _TYPES.items() for word in words.split(", ")}
_ENCODING_OF: dict[str, Encoding] = {
    "raw": "raw", "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
    "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2",
}  # fmt: skip
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_TO_MM = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 0.001, "µm": 0.001, "nm": 1e-6}
_NUMBERED = re.compile(r"%\d*d.*\s-?\d+\s+-?\d+\s+-?\d+")
_SPACE_KINDS = ("domain", "space")
_COLOUR_KINDS = ("rgb-color", "3-color", "rgba-color", "4-color")


def nrrd_header(path: Path) -> ItkHeader:
    """Parse a header. Raises CaseRefusedError as `Reader.read` does, `unsafe_path` too."""
    fields, keys, start = _lines(path)
    for needed in ("type", "dimension", "sizes", "encoding"):
        if needed not in fields:
            raise damaged(f"the header lacks the field '{needed}'", path)
    sizes = whole(fields["sizes"].split(), path)
    if whole([fields["dimension"]], path) != (len(sizes),):
        raise damaged("dimension and sizes do not fit", path, f"{fields['dimension']}: {sizes}")
    vectors = _vectors(fields, len(sizes), path)
    roles = _roles(fields, sizes, vectors, path)
    spacing, directions = _geometry(fields, roles, vectors, path)
    return ItkHeader(
        sizes,
        roles,
        _dtype(fields, path),
        _encoding(fields, path),
        start,
        _data_file(fields, path),
        line_skip=max(0, whole([fields.get("lineskip", "0")], path)[0]),
        byte_skip=whole([fields.get("byteskip", "0")], path)[0],
        spacing=spacing,
        directions=directions,
        origin=_origin(fields, path),
        keys=keys,
    )


def _lines(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """(fields in lower case without spaces, key/value pairs, where the header ends)."""
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    with opened(path) as stream:
        if not re.fullmatch(rb"NRRD000[1-5]\s*", stream.readline(16)):
            raise damaged("the file is not NRRD", path, "another first line", "NRRD0001..5")
        while line := stream.readline(MOST_HEADER_BYTES):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if not text.strip():
                break
            if stream.tell() > MOST_HEADER_BYTES:
                raise damaged("the header does not end", path)
            if text.startswith("#"):
                continue
            key, pair, value = text.partition(":=")
            if pair and ": " not in key:
                keys[key] = value.replace("\\n", "\n")
                continue
            name, colon, value = text.partition(":")
            if not colon:
                raise damaged("a line of the header is no field", path, repr(text[:80]))
            fields.setdefault(name.lower().replace(" ", ""), value.strip())
        return fields, keys, stream.tell()


def _dtype(fields: Mapping[str, str], path: Path) -> np.dtype[np.generic]:
    name = _TYPE_OF.get(fields["type"].lower())
    if name is None:
        raise damaged("the type of the numbers is unknown", path, fields["type"])
    order = fields.get("endian", "").lower()
    dtype = np.dtype(name)
    plain = fields["encoding"].lower() in ("txt", "text", "ascii")
    if dtype.itemsize > 1 and order not in ("little", "big") and not plain:
        raise damaged("the header does not say the order of bytes", path, order or "no endian:")
    return dtype.newbyteorder("<" if order == "little" else ">") if not plain else dtype


def _encoding(fields: Mapping[str, str], path: Path) -> Encoding:
    encoding = _ENCODING_OF.get(fields["encoding"].lower())
    if encoding is None:
        raise damaged("the encoding is unknown", path, fields["encoding"], sorted(_ENCODING_OF))
    return encoding


def _data_file(fields: Mapping[str, str], path: Path) -> str | None:
    name = fields.get("datafile")
    return None if name is None else data_file(name, _NUMBERED, path)


def _vectors(fields: Mapping[str, str], count: int, path: Path) -> list[list[float] | None] | None:
    """The direction of each axis, None for `none`; None where the field is missing."""
    text = fields.get("spacedirections")
    if text is None:
        return None
    words = re.findall(r"none|\([^)]*\)", text)
    if len(words) != count:
        raise damaged("there is not one space direction per axis", path, text)
    return [None if w == "none" else list(real(w[1:-1].split(","), path)) for w in words]


def _roles(
    fields: Mapping[str, str],
    sizes: tuple[int, ...],
    vectors: list[list[float] | None] | None,
    path: Path,
) -> tuple[Role, ...]:
    """What each axis is: by its direction, else by its kind, else x, y, z and then frames."""
    kinds = fields.get("kinds", "").lower().split() or ["???"] * len(sizes)
    if len(kinds) != len(sizes):
        raise damaged("there is not one kind per axis", path, fields["kinds"])
    if vectors is not None:
        space = [vector is not None for vector in vectors]
    elif any(kind in _SPACE_KINDS for kind in kinds):
        space = [kind in _SPACE_KINDS for kind in kinds]
    else:
        other = [kind not in ("???", "none") for kind in kinds]
        space = [not o and sum(not e for e in other[:n]) < 3 for n, o in enumerate(other)]
    small = _TYPE_OF.get(fields["type"].lower()) in ("uint8", "uint16")
    return tuple(
        "space" if s else "colour" if _is_colour(kind, size, small) else "frame"
        for s, kind, size in zip(space, kinds, sizes, strict=True)
    )


def _is_colour(kind: str, size: int, small: bool) -> bool:
    """Colour by its kind; ITK writes RGB as a vector of three small numbers."""
    named = kind in _COLOUR_KINDS and size in (3, 4)
    return named or (kind == "vector" and size in (3, 4) and small)


def _geometry(
    fields: Mapping[str, str],
    roles: tuple[Role, ...],
    vectors: list[list[float] | None] | None,
    path: Path,
) -> tuple[tuple[float, ...] | None, NDArray[np.float64] | None]:
    if vectors is None:
        return _spacings(fields, roles, path), None
    found = [vector for vector in vectors if vector is not None]
    if not found or len({len(vector) for vector in found}) != 1:
        raise damaged("space directions differ in length", path, fields["spacedirections"])
    columns = np.array(found, dtype=np.float64).T
    units = re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))
    to_mm = [_TO_MM.get(unit.strip().lower(), 1.0) for unit in units] or [1.0] * len(columns)
    if len(to_mm) == len(columns):
        columns = columns * np.array(to_mm)[:, None]
    lengths = np.sqrt((np.clip(columns, -1e150, 1e150) ** 2).sum(axis=0))
    spacing = tuple(float(n) for n in lengths)
    signs = _TO_LPS.get(fields.get("space", "").lower())
    if signs is None or len(columns) != 3:
        return spacing, None
    safe = np.where(lengths > 0, lengths, 1.0)
    return spacing, np.asarray(columns * np.array(signs)[:, None] / safe, dtype=np.float64)


def _spacings(
    fields: Mapping[str, str], roles: tuple[Role, ...], path: Path
) -> tuple[float, ...] | None:
    words = fields.get("spacings", "").split()
    if not words:
        return None
    if len(words) != len(roles):
        raise damaged("there is not one spacing per axis", path, fields["spacings"])
    found = [n for n, role in zip(real(words, path), roles, strict=True) if role == "space"]
    return None if any(np.isnan(n) for n in found) else tuple(abs(n) for n in found)


def _origin(fields: Mapping[str, str], path: Path) -> NDArray[np.float64] | None:
    signs = _TO_LPS.get(fields.get("space", "").lower())
    text = fields.get("spaceorigin")
    if text is None or signs is None:
        return None
    numbers = real(text.strip().strip("()").split(","), path)
    if len(numbers) != 3:
        raise damaged("the space origin has not three numbers", path, text)
    units = re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))
    to_mm = [_TO_MM.get(unit.strip().lower(), 1.0) for unit in units] or [1.0] * 3
    scale = np.array(to_mm if len(to_mm) == 3 else [1.0] * 3)
    return np.asarray(np.array(numbers) * np.array(signs) * scale, dtype=np.float64)
