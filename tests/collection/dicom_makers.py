"""DICOM files for tests: whole ones, and ones with single things wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, uid
from pydicom.sequence import Sequence as Items

from engine.collection.readers import reader_for
from engine.collection.readers.base import PLAIN, How, ImageFile, RawImage, RawObjects
from engine.collection.replica.dicom import WrittenSeries, write_picture, write_series

RNG = np.random.default_rng(7)
VOLUME = RNG.integers(-1000, 2000, (5, 9, 12)).astype(np.int16)  # [z, y, x]
SPACING = (2.5, 0.7, 0.8)
ORIGIN = (-20.0, 13.5, 40.25)


def series(folder: Path, volume: NDArray[np.generic] = VOLUME, **more: Any) -> WrittenSeries:
    """A series of a made-up patient; see `write_series`."""
    return write_series(
        folder, volume, more.pop("spacing_mm", SPACING),
        **{"seed": "a", "origin_mm": ORIGIN, **more},
    )  # fmt: skip


def picture(path: Path, pixels: NDArray[np.generic], **more: Any) -> Path:
    write_picture(path, pixels, **{"seed": path.name, **more})
    return path


def edit(path: Path, change: Callable[[Dataset], object]) -> None:
    """Write a file again with its data set changed."""
    data = dcmread(path)
    change(data)
    data.save_as(path, enforce_file_format=False)


def set_to(path: Path, **values: object) -> None:
    """Write a file again with values set; None takes the element out."""

    def change(data: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)

    edit(path, change)


def read(path: Path, **pick: str) -> RawImage:
    return reader_for(path).read(path, How(pick=pick))


def labels(path: Path, image: Path) -> RawObjects:
    """The named objects of a label file for an image file or folder."""
    raw = reader_for(path).read_labels(path, PLAIN, ImageFile(image, read(image)))
    assert isinstance(raw, RawObjects)
    return raw


def painted(raw: RawObjects, shape: tuple[int, ...]) -> dict[str, NDArray[np.bool_]]:
    """Full masks of an object file, [z, y, x] for volumes and [y, x] for pictures."""
    out = {}
    for one in raw.objects:
        whole = np.zeros(shape[::-1] if len(shape) == 3 else shape, dtype=bool)
        whole[one.box] = one.mask
        out[one.name] = whole.transpose(2, 1, 0) if len(shape) == 3 else whole
    return out


def enhanced(path: Path, volume: NDArray[np.generic], order: Sequence[int], **more: Any) -> Path:
    """One file with the slices of `volume` [z, y, x] in the given order, each with its place."""
    write_picture(path, volume[list(order)], seed="enhanced", modality="MR")
    places = [(ORIGIN[0], ORIGIN[1], ORIGIN[2] + z * SPACING[0]) for z in order]

    def change(data: Dataset) -> None:
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid.EnhancedMRImageStorage
        data.FrameOfReferenceUID = "1.2.3"
        shared = items(
            PlaneOrientationSequence=[items(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[items(PixelSpacing=list(SPACING[1:]), SliceThickness=2.5)],
        )
        data.SharedFunctionalGroupsSequence = Items([shared])
        data.PerFrameFunctionalGroupsSequence = Items([
            items(PlanePositionSequence=[items(ImagePositionPatient=list(place))], **extra)
            for place, extra in zip(
                places, more.get("groups", [{}] * len(places)), strict=True
            )
        ])  # fmt: skip

    edit(path, change)
    return path


def items(**values: object) -> Dataset:
    """A data set; lists of data sets become sequences."""
    data = Dataset()
    for keyword, value in values.items():
        nested = isinstance(value, list) and value and isinstance(value[0], Dataset)
        setattr(data, keyword, Items(value) if nested else value)  # type: ignore[arg-type]
    return data


def contours(path: Path, change: Callable[[Dataset], object], number: int = 0) -> None:
    """Change one contour of the first region of a structure set."""
    edit(path, lambda data: change(data.ROIContourSequence[0].ContourSequence[number]))


def masks(**more: Mapping[str, object]) -> dict[str, NDArray[np.bool_]]:
    """Three regions of `VOLUME`'s size: one with a hole, one that overlaps it, one empty."""
    ring = np.zeros(VOLUME.shape, dtype=bool)
    ring[1:4, 1:7, 2:9] = True
    ring[2, 3:5, 4:7] = False
    other = np.zeros(VOLUME.shape, dtype=bool)
    other[3:, 4:9, 6:12] = True
    other[4, 4, 6] = False
    return {"ring": ring, "other": other, "nothing": np.zeros(VOLUME.shape, dtype=bool)}
