"""`samscope demo`: the main job on generated images, from raw files to the report."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from engine.collection.phantoms import write_demo
from engine.commands.evaluate import evaluate_command
from engine.commands.ingest import ingest_command
from engine.commands.report import report_command
from engine.commands.say import out, table
from engine.errors import UserError
from engine.results.query import run_sql
from engine.study import Runtime

STUDY = Path(__file__).parent / "demo_study.yaml"
UNIT_SLICES = 4

LEADERBOARD = """
    SELECT strategy,
           round(avg(dice) FILTER (selection = 'oracle'), 3) AS oracle,
           round(avg(dice) FILTER (selection = 'predicted_iou'), 3) AS predicted_iou,
           round(avg(dice) FILTER (selection = 'single'), 3) AS single,
           count(dice) FILTER (selection = 'oracle') AS scored,
           count(*) FILTER (selection = 'oracle') AS expected
    FROM results WHERE jitter_hi = 0
    GROUP BY strategy ORDER BY oracle DESC, strategy
"""


def demo_command(folder: Path, runtime: Runtime) -> int:
    """Write `folder/raw`, `folder/collection.zarr`, `folder/run`; returns the exit code."""
    started = time.monotonic()
    collection, run = folder / "collection.zarr", folder / "run"
    out("generating phantom images: CT and MR volumes, fundus photographs, cells")
    code = 0
    for recipe, raw in _inputs(folder):
        code = max(code, ingest_command(recipe, raw, collection, UNIT_SLICES))
    code = max(code, evaluate_command(folder / "study.yaml", collection, run, runtime))
    report_command(run)
    table(run_sql(run, LEADERBOARD), "mean Dice without jitter (untrained model: see README)")
    out(
        f"collection  {collection}\n"
        f"results     {run / 'results.duckdb'}\n"
        f"report      {run / 'report.html'}\n"
        f'try         samscope sql {run} "SELECT object_id, strategy, dice FROM results LIMIT 5"\n'
        f"took        {time.monotonic() - started:.0f} s"
    )
    return code


def _inputs(folder: Path) -> list[tuple[str, Path]]:
    """Write the study and the raw files; returns (recipe, raw folder) pairs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(STUDY, folder / "study.yaml")
        return list(write_demo(folder / "raw"))
    except OSError as error:
        raise UserError(
            "cannot write the demo",
            where=str(error.filename or folder),
            got=error.strerror or str(error),
            expected="a folder that can be written, with about 100 MB of room",
            remedy="choose another --out",
        ) from error
