"""DICOM segmentations: masks on the image's grid, and images they do not belong to."""

from __future__ import annotations

import shutil
from pathlib import Path

import dicom_makers as make
import highdicom as hd
import numpy as np
import pytest
import raw_makers
from dicom_makers import ORIGIN, SPACING, VOLUME, labels, painted
from pydicom import Dataset, dcmread

from engine.collection.readers import reader_for
from engine.collection.readers.base import PLAIN, ImageFile
from engine.collection.replica.dicom import WrittenSeries, write_seg
from engine.errors import CaseRefusedError

OBLIQUE = (0.8, 0.6, 0.0, -0.48, 0.64, 0.6)


def refused(path: Path, image: Path) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        labels(path, image)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.fixture
def written(tmp_path: Path) -> WrittenSeries:
    return make.series(tmp_path / "ct")


@pytest.fixture
def seg(tmp_path: Path, written: WrittenSeries) -> Path:
    write_seg(tmp_path / "seg.dcm", written, make.masks(), seed="s")
    return tmp_path / "seg.dcm"


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), OBLIQUE])
def test_masks_are_those_that_were_drawn(
    tmp_path: Path, kind: str, orientation: tuple[float, ...]
) -> None:
    series = make.series(tmp_path / "ct", orientation=orientation, names=list("edcba"))
    write_seg(tmp_path / "seg.dcm", series, make.masks(), seed="s", kind=kind)
    raw = labels(tmp_path / "seg.dcm", tmp_path / "ct")
    assert raw.names == ("ring", "other", "nothing")
    assert [(one.name, one.number) for one in raw.objects] == [("ring", 1), ("other", 2)]
    for name, mask in painted(raw, VOLUME.shape).items():
        np.testing.assert_array_equal(mask, make.masks()[name])


def test_a_label_map(tmp_path: Path, written: WrittenSeries) -> None:
    masks = make.masks()
    masks["other"] &= ~masks["ring"]
    write_seg(tmp_path / "seg.dcm", written, masks, seed="s", kind="LABELMAP")
    ours = painted(labels(tmp_path / "seg.dcm", tmp_path / "ct"), VOLUME.shape)
    assert list(ours) == ["ring", "other"]
    for name, mask in ours.items():
        np.testing.assert_array_equal(mask, masks[name])


def test_highdicom_reads_the_same(tmp_path: Path, seg: Path) -> None:
    read = hd.seg.segread(seg)
    order = [h.SOPInstanceUID for h in (dcmread(p) for p in sorted((tmp_path / "ct").iterdir()))]
    theirs = read.get_pixels_by_source_instance(
        order, segment_numbers=[1, 2], ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    ours = painted(labels(seg, tmp_path / "ct"), VOLUME.shape)
    np.testing.assert_array_equal(np.stack([ours["ring"], ours["other"]], axis=-1), theirs)


def test_half_of_the_largest_fraction_belongs(tmp_path: Path, written: WrittenSeries) -> None:
    mask = make.masks()["ring"]
    write_seg(tmp_path / "seg.dcm", written, {"ring": mask}, seed="s", kind="FRACTIONAL")

    def change(data: Dataset) -> None:
        values = np.frombuffer(data.PixelData, np.uint8)[: 3 * 108].reshape(3, 9, 12).copy()
        values[0, 1, 2:4] = 100, 99  # of the highest slice, which highdicom writes first
        data.MaximumFractionalValue = 200
        data.PixelData = values.tobytes()

    make.edit(tmp_path / "seg.dcm", change)
    ours = painted(labels(tmp_path / "seg.dcm", tmp_path / "ct"), VOLUME.shape)["ring"]
    mask[3, 1, 3] = False
    np.testing.assert_array_equal(ours, mask)


def test_a_segmentation_of_another_series(tmp_path: Path, seg: Path) -> None:
    make.series(tmp_path / "other", seed="b")
    assert refused(seg, tmp_path / "other").code == "foreign_reference"


def test_the_same_slices_in_another_series(tmp_path: Path, seg: Path) -> None:
    for path in (tmp_path / "ct").iterdir():
        make.set_to(path, SeriesInstanceUID="1.2.3")
    assert refused(seg, tmp_path / "ct").code == "foreign_reference"


def test_another_frame_of_reference(tmp_path: Path, seg: Path) -> None:
    make.set_to(seg, FrameOfReferenceUID="1.2.3")
    assert refused(seg, tmp_path / "ct").code == "foreign_reference"


def test_a_frame_that_points_at_another_slice(tmp_path: Path, seg: Path) -> None:
    def change(data: Dataset) -> None:
        first, second = data.PerFrameFunctionalGroupsSequence[:2]
        first.DerivationImageSequence = second.DerivationImageSequence

    make.edit(seg, change)
    assert refused(seg, tmp_path / "ct").code == "foreign_reference"


def test_frames_that_point_at_objects_of_nobody(tmp_path: Path, seg: Path) -> None:
    """The series has the right name, but its slices are other ones."""
    for n, path in enumerate(sorted((tmp_path / "ct").iterdir())):
        make.set_to(path, SOPInstanceUID=f"1.2.3.{n}")
    assert refused(seg, tmp_path / "ct").code == "foreign_reference"


def test_labels_of_a_series_with_times_belong_to_all(tmp_path: Path) -> None:
    series = make.series(tmp_path / "mr", np.stack([VOLUME, VOLUME[:, ::-1]]))
    write_seg(tmp_path / "seg.dcm", series, make.masks(), seed="s")
    ours = painted(labels(tmp_path / "seg.dcm", tmp_path / "mr"), VOLUME.shape)
    np.testing.assert_array_equal(ours["other"], make.masks()["other"])


def test_a_segmentation_of_more_than_the_image(tmp_path: Path, seg: Path) -> None:
    """The image lacks its last slice, which no gap shows; the segmentation does."""
    (tmp_path / "ct" / "0005.dcm").unlink()
    assert refused(seg, tmp_path / "ct").code == "geometry_mismatch"


@pytest.mark.parametrize("more", [
    {"spacing_mm": (2.5, 0.7, 0.81)}, {"origin_mm": (ORIGIN[0] + 0.1, *ORIGIN[1:])},
    {"origin_mm": (*ORIGIN[:2], ORIGIN[2] + 1)}, {"orientation": (0, 1, 0, 1, 0, 0)},
    {"spacing_mm": (2.6, 0.7, 0.8)},
])  # fmt: skip
def test_another_grid(tmp_path: Path, seg: Path, more: dict[str, object]) -> None:
    shutil.rmtree(tmp_path / "ct")
    make.series(tmp_path / "ct", **more)  # the same identifiers, another place
    assert refused(seg, tmp_path / "ct").code in ("geometry_mismatch", "foreign_reference")


def test_another_size(tmp_path: Path, seg: Path) -> None:
    shutil.rmtree(tmp_path / "ct")
    make.series(tmp_path / "ct", VOLUME[:, :-1])
    assert refused(seg, tmp_path / "ct").code == "geometry_mismatch"


def test_the_image_may_come_in_another_format(tmp_path: Path, seg: Path) -> None:
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])  # RAS
    affine[:3, 3] = [-ORIGIN[0], -ORIGIN[1], ORIGIN[2]]
    path = raw_makers.nifti(tmp_path / "ct.nii", VOLUME.transpose(2, 1, 0), affine)
    ours = painted(labels(seg, path), VOLUME.shape)
    np.testing.assert_array_equal(ours["ring"], make.masks()["ring"])
    affine[0, 3] += 0.1
    raw_makers.nifti(path, VOLUME.transpose(2, 1, 0), affine)
    assert refused(seg, path).code == "geometry_mismatch"


def test_frames_of_undeclared_segments(tmp_path: Path, seg: Path) -> None:
    make.edit(seg, lambda data: data.SegmentSequence.pop(0))
    assert refused(seg, tmp_path / "ct").code == "unknown_label_value"


def test_two_masks_of_one_segment_in_one_slice(tmp_path: Path, seg: Path) -> None:
    def change(data: Dataset) -> None:
        groups = data.PerFrameFunctionalGroupsSequence
        groups[1] = groups[0]

    make.edit(seg, change)
    assert refused(seg, tmp_path / "ct").code == "duplicate_slices"


def test_another_number_of_frames(tmp_path: Path, seg: Path) -> None:
    make.set_to(seg, NumberOfFrames=4)
    assert refused(seg, tmp_path / "ct").code == "frame_mismatch"
    make.set_to(seg, NumberOfFrames=2**31 - 1)
    assert refused(seg, tmp_path / "ct").code in ("too_large", "frame_mismatch")


def test_a_segmentation_needs_its_image_and_is_none(tmp_path: Path, seg: Path) -> None:
    with pytest.raises(CaseRefusedError, match="without its image"):
        reader_for(seg).read_labels(seg)
    with pytest.raises(CaseRefusedError, match="holds no image"):
        reader_for(seg).read(seg)


def test_a_picture_can_be_segmented(tmp_path: Path) -> None:
    picture = make.picture(tmp_path / "p.dcm", (np.abs(VOLUME[0]) % 250).astype(np.uint8))
    data = dcmread(picture)
    mask = make.masks()["ring"][2]
    tissue = hd.sr.CodedConcept("85756007", "SCT", "Tissue")
    made = hd.seg.Segmentation(
        [data], mask[np.newaxis].astype(np.uint8), "BINARY",
        [hd.seg.SegmentDescription(1, "ring", tissue, tissue, "MANUAL")],
        series_instance_uid="1.2.9", series_number=2, sop_instance_uid="1.2.10", instance_number=1,
        manufacturer="m", manufacturer_model_name="m", software_versions="1",
        device_serial_number="0",
    )  # fmt: skip
    made.save_as(tmp_path / "seg.dcm")
    raw = labels(tmp_path / "seg.dcm", picture)
    np.testing.assert_array_equal(painted(raw, mask.shape)["ring"], mask)
    make.picture(picture, np.zeros((9, 11), np.uint8), seed="p.dcm")
    assert refused(tmp_path / "seg.dcm", picture).code == "geometry_mismatch"


def test_labels_may_be_values_of_a_series(tmp_path: Path, written: WrittenSeries) -> None:
    values = make.masks()["ring"].astype(np.uint8) * 3
    make.series(tmp_path / "labels", values, seed="l")
    image = ImageFile(tmp_path / "ct", make.read(tmp_path / "ct"))
    raw = reader_for(tmp_path / "labels").read_labels(tmp_path / "labels", PLAIN, image)
    np.testing.assert_array_equal(raw.array.transpose(2, 1, 0), values)
