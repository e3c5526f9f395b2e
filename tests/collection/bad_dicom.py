"""Bad input: DICOM series, segmentations and structure sets."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bad_entry import Accepted, Kit, Refused, Site, bad
from bad_files import cut
from bad_kits import DEEP, DEEP_MAP, VOLUME, save
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from raw_makers import series

from engine.collection.replica import dicom

SPACING = (5.0, 2.0, 2.0)
STRUCTURES = {"liver": "Liver", "tumour": "Tumour"}
NAMED = {"Liver": DEEP["liver/0"], "Tumour": DEEP["tumour/0"]}
OBJECTS = {"kind": "objects", "structures": STRUCTURES}
FOREIGN = "Pair the label with the series it was drawn on."


def put_series(folder: Path, seed: str, **more: Any) -> dicom.WrittenSeries:
    return dicom.write_series(folder, VOLUME, SPACING, seed=seed, **more)


def _put_seg(raw: Path, case: str) -> None:
    written = put_series(raw / case / "ct", case)
    dicom.write_seg(raw / case / "seg.dcm", written, NAMED, seed=case)


def _put_regions(raw: Path, case: str) -> None:
    written = put_series(raw / case / "ct", case)
    dicom.write_rtstruct(raw / case / "rt.dcm", written, NAMED, seed=case)


def _put_masks(raw: Path, case: str) -> None:
    put_series(raw / case / "ct", case)
    for n, mask in enumerate(DEEP_MAP):
        save(raw / case / f"masks/{n:04d}.png", mask)


SEG = Kit(series("{case}/ct/", {"file": "{case}/seg.dcm", **OBJECTS}), _put_seg, VOLUME, DEEP)
REGIONS = Kit(
    series("{case}/ct/", {"file": "{case}/rt.dcm", **OBJECTS}), _put_regions, VOLUME, DEEP
)
SERIES = Kit(
    series("{case}/ct/", {"file": "{case}/masks/", "kind": "values",
                          "structures": {"liver": 1, "tumour": 2}}),
    _put_masks,
    VOLUME,
    DEEP,
)  # fmt: skip


def edit(path: Path, change: Callable[[Dataset], object]) -> None:
    """Change a DICOM file in place."""
    data = dcmread(path)
    change(data)
    data.save_as(path)


def set_tags(path: Path, **tags: Any) -> None:
    edit(path, lambda data: [setattr(data, keyword, value) for keyword, value in tags.items()])


def slices(site: Site) -> list[Path]:
    return sorted(site.image.iterdir())


@bad("DICOM", "a series with a slice missing in its midst", SERIES, Refused("missing_slices"),
     "Fetch the missing file; the message says where it would lie.")  # fmt: skip
def missing_slice(site: Site) -> None:
    data = dcmread(slices(site)[2])
    data.ImagePositionPatient = [0, 0, 20]
    data.SOPInstanceUID = data.SOPInstanceUID[:-2] + "99"
    data.save_as(site.image / "0005.dcm")


@bad("DICOM", "a series without its last slice, and a SEG of the whole", SEG,
     Refused("geometry_mismatch"),
     "A frame lies in no slice; fetch the missing file. (No series says how long it is: without "
     "labels of the lost slice nothing tells.)")  # fmt: skip
def last_slice(site: Site) -> None:
    slices(site)[2].unlink()


@bad("DICOM", "a series without its last slice, and one mask per slice", SERIES,
     Refused("shape_mismatch"), "Fetch the missing file.")  # fmt: skip
def last_of_masks(site: Site) -> None:
    slices(site)[2].unlink()


@bad("DICOM", "two different slices in one place", SERIES, Refused("duplicate_slices"),
     "Say `pick:` with what tells two acquisitions apart.")  # fmt: skip
def duplicate_slice(site: Site) -> None:
    place = dcmread(slices(site)[0]).ImagePositionPatient
    set_tags(slices(site)[1], ImagePositionPatient=place)


@bad("DICOM", "a copy of a slice under another name", SEG, Accepted(),
     "The same values in the same place count once.")  # fmt: skip
def copied_slice(site: Site) -> None:
    (site.image / "copy.dcm").write_bytes(slices(site)[0].read_bytes())


@bad("DICOM", "slices of two orientations", SERIES, Refused("mixed_orientations"),
     "Say `pick:` to leave out localizers.")  # fmt: skip
def mixed_orientations(site: Site) -> None:
    set_tags(slices(site)[1], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])


@bad("DICOM", "slices of two sizes", SERIES, Refused("mixed_orientations"),
     "Say `pick:` to leave out localizers.")  # fmt: skip
def mixed_sizes(site: Site) -> None:
    dicom.write_series(site.image, VOLUME[:, :10], SPACING, seed=site.case,
                       names=["0001.dcm", "y.dcm", "z.dcm"])  # fmt: skip
    for name in ("y.dcm", "z.dcm"):
        (site.image / name).unlink()


@bad("DICOM", "slices that are not evenly spaced", SERIES, Refused("bad_geometry"),
     "Nothing is resampled; say `pick:` to choose one acquisition.")  # fmt: skip
def uneven_slices(site: Site) -> None:
    set_tags(slices(site)[1], ImagePositionPatient=[0, 0, 3.3])


@bad("DICOM", "a tilted gantry: each slice lies further aside", SERIES, Refused("bad_geometry"),
     "Nothing is resampled; skip the case with this reason.")  # fmt: skip
def tilted(site: Site) -> None:
    for n, path in enumerate(slices(site)):
        set_tags(path, ImagePositionPatient=[0, 1.5 * n, 5.0 * n])


@bad("DICOM", "two series in one folder", SERIES, Refused("several_series"),
     "Say `pick: {SeriesDescription: ...}`; the message lists what there is.")  # fmt: skip
def two_series(site: Site) -> None:
    put_series(site.image, "another", names=["x1.dcm", "x2.dcm", "x3.dcm"])


@bad("DICOM", "a slice without a position", SERIES, Refused("bad_geometry"),
     "Fetch the series again.")  # fmt: skip
def no_position(site: Site) -> None:
    edit(slices(site)[1], lambda data: delattr(data, "ImagePositionPatient"))


@bad("DICOM", "a pixel spacing of 0", SERIES, Refused("bad_geometry"), "Repair the header.")
def no_spacing(site: Site) -> None:
    for path in slices(site):
        set_tags(path, PixelSpacing=[0, 0])


@bad("DICOM", "a slice cut off within its pixels", SERIES, Refused("truncated_file"),
     "Fetch it again.")  # fmt: skip
def half_slice(site: Site) -> None:
    cut(slices(site)[1], 0.8)


@bad("DICOM", "a slice of zero bytes", SERIES, Refused("truncated_file"), "Fetch it again.")
def empty_slice(site: Site) -> None:
    slices(site)[1].write_bytes(b"")


@bad("DICOM", "a text file named `.dcm` among the slices", SERIES, Refused("unreadable_file"),
     "It may be a damaged slice; fetch it again or remove it.")  # fmt: skip
def text_slice(site: Site) -> None:
    (site.image / "0009.dcm").write_text("not found " * 50)


@bad("DICOM", "a hidden file, a `DICOMDIR` and a note among the slices", SEG, Accepted(),
     "They are passed over.")  # fmt: skip
def other_files(site: Site) -> None:
    (site.image / "._0001.dcm").write_bytes(b"\0" * 40)
    (site.image / "DICOMDIR").write_bytes(b"\0" * 200)
    (site.image / "readme.txt").write_text("hello")


@bad("DICOM", "a header that claims 65,535 x 65,535 pixels", SERIES, Refused("mixed_orientations"),
     "It differs from the other slices; sizes are checked before memory is taken.")  # fmt: skip
def huge_slice(site: Site) -> None:
    set_tags(slices(site)[1], Rows=65535, Columns=65535)


@bad("DICOM", "a deflated file that inflates to 80 MiB from 80 kB", SERIES, Refused("too_large"),
     "Store it without deflating.")  # fmt: skip
def deflated_bomb(site: Site) -> None:
    path = slices(site)[1]
    put_series(site.image, site.case, syntax="deflated")
    start = 144 + int(read_file_meta_info(path).FileMetaInformationGroupLength)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = packer.compress(bytes(80 * 2**20)) + packer.flush()
    path.write_bytes(path.read_bytes()[:start] + data)


@bad("DICOM", "a pipe among the slices", SEG, Accepted(),
     "Only regular files are looked at; nothing hangs.")  # fmt: skip
def pipe_slice(site: Site) -> None:
    os.mkfifo(site.image / "0000.dcm")


@bad("SEG and RTSTRUCT", "a SEG that points at another series", SEG, Refused("foreign_reference"),
     FOREIGN)  # fmt: skip
def foreign_seg(site: Site) -> None:
    other = put_series(site.raw / "elsewhere", "another patient")
    dicom.write_seg(site.label, other, NAMED, seed="x")


@bad("SEG and RTSTRUCT", "an RTSTRUCT that points at another series", REGIONS,
     Refused("foreign_reference"), FOREIGN)  # fmt: skip
def foreign_regions(site: Site) -> None:
    other = put_series(site.raw / "elsewhere", "another patient")
    dicom.write_rtstruct(site.label, other, NAMED, seed="x")


@bad("SEG and RTSTRUCT", "an RTSTRUCT with another frame of reference", REGIONS,
     Refused("foreign_reference"), FOREIGN)  # fmt: skip
def foreign_frame(site: Site) -> None:
    def change(data: Dataset) -> None:
        for region in data.StructureSetROISequence:
            region.ReferencedFrameOfReferenceUID = "1.2.3"

    edit(site.label, change)


@bad("SEG and RTSTRUCT", "a SEG frame between two slices", SEG, Refused("geometry_mismatch"),
     FOREIGN)  # fmt: skip
def seg_between(site: Site) -> None:
    def change(data: Dataset) -> None:
        item = data.PerFrameFunctionalGroupsSequence[0]
        item.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 2.5]

    edit(site.label, change)


@bad("SEG and RTSTRUCT", "a SEG that claims another size than it holds", SEG,
     Refused("truncated_file"), "Fetch the file again.")  # fmt: skip
def seg_size(site: Site) -> None:
    set_tags(site.label, Rows=40)


@bad("SEG and RTSTRUCT", "a SEG that declares more frames than it has", SEG,
     Refused("frame_mismatch"), "Fetch the file again.")  # fmt: skip
def seg_frames(site: Site) -> None:
    set_tags(site.label, NumberOfFrames=99)


@bad("SEG and RTSTRUCT", "a segment the recipe does not name", SEG,
     Refused("unknown_label_value"), "Name it under `structures` or `ignore`.")  # fmt: skip
def unnamed_segment(site: Site) -> None:
    def change(data: Dataset) -> None:
        data.SegmentSequence[0].SegmentLabel = "Spleen"

    edit(site.label, change)


def _contour(site: Site, change: Callable[[Dataset], object]) -> None:
    edit(site.label, lambda data: change(data.ROIContourSequence[0].ContourSequence[0]))


@bad("SEG and RTSTRUCT", "an open contour", REGIONS, Refused("bad_contour"),
     "It has no inside; close it or skip the case.")  # fmt: skip
def open_contour(site: Site) -> None:
    _contour(site, lambda c: setattr(c, "ContourGeometricType", "OPEN_PLANAR"))


@bad("SEG and RTSTRUCT", "a contour that leaves its slice", REGIONS, Refused("bad_contour"),
     "It was drawn on another series, or is damaged.")  # fmt: skip
def out_of_plane(site: Site) -> None:
    def change(contour: Dataset) -> None:
        points = list(contour.ContourData)
        points[2] = float(points[2]) + 5.0
        contour.ContourData = points

    _contour(site, change)


@bad("SEG and RTSTRUCT", "a contour beyond the last slice", REGIONS, Refused("bad_contour"),
     "It was drawn on another series, or the series is not whole.")  # fmt: skip
def beyond(site: Site) -> None:
    def change(contour: Dataset) -> None:
        points = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)
        points[:, 2] += 100.0
        contour.ContourData = points.ravel().tolist()

    _contour(site, change)


@bad("SEG and RTSTRUCT", "a contour of two points", REGIONS, Refused("bad_contour"),
     "It has no inside; repair it or skip the case.")  # fmt: skip
def two_points_contour(site: Site) -> None:
    _contour(site, lambda c: setattr(c, "ContourData", list(c.ContourData)[:6]))


@bad("SEG and RTSTRUCT", "a CT slice where a SEG is expected", SEG, Refused("shape_mismatch"),
     "It is a volume of one slice; give the segmentation.")  # fmt: skip
def slice_as_seg(site: Site) -> None:
    site.label.write_bytes(slices(site)[0].read_bytes())


@bad("SEG and RTSTRUCT", "a SEG where the image is expected", SERIES, Refused("missing_file"),
     "Give the series the masks were drawn on.")  # fmt: skip
def seg_as_image(site: Site) -> None:
    elsewhere = put_series(site.raw / "elsewhere", "x")
    for path in slices(site):
        path.unlink()
    dicom.write_seg(site.image / "1.dcm", elsewhere, NAMED, seed="x")
