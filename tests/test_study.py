"""Studies: defaults of the paper, and words for mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
