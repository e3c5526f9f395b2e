"""`samscope status`: coverage of a run, from its ledger, finished or not."""

from __future__ import annotations

from pathlib import Path

from engine.commands.say import count, out, table
from engine.results.parts import PartStore
from engine.results.query import run_sql
from engine.runs import RunDir


def status_command(run_dir: Path) -> int:
    """Print what is committed and, once a database was built, the coverage."""
    run = RunDir.open(run_dir)
    cells = done = failed = 0
    for manifest in PartStore(run.path).manifests():
        cells += 1
        if not manifest.cell.is_factors:
            done += manifest.done
            failed += manifest.failed
    out(
        f"{run.path}: begun {run.created}, {count(cells, 'cell')} committed, "
        f"{count(done, 'trial')} done, {failed:,} failed"
    )
    if (run.path / "results.duckdb").exists():
        table(run_sql(run.path, "FROM coverage ORDER BY ALL"), "coverage, as of the last build")
    else:
        out("no database yet: it is built when the evaluation ends")
    return 0
