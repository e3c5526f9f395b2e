"""Headers of NIfTI and Analyze files and the volumes they describe; no file is opened here."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from engine.collection.readers.base import RawImage, check_finite, refuse

Affine = NDArray[np.float64]

HEADER_BYTES = 544
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_FORMATS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_PAIR_MAGIC = b"ni1"
_LARGEST, _SMALLEST = 1e12, 1e-9  # mm; beyond them a number of a header is no length
_COS_45 = 0.7071
_ERRORS = (HeaderDataError, WrapStructError, ValueError, OverflowError, KeyError)
_QUIET = logging.Logger("nifti headers", level=logging.CRITICAL + 1)


@dataclass(frozen=True)
class NiftiHeader:
    """What is needed to take a volume from bytes.

    Attributes:
        shape: lengths of all axes, the fastest first.
        dtype: of a voxel, with its byte order; RGB voxels have fields R, G, B.
        offset: first byte of the data in their file.
        slope, inter: value = stored * slope + inter.
        header: nibabel's header, for its geometry; None where the format states none.
        spacing: mm of the first three axes; None where they are no lengths.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    header: Any
    spacing: tuple[float, ...] | None


def nifti_header(content: bytes, path: Path) -> NiftiHeader:
    """A NIfTI-1 or NIfTI-2 header. Raises CaseRefusedError `unreadable_file`, `truncated_file`."""
    sizes = [int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big")]
    size = next((size for size in sizes if size in _FORMATS), None)
    if size is None:
        raise refuse(
            "unreadable_file",
            "the file is not NIfTI",
            path,
            got=f"first four bytes {content[:4].hex() or 'missing'}",
            expected="a NIfTI header of 348 or 540 bytes",
            remedy="fetch the file again, or correct its ending",
        )
    return _parsed(_FORMATS[size], content[:size], size, path)


def analyze_header(content: bytes, path: Path) -> NiftiHeader:
    """The header of a `.hdr` file: a NIfTI-1 pair by its magic word, else Analyze 7.5.

    Raises:
        CaseRefusedError: as `nifti_header`.
    """
    pair = content[344:347] == _PAIR_MAGIC
    form = nib.nifti1.Nifti1PairHeader if pair else nib.AnalyzeHeader
    return _parsed(form, content[:348], 0, path, states_place=pair)


def _parsed(
    form: Any, content: bytes, least_offset: int, path: Path, states_place: bool = True
) -> NiftiHeader:
    try:
        with np.errstate(all="ignore"):
            header = form(content, check=False)
            lengths = np.abs(header["pixdim"][1:4])
            header.check_fix(logger=_QUIET)
            header["pixdim"][1:4] = lengths  # the fix would invent a length of 1 for one of 0
            slope, inter = header.get_slope_inter()
            shape = tuple(int(n) for n in header.get_data_shape())
            dtype = np.dtype(header.get_data_dtype())
            offset = int(header.get_data_offset())
            spacing = _zooms(header, states_place)
    except _ERRORS as error:
        early = isinstance(error, WrapStructError)
        raise refuse(
            "truncated_file" if early else "unreadable_file",
            "the file ends within its header" if early else "the header is damaged",
            path,
            got=str(error).splitlines()[:1] or type(error).__name__,
            expected="a readable header",
            remedy="fetch the file again",
        ) from error
    if offset < least_offset or dtype.itemsize == 0 or not shape:
        raise refuse(
            "unreadable_file",
            "the header is damaged",
            path,
            got=f"shape {shape} of {dtype} at byte {offset}",
        )
    scale = 1.0 if slope is None else float(slope)
    shift = 0.0 if inter is None else float(inter)
    return NiftiHeader(
        shape, dtype, offset, scale, shift, header if states_place else None, spacing
    )


def _zooms(header: Any, has_units: bool) -> tuple[float, ...] | None:
    to_mm = _TO_MM.get(header.get_xyzt_units()[0], 1.0) if has_units else 1.0
    zooms = (*(abs(float(z)) * to_mm for z in header.get_zooms()), 1.0, 1.0, 1.0)[:3]
    return zooms if all(_SMALLEST < z < _LARGEST for z in zooms) else None


def volume(header: NiftiHeader, content: bytes | memoryview, path: Path) -> RawImage:
    """The volume of a header from its data, values after slope and intercept.

    Raises:
        CaseRefusedError: `bad_geometry`, `ambiguous_orientation`, `non_finite`,
            `unsupported_layout`, `unreadable_file` for complex values.
    """
    affine, spacing = _geometry(header, path)
    with np.errstate(all="ignore"):  # what overflows becomes infinite and is refused
        array = _values(header, content, path)
    check_finite(array, path)
    colours = 1 if header.dtype.names else 0
    array = _three_space_axes(array, colours, path)
    return RawImage(
        array,
        "volume",
        spacing,
        affine,
        channel_axis=array.ndim - 1 if colours else None,
        time_axis=3 if array.ndim - colours == 4 else None,
    )


def _values(header: NiftiHeader, content: bytes | memoryview, path: Path) -> NDArray[np.generic]:
    """Values after slope and intercept, in native byte order; RGB gets a last axis of its own."""
    count = int(np.prod(header.shape, dtype=np.int64))
    flat = np.frombuffer(content, dtype=header.dtype, count=count)
    raw = flat.reshape(header.shape, order="F")
    if raw.dtype.names:
        return np.stack([raw[name] for name in ("R", "G", "B")], axis=-1)
    if np.issubdtype(raw.dtype, np.complexfloating):
        raise refuse(
            "unreadable_file",
            "complex values are no image",
            path,
            got=raw.dtype,
            expected="whole or real numbers",
            remedy="store their magnitude",
        )
    return _rescale(raw.astype(raw.dtype.newbyteorder("="), copy=False), header.slope, header.inter)


def _rescale(raw: NDArray[np.generic], slope: float, inter: float) -> NDArray[np.generic]:
    """`raw * slope + inter`: source dtype when that changes nothing, whole numbers stay whole."""
    if raw.dtype.itemsize > 8:  # no array format stores long doubles
        raw = raw.astype(np.float64)
    if slope == 1 and inter == 0:
        return raw
    scaled: NDArray[np.float64] = raw.astype(np.float64) * slope + inter
    whole = np.issubdtype(raw.dtype, np.integer) and slope.is_integer() and inter.is_integer()
    if whole and scaled.size and float(np.abs(scaled).max()) < 2**31:
        return scaled.astype(np.int32)
    return scaled


def _three_space_axes(array: NDArray[np.generic], colours: int, path: Path) -> NDArray[np.generic]:
    """Three spatial axes, then at most one frame axis, then the `colours` axis if there is one."""
    shape = array.shape[: array.ndim - colours]
    space = (*shape[:3], 1, 1)[:3] if len(shape) < 3 else shape[:3]
    frames = tuple(n for n in shape[3:] if n != 1)
    if len(frames) > 1:
        raise refuse(
            "unsupported_layout",
            "the volume has more than one axis besides space",
            path,
            got=f"shape {shape}",
            expected="[i, j, k] or [i, j, k, frame]",
        )
    return array.reshape(*space, *frames, *array.shape[array.ndim - colours :])


def _geometry(nifti: NiftiHeader, path: Path) -> tuple[Affine | None, tuple[float, ...] | None]:
    """(affine to LPS millimetres, spacing in mm); no affine where the header states none."""
    header = nifti.header
    if header is None or not (int(header["sform_code"]) or int(header["qform_code"])):
        return None, nifti.spacing
    with np.errstate(all="ignore"):
        try:
            affine = _RAS_TO_LPS @ np.asarray(header.get_best_affine(), dtype=np.float64)
        except (HeaderDataError, ValueError) as error:
            raise refuse(
                "bad_geometry", "the header's quaternion is invalid", path, got=error
            ) from error
        affine[:3] *= _TO_MM.get(header.get_xyzt_units()[0], 1.0)
        if not _is_placing(affine):
            raise refuse(
                "bad_geometry",
                "the header's affine is singular or not finite",
                path,
                got=np.array2string(affine, separator=", "),
                remedy="repair the header",
            )
        _check_forms_agree(header, path)
    return affine, tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))


def _is_placing(affine: Affine) -> bool:
    """Whether an affine puts every voxel somewhere: finite, not singular, lengths of this world."""
    if not (np.isfinite(affine).all() and np.abs(affine).max() < _LARGEST):
        return False
    long_enough = np.linalg.norm(affine[:3, :3], axis=0).min() > _SMALLEST
    return bool(long_enough and abs(np.linalg.det(_directions(affine))) >= 1e-6)


def _directions(affine: Affine) -> Affine:
    """Unit direction of each array axis, in columns; zero where the affine has none."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return np.asarray(affine[:3, :3] / np.where(lengths > 0, lengths, 1.0), dtype=np.float64)


def _check_forms_agree(header: Any, path: Path) -> None:
    """sform wins as in nibabel, but a qform that turns or flips an axis is a mistake to catch."""
    sform, qform = header.get_sform(coded=True)[0], None
    if int(header["qform_code"]):
        try:
            qform = header.get_qform(coded=True)[0]
        except (HeaderDataError, ValueError):
            return  # the sform is the only one that can be read
    if sform is None or qform is None:
        return
    cosines = (_directions(sform) * _directions(qform)).sum(axis=0)
    if not (cosines >= _COS_45).all():
        raise refuse(
            "ambiguous_orientation",
            "sform and qform of the header place the axes differently",
            path,
            got=f"sform\n{sform}\nqform\n{qform}",
            expected="axes less than 45 degrees apart",
            remedy="find out which is right and write it to both",
        )
