"""Pairs of models against loops: three models, steps, missing scores, and some of the objects."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from engine.analysis import QUESTIONS
from engine.results.build import view_sql
from engine.results.paired_moments import add_paired_moments

Row = dict[str, Any]
MODELS = ("first", "second", "third")
LAST = {"box": 0, "clicks": 1}
"""Step of a strategy that counts."""
OBJECTS = 60


def scores() -> list[Row]:
    """Some trials are lost, some were never made; the steps of a strategy differ."""
    draw = random.Random(5)
    return [
        {
            "object_key": key, "model": model, "strategy": strategy, "step": step,
            "selection": selection, "pred_px": draw.randint(1, 50), "gt_px": 30,
            "tp": None if draw.random() < 0.1 else draw.randint(0, 20),
        }
        for key in range(OBJECTS) for model in MODELS for strategy in LAST
        for step in range(LAST[strategy] + 1) for selection in ("oracle", "single")
        if draw.random() < 0.95
    ]  # fmt: skip


def by_loops(rows: list[Row]) -> list[Row]:
    dice = {
        (r["object_key"], r["model"], r["strategy"], r["selection"]):
            2 * r["tp"] / (r["pred_px"] + r["gt_px"])
        for r in rows if r["tp"] is not None and r["step"] == LAST[r["strategy"]]
    }  # fmt: skip
    pairs = []
    for one, two in itertools.combinations(MODELS, 2):
        for key, strategy, selection in itertools.product(
            range(OBJECTS), LAST, ("oracle", "single")
        ):
            before = dice.get((key, one, strategy, selection))
            after = dice.get((key, two, strategy, selection))
            if before is not None and after is not None:
                pairs.append(
                    {"object_id": f"o{key:02}", "structure": _structure(key), "baseline": one,
                     "model": two, "strategy": strategy, "selection": selection,
                     "gain": after - before}
                )  # fmt: skip
    return pairs


def _structure(key: int) -> str:
    return "liver" if key % 3 else "spleen"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    objects = [
        {"object_key": key, "object_id": f"o{key:02}", "structure": _structure(key),
         "slice_id": f"s{key % 7}"}
        for key in range(OBJECTS)
    ]  # fmt: skip
    slices = [{"slice_id": f"s{n}", "case_id": f"c{n % 3}"} for n in range(7)]
    cases = [
        {"case_id": f"c{n}", "dataset": "d", "modality": "CT", "subject_id": f"p{n}"}
        for n in range(3)
    ]
    models = [{"model": name, "position": place} for place, name in enumerate(MODELS)]
    strategies = [{"strategy": name, "position": place} for place, name in enumerate(LAST)]
    moments = [
        {"strategy": name, "step": n} for name, last in LAST.items() for n in range(last + 1)
    ]
    expected = [
        {"model": model, "strategy": strategy, "selection": selection, "jitter_lo": 0,
         "jitter_hi": 0, "model_position": at, "strategy_position": place, "expected": OBJECTS}
        for at, model in enumerate(MODELS) for place, strategy in enumerate(LAST)
        for selection in ("oracle", "single")
    ]  # fmt: skip
    tables = {
        "undisplaced": scores(), "objects": objects, "slices": slices, "cases": cases,
        "models": models, "strategies": strategies, "moments": moments, "expected_scores": expected,
        "seen": [{"model": "second", "case_id": "c1"}],
    }  # fmt: skip
    with duckdb.connect() as made:
        for name, rows in tables.items():
            made.register("source", pa.Table.from_pylist(rows))
            made.execute(f"CREATE TABLE {name} AS FROM source")
        for view in ("paired_scores", "paired_results"):
            made.execute(view_sql(view))
        add_paired_moments(made)
        yield made


def test_every_two_models_at_the_last_step(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.sql("FROM paired_results").to_arrow_table().to_pylist()
    wanted = by_loops(scores())
    names = ("object_id", "structure", "baseline", "model", "strategy", "selection")
    assert len(found) == len(wanted) > 500
    gains = {tuple(row[n] for n in names): row["gain"] for row in found}
    assert gains == pytest.approx({tuple(row[n] for n in names): row["gain"] for row in wanted})
    # object 1 lies in slice 1 and so in case 1, which the second model has seen
    held = {row["model"]: row["held_out"] for row in found
            if (row["object_id"], row["baseline"]) == ("o01", "first")}  # fmt: skip
    assert held == {"second": False, "third": True}


def test_gains_over_the_first_model_alone(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.sql(QUESTIONS["compare_models"].sql).to_arrow_table().to_pylist()
    wanted = [row for row in by_loops(scores()) if row["baseline"] == "first"]
    assert {row["model"] for row in rows} == {"second", "third"}
    for model, strategy in itertools.product(("second", "third"), LAST):
        mine = [r for r in rows if (r["model"], r["strategy"], r["selection"])
                == (model, strategy, "oracle")]  # fmt: skip
        gains = [r["gain"] for r in wanted if (r["model"], r["strategy"], r["selection"])
                 == (model, strategy, "oracle")]  # fmt: skip
        assert sum(row["n"] for row in mine) == len(gains)
        assert sum(row["total"] for row in mine) == pytest.approx(sum(gains))


@pytest.mark.parametrize("only", [None, "spleen"])
def test_the_largest_changes_of_the_objects_that_are_there(
    connection: duckdb.DuckDBPyConnection, only: str | None
) -> None:
    if only is not None:
        connection.execute(
            "CREATE TEMP TABLE objects AS FROM main.objects WHERE structure = $1", [only]
        )
    rows = connection.sql(QUESTIONS["paired_objects"].sql).to_arrow_table().to_pylist()
    pairs = [row for row in by_loops(scores()) if only in (None, row["structure"])]
    cells = itertools.product(itertools.combinations(MODELS, 2), LAST, ("oracle", "single"))
    for (one, two), strategy, selection in cells:
        cell = {"baseline": one, "model": two, "strategy": strategy, "selection": selection}
        mine = [row for row in rows if cell.items() <= row.items()]
        wanted = sorted(
            (row for row in pairs if cell.items() <= row.items()),
            key=lambda row: (-round(abs(row["gain"]), 12), row["object_id"]),
        )[:20]
        assert [row["rank"] for row in mine] == list(range(1, len(wanted) + 1))
        assert [row["object_id"] for row in mine] == [row["object_id"] for row in wanted]
        assert [row["gain"] for row in mine] == pytest.approx([row["gain"] for row in wanted])
