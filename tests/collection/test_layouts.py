"""`recipe init`: what a folder of a known layout becomes, shown by ingesting the proposal."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from collection.outline_makers import as_json, coco, labelme
from collection.raw_makers import nifti
from collection.stored_makers import info, picture
from collection.test_export import pixels, stored, volume
from numpy.typing import NDArray
from PIL import Image

from engine.cli import run
from engine.collection.catalog import Catalog
from engine.collection.export import export_collection
from engine.collection.ingest import ingest, ingest_cases
from engine.collection.layouts import DECIDE, Proposed, propose, undecided
from engine.collection.layouts.base import _comment
from engine.collection.layouts.words import file_reading, folder_role
from engine.errors import UserError

RNG = np.random.default_rng(5)


def ingested(proposed: Proposed, raw: Path, out: Path) -> Path:
    """Ingest a proposal as its text says; nothing may be refused."""
    recipe = out.with_suffix(".yaml")
    recipe.write_text(proposed.text, encoding="utf-8")
    report = ingest(recipe, raw, out)
    assert report.refused == 0, Catalog.open(out).exclusions.to_pylist()
    assert report.stored > 0
    return out


def areas(collection: Path) -> dict[tuple[str, str, int], int]:
    """{(case, structure, instance): pixels over all slices}."""
    found: dict[tuple[str, str, int], int] = {}
    for (_, case, _, structure, instance), mask in stored(collection).items():
        key = (case, structure, instance)
        area = mask[: mask.rindex(b"(")].count(1)
        found[key] = found.get(key, 0) + area
    return found


def image_file(path: Path, array: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def noise(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(1, 250, shape).astype(np.uint8)


def blob(value: int = 1, size: int = 20, at: int = 3) -> NDArray[np.uint8]:
    mask = np.zeros((size, size), np.uint8)
    mask[at : at + 8, at : at + 9] = value
    return mask


AFFINE = np.diag([-1.0, -1.0, 3.0, 1.0])


def solid(*values: int) -> NDArray[np.uint8]:
    label = np.zeros((12, 11, 4), np.uint8)
    for place, value in enumerate(values):
        label[2:8, 1 + 3 * place : 3 + 3 * place, 1:3] = value
    return label


def nnunet(root: Path, labels: dict[str, Any], values: tuple[int, ...], **fields: Any) -> Path:
    """Two cases with the channels T1 and FLAIR."""
    for case in ("p_001", "p_002"):
        for channel in range(2):
            name = root / "imagesTr" / f"{case}_{channel:04d}.nii.gz"
            nifti(name, RNG.normal(0, 1, (12, 11, 4)).astype(np.float32), AFFINE)
        nifti(root / "labelsTr" / f"{case}.nii.gz", solid(*values), AFFINE)
    content = {
        "channel_names": {"0": "T1", "1": "FLAIR"},
        "labels": labels,
        "file_ending": ".nii.gz",
        "numTraining": 2,
        **fields,
    }
    as_json(root / "dataset.json", content)
    return root


def test_nnunet_channels_become_cases_of_one_subject(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    raw = nnunet(tmp_path / "Dataset007_Brain", labels, (1, 2, 3), licence="CC0", name="Brain")
    proposed = propose(raw)
    assert proposed.layout == "nnU-Net"
    assert proposed.recipe.dataset == "dataset007_brain"
    assert proposed.recipe.licence == "CC0"
    assert [s.modality for s in proposed.recipe.series] == ["T1W", "T2-FLAIR"]
    out = ingested(proposed, raw, tmp_path / "out.zarr")
    cases = Catalog.open(out).cases.to_pylist()
    assert {(c["case"], c["subject_id"]) for c in cases} == {
        (f"p_00{n}_{channel}", f"dataset007_brain/p_00{n}")
        for n in (1, 2)
        for channel in ("T1", "FLAIR")
    }
    assert areas(out)["p_001_T1", "whole", 0] == 48
    assert areas(out)["p_001_T1", "core", 0] == 24
    assert "value" not in " ".join(proposed.decisions)


def test_values_nobody_names_are_pointed_at(tmp_path: Path) -> None:
    raw = nnunet(tmp_path / "raw", {"background": 0, "organ": 1, "cyst": 9}, (1, 5))
    proposed = propose(raw, "mine")
    assert "value 5 (48 px) is in label files but not in dataset.json" in proposed.decisions
    assert "in no sampled label file: cyst" in proposed.text
    assert proposed.recipe.dataset == "mine"


def test_a_labelled_test_part_is_a_split(tmp_path: Path) -> None:
    raw = nnunet(tmp_path / "raw", {"background": 0, "organ": 1}, (1,))
    for channel in range(2):
        image = RNG.normal(0, 1, (12, 11, 4)).astype(np.float32)
        nifti(raw / "imagesTs" / f"q_{channel:04d}.nii.gz", image, AFFINE)
    nifti(raw / "labelsTs" / "q.nii.gz", solid(1), AFFINE)
    (raw / "imagesTr" / "._p_001_0000.nii.gz").write_bytes(b"junk")
    (raw / "labelsTr" / "._p_001.nii.gz").write_bytes(b"junk")
    proposed = propose(raw)
    assert [s.split for s in proposed.recipe.series] == ["train", "train", "test", "test"]
    assert len(areas(ingested(proposed, raw, tmp_path / "out.zarr"))) == 6


def test_a_decathlon_task_with_channels(tmp_path: Path) -> None:
    raw = tmp_path / "Task01_Brain"
    for case in ("b_001", "b_002"):
        image = RNG.normal(0, 1, (12, 11, 4, 2)).astype(np.float32)
        nifti(raw / "imagesTr" / f"{case}.nii.gz", image, AFFINE)
        nifti(raw / "labelsTr" / f"{case}.nii.gz", solid(1, 2), AFFINE)
        (raw / "imagesTr" / f"._{case}.nii.gz").write_bytes(b"junk")
    content = {
        "name": "Brain",
        "licence": "CC-BY-SA 4.0",
        "modality": {"0": "FLAIR", "1": "mystery"},
        "labels": {"0": "background", "1": "edema", "2": "tumour"},
        "training": [],
    }
    as_json(raw / "dataset.json", content)
    proposed = propose(raw)
    assert proposed.layout == "Medical Segmentation Decathlon"
    assert any("mystery" in decision for decision in proposed.decisions)
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert set(found) == {
        (f"b_00{n}_{channel}", structure, 0)
        for n in (1, 2)
        for channel in ("FLAIR", "mystery")
        for structure in ("edema", "tumour")
    }
    modalities = {c["modality"] for c in Catalog.open(tmp_path / "out.zarr").cases.to_pylist()}
    assert "T2-FLAIR" in modalities


PAIRS = [
    ("images/{}.png", "masks/{}.png"),
    ("img/{}.png", "mask/{}_mask.png"),
    ("train/images/{}.png", "train/masks/{}_gt.png"),
    ("images/train/{}.png", "labels/train/{}.png"),
    ("imagesTr/{}.png", "labelsTr/{}.png"),
    ("Train_Images/{}_image.png", "Train_GroundTruth/{}_seg.png"),
    ("{}.png", "{}_mask.png"),
    ("{}.png", "{}-mask.png"),
    ("{}_image.png", "{}_label.png"),
    ("img_{}.png", "mask_{}.png"),
    ("{}/image.png", "{}/mask.png"),
    ("{}/{}.png", "{}/{}_segmentation.png"),
    ("data/{}/t1.png", "data/{}/t1_seg.png"),
    ("images/{}/x.png", "masks/{}/x.png"),
    ("imgs/{}.jpg", "gts/{}.png"),
    ("{}/ct.png", "{}/segmentation.png"),
    ("set/{}.png", "set/masks/{}.png"),
]


@pytest.mark.parametrize(("image", "label"), PAIRS)
def test_pairs_are_found_by_their_names(tmp_path: Path, image: str, label: str) -> None:
    raw = tmp_path / "raw"
    for name in ("7", "b_12", "xyz"):
        image_file(raw / image.format(name, name), noise(20, 20))
        image_file(raw / label.format(name, name), blob(255))
    image_file(raw / "notes" / "logo.png", noise(5, 5))
    proposed = propose(raw)
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert len(found) == 3
    assert {structure for _, structure, _ in found} == {"object"}
    assert set(found.values()) == {72}
    for name in ("7", "b_12", "xyz"):
        assert any(name in case for case, _, _ in found)
    assert "the name of the structure" in proposed.decisions


def test_one_pair_alone_is_named_as_it_is(tmp_path: Path) -> None:
    image_file(tmp_path / "raw" / "a" / "img2d.tif", noise(20, 20))
    image_file(tmp_path / "raw" / "a" / "mask2d.tif", blob())
    image_file(tmp_path / "raw" / "b" / "deep" / "img2d.tif", noise(20, 20))
    image_file(tmp_path / "raw" / "b" / "deep" / "mask2d.tif", blob())
    found = areas(ingested(propose(tmp_path / "raw"), tmp_path / "raw", tmp_path / "out.zarr"))
    assert {case for case, _, _ in found} == {"1_img2d", "2_img2d"}


def test_one_mask_per_structure(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("a", "a_b"):
        image_file(raw / "images" / f"{name}.png", noise(20, 20))
        image_file(raw / "masks" / f"{name}_liver.png", blob())
        image_file(raw / "masks" / f"{name}_left-lung.png", blob(1, at=9))
    found = areas(ingested(propose(raw), raw, tmp_path / "out.zarr"))
    assert set(found) == {(c, s, 0) for c in ("a", "a_b") for s in ("liver", "left-lung")}


def test_structures_in_folders_and_as_names(tmp_path: Path) -> None:
    wanted = {(c, s, 0) for c in ("s01", "s02") for s in ("liver", "spleen")}
    for number, (image, label) in enumerate(
        [("images/{}.png", "masks/{s}/{}.png"), ("{}/ct.png", "{}/segmentations/{s}.png")]
    ):
        raw = tmp_path / f"raw{number}"
        for name in ("s01", "s02"):
            image_file(raw / image.format(name), noise(20, 20))
            for structure in ("liver", "spleen"):
                image_file(raw / label.format(name, s=structure), blob())
        proposed = propose(raw)
        assert "2 structures by file name: liver (2), spleen (2)" in proposed.text
        assert set(areas(ingested(proposed, raw, tmp_path / f"{number}.zarr"))) == wanted


@pytest.mark.parametrize("folder", ["{}/{}", "all/{1}"])
def test_images_that_share_a_label_are_of_one_subject(tmp_path: Path, folder: str) -> None:
    raw = tmp_path / "raw"
    for name in ("p_001", "p_002"):
        start = str(raw / folder.format(name, name))
        for channel in ("t1", "flair"):
            nifti(Path(f"{start}_{channel}.nii.gz"), noise(12, 11, 4), AFFINE)
        nifti(Path(f"{start}_seg.nii.gz"), solid(1, 2), AFFINE)
    out = ingested(propose(raw), raw, tmp_path / "out.zarr")
    cases = {(c["case"], c["subject_id"]) for c in Catalog.open(out).cases.to_pylist()}
    assert cases == {
        (f"p_00{n}_{channel}", f"raw/p_00{n}") for n in (1, 2) for channel in ("t1", "flair")
    }


def test_several_labels_of_one_image_are_sources_of_their_own(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("t1", "t2", "pd"):
        image_file(raw / f"{name}.png", noise(20, 20))
        image_file(raw / f"{name}_seg.png", blob())
        if name != "pd":
            image_file(raw / f"{name}_gmseg_manual.png", blob(1, at=9))
    found = areas(ingested(propose(raw), raw, tmp_path / "out.zarr"))
    assert sorted((case, structure[:2]) for case, structure, _ in found) == [
        ("pd", "se"), ("t1", "gm"), ("t1", "se"), ("t2", "gm"), ("t2", "se"),
    ]  # fmt: skip


MEANINGS: dict[str, tuple[Any, str, set[tuple[str, int]]]] = {
    "values": (
        lambda n: blob(3) + blob(1, at=12) * (n > 0),
        "values",
        {("structure_3", 0), ("structure_1", 0)},
    ),
    "soft": (lambda n: _soft(), "mask", {("object", 0)}),
    "instances": (lambda n: _cells(30 + n), "instances", {("object", 1), ("object", 31)}),
    "colours": (
        lambda n: np.stack([blob(255), blob(0), blob(128)], -1),
        "colours",
        {("structure_1", 0)},
    ),
}


def _soft() -> NDArray[np.uint8]:
    mask = blob(255, 40)
    mask[3, 3:12] = np.arange(20, 110, 10)
    return mask


def _cells(count: int) -> NDArray[np.uint8]:
    mask = np.zeros((24, 24), np.uint8)
    for number in range(1, count + 1):
        y, x = divmod(number, 8)
        mask[3 * y : 3 * y + 2, 3 * x : 3 * x + 2] = number
    return mask


@pytest.mark.parametrize("name", MEANINGS)
def test_values_are_taken_for_what_they_look_like(tmp_path: Path, name: str) -> None:
    draw, kind, wanted = MEANINGS[name]
    raw = tmp_path / "raw"
    for number in range(4):
        label = draw(number)
        image_file(raw / "images" / f"{number}.png", noise(*label.shape[:2]))
        image_file(raw / "masks" / f"{number}.png", label)
    proposed = propose(raw)
    assert proposed.recipe.series[0].labels[0].kind == kind
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert wanted <= {(structure, instance) for _, structure, instance in found}
    assert any("name" in decision for decision in proposed.decisions)


def test_volumes_without_a_place_ask_for_one(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("a", "b"):
        nifti(raw / "images" / f"{name}.nii.gz", noise(12, 11, 4), coded=False)
        nifti(raw / "masks" / f"{name}.nii.gz", solid(1), coded=False)
    proposed = propose(raw)
    assert proposed.recipe.series[0].orientation == "LPS"
    assert any("left and right" in decision for decision in proposed.decisions)
    assert len(areas(ingested(proposed, raw, tmp_path / "out.zarr"))) == 2


def test_flat_nifti_is_a_picture(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("a", "b"):
        nifti(raw / "images" / f"{name}.nii.gz", noise(12, 11, 1), AFFINE)
        nifti(raw / "masks" / f"{name}.nii.gz", solid(1)[:, :, 1:2], AFFINE)
    proposed = propose(raw)
    assert proposed.recipe.series[0].flat
    out = ingested(proposed, raw, tmp_path / "out.zarr")
    assert {c["plane"] for c in Catalog.open(out).cases.to_pylist()} == {"image"}


SQUARE = [2, 2, 9, 2, 9, 9, 2, 9]


def test_coco_pictures_in_folders(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    images = []
    for number, name in enumerate(["train/p1/0.png", "train/p1/1.png", "train/p2/0.png"]):
        image_file(raw / name, noise(12, 13))
        images.append({"id": number, "file_name": name[6:], "height": 12, "width": 13})
    images.append({"id": 99, "file_name": "p9/0.png", "height": 12, "width": 13})
    outlines = [
        {"image_id": n, "segmentation": [SQUARE], "iscrowd": int(n == 2), "category_id": c}
        for n, c in ((0, 3), (0, 9), (1, 3), (2, 3))
    ]
    outlines.append({"image_id": 2, "segmentation": [SQUARE], "category_id": 9})
    coco(raw / "annotations" / "train.json", outlines, (12, 13), images=images)
    proposed = propose(raw)
    assert proposed.layout == "COCO"
    assert any("crowd" in decision for decision in proposed.decisions)
    image_file(raw / "train/p2/7.png", noise(12, 13))
    asked = " ".join(propose(raw).decisions)
    assert "not in annotations/train.json, but images fits them: 1 file" in asked
    (raw / "train/p2/7.png").unlink()
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert set(found) == {
        ("p1_0", "cell", 1), ("p1_0", "stroma", 2), ("p1_1", "cell", 1), ("p2_0", "stroma", 2),
    }  # fmt: skip


def test_labelme_beside_the_pictures(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("a", "b"):
        image_file(raw / f"{name}.jpg", noise(12, 13))
        square = {"shape_type": "rectangle", "points": [[2, 2], [9, 9]]}
        labelme(raw / f"{name}.json", [square], (12, 13), imagePath=f"{name}.jpg")
    proposed = propose(raw)
    assert proposed.layout == "LabelMe"
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert found == {("a", "cell", 1): 49, ("b", "cell", 1): 49}


def test_npz_with_image_and_label(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("CT_a", "CT_b"):
        label = np.moveaxis(solid(1, 4), 2, 0)
        np.savez(raw / f"{name}.npz", imgs=noise(*label.shape), gts=label, spacing=[1, 1, 3])
    colour = raw / "more"
    colour.mkdir()
    for name in ("x", "y"):
        np.savez(colour / f"{name}.npz", imgs=noise(20, 20, 3), gts=blob())
    proposed = propose(raw)
    assert proposed.layout == "npz with imgs and gts"
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert found["CT_a", "structure_4", 0] == 24
    assert found["x", "object", 0] == 72


def test_folders_of_npy(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for folder in ("imgs", "gts"):
        (raw / folder).mkdir(parents=True)
    for name in ("a", "b"):
        np.save(raw / "imgs" / f"{name}.npy", noise(20, 20, 3).astype(np.float32) / 255)
        np.save(raw / "gts" / f"{name}.npy", blob())
    proposed = propose(raw)
    assert proposed.recipe.series[0].axes == "yxc"
    found = areas(ingested(proposed, raw, tmp_path / "out.zarr"))
    assert found == {("a", "object", 0): 72, ("b", "object", 0): 72}


def test_exports_are_layouts_it_knows(tmp_path: Path) -> None:
    collection = tmp_path / "in.zarr"
    ingest_cases(info(), [volume("v1"), volume("v2")], collection)
    for form in ("coco", "nnunet"):
        report = export_collection(collection, form, tmp_path / form)
        proposed = propose(report.folders[0])
        back = ingested(proposed, report.folders[0], tmp_path / f"{form}.zarr")
        exact = form == "coco"
        was = stored(collection, per_slice=exact, instances=exact)
        now = stored(back)
        assert sorted(now.values()) == sorted(was.values())
        assert {key[3:] for key in now} == {key[3:] for key in was}


def test_pictures_of_an_export_are_found_again(tmp_path: Path) -> None:
    collection = tmp_path / "in.zarr"
    ingest_cases(info(), [picture("p"), picture("q")], collection)
    report = export_collection(collection, "nnunet", tmp_path / "n")
    back = ingested(propose(report.folders[0]), report.folders[0], tmp_path / "n.zarr")
    assert len(pixels(back)) == 2
    assert sorted(stored(back).values()) == sorted(stored(collection).values())


def test_the_most_certain_layout_wins_and_the_others_are_named(tmp_path: Path) -> None:
    raw = nnunet(tmp_path / "raw", {"background": 0, "organ": 1}, (1,))
    for case in ("p_001", "p_002"):
        image = nib.load(raw / "imagesTr" / f"{case}_0000.nii.gz").get_fdata()  # type: ignore[attr-defined]
        nifti(raw / "imagesTr" / f"{case}.nii.gz", image.astype(np.float32), AFFINE)
    proposed = propose(raw)
    assert proposed.layout == "nnU-Net"
    assert proposed.others == ("Medical Segmentation Decathlon", "pairs of images and labels")
    assert "Would fit too" in proposed.text


def test_what_fits_nothing_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="no known layout") as caught:
        propose(tmp_path)
    for word in ("nnU-Net", "COCO", "masks/", ".txt"):
        assert word in str(caught.value)
    with pytest.raises(UserError, match="no such folder"):
        propose(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        propose(tmp_path / "empty")


@pytest.mark.parametrize(
    "content",
    ["[", "[]", "{}", '{"labels": []}', '{"labels": {"a": "b"}}', '{"labels": {"": 1}}',
     '{"labels": {"a": [1, [2]]}, "channel_names": 7, "file_ending": 3}',
     '{"labels": {"a: b #": 1, "c\\nd": 2}, "channel_names": {"x": 1}, "licence": "a\\nb: ["}'],
)  # fmt: skip
def test_strange_files_never_break_a_look(tmp_path: Path, content: str) -> None:
    raw = nnunet(tmp_path / "raw", {"organ": 1}, (1, 2))
    (raw / "dataset.json").write_text(content)
    image_file(raw / "{braces}" / "image {1}.png", noise(5, 5))
    image_file(raw / "{braces}" / "mask {1}.png", blob(1, 20)[:5, :5])
    (raw / "labelsTr" / "p_001.nii.gz").write_bytes(b"broken")
    (raw / "x.npz").write_bytes(b"PK broken")
    with contextlib.suppress(UserError):
        assert propose(raw).recipe.series


def test_words_in_names() -> None:
    roles = {
        "images": "image", "Train_Images": "image", "imagesTr": "image", "JPEGImages": "image",
        "masks": "label", "labelsTr": "label", "SegmentationClass": "label", "GroundTruth": "label",
        "ground_truth": "label", "train": None, "imagenet": None, "massk": None, "crawl": None,
    }  # fmt: skip
    assert {name: (r := folder_role(name)) and r[0] for name in roles} == roles
    assert folder_role("imagesTr") == ("image", "*tr")
    assert folder_role("labelsTr") == ("label", "*tr")
    stems = {
        "a_mask": ("label", "a"), "mask-7": ("label", "7"), "x_seg-manual": ("label", "x"),
        "ISIC_1_segmentation": ("label", "ISIC_1"), "img2d": ("image", "2d"), "mask": ("label", ""),
        "liver": None, "unmasked": None, "01_manual1": ("label", "01"),
    }  # fmt: skip
    assert {s: (r := file_reading(s)) and (r.role, r.base) for s in stems} == stems


def test_a_decision_of_several_lines_is_said_whole() -> None:
    long, short = "word " * 60 + "end", "another"
    lines = [*_comment(DECIDE + long, "  "), "  # a remark", *_comment(DECIDE + short)]
    assert len(lines) > 4
    assert undecided("\n".join(lines)) == [long, short]


def test_the_command_writes_a_recipe_once(tmp_path: Path, capfd: Any) -> None:
    raw, target = tmp_path / "raw", tmp_path / "new" / "mine.yaml"
    for name in ("a", "b"):
        image_file(raw / "images" / f"{name}.png", noise(20, 20))
        image_file(raw / "masks" / f"{name}.png", blob())
    assert run(["recipe", "init", str(raw), "--out", str(target), "--name", "mine"]) == 0
    said = capfd.readouterr().out
    assert "2 cases" in said
    assert "to decide: the name of the structure" in said
    assert "samscope validate" in said
    assert DECIDE in target.read_text()
    assert run(["validate", str(target), str(raw)]) == 0
    said = capfd.readouterr().err
    assert said.count("still to decide in the recipe: ") == target.read_text().count(DECIDE)
    assert "still to decide in the recipe: the name of the structure" in said
    assert "skips" not in said
    decided = re.sub("# DECIDE: .*", "", target.read_text())
    target.write_text(decided + "skip: {b: blurred, bb: misspelt}\n")
    assert run(["validate", str(target), str(raw)]) == 0
    said = capfd.readouterr().err
    assert said == "the recipe skips 1 case(s) that are not in the raw folder: bb\n"
    assert run(["recipe", "init", str(raw), "--out", str(target)]) == 2
    assert "exists already" in capfd.readouterr().err
    assert run(["recipe", "init", str(raw)]) == 0
    printed = capfd.readouterr()
    assert printed.out.startswith("# Proposed")
    assert "2 cases" in printed.err


def test_the_export_command_says_what_changed(tmp_path: Path, capfd: Any) -> None:
    collection = tmp_path / "in.zarr"
    ingest_cases(info(), [volume("v1")], collection)
    arguments = ["export", str(collection), "--to", "nnunet", "--out", str(tmp_path / "n")]
    assert run(arguments) == 0
    said = capfd.readouterr()
    assert "no instances" in said.err
    assert "1 case" in said.out
    assert "read it back: samscope ingest" in said.out
    assert run(arguments) == 2


def test_unlabelled_cases_are_counted(tmp_path: Path, capfd: Any) -> None:
    raw = tmp_path / "raw"
    for name in ("a", "b", "c"):
        image_file(raw / "images" / f"{name}.png", noise(20, 20))
    image_file(raw / "masks" / "a.png", blob())
    assert run(["recipe", "init", str(raw)]) == 0
    assert "3 cases, 2 of them without a label" in capfd.readouterr().err
