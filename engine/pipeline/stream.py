"""The stream: units in, receipts out, with or without helpers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from engine.errors import RemoteError
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.cluster import Machine
from engine.pipeline.datasource import ZarrUnits
from engine.pipeline.helpers import helped
from engine.planning.tasks import Tasks


def stream(
    collection: str, tasks: Tasks, assignment: Assignment, actors: int
) -> Iterator[dict[str, Any]]:
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
    room: Callable[[Machine], int],
) -> Iterator[dict[str, Any]]:
    """As `stream`, while machines without a GPU help; a unit has one receipt, whoever did it.

    Args:
        room: helpers that a machine has room for.

    Raises:
        RemoteError: as `stream`.
    """
    with helped(collection, tasks, assignment, room) as helpers:
        asking = replace(assignment, begins=helpers.begins())
        for receipt in stream(collection, tasks, asking, actors):
            yield from helpers.receipts()
            yield receipt
    yield from helpers.receipts()
