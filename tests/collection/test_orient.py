"""Orientation against a voxel-by-voxel oracle, nibabel and SimpleITK (protocol 1.2, 1.3)."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import orient as oracle

from engine.collection.orient import affine_of_codes, main_plane, nearest_axes, orientation

SPACING = (0.7, 1.9, 2.3)
PLANES = ("axial", "coronal", "sagittal")


def volume(shape: tuple[int, ...] = (2, 3, 4)) -> NDArray[np.int16]:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def tilt(affine: NDArray[np.float64], degrees: float, axis: int) -> NDArray[np.float64]:
    turn, angle = np.eye(4), np.deg2rad(degrees)
    a, b = [i for i in range(3) if i != axis]
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    out = turn @ affine
    out[:3, 3] = (-31.2, 17.5, 4.25)
    return out


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("code", oracle.all_codes())
def test_every_code_keeps_each_voxel_where_it_was(code: str, plane: str) -> None:
    array, affine = volume(), tilt(affine_of_codes(code, SPACING), 11, 1)
    turn = orientation(affine, plane)
    result, moved = turn.apply(array), turn.affine(affine, array.shape)
    np.testing.assert_array_equal(result, oracle.oriented(array, affine, plane))
    for index in np.ndindex(*result.shape):
        stored = tuple(int(i) for i in np.argwhere(array == result[index])[0])
        np.testing.assert_allclose(
            oracle.world(moved, index), oracle.world(affine, stored), atol=1e-9
        )
    for axis, direction in enumerate(oracle.EAST[plane]):
        step = moved[:3, axis]
        assert step @ np.array(direction) > 0.9 * np.linalg.norm(step)
    assert turn.spacing(SPACING) == tuple(SPACING[axis] for axis in turn.axes)
    assert result.flags.c_contiguous


def test_all_48_codes_are_different() -> None:
    assert len(set(oracle.all_codes())) == 48


@pytest.mark.parametrize("code", oracle.all_codes())
def test_nibabel_agrees(code: str) -> None:
    array, affine = volume(), tilt(affine_of_codes(code, SPACING), 23, 0)
    lps_to_ras = np.diag([-1.0, -1, 1, 1])
    canonical = nib.as_closest_canonical(nib.Nifti1Image(array, lps_to_ras @ affine))
    ras = np.asarray(canonical.dataobj)
    turn = orientation(affine, "axial")
    np.testing.assert_array_equal(turn.apply(array), ras[::-1, ::-1].transpose(2, 1, 0))
    np.testing.assert_array_equal(
        orientation(affine, "coronal").apply(array), ras[::-1, ::-1, ::-1].transpose(1, 2, 0)
    )


@pytest.mark.parametrize("code", oracle.all_codes())
def test_simpleitk_agrees(code: str) -> None:
    array, affine = volume(), tilt(affine_of_codes(code, SPACING), 17, 2)
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    image.SetSpacing(SPACING)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / np.array(SPACING)).ravel().tolist())
    lps = sitk.DICOMOrient(image, "LPS")
    turn = orientation(affine, "axial")
    np.testing.assert_array_equal(turn.apply(array), sitk.GetArrayFromImage(lps))
    moved = turn.affine(affine, array.shape)
    np.testing.assert_allclose(moved[:3, 3], lps.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(turn.spacing(SPACING)[::-1], lps.GetSpacing())


def test_an_anatomical_example_in_words() -> None:
    """A bright spot at the patient's left, front, top: where it must appear in each plane."""
    array = np.zeros((5, 5, 5), dtype=np.uint8)
    array[0, 4, 4] = 1  # stored axes point to R, A, S: index 0 is left, 4 is front, 4 is top
    affine = affine_of_codes("RAS", (1, 1, 1))
    spot = {p: np.argwhere(orientation(affine, p).apply(array))[0].tolist() for p in PLANES}
    assert spot["axial"] == [4, 0, 4]  # last slice, top row (front), right column (left side)
    assert spot["coronal"] == [0, 0, 4]  # first slice (front), top row (head), right column
    assert spot["sagittal"] == [4, 0, 0]  # last slice (left), top row (head), left column (front)


def test_colours_follow_their_voxels() -> None:
    array = np.stack([volume()] * 3, axis=-1)
    turn = orientation(affine_of_codes("SRA", SPACING), "sagittal")
    np.testing.assert_array_equal(turn.apply(array)[..., 2], turn.apply(volume()))


@pytest.mark.parametrize(
    ("spacing", "plane"),
    [
        ((1, 1, 1), "axial"),
        ((1, 1, 5), "axial"),
        ((1, 5, 1), "coronal"),
        ((5, 1, 1), "sagittal"),
        ((5, 5, 1), "coronal"),
        ((5, 4.951, 1), "coronal"),  # within 1 % of the largest: a tie
        ((5, 4.949, 1), "sagittal"),
        ((5, 5, 4.96), "axial"),
        ((1, 1.02, 1), "coronal"),
    ],
)
def test_main_plane_is_normal_to_the_largest_spacing(
    spacing: tuple[float, float, float], plane: str
) -> None:
    assert main_plane(spacing) == plane


def test_the_recipe_may_name_the_plane() -> None:
    affine = affine_of_codes("LPS", (1, 1, 5))
    assert orientation(affine).plane == "axial"
    assert orientation(affine, "sagittal").plane == "sagittal"


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9))
def test_axes_are_always_a_permutation(numbers: list[float]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.array(numbers).reshape(3, 3) + 3 * np.eye(3)[:, [1, 2, 0]]
    axes, signs = nearest_axes(affine)
    assert sorted(axes) == [0, 1, 2]
    assert set(signs) <= {-1, 1}


def test_a_strongly_oblique_volume_gets_the_best_assignment_of_all_axes() -> None:
    """Taking the largest cosine first would strand the last axis; the sum decides."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.8, 0.79, 0], [0.6, 0.0, 0.1], [0, 0.61, 0.99]])
    assert nearest_axes(affine)[0] == (1, 0, 2)
