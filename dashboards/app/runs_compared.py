"""Two runs on the same objects: paired differences with intervals."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from dashboards.app.data import RunData
from dashboards.app.view import View
from engine.analysis.moments import Means, Moments
from engine.results.query import query

_SCORES = """
    SELECT object_id, structure, modality, subject_id, model, strategy, selection, dice
    FROM final_undisplaced WHERE dice IS NOT NULL"""

_PAIRED = """
    SELECT
        b.model || ' of the other run' AS baseline, m.model, m.strategy, m.selection,
        any_value(n.expected) AS expected,
        m.subject_id, m.structure, m.modality, count(*) AS n, sum(m.dice - b.dice) AS total
    FROM mine m
    JOIN other b USING (object_id, strategy, selection)
    JOIN (SELECT model, strategy, selection, count(*) AS expected FROM mine GROUP BY ALL) n
        ON n.model = m.model AND n.strategy = m.strategy AND n.selection = m.selection
    WHERE b.model = m.model OR NOT $shared
    GROUP BY b.model, m.model, m.strategy, m.selection, m.subject_id, m.structure, m.modality
    ORDER BY b.model, m.model, m.strategy, m.selection, m.subject_id, m.structure, m.modality"""

_GAINS = Means(("baseline", "model", "strategy", "selection"), (Moments("gain", "n", "total"),))


def compare_runs(data: RunData, other: RunData, view: View) -> pa.Table:
    """Gains of a run over another, one row per model, strategy and selection of both.

    A model is compared with itself; runs that have no model in common, every model with every
    model of the other (`baseline`).

    `expected`: objects scored in the first run.
    """
    with data.connection(view) as connection:
        mine = query(connection, _SCORES)
        seed = int(connection.execute("SELECT study_seed FROM runs").fetchall()[0][0])
    with other.connection(view) as connection:
        theirs = query(connection, _SCORES)
    with duckdb.connect() as connection:
        connection.register("mine", mine)
        connection.register("other", theirs)
        shared = bool(set(mine["model"].to_pylist()) & set(theirs["model"].to_pylist()))
        rows = connection.sql(_PAIRED, params={"shared": shared}).to_arrow_table()
        answer = _GAINS(connection, rows, seed)
    kept = [view.keeps(row) for row in answer.to_pylist()]
    return answer.filter(pa.array(kept, pa.bool_()))
