"""A results database of any size, without a run behind it, and how fast its questions are.

    python benchmarks/score_rows.py /tmp/rows --scores 100000000     (9 min, 5 GB of disk)

Catalog, study and tables are those of `scale.py` and of the finaliser; the trials are made by SQL
from hashes of their keys, so that every build of one size holds the same rows: better for large
objects, worse with jitter, one in 500 failed, some empty. Everything has no masks per slice.
Prints seconds and size, what each answer costs the finaliser, then how long asking takes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import pyarrow as pa
from scale import STRUCTURES, measured, scale_study, write_catalog

from engine.analysis.questions import QUESTIONS, answer, keep_answers, run
from engine.finaliser import finalise
from engine.models.numerics import numerics_of
from engine.planning.ground import lay_ground
from engine.results.build import MEMORY
from engine.results.extend import ANSWERS
from engine.results.paired_moments import add_paired_moments
from engine.results.query import connect
from engine.results.rollups import SUMMED, add_rollups, begin_rollups, finish_rollups
from engine.runs import RunDir
from engine.study import Study

OBJECTS_AT_ONCE = 10_000

TRIALS = """
    WITH drawn AS (
        SELECT
            o.object_key, o.area_px, c.*,
            list_transform([0, 1, 2, 3], lambda k: hash(o.object_key, c.cell, k) % 10007 / 10007)
                AS u,
            0.55 + 0.3 * o.area_px / 9000 - 0.01 * c.jitter_hi AS quality
        FROM (FROM objects WHERE object_key BETWEEN $first AND $last) o CROSS JOIN cells c
    ),
    masks AS (
        SELECT *, list_transform([0, 1, 2, 3], lambda k: {
            'candidate': k, 'predicted_iou': u[4 - k], 'empty': u[k + 1] < 0.01,
            'tp': (area_px * least(1, quality + 0.3 * (u[k + 1] - 0.5)))::INTEGER
        }) AS m FROM drawn
    ),
    tried AS (
        SELECT
            *, hash(object_key, cell, 'failed') % 500 = 0 AS failed,
            list_transform(m, lambda x: {
                'candidate': x.candidate::INTEGER, 'predicted_iou': x.predicted_iou::DOUBLE,
                'tp': if(x.empty, 0, x.tp)::INTEGER,
                'pred_px': if(x.empty, 0, x.tp + (area_px * 0.2 * u[1])::INTEGER)::INTEGER
            }) AS c
        FROM masks
    ),
    picked AS (
        SELECT *, [
            {'selection': 'oracle', 'c': list_reduce(c[1:3], lambda a, b:
                if(b.tp * (a.pred_px + area_px) > a.tp * (b.pred_px + area_px), b, a))},
            {'selection': 'predicted_iou', 'c': list_reduce(c[1:3], lambda a, b:
                if(b.predicted_iou > a.predicted_iou, b, a))},
            {'selection': 'single', 'c': c[4]}
        ][1:selections] AS picks
        FROM tried
    )
    SELECT
        object_key, model, strategy, jitter_lo, jitter_hi, trial, 0 AS step,
        if(failed, 'failed', 'ok') AS status, []::VARCHAR[] AS notes,
        {'points': [{'x': 256, 'y': 256, 'positive': true}], 'box': NULL} AS prompt,
        if(failed, 0, 4) AS n_candidates, area_px AS gt_px,
        if(failed OR selections = 2, [], c) AS candidates,
        list_transform(picks, lambda p: {
            'selection': p.selection,
            'status': CASE WHEN failed THEN 'failed' WHEN p.c.pred_px = 0 THEN 'empty_prediction'
                ELSE 'ok' END,
            'candidate': if(failed, NULL, p.c.candidate),
            'predicted_iou': if(failed, NULL, p.c.predicted_iou),
            'tp': if(failed, NULL, p.c.tp), 'pred_px': if(failed, NULL, p.c.pred_px),
            'hausdorff_px': if(failed OR p.c.pred_px = 0, NULL, 1 + 40 * u[1]),
            'hd95_px': if(failed OR p.c.pred_px = 0, NULL, 1 + 30 * u[1]),
            'assd_px': if(failed OR p.c.pred_px = 0, NULL, 1 + 9 * u[1]),
            'nsd': if(failed, NULL, if(p.c.pred_px = 0, 0, 1 - 0.5 * u[1])),
            'hausdorff_mm': if(failed OR p.c.pred_px = 0, NULL, 0.8 + 32 * u[1]),
            'hd95_mm': if(failed OR p.c.pred_px = 0, NULL, 0.8 + 24 * u[1]),
            'assd_mm': if(failed OR p.c.pred_px = 0, NULL, 0.8 + 7.2 * u[1]),
            'nsd_mm': if(failed, NULL, if(p.c.pred_px = 0, 0, 1 - 0.4 * u[1]))
        }) AS selections
    FROM picked
    ORDER BY object_key, model, strategy, jitter_lo, jitter_hi, trial"""


FACTORS = """
    UPDATE objects SET
        fourier_order = 1 + hash(object_key) % 300 / 10,
        aspect_ratio = (1 + hash(object_key, 'a') % 1000) / 1000,
        intensity_difference = hash(object_key, 'i') % 20000 / 100 - 100,
        n_components = 1 + hash(object_key, 'c') % 3, n_holes = hash(object_key, 'h') % 2,
        perimeter_px = 4 * sqrt(area_px) + hash(object_key, 'p') % 100,
        compactness = hash(object_key, 'k') % 7000 / 10000,
        solidity = hash(object_key, 's') % 10000 / 10000,
        touches_border = hash(object_key, 't') % 5 = 0,
        center_inside = hash(object_key, 'e') % 10 > 0,
        area_fraction = area_px / 262144,
        boundary_gradient = hash(object_key, 'g') % 4000 / 100,
        fourier_order_97 = nullif(hash(object_key, 'f') % 64, 0),
        contrast_to_noise = nullif(hash(object_key, 'n') % 500, 0) / 100"""

UNITS = """
    UPDATE units SET
        state = 'committed', done = expected, failed = 0, peak_memory_bytes = 2 ** 30,
        seconds = MAP {'embed': 0.1, 'prompt': 0.01, 'decode': 0.2, 'score': 0.05}"""


def main(argv: Sequence[str] | None = None) -> None:
    """Build the database, then time the questions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--scores", type=int, default=100_000_000)
    said = parser.parse_args(argv)
    if not (said.run / "results.duckdb").exists():
        with measured("database"):
            path = make_database(said.run, said.scores)
        sys.stdout.write(f"{path.stat().st_size / 2**30:.1f} GiB\n")
    time_questions(said.run)


def make_database(folder: Path, scores: int) -> Path:
    """`folder/results.duckdb` with about so many rows in `scores`; returns its path."""
    collection = folder.with_suffix(".zarr")
    collection.mkdir(parents=True, exist_ok=True)
    study = scale_study(collection)
    cells = _cells(study)
    per_slice = sum(cells["selections"].to_pylist()) * len(STRUCTURES)
    write_catalog(collection, -(-scores // per_slice))
    planning = lay_ground(study, collection).plan(numerics_of("cpu"))
    path = finalise(RunDir.prepare(folder, collection), planning)
    with duckdb.connect(str(path), config={"memory_limit": MEMORY}) as connection:
        connection.execute(FACTORS)
        connection.execute(UNITS)
        _fill(connection, cells)
        connection.execute(f"DROP SCHEMA {ANSWERS} CASCADE")
        with measured("answers"):
            keep_answers(connection)
    return path


def _cells(study: Study) -> pa.Table:
    """(model, strategy, jitter_lo, jitter_hi, trial) of an object, and how many selections each."""
    rows = [
        {"cell": 0, "model": model.name, "strategy": strategy.name, "jitter_lo": level.lo,
         "jitter_hi": level.hi, "trial": trial, "selections": 3 if strategy.prompted else 2}
        for model in study.models
        for strategy in study.strategies_of(model)
        for level, trial in study.jitter.trials_of(strategy)
    ]  # fmt: skip
    return pa.Table.from_pylist([{**row, "cell": cell} for cell, row in enumerate(rows)])


def _fill(connection: duckdb.DuckDBPyConnection, cells: pa.Table) -> None:
    """Make the trials of all objects, some thousands at a time, and their moments."""
    connection.register("cells", cells)
    ((objects,),) = connection.execute("SELECT count(*) FROM objects").fetchall()
    for name in SUMMED:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    begin_rollups(connection)
    connection.execute("CREATE TEMP TABLE batch AS FROM trials LIMIT 0")
    for first in range(1, objects + 1, OBJECTS_AT_ONCE):
        last = min(first + OBJECTS_AT_ONCE - 1, objects)
        connection.execute(f"INSERT INTO batch {TRIALS}", {"first": first, "last": last})
        connection.execute("INSERT INTO trials FROM batch")
        add_rollups(connection, "batch")
        connection.execute("TRUNCATE batch")
    finish_rollups(connection)
    connection.execute("DROP TABLE paired_moments")
    add_paired_moments(connection)


def time_questions(run_dir: Path) -> None:
    """Seconds to ask each question, to ask it again, and to answer it without the kept answer."""
    sys.stdout.write("| question | rows | first, s | again, s | anew, s |\n|---|---|---|---|---|\n")
    for name, question in QUESTIONS.items():
        with connect(run_dir) as connection:
            rows = run(connection, name).num_rows
        with connect(run_dir) as connection:
            asked = [_seconds(run, connection, name) for _ in range(2)]
            anew = _seconds(answer, connection, question)
        sys.stdout.write(f"| {name} | {rows:,} | {asked[0]:.2f} | {asked[1]:.2f} | {anew:.2f} |\n")
        sys.stdout.flush()


def _seconds(ask: Callable[..., Any], *arguments: Any) -> float:
    started = perf_counter()
    ask(*arguments)
    return perf_counter() - started


if __name__ == "__main__":
    main()
