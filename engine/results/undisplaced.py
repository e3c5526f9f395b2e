"""The table `undisplaced`: the scores at level (0,0), narrow and unnested.

Most questions ask about prompts that were not displaced: a tenth of the paper's trials, a fiftieth
of a study with the paper's repeats on every object. Its rows follow those of `trials`, so a
database that is extended keeps them.
"""

from __future__ import annotations

import duckdb

_OF_TRIALS = """
    SELECT
        object_key, model, strategy, step, s.selection, s.status, s.tp, s.pred_px, gt_px,
        s.hausdorff_px, s.hd95_px, s.assd_px, s.nsd
    FROM (
        SELECT object_key, model, strategy, step, gt_px, unnest(selections) AS s
        FROM {trials}
        WHERE jitter_lo = 0 AND jitter_hi = 0 AND trial = 0
    )
    ORDER BY model, strategy, step, s.selection, object_key"""


def begin_undisplaced(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table, unless it holds rows already."""
    query = _OF_TRIALS.format(trials="trials")
    connection.execute(f"CREATE TABLE IF NOT EXISTS undisplaced AS SELECT * FROM ({query}) LIMIT 0")


def add_undisplaced(connection: duckdb.DuckDBPyConnection, trials: str) -> None:
    """Append the scores of some trials.

    Args:
        trials: a table or query with the columns of `trials`.
    """
    connection.execute(f"INSERT INTO undisplaced {_OF_TRIALS.format(trials=trials)}")
