"""NIfTI-1 and NIfTI-2 files (`.nii`, `.nii.gz`), through nibabel.

The whole stream is read before decoding, so that a damaged end is seen (the checksum of a gzip
file comes last and readers that stop at the last voxel miss it).
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    OneFile,
    RawImage,
    check_finite,
    missing,
    refuse,
)

Affine = NDArray[np.float64]

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_FORMATS = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
_COS_45 = 0.7071


class NiftiReader(OneFile):
    """3-D and 4-D NIfTI: volumes with spacing and, where the header says it, orientation."""

    extensions = (".nii", ".nii.gz")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Values after slope and intercept; see `Reader.read`."""
        image = _decode(path)
        array = _values(image, path)
        check_finite(array, path)
        affine, spacing = _geometry(image, path)
        colours = 1 if image.get_data_dtype().names else 0
        array = _three_space_axes(array, colours, path)
        return RawImage(
            array,
            "volume",
            spacing,
            affine,
            channel_axis=array.ndim - 1 if colours else None,
            time_axis=3 if array.ndim - colours == 4 else None,
        )

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """Label volumes are stored like images."""
        return self.read(path)


def _decode(path: Path) -> Any:
    content = _bytes(path)
    sizes = [int.from_bytes(content[:4], "little"), int.from_bytes(content[:4], "big")]
    form = next((_FORMATS[size] for size in sizes if size in _FORMATS), None)
    if form is None:
        raise refuse(
            "unreadable_file",
            "the file is not NIfTI",
            path,
            got=f"first four bytes {content[:4].hex() or 'missing'}",
            expected="a NIfTI header of 348 or 540 bytes",
            remedy="fetch the file again, or correct its ending",
        )
    try:
        return form.from_bytes(content)
    except WrapStructError as error:
        raise _truncated(path, error) from error
    except (ImageFileError, HeaderDataError, ValueError, OSError) as error:
        raise refuse(
            "unreadable_file",
            "the NIfTI header is damaged",
            path,
            got=error,
            expected="a readable header",
            remedy="fetch the file again",
        ) from error


def _bytes(path: Path) -> bytes:
    """The uncompressed file, its checksum verified."""
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path) as stream:
                return stream.read()
        return path.read_bytes()
    except EOFError as error:
        raise _truncated(path, error) from error
    except FileNotFoundError as error:
        raise missing(path) from error
    except (OSError, zlib.error) as error:
        raise refuse(
            "unreadable_file",
            "the file cannot be read",
            path,
            got=error,
            expected="a NIfTI file, compressed if it ends in .gz",
            remedy="fetch the file again",
        ) from error


def _truncated(path: Path, error: Exception) -> Exception:
    return refuse(
        "truncated_file",
        "the file ends too early",
        path,
        got=f"{path.stat().st_size} bytes on disk: {str(error).splitlines()[0]}",
        remedy="fetch the file again",
    )


def _values(image: Any, path: Path) -> NDArray[np.generic]:
    """Values after slope and intercept, in native byte order; RGB gets a last axis of its own."""
    try:
        raw = np.asanyarray(image.dataobj.get_unscaled())
    except (OSError, ValueError) as error:
        raise _truncated(path, error) from error
    if raw.dtype.names:
        return np.stack([raw[name] for name in ("R", "G", "B")], axis=-1)
    if np.issubdtype(raw.dtype, np.complexfloating):
        raise refuse("unreadable_file", "complex values are no image", path, got=raw.dtype)
    raw = np.asarray(raw, dtype=raw.dtype.newbyteorder("="))
    return _rescale(raw, float(image.dataobj.slope), float(image.dataobj.inter))


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
    if len(frames) > 1 or 0 in shape:
        raise refuse(
            "unsupported_layout",
            "the volume has more than one axis besides space, or none at all",
            path,
            got=f"shape {shape}",
            expected="[i, j, k] or [i, j, k, frame]",
        )
    return array.reshape(*space, *frames, *array.shape[array.ndim - colours :])


def _geometry(image: Any, path: Path) -> tuple[Affine | None, tuple[float, ...]]:
    """(affine to LPS millimetres, spacing in mm); no affine where the header states none."""
    header = image.header
    to_mm = _TO_MM.get(header.get_xyzt_units()[0], 1.0)
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        zooms = (*(float(z) for z in header.get_zooms()), 1.0, 1.0)[:3]
        return None, tuple(z * to_mm for z in zooms)
    _check_forms_agree(header, path)
    affine: Affine = _RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64)
    affine[:3] *= to_mm
    if not np.isfinite(affine).all() or abs(np.linalg.det(_directions(affine))) < 1e-6:
        raise refuse(
            "bad_geometry",
            "the header's affine is singular or not finite",
            path,
            got=np.array2string(affine, separator=", "),
            remedy="repair the header",
        )
    return affine, tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))


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
        except (HeaderDataError, ValueError) as error:
            if sform is None:
                raise refuse(
                    "bad_geometry", "the header's quaternion is invalid", path, got=error
                ) from error
    if sform is None or qform is None:
        return
    cosines = (_directions(sform) * _directions(qform)).sum(axis=0)
    if (cosines < _COS_45).any():
        raise refuse(
            "ambiguous_orientation",
            "sform and qform of the header place the axes differently",
            path,
            got=f"sform\n{sform}\nqform\n{qform}",
            expected="axes less than 45 degrees apart",
            remedy="find out which is right and write it to both",
        )


NIFTI = NiftiReader()
