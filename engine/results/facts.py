"""Tables that describe the run itself: runs, models, parity, strategies, expected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from engine.errors import CorruptDataError
from engine.identity import canonical_json, fingerprint
from engine.results.manifest import FACTORS_MODEL
from engine.results.record import PlanSummary, RunRecord
from engine.results.schema import database_version
from engine.study import Study

RUNS = pa.schema(
    [
        pa.field("study", pa.string()),
        pa.field("study_json", pa.string()),
        pa.field("study_sha256", pa.string()),
        pa.field("study_seed", pa.int64()),
        pa.field("protocol_version", pa.int32()),
        pa.field("algorithm_versions", pa.string()),  # JSON
        pa.field("samscope_version", pa.string()),
        pa.field("database_version", pa.string()),
        pa.field("collection_path", pa.string()),
        pa.field("collection_sha256", pa.string()),
        pa.field("created", pa.string()),  # ISO 8601
        pa.field("wall_s", pa.float64()),
        pa.field("cells_planned", pa.int64()),  # the factors cells left out
        pa.field("cells_committed", pa.int64()),
    ]
)

MODELS = pa.schema(
    [
        pa.field("position", pa.int32()),  # in the study, from 0
        pa.field("model", pa.string()),
        pa.field("architecture", pa.string()),
        pa.field("checkpoint", pa.string()),  # null: none given
        pa.field("untrained", pa.bool_()),
        pa.field("weights_sha256", pa.string()),
        pa.field("trained_on", pa.list_(pa.string())),
        pa.field("trained_subjects", pa.list_(pa.string())),  # ids; those the checkpoint names
        pa.field("card", pa.string()),  # JSON
        pa.field("device", pa.string()),  # class, e.g. cpu-avx2 or cuda-NVIDIA-H200
        pa.field("precision", pa.string()),  # dtype of products: float32 | bfloat16
        pa.field("kernels", pa.string()),  # library and version
        pa.field("encode_batch", pa.int32()),  # slices per encoder pass
        pa.field("decode_batch", pa.int32()),  # most prompts per decoder pass
        pa.field("numerics", pa.string()),  # JSON, all that decides the last bits
    ]
)

PARITY = pa.schema(  # on a sample, before the run; empty where the study sets no parity_bound
    [
        pa.field("model", pa.string()),
        pa.field("modality", pa.string()),
        pa.field("slices", pa.int32()),
        pa.field("trials", pa.int64()),
        pa.field("flipped", pa.int64()),  # pixels in one way's mask only
        pa.field("mean_difference", pa.float64()),  # Dice by predicted_iou, fast minus plain
        pa.field("lo", pa.float64()),  # its 95 % interval over subjects; null below two
        pa.field("hi", pa.float64()),
        pa.field("largest", pa.float64()),  # |Dice difference| of any mask
    ]
)

STRATEGIES = pa.schema(
    [
        pa.field("position", pa.int32()),
        pa.field("strategy", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("selections", pa.list_(pa.string())),  # that every trial of it has
        pa.field("params", pa.string()),  # JSON
    ]
)

EXPECTED = pa.schema(
    [
        pa.field("model", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("jitter_lo", pa.int32()),
        pa.field("jitter_hi", pa.int32()),
        pa.field("trials_per_object", pa.int32()),
        pa.field("expected", pa.int64()),  # trials
    ]
)

SELECTIONS_OF_EVERYTHING = ("oracle", "predicted_iou")
SELECTIONS_OF_PROMPTED = ("oracle", "predicted_iou", "single")


def load_facts(
    connection: duckdb.DuckDBPyConnection,
    run: RunRecord,
    plan: PlanSummary,
) -> None:
    """Create `runs, models, parity, strategies, expected`; `units` is there.

    Raises:
        UserError: the study's JSON is not a study.
        CorruptDataError: the plan's cells do not add up to what the study asks for.
    """
    study = Study.model_validate(dict(run.study))
    expected = _expected_rows(study, len(plan.object_ids))
    _check_plan(connection, expected)
    tables = {
        "runs": pa.Table.from_pylist([_run_row(run, study, connection)], RUNS),
        "models": pa.Table.from_pylist(_model_rows(run, study), MODELS),
        "parity": pa.Table.from_pylist([_only(row, PARITY) for row in run.parity], PARITY),
        "strategies": pa.Table.from_pylist(_strategy_rows(study), STRATEGIES),
        "expected": pa.Table.from_pylist(expected, EXPECTED),
    }
    for name, table in tables.items():
        connection.register("source", table)
        connection.execute(f"CREATE TABLE {name} AS FROM source")
        connection.unregister("source")


def _run_row(run: RunRecord, study: Study, connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    ((planned, committed),) = connection.execute(
        "SELECT count(*), count(*) FILTER (state = 'committed') FROM units WHERE model <> ?",
        [FACTORS_MODEL],
    ).fetchall()
    return {
        "study": study.name,
        "study_json": canonical_json(dict(run.study)),
        "study_sha256": fingerprint(dict(run.study)),
        "study_seed": study.seed,
        "protocol_version": run.protocol_version,
        "algorithm_versions": canonical_json(dict(run.algorithm_versions)),
        "samscope_version": run.samscope_version,
        "database_version": database_version(),
        "collection_path": run.collection_path,
        "collection_sha256": run.collection_sha256,
        "created": run.created,
        "wall_s": run.wall_s,
        "cells_planned": planned,
        "cells_committed": committed,
    }


def _model_rows(run: RunRecord, study: Study) -> list[dict[str, Any]]:
    cards = {str(card["name"]): card for card in run.models}
    rows = []
    for position, choice in enumerate(study.models):
        card, numerics = cards[choice.name], dict(run.numerics.get(choice.name, {}))
        rows.append(
            {
                "position": position,
                "model": choice.name,
                "architecture": card.get("architecture"),
                "checkpoint": choice.checkpoint,
                "untrained": bool(card.get("untrained", choice.checkpoint is None)),
                "weights_sha256": card.get("weights_sha256"),
                "trained_on": list(card.get("trained_on", ())),
                "trained_subjects": list(card.get("trained_subjects", ())),
                "card": json.dumps(dict(card), sort_keys=True, default=str),
                "device": numerics.get("device"),
                "precision": numerics.get("dtype"),
                "kernels": numerics.get("kernels"),
                "encode_batch": numerics.get("encode_batch"),
                "decode_batch": numerics.get("decode_batch"),
                "numerics": canonical_json(numerics),
            }
        )
    return rows


def _only(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    return {name: row[name] for name in schema.names}


def _strategy_rows(study: Study) -> list[dict[str, Any]]:
    return [
        {
            "position": position,
            "strategy": strategy.name,
            "kind": strategy.kind,
            "selections": list(
                SELECTIONS_OF_PROMPTED if strategy.prompted else SELECTIONS_OF_EVERYTHING
            ),
            "params": canonical_json(strategy.params.model_dump(mode="json")),
        }
        for position, strategy in enumerate(study.strategies)
    ]


def _expected_rows(study: Study, n_objects: int) -> list[dict[str, Any]]:
    rows = []
    for model in study.models:
        for strategy in study.strategies_of(model):
            trials = Counter(level for level, _ in study.jitter.trials_of(strategy))
            for level, per_object in trials.items():
                rows.append(
                    {
                        "model": model.name,
                        "strategy": strategy.name,
                        "jitter_lo": level.lo,
                        "jitter_hi": level.hi,
                        "trials_per_object": per_object,
                        "expected": per_object * n_objects,
                    }
                )
    return rows


def _check_plan(
    connection: duckdb.DuckDBPyConnection, expected: Sequence[Mapping[str, Any]]
) -> None:
    """The plan's cells must ask for exactly the study's trials, or coverage would lie."""
    asked: Counter[tuple[str, str]] = Counter()
    for row in expected:
        asked[row["model"], row["strategy"]] += row["expected"]
    sums = connection.execute(
        "SELECT model, strategy, sum(expected)::BIGINT FROM units WHERE model <> ? GROUP BY ALL",
        [FACTORS_MODEL],
    ).fetchall()
    planned = Counter({(model, strategy): trials for model, strategy, trials in sums})
    if asked - planned or planned - asked:
        raise CorruptDataError(
            "the plan's cells do not add up to the study's trials",
            where="trials per (model, strategy)",
            got=dict(planned),
            expected=dict(asked),
        )
