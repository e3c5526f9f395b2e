"""Finding cases: names, subjects, label files, and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from raw_makers import recipe, series

from engine.collection.find import CaseSpec, find_cases
from engine.collection.recipe import Recipe
from engine.errors import UserError

MASK = {"file": "m/{case}.png", "kind": "mask", "structure": "liver"}
MANY = {"file": "m/{case}_{structure}_{component}.png", "kind": "mask"}


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def by_name(made: Recipe, root: Path) -> dict[str, CaseSpec]:
    return {spec.case: spec for spec in find_cases(made, root)}


def test_cases_are_sorted_by_name_over_all_series(tmp_path: Path) -> None:
    touch(tmp_path, "i/b.png", "i/a.png", "m/a.png", "m/b.png", "single.nii", "label.nii")
    made = recipe(
        series("single.nii", {**MASK, "file": "label.nii"}, case="aa"),
        series("i/{case}.png", MASK),
    )
    specs = find_cases(made, tmp_path)
    assert [spec.case for spec in specs] == ["a", "aa", "b"]
    assert [spec.series for spec in specs] == [1, 0, 1]
    assert specs[1].files == ("single.nii", "label.nii")
    assert specs[0].files == ("i/a.png", "m/a.png")
    assert all(spec.excluded is None for spec in specs)
    assert find_cases(made, tmp_path) == specs


@pytest.mark.parametrize(
    ("images", "fields", "case", "subject"),
    [
        ("i/{case}.png", {}, "p_1", "p_1"),
        ("i/{subject}_{slice}.png", {"case": "{subject}_{slice}"}, "p_1", "p"),
        ("i/{case}.png", {"subject": "everyone"}, "p_1", "everyone"),
        ("i/{a}_{b}.png", {"case": "{b}-{a}", "subject": "S{a}"}, "1-p", "Sp"),
        ("i/{a}_{b}.png", {"case": "{b}-{a}"}, "1-p", "1-p"),
        ("i/p_1.png", {"case": "x"}, "x", "x"),
    ],
)
def test_names(
    tmp_path: Path, images: str, fields: dict[str, Any], case: str, subject: str
) -> None:
    touch(tmp_path, "i/p_1.png", "m/all.png")
    made = recipe({**series(images, {**MASK, "file": "m/all.png"}), **fields})
    (spec,) = find_cases(made, tmp_path)
    assert (spec.case, spec.subject) == (case, subject)


def test_one_file_per_structure(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "m/a_liver_0.png", "m/a_hip_left_0.png", "m/a_hip_left_1.png")
    spec = by_name(recipe(series("i/{case}.png", MANY)), tmp_path)["a"]
    assert [(label.path, label.structure) for label in spec.labels] == [
        ("m/a_hip_left_0.png", "hip_left"),
        ("m/a_hip_left_1.png", "hip_left"),
        ("m/a_liver_0.png", "liver"),
    ]


def test_a_label_file_that_fits_two_cases_goes_to_the_longer_name(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "i/a_b.png", "m/a_liver_0.png", "m/a_b_liver_0.png")
    specs = by_name(recipe(series("i/{case}.png", MANY)), tmp_path)
    assert specs["a"].files == ("i/a.png", "m/a_liver_0.png")
    assert specs["a_b"].files == ("i/a_b.png", "m/a_b_liver_0.png")


def test_a_shared_label_file_belongs_to_every_case(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "i/b.png", "m/all.png")
    made = recipe(series("i/{case}.png", {**MASK, "file": "m/all.png"}))
    assert [s.files for s in find_cases(made, tmp_path)] == [
        ("i/a.png", "m/all.png"),
        ("i/b.png", "m/all.png"),
    ]


def test_missing_labels_are_said_not_dropped(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "i/b.png", "m/a.png")
    spec = by_name(recipe(series("i/{case}.png", MASK)), tmp_path)["b"]
    assert spec.excluded is not None
    assert spec.excluded.code == "missing_label"
    assert spec.excluded.refused
    assert "m/b.png" in spec.excluded.detail
    assert spec.files == ("i/b.png",)


def test_optional_labels_may_be_missing_but_not_all(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "i/b.png", "m/a.png", "n/a.png", "n/b.png", "i/c.png")
    more = {**MASK, "file": "n/{case}.png", "structure": "spleen", "optional": True}
    specs = by_name(recipe(series("i/{case}.png", {**MASK, "optional": True}, more)), tmp_path)
    assert specs["a"].files == ("i/a.png", "m/a.png", "n/a.png")
    assert specs["b"].files == ("i/b.png", "n/b.png")
    assert specs["b"].excluded is None
    assert specs["c"].excluded is not None
    assert [label.source for label in specs["b"].labels] == [1]


def test_one_of_two_required_labels_missing_refuses(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "m/a.png")
    more = {**MASK, "file": "n/{case}.png", "structure": "spleen"}
    spec = by_name(recipe(series("i/{case}.png", MASK, more)), tmp_path)["a"]
    assert spec.excluded is not None
    said = spec.excluded.detail.splitlines()
    assert said[0] == "no file matches n/a.png"
    assert said[1] == "  got: no folder 'n' of the raw folder"
    assert [line.split(":")[0].strip() for line in said[2:]] == ["expected", "remedy"]
    touch(tmp_path, "n/b.png")
    (spec,) = find_cases(recipe(series("i/{case}.png", MASK, more)), tmp_path)
    assert spec.excluded is not None
    assert "no such file in folder 'n'" in spec.excluded.detail


def test_skipped_cases_carry_their_reason(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "m/a.png")
    spec = by_name(recipe(series("i/{case}.png", MASK), skip={"a": "blurred"}), tmp_path)["a"]
    assert spec.excluded is not None
    assert (spec.excluded.code, spec.excluded.detail) == ("recipe_skip", "blurred")
    assert not spec.excluded.refused


def test_a_skip_that_names_nothing_is_a_mistake(tmp_path: Path) -> None:
    touch(tmp_path, "i/patient.png", "m/patient.png")
    with pytest.raises(UserError, match="did you mean 'patient'"):
        find_cases(recipe(series("i/{case}.png", MASK), skip={"patent": "x"}), tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="raw folder"):
        find_cases(recipe(series("i/{case}.png", MASK)), tmp_path / "none")


def test_a_series_without_files_says_the_pattern_and_the_nearest_path(tmp_path: Path) -> None:
    touch(tmp_path, "data/i/a.png", "data/m/a.png")
    with pytest.raises(UserError) as caught:
        find_cases(recipe(series("i/{case}.png", MASK)), tmp_path)
    assert "i/{case}.png" in str(caught.value)
    assert "data" in str(caught.value)


def test_two_cases_of_one_name(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.png", "y/a.png", "m/a.png")
    with pytest.raises(UserError, match="named 'a'") as caught:
        find_cases(recipe(series("{any}/{case}.png", MASK)), tmp_path)
    assert "x/a.png" in str(caught.value)
    with pytest.raises(UserError, match="named 'a'"):
        find_cases(recipe(series("x/{case}.png", MASK), series("y/{case}.png", MASK)), tmp_path)
