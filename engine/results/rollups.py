"""What questions need of the trials, taken once while they are at hand."""

from __future__ import annotations

import duckdb

from engine.results.moments import add_moments, begin_moments, finish_moments
from engine.results.spreads import add_spreads, begin_spreads, finish_spreads
from engine.results.tallies import add_tallies, begin_tallies, finish_tallies
from engine.results.undisplaced import add_undisplaced, begin_undisplaced

SUMMED = ("moments", "spreads", "tallies")
"""Rollups whose rows are sums: those of a database before are taken as `kept_<name>`."""


def begin_rollups(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what `add_rollups` needs; `trials`, `objects`, `slices` and `cases` are there."""
    for begin in (begin_moments, begin_spreads, begin_tallies, begin_undisplaced):
        begin(connection)


def add_rollups(connection: duckdb.DuckDBPyConnection, trials: str) -> None:
    """Take what questions need from some trials.

    Args:
        trials: a table or query with the columns of `trials`. It holds the trials of whole cells:
            some sums need all trials of an object.
    """
    for add in (add_moments, add_spreads, add_tallies, add_undisplaced):
        add(connection, trials)


def finish_rollups(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of `SUMMED` from all that was added."""
    for finish in (finish_moments, finish_spreads, finish_tallies):
        finish(connection)
