"""Replicas in every format: written by one room, read by another, compared pixel for pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import raw_makers as make
from replica_check import differences, ingested

from engine.collection.recipe import Recipe
from engine.collection.replica import TrueCase, write_replica

ORGANS = {"liver": 1, "spleen": [2, 7], "kidney_left": 4}
VALUES = {"kind": "values", "structures": ORGANS}
OBJECTS = {"kind": "objects", "structures": {"liver": "Liver", "spleen": ["Spleen", "Milz"]}}
MASK = {"kind": "mask", "structure": "lesion"}
TWO = {"cases": [{"case": "a1"}, {"case": "b2"}]}


def one(images: str, label: dict[str, Any], *, replica: Any = None, **fields: Any) -> Recipe:
    """A recipe of one series with one label source."""
    block = {**TWO, **(replica or {})}
    return make.recipe(make.series(images, label, replica=block, **fields))


def check(recipe: Recipe, folder: Path) -> tuple[TrueCase, ...]:
    """Write, ingest, compare; the truth."""
    made = write_replica(recipe, folder / "raw")
    said, catalog = ingested(recipe, folder / "raw", folder / "collection.zarr")
    assert said == []
    assert differences(recipe, made.cases, catalog) == []
    assert made.cases
    return made.cases


FORMATS: dict[str, Recipe] = {
    "nifti": one("{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES}),
    "nifti tilted": one(
        "{case}.nii", {"file": "seg/{case}.nii", **VALUES},
        replica={"write": {"axis_codes": "SRA", "oblique_deg": 20}},
    ),
    "nifti without codes": one(
        "{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES}, orientation="PIL"
    ),
    "nifti coronal": one(
        "{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES},
        replica={"shape": [20, 4, 30], "spacing_mm": [1.0, 6.0, 1.1]},
    ),
    "nifti sagittal": one(
        "{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES}, plane="sagittal"
    ),
    "nifti channels": one(
        "{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES},
        channels={0: "t1w", 1: {"name": "adc", "modality": "ADC"}},
    ),
    "nifti times": one(
        "{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES},
        replica={"frames": 3, "write": {"labels_per_frame": True}},
    ),
    "nifti floats": one(
        "{case}.nii.gz", {"file": "seg/{case}.nii.gz", **MASK, "threshold": 0.5},
        replica={"dtype": "float32"},
    ),
    "nifti flat": one("{case}.nii.gz", {"file": "seg/{case}.nii.gz", **VALUES}, flat=True),
    "nrrd": one("{case}.nrrd", {"file": "seg/{case}.nrrd", **VALUES}),
    "mha": one("{case}.mha", {"file": "seg/{case}.mha", **VALUES}),
    "mhd tilted": one("img/{case}.mhd", {"file": "seg/{case}.mhd", **VALUES},
                      replica={"write": {"oblique_deg": -15}}),
    "mhd flat": one("img/{case}.mhd", {"file": "seg/{case}.mhd", **VALUES}, flat=True),
    "mha times": one("{case}.mha", {"file": "seg/{case}.mha", **VALUES}, replica={"frames": 2}),
    "segments": one("{case}.nrrd", {"file": "seg/{case}.seg.nrrd", **OBJECTS}),
    "segments as instances": one(
        "{case}.nrrd", {"file": "seg/{case}.seg.nrrd", "kind": "objects", "structure": "node",
                        "instances": True}
    ),
    "analyze": one("{case}.hdr", {"file": "seg/{case}.hdr", **VALUES}, orientation="LAS"),
    "analyze by img": one("im/{case}.img", {"file": "seg/{case}.img", **VALUES},
                          orientation="RPS"),
    "png": one("{case}.png", {"file": "seg/{case}.png", **VALUES}),
    "png 16": one("{case}.png", {"file": "seg/{case}.png", "kind": "values",
                                 "structures": {"a": 500, "b": 20000}},
                  replica={"dtype": "uint16"}),
    "png palette": one("{case}.png", {"file": "seg/{case}.png", **VALUES},
                       replica={"write": {"palette": True}}),
    "png palette mask": one("{case}.png", {"file": "seg/{case}.png", **MASK},
                            replica={"write": {"palette": True}}),
    "png three channels": one("{case}.png", {"file": "seg/{case}.png", **VALUES},
                              replica={"write": {"label_colour": True, "colour": True}}),
    "png colours": one(
        "{case}.png",
        {"file": "seg/{case}.png", "kind": "colours", "background": [255, 255, 255],
         "structures": {"disc": [[255, 0, 0], [0, 255, 0]], "cup": [0, 255, 0]},
         "ignore": [[9, 9, 9]]},
        modality="fundus",
    ),
    "png instances": one("{case}.png", {"file": "seg/{case}.png", "kind": "instances",
                                        "structure": "nucleus", "ignore": [3]},
                         modality="histopathology"),
    "png by structure": one(
        "{case}.png", {"file": "seg/{case}/{structure}.png", "kind": "mask"},
        replica={"cases": [{"case": "a1", "structure": ["liver", "aorta"]},
                           {"case": "b2", "structure": "liver"}]},
    ),
    "jpeg": one("{case}.jpg", {"file": "seg/{case}.jpg", **MASK, "threshold": 100},
                modality="colonoscopy"),
    "bmp": one("{case}.bmp", {"file": "seg/{case}.bmp", **MASK}),
    "gif": one("{case}.tif", {"file": "seg/{case}.gif", **MASK}),
    "ppm": one("{case}.ppm.gz", {"file": "seg/{case}.pgm", **VALUES}, modality="fundus"),
    "tiff": one("{case}.tif", {"file": "seg/{case}.tiff", **VALUES},
                replica={"dtype": "uint16"}, modality="microscopy"),
    "tiff slices": one("{case}.tif", {"file": "seg/{case}.tif", **VALUES}, frames="slices",
                       replica={"shape": [3, 40, 50]}, modality="electron microscopy"),
    "tiff cases": one("{case}.tif", {"file": "seg/{case}.tif", **VALUES},
                      replica={"frames": 3, "shape": [40, 50]}),
    "npz": one("{case}.npz", {"file": "{case}.npz", **VALUES, "array": "gts", "axes": "zyx"},
               array="imgs", axes="zyx", orientation="LPS", spacing_mm=[5, 0.7, 0.6]),
    "npy": one("{case}.npy", {"file": "seg/{case}.npy", **VALUES, "axes": "yxz"}, axes="yxz",
               orientation="RAI"),
    "hdf5": one("{case}.h5", {"file": "{case}.h5", **VALUES, "array": "label", "axes": "yx"},
                array="g/image", axes="yxc", modality="fundus"),
    "mat 5": one("{case}.mat", {"file": "{case}.mat", **MASK, "array": "mask", "axes": "yx"},
                 array="image", axes="yx"),
    "mat struct": one("{case}.mat", {"file": "{case}.mat", **VALUES, "array": "s/mask",
                                     "axes": "yxz"},
                      array="s/image", axes="yxz", orientation="LPS"),
    "mat 7.3": one("{case}.mat", {"file": "{case}.mat", **MASK, "array": "s/mask", "axes": "yx"},
                   array="s/image", axes="yx", replica={"write": {"mat73": True}}),
    "coco": one("{case}.png", {"file": "all.json", **OBJECTS}),
    "coco polygons": one("im/{case}.png", {"file": "all.json", **OBJECTS, "instances": True},
                         replica={"write": {"polygons": True}}),
    "labelme": one("{case}.png", {"file": "seg/{case}.json", **OBJECTS, "ignore": ["Dust"]}),
    "labelme instances": one("{case}.png", {"file": "seg/{case}.json", "kind": "objects",
                                            "structure": "cell", "instances": True}),
    "runs of SIIM": one("{case}.png", {"file": "t.csv", "kind": "objects", "structure": "air"}),
    "runs by class": one("{case}.png", {"file": "t.csv", **OBJECTS, "array": "segmentation",
                                        "axes": "yx"}),
    "dicom and nifti": one("{case}/dcm/", {"file": "{case}/seg.nii.gz", **VALUES}),
    "dicom and pictures": one("{case}/dcm/", {"file": "{case}/Ground/", **VALUES},
                              modality="T1W"),
    "dicom and dicom": one("{case}/dcm/", {"file": "{case}/GT/", **MASK},
                           replica={"write": {"label_stack": "dicom"}}),
    "dicom sagittal": one("{case}/dcm/", {"file": "{case}/seg.nii.gz", **VALUES},
                          plane="sagittal", modality="MRI"),
    "dicom tilted": one("{case}/dcm/", {"file": "{case}/seg.nii.gz", **VALUES},
                        replica={"write": {"oblique_deg": 17}}),
    "dicom seg": one("{case}/dcm/", {"file": "{case}/seg.dcm", **OBJECTS}),
    "dicom rtstruct": one("{case}/dcm/", {"file": "{case}/rs.dcm", **OBJECTS},
                          replica={"write": {"dicom_label": "rtstruct"}}),
    "dicom of two series": one(
        "{case}/dcm/", {"file": "{case}/seg.nii.gz", **VALUES},
        pick={"SeriesDescription": "portal*"}, replica={"write": {"other_series": True}},
    ),
    "dicom picture": one("{case}.dcm", {"file": "seg/{case}.png", **MASK}, modality="X-ray",
                         replica={"spacing_mm": [0.2, 0.3]}),
    "dicom compressed": one("{case}/dcm/", {"file": "{case}/seg.nii.gz", **VALUES},
                            replica={"write": {"syntax": "rle"}}),
    "stack of pictures": one("{case}/im/", {"file": "{case}/seg/", **VALUES},
                             orientation="RPI", spacing_mm=[3, 0.5, 0.4],
                             replica={"write": {"stack": "png"}}),
    "video": one("{case}.avi", {"file": "seg/{case}.png", **MASK}, every=2,
                 modality="colonoscopy", replica={"frames": 3}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_reads_back_as_it_was_drawn(name: str, tmp_path: Path) -> None:
    cases = check(FORMATS[name], tmp_path)
    assert all(case.masks for case in cases)
