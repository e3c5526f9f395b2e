"""Exports hold the same objects, and the recipe beside them reads the same objects back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from collection.stored_makers import case_of, info, picture
from PIL import Image
from pycocotools import mask as referee

from engine.collection.case import CuratedCase, Label
from engine.collection.catalog import Catalog
from engine.collection.export import export_collection
from engine.collection.export.cases import stored_datasets
from engine.collection.export.nesting import Together
from engine.collection.export.values import png_values
from engine.collection.ingest import ingest, ingest_cases
from engine.collection.orient import affine_of_codes, orientation
from engine.errors import UserError

Objects = dict[tuple[str, str, int, str, int], bytes]


def stored(collection: Path, *, per_slice: bool = False, instances: bool = True) -> Objects:
    """{(subject, case, slice, structure, instance): mask} of a collection.

    Args:
        per_slice: name slices of volumes as an export that makes cases of them does.
        instances: False: objects of a structure united.
    """
    found: dict[Any, Any] = {}
    for dataset in stored_datasets(Catalog.open(collection), None):
        for case in dataset.cases():
            for place, things in enumerate(case.objects):
                index, name = case.slices[place]["slice"], case.name
                if per_slice and len(case.slices) > 1:
                    index, name = 0, f"{name}_{index:05d}"
                for thing in things:
                    instance = thing["instance"] if instances else 0
                    key = (case.subject, name, index, thing["structure"], instance)
                    mask = case.mask(place, thing)
                    assert mask.sum() == thing["area_px"]
                    found[key] = found.get(key, np.zeros_like(mask)) | mask
    return {key: mask.tobytes() + repr(mask.shape).encode() for key, mask in found.items()}


def pixels(collection: Path) -> dict[tuple[str, int], Any]:
    """{(case, slice): image} of a collection."""
    return {
        (case.name, row["slice"]): case.image[place]
        for dataset in stored_datasets(Catalog.open(collection), None)
        for case in dataset.cases()
        for place, row in enumerate(case.slices)
    }


def read_back(folder: Path, out: Path) -> Path:
    report = ingest(folder / "recipe.yaml", folder, out)
    assert report.refused == 0, Catalog.open(out).exclusions.to_pylist()
    return out


def volume(name: str, codes: str = "LPS", dtype: str = "int16", **more: Any) -> CuratedCase:
    """An oriented volume with nested structures, instances and an overlap-free one."""
    rng = np.random.default_rng(len(name))
    image = rng.integers(-1000, 2000, (5, 14, 12)).astype(dtype)
    labels = np.zeros((2, 5, 14, 12), np.uint8)
    labels[0, 1:4, 2:10, 2:9] = 1  # whole
    labels[1, 1:3, 4:8, 3:7] = 1  # core, within whole
    labels[0, 1:5, 11:13, 2:5] = 2  # cyst 3
    labels[0, 2:5, 11:13, 7:10] = 3  # cyst 8
    labels[0, 3, 5, 5] = 0  # a hole
    meaning = [
        Label(0, 1, "whole"),
        Label(1, 1, "core"),
        Label(0, 2, "cyst", 3),
        Label(0, 3, "cyst", 8),
    ]
    case = case_of(name, image, labels, meaning=meaning, **more)
    stored_affine = affine_of_codes(codes, (0.5, 0.75, 2.5))
    stored_affine[:3, 3] = [-11.25, 20.5, 7.0]
    turn = orientation(stored_affine)
    shape = tuple(image.shape[turn.axes.index(axis)] for axis in range(3))
    affine = turn.affine(stored_affine, shape)
    return CuratedCase(**{**case.__dict__, "affine": affine, "plane": turn.plane})


def made(tmp_path: Path, *cases: CuratedCase, **words: Any) -> Path:
    out = tmp_path / "in.zarr"
    ingest_cases(info(**words), cases, out)
    return out


def test_coco_round_trip_keeps_every_object_and_pixel(tmp_path: Path) -> None:
    photo = picture("p", channels=3)
    collection = made(tmp_path, volume("v1"), volume("v2", "RAS"), photo, picture("g", channels=1))
    report = export_collection(collection, "coco", tmp_path / "out")
    assert report.objects == len(stored(collection))
    assert list(report.notes.values()) == [2]
    assert "offset" in next(iter(report.notes))
    back = read_back(tmp_path / "out" / "ds", tmp_path / "back.zarr")
    assert stored(back) == stored(collection, per_slice=True)
    before, after = pixels(collection), pixels(back)
    np.testing.assert_array_equal(after["p", 0], before["p", 0])
    entry = _image(tmp_path / "out" / "ds", "v1", 2)
    value = entry["source"]
    shifted = after["v1_00002", 0] * value["value_scale"] + value["value_offset"]
    np.testing.assert_array_equal(shifted, before["v1", 2])


def _image(folder: Path, case: str, index: int) -> dict[str, Any]:
    content = json.loads((folder / "annotations.json").read_text())
    return next(
        e
        for e in content["images"]
        if e["source"]["case"] == case and e["source"]["slice"] == index
    )


def test_coco_is_what_its_own_tools_read(tmp_path: Path) -> None:
    collection = made(tmp_path, volume("v1"))
    export_collection(collection, "coco", tmp_path / "out")
    folder = tmp_path / "out" / "ds"
    content = json.loads((folder / "annotations.json").read_text())
    names = {c["id"]: c["name"] for c in content["categories"]}
    assert {c["supercategory"] for c in content["categories"]} == {"CT"}
    images = {i["id"]: i for i in content["images"]}
    assert len(images) == 5
    found = {}
    for one in content["annotations"]:
        area = int(referee.area(one["segmentation"]))
        assert area == one["area"]
        assert referee.toBbox(one["segmentation"]).tolist() == one["bbox"]
        source = images[one["image_id"]]["source"]
        found[source["slice"], names[one["category_id"]], one.get("instance_id", 0)] = area
        with Image.open(folder / images[one["image_id"]]["file_name"]) as image:
            assert image.size == (12, 14)
    rows = Catalog.open(collection).objects.to_pylist()
    assert found == {
        (int(r["slice_id"][-5:]), r["structure"], r["instance"]): r["area_px"] for r in rows
    }


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PIL", "SAR"])
def test_nnunet_round_trip_keeps_voxels_and_geometry(tmp_path: Path, codes: str) -> None:
    collection = made(tmp_path, volume("v1", codes), volume("v 2", codes))
    report = export_collection(collection, "nnunet", tmp_path / "out")
    back = read_back(report.folders[0], tmp_path / "back.zarr")
    assert stored(back) == stored(collection, instances=False)
    before, after = pixels(collection), pixels(back)
    assert before.keys() == after.keys()
    for key, image in before.items():
        np.testing.assert_array_equal(after[key], image)
        assert after[key].dtype == image.dtype
    was, now = (list(stored_datasets(Catalog.open(c), None)[0].cases()) for c in (collection, back))
    for one, other in zip(was, now, strict=True):
        np.testing.assert_allclose(other.affine, one.affine, atol=1e-6)
        assert other.row["plane"] == one.row["plane"]
    assert "nnU-Net has no instances: objects of a structure are united" in report.notes


def test_nnunet_files_are_what_others_expect(tmp_path: Path) -> None:
    collection = made(tmp_path, volume("v1"))
    export_collection(collection, "nnunet", tmp_path / "out")
    folder = tmp_path / "out" / "Dataset001_ds"
    content = json.loads((folder / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "whole": [1, 3], "cyst": 2, "core": 3}
    assert content["regions_class_order"] == [1, 2, 3]
    assert content["channel_names"] == {"0": "CT"}
    assert content["file_ending"] == ".nii.gz"
    assert content["numTraining"] == 1
    label: Any = nib.load(folder / "labelsTr" / "subject of v1--v1.nii.gz")
    image: Any = nib.load(folder / "imagesTr" / "subject of v1--v1_0000.nii.gz")
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    np.testing.assert_allclose(image.affine, label.affine)
    np.testing.assert_allclose(image.header.get_zooms(), (0.5, 0.75, 2.5))
    assert np.asarray(label.dataobj)[4, 5, 1] == 3  # x, y, slice within the core


def test_kinds_of_cases_become_nnunet_datasets_of_their_own(tmp_path: Path) -> None:
    floats = picture("f", channels=1)
    floats = CuratedCase(**{**floats.__dict__, "image": floats.image / np.float32(7)})
    collection = made(tmp_path, volume("v"), picture("p"), picture("q"), floats)
    report = export_collection(collection, "nnunet", tmp_path / "out")
    assert sorted(folder.name.split("_", 1)[1] for folder in report.folders) == [
        "ds_CT",
        "ds_photo_pictures_colour",
        "ds_photo_pictures_grey",
    ]
    for folder in report.folders:
        read_back(folder, tmp_path / "back.zarr" / folder.name)
    both: dict[Any, Any] = {}
    for folder in report.folders:
        both |= stored(tmp_path / "back.zarr" / folder.name)
        seen = pixels(tmp_path / "back.zarr" / folder.name)
        for key, image in seen.items():
            np.testing.assert_array_equal(image, pixels(collection)[key])
    assert both == stored(collection, instances=False)


def test_official_test_cases_keep_apart(tmp_path: Path) -> None:
    one, two = volume("v1"), volume("v2")
    cases = [CuratedCase(**{**one.__dict__, "split": "train"}),
             CuratedCase(**{**two.__dict__, "split": "test"})]  # fmt: skip
    collection = made(tmp_path, *cases)
    for form in ("nnunet", "coco"):
        report = export_collection(collection, form, tmp_path / form)
        back = read_back(report.folders[0], tmp_path / f"{form}.zarr")
        splits = {c.name[:2]: c.split for c in stored_datasets(Catalog.open(back), None)[0].cases()}
        assert splits == {"v1": "train", "v2": "test"}
    assert (tmp_path / "nnunet" / "Dataset001_ds" / "labelsTs").is_dir()


def test_crossing_structures_are_regions_with_a_number_of_their_own(tmp_path: Path) -> None:
    labels = np.zeros((2, 1, 8, 8), np.uint8)
    labels[0, 0, 1:5, 1:5] = 1
    labels[1, 0, 3:7, 3:7] = 1
    collection = made(tmp_path, case_of("a", np.zeros((1, 8, 8), np.uint8), labels))
    for form in ("nnunet", "coco"):
        report = export_collection(collection, form, tmp_path / form)
        back = read_back(report.folders[0], tmp_path / f"{form}.zarr")
        assert stored(back) == stored(collection)
        assert any("structures cross" in note for note in report.notes) == (form == "nnunet")
    content = json.loads((tmp_path / "nnunet" / "Dataset001_ds" / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "s0_1": [1, 3], "s1_1": [2, 3]}


def test_an_export_that_cannot_be_finished_writes_nothing(tmp_path: Path) -> None:
    photo = picture("p")
    odd = CuratedCase(**{**photo.__dict__, "image": photo.image / np.float32(3), "dataset": "z"})
    collection = made(tmp_path, photo)
    ingest_cases(info("z"), [odd], collection)
    with pytest.raises(UserError, match="colours as PNG only"):
        export_collection(collection, "nnunet", tmp_path / "n")
    assert not (tmp_path / "n").exists()
    report = export_collection(collection, "coco", tmp_path / "c")
    assert any("rounded to 16 bits" in note for note in report.notes)


def test_odd_names_survive_as_folders(tmp_path: Path) -> None:
    names = ["a/b", "..", "x{y}", "per%cent", "-- dash"]
    cases = [picture(name, channels=1) for name in names]
    collection = made(tmp_path, *cases)
    for form in ("coco", "nnunet"):
        report = export_collection(collection, form, tmp_path / form)
        back = read_back(report.folders[0], tmp_path / f"{form}.zarr")
        assert len(stored(back)) == len(names)
        assert sorted(stored(back).values()) == sorted(stored(collection).values())


def test_mistakes_are_said(tmp_path: Path) -> None:
    collection = made(tmp_path, picture("p"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for arguments, words in (
        ((collection, "coco", tmp_path / "full"), "not empty"),
        ((collection, "yolo", tmp_path / "o"), "unknown format"),
        ((collection, "coco", tmp_path / "o", "dz"), "no dataset 'dz'"),
        ((collection, "coco", tmp_path / "full" / "x"), "cannot write"),
        ((tmp_path / "none", "coco", tmp_path / "o"), "no collection"),
    ):
        with pytest.raises(UserError, match=words):
            export_collection(*arguments)


@pytest.mark.parametrize(
    ("image", "exact"),
    [
        (np.array([[0, 255]], np.uint8), True),
        (np.array([[0, 65535]], np.uint16), True),
        (np.array([[False, True]]), True),
        (np.array([[-1024, 3071]], np.int16), True),
        (np.array([[-32768, 32767]], np.int16), True),
        (np.array([[100_000, 165_535]], np.int64), True),
        (np.array([[2**63 + 5, 2**63 + 9]], np.uint64), True),
        (np.array([[-(2.0**40), -(2.0**40) + 3]]), True),
        (np.array([[3.0, -7.0]], np.float32), True),
        (np.array([[0, 70_000]], np.int32), False),
        (np.array([[0.25, 0.5]]), False),
        (np.array([[1e300, 1.5e300]]), False),
        (np.array([[0.5, 0.5]]), False),
    ],
)
def test_values_come_back_from_png(image: Any, exact: bool) -> None:
    values = png_values(image)
    assert values.pixels.dtype in (np.uint8, np.uint16)
    back = values.pixels.astype(np.float64) * values.scale + values.offset
    if exact:
        assert values.scale == 1
        assert values.largest_error == 0
        if image.dtype.kind in "iu":
            whole = [int(p) + values.offset for p in values.pixels.ravel()]
            assert whole == [int(v) for v in image.ravel()]
        else:
            np.testing.assert_array_equal(back, image)
    else:
        assert np.abs(back - image).max() <= values.scale * 0.5000001
        assert values.largest_error <= values.scale * 0.5000001


def test_numbers_of_structures_follow_from_shared_voxels() -> None:
    a, b, c = (np.zeros((6, 6), bool) for _ in range(3))
    a[:5], b[1:3], c[1:3, 2:4] = True, True, True
    nested = Together()
    nested.add([("c", c), ("b", b), ("a", a)], (6, 6))
    assert nested.order == ["a", "b", "c"]
    assert not nested.crosses
    assert nested.members() == {"a": [1, 2, 3], "b": [2, 3], "c": [3]}
    c[5] = True
    crossing = Together()
    crossing.add([("c", c), ("b", b), ("a", a)], (6, 6))
    assert crossing.crosses
    assert crossing.order == ["a", "b", "c"]
    assert crossing.members() == {"a": [1, 2, 4], "b": [2, 4], "c": [3, 4]}
    same = Together()
    same.add([("y", a), ("x", a)], (6, 6))
    assert same.members() == {"x": [1, 2], "y": [2]}
