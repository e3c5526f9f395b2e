"""`samscope demo`: the main job on generated images, from raw files to the report."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from engine.commands.evaluate import evaluate_command
from engine.commands.phantoms import phantoms_command
from engine.commands.report import report_command
from engine.commands.say import out, table
from engine.errors import UserError, system_words
from engine.results.query import run_sql
from engine.study import Runtime

STUDY = Path(__file__).parent / "demo_study.yaml"
SPLIT = "demo"
FIRST = 2  # the first two trunks are pelves and the first two heads healthy: less to see
SUBJECTS = 2  # of every family: an interval over subjects needs at least two
UNIT_SLICES = 4

LEADERBOARD = """
    SELECT model, strategy,
           round(avg(dice) FILTER (selection = 'oracle'), 3) AS oracle,
           round(avg(dice) FILTER (selection = 'predicted_iou'), 3) AS predicted_iou,
           round(avg(dice) FILTER (selection = 'single'), 3) AS single,
           count(dice) FILTER (selection = 'oracle') AS scored,
           count(*) FILTER (selection = 'oracle') AS expected
    FROM results WHERE jitter_hi = 0
    GROUP BY model, strategy ORDER BY model, oracle DESC, strategy
"""


def demo_command(folder: Path, runtime: Runtime) -> int:
    """Write `folder/raw`, `folder/collection.zarr`, `folder/run`; returns the exit code."""
    started = time.monotonic()
    collection, run = folder / "collection.zarr", folder / "run"
    _write_study(folder)
    out("drawing phantom subjects: twelve families of images, the paper's 18 modalities")
    code = phantoms_command(
        folder, SPLIT, SUBJECTS, first=FIRST, families=None, seed=0, workers=runtime.actors,
        unit_slices=UNIT_SLICES,
    )  # fmt: skip
    code = max(code, evaluate_command(folder / "study.yaml", collection, run, runtime))
    report_command(run)
    table(run_sql(run, LEADERBOARD), "mean Dice without jitter, held-out phantom subjects")
    out(
        f"collection  {collection}\n"
        f"results     {run / 'results.duckdb'}\n"
        f"report      {run / 'report.html'}\n"
        f"dashboard   samscope dashboard {run}\n"
        f'try         samscope sql {run} "SELECT object_id, strategy, dice FROM results LIMIT 5"\n'
        f"took        {time.monotonic() - started:.0f} s"
    )
    return code


def _write_study(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(STUDY, folder / "study.yaml")
    except OSError as error:
        raise UserError(
            "cannot write the demo",
            where=str(folder),
            got=system_words(error),
            expected="a folder that can be written, with about 100 MB of room",
            remedy="choose another --out",
        ) from error
