"""The recipes that come along, on the real files they were written for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from engine.collection.case import CuratedCase
from engine.collection.raw import CaseReport, find_cases, open_recipe, read_case, validate

# dataset: (ok cases, slices, objects over all cases, distinct structures, subjects)
COUNTS = {
    "dcmqi_dicom_seg": (1, 3, 8, 8, 1),
    "drishti_optic_disc": (8, 8, 16, 2, 8),
    "hvsmr_whole_heart_cmr": (36, 36, 129, 8, 5),
    "lung_cxr_demo": (4, 4, 4, 1, 4),
    "pyradiomics": (3, 69, 3, 2, 3),
    "sam_med2d_demo": (4, 4, 28, 24, 4),
    "sct_spinal_cord_mri": (6, 162, 12, 6, 3),
    "stardist_fluorescence": (2, 2, 190, 1, 2),
    "totalsegmentator_ct_mr": (4, 326, 69, 47, 3),
}


def folder(shared_data: Path, name: str) -> Path:
    path = shared_data / name
    if not path.is_dir():
        pytest.skip(f"real images are absent: {path}")
    return path


def all_cases(shared_data: Path, name: str) -> dict[str, CuratedCase]:
    root, recipe = folder(shared_data, name), open_recipe(name)
    return {
        case.case: case
        for spec in find_cases(recipe, root)
        if spec.excluded is None
        for case in read_case(recipe, spec, root)
    }


@pytest.mark.parametrize("name", COUNTS)
def test_counts(shared_data: Path, name: str) -> None:
    cases = all_cases(shared_data, name)
    structures = {label.structure for case in cases.values() for label in case.meaning}
    got = (
        len(cases),
        sum(len(case.image) for case in cases.values()),
        sum(len(case.meaning) for case in cases.values()),
        len(structures),
        len({case.subject for case in cases.values()}),
    )
    assert got == COUNTS[name]
    for case in cases.values():
        assert case.labels.shape[1:] == case.image.shape[:3]


def test_the_only_case_left_out_is_the_skipped_one(shared_data: Path) -> None:
    left_out: list[CaseReport] = []
    for name in COUNTS:
        reports = validate(open_recipe(name), folder(shared_data, name))
        left_out += [report for report in reports if report.status != "ok"]
    assert [(report.case, report.code) for report in left_out] == [("amos_0507_31", "recipe_skip")]


def test_planes_and_spacings(shared_data: Path) -> None:
    cases = all_cases(shared_data, "sct_spinal_cord_mri")
    assert {case.plane for case in cases.values()} == {"axial"}
    assert cases["t2s"].spacing_mm == pytest.approx((7.5, 0.5, 0.5), rel=1e-4)
    assert cases["mt1"].spacing_mm == pytest.approx((17, 0.84375, 0.84375), rel=1e-4)
    assert cases["t2"].image.shape == (55, 60, 52)  # stored as P, S, R


@pytest.mark.parametrize(
    ("name", "case", "image", "label", "structure", "value"),
    [
        ("sct_spinal_cord_mri", "t2", "t2/t2", "t2/t2_seg-manual_labeled",
         "spinal_cord_level_c4", 4),
        ("sct_spinal_cord_mri", "mt1", "mt/mt1", "mt/mt1_gmseg_goldstandard",
         "spinal_cord_grey_matter", 1),
        ("totalsegmentator_ct_mr", "example_mr", "tests/reference_files/example_mr_sm",
         "tests/reference_files/example_seg_mr", "liver", 5),
    ],
)  # fmt: skip
def test_simpleitk_orients_real_volumes_the_same_way(
    shared_data: Path, name: str, case: str, image: str, label: str, structure: str, value: int
) -> None:
    root = folder(shared_data, name)
    read = all_cases(shared_data, name)[case]
    assert read.plane == "axial"
    for path, ours in (
        (image, read.image),
        (label, np.add.reduce([
            value * (read.labels[m.layer] == m.value) for m in read.meaning
            if m.structure == structure
        ])),
    ):  # fmt: skip
        stored = sitk.DICOMOrient(sitk.ReadImage(str(root / f"{path}.nii.gz")), "LPS")
        theirs = sitk.GetArrayFromImage(stored)
        if path == label:
            theirs = np.where(theirs == value, value, 0)
        np.testing.assert_array_equal(ours, theirs)


def test_left_is_left(shared_data: Path) -> None:
    """The liver lies right of the spleen, so its columns come first; kidneys likewise."""
    for name in ("example_ct", "example_mr"):
        case = all_cases(shared_data, "totalsegmentator_ct_mr")[name]
        column = {
            m.structure: float(np.argwhere(case.labels[m.layer] == m.value)[:, 2].mean())
            for m in case.meaning
        }
        assert column["liver"] < column["spleen"]
        assert column["kidney_right"] < column["kidney_left"]
        row = {
            m.structure: float(np.argwhere(case.labels[m.layer] == m.value)[:, 1].mean())
            for m in case.meaning
        }
        assert row["stomach"] < row["autochthon_left"]  # belly above back


def test_voxel_counts_match_the_label_file(shared_data: Path) -> None:
    root = folder(shared_data, "totalsegmentator_ct_mr")
    stored = np.asarray(
        nib.load(root / "tests/reference_files/example_seg.nii.gz").dataobj, dtype=np.int64
    )
    case = all_cases(shared_data, "totalsegmentator_ct_mr")["example_ct"]
    ours = Counter(int((case.labels[m.layer] == m.value).sum()) for m in case.meaning)
    assert ours == Counter(int(n) for n in np.bincount(stored.ravel())[1:] if n)
    assert case.labels.shape[0] == 1


def test_anti_aliased_borders_are_few(shared_data: Path) -> None:
    root = folder(shared_data, "drishti_optic_disc")
    for name, case in all_cases(shared_data, "drishti_optic_disc").items():
        path = f"projects/TensorFlowFlexUNet/Drishti-Glaucoma/mini_test/masks/{name}.png"
        drawn = np.asarray(Image.open(root / path))
        red = (drawn == (255, 0, 0)).all(axis=2)
        cup, disc = ((case.labels[m.layer] == m.value)[0] for m in reversed(case.meaning))
        assert cup[red].all()
        assert (cup & ~red).sum() < 0.03 * red.sum()
        assert disc[cup].all()


def test_hvsmr_keeps_its_grey_class(shared_data: Path) -> None:
    cases = all_cases(shared_data, "hvsmr_whole_heart_cmr")
    assert [m.structure for m in cases["10003_177"].meaning] == ["inferior_vena_cava"]
    assert {case.subject for case in cases.values()} == {f"1000{n}" for n in range(5)}


def test_instances_are_numbered_as_in_the_file(shared_data: Path) -> None:
    cases = all_cases(shared_data, "stardist_fluorescence")
    assert sorted(m.instance for m in cases["tests"].meaning) == list(range(1, 66))
    assert max(m.instance for m in cases["dsb2018"].meaning) == 183
    assert cases["dsb2018"].image.dtype == np.uint16
