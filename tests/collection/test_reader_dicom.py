"""DICOM series and single files: values, geometry, choice of a series, compression."""

from __future__ import annotations

import shutil
from pathlib import Path

import dicom_makers as make
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_makers import ORIGIN, SPACING, VOLUME, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate

from engine.collection.readers import extension_of
from engine.collection.replica.dicom import SYNTAXES
from engine.errors import CaseRefusedError, UserError

OBLIQUE = (0.8, 0.6, 0.0, -0.48, 0.64, 0.6)


def refused(path: Path, **pick: str) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        read(path, **pick)
    assert str(path) in str(caught.value) or path.name in str(caught.value)
    return caught.value


def by_simpleitk(folder: Path) -> sitk.Image:
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def affine_of(image: sitk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE])
def test_simpleitk_agrees_on_values_and_place(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    make.series(tmp_path, orientation=orientation, slope=2, intercept=-1024)
    raw, theirs = read(tmp_path), by_simpleitk(tmp_path)
    np.testing.assert_array_equal(raw.array.transpose(2, 1, 0), sitk.GetArrayFromImage(theirs))
    np.testing.assert_allclose(raw.affine, affine_of(theirs), atol=1e-9)
    assert raw.spacing_mm == pytest.approx(theirs.GetSpacing())
    assert (raw.kind, raw.time_axis, raw.channel_axis) == ("volume", None, None)


def test_slices_are_sorted_by_place_not_by_name_or_number(tmp_path: Path) -> None:
    names = ["e", "a.txt", "c.dcm", "d", "b"]
    written = make.series(tmp_path, names=names)
    for n, path in enumerate(written.files):
        make.set_to(path, InstanceNumber=[3, 1, 5, 2, 4][n])
    raw = read(tmp_path)
    np.testing.assert_array_equal(raw.array.transpose(2, 1, 0), VOLUME)
    assert raw.slices is not None
    assert raw.slices.names == tuple(names)
    assert raw.slices.sop_uids == tuple(h.SOPInstanceUID for h in written.headers)
    assert raw.slices.series_uid == written.series_uid
    assert raw.slices.frame_of_reference == written.frame_of_reference


@pytest.mark.parametrize(("slope", "intercept", "stored", "expected"), [
    (1, 0, "int16", "int16"), (1, 0, "uint8", "uint8"), (1, -1024, "uint8", "int16"),
    (1, -1024, "uint16", "int32"), (3, 7, "int16", "int32"), (0.5, 0, "int16", "float64"),
])  # fmt: skip
def test_whole_values_stay_whole(
    tmp_path: Path, slope: float, intercept: float, stored: str, expected: str
) -> None:
    volume = (np.abs(VOLUME) % 250).astype(stored)
    make.series(tmp_path, volume, slope=slope, intercept=intercept)
    raw = read(tmp_path)
    assert raw.array.dtype == expected
    np.testing.assert_array_equal(
        raw.array.transpose(2, 1, 0), volume.astype(float) * slope + intercept
    )


def test_slope_and_intercept_of_every_slice_count(tmp_path: Path) -> None:
    written = make.series(tmp_path, modality="PT")
    slopes = [1, 2, 0.25, 3, 1.5]
    for slope, path in zip(slopes, written.files, strict=True):
        make.set_to(path, RescaleSlope=slope, RescaleIntercept=-slope)
    expected = VOLUME * np.reshape(slopes, (5, 1, 1)) - np.reshape(slopes, (5, 1, 1))
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), expected)


def test_twelve_bits_with_a_whole_intercept_fit_int16(tmp_path: Path) -> None:
    volume = (np.abs(VOLUME) % 4096).astype(np.uint16)
    make.series(tmp_path, volume, intercept=-1024, tags={"BitsStored": 12, "HighBit": 11})
    assert read(tmp_path).array.dtype == np.int16
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), volume - 1024.0)


@pytest.mark.parametrize("signed", [False, True])
def test_unused_bits_are_no_values(tmp_path: Path, signed: bool) -> None:
    """Old files keep overlays in the four high bits."""
    values = VOLUME % 4096 - (2048 if signed else 0)
    stored = (values & 0x0FFF | 0x5000).astype(np.uint16).view(np.int16 if signed else np.uint16)
    make.series(tmp_path, stored, tags={"BitsStored": 12, "HighBit": 11})
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), values)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_simpleitk(tmp_path)), values)


@pytest.mark.parametrize("signed", [False, True])
def test_values_may_begin_above_the_lowest_bit(tmp_path: Path, signed: bool) -> None:
    values = VOLUME % 4096 - (2048 if signed else 0)
    stored = ((values << 4) | 0x3).astype(np.int16 if signed else np.uint16)
    make.series(tmp_path, stored, tags={"BitsStored": 12, "HighBit": 15})
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), values)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8"])
def test_compression_changes_nothing(tmp_path: Path, syntax: str, dtype: str) -> None:
    volume = VOLUME.astype(dtype)
    make.series(tmp_path, volume, syntax=syntax)
    raw = read(tmp_path)
    assert raw.array.dtype == dtype
    np.testing.assert_array_equal(raw.array.transpose(2, 1, 0), volume)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_simpleitk(tmp_path)), volume)


def test_compression_that_nothing_decodes(tmp_path: Path) -> None:
    written = make.series(tmp_path)

    def change(data: Dataset) -> None:
        data.file_meta.TransferSyntaxUID = uid.MPEG4HP41
        data.PixelData = encapsulate([b"\0" * 20])
        data["PixelData"].VR = "OB"

    make.edit(written.files[2], change)
    assert refused(tmp_path).code == "unsupported_layout"


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    make.series(tmp_path)
    (tmp_path / "notes.txt").write_text("slices 2 and 3 were repeated")
    (tmp_path / "Thumbs.db").write_bytes(b"\0" * 40)
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 40)
    (tmp_path / "._0001.dcm").write_bytes(b"\0" * 40)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 200)
    (tmp_path / "more").mkdir()
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), VOLUME)
    assert extension_of(tmp_path) == "dicom/"


@pytest.mark.parametrize(
    ("names", "broken"), [(None, "0009.dcm"), (list("abcde"), "f"), (list("abcde"), "g.IMA")]
)
@pytest.mark.parametrize("content", [b"", b"\0" * 500])
def test_a_damaged_file_among_the_slices_is_not_passed_over(
    tmp_path: Path, names: list[str] | None, broken: str, content: bytes
) -> None:
    """It may be the last slice, whose absence no gap would show."""
    make.series(tmp_path, names=names)
    (tmp_path / broken).write_bytes(content)
    error = refused(tmp_path)
    assert error.code == ("unreadable_file" if content else "truncated_file")
    assert broken in str(error)


def test_labels_in_the_same_folder_are_no_slices(tmp_path: Path) -> None:
    from engine.collection.replica.dicom import write_rtstruct, write_seg

    written = make.series(tmp_path)
    write_seg(tmp_path / "seg.dcm", written, make.masks(), seed="s")
    write_rtstruct(tmp_path / "rt.dcm", written, make.masks(), seed="s")
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), VOLUME)


def test_two_series_need_a_choice(tmp_path: Path) -> None:
    make.series(tmp_path, tags={"SeriesDescription": "portal", "EchoNumbers": 1})
    late = {"SeriesDescription": "late phase", "ImageType": ["ORIGINAL", "AXIAL"]}
    make.series(tmp_path, VOLUME[:, ::-1], seed="b", names=list("vwxyz"), tags=late)
    error = refused(tmp_path)
    assert error.code == "several_series"
    assert "portal" in str(error)
    assert "late phase" in str(error)
    chosen = read(tmp_path, SeriesDescription="late*").array
    np.testing.assert_array_equal(chosen.transpose(2, 1, 0), VOLUME[:, ::-1])
    np.testing.assert_array_equal(read(tmp_path, ImageType=r"ORIGINAL\AX*").array, chosen)
    np.testing.assert_array_equal(read(tmp_path, EchoNumbers="1").array.transpose(2, 1, 0), VOLUME)
    nothing = refused(tmp_path, SeriesDescription="arterial")
    assert nothing.code == "several_series"
    assert "late phase" in str(nothing)
    with pytest.raises(UserError, match="no DICOM keyword"):
        read(tmp_path, SeriesDescriptoin="late*")


def test_missing_slices_are_named_by_their_place(tmp_path: Path) -> None:
    written = make.series(tmp_path)
    written.files[2].unlink()
    error = refused(tmp_path)
    assert error.code == "missing_slices"
    assert f"{ORIGIN[2] + 2 * SPACING[0]:.6g}" in str(error)


@pytest.mark.parametrize("gone", [{1}, {1, 2}, {3}, {1, 3, 5}])
def test_any_inner_slices_may_be_missing(tmp_path: Path, gone: set[int]) -> None:
    written = make.series(tmp_path, np.concatenate([VOLUME, VOLUME]))
    for n in gone:
        written.files[n].unlink()
    assert refused(tmp_path).code == "missing_slices"


def test_slices_twice_in_one_place(tmp_path: Path) -> None:
    written = make.series(tmp_path)
    twin = tmp_path / "twin.dcm"
    shutil.copy(written.files[1], twin)
    make.set_to(twin, SOPInstanceUID="1.2.3.4")
    np.testing.assert_array_equal(read(tmp_path).array.transpose(2, 1, 0), VOLUME)  # equal pixels
    make.edit(twin, lambda data: setattr(data, "PixelData", data.PixelData[::-1]))
    error = refused(tmp_path)
    assert error.code == "duplicate_slices"
    assert "twin.dcm" in str(error)


def test_a_whole_second_copy_counts_once(tmp_path: Path) -> None:
    for path in make.series(tmp_path).files:
        shutil.copy(path, tmp_path / f"copy of {path.name}")
    assert read(tmp_path).array.shape == (12, 9, 5)


@pytest.mark.parametrize("tags", [
    {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
    {"Rows": 6, "Columns": 18},
])  # fmt: skip
def test_mixed_orientations_and_sizes(tmp_path: Path, tags: dict[str, object]) -> None:
    written = make.series(tmp_path)
    make.set_to(written.files[0], **tags)
    error = refused(tmp_path)
    assert error.code == "mixed_orientations"
    assert written.files[0].name in str(error)


@pytest.mark.parametrize("tags", [
    {"PixelSpacing": [0.7, 0.9]}, {"PixelSpacing": [0.7, -0.8]}, {"PixelSpacing": None},
    {"ImagePositionPatient": None}, {"ImageOrientationPatient": None},
    {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
    {"ImagePositionPatient": [ORIGIN[0] + 3, *ORIGIN[1:]]},
    {"ImagePositionPatient": [*ORIGIN[:2], ORIGIN[2] + 0.6]},
])  # fmt: skip
def test_geometry_that_is_no_grid(tmp_path: Path, tags: dict[str, object]) -> None:
    written = make.series(tmp_path)
    make.set_to(written.files[0], **tags)
    assert refused(tmp_path).code == "bad_geometry"


def test_a_tilted_gantry_is_refused(tmp_path: Path) -> None:
    for n, path in enumerate(make.series(tmp_path).files):
        make.set_to(
            path, ImagePositionPatient=[ORIGIN[0], ORIGIN[1] + 0.4 * n, ORIGIN[2] + 2.5 * n]
        )
    error = refused(tmp_path)
    assert error.code == "bad_geometry"
    assert "9.09 degrees" in str(error)


def test_rounded_positions_are_a_grid(tmp_path: Path) -> None:
    """0.703 mm written with two decimals: gaps of 0.70 and 0.71 mm."""
    make.series(tmp_path, spacing_mm=(0.703, 0.7, 0.8))
    for n, path in enumerate(sorted(tmp_path.iterdir())):
        make.set_to(path, ImagePositionPatient=[*ORIGIN[:2], round(ORIGIN[2] + 0.703 * n, 2)])
    assert read(tmp_path).spacing_mm == pytest.approx((0.8, 0.7, 0.703), abs=0.003)


def test_time_points_are_told_apart_by_a_tag(tmp_path: Path) -> None:
    four = np.stack([VOLUME, VOLUME[:, ::-1], VOLUME[::-1]])
    make.series(tmp_path, four)
    raw = read(tmp_path)
    assert raw.time_axis == 3
    np.testing.assert_array_equal(raw.array.transpose(3, 2, 1, 0), four)
    for path in tmp_path.iterdir():
        make.set_to(path, TemporalPositionIdentifier=None)
    assert refused(tmp_path).code == "duplicate_slices"


def test_trigger_times_may_differ_from_slice_to_slice(tmp_path: Path) -> None:
    four = np.stack([VOLUME, VOLUME[:, ::-1]])
    make.series(tmp_path, four, modality="MR")
    for n, path in enumerate(sorted(tmp_path.iterdir())):
        time = (30.5 if n < 5 else 200.25) + n % 5
        make.set_to(path, TemporalPositionIdentifier=None, TriggerTime=time)
    np.testing.assert_array_equal(read(tmp_path).array.transpose(3, 2, 1, 0), four)


def test_echoes_must_be_the_same_everywhere(tmp_path: Path) -> None:
    make.series(tmp_path, np.stack([VOLUME, VOLUME[:, ::-1]]))
    for n, path in enumerate(sorted(tmp_path.iterdir())):
        make.set_to(path, TemporalPositionIdentifier=None, EchoTime=n)
    assert refused(tmp_path).code == "duplicate_slices"


def test_an_incomplete_time_point_is_refused(tmp_path: Path) -> None:
    make.series(tmp_path, np.stack([VOLUME, VOLUME[:, ::-1]]))
    (tmp_path / "0007.dcm").unlink()
    assert refused(tmp_path).code == "duplicate_slices"


def test_frames_of_one_file_lie_where_they_say(tmp_path: Path) -> None:
    path = make.enhanced(tmp_path / "e.dcm", VOLUME, order=[3, 0, 4, 1, 2])
    raw = read(path)
    np.testing.assert_array_equal(raw.array.transpose(2, 1, 0), VOLUME)
    np.testing.assert_allclose(raw.affine[:3, 3], ORIGIN)
    assert raw.spacing_mm == pytest.approx((0.8, 0.7, 2.5))
    assert raw.slices is not None
    assert raw.slices.names == ("e.dcm",) * 5
    folder = read(tmp_path)
    np.testing.assert_array_equal(folder.array, raw.array)


def test_frames_of_one_file_may_be_times(tmp_path: Path) -> None:
    both = np.concatenate([VOLUME, VOLUME[:, ::-1]])
    groups = [{"FrameContentSequence": [make.items(TemporalPositionIndex=1 + n // 5)]}
              for n in range(10)]  # fmt: skip
    path = tmp_path / "e.dcm"
    make.enhanced(path, both, order=range(10), groups=groups)

    def change(data: Dataset) -> None:
        for n, item in enumerate(data.PerFrameFunctionalGroupsSequence):
            place = [*ORIGIN[:2], ORIGIN[2] + 2.5 * (n % 5)]
            item.PlanePositionSequence[0].ImagePositionPatient = place

    make.edit(path, change)
    raw = read(path)
    assert raw.time_axis == 3
    np.testing.assert_array_equal(raw.frame(1).transpose(2, 1, 0), VOLUME[:, ::-1])


def test_frames_of_one_file_without_places_are_refused(tmp_path: Path) -> None:
    path = make.picture(tmp_path / "e.dcm", VOLUME, tags={"ImagePositionPatient": [0, 0, 0]})
    assert refused(path).code == "unsupported_layout"


def test_another_number_of_functional_groups(tmp_path: Path) -> None:
    path = make.enhanced(tmp_path / "e.dcm", VOLUME, order=range(5))
    make.edit(path, lambda data: data.PerFrameFunctionalGroupsSequence.pop())
    assert refused(path).code == "frame_mismatch"


def test_one_slice_has_its_thickness(tmp_path: Path) -> None:
    (path,) = make.series(tmp_path, VOLUME[:1]).files
    raw = read(path)
    assert (raw.kind, raw.array.shape, raw.spacing_mm) == ("volume", (12, 9, 1), (0.8, 0.7, 2.5))
    make.set_to(path, SliceThickness=None)
    flat = read(path)
    assert (flat.kind, flat.spacing_mm) == ("image", (0.7, 0.8))
    np.testing.assert_array_equal(flat.array, VOLUME[0])


GREY = (np.arange(63).reshape(7, 9) * 3).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg_ls"])
def test_pictures_in_grey_and_colour(tmp_path: Path, syntax: str) -> None:
    grey = read(make.picture(tmp_path / "g.dcm", GREY, syntax=syntax, spacing_mm=(0.1, 0.2)))
    assert (grey.kind, grey.spacing_mm, grey.affine) == ("image", (0.1, 0.2), None)
    np.testing.assert_array_equal(grey.array, GREY)
    colour = read(make.picture(tmp_path / "c.dcm", RGB, syntax=syntax))
    assert (colour.kind, colour.channel_axis, colour.time_axis) == ("image", 2, None)
    np.testing.assert_array_equal(colour.array, RGB)


def test_colour_by_plane_and_as_luminance(tmp_path: Path) -> None:
    path = make.picture(tmp_path / "c.dcm", RGB)
    planar = np.ascontiguousarray(RGB.transpose(2, 0, 1)).tobytes()
    make.set_to(path, PlanarConfiguration=1, PixelData=planar + b"\0" * (len(planar) % 2))
    np.testing.assert_array_equal(read(path).array, RGB)
    make.picture(path, np.full((4, 4, 3), [76, 85, 255], np.uint8))
    make.set_to(path, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(read(path).array, np.full((4, 4, 3), [254, 0, 0]), atol=1)


def test_several_frames_of_a_picture_are_times(tmp_path: Path) -> None:
    frames = np.stack([RGB, RGB[::-1]])
    raw = read(make.picture(tmp_path / "v.dcm", frames))
    assert (raw.time_axis, raw.channel_axis) == (0, 3)
    np.testing.assert_array_equal(raw.array, frames)


def test_monochrome1_pictures_are_inverted_and_volumes_are_not(tmp_path: Path) -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1"}
    picture = make.picture(tmp_path / "p.dcm", GREY, tags=tags)
    np.testing.assert_array_equal(read(picture).array, 255 - GREY)
    twelve = make.picture(tmp_path / "q.dcm", GREY.astype(np.uint16),
                          tags={**tags, "BitsStored": 12, "HighBit": 11})  # fmt: skip
    np.testing.assert_array_equal(read(twelve).array, 4095 - GREY.astype(int))
    signed = make.picture(tmp_path / "r.dcm", VOLUME[0], tags=tags)
    np.testing.assert_array_equal(read(signed).array, -1 - VOLUME[0])
    make.series(tmp_path / "ct", tags=tags)
    np.testing.assert_array_equal(read(tmp_path / "ct").array.transpose(2, 1, 0), VOLUME)


def test_palettes_are_colours_of_images_and_indices_of_labels(tmp_path: Path) -> None:
    indices = (GREY % 4).astype(np.uint8)
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 64], [7, 8, 9]], dtype=np.uint8)
    path = make.picture(
        tmp_path / "p.dcm", indices, tags={"PhotometricInterpretation": "PALETTE COLOR"}
    )

    def change(data: Dataset) -> None:
        for column, colour in enumerate(("Red", "Green", "Blue")):
            wide = (table[:, column].astype("<u2") * 257).tobytes()
            data.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [4, 0, 16])
            data.add_new(f"{colour}PaletteColorLookupTableData", "OW", wide)

    make.edit(path, change)
    np.testing.assert_array_equal(read(path).array, table[indices])
    from engine.collection.readers.dicom import DICOM

    label = DICOM.read_labels(path)
    np.testing.assert_array_equal(label.array, indices)
    np.testing.assert_array_equal(label.palette, table)


def test_float_pixels(tmp_path: Path) -> None:
    (path,) = make.series(tmp_path, VOLUME[:1]).files
    values = (VOLUME[0] / 8).astype("<f4")

    def change(data: Dataset) -> None:
        del data.PixelData
        data.BitsAllocated = 32
        data.FloatPixelData = values.tobytes()

    make.edit(path, change)
    raw = read(path)
    assert raw.array.dtype == np.float32
    np.testing.assert_array_equal(raw.array[:, :, 0].T, values)
    values[2, 2] = np.nan
    make.edit(path, lambda data: setattr(data, "FloatPixelData", values.tobytes()))
    assert refused(path).code == "non_finite"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.3125, 0.7, 1.0, 3.3])] * 3),
    origin=st.tuples(*[st.floats(-400, 400)] * 3),
)
def test_any_direction_agrees_with_simpleitk(
    tmp_path: Path,
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
) -> None:
    folder = tmp_path / "s"
    shutil.rmtree(folder, ignore_errors=True)
    turn = sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix()
    columns = np.reshape(turn, (3, 3))[:, :2].T.ravel().tolist()
    make.series(folder, spacing_mm=spacing, origin_mm=origin, orientation=columns)
    raw, theirs = read(folder), by_simpleitk(folder)
    np.testing.assert_allclose(raw.affine, affine_of(theirs), atol=1e-5)
    np.testing.assert_array_equal(raw.array.transpose(2, 1, 0), sitk.GetArrayFromImage(theirs))


def test_what_was_written_is_dicom(tmp_path: Path) -> None:
    """The makers are no readers' twins: pydicom sees what they were asked to write."""
    written = make.series(tmp_path)
    data = dcmread(written.files[0])
    np.testing.assert_array_equal(data.pixel_array, VOLUME[0])
    assert [float(v) for v in data.ImagePositionPatient] == list(ORIGIN)
