"""The table `moments`: what means and their intervals are made of, so that no question about them
reads the trials again.

Sums are decimals in steps of 1e-15: exact under addition, so neither threads nor batches nor the
builds in which rows arrived can move a bit of them.
"""

from __future__ import annotations

import duckdb

_SUMMED = """
        sum(n_trials)::BIGINT AS n_trials,
        sum(n_failed)::BIGINT AS n_failed,
        sum(n_empty)::BIGINT AS n_empty,
        sum(n)::BIGINT AS n,
        sum(dice)::DECIMAL(38, 15) AS dice,
        sum(dice_squares)::DECIMAL(38, 15) AS dice_squares,
        sum(jaccard)::DECIMAL(38, 15) AS jaccard,
        sum(nsd)::DECIMAL(38, 15) AS nsd,
        sum(drop_n)::BIGINT AS drop_n,
        sum(drop_dice)::DECIMAL(38, 15) AS drop_dice,
        sum(gap_n)::BIGINT AS gap_n,
        sum(gap_dice)::DECIMAL(38, 15) AS gap_dice"""

_GROUPS = """
    CREATE TEMP TABLE object_groups AS
    SELECT
        object_key, dataset, modality, structure, subject_id,
        dense_rank() OVER (ORDER BY dataset, modality, structure, subject_id)::INTEGER AS group_key
    FROM objects
    JOIN (SELECT slice_id, case_id FROM slices) USING (slice_id)
    JOIN (SELECT case_id, dataset, modality, subject_id FROM cases) USING (case_id)"""

_OF_TRIALS = """
    WITH scored AS (
        SELECT
            object_key, model, strategy, jitter_lo, jitter_hi, trial, step,
            s.selection, s.status, s.nsd,
            2 * s.tp::DOUBLE / (s.pred_px + gt_px) AS dice,
            s.tp::DOUBLE / (s.pred_px + gt_px - s.tp) AS jaccard,
            if(s.selection = 'oracle', 2 * shown.tp::DOUBLE / (shown.pred_px + gt_px), NULL)
                AS shown_dice
        FROM (
            SELECT
                * EXCLUDE (selections, candidates, prompt), unnest(selections) AS s,
                list_filter(selections, lambda x: x.selection = 'predicted_iou')[1] AS shown
            FROM {trials}
        )
    ),
    calm AS (
        SELECT object_key, model, strategy, step, selection, dice AS calm_dice FROM scored
        WHERE jitter_lo = 0 AND jitter_hi = 0 AND trial = 0
    )
    SELECT
        group_key, model, strategy, jitter_lo, jitter_hi, step, selection,
        count(*) AS n_trials,
        count(*) FILTER (status = 'failed') AS n_failed,
        count(*) FILTER (status = 'empty_prediction') AS n_empty,
        count(dice) AS n,
        sum(dice::DECIMAL(18, 15)) AS dice,
        sum((dice * dice)::DECIMAL(18, 15)) AS dice_squares,
        sum(jaccard::DECIMAL(18, 15)) AS jaccard,
        sum(nsd::DECIMAL(18, 15)) AS nsd,
        count(dice - calm_dice) AS drop_n,
        sum((dice - calm_dice)::DECIMAL(18, 15)) AS drop_dice,
        count(dice - shown_dice) AS gap_n,
        sum((dice - shown_dice)::DECIMAL(18, 15)) AS gap_dice
    FROM scored
    LEFT JOIN calm USING (object_key, model, strategy, step, selection)
    JOIN object_groups USING (object_key)
    GROUP BY group_key, model, strategy, jitter_lo, jitter_hi, step, selection"""


_NAMED = """
    SELECT * EXCLUDE (group_key)
    FROM moment_parts
    JOIN (SELECT DISTINCT group_key, dataset, modality, structure, subject_id FROM object_groups)
        USING (group_key)"""


def begin_moments(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what `add_moments` needs: the group of every object, and a table without rows.

    `kept_moments` may hold those of trials that are in the database already.
    """
    connection.execute(_GROUPS)
    query = _OF_TRIALS.format(trials="trials")
    connection.execute(f"CREATE TEMP TABLE moment_parts AS SELECT * FROM ({query}) LIMIT 0")
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS kept_moments AS {_NAMED} LIMIT 0")


def add_moments(connection: duckdb.DuckDBPyConnection, trials: str) -> None:
    """Take the moments of some trials.

    Args:
        trials: a table or query with the columns of `trials`. It holds the trials of whole cells,
            because a drop is taken from the same object's trial at level (0,0).
    """
    connection.execute(f"INSERT INTO moment_parts {_OF_TRIALS.format(trials=trials)}")


def finish_moments(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `moments` from all that was added."""
    connection.execute(
        f"""CREATE TABLE moments AS
        SELECT
            model, strategy, jitter_lo, jitter_hi, step, selection,
            dataset, modality, structure, subject_id,{_SUMMED}
        FROM ({_NAMED} UNION ALL BY NAME FROM kept_moments)
        GROUP BY ALL
        ORDER BY ALL"""
    )
