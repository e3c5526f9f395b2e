"""One run of a study: plan, evaluate what is missing, build the database."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

import engine
from engine.finaliser import finalise
from engine.models.numerics import numerics_of, torch_device
from engine.parity.gate import hold_to_bound
from engine.parity.sample import measure_parity
from engine.pipeline.actor import Assignment
from engine.pipeline.cluster import (
    actor_count,
    connected,
    device_of,
    local_device,
    on_cluster,
    on_worker,
)
from engine.pipeline.events import EventLog, logged_events
from engine.pipeline.progress import track
from engine.pipeline.stream import helped_stream, stream
from engine.pipeline.uploads import sent_along
from engine.planning.admission import admit, memory_of, projected
from engine.planning.ground import Planning, lay_ground, read_study
from engine.planning.plan import Plan, algorithm_versions
from engine.planning.tasks import Flags, Tasks
from engine.results.attempts import at_work, forget_all
from engine.results.parts import PartStore
from engine.results.query import run_sql
from engine.runs import Hold, RunDir, driver_lock, log_to_file, working_folder
from engine.stores import Place, Store
from engine.study import Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        expected, done, failed, pending: trials.
        without_factors: objects whose factors failed.
        exit_code: 1 when anything failed or is pending, else 0.
    """

    run_dir: Place
    units_run: int
    units_total: int
    expected: int
    done: int
    failed: int
    pending: int
    without_factors: int = 0

    @property
    def exit_code(self) -> int:
        return 1 if self.failed or self.pending or self.without_factors else 0


def run_study(
    study_path: Path, collection: Place, out: Place, runtime: Runtime, console: Console
) -> Outcome:
    """Evaluate a study over a collection into a run directory, resuming what is there.

    Raises:
        UserError: wrong study, collection or run directory, or another driver at work on it, which
            may have taken it over from this one.
    """
    ground = lay_ground(read_study(study_path), collection)
    if not on_cluster(runtime):  # a refused device leaves no folder behind
        torch_device(local_device(runtime))
    run = RunDir.prepare(out, collection)
    with (
        driver_lock(run.place, runtime.lease_s) as hold,
        working_folder(run),
        sent_along(run),
        log_to_file(run.path),
        logged_events(run.path) as events,
        ExitStack() as session,
    ):
        # Who held it before may have begun, or gone on with, this run since it was looked at.
        run = replace(RunDir.prepare(out, collection), path=run.path)
        cluster = on_cluster(runtime)
        if cluster:
            session.enter_context(connected(runtime))
        device = device_of(runtime) if cluster else local_device(runtime)
        # A head without a GPU does not compute what its workers compute: ask one of them.
        precision = ground.study.precision
        planning = ground.plan(
            on_worker(device, numerics_of, device, precision)
            if cluster
            else numerics_of(device, precision)
        )
        hold.check()
        run.begin(ground.study)
        total, units_run = len(planning.plan.units), 0
        _begun(events, planning, device, total)
        # The finaliser reads every byte, and may set aside what a listing took for sound: that is
        # evaluated at once, but once only, because a disk that damages it again is broken.
        for retry_failed in (runtime.retry_failed, False):
            pending = planning.plan.pending(_ledger(planning.plan, run, hold, retry_failed))
            log.info("%d of %d units to evaluate on %s", len(pending), total, device)
            if pending:
                started = time.monotonic()
                session.enter_context(connected(runtime))
                _admit(planning, runtime, device, len(pending), alone=not cluster)
                # On a worker: what a model leaves on a GPU goes with its process.
                hold_to_bound(
                    planning, run.path, device, partial(on_worker, device, measure_parity)
                )
                _evaluate(planning, pending, run, hold, runtime, device, console, events)
                hold.check()
                run = run.worked(time.monotonic() - started)
                units_run += len(pending)
            finalise(run, planning, hold)
            if not _cells_pending(run.path):
                break
        outcome = Outcome(run.place, units_run, total, *_coverage(run.path))
        _ended(events, outcome)
    return outcome


def _begun(events: EventLog, planning: Planning, device: str, units: int) -> None:
    events.write(
        "run_begun",
        study=planning.plan.study.name,
        collection=str(planning.collection),
        version=engine.__version__,
        device=device,
        host=socket.gethostname(),
        pid=os.getpid(),
        units=units,
    )


def _ended(events: EventLog, outcome: Outcome) -> None:
    events.write(
        "run_ended",
        outcome="finished",
        error=None,
        units_run=outcome.units_run,
        expected=outcome.expected,
        done=outcome.done,
        failed=outcome.failed,
        pending=outcome.pending,
    )


def _admit(planning: Planning, runtime: Runtime, device: str, units: int, *, alone: bool) -> None:
    """Refuse evaluators that would not fit; of a cluster's nodes each must hold one at least."""
    share = alone and device == "cpu"
    evaluators = min(actor_count(runtime, device), units) if share else 1
    there = memory_of(device) if alone else on_worker(device, memory_of, device)
    admit(projected(planning), evaluators, there)


def _cells_pending(run_dir: Path) -> int:
    sql = "SELECT count(*) FROM units WHERE state = 'pending'"
    return int(run_sql(run_dir, sql)[0][0].as_py())


def _ledger(plan: Plan, run: RunDir, hold: Hold, retry_failed: bool) -> Flags:
    """bool[unit, column]: committed and valid in the plan, with files of the right length.

    What is not sound is set aside, so that it runs again; so is what failed, when asked. That
    the files' bytes are as committed is for the finaliser to find, which reads them all.
    """
    store = PartStore(run.place, algorithm_versions(), hold.check)
    hold.check()
    forget_all(store.store)
    done = plan.none_done()
    current = (one for one in store.manifests() if plan.answered(one) is not None)
    for manifest in store.sound(current, checksums=lambda manifest: False):
        place = plan.answered(manifest)
        if place is None:
            continue
        if retry_failed and manifest.failed:
            store.set_aside(manifest, "--retry-failed")
        else:
            done[place] = True
    return done


def _coverage(run_dir: Path) -> tuple[int, int, int, int, int]:
    """(expected, done, failed, pending) trials of the run, and objects without factors."""
    totals = run_sql(
        run_dir,
        """SELECT coalesce(sum(expected), 0)::BIGINT, coalesce(sum(done), 0)::BIGINT,
                  coalesce(sum(failed), 0)::BIGINT, coalesce(sum(pending), 0)::BIGINT,
                  (SELECT coalesce(sum(n_trials), 0)::BIGINT FROM failures WHERE model = '-')
           FROM coverage""",
    )
    expected, done, failed, pending, lost = (column[0].as_py() for column in totals.columns)
    return expected, done, failed, pending, lost


def _evaluate(
    planning: Planning,
    pending: Tasks,
    run: RunDir,
    hold: Hold,
    runtime: Runtime,
    device: str,
    console: Console,
    events: EventLog,
) -> None:
    plan: Plan = planning.plan
    assignment = Assignment(
        plan.study,
        device,
        str(run.place),
        plan.cards,
        plan.numerics,
        runtime.attempts,
        runtime.patience_s,
        runtime.recycle_units,
        token=hold.token,
    )
    actors = min(actor_count(runtime, device), len(pending))
    events.write(
        "pass_begun",
        units=len(pending),
        slices=pending.n_slices,
        trials=pending.n_trials,
        evaluators=actors,
    )
    collection = str(planning.collection)
    # One kind of device was asked for where the runtime names it.
    if device == "cuda" and runtime.device == "auto" and plan.study.mixed_numerics:
        one = projected(planning, numerics_of("cpu", plan.study.precision))
        receipts = helped_stream(collection, pending, assignment, actors, one)
    else:
        receipts = stream(collection, pending, assignment, actors)
    store = run.store
    # An error here must end the stream before Ray is left: helpers have a thread that asks it.
    with closing(receipts):
        try:
            for receipt in track(receipts, pending, console, lambda: _oldest(store)):
                events.unit(receipt)
                hold.check()
        except KeyboardInterrupt:  # workers take some seconds to end
            log.info("stopping: what is committed is kept, units at work are given up")
            raise


def _oldest(store: Store) -> str:
    """The unit that is longest at work, in words."""
    attempts = at_work(store)
    if not attempts:
        return ""
    first = attempts[0]
    return (
        f"; longest at work: {first.unit_id} on {first.worker}, {time.time() - first.began:.0f} s"
    )
