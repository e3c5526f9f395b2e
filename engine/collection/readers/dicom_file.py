"""Opening DICOM files: headers without pixels, contents, and every way pydicom can fail."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydicom import dcmread, uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue

from engine.collection.readers.base import first_bytes, missing, refuse
from engine.collection.readers.limits import MOST_BYTES, admit, bounded_memory, check_holds
from engine.errors import UserError

ENDINGS = (".dcm", ".dicom", ".ima")
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
STRUCTURE_SET = str(uid.RTStructureSetStorage)

_MARK_AT, _MARK = 128, b"DICM"
_DEFLATED_AT_MOST = 64  # bytes per stored byte, beyond the first 64 MiB
_CHUNK = 2**20
_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"

# Keyword -> the functional group it lies in, in files with several frames.
MARKS = {
    "TemporalPositionIdentifier": "",
    "TemporalPositionIndex": "FrameContentSequence",
    "TriggerTime": "",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "FrameReferenceTime": "",
    "EchoNumbers": "",
    "EchoTime": "",
    "EffectiveEchoTime": "MREchoSequence",
    "InversionTime": "",
    "AcquisitionNumber": "",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "AcquisitionTime": "",
    "FrameAcquisitionDateTime": "FrameContentSequence",
}
"""What can tell apart two frames at one place, the surest first."""

_HEADER = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "SeriesDescription", "SeriesNumber", "ImageType", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SpacingBetweenSlices", "SliceThickness", "RescaleSlope", "RescaleIntercept",
    "ModalityLUTSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip

_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError,
    LookupError, OSError, RuntimeError, StopIteration, TypeError, ValueError,
    BytesLengthException, InvalidDicomError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """A file's data set without its pixels."""

    path: Path
    data: Dataset

    @property
    def sop_class(self) -> str:
        """Empty where the file does not say it."""
        return str(self.data.get("SOPClassUID", ""))

    @property
    def is_image(self) -> bool:
        """False for what is known to be something else: a report, a plan, a segmentation."""
        known = uid.UID(self.sop_class)
        return (
            known.name == self.sop_class
            or "Image Storage" in known.name
            or self.sop_class in (_PARAMETRIC_MAP, "")
        )

    def text(self, keyword: str) -> str:
        """A value as text; several of them with backslashes between, as they are stored."""
        value = self.data.get(keyword)
        if isinstance(value, MultiValue):
            return "\\".join(map(str, value))
        return "" if value is None else str(value)

    def fits(self, pick: Mapping[str, str]) -> bool:
        """Whether every named value fits its pattern (fnmatch, upper and lower case differ)."""
        return all(fnmatchcase(self.text(key), pattern) for key, pattern in pick.items())


def is_dicom(path: Path) -> bool:
    """Whether a file carries the mark of DICOM files, 128 bytes after its beginning."""
    with path.open("rb") as stream:
        return stream.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK


def read_header(path: Path, more: tuple[str, ...] = ()) -> Header:
    """The data set of a file without pixels.

    Args:
        more: keywords to keep besides those that every reader needs.

    Raises:
        CaseRefusedError: `missing_file`, `unreadable_file` or `too_large`.
    """
    with decoding(path):
        _check_mark(path)
        _check_inflated(path)
        tags = [*_HEADER, *MARKS, *more]
        return Header(path, dcmread(path, stop_before_pixels=True, specific_tags=list(tags)))


def read_content(path: Path) -> Dataset:
    """The whole data set of a file. Raises as `read_header`."""
    with decoding(path):
        admit((path.stat().st_size,), 1, path)
        _check_mark(path)
        _check_inflated(path)
        return dcmread(path)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside refuses the file: values are decoded when they are asked for."""
    try:
        with warnings.catch_warnings(), bounded_memory(path):
            warnings.simplefilter("ignore")  # pydicom reads many a value that breaks the standard
            yield
    except FileNotFoundError as error:
        raise missing(path) from error
    except RecursionError as error:
        raise _unreadable(path, "sequences nested too deeply") from error
    except _ERRORS as error:
        if isinstance(error, UserError):
            raise
        words = " ".join(str(error).split())
        raise _unreadable(path, f"{type(error).__name__}: {words[:300]}") from error


def check_keywords(pick: Mapping[str, str]) -> None:
    """Raises UserError where a recipe names a keyword that DICOM has not."""
    for keyword in pick:
        if tag_for_keyword(keyword) is None:
            raise UserError(
                "the recipe picks by a word that is no DICOM keyword",
                where="pick",
                got=keyword,
                expected="a keyword such as SeriesDescription, ImageType or EchoNumbers",
            )


def _check_mark(path: Path) -> None:
    check_holds(_MARK_AT + len(_MARK), path.stat().st_size, path)
    if not is_dicom(path):
        raise refuse(
            "unreadable_file",
            "the file is not DICOM",
            path,
            got=first_bytes(path),
            expected="the letters DICM after 128 bytes",
            remedy="fetch the file again, or correct its ending",
        )


def _check_inflated(path: Path) -> None:
    """A deflated data set is decompressed as a whole by pydicom, however large it becomes."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != uid.DeflatedExplicitVRLittleEndian:
        return
    size = path.stat().st_size
    most = min(MOST_BYTES, 64 * 2**20 + _DEFLATED_AT_MOST * size)
    total, inflate = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as stream:
        stream.seek(_MARK_AT + len(_MARK) + 12 + int(meta.FileMetaInformationGroupLength))
        while chunk := inflate.unconsumed_tail or stream.read(_CHUNK):
            total += len(inflate.decompress(chunk, _CHUNK))
            if total > most:
                raise refuse(
                    "too_large",
                    "the deflated file holds more than is decoded at once",
                    path,
                    got=f"{size} bytes that become more than {most}",
                    remedy="store it without deflating",
                )


def _unreadable(path: Path, got: str) -> Exception:
    return refuse(
        "unreadable_file",
        "the DICOM file cannot be decoded",
        path,
        got=got,
        expected="a DICOM file as its header describes it",
        remedy="fetch the file again, or store it without compression",
    )
