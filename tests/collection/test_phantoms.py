"""The demo's raw files: deterministic, valid under their recipes, and anatomically in place."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import label

from engine.collection.case import CuratedCase
from engine.collection.phantoms import write_demo
from engine.collection.phantoms.ct import VALUES, abdomen
from engine.collection.phantoms.mr import head
from engine.collection.phantoms.write import write_cells
from engine.collection.raw import find_cases, open_recipe, read_case

Folders = list[tuple[str, Path]]

_EIGHT = np.ones((3, 3), dtype=bool)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return write_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def cases(demo: Folders) -> dict[str, list[CuratedCase]]:
    return {name: read_all(name, folder) for name, folder in demo}


def read_all(name: str, folder: Path) -> list[CuratedCase]:
    recipe = open_recipe(name)
    assert recipe.dataset == name
    assert recipe.licence == "CC0-1.0"
    return [case for spec in find_cases(recipe, folder) for case in read_case(recipe, spec, folder)]


def masks(case: CuratedCase, index: int) -> dict[tuple[str, int], np.ndarray]:
    """Masks of one slice, those that are not empty."""
    found = {
        (meaning.structure, meaning.instance): case.labels[meaning.layer, index] == meaning.value
        for meaning in case.meaning
    }
    return {key: mask for key, mask in found.items() if mask.any()}


def generator(number: int, seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, number]))


def test_a_seed_fixes_every_byte(demo: Folders, tmp_path: Path) -> None:
    for (name, first), (again, second) in zip(demo, write_demo(tmp_path), strict=True):
        assert name == again
        files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
        assert files
        assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
        for file in files:
            assert (first / file).read_bytes() == (second / file).read_bytes(), file
            if file.suffix == ".gz":
                assert (first / file).read_bytes()[4:8] == bytes(4)  # no time of writing


def test_another_seed_draws_something_else(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_cells(tmp_path / str(seed), generator(3, seed))
    for name in ("images/well_01.tif", "instances/well_01.tif"):
        assert (tmp_path / "0" / name).read_bytes() != (tmp_path / "1" / name).read_bytes()


def test_structures_of_each_data_set(cases: dict[str, list[CuratedCase]]) -> None:
    found = {
        name: [(case.case, case.modality, case.plane) for case in read]
        for name, read in cases.items()
    }
    assert found == {
        "demo_ct": [("abdomen_01", "CT", "axial")],
        "demo_mr": [("head_01", "MRI", "axial")],
        "demo_fundus": [(f"eye_0{n}", "fundus", "image") for n in (1, 2, 3)],
        "demo_cells": [(f"well_0{n}", "microscopy", "image") for n in (1, 2)],
    }
    structures = {
        name: {meaning.structure for case in read for meaning in case.meaning}
        for name, read in cases.items()
    }
    assert structures == {
        "demo_ct": {"liver", "spleen", "kidneys", "aorta", "vertebra"},
        "demo_mr": {"brain", "ventricles", "lesion_core", "lesion_rim"},
        "demo_fundus": {"optic_disc", "optic_cup", "vessels", "exudates"},
        "demo_cells": {"nucleus"},
    }


def test_slices_are_few_and_their_objects_large_enough(
    cases: dict[str, list[CuratedCase]],
) -> None:
    every = [case for read in cases.values() for case in read]
    assert sum(len(case.image) for case in every) == 12
    for case in every:
        assert min(case.image.shape[1:3]) >= 256
        for index in range(len(case.image)):
            found = masks(case, index)
            assert 4 <= len(found) <= 15
            assert min(mask.sum() for mask in found.values()) > 50


def test_values_are_those_of_the_apparatus(cases: dict[str, list[CuratedCase]]) -> None:
    (ct,), (mr,) = cases["demo_ct"], cases["demo_mr"]
    assert ct.image.dtype == np.int16
    assert ct.image.min() >= -1024
    liver = ct.image[0][masks(ct, 0)["liver", 0]]
    assert 80 < liver.mean() < 140
    assert mr.image.dtype == np.float32
    assert mr.image.min() >= 0
    assert all(case.image.shape[-1] == 3 for case in cases["demo_fundus"])
    for case in cases["demo_cells"]:
        assert case.image.dtype == np.uint16
        assert case.image.max() > 255
        bright = case.image[0][case.labels[0, 0] > 0].mean()
        assert bright > 1.5 * case.image[0][case.labels[0, 0] == 0].mean()


def test_volumes_come_back_as_they_were_drawn(cases: dict[str, list[CuratedCase]]) -> None:
    """Stored with other axes and flips, read back to [z, y, x] ascending in S, P and L."""
    (ct,), (mr,) = cases["demo_ct"], cases["demo_mr"]
    body, brain = abdomen(generator(0)), head(generator(1))
    np.testing.assert_array_equal(ct.image, body.image)
    for meaning in ct.meaning:
        np.testing.assert_array_equal(
            ct.labels[meaning.layer] == meaning.value, body.labels == VALUES[meaning.structure]
        )
    np.testing.assert_array_equal(mr.image, brain.image)
    for meaning in mr.meaning:
        np.testing.assert_array_equal(
            mr.labels[meaning.layer] == meaning.value, brain.masks[meaning.structure]
        )
    assert ct.spacing_mm == pytest.approx((5.0, 0.9, 0.9))
    assert mr.spacing_mm == pytest.approx((6.0, 0.85, 0.85))


def test_stored_axes_are_permuted_and_flipped(demo: Folders) -> None:
    folders = dict(demo)
    ct = nib.load(folders["demo_ct"] / "images" / "abdomen_01.nii.gz")
    mr = nib.load(folders["demo_mr"] / "head_01" / "t1.nii.gz")
    assert nib.aff2axcodes(ct.affine) == ("R", "A", "S")
    assert nib.aff2axcodes(mr.affine) == ("P", "L", "I")
    middle = nib.affines.apply_affine(mr.affine, (np.array(mr.shape) - 1) / 2)
    np.testing.assert_allclose(middle, 0, atol=1e-4)


def test_organs_lie_where_a_reader_of_images_expects_them(
    cases: dict[str, list[CuratedCase]],
) -> None:
    """Anterior is up, the patient's right is on the left of the picture."""
    (ct,) = cases["demo_ct"]
    middle = {
        structure: np.argwhere(mask).mean(axis=0) for (structure, _), mask in masks(ct, 1).items()
    }
    assert middle["liver"][1] < middle["vertebra"][1] < middle["spleen"][1]
    assert middle["liver"][0] < middle["aorta"][0] < middle["vertebra"][0]


def test_shapes_the_prompts_find_hard(cases: dict[str, list[CuratedCase]]) -> None:
    """A ring around its centre, a pair, a bone with a hole, scattered spots, thin vessels."""
    rim = masks(cases["demo_mr"][0], 1)["lesion_rim", 0]
    row, column = np.floor(np.argwhere(rim).mean(axis=0) + 0.5).astype(int)
    assert not rim[row, column]
    kidneys = masks(cases["demo_ct"][0], 1)["kidneys", 0]
    assert label(kidneys, _EIGHT)[1] == 2
    bone = masks(cases["demo_ct"][0], 1)["vertebra", 0]
    assert label(~bone)[1] == 2
    for eye in cases["demo_fundus"]:
        found = masks(eye, 0)
        assert label(found["exudates", 0], _EIGHT)[1] >= 4
        assert (found["optic_cup", 0] <= found["optic_disc", 0]).all()
        vessels = found["vessels", 0]
        thick = vessels.copy()
        for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            thick &= np.roll(vessels, shift, (0, 1))
        assert thick.sum() < 0.5 * vessels.sum()
