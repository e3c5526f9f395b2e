"""The table `paired_moments`: what means of `paired_results` and their intervals are made of.

Two models meet in it, so it cannot be summed up cell by cell as the other rollups are: it is made
when all trials are there. Sums are decimals in steps of 1e-15, as those of `moments`.
"""

from __future__ import annotations

import duckdb


def add_paired_moments(connection: duckdb.DuckDBPyConnection) -> None:
    """Create it; `paired_results` is there."""
    connection.execute(
        """CREATE TABLE paired_moments AS
        SELECT
            baseline, model, strategy, selection, held_out,
            dataset, modality, structure, subject_id,
            count(*)::BIGINT AS n,
            sum(gain::DECIMAL(18, 15))::DECIMAL(38, 15) AS gain,
            sum(dice_baseline::DECIMAL(18, 15))::DECIMAL(38, 15) AS dice_baseline,
            sum(dice_model::DECIMAL(18, 15))::DECIMAL(38, 15) AS dice_model
        FROM paired_results
        GROUP BY ALL
        ORDER BY ALL"""
    )
