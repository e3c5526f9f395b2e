"""`samscope status`: coverage of a run, from its ledger, finished or not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from engine.commands.say import count, out, say_untrained, table
from engine.results.attempts import at_work
from engine.results.parts import PartStore
from engine.results.publish import POINTER
from engine.results.query import run_sql
from engine.runs import RunDir


def status_command(run_dir: Path) -> int:
    """Print what is committed and, once a database was built, the coverage."""
    run = RunDir.open(run_dir)
    cells = done = failed = 0
    store = PartStore(run.path)
    for manifest in store.manifests(set_aside=False):
        if not manifest.cell.is_factors:
            cells += 1
            done += manifest.done
            failed += manifest.failed
    out(
        f"{run.path}: begun {run.created}; all studies that ran here: "
        f"{count(cells, 'cell')} committed, {count(done, 'trial')} done, {failed:,} failed"
    )
    for attempt in at_work(store.store):
        out(f"at work: {attempt.unit_id} on {attempt.worker} since {_clock(attempt.began)}")
    if (run.path / POINTER).exists():
        table(run_sql(run.path, "FROM coverage ORDER BY ALL"), "coverage, as of the last build")
        out("undefined: done trials with an empty prediction")
    elif run.wall_s > 0:
        out("the database is missing: run evaluate again, it builds it from the parts")
    else:
        out("no database yet: it is built when the evaluation ends")
    if (run.path / "study.yaml").is_file():
        say_untrained(run.study())
    return 0


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
