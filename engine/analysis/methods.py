"""A methods section from what a run recorded: only what is known of it, nothing assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.analysis.bootstrap import REPLICATES
from engine.study import Study

Facts = Mapping[str, Any]

ANSWER = pa.schema([pa.field("topic", pa.string()), pa.field("text", pa.string())])

_KINDS = {
    "everything": "no prompt (a grid of {points_per_side} x {points_per_side} points; predicted "
    "IoU > {pred_iou_thresh:g}, stability >= {stability_score_thresh:g}, box NMS "
    "{box_nms_thresh:g})",
    "points": "{positive} positive and {negative} negative point(s)",
    "box": "the tight bounding box",
    "box_points": "the tight bounding box, {positive} positive and {negative} negative point(s)",
}


def paragraphs(connection: duckdb.DuckDBPyConnection, rows: pa.Table, seed: int) -> pa.Table:
    """The answer to `methods`: topic and text of each paragraph.

    Args:
        rows: the facts, as `methods.sql` selects them.
    """
    (facts,) = rows.to_pylist()
    study = Study.model_validate_json(facts["study_json"])
    texts = {
        "data": _data(facts, study),
        "models": _models(facts),
        "prompts": _prompts(facts, study),
        "scores": _scores(facts, study),
        "statistics": _statistics(seed),
        "provenance": _provenance(facts),
    }
    return pa.Table.from_pylist([{"topic": k, "text": v} for k, v in texts.items()], ANSWER)


def _data(facts: Facts, study: Study) -> str:
    return (
        f"The study '{facts['study']}' covers {_n(facts['objects'], 'object')} of "
        f"{_n(facts['structures'], 'structure')} in {_n(facts['slices'], 'slice')} of "
        f"{_n(facts['cases'], 'case')} from {_n(facts['subjects'], 'subject')} "
        f"({_n(len(facts['datasets']), 'data set')}: {_list(facts['datasets'])}; "
        f"{_list(facts['modalities'])}). Objects of at most {study.min_object_px} pixels in a "
        f"slice were left out. {_excluded(facts)}" + _sample(study)
    )


def _excluded(facts: Facts) -> str:
    """What of the collection is not in the study, by size: data sets, cases, slices, objects."""
    found = {
        "data set": facts["excluded_datasets"], "case": facts["excluded_cases"],
        "slice": facts["excluded_slices"], "object": facts["excluded_objects"],
    }  # fmt: skip
    said = [_n(number, f"whole {what}" if what != "object" else what)
            for what, number in found.items() if number]  # fmt: skip
    if not said:
        return "Nothing of the collection was excluded."
    others = " of other slices" if facts["excluded_objects"] and len(said) > 1 else ""
    one = sum(found.values()) == 1
    return f"Of the collection, {_list(said)}{others} {'was' if one else 'were'} excluded."


def _sample(study: Study) -> str:
    limits = study.sample.model_dump(exclude={"rule"}, exclude_none=True)
    if not limits:
        return ""
    said = [
        f"{_n(limit, name.partition('_')[0][:-1])} per {name.rpartition('_')[2]}"
        for name, limit in limits.items()
    ]
    return f" A sample was measured, at most {_list(said)} ({study.sample.rule})."


def _models(facts: Facts) -> str:
    said = []
    for model in facts["models"]:
        name = model["model"]
        if model["architecture"] not in (None, name):
            name += f" ({model['architecture']})"
        weights = f"weights SHA-256 {model['weights_sha256']}"
        if model["untrained"]:
            weights = f"untrained, {weights}"
        said.append(f"{name}: {weights}; {_where(model, facts)}{_seen(model)}")
    return f"{_n(len(said), 'model')} evaluated. " + ". ".join(said) + "."


def _where(model: Facts, facts: Facts) -> str:
    """Precision, device and kernels of what was computed, else of the plan; of several, each with
    its share."""
    kinds = [kind for kind in facts["kinds"] or () if kind["model"] == model["model"]]
    if len(kinds) < 2:
        said = kinds[0] if kinds else model
        return ", ".join(filter(None, (said["precision"], said["device"], said["kernels"])))
    return _list(
        [
            f"{kind['precision']} on {kind['device']} with {kind['kernels']}"
            f" ({_n(kind['units'], 'unit')})"
            for kind in kinds
        ]
    )


def _seen(model: Facts) -> str:
    """What the model declares to have been trained on."""
    if not model["trained_on"]:
        return ""
    named = model["trained_subjects"]
    whom = f"{_n(named, 'subject')} of " if named else ""
    return f"; trained on {whom}{_list(model['trained_on'])}"


def _prompts(facts: Facts, study: Study) -> str:
    said = [
        f"`{s['strategy']}`: {_KINDS[s['kind']].format_map(json.loads(s['params']))}"
        for s in facts["strategies"]
    ]
    levels = [level for level in study.jitter.levels if not level.none]
    jitter = "Prompts were not displaced."
    if levels:
        ranges = _list([f"{level.lo}-{level.hi}" for level in levels])
        jitter = (
            f"Prompts were also displaced at random by {ranges} pixels of the original image, "
            f"{_n(study.jitter.trials, 'trial')} each (Everything is not displaced)."
        )
    return (
        f"Prompts were derived from the ground truth by {_n(len(said), 'strategy')}: "
        f"{'; '.join(said)}. {jitter} Random numbers are drawn from PCG64 seeded by study seed "
        f"{facts['study_seed']}, object, strategy, level and trial."
    )


def _scores(facts: Facts, study: Study) -> str:
    return (
        "Of each trial's masks, `oracle` is the one with the highest Dice (an upper bound that "
        "needs the ground truth), `predicted_iou` the one the model itself rates highest, `single` "
        "the single-mask output. Of "
        f"{facts['expected']:,} trials, {facts['done']:,} were scored, {facts['failed']:,} failed "
        f"and {facts['pending']:,} were not run; {facts['undefined']:,} scored trials have an "
        "empty prediction in some selection. An empty prediction has Dice 0 and no distance; it "
        "is never counted as perfect. Distances are between border pixels, in pixels and, where "
        "the spacing is known, millimetres; NSD tolerates "
        f"{study.nsd_tolerance_px:g} px and {study.nsd_tolerance_mm:g} mm."
    )


def _statistics(seed: int) -> str:
    return (
        "Means weigh every mask the same; balanced means weigh every pair of structure and "
        "modality the same. Intervals are 95 % percentile cluster bootstrap intervals over "
        f"subjects ({REPLICATES:,} replicates, PCG64 seed {seed}). Spearman and partial Spearman "
        "correlations use average ranks; partial ones control for the paper's other factors, "
        "modality among them, by linear regression on ranks; their intervals keep ranks fixed and "
        "their p values, which take objects as independent, are naive."
    )


def _provenance(facts: Facts) -> str:
    versions = json.loads(facts["algorithm_versions"])
    rooms = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    algorithms = f" (algorithm versions: {rooms})" if rooms else ""
    return (
        f"Computed with samscope {facts['samscope_version']}, protocol version "
        f"{facts['protocol_version']}{algorithms}, which is "
        "based on Huang et al., Medical Image Analysis 92 (2024) 103061; "
        f"collection SHA-256 {facts['collection_sha256']}, study SHA-256 "
        f"{facts['study_sha256']}."
    )


def _n(number: int, what: str) -> str:
    plural = what if number == 1 else f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {plural}"


def _list(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
