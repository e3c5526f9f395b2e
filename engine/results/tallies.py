"""The table `tallies`: how many trials there are, lost and undefined; what `coverage` reads.

A trial is counted once however many steps it has.
"""

from __future__ import annotations

import duckdb

_OF_TRIALS = """
    WITH tried AS (
        SELECT
            model, strategy, bool_or(step = 0) AS begun, bool_or(status = 'failed') AS lost,
            bool_or(list_contains(
                list_transform(selections, lambda s: s.status), 'empty_prediction'
            )) AS undefined
        FROM {trials}
        GROUP BY object_key, model, strategy, jitter_lo, jitter_hi, trial
    )
    SELECT
        model, strategy, count(*) FILTER (begun) AS present, count(*) FILTER (lost) AS failed,
        count(*) FILTER (undefined AND NOT lost) AS undefined
    FROM tried GROUP BY model, strategy"""


def begin_tallies(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what `add_tallies` needs; `kept_tallies` may hold those of trials that are there."""
    query = _OF_TRIALS.format(trials="trials")
    connection.execute(f"CREATE TEMP TABLE tally_parts AS SELECT * FROM ({query}) LIMIT 0")
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept_tallies AS FROM tally_parts LIMIT 0")


def add_tallies(connection: duckdb.DuckDBPyConnection, trials: str) -> None:
    """Count some trials.

    Args:
        trials: a table or query with the columns of `trials`; whole trials.
    """
    connection.execute(f"INSERT INTO tally_parts {_OF_TRIALS.format(trials=trials)}")


def finish_tallies(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `tallies` from all that was added: one row per model and strategy with trials."""
    connection.execute(
        """CREATE TABLE tallies AS
        SELECT
            model, strategy, sum(present)::BIGINT AS present, sum(failed)::BIGINT AS failed,
            sum(undefined)::BIGINT AS undefined
        FROM (FROM tally_parts UNION ALL BY NAME FROM kept_tallies)
        GROUP BY ALL
        ORDER BY ALL"""
    )
