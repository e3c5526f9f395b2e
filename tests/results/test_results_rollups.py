"""Tallies and undisplaced scores of made-up trials, against loops: any steps, any failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.results.check import PART_SCHEMAS
from engine.results.tallies import add_tallies, begin_tallies, finish_tallies
from engine.results.undisplaced import add_undisplaced, begin_undisplaced

Row = dict[str, Any]

BATCHES = ((1, 2), (3, 4))
LEVELS = ((0, 0), (0, 10), (10, 10))
KEY = ("object_key", "model", "strategy", "jitter_lo", "jitter_hi", "trial")
NARROW = ("selection", "status", "tp", "pred_px", "hausdorff_px", "hd95_px", "assd_px", "nsd")
_SCHEMA = PART_SCHEMAS["trials"]
SCHEMA = pa.schema(
    [
        pa.field("object_key", pa.int64()),
        *(_SCHEMA.field(n) for n in (*KEY[1:], "step", "status", "gt_px", "selections")),
    ]
)


def _selection(name: str, status: str, number: int) -> Row:
    row: Row = {"selection": name, "status": status, "candidate": 1}
    if status == "ok":
        row |= {"tp": number, "pred_px": number + 2, "nsd": 0.5}
        row |= {"hausdorff_px": 4.0 + number, "hd95_px": 3.0 + number, "assd_px": 1.0 + number}
    elif status == "empty_prediction":
        row |= {"tp": 0, "pred_px": 0, "nsd": 0.0}
    return row


@st.composite
def trials(draw: st.DrawFn) -> list[Row]:
    """Trials of one to three steps; one that failed may have had an empty prediction before."""
    keys = st.tuples(
        st.integers(1, 4), st.sampled_from("mn"), st.sampled_from("st"), st.sampled_from(LEVELS),
        st.integers(0, 1),
    )  # fmt: skip
    rows = []
    for key, model, strategy, (lo, hi), trial in draw(st.sets(keys, max_size=12)):
        names = dict(zip(KEY, (key, model, strategy, lo, hi, trial), strict=True))
        for step in range(draw(st.integers(1, 3))):
            failed = draw(st.integers(0, 3)) == 0
            statuses = ["failed"] * 2 if failed else [
                draw(st.sampled_from(["ok", "ok", "empty_prediction"])) for _ in range(2)
            ]  # fmt: skip
            selections = [
                _selection(name, status, draw(st.integers(1, 9)))
                for name, status in zip(("oracle", "single"), statuses, strict=True)
            ]
            rows.append({**names, "step": step, "status": "failed" if failed else "ok",
                         "gt_px": 10 + key, "selections": selections})  # fmt: skip
    return rows


Step = Callable[[duckdb.DuckDBPyConnection], None]
Add = Callable[[duckdb.DuckDBPyConnection, str], None]


def _made(table: str, rows: list[Row], begin: Step, add: Add, finish: Step | None) -> list[Row]:
    """What a rollup holds after the trials were added in two batches of whole objects."""
    with duckdb.connect() as connection:
        connection.register("rows", pa.Table.from_pylist(rows, schema=SCHEMA))
        connection.execute("CREATE TABLE trials AS FROM rows LIMIT 0")
        begin(connection)
        for batch in BATCHES:
            add(connection, f"(FROM rows WHERE object_key IN {batch})")
        if finish is not None:
            finish(connection)
        found: list[Row] = connection.sql(f"FROM {table}").to_arrow_table().to_pylist()
    return found


@settings(max_examples=30)
@given(trials())
def test_a_trial_is_tallied_once_however_many_steps_it_has(rows: list[Row]) -> None:
    steps: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        steps.setdefault(tuple(row[name] for name in KEY), []).append(row)
    wanted: dict[tuple[str, str], list[int]] = {}
    for key, mine in steps.items():
        lost = any(row["status"] == "failed" for row in mine)
        empty = any(s["status"] == "empty_prediction" for row in mine for s in row["selections"])
        counts = wanted.setdefault((key[1], key[2]), [0, 0, 0])
        counts[0] += 1
        counts[1] += lost
        counts[2] += empty and not lost
    found = _made("tallies", rows, begin_tallies, add_tallies, finish_tallies)
    assert [(row["model"], row["strategy"]) for row in found] == sorted(wanted)
    for row in found:
        counted = [row[name] for name in ("present", "failed", "undefined")]
        assert counted == wanted[row["model"], row["strategy"]]


@settings(max_examples=30)
@given(trials())
def test_undisplaced_holds_every_selection_of_first_trials_that_were_not_displaced(
    rows: list[Row],
) -> None:
    wanted = [
        (row["object_key"], row["model"], row["strategy"], row["step"], row["gt_px"],
         *(selection.get(name) for name in NARROW))
        for row in rows
        if (row["jitter_lo"], row["jitter_hi"], row["trial"]) == (0, 0, 0)
        for selection in row["selections"]
    ]  # fmt: skip
    found = [
        (row["object_key"], row["model"], row["strategy"], row["step"], row["gt_px"],
         *(row[name] for name in NARROW))
        for row in _made("undisplaced", rows, begin_undisplaced, add_undisplaced, None)
    ]  # fmt: skip
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def test_a_batch_of_undisplaced_rows_is_sorted_down_to_the_object() -> None:
    """Which is what makes its columns small, and its order the same in every build."""
    rows = [
        {"object_key": key, "model": model, "strategy": "s", "jitter_lo": 0, "jitter_hi": 0,
         "trial": 0, "step": 0, "status": "ok", "gt_px": 9,
         "selections": [_selection(name, "ok", key) for name in ("single", "oracle")]}
        for key in (4, 2, 3, 1) for model in "nm"
    ]  # fmt: skip
    found = _made("undisplaced", rows, begin_undisplaced, add_undisplaced, None)
    wanted = [
        (model, name, key)
        for batch in BATCHES for model in "mn" for name in ("oracle", "single") for key in batch
    ]  # fmt: skip
    assert [(row["model"], row["selection"], row["object_key"]) for row in found] == wanted
