"""`samscope evaluate`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from engine.commands.say import count, out, table
from engine.results.query import run_sql
from engine.stores import Place, below
from engine.study import Runtime


def evaluate_command(study: Path, collection: Place, run_dir: Place, runtime: Runtime) -> int:
    """Run or resume a study; returns 1 when trials failed or are pending."""
    from engine.pipeline.run import run_study

    outcome = run_study(study, collection, run_dir, runtime, Console(stderr=True))
    table(run_sql(run_dir, "FROM coverage ORDER BY ALL"), "coverage")
    for row in run_sql(run_dir, "SELECT model FROM models WHERE untrained").to_pylist():
        out(f"model '{row['model']}' has untrained, random weights: its scores mean nothing")
    out(
        f"{count(outcome.units_run, 'unit')} of {outcome.units_total} evaluated; "
        f"{outcome.done:,} trials done, {outcome.failed:,} failed, {outcome.pending:,} pending "
        f"of {outcome.expected:,} expected -> {below(run_dir, 'results.duckdb')}"
    )
    return outcome.exit_code
