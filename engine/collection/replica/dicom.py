"""DICOM files for replicas: series, pictures, segmentations and structure sets.

Everything is named by `seed`: the same call writes the same identifiers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items

from engine.collection.replica.outline import outlines

Triple = tuple[float, float, float]

SYNTAXES = {
    "explicit": uid.ExplicitVRLittleEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "rle": uid.RLELossless,
    "jpeg_ls": uid.JPEGLSLossless,
    "jpeg_lossless": uid.JPEGLosslessSV1,
    "jpeg_2000": uid.JPEG2000Lossless,
}
"""Word -> transfer syntax; none of them changes a value."""

_ROOT = "1.2.826.0.1.3680043.8.498."
_CLASSES = {"CT": uid.CTImageStorage, "MR": uid.MRImageStorage}
_PLAIN = uid.SecondaryCaptureImageStorage


@dataclass(frozen=True)
class WrittenSeries:
    """A series on disk, for labels that point at it.

    Attributes:
        files: in the order of the volume's slices (of the first time point).
        headers: their data sets without pixels, same order.
        series_uid, frame_of_reference: as in the files.
    """

    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]
    series_uid: str
    frame_of_reference: str


def write_series(
    folder: Path,
    volume: NDArray[np.generic],
    spacing_mm: Triple,
    *,
    seed: str,
    origin_mm: Triple = (0.0, 0.0, 0.0),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    names: Sequence[str] | None = None,
    modality: str = "CT",
    slope: float = 1.0,
    intercept: float = 0.0,
    syntax: str = "explicit",
    tags: Mapping[str, object] | None = None,
) -> WrittenSeries:
    """One file per slice.

    Args:
        folder: made if missing.
        volume: integers as stored, [z, y, x] or [t, z, y, x]; 8 or 16 bits.
        spacing_mm: (z, y, x).
        origin_mm: centre of voxel (0, 0, 0), LPS.
        orientation: direction of x, then of y, unit vectors in LPS; z is their cross product.
        names: of the files, one per slice (time points after one another); default `0001.dcm`.
        slope, intercept: what a stored value means; written to every file.
        syntax: a word of `SYNTAXES`.
        tags: keyword -> value, written over everything else.
    """
    frames = volume[np.newaxis] if volume.ndim == 3 else volume
    series, place = _uid(seed, "series"), _uid(seed, "place")
    normal = np.cross(orientation[:3], orientation[3:])
    planes = [(t, z) for t in range(frames.shape[0]) for z in range(frames.shape[1])]
    names = names or [f"{n:04d}.dcm" for n in range(1, len(planes) + 1)]
    folder.mkdir(parents=True, exist_ok=True)
    headers = []
    for number, ((t, z), name) in enumerate(zip(planes, names, strict=True), 1):
        data = _image(f"{seed}/{t}/{z}", seed, _CLASSES.get(modality, _PLAIN), modality, syntax)
        data.SeriesInstanceUID, data.FrameOfReferenceUID = series, place
        data.PositionReferenceIndicator = ""
        data.InstanceNumber = number
        data.ImageOrientationPatient = [_decimal(v) for v in orientation]
        data.ImagePositionPatient = [
            _decimal(v) for v in np.asarray(origin_mm) + z * spacing_mm[0] * normal
        ]
        data.PixelSpacing = [_decimal(v) for v in spacing_mm[1:]]
        data.SliceThickness = _decimal(spacing_mm[0])
        data.RescaleSlope, data.RescaleIntercept = _decimal(slope), _decimal(intercept)
        if len(frames) > 1:
            data.TemporalPositionIdentifier = t + 1
        _save(data, frames[t, z], folder / name, tags)
        headers.append(_without_pixels(data))
    n = frames.shape[1]
    files = tuple(folder / name for name in names)
    return WrittenSeries(files[:n], tuple(headers[:n]), series, place)


def write_picture(
    path: Path,
    pixels: NDArray[np.generic],
    *,
    seed: str,
    spacing_mm: tuple[float, float] | None = None,
    modality: str = "OT",
    syntax: str = "explicit",
    tags: Mapping[str, object] | None = None,
) -> None:
    """An image without a place in the patient (X-ray, ultrasound, endoscopy).

    Args:
        pixels: unsigned [y, x], RGB uint8 [y, x, 3], or several frames [t, y, x(, 3)].
        spacing_mm: (y, x).
    """
    data = _image(seed, seed, _PLAIN, modality, syntax)
    data.SeriesInstanceUID = _uid(seed, "series")
    data.ConversionType = "WSD"
    if spacing_mm is not None:
        data.PixelSpacing = [_decimal(v) for v in spacing_mm]
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(data, pixels, path, tags)


def write_seg(
    path: Path,
    series: WrittenSeries,
    masks: Mapping[str, NDArray[np.bool_]],
    *,
    seed: str,
    kind: str = "BINARY",
) -> None:
    """A segmentation with one segment per mask, numbered from 1; empty frames are left out.

    Args:
        series: what the masks were drawn on.
        masks: segment label -> bool[z, y, x]; they may overlap unless `kind` is `LABELMAP`.
        kind: `BINARY`, `FRACTIONAL` (whole coverage only) or `LABELMAP`.
    """
    import highdicom as hd  # slow to import, and needed by nothing else
    from pydicom.sr.codedict import codes

    segments = [
        hd.seg.SegmentDescription(
            number, label, codes.SCT.Tissue, codes.SCT.Tissue,
            hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(masks, 1)
    ]  # fmt: skip
    data = hd.seg.Segmentation(
        source_images=list(series.headers),
        pixel_array=np.stack(list(masks.values()), axis=-1).astype(np.uint8),
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=_uid(seed, "seg series"),
        series_number=100,
        sop_instance_uid=_uid(seed, "seg"),
        instance_number=1,
        manufacturer="replica",
        manufacturer_model_name="replica",
        software_versions="1",
        device_serial_number="0",
    )
    _date(data)
    _forget_the_moment(data, _uid(seed, "dimensions"))
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path)


def write_rtstruct(
    path: Path, series: WrittenSeries, masks: Mapping[str, NDArray[np.bool_]], *, seed: str
) -> None:
    """A structure set with one region per mask, numbered from 1; holes are inner contours.

    Args:
        series: what the masks were drawn on.
        masks: region name -> bool[z, y, x]; an empty one is declared and has no contours.
    """
    first = series.headers[0]
    data = _file(uid.RTStructureSetStorage, _uid(seed, "rtstruct"), "explicit")
    for keyword in _OF_THE_STUDY:
        setattr(data, keyword, getattr(first, keyword))
    data.Modality, data.SeriesInstanceUID = "RTSTRUCT", _uid(seed, "rtstruct series")
    data.SeriesNumber = data.InstanceNumber = 1
    data.StructureSetLabel, data.StructureSetDate, data.StructureSetTime = "replica", _DAY, _TIME
    data.Manufacturer = "replica"
    _date(data)
    data.ReferencedFrameOfReferenceSequence = Items([_frame_of_reference(series)])
    names = list(enumerate(masks, 1))
    data.StructureSetROISequence = Items([_region(n, name, series) for n, name in names])
    data.ROIContourSequence = Items([_contours(n, masks[name], series) for n, name in names])
    data.RTROIObservationsSequence = Items([
        _items(
            ObservationNumber=n, ReferencedROINumber=n, RTROIInterpretedType="", ROIInterpreter=""
        )
        for n, _ in names
    ])  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


_DAY, _TIME = "20240101", "120000"
_OF_THE_STUDY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def _image(instance: str, seed: str, sop_class: str, modality: str, syntax: str) -> FileDataset:
    data = _file(sop_class, _uid(instance, "instance"), syntax)
    data.PatientID, data.PatientName = seed[:64], f"{seed[:60]}^"
    data.PatientBirthDate = data.PatientSex = data.ReferringPhysicianName = ""
    data.StudyInstanceUID, data.StudyID = _uid(seed, "study"), "1"
    data.StudyDate = data.SeriesDate = _DAY
    data.StudyTime = data.SeriesTime = _TIME
    data.AccessionNumber = ""
    data.Modality, data.Manufacturer = modality, "replica"
    data.SeriesNumber = data.InstanceNumber = 1
    _date(data)
    return data


def _file(sop_class: str, instance: str, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.UID(sop_class)
    meta.MediaStorageSOPInstanceUID = uid.UID(instance)
    meta.TransferSyntaxUID = SYNTAXES[syntax]
    meta.ImplementationClassUID = uid.UID(_ROOT + "1")
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = sop_class, instance
    return data


def _save(
    data: FileDataset,
    pixels: NDArray[np.generic],
    path: Path,
    tags: Mapping[str, object] | None,
) -> None:
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    frames = pixels.shape[0] if pixels.ndim - colour == 3 else 1
    rows, columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    data.Rows, data.Columns = rows, columns
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    if frames > 1:
        data.NumberOfFrames = frames
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    _pixels(data, pixels.reshape(frames, rows, columns, -1))
    for keyword, value in (tags or {}).items():
        setattr(data, keyword, value)
    data.save_as(path, enforce_file_format=True)


def _pixels(data: FileDataset, frames: NDArray[np.generic]) -> None:
    """Pixel data [frame, y, x, sample] in the data set's transfer syntax."""
    stored = frames.astype(frames.dtype.newbyteorder("<"))
    syntax = data.file_meta.TransferSyntaxUID
    if syntax in (uid.RLELossless, uid.JPEGLSLossless):
        data.PixelData = stored.tobytes()
        data["PixelData"].VR = "OW"
        plain = uid.ExplicitVRLittleEndian
        data.file_meta.TransferSyntaxUID = plain
        data.compress(syntax, generate_instance_uid=False)
        return
    if syntax.is_compressed and syntax != uid.DeflatedExplicitVRLittleEndian:
        encode = _ENCODERS[syntax]
        squeezed = [np.ascontiguousarray(np.squeeze(frame, axis=-1)) for frame in frames]
        data.PixelData = encapsulate([encode(frame) for frame in squeezed])
        data["PixelData"].VR = "OB"
        return
    content = stored.tobytes()
    data.PixelData = content + b"\0" * (len(content) % 2)
    data["PixelData"].VR = "OW" if frames.dtype.itemsize > 1 else "OB"


def _jpeg_lossless(frame: NDArray[np.generic]) -> bytes:
    bits = frame.dtype.itemsize * 8
    return bytes(
        imagecodecs.ljpeg_encode(frame.view(f"u{frame.dtype.itemsize}"), bitspersample=bits)
    )


def _jpeg_2000(frame: NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True))


_ENCODERS = {uid.JPEGLosslessSV1: _jpeg_lossless, uid.JPEG2000Lossless: _jpeg_2000}


def _forget_the_moment(data: Dataset, dimensions: str) -> None:
    """highdicom writes the time of the call and a random identifier."""
    data.InstanceCreationDate, data.InstanceCreationTime = _DAY, _TIME
    for equipment in data.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = _DAY + _TIME
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in data.get(keyword, []):
            item.DimensionOrganizationUID = dimensions


def _frame_of_reference(series: WrittenSeries) -> Dataset:
    first = series.headers[0]
    images = [
        _items(ReferencedSOPClassUID=h.SOPClassUID, ReferencedSOPInstanceUID=h.SOPInstanceUID)
        for h in series.headers
    ]
    of_series = _items(SeriesInstanceUID=series.series_uid, ContourImageSequence=Items(images))
    study = _items(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=Items([of_series]),
    )
    return _items(
        FrameOfReferenceUID=series.frame_of_reference,
        RTReferencedStudySequence=Items([study]),
    )


def _region(number: int, name: str, series: WrittenSeries) -> Dataset:
    return _items(
        ROINumber=number,
        ROIName=name,
        ReferencedFrameOfReferenceUID=series.frame_of_reference,
        ROIGenerationAlgorithm="MANUAL",
    )


def _contours(number: int, mask: NDArray[np.bool_], series: WrittenSeries) -> Dataset:
    contours = [
        _contour(outline, header)
        for section, header in zip(mask, series.headers, strict=True)
        for outline in outlines(section)
    ]
    region = _items(ReferencedROINumber=number, ROIDisplayColor=[255, 0, 0])
    if contours:
        region.ContourSequence = Items(contours)
    return region


def _contour(outline: NDArray[np.float64], header: Dataset) -> Dataset:
    """A polygon, (x, y) in pixels of a slice, as a closed contour in patient coordinates."""
    along_x, along_y = np.reshape([float(v) for v in header.ImageOrientationPatient], (2, 3))
    row_mm, column_mm = (float(v) for v in header.PixelSpacing)
    origin = np.array([float(v) for v in header.ImagePositionPatient])
    steps = np.stack([along_x * column_mm, along_y * row_mm])
    points = origin + outline @ steps
    image = _items(
        ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID
    )
    return _items(
        ContourImageSequence=Items([image]),
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(points),
        ContourData=[_decimal(v) for v in points.ravel()],
    )


def _items(**values: Any) -> Dataset:
    data = Dataset()
    for keyword, value in values.items():
        setattr(data, keyword, value)
    return data


def _without_pixels(data: Dataset) -> Dataset:
    del data.PixelData
    return data


def _date(data: Dataset) -> None:
    data.ContentDate, data.ContentTime = _DAY, _TIME


def _decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters."""
    text = repr(float(value))
    return text if len(text) <= 16 else f"{float(value):.9g}"


def _uid(seed: str, what: str) -> str:
    return str(uid.generate_uid(_ROOT, [seed, what]))
