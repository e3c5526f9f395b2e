"""NIfTI: values, dtypes, geometry, and every way a file can be bad."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from raw_makers import nifti

from engine.collection.readers import reader_for
from engine.collection.readers.base import RawImage
from engine.errors import CaseRefusedError, UserError

VOXELS = np.arange(-12, 12, dtype=np.int16).reshape(2, 3, 4)
OBLIQUE = np.array(
    [[-0.5, 0.02, 0.3, 9.4], [0.01, 0.8, -0.9, -13.2], [0.03, 0.1, 7.4, 2.5], [0, 0, 0, 1]]
)


def read(path: Path) -> RawImage:
    return reader_for(path).read(path)


def refused(path: Path) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "uint16", "float32", "float64"])
def test_values_and_dtype_are_those_of_the_file(tmp_path: Path, name: str, dtype: str) -> None:
    array = (VOXELS + 20).astype(dtype)
    raw = read(nifti(tmp_path / name, array, OBLIQUE))
    np.testing.assert_array_equal(raw.array, array)
    assert raw.array.dtype == dtype
    assert raw.kind == "volume"
    assert (raw.time_axis, raw.channel_axis) == (None, None)


def test_slope_one_and_intercept_zero_keep_integers(tmp_path: Path) -> None:
    raw = read(nifti(tmp_path / "a.nii.gz", VOXELS, slope=1.0, inter=0.0))
    assert raw.array.dtype == np.int16


def test_whole_slope_and_intercept_keep_whole_numbers(tmp_path: Path) -> None:
    raw = read(nifti(tmp_path / "a.nii.gz", VOXELS, slope=2.0, inter=-1024.0))
    assert raw.array.dtype == np.int32
    np.testing.assert_array_equal(raw.array, VOXELS.astype(int) * 2 - 1024)


def test_fractions_are_float64(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", VOXELS, slope=0.25, inter=3.0)
    raw = read(path)
    assert raw.array.dtype == np.float64
    np.testing.assert_array_equal(raw.array, VOXELS * 0.25 + 3)
    np.testing.assert_array_equal(raw.array, np.asarray(nib.load(path).dataobj))


def test_big_endian_files_arrive_in_native_order(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOXELS, np.eye(4)).as_reoriented(np.array([[0, 1], [1, 1], [2, 1]]))
    header = image.header.as_byteswapped(">")
    swapped = nib.Nifti1Image(VOXELS, np.eye(4), header)
    (tmp_path / "a.nii").write_bytes(swapped.to_bytes())
    raw = read(tmp_path / "a.nii")
    assert raw.array.dtype == np.dtype("int16")
    assert raw.array.dtype.isnative
    np.testing.assert_array_equal(raw.array, VOXELS)


def test_nifti_2(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(nib.Nifti2Image(VOXELS, OBLIQUE).to_bytes())
    np.testing.assert_array_equal(read(tmp_path / "a.nii").array, VOXELS)


def test_affine_is_lps_as_simpleitk_reads_it(tmp_path: Path) -> None:
    rotation, _ = np.linalg.qr(OBLIQUE[:3, :3])
    affine = OBLIQUE.copy()
    affine[:3, :3] = rotation * np.array([0.5, 0.8, 7.5])
    path = nifti(tmp_path / "a.nii.gz", VOXELS, affine)
    raw, image = read(path), sitk.ReadImage(str(path))
    assert raw.affine is not None
    assert raw.spacing_mm == pytest.approx(image.GetSpacing(), rel=1e-6)
    np.testing.assert_allclose(raw.affine[:3, 3], image.GetOrigin(), rtol=1e-6)
    ours = raw.affine[:3, :3] / np.array(raw.spacing_mm)
    np.testing.assert_allclose(ours.ravel(), image.GetDirection(), atol=1e-6)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("meter", 1000), ("micron", 0.001)])
def test_units_become_millimetres(tmp_path: Path, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(VOXELS, np.diag([2.0, 3, 4, 1]))
    image.header.set_xyzt_units(unit)
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    raw = read(tmp_path / "a.nii")
    assert raw.spacing_mm == pytest.approx((2 * factor, 3 * factor, 4 * factor))


def test_a_file_that_states_no_orientation_gets_none(tmp_path: Path) -> None:
    raw = read(nifti(tmp_path / "a.nii.gz", VOXELS, np.diag([2.0, 3, 4, 1]), coded=False))
    assert raw.affine is None
    assert raw.spacing_mm == pytest.approx((2, 3, 4))


@pytest.mark.parametrize(
    ("shape", "placed", "time_axis"),
    [
        ((2, 3), (2, 3, 1), None),
        ((2, 3, 4), (2, 3, 4), None),
        ((2, 3, 4, 1), (2, 3, 4), None),
        ((2, 3, 4, 5), (2, 3, 4, 5), 3),
        ((2, 3, 1, 5), (2, 3, 1, 5), 3),
        ((2, 3, 4, 1, 5), (2, 3, 4, 5), 3),
    ],
)
def test_axes(
    tmp_path: Path, shape: tuple[int, ...], placed: tuple[int, ...], time_axis: int | None
) -> None:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    raw = read(nifti(tmp_path / "a.nii.gz", array))
    assert raw.array.shape == placed
    assert raw.time_axis == time_axis
    assert raw.frames == (5 if time_axis else 1)
    np.testing.assert_array_equal(
        raw.frame(raw.frames - 1).ravel(),
        raw.array[..., -1].ravel() if time_axis else raw.array.ravel(),
    )


def test_rgb_voxels_have_a_channel_axis(tmp_path: Path) -> None:
    colours = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    packed = colours.copy().view(kind).reshape(2, 3, 4)
    (tmp_path / "a.nii").write_bytes(nib.Nifti1Image(packed, np.eye(4)).to_bytes())
    raw = read(tmp_path / "a.nii")
    assert (raw.channel_axis, raw.time_axis) == (3, None)
    np.testing.assert_array_equal(raw.array, colours)


def test_two_frame_axes_are_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", np.zeros((2, 2, 2, 2, 2), dtype=np.uint8))
    assert refused(path).code == "unsupported_layout"


def test_complex_values_are_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", np.zeros((2, 2, 2), dtype=np.complex64))
    assert refused(path).code == "unreadable_file"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    array = np.zeros((2, 3, 4), dtype=np.float32)
    array[1, 2, 3] = bad
    error = refused(nifti(tmp_path / "a.nii.gz", array))
    assert error.code == "non_finite"
    assert "(1, 2, 3)" in str(error)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.97])
def test_a_truncated_nii_gz_is_refused(tmp_path: Path, keep: float) -> None:
    rng = np.random.default_rng(0)
    path = nifti(tmp_path / "a.nii.gz", rng.integers(0, 2**15, (9, 9, 9)).astype(np.int16))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert refused(path).code == "truncated_file"


def test_a_nii_gz_without_its_last_byte_is_refused(tmp_path: Path) -> None:
    """All voxels are there; only the checksum at the end is cut. nibabel itself does not notice."""
    path = nifti(tmp_path / "a.nii.gz", VOXELS)
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(path).code == "truncated_file"


def test_a_flipped_bit_in_a_nii_gz_is_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", VOXELS)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum
    path.write_bytes(content)
    assert refused(path).code == "unreadable_file"


@pytest.mark.parametrize("size", [100, 349, 380])
def test_a_truncated_nii_is_refused(tmp_path: Path, size: int) -> None:
    path = nifti(tmp_path / "a.nii", VOXELS)
    path.write_bytes(path.read_bytes()[:size])
    assert refused(path).code == "truncated_file"


@pytest.mark.parametrize("content", [b"", b"abc", b"not an image at all" * 40])
def test_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii").write_bytes(content)
    assert refused(tmp_path / "a.nii").code == "unreadable_file"
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    assert refused(tmp_path / "a.nii.gz").code == "unreadable_file"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.nii").code == "missing_file"
    assert refused(tmp_path / "a.nii.gz").code == "missing_file"


def test_a_singular_affine_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOXELS, np.eye(4))
    image.header["srow_z"] = (0, 0, 0, 0)
    image.header["qform_code"] = 0
    (tmp_path / "a.nii").write_bytes(_with_header(image))
    assert refused(tmp_path / "a.nii").code == "bad_geometry"


def test_sform_and_qform_that_flip_an_axis_are_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOXELS, np.eye(4))
    image.set_sform(np.diag([-1.0, 1, 1, 1]), code=1)
    image.set_qform(np.diag([1.0, 1, 1, 1]), code=1)
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    assert refused(tmp_path / "a.nii").code == "ambiguous_orientation"
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    assert read(tmp_path / "a.nii").affine is not None


def _with_header(image: nib.Nifti1Image) -> bytes:
    """`to_bytes` writes the affine anew; patch sform's third row (bytes 312..327) to zero."""
    content = bytearray(image.to_bytes())
    content[312:328] = bytes(16)
    content[252:254] = bytes(2)  # qform_code
    return bytes(content)


def test_unknown_endings_name_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no reader") as caught:
        reader_for(tmp_path / "a.nii.gs")
    assert "did you mean '.nii.gz'?" in str(caught.value)
