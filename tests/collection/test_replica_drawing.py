"""What replicas are drawn from: grids against nibabel, regions, bodies, runs and outlines."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import raw_makers as make
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_masks
from scipy.ndimage import binary_fill_holes, label

from engine.collection.replica import write_replica
from engine.collection.replica.bodies import body
from engine.collection.replica.grid import Grid
from engine.collection.replica.outline import outlines
from engine.collection.replica.regions import draw_regions
from engine.collection.replica.writers.tables import _counts, _runs

CODES = [
    "".join(letters) for pairs in permutations(("LR", "PA", "SI")) for letters in product(*pairs)
]
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize("codes", CODES)
def test_nibabel_sees_the_axes_a_grid_stores(codes: str) -> None:
    grid = Grid((3, 5, 4), (4.0, 0.9, 0.8), codes, origin_mm=(-3.0, 7.0, 11.0), tilt_deg=15)
    drawn = np.arange(60).reshape(3, 5, 4)
    stored = grid.stored(drawn)
    affine = LPS_TO_RAS @ grid.affine
    assert "".join(nib.aff2axcodes(affine)) == codes
    turned = nib.orientations.io_orientation(affine)
    lps = nib.orientations.axcodes2ornt("LPS")
    upright = nib.apply_orientation(stored, nib.orientations.ornt_transform(turned, lps))
    np.testing.assert_array_equal(upright.transpose(2, 1, 0), drawn)
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    np.testing.assert_allclose(sizes, grid.stored_spacing_mm)


def test_a_drawn_voxel_has_one_place_however_it_is_stored() -> None:
    drawn = np.zeros((3, 5, 4))
    drawn[2, 1, 3] = 1
    for codes in CODES:
        grid = Grid((3, 5, 4), (4.0, 0.9, 0.8), codes, origin_mm=(-3.0, 7.0, 11.0))
        index = np.argwhere(grid.stored(drawn))[0]
        place = grid.affine @ [*index, 1]
        np.testing.assert_allclose(place[:3], [-3 + 3 * 0.8, 7 + 0.9, 11 + 2 * 4])


def test_planes_follow_the_largest_spacing_and_ties_the_protocol() -> None:
    for spacing, plane in (
        ((4.0, 1.0, 1.0), "axial"),
        ((1.0, 1.0, 1.0), "axial"),
        ((1.0, 1.005, 1.0), "axial"),
        ((1.0, 2.0, 2.01), "coronal"),
        ((1.0, 1.0, 2.0), "sagittal"),
    ):
        assert Grid((2, 2, 2), spacing, "RAS").plane(None) == plane
    assert Grid((2, 2, 2), (4.0, 1.0, 1.0), "RAS").plane("sagittal") == "sagittal"
    assert Grid((2, 2), None).plane(None) == "image"


@settings(max_examples=40)
@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.sampled_from([(24, 30), (3, 24, 30), (1, 20, 20)]),
    st.booleans(),
    st.booleans(),
)
@example(5345332, 12, (3, 24, 30), True, True)  # one region around another
def test_regions_are_there_apart_and_solid(
    seed: int, number: int, shape: tuple[int, ...], apart: bool, solid: bool
) -> None:
    rng = np.random.default_rng(seed)
    drawn = body("CT", shape, rng)
    names = ["liver", *(f"thing {n}" for n in range(number - 1))]
    regions = draw_regions(names, drawn.masks, shape, rng, apart=apart, solid=solid)
    assert len(regions) == number
    assert all(region.any() and region.shape == shape for region in regions)
    if apart:
        assert int(np.sum(regions, axis=0).max()) == 1
    if solid:
        for region in regions:
            for plane in region if region.ndim == 3 else [region]:
                assert label(plane)[1] <= 1
                np.testing.assert_array_equal(binary_fill_holes(plane), plane)


def test_phantom_masks_of_the_same_words_are_taken() -> None:
    rng = np.random.default_rng(0)
    drawn = body("X-ray", (100, 90), rng)
    left, nodule = draw_regions(["left_lung", "nodule"], drawn.masks, (100, 90), rng, apart=False)
    np.testing.assert_array_equal(left, drawn.masks["lung_left"])
    assert not np.array_equal(nodule, left)


@pytest.mark.parametrize("modality", ["CT", "T1W", "fundus", "X-ray", "microscopy", "unheard of"])
def test_bodies_have_the_size_asked_for_and_differ_from_slice_to_slice(modality: str) -> None:
    for shape in ((4, 30, 40), (30, 40), (300, 350)):
        drawn = body(modality, shape, np.random.default_rng(3))
        assert drawn.image.shape[: len(shape)] == shape
        assert drawn.masks
        assert all(mask.shape == shape for mask in drawn.masks.values())
    volume = body(modality, (4, 30, 40), np.random.default_rng(3)).image
    assert not np.array_equal(volume, volume[::-1])
    later = body(modality, (4, 30, 40), np.random.default_rng(3), variant=1).image
    assert not np.array_equal(volume, later)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_runs_and_outlines_hold_the_mask(seed: int, high: int, wide: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((high, wide)) < 0.5
    mask[int(rng.integers(high)), int(rng.integers(wide))] = True
    code = coco_masks.frPyObjects({"size": [high, wide], "counts": _counts(mask)}, high, wide)
    np.testing.assert_array_equal(coco_masks.decode(code).astype(bool), mask)
    for along_rows in (False, True):
        runs = np.array(_runs(mask, along_rows=along_rows, siim=False)).reshape(-1, 2)
        line = np.zeros(mask.size, bool)
        for start, length in runs:
            line[start - 1 : start - 1 + length] = True
        order = "C" if along_rows else "F"
        np.testing.assert_array_equal(line.reshape(mask.shape, order=order), mask)
    whole = np.zeros((high, wide), int)
    y, x = np.mgrid[:high, :wide]
    for corners in outlines(mask):
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            between = (y > min(ay, by)) & (y < max(ay, by))
            whole += between & (x > ax)
            assert ax == bx or ay == by
    np.testing.assert_array_equal(whole % 2 == 1, mask)


def test_labels_of_separate_files_overlap(tmp_path: Path) -> None:
    label_file = {"file": "seg/{case}/{structure}.nii.gz", "kind": "mask"}
    names = ["liver", "spleen", "aorta", "vertebra", "tumour"]
    recipe = make.recipe(
        make.series("{case}.nii.gz", label_file),
        replica={"cases": [{"case": "a", "structure": names}]},
    )
    (case,) = write_replica(recipe, tmp_path).cases
    assert {structure for structure, _ in case.masks} == set(names)
    assert int(np.sum(list(case.masks.values()), axis=0).max()) > 1
