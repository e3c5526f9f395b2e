"""Finding cases: names, subjects, label files, and what is said when something is missing."""

from __future__ import annotations

import os
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


def test_a_skip_of_a_case_that_is_not_there_leaves_the_others_alone(tmp_path: Path) -> None:
    """Half a download is still a folder of the data set; ingest says it (test_ingest_recipe)."""
    touch(tmp_path, "i/patient.png", "m/patient.png")
    found = by_name(recipe(series("i/{case}.png", MASK), skip={"other": "x"}), tmp_path)
    assert found["patient"].excluded is None


def test_only_images_that_fit_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/amos_{n}.png" for kind in "im" for n in ("0001", "0507", "0600")))
    label = {"file": "m/amos_{number}.png", "kind": "mask", "structure": "liver"}
    made = recipe(
        series("i/amos_{number}.png", label, case="{number}", where={"number": "0[0-4]??"}),
        series("i/amos_{number}.png", label, case="{number}", where={"number": ["05??", "06??"]}),
    )
    assert {name: spec.series for name, spec in by_name(made, tmp_path).items()} == {
        "0001": 0, "0507": 1, "0600": 1,
    }  # fmt: skip


def test_what_fits_an_unwanted_pattern_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a_mask.png", "skin.png", "skin_mask.png")
    label = {"file": "{case}_mask.png", "kind": "mask", "structure": "liver"}
    made = recipe(series("{case}.png", label, unless={"case": "*_mask"}))
    assert list(by_name(made, tmp_path)) == ["a", "skin"]
    with pytest.raises(UserError, match="no placeholder"):
        recipe(series("{case}.png", label, unless={"nobody": "*"}))


def test_a_series_may_be_absent_when_the_recipe_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "m/a.png")
    both = [series("i/{case}.png", MASK), series("other/{case}.png", MASK, optional=True)]
    assert list(by_name(recipe(*both), tmp_path)) == ["a"]
    with pytest.raises(UserError, match="no file matches any series"):
        find_cases(recipe(both[1]), tmp_path)


def test_a_folder_is_an_image_and_its_files_are_its_sources(tmp_path: Path) -> None:
    touch(tmp_path, "p1/scan/b.dcm", "p1/scan/a.dcm", "p1/scan/.DS_Store", "p1/m/1.png", "p1/x")
    label = {"file": "{case}/m/", "kind": "mask", "structure": "liver"}
    spec = by_name(recipe(series("{case}/scan/", label)), tmp_path)["p1"]
    assert spec.image == "p1/scan/"
    assert spec.files == ("p1/scan/a.dcm", "p1/scan/b.dcm", "p1/m/1.png")


TABLE = {"file": "Grade.csv", "column": "name", "subject": "patient ID", "split": "part"}


def looked_up(*lookup: dict[str, Any]) -> Recipe:
    return recipe(series("i/{case}.png", MASK, lookup=list(lookup)))


def test_a_table_says_whose_a_picture_is(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{n}.png" for kind in "im" for n in "abc"))
    text = "\ufeffname; patient ID ;part\na; P 1;train\nb;P 1;\n"
    (tmp_path / "Grade.csv").write_text(text, encoding="utf-8")
    found = by_name(looked_up(TABLE), tmp_path)
    assert (found["a"].subject, found["a"].split) == ("P 1", "train")
    assert (found["b"].subject, found["b"].split) == ("P 1", None)
    assert found["c"].excluded is not None
    assert found["c"].excluded.code == "unknown_subject"
    assert found["c"].excluded.refused
    assert found["a"].files == ("i/a.png", "m/a.png", "Grade.csv")


def test_lists_say_which_split(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{n}.png" for kind in "im" for n in "abc"))
    (tmp_path / "train.txt").write_text("a\n\n")
    (tmp_path / "test.txt").write_text("b\n")
    lists = [{"file": f"{name}.txt", "split_is": name} for name in ("train", "test")]
    found = by_name(looked_up(*lists), tmp_path)
    assert [found[name].split for name in "abc"] == ["train", "test", None]
    assert [found[name].subject for name in "abc"] == ["a", "b", "c"]
    assert found["c"].excluded is None
    (tmp_path / "test.txt").write_text("b\na\n")
    with pytest.raises(UserError, match="in two splits"):
        find_cases(looked_up(*lists), tmp_path)


def test_the_first_table_that_knows_the_subject_is_believed(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{n}.png" for kind in "im" for n in "ab"))
    (tmp_path / "Grade.csv").write_text("name,patient ID,part\na,1,x\n")
    (tmp_path / "more.csv").write_text("id,who\nb,2\n")
    more = {"file": "more.csv", "column": "id", "subject": "who"}
    found = by_name(looked_up(TABLE, more), tmp_path)
    assert {name: (spec.subject, spec.excluded) for name, spec in found.items()} == {
        "a": ("1", None), "b": ("2", None),
    }  # fmt: skip


def test_a_label_file_goes_where_most_of_its_name_was_known(tmp_path: Path) -> None:
    """Over all series: `a_x_liver` is the liver of `a_x`, not the x_liver of `a`."""
    touch(tmp_path, "z/a.png", "y/a_x.png", "zm/a_liver.png", "zm/a_x_liver.png")
    label = {"file": "zm/{case}_{structure}.png", "kind": "mask"}
    found = by_name(recipe(series("z/{case}.png", label), series("y/{case}.png", label)), tmp_path)
    got = {n: [(one.path, one.structure) for one in s.labels] for n, s in found.items()}
    assert got == {
        "a": [("zm/a_liver.png", "liver")], "a_x": [("zm/a_x_liver.png", "liver")],
    }  # fmt: skip


def test_sequences_of_a_subject_share_its_label_files(tmp_path: Path) -> None:
    touch(tmp_path, "p1_t1.png", "p1_t2.png", "m/p1_liver.png")
    label = {"file": "m/{subject}_{structure}.png", "kind": "mask"}
    made = recipe(
        *(series(f"{{subject}}_{t}.png", label, case=f"{{subject}}_{t}") for t in ("t1", "t2"))
    )
    assert [len(spec.labels) for spec in find_cases(made, tmp_path)] == [1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("name,patient\na,1\n", "no column 'patient ID'"),
        ("name,patient ID,part\na,1,x\na,2,x\n", "two things of 'a'"),
        ("name,patient ID,part\na,1,train\na,1,test\n", "two things of 'a'"),
        ("name,patient ID,patient ID,part\na,1,2,x\n", "two columns 'patient ID'"),
    ],
)
def test_tables_that_cannot_be_believed(tmp_path: Path, text: str | None, words: str) -> None:
    touch(tmp_path, "i/a.png", "m/a.png")
    if text is not None:
        (tmp_path / "Grade.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        find_cases(looked_up(TABLE), tmp_path)


def test_an_optional_table_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "m/a.png")
    spec = by_name(looked_up({**TABLE, "optional": True}), tmp_path)["a"]
    assert (spec.subject, spec.split, spec.excluded) == ("a", None, None)


def test_rows_that_agree_are_one(tmp_path: Path) -> None:
    touch(tmp_path, "i/a.png", "m/a.png")
    (tmp_path / "Grade.csv").write_text("name,patient ID,part,frame\na,1,x,1\na,1,x,2\n")
    assert by_name(looked_up(TABLE), tmp_path)["a"].subject == "1"


@pytest.mark.parametrize(
    "lookup",
    [
        {"file": "a.txt"},
        {"file": "a.txt", "subject": "who"},
        {"file": "a.csv", "column": "name"},
        {"file": "{case}.csv", "column": "name", "split": "part"},
        {"file": "../a.txt", "split_is": "train"},
        {"file": "a.txt", "split_is": "train", "key": "{nobody}"},
    ],
)
def test_lookups_that_make_no_sense(lookup: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        looked_up(lookup)


def test_a_folder_that_may_not_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a forbidden folder must not count as missing ones, nor their cases vanish."""
    touch(tmp_path, "i/a.png", "m/a.png")

    def listdir(folder: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(folder))

    made = recipe(series("i/{case}.png", MASK))
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", listdir)
        with pytest.raises(UserError, match="may not be read"):
            find_cases(made, tmp_path)
    real = os.stat

    def status(path: Path, *args: Any, **more: Any) -> os.stat_result:
        return listdir(path) if str(path).endswith("m/a.png") else real(path, *args, **more)  # type: ignore[return-value]

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", status)
        with pytest.raises(UserError, match=r"m/a\.png"):
            find_cases(made, tmp_path)


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
