"""One run of a study: plan, evaluate what is missing, build the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from engine.pipeline.actor import Assignment
from engine.pipeline.cluster import actor_count, connected, device_of, worker_numerics
from engine.pipeline.progress import track
from engine.pipeline.stream import stream
from engine.plan import Plan, PlannedCell, UnitTask
from engine.planning import Planning, plan_study, read_study
from engine.results.parts import PartStore
from engine.results.query import run_sql
from engine.runs import RunDir, driver_lock, finalise, log_to_file
from engine.study import Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        failed: trials with a failure row; `exit_code` is 1 when there are any.
    """

    run_dir: Path
    units_run: int
    units_total: int
    expected: int
    done: int
    failed: int
    pending: int

    @property
    def exit_code(self) -> int:
        return 1 if self.failed or self.pending else 0


def run_study(
    study_path: Path, collection: Path, out: Path, runtime: Runtime, console: Console
) -> Outcome:
    """Evaluate a study over a collection into a run directory, resuming what is there.

    Raises:
        UserError: wrong study, collection or run directory, or another driver at work on it.
    """
    study = read_study(study_path)
    run = RunDir.prepare(out, study_path, collection)
    with driver_lock(run.path), log_to_file(run.path):
        started = time.monotonic()
        with connected(runtime):
            device = device_of(runtime)
            planning = plan_study(study, collection, worker_numerics(device))
            store = PartStore(run.path)
            if runtime.retry_failed:
                _forget_failed(store)
            pending = planning.plan.pending(sound_cells(planning.plan, store))
            total = len(planning.plan.units)
            log.info("%d of %d units to evaluate on %s", len(pending), total, device)
            if pending:
                _evaluate(planning, pending, run, runtime, device, console)
        run = run.worked(time.monotonic() - started if pending else 0.0)
        finalise(run, planning)
    return Outcome(run.path, len(pending), total, *_coverage(run.path))


def sound_cells(plan: Plan, store: PartStore) -> Callable[[PlannedCell], bool]:
    """Whether a cell is committed under its identity with files as its manifest says.

    What is not sound is set aside, so that it runs again.
    """
    wanted = {(planned.cell, planned.identity) for planned in plan.cells()}
    sound = {
        (manifest.cell, manifest.identity)
        for manifest in store.manifests()
        if (manifest.cell, manifest.identity) in wanted and store.verify(manifest)
    }
    return lambda planned: (planned.cell, planned.identity) in sound


def _coverage(run_dir: Path) -> tuple[int, int, int, int]:
    """(expected, done, failed, pending) trials of the whole run."""
    totals = run_sql(
        run_dir,
        "SELECT sum(expected)::BIGINT e, sum(done)::BIGINT d, sum(failed)::BIGINT f,"
        " sum(pending)::BIGINT p FROM coverage",
    ).to_pylist()[0]
    return (totals["e"] or 0, totals["d"] or 0, totals["f"] or 0, totals["p"] or 0)


def _evaluate(
    planning: Planning,
    pending: list[UnitTask],
    run: RunDir,
    runtime: Runtime,
    device: str,
    console: Console,
) -> None:
    plan: Plan = planning.plan
    assignment = Assignment(
        plan.study, device, str(run.path), plan.cards, plan.numerics, runtime.attempts
    )
    receipts = stream(str(planning.collection), pending, assignment, actor_count(runtime, device))
    for receipt in track(receipts, pending, console):
        log.debug("receipt %s", receipt)


def _forget_failed(store: PartStore) -> None:
    """Make cells with failed trials pending again."""
    for manifest in list(store.manifests()):
        if manifest.failed:
            store.set_aside(manifest, "--retry-failed")
