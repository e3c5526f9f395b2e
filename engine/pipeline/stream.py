"""The stream: units in, receipts out, with or without helpers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from engine.errors import RemoteError
from engine.models.memory import Projection
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.datasource import ZarrUnits
from engine.pipeline.helpers import helped
from engine.planning.tasks import Tasks


def stream(
    collection: str, tasks: Tasks, assignment: Assignment, actors: int
) -> Generator[dict[str, Any], None, None]:
    """Evaluate and commit every task; yields a receipt per unit as it is committed.

    Read tasks take no CPU: with one each, a pool as large as the CPU count would never start;
    their number is bounded, or Ray would start a worker process for each. Two at least: Ray takes
    a moment to notice that one has ended, and a fast evaluator would wait for that.

    Raises:
        RemoteError: a worker cannot load what was planned, or cannot write the run directory.
    """
    gpu = assignment.device == "cuda"
    units = ray.data.read_datasource(
        ZarrUnits(collection, tasks),
        num_cpus=0,
        concurrency=min(len(tasks), max(2, actors // 4)),
        override_num_blocks=len(tasks),
    )
    receipts = units.map_batches(
        EvaluatorActor,
        fn_constructor_args=(assignment,),
        compute=ActorPoolStrategy(size=actors),
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_gpus=1 if gpu else 0,
        num_cpus=0 if gpu else 1,
    )
    for receipt in receipts.iter_rows():
        if receipt["stopped"] is not None:
            raise RemoteError(receipt["stopped"])
        yield receipt


def helped_stream(
    collection: str,
    tasks: Tasks,
    assignment: Assignment,
    actors: int,
    projection: Projection | None,
) -> Generator[dict[str, Any], None, None]:
    """As `stream`, while machines without a GPU help; a unit has one receipt, whoever did it.

    Receipts of helpers come with the stream's next one. Close it: helpers work until then.

    Args:
        projection: memory of one helper; None: its models have no network.

    Raises:
        RemoteError: as `stream`.
    """
    seen = set[str]()

    def first(receipt: dict[str, Any]) -> bool:
        known = receipt["unit_id"] in seen
        seen.add(receipt["unit_id"])
        return not known

    with helped(collection, tasks, assignment, projection) as helpers:
        asking = replace(assignment, begins=helpers.begins())
        for receipt in stream(collection, tasks, asking, actors):
            helpers.told(receipt["unit_id"])
            yield from filter(first, (*helpers.receipts(), receipt))
    yield from filter(first, helpers.receipts())
