"""`samscope evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from engine.commands.say import count, out, table
from engine.results.query import run_sql
from engine.stores import Place, below
from engine.study import Runtime

_NO_MASKS = """
    SELECT model, strategy, params->>'pred_iou_thresh' AS pred_iou,
        params->>'stability_score_thresh' AS stability
    FROM final_moments JOIN strategies USING (strategy)
    WHERE kind = 'everything' AND selection = 'oracle'
    GROUP BY ALL
    HAVING sum(n) > 0 AND sum(n_empty) = sum(n)
    ORDER BY ALL"""
"""Models of which Everything kept nothing: an oracle is empty only where there is no mask."""


def without_masks(run_dir: Place) -> Iterator[str]:
    """Words for each strategy of a model that kept no mask: its zeros say nothing of the model."""
    for row in run_sql(run_dir, _NO_MASKS).to_pylist():
        yield (
            f"'{row['strategy']}' of '{row['model']}' kept no mask on any slice: none has more "
            f"than {row['pred_iou']} (predicted IoU) and {row['stability']} (stability); a study "
            "may ask for less: {name: everything, kind: everything, params: "
            "{pred_iou_thresh: 0.5, stability_score_thresh: 0.5}}"
        )


def evaluate_command(study: Path, collection: Place, run_dir: Place, runtime: Runtime) -> int:
    """Run or resume a study; returns 1 when trials failed or are pending."""
    from engine.pipeline.run import run_study

    outcome = run_study(study, collection, run_dir, runtime, Console(stderr=True))
    table(run_sql(run_dir, "FROM coverage ORDER BY ALL"), "coverage")
    for row in run_sql(run_dir, "SELECT model FROM models WHERE untrained").to_pylist():
        out(f"model '{row['model']}' has untrained, random weights: its scores mean nothing")
    for words in without_masks(run_dir):
        out(words)
    out(
        f"{count(outcome.units_run, 'unit')} of {outcome.units_total} evaluated; "
        f"{outcome.done:,} trials done, {outcome.failed:,} failed, {outcome.pending:,} pending "
        f"of {outcome.expected:,} expected -> {below(run_dir, 'results.duckdb')}"
    )
    return outcome.exit_code
