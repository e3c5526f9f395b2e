"""The same objects from DICOM-SEG and from NRRD, on a real CT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_makers as make
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from engine.collection.case import CuratedCase
from engine.collection.raw import find_cases, open_recipe, read_case

PLACE = "data/segmentations/"
PAINTED = {"GREEN": 1, "ORANGE": 2, "PURPLE": 3, "LIGHT_BLUE": 4, "DARK_BLUE": 5}
LAYERS = {"GREEN": 1, "LIGHT_BLUE": 1, "DARK_BLUE": 1, "ORANGE": 2, "PURPLE": 3}


@pytest.fixture
def root(shared_data: Path) -> Path:
    path = shared_data / "dcmqi_dicom_seg"
    if not path.is_dir():
        pytest.skip(f"real images are absent: {path}")
    return path


def case_of(root: Path, *labels: dict[str, Any]) -> CuratedCase:
    recipe = make.recipe(make.series(f"{PLACE}ct-3slice/", *labels, case="ct"))
    (spec,) = find_cases(recipe, root)
    (case,) = read_case(recipe, spec, root)
    return case


def objects(case: CuratedCase) -> dict[str, NDArray[np.bool_]]:
    return {m.structure: case.labels[m.layer] == m.value for m in case.meaning}


def test_segmentation_and_nrrd_of_the_liver_are_the_same(root: Path) -> None:
    seg = {"file": f"{PLACE}liver.dcm", "kind": "objects", "structures": {"liver": "Liver"}}
    nrrd = {"file": f"{PLACE}liver_seg.nrrd", "kind": "mask", "structure": "liver"}
    both = {"file": f"{PLACE}liver_spine_seg.nrrd", "kind": "values",
            "structures": {"liver": 1, "spine": 2}}  # fmt: skip
    one, two, three = (objects(case_of(root, label))["liver"] for label in (seg, nrrd, both))
    assert one.sum() == 107098
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


def test_overlapping_segments_are_those_of_the_nrrd_files(root: Path) -> None:
    seg = {"file": f"{PLACE}partial_overlaps.dcm", "kind": "objects",
           "structures": {name.lower(): name for name in PAINTED}}  # fmt: skip
    ours = objects(case_of(root, seg))
    assert (ours["green"] & ours["purple"]).any()
    for name, value in PAINTED.items():
        path = root / f"{PLACE}partial_overlaps-{LAYERS[name]}.nrrd"
        stored = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS"))
        np.testing.assert_array_equal(ours[name.lower()], stored == value)


def test_the_series_is_read_as_simpleitk_reads_it(root: Path) -> None:
    (case,) = (
        case
        for spec in find_cases(open_recipe("dcmqi_dicom_seg"), root)
        for case in read_case(open_recipe("dcmqi_dicom_seg"), spec, root)
    )
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(root / f"{PLACE}ct-3slice"))
    stored = sitk.DICOMOrient(sitk.ReadImage(files), "LPS")
    np.testing.assert_array_equal(case.image, sitk.GetArrayFromImage(stored))
    assert case.spacing_mm == pytest.approx(stored.GetSpacing()[::-1])
    liver = objects(case)["liver"]
    assert 30 < case.image[liver].mean() < 45  # HU
    assert {source.path for source in case.sources} >= {
        f"{PLACE}liver.dcm", f"{PLACE}ct-3slice/01.dcm",
    }  # fmt: skip
