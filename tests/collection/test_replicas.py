"""Every recipe that describes a miniature reads it back exactly as it was drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_makers as make
from replica_check import differences, ingested

from engine.collection.raw import open_recipe, recipe_names
from engine.collection.recipe import Recipe
from engine.collection.replica import TrueCase, write_replica
from engine.collection.replica.spec import has_replica
from engine.configuration import validate
from engine.errors import UserError

RECIPES = [name for name in recipe_names() if has_replica(open_recipe(name))]
IN_COSMOS = [name for name in recipe_names() if open_recipe(name).cosmos is not None]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_finds_what_was_drawn(name: str, tmp_path: Path) -> None:
    recipe = open_recipe(name)
    made = write_replica(recipe, tmp_path / "raw")
    said, catalog = ingested(recipe, tmp_path / "raw", tmp_path / "collection.zarr")
    assert said == []
    assert differences(recipe, made.cases, catalog) == []
    assert not [row for row in catalog.exclusions.to_pylist() if row["refused"]]
    assert lacking(recipe, made.cases) == []
    assert [case.case for case in made.cases if lies_even(case)] == []


def lacking(recipe: Recipe, cases: tuple[TrueCase, ...]) -> list[str]:
    """Structures of the recipe that no case shows."""
    drawn = {structure for case in cases for structure, _ in case.masks}
    labels = [label for series in recipe.series for label in series.labels]
    return [name for label in labels for name in label.fixed_structures if name not in drawn]


def lies_even(case: TrueCase) -> bool:
    """Whether a flip along some axis would go unnoticed."""
    return any(
        all(np.array_equal(mask, np.flip(mask, axis)) for mask in case.masks.values())
        for axis in range(3)
        if case.shape[axis] > 1
    )


def test_the_53_data_sets_of_cosmos_have_recipes_that_say_where_they_come_from() -> None:
    assert len(IN_COSMOS) == 53
    for name in IN_COSMOS:
        recipe = open_recipe(name)
        assert recipe.paper, name
        assert recipe.get, name
        assert recipe.layout_from, name
        assert recipe.checked, name
    assert set(IN_COSMOS) <= set(RECIPES)
    names = [open_recipe(name).cosmos for name in IN_COSMOS]
    assert len(set(names)) == 53


def changed(recipe: Recipe, edit: Callable[[dict[str, Any]], None]) -> Recipe:
    raw = json.loads(recipe.model_dump_json(exclude_defaults=True))
    edit(raw)
    return validate(raw, Recipe, "recipe", where="test")


def swap_values(raw: dict[str, Any]) -> None:
    for series in raw["series"]:
        structures = series["labels"][0]["structures"]
        first, *_, last = structures
        structures[first], structures[last] = structures[last], structures[first]


def one_value_less(raw: dict[str, Any]) -> None:
    raw["series"][0]["labels"][0]["structures"].popitem()


def other_orientation(raw: dict[str, Any]) -> None:
    for series in raw["series"]:
        series["orientation"] = series["orientation"].translate(str.maketrans("LRAP", "RLPA"))


def other_plane(raw: dict[str, Any]) -> None:
    for series in raw["series"]:
        series["plane"] = "coronal"


def other_threshold(raw: dict[str, Any]) -> None:
    raw["series"][0]["labels"][0]["threshold"] = 20


def other_subject(raw: dict[str, Any]) -> None:
    raw["series"][0]["subject"] = "everyone"


def other_modality(raw: dict[str, Any]) -> None:
    raw["series"][0]["modality"] = "PET"


def channels_exchanged(raw: dict[str, Any]) -> None:
    for series in raw["series"]:
        channels = series.get("channels", {})
        if len(channels) > 1:
            channels["0"], channels["1"] = channels["1"], channels["0"]


def fewer_cases(raw: dict[str, Any]) -> None:
    raw["series"][0]["where"] = {"subject": ["patient001"]}


def a_ring_instead_of_a_disc(raw: dict[str, Any]) -> None:
    raw["series"][0]["labels"][0]["structures"]["optic_disc"].pop()


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("acdc", swap_values),
        ("acdc", one_value_less),
        ("acdc", other_plane),
        ("acdc", other_modality),
        ("acdc", fewer_cases),
        ("iseg_2019", other_orientation),
        ("iseg_2019", other_subject),
        ("kvasir_seg", other_threshold),
        ("msd", channels_exchanged),
        ("drishti_optic_disc", a_ring_instead_of_a_disc),
        ("idrid_2018", other_subject),
    ],
)
def test_a_wrong_recipe_is_found_out(
    name: str, edit: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    recipe = open_recipe(name)
    made = write_replica(recipe, tmp_path / "raw")
    wrong = changed(recipe, edit)
    assert wrong != recipe
    said, catalog = ingested(wrong, tmp_path / "raw", tmp_path / "collection.zarr")
    assert said or differences(recipe, made.cases, catalog)


def test_a_replica_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    for name in ("acdc", "kvasir_seg", "siim_acr", "chaos"):
        trees = []
        for folder in (tmp_path / name / "one", tmp_path / name / "two"):
            write_replica(open_recipe(name), folder)
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            trees.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
        assert trees[0] == trees[1]


BLOCKS: list[tuple[dict[str, Any], str]] = [
    ({"cases": []}, "at least one case"),
    ({"cases": [{"case": 1}]}, "quote it"),
    ({"cases": [{"wrong": "a"}]}, "no case of the replica belongs to a series"),
    ({"cases": [{"case": "a"}, {"case": "a"}]}, "two cases of the replica are one file"),
    ({"cases": [{"case": "a"}], "shape": [4]}, "two or three positive numbers"),
    ({"cases": [{"case": "a"}], "shape": [40, 40]}, "needs three numbers"),
    ({"cases": [{"case": "a"}], "dtype": "complex64"}, "dtype 'complex64'"),
    ({"cases": [{"case": "a"}], "write": {"axis_codes": "RAR"}}, "three letters"),
    ({"cases": [{"case": "a"}], "write": {"colors": True}}, "did you mean 'colour'"),
]


@pytest.mark.parametrize(("block", "words"), BLOCKS)
def test_a_wrong_block_is_refused(block: dict[str, Any], words: str, tmp_path: Path) -> None:
    label = {"file": "seg/{case}.nii.gz", "kind": "mask", "structure": "x"}
    recipe = make.recipe(make.series("{case}.nii.gz", label), replica=block)
    with pytest.raises(UserError, match=words) as caught:
        write_replica(recipe, tmp_path)
    assert "made_up" in str(caught.value) or "replica" in str(caught.value)


def test_a_placeholder_of_a_label_needs_text(tmp_path: Path) -> None:
    label = {"file": "seg/{case}_{rater}.png", "kind": "mask", "structure": "x"}
    series = make.series("{case}.png", label)
    recipe = make.recipe(series, replica={"cases": [{"case": "a"}]})
    with pytest.raises(UserError, match=r"\{rater\}"):
        write_replica(recipe, tmp_path)
    with pytest.raises(UserError, match="says nothing about a replica"):
        write_replica(make.recipe(series), tmp_path)


def test_a_shape_must_have_room_for_all_structures(tmp_path: Path) -> None:
    many = {f"part_{n}": n for n in range(1, 40)}
    label = {"file": "seg/{case}.png", "kind": "values", "structures": many}
    replica = {"cases": [{"case": "a"}], "shape": [6, 6]}
    with pytest.raises(UserError, match="too small for all structures"):
        write_replica(make.recipe(make.series("{case}.png", label), replica=replica), tmp_path)


def test_sequences_of_one_head_share_a_segmentation(tmp_path: Path) -> None:
    label = {"file": "{subject}/seg.nii.gz", "kind": "values", "structures": {"a": 1, "b": 2}}
    two = [
        make.series("{subject}/" + name, label, case="{subject}_" + name)
        for name in ("t1.nii.gz", "flair.nii.gz")
    ]
    recipe = make.recipe(*two, replica={"cases": [{"subject": "s1"}]})
    first, second = write_replica(recipe, tmp_path).cases
    assert first.subject == second.subject == "s1"
    for key, mask in first.masks.items():
        np.testing.assert_array_equal(mask, second.masks[key])
    assert not np.array_equal(first.image, second.image)


def test_skipped_cases_are_written_and_not_expected(tmp_path: Path) -> None:
    label = {"file": "seg/{case}.png", "kind": "mask", "structure": "x"}
    recipe = make.recipe(
        make.series("{case}.png", label),
        replica={"cases": [{"case": "a"}, {"case": "b"}]},
        skip={"b": "blank"},
    )
    made = write_replica(recipe, tmp_path / "raw")
    assert [case.case for case in made.cases] == ["a"]
    assert "b.png" in made.files
    said, catalog = ingested(recipe, tmp_path / "raw", tmp_path / "c.zarr")
    assert said == []
    assert differences(recipe, made.cases, catalog) == []
