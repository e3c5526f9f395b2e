"""`samscope status`: how far a run is, from its ledger and its events; live, dead or finished."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from engine.bench.costs import duration
from engine.commands.say import count, out, say_untrained, table
from engine.pipeline.history import STRAGGLES, History, Watch, watch
from engine.results.parts import PartStore
from engine.results.query import has_database, run_sql
from engine.runs import RunDir
from engine.stores import Place


def status_command(run_dir: Place) -> int:
    """Print what is committed, how the latest run goes, and the coverage once there is one."""
    run = RunDir.open(run_dir)
    cells = done = failed = 0
    store = PartStore(run.place)
    for manifest in store.manifests(set_aside=False):
        cells += 1
        if not manifest.cell.is_factors:  # objects are no trials
            done += manifest.done
            failed += manifest.failed
    out(
        f"{run.place}: begun {run.created}; all studies that ran here: "
        f"{count(cells, 'cell')} committed, {count(done, 'trial')} done, {failed:,} failed"
    )
    watched = watch(run)
    if watched.history is not None:
        for line in _latest_run(watched, watched.history):
            out(line)
    for line in _at_work(watched):
        out(line)
    if has_database(run.place):
        table(run_sql(run.place, "FROM coverage ORDER BY ALL"), "coverage, as of the last build")
        out("undefined: done trials with an empty prediction")
    elif run.wall_s > 0:
        out("the database is missing: run evaluate again, it builds it from the parts")
    else:
        out("no database yet: `samscope evaluate` builds it at its end; stopped, it goes on again")
    if run.store.size("study.yaml") is not None:
        say_untrained(run.study())
    return 0


def _latest_run(watched: Watch, history: History) -> Iterator[str]:
    """State, progress and speed, stages, and what went wrong."""
    yield f"latest run, of study '{history.begun['study']}': {watched.state}"
    tally = history.tally
    if not history.units:
        return
    words = [
        f"{tally.units:,} of {count(history.units, 'unit')}",
        f"{tally.slices:,} of {history.slices:,} slices at {tally.rate(watched.elapsed):.2f}/s",
        f"{tally.trials:,} of {history.trials:,} trials, {tally.failed:,} failed",
    ]
    if watched.seconds_left is not None:
        words.append(f"{duration(watched.seconds_left)} left")
    yield ", ".join(words)
    if history.busy is not None:
        stages = ", ".join(f"{stage} {s:.1f} s" for stage, s in history.stages.most_common())
        yield (
            f"{count(history.evaluators, 'evaluator')}, busy {history.busy:.0%} of "
            f"{duration(history.elapsed())}: {stages}"
        )
    if history.helped:
        yield f"{count(history.helped, 'unit')} by machines without a GPU"
    if history.troubles:
        yield ", ".join(f"{what}: {n:,}" for what, n in sorted(history.troubles.items()))


def _at_work(watched: Watch) -> Iterator[str]:
    """Units begun and not finished; behind a dead driver they are what will be done again."""
    for attempt in watched.at_work:
        line = f"{'at work' if watched.live else 'left unfinished'}: {attempt.unit_id}"
        line += f" on {attempt.worker} since {_clock(attempt.began)}"
        if watched.straggles(attempt):
            seconds = duration(watched.seconds_of(attempt))
            line += f", a straggler: {seconds}, over {STRAGGLES:g} times the median"
        yield line


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
