"""How much of a study is measured."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class CoverageRow:
    """Trials of one model and strategy: expected = done + failed + pending.

    `undefined` counts done trials with an empty prediction in any selection (protocol section 4).
    """

    model: str
    strategy: str
    expected: int
    done: int
    failed: int
    pending: int
    undefined: int


def read_coverage(connection: duckdb.DuckDBPyConnection) -> list[CoverageRow]:
    """The view `coverage`, in the study's order of models and strategies."""
    rows = connection.execute(
        "SELECT c.* FROM coverage c JOIN models m USING (model) JOIN strategies s USING (strategy)"
        " ORDER BY m.position, s.position"
    ).fetchall()
    return [CoverageRow(*row) for row in rows]
