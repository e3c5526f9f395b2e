"""The table `spreads`: what a decomposition of Dice's variance is made of.

Nested sums of squares need, beside n, sum and sum of squares, the squared sums of each object and
of each object's level over how many values they are made of. Both are sums over objects, and an
object's trials lie in one cell, so they can be taken batch by batch. Sums are decimals as those of
`moments`, and for the same reason.
"""

from __future__ import annotations

import duckdb

_OF_TRIALS = """
    WITH scored AS (
        SELECT
            object_key, model, strategy, step, jitter_lo, jitter_hi, s.selection,
            (2 * s.tp::DOUBLE / (s.pred_px + gt_px))::DECIMAL(18, 15) AS dice
        FROM (
            SELECT
                object_key, model, strategy, step, jitter_lo, jitter_hi, gt_px,
                unnest(selections) AS s
            FROM {trials}
        )
        WHERE s.tp IS NOT NULL
    ),
    levels AS (
        SELECT
            object_key, model, strategy, step, selection, count(*) AS n, sum(dice) AS dice,
            sum((dice::DOUBLE ** 2)::DECIMAL(18, 15)) AS squares,
            (sum(dice)::DOUBLE ** 2 / count(*))::DECIMAL(24, 15) AS level_squares
        FROM scored
        GROUP BY object_key, model, strategy, step, selection, jitter_lo, jitter_hi
    ),
    objects AS (
        SELECT
            object_key, model, strategy, step, selection, sum(n)::BIGINT AS n, sum(dice) AS dice,
            sum(squares) AS squares, sum(level_squares) AS level_squares,
            (sum(dice)::DOUBLE ** 2 / sum(n))::DECIMAL(24, 15) AS object_squares
        FROM levels
        GROUP BY object_key, model, strategy, step, selection
    )
    SELECT
        model, strategy, step, selection, dataset, subject_id, count(*) AS n_objects, {sums}
    FROM objects JOIN object_groups USING (object_key)
    GROUP BY model, strategy, step, selection, dataset, subject_id"""

_SUMS = """
        sum(n)::BIGINT AS n,
        sum(dice)::DECIMAL(38, 15) AS dice,
        sum(squares)::DECIMAL(38, 15) AS squares,
        sum(object_squares)::DECIMAL(38, 15) AS object_squares,
        sum(level_squares)::DECIMAL(38, 15) AS level_squares"""


def begin_spreads(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what `add_spreads` needs; `kept_spreads` may hold those of trials that are there.

    `object_groups` is that of the moments.
    """
    query = _OF_TRIALS.format(trials="trials", sums=_SUMS)
    connection.execute(f"CREATE TEMP TABLE spread_parts AS SELECT * FROM ({query}) LIMIT 0")
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept_spreads AS FROM spread_parts LIMIT 0")


def add_spreads(connection: duckdb.DuckDBPyConnection, trials: str) -> None:
    """Take the sums of some trials.

    Args:
        trials: a table or query with the columns of `trials`; all trials of each of its objects.
    """
    connection.execute(f"INSERT INTO spread_parts {_OF_TRIALS.format(trials=trials, sums=_SUMS)}")


def finish_spreads(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `spreads` from all that was added."""
    connection.execute(
        f"""CREATE TABLE spreads AS
        SELECT
            model, strategy, step, selection, dataset, subject_id,
            sum(n_objects)::BIGINT AS n_objects, {_SUMS}
        FROM (FROM spread_parts UNION ALL BY NAME FROM kept_spreads)
        GROUP BY ALL
        ORDER BY ALL"""
    )
