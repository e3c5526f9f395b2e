"""Analyze 7.5 and NIfTI pairs, and NIfTI headers that claim too much."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from raw_makers import nifti

from engine.collection.readers import limits, reader_for
from engine.collection.readers.base import RawImage
from engine.errors import CaseRefusedError

VOXELS = np.arange(-60, 60, dtype=np.int16).reshape(6, 5, 4)
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 1.5, 0, -13], [0, 0, 3, 2], [0, 0, 0, 1]])


def read(path: Path) -> RawImage:
    return reader_for(path).read(path)


def refused(path: Path) -> str:
    with pytest.raises(CaseRefusedError) as caught:
        read(path)
    return caught.value.code


def analyze(path: Path, array: np.ndarray, pair: bool = False) -> Path:
    image = (nib.Nifti1Pair if pair else nib.AnalyzeImage)(array, AFFINE if pair else None)
    image.header.set_zooms((2.0, 1.5, 3.0) + (1.0,) * (array.ndim - 3))
    nib.save(image, path)
    return path


@pytest.mark.parametrize("named", [".hdr", ".img"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_analyze_has_spacing_and_no_orientation(tmp_path: Path, named: str, dtype: str) -> None:
    analyze(tmp_path / "a.img", VOXELS.astype(dtype))
    raw = read(tmp_path / f"a{named}")
    np.testing.assert_array_equal(raw.array, VOXELS.astype(dtype))
    assert raw.array.dtype == dtype
    assert raw.affine is None
    assert raw.spacing_mm == (2.0, 1.5, 3.0)
    referee = sitk.ReadImage(str(tmp_path / "a.hdr"))
    np.testing.assert_array_equal(raw.array, sitk.GetArrayFromImage(referee).T)


def test_a_nifti_pair_has_its_affine(tmp_path: Path) -> None:
    analyze(tmp_path / "a.img", VOXELS, pair=True)
    for ending in (".hdr", ".img"):
        raw = read(tmp_path / f"a{ending}")
        assert raw.affine is not None
        np.testing.assert_allclose(raw.affine, np.diag([-1, -1, 1, 1]) @ AFFINE)
        np.testing.assert_array_equal(raw.array, VOXELS)


def test_big_endian_and_four_axes(tmp_path: Path) -> None:
    frames = np.stack([VOXELS, VOXELS + 1], axis=3)
    header = nib.AnalyzeHeader(endianness=">")
    header.set_data_dtype(np.int16)
    nib.save(nib.AnalyzeImage(frames, None, header), tmp_path / "a.img")
    raw = read(tmp_path / "a.hdr")
    assert (raw.time_axis, raw.frames) == (3, 2)
    assert raw.array.dtype.isnative
    np.testing.assert_array_equal(raw.array, frames)


def test_the_pair_is_one(tmp_path: Path) -> None:
    header, data = tmp_path / "a.hdr", tmp_path / "a.img"
    assert reader_for(header).companions(header) == (data,)
    assert reader_for(data).companions(data) == (header,)
    upper = tmp_path / "A.HDR"
    assert reader_for(upper).companions(upper) == (tmp_path / "A.IMG",)
    assert refused(header) == "missing_file"
    analyze(data, VOXELS)
    data.write_bytes(data.read_bytes()[:-1])
    assert refused(header) == "truncated_file"
    data.unlink()
    assert refused(header) == "missing_file"
    header.write_bytes(header.read_bytes()[:200])
    data.write_bytes(VOXELS.tobytes())
    assert refused(header) == "truncated_file"
    header.write_bytes(b"x" * 348)
    assert refused(header) == "unreadable_file"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_that_claims_too_much(tmp_path: Path, name: str) -> None:
    path = nifti(tmp_path / name, VOXELS)
    stored = path.read_bytes()
    content = bytearray(stored if name == "a.nii" else gzip.decompress(stored))
    content[42:48] = struct.pack("<3h", 30000, 30000, 30000)
    path.write_bytes(content if name == "a.nii" else gzip.compress(content))
    assert refused(path) == "too_large"
    content[42:48] = struct.pack("<3h", 3000, 100, 100)
    path.write_bytes(content if name == "a.nii" else gzip.compress(content))
    assert refused(path) == "truncated_file"


def test_a_small_volume_before_a_flood_of_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nifti(tmp_path / "a.nii.gz", VOXELS)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content + bytes(5000)))
    np.testing.assert_array_equal(read(path).array, VOXELS)  # padding is common and harmless
    monkeypatch.setattr(limits, "MOST_BYTES", 5000)
    assert refused(path) == "too_large"


@pytest.mark.parametrize(
    ("at", "value"),
    [(108, float("nan")), (108, -5.0), (108, 1e30), (108, 8.0)],
)
def test_nonsense_offsets(tmp_path: Path, at: int, value: float) -> None:
    path = nifti(tmp_path / "a.nii", VOXELS)
    content = bytearray(path.read_bytes())
    content[at : at + 4] = struct.pack("<f", value)
    path.write_bytes(content)
    assert refused(path) in ("unreadable_file", "truncated_file")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38, 0.0])
def test_nonsense_lengths(tmp_path: Path, value: float) -> None:
    path = nifti(tmp_path / "a.nii", VOXELS)
    content = bytearray(path.read_bytes())
    content[280:284] = struct.pack("<f", value)  # srow_x[0]
    path.write_bytes(content)
    assert refused(path) == "bad_geometry"
    content[252:256] = bytes(4)  # no orientation is stated: then only the spacing is unknown
    content[80:84] = struct.pack("<f", value)
    path.write_bytes(content)
    assert read(path).spacing_mm is None
