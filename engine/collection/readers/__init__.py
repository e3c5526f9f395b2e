"""Readers: one file per format family, found by the ending of the file name.

A folder can be one volume: `dicom/` reads a series, `stack/` pictures that are its slices. A new
format is one file with an object that follows `Reader`, and one line in `READERS` per
ending. Readers know files, not data sets: what label values mean is said by recipes.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine.collection.readers.base import RawImage, Reader
from engine.errors import UserError, nearest
from engine.registry import Registry

_LOOK_AT = 16  # files of a folder
_HERE = "engine.collection.readers"

READERS: Registry[Reader] = Registry(
    "reader",
    {
        ".nii": f"{_HERE}.nifti:NIFTI",
        ".nii.gz": f"{_HERE}.nifti:NIFTI",
        ".hdr": f"{_HERE}.analyze:ANALYZE",
        ".img": f"{_HERE}.analyze:ANALYZE",
        ".nrrd": f"{_HERE}.itk:ITK",
        ".nhdr": f"{_HERE}.itk:ITK",
        ".seg.nrrd": f"{_HERE}.itk:ITK",
        ".mha": f"{_HERE}.itk:ITK",
        ".mhd": f"{_HERE}.itk:ITK",
        ".npy": f"{_HERE}.arrays:ARRAYS",
        ".npz": f"{_HERE}.arrays:ARRAYS",
        ".h5": f"{_HERE}.arrays:ARRAYS",
        ".hdf5": f"{_HERE}.arrays:ARRAYS",
        ".mat": f"{_HERE}.arrays:ARRAYS",
        ".mp4": f"{_HERE}.video:VIDEO",
        ".mov": f"{_HERE}.video:VIDEO",
        ".avi": f"{_HERE}.video:VIDEO",
        ".mkv": f"{_HERE}.video:VIDEO",
        ".mpg": f"{_HERE}.video:VIDEO",
        ".mpeg": f"{_HERE}.video:VIDEO",
        ".png": f"{_HERE}.raster:RASTER",
        ".jpg": f"{_HERE}.raster:RASTER",
        ".jpeg": f"{_HERE}.raster:RASTER",
        ".bmp": f"{_HERE}.raster:RASTER",
        ".gif": f"{_HERE}.raster:RASTER",
        ".webp": f"{_HERE}.raster:RASTER",
        ".jp2": f"{_HERE}.raster:RASTER",
        ".pbm": f"{_HERE}.pnm:PNM",
        ".pbm.gz": f"{_HERE}.pnm:PNM",
        ".pgm": f"{_HERE}.pnm:PNM",
        ".pgm.gz": f"{_HERE}.pnm:PNM",
        ".ppm": f"{_HERE}.pnm:PNM",
        ".ppm.gz": f"{_HERE}.pnm:PNM",
        ".pnm": f"{_HERE}.pnm:PNM",
        ".pnm.gz": f"{_HERE}.pnm:PNM",
        ".tif": f"{_HERE}.tiff:TIFF",
        ".tiff": f"{_HERE}.tiff:TIFF",
        ".dcm": f"{_HERE}.dicom:DICOM",
        ".dicom": f"{_HERE}.dicom:DICOM",
        ".ima": f"{_HERE}.dicom:DICOM",
        "dicom/": f"{_HERE}.dicom:DICOM",
        "stack/": f"{_HERE}.stack:STACK",
        ".json": f"{_HERE}.json_text:JSON",
        ".csv": f"{_HERE}.rle_table:RLE_TABLE",
    },
)


def extension_of(path: Path) -> str | None:
    """The longest registered ending of the file name, in lower case; None where none fits."""
    if path.is_dir():
        return "dicom/" if _holds_dicom(path) else "stack/"
    name = path.name.lower()
    endings = [ending for ending in READERS if name.endswith(ending)]
    return max(endings, key=len) if endings else None


def reader_for(path: Path) -> Reader:
    """The reader of a file, by its name only. Raises UserError naming the known endings."""
    ending = extension_of(path)
    if ending is None:
        raise UserError(
            "no reader for this kind of file",
            where=str(path),
            got="".join(path.suffixes) or "no ending",
            expected=", ".join(sorted(READERS)),
            remedy=nearest("".join(path.suffixes).lower() or path.name, READERS),
        )
    return READERS.get(ending)


def _holds_dicom(folder: Path) -> bool:
    """By the mark of DICOM files or their usual ending; other files may lie beside them."""
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    for number, name in enumerate(names):
        if name.lower().endswith((".dcm", ".dicom", ".ima")):
            return True
        file = folder / name
        if number < _LOOK_AT and file.is_file():
            with file.open("rb") as stream:
                if stream.read(132)[128:] == b"DICM":
                    return True
    return False


__all__ = ["READERS", "RawImage", "Reader", "extension_of", "reader_for"]
