"""DICOM through pydicom: a folder is one series, a file an image, a segmentation or regions.

Slices are placed by their positions, never by number or name. Values are those after slope and
intercept. Pictures without a place in the patient are shown as they are meant to be seen
(MONOCHROME1 is inverted); volumes keep their values whatever their photometric interpretation.
"""

from __future__ import annotations

from pathlib import Path

from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    RawImage,
    RawObjects,
    missing,
    refuse,
)
from engine.collection.readers.dicom_file import (
    SEGMENTATIONS,
    STRUCTURE_SET,
    Header,
    decoding,
    read_header,
)
from engine.collection.readers.dicom_folder import series_of
from engine.collection.readers.dicom_geometry import arrange
from engine.collection.readers.dicom_planes import Plane, planes_of
from engine.collection.readers.dicom_rtstruct import read_structure_set
from engine.collection.readers.dicom_seg import read_segmentation
from engine.collection.readers.dicom_volume import picture, same_values, volume


class DicomReader:
    """Series folders (`dicom/`) and single files: volumes, pictures, SEG and RTSTRUCT."""

    extensions = (".dcm", ".dicom", ".ima", "dicom/")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """A volume [x, y, slice(, time)(, 3)], or a picture [(frame,) y, x(, 3)]."""
        with decoding(path):
            return _read(_headers(path, how), path, palettes=False)

    def read_labels(
        self, path: Path, how: How = PLAIN, image: ImageFile | None = None
    ) -> RawImage | RawObjects:
        """Named objects of SEG and RTSTRUCT; of other files the values, palettes as indices."""
        with decoding(path):
            if path.is_dir():
                return _read(_headers(path, how), path, palettes=True)
            header = read_header(path)
            if header.sop_class in SEGMENTATIONS:
                return read_segmentation(path, image)
            if header.sop_class == STRUCTURE_SET:
                return read_structure_set(path, image)
            return _read([header], path, palettes=True)

    def companions(self, path: Path) -> tuple[Path, ...]:
        """None: every DICOM file stands for itself."""
        return ()


def _headers(path: Path, how: How) -> list[Header]:
    if path.is_dir():
        return series_of(path, how.pick)
    if not path.is_file():
        raise missing(path)
    header = read_header(path)
    if not header.is_image or header.sop_class in SEGMENTATIONS:
        raise refuse(
            "unreadable_file",
            "the DICOM file holds no image",
            path,
            got=header.data.get("Modality") or header.sop_class,
            expected="an image",
            remedy="name segmentations and structure sets under labels, with kind: objects",
        )
    return [header]


def _read(headers: list[Header], where: Path, palettes: bool) -> RawImage:
    planes: list[Plane] = []
    for header in headers:
        with decoding(header.path):
            planes += planes_of(header)
    placed = [plane.position is not None for plane in planes]
    if any(placed) and not all(placed):
        lost = planes[placed.index(False)].path.name
        raise refuse(
            "bad_geometry",
            "a slice of the series does not say where it lies",
            where,
            got=f"no position in {lost}",
            expected="ImagePositionPatient in every file",
        )
    stack = arrange(planes, same_values, where) if all(placed) else None
    if stack is not None:
        return volume(headers, stack, where)
    if len(headers) > 1:
        raise refuse(
            "bad_geometry",
            "the files of the series do not say where they lie",
            where,
            got=f"{len(headers)} files without a position",
            expected="ImagePositionPatient, or one picture",
        )
    return picture(headers[0], planes[0], palettes)


DICOM = DicomReader()
