"""Path templates: what they find, what they read, what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collection import template

WORD = st.text("abcXYZ019_-. äß", min_size=1, max_size=8).filter(
    lambda w: not w.startswith(".") and w == w.strip()
)


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def found(root: Path, text: str, **known: str) -> dict[str, dict[str, str]]:
    return {m.path: m.fields for m in template.search(root, text, known)}


def test_a_literal_path(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.png")
    assert found(tmp_path, "a/b.png") == {"a/b.png": {}}
    assert found(tmp_path, "a/c.png") == {}
    assert found(tmp_path, "a") == {}  # a folder is no file


def test_placeholders_are_greedy_and_stay_within_a_path_component(tmp_path: Path) -> None:
    touch(tmp_path, "i/amos_0004_75.png", "i/x.png", "i/deep/y_1.png")
    assert found(tmp_path, "i/{subject}_{slice}.png") == {
        "i/amos_0004_75.png": {"subject": "amos_0004", "slice": "75"}
    }


def test_folders_can_be_placeholders(tmp_path: Path) -> None:
    touch(tmp_path, "p2/scan.nii", "p1/scan.nii", "p1/other.nii", "scan.nii")
    assert list(found(tmp_path, "{case}/scan.nii")) == ["p1/scan.nii", "p2/scan.nii"]


def test_the_same_placeholder_twice_is_the_same_text(tmp_path: Path) -> None:
    touch(tmp_path, "p1/p1_ct.nii", "p1/p2_ct.nii", "x-x.nii", "x-y.nii")
    assert list(found(tmp_path, "{case}/{case}_ct.nii")) == ["p1/p1_ct.nii"]
    assert list(found(tmp_path, "{case}-{case}.nii")) == ["x-x.nii"]


def test_any_may_differ_and_is_not_kept(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/p1.png", "a/c/p2.png")
    assert found(tmp_path, "{any}/{any}/{case}.png") == {
        "a/b/p1.png": {"case": "p1"},
        "a/c/p2.png": {"case": "p2"},
    }


def test_known_placeholders_narrow_the_search(tmp_path: Path) -> None:
    touch(tmp_path, "m/a_liver_0.png", "m/a_portal_vein_1.png", "m/b_liver_0.png")
    assert found(tmp_path, "m/{case}_{structure}_{component}.png", case="a") == {
        "m/a_liver_0.png": {"case": "a", "structure": "liver", "component": "0"},
        "m/a_portal_vein_1.png": {"case": "a", "structure": "portal_vein", "component": "1"},
    }


def test_known_names_are_no_patterns_beside_free_placeholders(tmp_path: Path) -> None:
    touch(tmp_path, "m/a+_liver.png", "m/aa_liver.png", "m/a.b_liver.png", "m/axb_liver.png")
    assert list(found(tmp_path, "m/{case}_{structure}.png", case="a+")) == ["m/a+_liver.png"]
    assert list(found(tmp_path, "m/{case}_{structure}.png", case="a.b")) == ["m/a.b_liver.png"]


def test_characters_of_names_are_no_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "axpng", "[1](2)+.png")
    assert list(found(tmp_path, "{case}.png")) == ["[1](2)+.png", "a.png"]
    assert list(found(tmp_path, "{case}.png", case="[1](2)+")) == ["[1](2)+.png"]


@given(st.lists(WORD, min_size=2, max_size=2))
def test_fill_and_search_are_inverse(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("t")
    fields = {"subject": names[0], "slice": names[1]}
    path = template.fill("x/{subject}/{slice}~{subject}.png", fields)
    touch(root, path)
    assert found(root, "x/{subject}/{slice}~{subject}.png") == {path: fields}


@pytest.mark.parametrize(
    "text",
    ["a/{}/b", "a/{case", "{case}}", "/abs/{case}", "a/../b", "a//b", "./a", "a\\b", "{a-b}"],
)
def test_wrong_templates(text: str) -> None:
    with pytest.raises(ValueError, match=r"braces|relative"):
        template.check(text)


def test_nearest_existing_says_where_the_path_breaks(tmp_path: Path) -> None:
    touch(tmp_path, "data/Images/a.png", "data/masks/a.png")
    words = template.nearest_existing(tmp_path, "data/images/{case}.png")
    assert str(tmp_path / "data") in words
    assert "Images" in words
    words = template.nearest_existing(tmp_path, "data/masks/{case}.tif")
    assert "a.png" in words


def test_hidden_names_fit_no_placeholder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "._a.png", ".trash/i.png", "b/i.png", ".kept_c.png")
    assert list(found(tmp_path, "{case}.png")) == ["a.png"]
    assert list(found(tmp_path, "{case}/i.png")) == ["b/i.png"]
    assert list(found(tmp_path, ".kept_{case}.png")) == [".kept_c.png"]


@given(st.lists(st.text("ab_", max_size=2), min_size=2, max_size=5), st.text("ab_", max_size=9))
def test_names_that_cannot_fit_are_known_without_trying(fixed: list[str], name: str) -> None:
    part = "".join(f"{text}{{x{n}}}" for n, text in enumerate(fixed[:-1])) + fixed[-1]
    fits = template._pattern(part, {}).fullmatch(name) is not None
    assert template._could_fit(name, template._fixed(part, {})) == fits


def test_a_long_name_takes_no_time(tmp_path: Path) -> None:
    touch(tmp_path, "a" * 200 + ".txt")
    many = "".join(f"{{x{n}}}" for n in range(12))
    assert found(tmp_path, many + ".png") == {}
