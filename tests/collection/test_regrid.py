"""Labels on their image's stored axes, in its order of slices, and pictures in volume formats."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from raw_makers import nifti, recipe, series

from engine.collection.name_objects import name_objects
from engine.collection.orient import orientation
from engine.collection.raw import find_cases, read_case
from engine.collection.readers.base import NamedObject, RawImage, RawObjects, SliceFiles
from engine.collection.recipe import LabelSource
from engine.collection.regrid import in_order_of, on_axes_of, one_picture
from engine.errors import CaseRefusedError

SHAPE = (3, 4, 5)
TURNED = np.array(  # a little oblique, anisotropic
    [[0.79, -0.06, 0.11, -7.0], [0.05, 1.19, 0.2, 11.0], [-0.04, -0.1, 2.9, 40.0], [0, 0, 0, 1]]
)
STORED = [
    (axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)
]


def volume(array: NDArray[np.generic], affine: NDArray[np.float64]) -> RawImage:
    spacing = tuple(float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    return RawImage(array, "volume", spacing, affine)


def stored(
    array: NDArray[np.generic], affine: NDArray[np.float64], axes: tuple[int, ...], flips: tuple
) -> RawImage:
    """The same voxels in the same places, stored along other axes; by their corners."""
    turned = array.transpose(axes)
    origin, columns = affine[:3, 3].copy(), []
    for axis, flip in zip(axes, flips, strict=True):
        step = affine[:3, axis]
        columns.append(-step if flip else step)
        if flip:
            origin = origin + step * (array.shape[axis] - 1)
    turned = turned[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    other = np.eye(4)
    other[:3, :3] = np.column_stack(columns)
    other[:3, 3] = origin
    return volume(turned, other)


@pytest.mark.parametrize(("axes", "flips"), STORED)
def test_a_label_stored_along_other_axes_lies_where_it_was_drawn(
    axes: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    values = np.arange(60).reshape(SHAPE)
    image = volume(np.zeros(SHAPE), TURNED)
    moved = on_axes_of(image, stored(values, TURNED, axes, flips))
    np.testing.assert_array_equal(moved.array, values)
    np.testing.assert_allclose(moved.affine, TURNED, atol=1e-9)
    assert moved.spacing_mm == pytest.approx(image.spacing_mm)


def test_frames_stay_last() -> None:
    values = np.arange(120).reshape(*SHAPE, 2)
    image = volume(np.zeros(SHAPE), TURNED)
    other = stored(values[..., 0], TURNED, (2, 0, 1), (True, False, True))
    array = np.stack([stored(values[..., t], TURNED, (2, 0, 1), (True, False, True)).array
                      for t in range(2)], axis=-1)  # fmt: skip
    label = RawImage(array, "volume", other.spacing_mm, other.affine, time_axis=3)
    np.testing.assert_array_equal(on_axes_of(image, label).array, values)


def test_another_place_is_left_for_the_comparison_to_refuse() -> None:
    image = volume(np.zeros(SHAPE), TURNED)
    away = TURNED.copy()
    away[:3, 3] += TURNED[:3, 0]  # one voxel
    label = stored(np.zeros(SHAPE), away, (1, 0, 2), (False, False, False))
    assert on_axes_of(image, label) is label


def test_a_label_without_a_place_stays_as_it_is() -> None:
    image = volume(np.zeros(SHAPE), TURNED)
    label = RawImage(np.zeros(SHAPE), "volume")
    assert on_axes_of(image, label) is label
    assert on_axes_of(label, image) is image


def test_masks_follow_the_order_of_their_series_by_name() -> None:
    """The series is sorted by place, its names run another way: cyclic, so inverses differ."""
    names = ("IMG-3", "IMG-10", "IMG-1", "IMG-2")  # by place
    image = RawImage(np.zeros((2, 2, 4)), "volume", (1.0, 1.0, 2.0), TURNED,
                     slices=SliceFiles(names))  # fmt: skip
    masks = np.zeros((2, 2, 4), np.uint8)
    masks[:] = [10, 1, 3, 2]
    label = RawImage(masks, "volume", slices=SliceFiles(("m10", "m1", "m3", "m2")))
    moved = in_order_of(image, label, "masks/")
    assert moved.array[0, 0].tolist() == [3, 10, 1, 2]
    assert moved.slices is not None
    assert moved.slices.names == ("m3", "m10", "m1", "m2")
    assert moved.affine is TURNED
    assert moved.spacing_mm == (1.0, 1.0, 2.0)


def test_a_missing_mask_refuses() -> None:
    image = RawImage(np.zeros((2, 2, 2)), "volume", slices=SliceFiles(("a", "b")))
    label = RawImage(np.zeros((2, 2, 1)), "volume", slices=SliceFiles(("a",)))
    with pytest.raises(CaseRefusedError, match="different numbers of files"):
        in_order_of(image, label, "masks/")


def test_a_flat_volume_is_a_picture() -> None:
    array = np.arange(6).reshape(3, 2, 1)  # [x, y, 1]
    picture = one_picture(RawImage(array, "volume", (0.2, 0.5, 1.0), TURNED))
    assert picture.array.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert picture.spacing_mm == (0.5, 0.2)  # row, column
    with pytest.raises(CaseRefusedError, match="several slices"):
        one_picture(RawImage(np.zeros((3, 2, 2)), "volume"))


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_named_objects_turn_with_their_image(signs: tuple[int, ...]) -> None:
    """Their boxes and masks land where the whole mask, turned by itself, does."""
    turn = orientation(np.diag([*signs, 1.0]) @ TURNED)
    whole = np.zeros(SHAPE, np.bool_)
    whole[1:3, 0:2, 2:5] = np.arange(12).reshape(2, 2, 3) % 5 != 0
    box = (slice(1, 3), slice(0, 2), slice(2, 5))
    raw = RawObjects((NamedObject("L", 4, box, whole[box]),), ("L",))
    source = LabelSource.model_validate(
        {"file": "x.dcm", "kind": "objects", "structures": {"liver": "L"}}
    )
    (part,) = name_objects(source, raw, turn, SHAPE, "x.dcm")
    found = np.zeros(turn.apply(whole).shape, np.bool_)
    found[part.box] = part.mask
    np.testing.assert_array_equal(found, turn.apply(whole))
    assert (part.structure, part.instance) == ("liver", 0)
    numbered = source.model_copy(update={"instances": True})
    assert name_objects(numbered, raw, turn, SHAPE, "x.dcm")[0].instance == 4


@pytest.mark.parametrize(
    ("stored", "in_recipe"),
    [({}, [3.0, 0.7, 0.5]), ({"spacing": [0.5, 0.7, 3.0]}, [9.0, 8.0, 7.0])],
    ids=["recipe", "file"],
)
def test_spacing_is_the_files_and_else_the_recipes(
    tmp_path: Path, stored: dict[str, list[float]], in_recipe: list[float]
) -> None:
    """A file's runs x, y, z and is believed; a recipe's is slice, row, column."""
    image = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)  # z, y, x
    np.savez(tmp_path / "a.npz", imgs=image, gts=(image > 3).astype(np.uint8), **stored)
    label = {"file": "{case}.npz", "kind": "mask", "structure": "s", "array": "gts", "axes": "zyx"}
    made = recipe(
        series("{case}.npz", label, array="imgs", axes="zyx", orientation="LPS",
               spacing_mm=in_recipe)
    )  # fmt: skip
    (spec,) = find_cases(made, tmp_path)
    (case,) = read_case(made, spec, tmp_path)
    assert case.spacing_mm == (3.0, 0.7, 0.5)
    assert (case.plane, case.image.tolist()) == ("axial", image.tolist())


def test_a_file_that_states_its_spacing_is_believed(tmp_path: Path) -> None:
    place = np.diag([0.5, 0.5, 2.0, 1.0])
    nifti(tmp_path / "i/a.nii.gz", np.ones((4, 5, 3), np.int16), place, coded=False)
    nifti(tmp_path / "l/a.nii.gz", np.ones((4, 5, 3), np.uint8), place, coded=False)
    label = {"file": "l/{case}.nii.gz", "kind": "mask", "structure": "s"}
    made = recipe(series("i/{case}.nii.gz", label, spacing_mm=[9.0, 9.0, 9.0], orientation="LPS"))
    (spec,) = find_cases(made, tmp_path)
    (case,) = read_case(made, spec, tmp_path)
    assert case.spacing_mm == (2.0, 0.5, 0.5)
