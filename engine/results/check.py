"""What every committed row must fulfil; checked at the ledger's door, before a file is written."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import CorruptDataError
from engine.results.manifest import Cell
from engine.results.schema import PART_SCHEMAS, SELECTIONS

TRIAL_KEY = ("object_id", "jitter_lo", "jitter_hi", "trial", "step")
_KEYS = {
    "trials": TRIAL_KEY,
    "slice_candidates": ("slice_id", "candidate"),
    "overlaps": ("object_id", "candidate"),
    "factors": ("object_id",),
}


def check_table(name: str, table: pa.Table, cell: Cell) -> None:
    """Check a part against its schema, its cell and protocol section 4.

    Raises:
        CorruptDataError: unknown table, other schema, NaN or infinity, rows of another model or
            strategy, a repeated key, or selections that contradict their status.
    """
    where = f"{cell.unit_id}, {cell.model}, {cell.strategy}, table {name}"
    schema = PART_SCHEMAS.get(name)
    if schema is None:
        raise CorruptDataError(
            "no such part table", where=where, got=name, expected=", ".join(PART_SCHEMAS)
        )
    if not table.schema.equals(schema):
        raise CorruptDataError(
            "part has another schema", where=where, got=_difference(table.schema, schema)
        )
    for path, column in float_leaves(table):
        if not _all_true(pc.is_finite(column)):
            raise CorruptDataError(
                "NaN or infinity in a part; undefined is null", where=f"{where}, {path}"
            )
    _check_cell(table, cell, where)
    _check_key(table, _KEYS.get(name, ()), where)
    if name == "trials":
        _check_trials(table, where)


def float_leaves(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """(path, values) of every floating-point column, however deeply nested."""
    for name in table.column_names:
        yield from _leaves(name, table.column(name))


def _leaves(path: str, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    if pa.types.is_floating(column.type):
        yield path, column
    elif pa.types.is_list(column.type):
        yield from _leaves(path, pc.list_flatten(column))
    elif pa.types.is_struct(column.type):
        for field in column.type:
            yield from _leaves(f"{path}.{field.name}", pc.struct_field(column, field.name))


def _difference(got: pa.Schema, expected: pa.Schema) -> str:
    ours = {field.name: field for field in expected}
    theirs = {field.name: field for field in got}
    missing = [f"{name} is missing" for name in ours if name not in theirs]
    extra = [f"{name} is unknown" for name in theirs if name not in ours]
    other = [
        f"{name} is {theirs[name].type}, not {field.type}"
        for name, field in ours.items()
        if name in theirs and not theirs[name].equals(field)
    ]
    return "; ".join(missing + extra + other) or "other order of columns"


def _all_true(column: pa.ChunkedArray) -> bool:
    """True when no value is false; null counts as true."""
    return bool(pc.all(column.fill_null(True), min_count=0).as_py())


def _check_cell(table: pa.Table, cell: Cell, where: str) -> None:
    for name, value in (("model", cell.model), ("strategy", cell.strategy)):
        if name in table.column_names:
            _refuse_unless(pc.equal(table.column(name), value), f"{name} is not the cell's", where)


def _check_key(table: pa.Table, key: tuple[str, ...], where: str) -> None:
    if key and table.select(list(key)).group_by(list(key)).aggregate([]).num_rows < len(table):
        raise CorruptDataError("rows share a key", where=where, expected=f"unique {', '.join(key)}")


def _check_trials(table: pa.Table, where: str) -> None:
    _refuse_unless(
        pc.is_in(table["status"], pa.array(["ok", "failed"])), "unknown trial status", where
    )
    counts = pc.list_value_length(table["selections"])
    _refuse_unless(
        pc.greater(counts.fill_null(0), 0), "a trial, failed or not, needs its selections", where
    )
    selections = pc.list_flatten(table["selections"])
    status = pc.struct_field(selections, "status")
    known = pc.is_in(pc.struct_field(selections, "selection"), pa.array(list(SELECTIONS)))
    _refuse_unless(known, "unknown selection", where)
    trial_failed = pc.equal(table["status"], "failed")
    failed_of_row = pc.take(trial_failed, pc.list_parent_indices(table["selections"]))
    _refuse_unless(
        pc.equal(failed_of_row, pc.equal(status, "failed")),
        "selections fail with their trial and only with it",
        where,
    )
    _check_selections(selections, status, where)


def _check_selections(selections: pa.ChunkedArray, status: pa.ChunkedArray, where: str) -> None:
    """ok: everything in pixels defined; empty: zeros and nulls; failed: nulls (section 4)."""

    def value(name: str) -> pa.ChunkedArray:
        return pc.struct_field(selections, name)

    has_distance = pc.is_valid(value("hausdorff_px"))
    ok = pc.and_(has_distance, pc.greater(value("pred_px"), 0))
    empty = pc.and_(
        pc.invert(has_distance), pc.and_(pc.equal(value("pred_px"), 0), pc.equal(value("nsd"), 0))
    )
    failed = pc.and_(pc.invert(has_distance), pc.is_null(value("tp")))
    fits = pc.case_when(
        pc.make_struct(
            pc.equal(status, "ok"), pc.equal(status, "empty_prediction"), pc.equal(status, "failed")
        ),
        ok.fill_null(False),
        empty.fill_null(False),
        failed,
        False,
    )
    _refuse_unless(fits, "a selection's numbers contradict its status", where)


def _refuse_unless(condition: pa.ChunkedArray, what: str, where: str) -> None:
    if not _all_true(condition.fill_null(False)):
        index = pc.index(condition.fill_null(False), False).as_py()
        raise CorruptDataError(what, where=f"{where}, row {index}")
