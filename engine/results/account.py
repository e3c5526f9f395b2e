"""Counting a cell's trials, so that what was expected is done or failed and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import CorruptDataError
from engine.results.manifest import Cell


def account(
    cell: Cell,
    tables: Mapping[str, pa.Table],
    *,
    expected: int | None = None,
    done: int | None = None,
    failed: int | None = None,
) -> tuple[int, int]:
    """(done, failed) trials of a cell; objects for the factors cell.

    Args:
        expected, done, failed: what the plan and the evaluator say; None: not said.

    Raises:
        CorruptDataError: the rows say something else.
    """
    counted = _objects(tables, expected, failed) if cell.is_factors else _trials(tables)
    claims = {"done": (done, counted[0]), "failed": (failed, counted[1])}
    claims["expected"] = (expected, sum(counted))
    wrong = {name: pair for name, pair in claims.items() if pair[0] not in (None, pair[1])}
    if wrong:
        raise CorruptDataError(
            "a cell's rows do not add up to its counts",
            where=f"{cell.unit_id}, {cell.model}, {cell.strategy}",
            got=", ".join(f"{rows} {name} in the rows" for name, (_, rows) in wrong.items()),
            expected=", ".join(f"{said} {name}" for name, (said, _) in wrong.items()),
        )
    return counted


def _trials(tables: Mapping[str, pa.Table]) -> tuple[int, int]:
    """A trial has failed when any of its steps has."""
    trials = tables.get("trials")
    if trials is None:
        return 0, 0
    key = ["object_id", "jitter_lo", "jitter_hi", "trial"]
    bad = pc.cast(pc.equal(trials["status"], "failed"), pa.int32())
    steps = trials.select(key).append_column("bad", bad)
    per_trial = steps.group_by(key).aggregate([("bad", "max")])
    failed = int(pc.sum(per_trial["bad_max"]).as_py() or 0)
    return per_trial.num_rows - failed, failed


def _objects(
    tables: Mapping[str, pa.Table], expected: int | None, failed: int | None
) -> tuple[int, int]:
    """Objects with factors, and those without, which must have left a failure row."""
    factors, failures = tables.get("factors"), tables.get("failures")
    done = 0 if factors is None else len(factors)
    if failures is None or len(failures) == 0:
        return done, 0
    return done, max(expected - done, 0) if expected is not None else failed or 0
