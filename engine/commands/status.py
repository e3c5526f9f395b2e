"""`samscope status`: how far a run is, from its ledger and its events; live, dead or finished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from engine.bench.costs import duration
from engine.commands.say import count, out, say_untrained, table
from engine.pipeline.events import NAME, read_events
from engine.pipeline.history import STRAGGLES, History, latest
from engine.results.attempts import at_work
from engine.results.parts import PartStore
from engine.results.query import has_database, run_sql
from engine.runs import RunDir, driver_at_work
from engine.stores import Place


def status_command(run_dir: Place) -> int:
    """Print what is committed, how the latest run goes, and the coverage once there is one."""
    run = RunDir.open(run_dir)
    cells = done = failed = 0
    store = PartStore(run.place)
    for manifest in store.manifests(set_aside=False):
        if not manifest.cell.is_factors:
            cells += 1
            done += manifest.done
            failed += manifest.failed
    out(
        f"{run.place}: begun {run.created}; all studies that ran here: "
        f"{count(cells, 'cell')} committed, {count(done, 'trial')} done, {failed:,} failed"
    )
    live = driver_at_work(run.place)
    with run.store.local([NAME] if run.store.size(NAME) is not None else []) as files:
        history = latest(event for path in files for event in read_events(path))
    if history is not None:
        for line in _latest_run(history, live=live):
            out(line)
    for line in _at_work(store, history, live=live):
        out(line)
    if has_database(run.place):
        table(run_sql(run.place, "FROM coverage ORDER BY ALL"), "coverage, as of the last build")
        out("undefined: done trials with an empty prediction")
    elif run.wall_s > 0:
        out("the database is missing: run evaluate again, it builds it from the parts")
    else:
        out("no database yet: it is built when the evaluation ends")
    if run.store.size("study.yaml") is not None:
        say_untrained(run.study())
    return 0


def _latest_run(history: History, *, live: bool) -> Iterator[str]:
    """State, progress and speed, stages, and what went wrong."""
    yield f"latest run, of study '{history.begun['study']}': {_state(history, live=live)}"
    tally = history.tally
    if not history.units:
        return
    now = datetime.now(UTC) if live and history.ended is None else None
    elapsed = history.elapsed(now)
    words = [
        f"{tally.units:,} of {count(history.units, 'unit')}",
        f"{tally.slices:,} of {history.slices:,} slices at {tally.rate(elapsed):.2f}/s",
        f"{tally.trials:,} of {history.trials:,} trials, {tally.failed:,} failed",
    ]
    if now is not None and tally.trials:
        words.append(f"{duration(tally.seconds_left(history.trials, elapsed))} left")
    yield ", ".join(words)
    if history.busy is not None:
        stages = ", ".join(f"{stage} {s:.1f} s" for stage, s in history.stages.most_common())
        yield (
            f"{count(history.evaluators, 'evaluator')}, busy {history.busy:.0%} of "
            f"{duration(history.elapsed())}: {stages}"
        )
    if history.troubles:
        yield ", ".join(f"{what}: {n:,}" for what, n in sorted(history.troubles.items()))


def _state(history: History, *, live: bool) -> str:
    driver = f"process {history.begun['pid']} on {history.begun['host']}"
    if history.ended is None:
        if live:
            return f"at work, {driver}"
        return f"dead: its driver, {driver}, is gone; the same command resumes it"
    error = history.ended["error"]
    return f"{history.ended['outcome']} {_second(history.ended['at'])}" + (
        f": {error}" if error else ""
    )


def _at_work(store: PartStore, history: History | None, *, live: bool) -> Iterator[str]:
    """Units begun and not finished; behind a dead driver they are what will be done again."""
    for attempt in at_work(store.store):
        seconds = time.time() - attempt.began
        line = f"{'at work' if live else 'left unfinished'}: {attempt.unit_id} on {attempt.worker}"
        line += f" since {_clock(attempt.began)}"
        if live and history is not None and history.straggles(seconds):
            line += f", a straggler: {duration(seconds)}, over {STRAGGLES:g} times the median"
        yield line


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _second(at: str) -> str:
    return datetime.fromisoformat(at).isoformat(timespec="seconds")
