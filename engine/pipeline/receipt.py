"""What travels back to the driver of a unit: a few numbers, no rows."""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from engine.evaluation.rows import CellRows

_LOST = pa.struct([pa.field("worker", pa.string()), pa.field("how", pa.string())])

RECEIPT = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("slices", pa.int64()),
        pa.field("cells", pa.int64()),
        pa.field("done", pa.int64()),  # trials
        pa.field("failed", pa.int64()),  # trials
        pa.field("seconds", pa.float64()),  # of the worker, from the pixels to the last commit
        pa.field("stages", pa.map_(pa.string(), pa.float64())),  # stage -> seconds
        pa.field("failures", pa.map_(pa.string(), pa.int64())),  # stage -> trials
        pa.field("attempts", pa.int64()),
        pa.field("worker", pa.string()),
        pa.field("peak_memory_bytes", pa.int64()),
        pa.field("lost", pa.list_(_LOST)),  # workers that ended in the middle of this unit
        pa.field("helper", pa.bool_()),  # whether a CPU beside GPUs did it
        pa.field("recycled", pa.string()),  # why the worker ends before its next unit; or null
        pa.field("stopped", pa.string()),  # why no unit can be done; or null
    ]
)

MACHINE_LOST = "machine lost"


@dataclass(frozen=True)
class Lost:
    """A worker that ended in the middle of a unit.

    Attributes:
        worker: `host:pid`.
        how: `died`, `stalled` or `machine lost`.
    """

    worker: str
    how: str


@dataclass(frozen=True)
class Effort:
    """What a unit took.

    Attributes:
        seconds: of the worker, its waiting between attempts and its commits included.
        commit_s: of these, for the commits.
        recycled: why the worker ends before its next unit; None: it does not.
    """

    worker: str
    attempts: int
    lost: Sequence[Lost]
    seconds: float
    commit_s: float
    recycled: str | None


def receipt_of(unit_id: str, slices: int, cells: Sequence[CellRows], effort: Effort) -> pa.Table:
    """One row of `RECEIPT`; object factors are cells, but no trials."""
    trials = [rows for rows in cells if not rows.planned.cell.is_factors]
    row = {
        "unit_id": unit_id,
        "slices": slices,
        "cells": len(cells),
        "done": sum(rows.done for rows in trials),
        "failed": sum(rows.failed for rows in trials),
        "seconds": effort.seconds,
        "stages": sorted(_stages(cells, effort.commit_s).items()),
        "failures": sorted(_failures(trials).items()),
        "attempts": effort.attempts,
        "worker": effort.worker,
        "peak_memory_bytes": peak_memory_bytes(),
        "lost": [asdict(one) for one in effort.lost],
        "helper": False,
        "recycled": effort.recycled,
    }
    return pa.Table.from_pylist([row], schema=RECEIPT)


def stopped_receipt(unit_id: str, worker: str, why: str) -> pa.Table:
    """One row of `RECEIPT` of a unit that was not committed, and no other will be.

    It is no exception, because of those Ray brings to the driver not even the type.
    """
    row = {"unit_id": unit_id, "worker": worker, "stopped": why}
    return pa.Table.from_pylist([row], schema=RECEIPT)


def peak_memory_bytes() -> int:
    """The most this process has held so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _stages(cells: Sequence[CellRows], commit_s: float) -> Mapping[str, float]:
    sums: dict[str, float] = defaultdict(float, commit=commit_s)
    for rows in cells:
        for stage, seconds in rows.seconds.items():
            sums[stage] += seconds
    return sums


def _failures(trials: Sequence[CellRows]) -> Mapping[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for rows in trials:
        for failure in rows.tables["failures"]:
            sums[failure["stage"]] += failure["n_trials"]
    return sums
