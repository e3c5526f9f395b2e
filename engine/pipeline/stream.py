"""The stream: units in, receipts out."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from engine.errors import RemoteError
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.cluster import Pool
from engine.pipeline.datasource import Share, ZarrUnits
from engine.pipeline.shares import Given, share_out
from engine.tasks import Tasks

Receipt = dict[str, Any]

PATIENCE_S = 2.0
"""With a pool that still works on what another one has finished."""


def stream(
    collection: str, tasks: Tasks, assignment: Assignment, pools: Sequence[Pool]
) -> Iterator[Receipt]:
    """Evaluate and commit every task; yields a receipt per unit as it is committed.

    Args:
        pools: of several, each evaluator takes the next unit whenever it is free.

    Raises:
        RemoteError: a worker cannot load what was planned, or cannot write the run directory.
    """
    if len(pools) == 1:
        receipts = _of_pool(collection, tasks, assignment, pools[0])
    else:
        receipts = _shared(collection, tasks, assignment, pools)
    for receipt in receipts:
        if receipt["stopped"] is not None:
            raise RemoteError(receipt["stopped"])
        yield receipt


def _of_pool(
    collection: str,
    tasks: Tasks,
    assignment: Assignment,
    pool: Pool,
    share: Share | None = None,
) -> Iterator[Receipt]:
    """Receipts of one pool.

    Read tasks take no CPU: with one each, a pool as large as the CPU count would never start;
    their number is bounded, or Ray would start a worker process for each. Two at least: Ray takes
    a moment to notice that one has ended, and a fast evaluator would wait for that.
    """
    gpu = pool.device == "cuda"
    actors = min(pool.actors, len(tasks))
    units = ray.data.read_datasource(
        ZarrUnits(collection, tasks, share),
        num_cpus=0,
        concurrency=min(len(tasks), max(2, actors // 4)),
        override_num_blocks=len(tasks),
    )
    asked: dict[str, Any] = {"num_gpus": 1 if gpu else 0, "num_cpus": 0 if gpu else 1}
    if pool.memory:
        asked["memory"] = pool.memory
    if pool.away_from:
        asked["label_selector"] = _away_from(pool.away_from)
    receipts: Iterator[Receipt] = units.map_batches(
        EvaluatorActor,
        fn_constructor_args=(replace(assignment, device=pool.device),),
        compute=ActorPoolStrategy(size=actors),
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        **asked,
    ).iter_rows()
    return receipts


def _shared(
    collection: str, tasks: Tasks, assignment: Assignment, pools: Sequence[Pool]
) -> Iterator[Receipt]:
    """Receipts of several pools, each read by a thread of its own."""
    # One unit at work and one read ahead for each evaluator.
    most = [2 * pool.actors for pool in pools]
    shares = share_out({task.unit_id: task.pack() for task in tasks}, most)
    arrived: queue.SimpleQueue[Receipt | BaseException] = queue.SimpleQueue()
    over = threading.Event()

    def follow(number: int, pool: Pool) -> None:
        try:
            share = functools.partial(_ask, shares, number)
            for receipt in _of_pool(collection, tasks, assignment, pool, share):
                if receipt["unit_id"] is not None:
                    shares.done.remote(receipt["unit_id"])
                    arrived.put(receipt)
                if over.is_set():
                    return
        except BaseException as problem:  # noqa: BLE001  raised where the receipts are read
            arrived.put(problem)

    threads = [
        threading.Thread(target=follow, args=numbered, daemon=True) for numbered in enumerate(pools)
    ]
    for thread in threads:
        thread.start()
    finished: set[str] = set()
    try:
        while len(finished) < len(tasks):
            found = arrived.get()
            if isinstance(found, BaseException):
                raise found
            if found["unit_id"] not in finished:
                finished.add(found["unit_id"])
                yield found
    finally:
        over.set()
    # One that waits for a machine that is slow or lost ends with the session.
    for thread in threads:
        thread.join(PATIENCE_S)


def _ask(shares: Any, pool: int, reader: int) -> Given | None:
    """What a read task of a pool is to read; called on the task's worker."""
    given: Given | None = ray.get(shares.take.remote(pool, reader))
    return given


def _away_from(machines: Sequence[str]) -> dict[str, str]:
    return {"ray.io/node-id": f"!in({','.join(machines)})"}
