"""What the report says in words: the run, its models, and what a reader must be warned of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from engine.results.coverage import CoverageRow, read_coverage

Row = dict[str, Any]

DRAWN = "phantom_"
"""How the names of datasets begin that samscope draws."""


@dataclass(frozen=True)
class Facts:
    """Everything the page states beside figures.

    Attributes:
        run, models, strategies: rows of the tables of these names, JSON columns read.
        study: the study as validated.
        coverage: per model and strategy.
        counts: subjects, cases, slices, objects of the study.
        contaminated: (model, dataset) pairs with subjects the model saw in training.
        akin: (model, number of datasets) where it saw other subjects of them, none of these.
    """

    run: Row
    models: Sequence[Row]
    strategies: Sequence[Row]
    study: Row
    coverage: Sequence[CoverageRow]
    counts: Row
    contaminated: Sequence[tuple[str, str]]
    akin: Sequence[tuple[str, int]]

    def total(self, name: str) -> int:
        """Sum of a coverage column."""
        return sum(int(getattr(row, name)) for row in self.coverage)


def gather(connection: duckdb.DuckDBPyConnection) -> Facts:
    """Read the facts of a run."""
    (run,) = _rows(connection, "FROM runs")
    models = _rows(connection, "FROM models ORDER BY position")
    strategies = _rows(connection, "FROM strategies ORDER BY position")
    (counts,) = _rows(
        connection,
        "SELECT (SELECT count(DISTINCT subject_id) FROM cases) AS subjects,"
        " (SELECT count(*) FROM cases) AS cases, (SELECT count(*) FROM slices) AS slices,"
        " (SELECT count(*) FROM objects) AS objects, (SELECT count(*) FROM datasets) AS datasets",
    )
    seen = connection.execute(
        "SELECT DISTINCT model, dataset, position FROM seen JOIN cases USING (case_id)"
        " JOIN models USING (model) ORDER BY position, dataset"
    ).fetchall()
    akin = connection.execute(
        "SELECT model, count(*) FROM models JOIN datasets ON list_contains(trained_on, dataset)"
        " WHERE model NOT IN (SELECT model FROM seen) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for row in models:
        row |= {"numerics": json.loads(row["numerics"]), "card": json.loads(row["card"])}
    for row in strategies:
        row["params"] = json.loads(row["params"])
    run["algorithm_versions"] = json.loads(run["algorithm_versions"])
    study = json.loads(run["study_json"])
    pairs = [(model, dataset) for model, dataset, _ in seen]
    return Facts(run, models, strategies, study, read_coverage(connection), counts, pairs, akin)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    rows: list[Row] = connection.sql(sql).to_arrow_table().to_pylist()
    return rows


def warnings(facts: Facts) -> list[str]:
    """What a reader must know before believing a number; empty when there is nothing."""
    found = []
    untrained = [row["model"] for row in facts.models if row["untrained"]]
    if untrained:
        found.append(
            f"{_list(untrained)}: untrained, randomly drawn weights (no checkpoint was given). "
            "These numbers exercise the pipeline and say nothing about a trained model."
        )
    pending, failed = facts.total("pending"), facts.total("failed")
    expected = facts.total("expected")
    if pending:
        found.append(
            f"Incomplete: {pending:,} of {expected:,} expected trials are pending. "
            "Figures show what is done; run the evaluation again to complete them."
        )
    if failed:
        found.append(
            f"{failed:,} of {expected:,} expected trials failed and have no score; "
            "means leave them out. See Coverage and failures."
        )
    for model, dataset in facts.contaminated:
        found.append(f"{model} has seen {dataset} in training: its scores there are optimistic.")
    for model, number in facts.akin:
        found.append(
            f"{model} was trained on other subjects of {number} of these datasets; none of the "
            "subjects here is among them. Expect less on data from elsewhere."
        )
    known = {model for model, _ in (*facts.contaminated, *facts.akin)}
    for row in facts.models:
        names = row["trained_on"] or []
        if names and all(name.startswith(DRAWN) for name in names) and row["model"] not in known:
            found.append(
                f"{row['model']} has learnt from drawn phantoms alone and has seen no image of a "
                "patient: these numbers exercise the pipeline and say nothing about a real model."
            )
    if facts.counts["subjects"] < 2:
        found.append("Fewer than two subjects: no intervals can be given.")
    return found


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
