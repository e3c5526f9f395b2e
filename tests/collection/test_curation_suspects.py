"""Suspicious labels: each planted fault is picked by its rule, the sound twin is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curation_makers import body, collection, curated, texture

from engine.collection.case import CuratedCase, Label
from engine.collection.catalog import Catalog
from engine.collection.curation import survey
from engine.collection.curation.frame import Frame
from engine.collection.curation.outside import Placed, objects_outside
from engine.collection.curation.suspects import Rule, suspects
from engine.collection.ingest import ingest


def rules(path: Path, *cases: CuratedCase) -> dict[str, Rule]:
    report, _ = survey(collection(path / "c.zarr", list(cases)), effort="all")
    return {rule.name: rule for rule in report.rules}


def mirrored(case: CuratedCase) -> CuratedCase:
    return replace(case, labels=np.ascontiguousarray(case.labels[..., ::-1]))


def test_sound_cases_raise_nothing(tmp_path: Path) -> None:
    found = rules(tmp_path, *(body(f"b{k}", seed=k) for k in range(4)))
    assert {name: rule.found for name, rule in found.items()} == {
        "wrong_side": 0, "outside": 0, "area_jump": 0, "covers_image": 0,
    }  # fmt: skip
    assert found["wrong_side"].judged == 4
    assert found["outside"].judged == found["covers_image"].judged == 4 * 6 * 2
    assert found["area_jump"].judged == 4 * 2 * 3  # of five steps the first and last do not count


def test_mirrored_labels(tmp_path: Path) -> None:
    rule = rules(tmp_path, body("right"), mirrored(body("wrong")))["wrong_side"]
    (one,) = rule.listed
    assert (one.where, one.structures) == ("ds/wrong", ("kidney_left", "kidney_right"))
    assert one.slice_id.startswith("ds/wrong/")


def test_sides_in_sagittal_volumes_go_by_slice(tmp_path: Path) -> None:
    def sagittal(name: str, left: int, right: int) -> CuratedCase:
        labels = np.zeros((1, 8, 64, 64), np.uint8)
        labels[0, left, 10:30, 10:30] = 1
        labels[0, right, 10:30, 10:30] = 2
        image = np.stack([texture(k, 64) for k in range(8)])
        return curated(name, image, labels, ["left hip", "right hip"], plane="sagittal")

    rule = rules(tmp_path, sagittal("good", 6, 1), sagittal("bad", 1, 6))["wrong_side"]
    assert [one.where for one in rule.listed] == ["ds/bad"]
    assert rule.judged == 2


def test_sides_of_pictures_are_undecided(tmp_path: Path) -> None:
    flat = mirrored(replace(body("p", slices=1), plane="image"))
    rule = rules(tmp_path, flat)["wrong_side"]
    assert (rule.judged, rule.undecided, rule.found) == (0, 1, 0)


@pytest.mark.parametrize(
    ("left", "right", "judged"),
    [
        ("Left Atrium", "right atrium", 1),
        ("rib_left_1", "rib_right_1", 1),
        ("lung_upper_lobe_left", "lung_lower_lobe_right", 0),
        ("cleft", "cright", 0),
        ("left_to_right", "right_to_left", 0),
    ],
)
def test_what_counts_as_a_pair(tmp_path: Path, left: str, right: str, judged: int) -> None:
    case = body("b")
    case = replace(case, meaning=(Label(0, 1, left), Label(0, 2, right)))
    assert rules(tmp_path, case)["wrong_side"].judged == judged


def test_labels_shifted_off_the_body(tmp_path: Path) -> None:
    shifted = body("shifted")
    labels = np.zeros_like(shifted.labels)
    labels[0, :, 2:14, 2:14] = 1  # in the air
    labels[0, :, 40:56, 40:56] = 2
    rule = rules(tmp_path, body("good"), replace(shifted, labels=labels))["outside"]
    assert rule.found == 6
    assert {one.where.split("/")[1] for one in rule.listed} == {"shifted"}
    assert {one.structures for one in rule.listed} == {("kidney_left",)}


def block(y0: int, y1: int, x0: int, x1: int) -> Placed:
    return Placed((slice(y0, y1), slice(x0, x1)), np.ones((y1 - y0, x1 - x0), np.bool_))


def test_air_inside_the_body_is_not_outside() -> None:
    grey = np.zeros((96, 96), np.uint8)
    grey[10:86, 10:86] = 120
    grey[30:50, 30:50] = 0  # an air-filled lung
    lung, air = block(31, 49, 31, 49), block(1, 9, 20, 40)
    assert objects_outside(grey, [lung, air]) == [False, True]
    grey[10:30, 40:42] = 0  # opened to the air by a crack
    assert objects_outside(grey, [lung, air]) == [False, True]


def test_a_bright_or_busy_frame_decides_nothing() -> None:
    one = block(0, 10, 0, 10)
    assert objects_outside(np.full((64, 64), 200, np.uint8), [one]) is None
    busy = np.random.default_rng(0).integers(0, 41, (64, 64)).astype(np.uint8)
    assert objects_outside(busy, [one]) is None


def test_a_dark_lesion_that_is_all_the_darkness_is_not_outside() -> None:
    grey = np.full((96, 96), 180, np.uint8)
    grey[[0, -1]] = grey[:, [0, -1]] = 5  # a thin dark rim
    grey[:40, :40] = 5
    lesion = block(0, 40, 0, 40)
    assert objects_outside(grey, [lesion]) == [False]
    grey[60:] = 5  # air it could be part of
    grey[:, :6] = 5
    assert objects_outside(grey, [lesion]) == [True]


def test_a_lost_slice_of_a_label(tmp_path: Path) -> None:
    broken = body("broken", slices=8)
    keep = np.argwhere(broken.labels[0, 4] == 1)[:6]
    broken.labels[0, 4][broken.labels[0, 4] == 1] = 0
    broken.labels[0, 4][tuple(keep.T)] = 1
    tip = body("tip", slices=8)
    tip.labels[0, 0] = 0
    tip.labels[0, 0, 48, 66:70] = 1  # an organ's tip is small and no fault
    rule = rules(tmp_path, broken, tip)["area_jump"]
    assert rule.found == 2  # into the gap and out of it
    assert {one.where.split("/")[1] for one in rule.listed} == {"broken"}
    assert {one.structures for one in rule.listed} == {("kidney_left",)}


def test_an_inverted_mask(tmp_path: Path) -> None:
    inverted = body("inverted", slices=2)
    inverted.labels[0] = np.where(inverted.labels[0] == 1, 0, 1)
    whole = body("whole", slices=2)
    whole.labels[0, :, 1:, 1:] = 1  # large, but two edges are free
    rule = rules(tmp_path, inverted, whole)["covers_image"]
    assert {one.where.split("/")[1] for one in rule.listed} == {"inverted"}
    assert rule.found == 2


def test_real_labels_are_on_their_sides_until_mirrored(tmp_path: Path, shared_data: Path) -> None:
    name = "totalsegmentator_ct_mr"
    ingest(name, shared_data / name, tmp_path / "c.zarr")
    report, frame = survey(tmp_path / "c.zarr", effort="all")
    assert {rule.name: rule.found for rule in report.rules} == {
        "wrong_side": 0, "outside": 0, "area_jump": 0, "covers_image": 0,
    }  # fmt: skip
    judged = report.rules[0].judged
    assert judged >= 10
    mirrored_frame = Frame.of(Catalog.open(tmp_path / "c.zarr"))
    mirrored_frame.__dict__["box"] = -frame.box[:, [2, 1, 0, 3]]
    rule = suspects(mirrored_frame, None, 12)[0]
    assert (rule.judged, rule.found) == (judged, judged)
