"""The grammar of recipes: what is accepted, normalised and refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from raw_makers import recipe, series

from engine.collection.raw import open_recipe, recipe_names
from engine.collection.reasons import REASONS, reason
from engine.collection.recipe import LabelSource
from engine.errors import UserError

MASK = {"file": "m/{case}.png", "kind": "mask", "structure": "liver"}
VALUES = {"file": "m/{case}.png", "kind": "values", "structures": {"liver": 5}}
COLOURS = {"file": "m/{case}.png", "kind": "colours", "structures": {"cup": [255, 0, 0]}}
INSTANCES = {"file": "m/{case}.png", "kind": "instances", "structure": "nucleus"}


def label(base: dict[str, Any], **changes: Any) -> LabelSource:
    return recipe(series("i/{case}.png", {**base, **changes})).series[0].labels[0]


@pytest.mark.parametrize("base", [MASK, VALUES, COLOURS, INSTANCES])
def test_every_kind(base: dict[str, Any]) -> None:
    assert label(base).kind == base["kind"]


def test_structures_are_written_either_way_round() -> None:
    either = label(VALUES, structures={"liver": 5, "lung": [10, 11]})
    other = label(VALUES, structures={5: "liver", 10: "lung", 11: "lung"})
    assert either.structures == other.structures == {"liver": (5,), "lung": (10, 11)}


def test_colours_are_triples() -> None:
    disc = label(COLOURS, structures={"disc": [[255, 255, 0], [255, 0, 0]], "cup": [255, 0, 0]})
    assert disc.structures == {"disc": ((255, 255, 0), (255, 0, 0)), "cup": ((255, 0, 0),)}
    assert label(COLOURS, ignore=[9, 9, 9]).ignore == ((9, 9, 9),)


@pytest.mark.parametrize(
    ("base", "changes", "words"),
    [
        (VALUES, {"structures": {}}, "needs structures"),
        (VALUES, {"structure": "liver"}, "takes structures"),
        (VALUES, {"structures": {"liver": 0}}, "background"),
        (VALUES, {"structures": {"liver": 1.5}}, "whole number"),
        (VALUES, {"structures": {"liver": True}}, "whole number"),
        (VALUES, {"structures": {"liver": "five"}}, "whole number"),
        (VALUES, {"structures": {False: 5}}, "quote it"),
        (VALUES, {"ignore": [5]}, "ignored at once"),
        (VALUES, {"nearest": True}, "nearest"),
        (VALUES, {"threshold": 3}, "threshold"),
        (COLOURS, {"structures": {"cup": [255, 0]}}, "red, green, blue"),
        (COLOURS, {"structures": {"cup": [256, 0, 0]}}, "0..255"),
        (COLOURS, {"structures": {"cup": [0, 0, 0]}}, "background"),
        (COLOURS, {"structures": {"cup": 5}}, "red, green, blue"),
        (MASK, {"structure": None}, "needs either"),
        (MASK, {"file": "m/{structure}.png"}, "needs either"),
        (MASK, {"structures": {"liver": 1}}, "has no structures"),
        (MASK, {"ignore": [3]}, "threshold"),
        (MASK, {"file": "../m.png"}, "relative path"),
        (MASK, {"file": "m/{case.png"}, "braces"),
        (INSTANCES, {"structure": None}, "needs either"),
        (MASK, {"treshold": 3}, "threshold"),
        (MASK, {"kind": "masks"}, "mask"),
        (VALUES, {"kind": "contours", "structures": {"liver": "Liver"}}, "objects"),
    ],
)
def test_wrong_labels(base: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        label(base, **changes)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"images": "i/x.png"}, "say case"),
        ({"case": "{patient}"}, "patient"),
        ({"subject": "{patient}"}, "patient"),
        ({"orientation": "RAX"}, "three letters"),
        ({"orientation": "LRS"}, "three letters"),
        ({"spacing_mm": [0, 1]}, "positive"),
        ({"plane": "axal"}, "axial"),
        ({"labels": []}, "at least one label"),
        ({"labels": [MASK, MASK]}, "two label files"),
        ({"channels": {0: "T1", 1: "T1"}}, "same name"),
        ({"modalty": "CT"}, "modality"),
    ],
)
def test_wrong_series(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        recipe({**series("i/{case}.png", MASK), **fields})


def test_a_mistake_is_reported_once() -> None:
    with pytest.raises(UserError) as caught:
        label(COLOURS, structures={"cup": [255, 0]})
    assert "also: " not in str(caught.value)


def test_hash_follows_meaning_not_writing() -> None:
    base = recipe(series("i/{case}.png", VALUES))
    again = recipe(series("i/{case}.png", {**VALUES, "structures": {5: "liver"}}))
    other = recipe(series("i/{case}.png", {**VALUES, "structures": {6: "liver"}}))
    assert base.sha256 == again.sha256 != other.sha256


def test_recipes_that_come_along_are_valid_and_named_after_their_data_set() -> None:
    assert len(recipe_names()) >= 7
    for name in recipe_names():
        opened = open_recipe(name)
        assert opened.dataset == name


def test_unknown_recipes_name_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'lung_cxr_demo'"):
        open_recipe("lung_crx_demo")


def test_recipes_open_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "dataset: d\ntitle: t\nlicence: l\nsource: s\nseries:\n"
        "  - images: i/{case}.png\n    modality: CT\n"
        "    labels: [{file: 'm/{case}.png', kind: mask, structure: liver}]\n"
    )
    assert open_recipe(path).dataset == "d"
    assert open_recipe(str(path)).dataset == "d"
    path.write_text(path.read_text().replace("licence", "license"))
    with pytest.raises(UserError, match="licence"):
        open_recipe(path)
    with pytest.raises(UserError, match="cannot read"):
        open_recipe(tmp_path / "none.yaml")


def test_reasons_are_a_table() -> None:
    assert reason("recipe_skip").by_rule
    assert not reason("truncated_file").by_rule
    assert all(code == entry.code and entry.meaning for code, entry in REASONS.items())
    with pytest.raises(UserError, match="did you mean 'empty_case'"):
        reason("emty_case")
