"""Studies: defaults of the paper, and words for mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.collection.recipe import Recipe
from engine.configuration import load_yaml, validate
from engine.errors import UserError
from engine.study import PAPER_STRATEGIES, EverythingParams, Study

ROOT = Path(__file__).resolve().parent.parent


def make(**fields: Any) -> Study:
    raw = {"name": "s", "models": ["tiny"], "strategies": list(PAPER_STRATEGIES), **fields}
    return validate(raw, Study, "study", where="study.yaml")


def test_a_cosmos_study_has_51_trials_per_object_and_model() -> None:
    study = make()
    assert sum(1 for s in study.strategies for _ in study.jitter.trials_of(s)) == 51


def test_everything_keeps_sams_defaults() -> None:
    params = make().strategy("everything").params
    assert params == EverythingParams(
        points_per_side=32,
        pred_iou_thresh=0.88,
        stability_score_thresh=0.95,
        stability_score_offset=1.0,
        box_nms_thresh=0.7,
    )


def test_a_study_survives_its_own_json() -> None:
    study = make(intensity={"window": [40, 400]}, datasets=["a"], sample={"slices_per_case": 2})
    assert Study.model_validate(study.model_dump(mode="json")) == study


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"strategies": ["boks"]}, ["'boks'", "did you mean 'box'"]),
        ({"intensity": {"scop": "slice"}}, ["unknown field 'scop'", "'scope'"]),
        ({"modles": []}, ["unknown field 'modles'", "'models'"]),
        ({"strategies": [{"name": "a", "kind": "point"}]}, ["'points'", "strategies.0.kind"]),
        (
            {"strategies": [{"name": "a", "kind": "points", "params": {"positiv": 1}}]},
            ["'positiv'", "'positive'"],
        ),
        ({"jitter": {"levels": [[0, 0], [5, 1]]}}, ["lo must not exceed hi"]),
        ({"jitter": {"levels": [[0, 10]]}}, ["first jitter level must be [0, 0]"]),
        ({"strategies": ["box", "box"]}, ["'box' is declared twice"]),
        ({"models": [{"name": "m", "strategies": ["bix"]}]}, ["names strategy 'bix'"]),
        ({"min_object_px": -1}, ["min_object_px"]),
        ({"intensity": {"window": [0, 1], "percentiles": [1, 99]}}, ["window or percentiles"]),
    ],
)
def test_mistakes_name_field_and_nearest_word(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        make(**fields)
    for word in (*words, "study.yaml"):
        assert word in str(caught.value)


STRATEGY = {"name": "a", "kind": "points", "params": {}}
BOX = {"name": "a", "kind": "box", "params": {"positive": 1}}


@pytest.mark.parametrize(
    ("fields", "what", "rest"),
    [
        ({"jitter": {"trials": "two"}}, "field 'jitter.trials' must be a whole number", ["'two'"]),
        ({"jitter": {"trials": 0}}, "field 'jitter.trials' is out of range", ["from 1 to 1000"]),
        ({"nsd_tolerance_px": 0}, "is out of range", ["more than 0"]),
        ({"models": []}, "field 'models' needs at least one", ["got: []"]),
        ({"models": "tiny"}, "field 'models' must be a list", ["[tiny]"]),
        ({"models": [{}]}, "'models.0' lacks its field 'name'", ["got: no fields", "add `name:`"]),
        ({"name": 5}, "field 'name' must be text", ['in quotes: "5"']),
        ({"name": "a b"}, "field 'name' has characters", ["letters, digits"]),
        ({"sample": 5}, "field 'sample' must be a mapping of fields", ["slices_per_case"]),
        ({"intensity": {"window": [1]}}, "has too few values", ["[center, width]"]),
        ({"strategies": [{"name": "a"}]}, "'strategies.0' lacks its field 'kind'", ["fields name"]),
        ({"strategies": [BOX]}, "kind 'box' takes no parameters", ["box_points or points"]),
        ({"strategies": [{**STRATEGY, "kind": ["box"]}]}, "must be one word", ["['box']"]),
        ({"strategies": [{**STRATEGY, "params": 5}]}, "params' must be a mapping", ["positive"]),
        (
            {"strategies": [{**STRATEGY, "params": {"positive": 1000}}]},
            "field 'strategies.0.params.positive' is out of range",
            ["from 1 to 512"],
        ),
        (
            {"strategies": [{**STRATEGY, "params": {"points_per_side": 1}}]},
            "kind 'points' takes no 'points_per_side'",
            ["kind everything"],
        ),
        ({"trials": 3}, "unknown field 'trials'", ["write it under 'jitter'"]),
    ],
)
def test_mistakes_in_our_words_and_once(fields: dict[str, Any], what: str, rest: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        make(**fields)
    error, said = caught.value, str(caught.value)
    assert what in error.what
    assert None not in (error.where, error.got, error.expected, error.remedy)
    assert "also: " not in said
    for word in rest:
        assert word in said
    for foreign in ("Input should", "Value error", "Params'", "validation", "tuple"):
        assert foreign not in said


def test_a_missing_field_and_further_problems() -> None:
    with pytest.raises(UserError) as caught:
        validate({"name": "s", "strategies": ["box"]}, Study, "study", where="s.yaml")
    assert caught.value.what == "invalid study: the study lacks its field 'models'"
    assert caught.value.got == "fields name, strategies"
    raw = {"name": "s", "modles": ["tiny"], "strategies": ["box"]}
    with pytest.raises(UserError) as caught:
        validate(raw, Study, "study", where="s.yaml")
    assert caught.value.remedy == "did you mean 'models'?"
    with pytest.raises(UserError) as caught:
        validate({**raw, "seed": "x"}, Study, "study", where="s.yaml")
    also = "  also: field 'seed' must be a whole number: write it without quotes or units, as in 3"
    assert caught.value.remedy == f"did you mean 'models'?\n{also}"


def test_a_recipe_is_told_from_a_study() -> None:
    with pytest.raises(UserError, match="looks like a recipe, not a study"):
        validate({"dataset": "d", "series": []}, Study, "study", where="x")
    with pytest.raises(UserError, match="looks like a study, not a recipe"):
        validate({"name": "s", "models": [], "strategies": []}, Recipe, "recipe", where="x")


def test_files_that_cannot_be_read_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tab.yaml").write_text("name: a\nmodels:\n\t- b\n")
    (tmp_path / "open.yaml").write_text("a: [1,\nb: 2")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.yaml").write_text("")
    for name, words in (
        ("tab.yaml", ["line 3, column 1", "got: a tab", "replace the tabs by spaces"]),
        ("open.yaml", ["line 2", "open bracket"]),
        ("binary.yaml", ["not UTF-8"]),
        ("empty.yaml", ["is empty", "name, models, strategies"]),
        ("binari.yaml", ["no such file", "did you mean", "binary.yaml"]),
        ("", ["a folder", "name the file in it"]),
    ):
        with pytest.raises(UserError) as caught:
            load_yaml(tmp_path / name, Study, "study")
        assert None not in (caught.value.expected, caught.value.remedy)
        assert "Errno" not in str(caught.value)
        for word in words:
            assert word in str(caught.value)


def test_files_that_are_no_study(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    with pytest.raises(UserError, match="cannot read the study"):
        load_yaml(path, Study, "study")
    path.write_text("a: [")
    with pytest.raises(UserError, match="not valid YAML"):
        load_yaml(path, Study, "study")
    path.write_text("- a")
    with pytest.raises(UserError, match="mapping of fields"):
        load_yaml(path, Study, "study")


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_studies_are_valid(path: Path) -> None:
    assert load_yaml(path, Study, "study").name == path.stem
